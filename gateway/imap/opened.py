"""One folder as one connection has it open: what the client was told, in packed arrays of 20 octets a message.

The client counts messages by their place (RFC 3501 2.3.1.2), so what others have expunged stays here until it may be
told: never while FETCH, STORE or SEARCH by number is under way (7.4.1).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection

from gateway.imap.flag_words import shown
from gateway.storage.mailboxes.model import SEEN, Changes, Entries, Folder, Mailbox


class Opened:
    """`folder` is as last read; `modseq` is up to where changes are known; `read_only` after EXAMINE."""

    __slots__ = (
        "_gone",
        "flags",
        "folder",
        "is_condstore",
        "looked",
        "mailbox",
        "modseq",
        "modseqs",
        "read_only",
        "uids",
    )

    def __init__(self, mailbox: Mailbox, folder: Folder, entries: Entries, *, read_only: bool) -> None:
        self.mailbox = mailbox
        self.folder = folder
        self.uids: array[int] = entries.uids
        self.flags: array[int] = entries.flags
        self.modseqs: array[int] = entries.modseqs
        self.modseq = folder.modseq
        self.read_only = read_only
        self.is_condstore = False  # Whether the client wants to hear of MODSEQ (RFC 7162 3.1).
        self.looked = 0.0  # When the store was last asked for changes, by the monotonic clock.
        self._gone: array[int] = array("I")  # Expunged, and not told yet. Ascending.

    def __len__(self) -> int:
        return len(self.uids)

    def __bool__(self) -> bool:
        """An empty folder is open, too."""
        return True

    @property
    def octets(self) -> int:
        """What the arrays take."""
        return sum(one.itemsize * len(one) for one in (self.uids, self.flags, self.modseqs, self._gone))

    @property
    def gone(self) -> int:
        """How many messages were expunged that the client was not told of."""
        return len(self._gone)

    def place(self, uid: int) -> int | None:
        """Where the message of that UID stands, counted from 0."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def first_unseen(self) -> int | None:
        """The number of the first message without \\Seen."""
        return next((number for number, flags in enumerate(self.flags, 1) if not flags & SEEN), None)

    def take(self, changes: Changes, *, silent: Collection[int] = (), by_uid: bool = False) -> list[bytes]:
        """Enter what happened; the untagged responses that tell it. `silent`: UIDs whose flags the client set itself,
        and does not want to hear of (RFC 3501 6.4.6). `by_uid`: the responses name UIDs too.

        What is gone is told by `expunges`.
        """
        told: list[bytes] = []
        grown = False
        last = self.uids[-1] if self.uids else 0
        for uid, flags, modseq in zip(
            changes.entries.uids, changes.entries.flags, changes.entries.modseqs, strict=True
        ):
            if uid > last:
                self.uids.append(uid)
                self.flags.append(flags)
                self.modseqs.append(modseq)
                last, grown = uid, True
                continue
            at = self.place(uid)
            if at is None or modseq < self.modseqs[at]:
                continue
            is_news = self.flags[at] != flags
            self.flags[at], self.modseqs[at] = flags, modseq
            if (is_news and uid not in silent) or (uid in silent and self.is_condstore):
                told.append(self.fetched(at, by_uid=by_uid, with_flags=uid not in silent))
        if grown:
            told.insert(0, b"* %d EXISTS\r\n" % len(self.uids))
        if changes.expunged:
            self._lose(changes.expunged)
        self.modseq = max(self.modseq, changes.modseq)
        return told

    def fetched(self, at: int, *, by_uid: bool, with_flags: bool = True) -> bytes:
        """An untagged FETCH that tells the flags of the message at that place."""
        parts = [b"FLAGS " + shown(self.flags[at], self.folder.keywords)] if with_flags else []
        if by_uid:
            parts.append(b"UID %d" % self.uids[at])
        if self.is_condstore:
            parts.append(b"MODSEQ (%d)" % self.modseqs[at])
        return b"* %d FETCH (%b)\r\n" % (at + 1, b" ".join(parts))

    def _lose(self, expunged: Collection[int]) -> None:
        known = {uid for uid in expunged if self.place(uid) is not None}
        if known:
            self._gone = array("I", sorted(known.union(self._gone)))

    def expunges(self) -> list[bytes]:
        """Forget what is gone; the responses that tell it, from the last message to the first, so that none of them
        changes the number in the next.
        """
        told: list[bytes] = []
        if not self._gone:
            return told
        ends = len(self.uids)
        kept: list[tuple[int, int]] = []
        for uid in reversed(self._gone):
            at = self.place(uid)
            if at is None:
                continue
            told.append(b"* %d EXPUNGE\r\n" % (at + 1))
            kept.append((at + 1, ends))
            ends = at
        kept.append((0, ends))
        for name in ("uids", "flags", "modseqs"):
            before: array[int] = getattr(self, name)
            after = array(before.typecode)
            for low, high in reversed(kept):
                after.extend(before[low:high])
            setattr(self, name, after)
        self._gone = array("I")
        return told

    def replaced(self, entries: Entries, modseq: int) -> list[bytes]:
        """Everything was read anew, since what is gone could not be told: enter it as if it had been changes."""
        there = set(entries.uids)
        gone = tuple(uid for uid in self.uids if uid not in there)
        return self.take(Changes(entries=entries, expunged=gone, modseq=modseq, complete=True))
