"""Messages that come into a mailbox: a content, its place in a folder, and its blobs' names, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.storage.mailboxes.driver import Driver, chunks
from gateway.storage.mailboxes.faults import BlobsCollected, KeyChanged, NoFolder, NoMailbox, OverQuota
from gateway.storage.mailboxes.message_rows import INTENDED, MessageRows, joined_names, split_names
from gateway.storage.mailboxes.model import CONTENT_ID, INBOX, SEEN, ContentRow, MailboxState, NewMessage

MOST_ADDED: Final = 1000  # Messages in one `add`.
_INBOX: Final = "SELECT id, uid_next FROM mailbox_folders WHERE mailbox=? AND token=? FOR UPDATE"
_FOLDER: Final = "SELECT id, uid_next FROM mailbox_folders WHERE mailbox=? AND id=? AND token IS NOT NULL FOR UPDATE"


@dataclass(slots=True)
class _New:
    """What is to be added to one folder, once what came before is known."""

    uids: list[int] = field(default_factory=list)
    messages: list[tuple[int, NewMessage]] = field(default_factory=list)  # With its place in `uids`.


class Intake(MessageRows):
    """Adds messages. Each exactly once, where it has a token."""

    async def add(self, mailbox: int, folder: int | None, messages: Sequence[NewMessage]) -> list[int]:
        """Put messages into a folder (None: INBOX), all or none; their UIDs, in their order.

        A message whose token came before has the UID that it got then, and what was written for it now is garbage. The
        names of blobs must be of `reserve`. Messages may share a content. Raises NoMailbox, NoFolder, OverQuota,
        KeyChanged, BlobsCollected, TooManyKeywords.
        """
        if len(messages) > MOST_ADDED:
            raise ValueError(f"{MOST_ADDED} messages at most are added at once")
        for one in messages:
            if len(one.content.id) != CONTENT_ID or one.content.mailbox != mailbox:
                raise ValueError("a content has an id of 16 octets, and is of the mailbox to which it is added")
        return await self._write(lambda driver: self._add(driver, mailbox, folder, messages), order=mailbox)

    async def arrived(self, mailbox: int, tokens: Iterable[bytes]) -> dict[bytes, int]:
        """Those of the tokens that came to the mailbox before, and the UIDs that their messages got then."""
        wanted = list(dict.fromkeys(tokens))
        return await self._read(lambda driver: _known(driver, mailbox, wanted))

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _add(self, driver: Driver, mailbox: int, folder: int | None, messages: Sequence[NewMessage]) -> list[int]:
        # 1. the mailbox, 2. what came before, 3. its terms, 4. the folder's numbers, 5. rows.
        row = driver.row(
            "SELECT state, key_version, next_key_version, quota, used FROM mailboxes WHERE id=? FOR UPDATE", mailbox
        )
        if row is None or row[0] != MailboxState.READY:
            raise NoMailbox("there is no such mailbox (any more)")
        new = self._without_repeated(driver, mailbox, messages)
        if not new.messages:
            return new.uids
        _, version, next_version, quota, used = row
        octets = sum(one.content.size for _, one in new.messages)
        if quota is not None and used + octets > quota:
            raise OverQuota(f"the mailbox holds {used} of {quota} octets, and {octets} more do not fit")
        if any(one.content.key_version not in (version, next_version) for _, one in new.messages):
            raise KeyChanged("the mailbox has another key by now")
        there, first = self._target(driver, mailbox, folder)
        self._put_contents(driver, [one.content for _, one in new.messages])
        self._put_messages(driver, mailbox, there, first, new)
        self._counted(driver, mailbox, messages=len(new.messages), octets=octets)
        return new.uids

    def _target(self, driver: Driver, mailbox: int, folder: int | None) -> tuple[int, int]:
        """The folder's id and next UID. It is locked, and not opened: most messages come without keywords."""
        if folder is None:
            row = driver.row(_INBOX, mailbox, self._folder_token(mailbox, INBOX))
        else:
            row = driver.row(_FOLDER, mailbox, folder)
        if row is None:
            raise NoFolder("there is no such folder (any more)")
        return row[0], row[1]

    def _without_repeated(self, driver: Driver, mailbox: int, messages: Sequence[NewMessage]) -> _New:
        new = _New()
        tokens = [one.token for one in messages if one.token is not None]
        known = _known(driver, mailbox, tokens)
        fresh: set[bytes] = set()
        repeated: list[NewMessage] = []
        for place, one in enumerate(messages):
            if one.token is not None and one.token in known:
                new.uids.append(known[one.token])
                repeated.append(one)
                continue
            if one.token is not None and one.token in fresh:
                raise ValueError("two messages have one token")
            if one.token is not None:
                fresh.add(one.token)
            new.uids.append(0)
            new.messages.append((place, one))
        self._forget_written(driver, repeated, keep={one.content.id for _, one in new.messages})
        return new

    def _forget_written(self, driver: Driver, repeated: Sequence[NewMessage], keep: set[bytes]) -> None:
        """Give up what was written for messages that are there already, unless that very content is theirs."""
        contents = {one.content.id: one.content for one in repeated if one.content.id not in keep}
        if not contents:
            return
        for chunk in chunks(list(contents)):
            for (id_,) in driver.rows("SELECT id FROM mailbox_contents WHERE id IN (??)", chunk):
                del contents[id_]
        self._discard(driver, [name for one in contents.values() for name in split_names(joined_names(one.blobs))])

    def _put_contents(self, driver: Driver, contents: Sequence[ContentRow]) -> None:
        refs: dict[bytes, int] = {}
        unique: dict[bytes, ContentRow] = {}
        for one in contents:
            refs[one.id] = refs.get(one.id, 0) + 1
            unique[one.id] = one
        names = {one.id: joined_names(one.blobs) for one in unique.values()}
        self._claim(driver, [name for octets in names.values() for name in split_names(octets)])
        driver.many(
            "INSERT INTO mailbox_contents (id, mailbox, key_version, refs, size, created, blobs, map, head)"
            " VALUES (?,?,?,?,?,?,?,?,?)",
            [
                (
                    *(one.id, one.mailbox, one.key_version, refs[one.id], one.size, int(one.created * 1000)),
                    *(names[one.id], one.map, one.head),
                )
                for one in unique.values()
            ],
        )

    def _claim(self, driver: Driver, names: Sequence[bytes]) -> None:
        """These names are a content's from now on, and no longer in danger. Raises BlobsCollected."""
        taken = 0
        for chunk in chunks(sorted(names)):
            taken += driver.do("DELETE FROM mailbox_blobs WHERE state=? AND name IN (??)", INTENDED, chunk)
        if taken != len(names):
            raise BlobsCollected("the names of the content's blobs are no longer reserved; it has to be written anew")

    def _put_messages(self, driver: Driver, mailbox: int, folder: int, first: int, new: _New) -> None:
        bits = []
        for _, one in new.messages:
            keywords = self._bits(driver, self._folder(driver, folder), one.keywords) if one.keywords else 0
            bits.append(one.flags | keywords)
        count = len(bits)
        modseq = self._advance(
            driver, folder, messages=count, unseen=sum(1 for one in bits if not one & SEEN), uids=count
        )
        now = self._now()
        rows = []
        arrivals = []
        for number, (place, one) in enumerate(new.messages):
            uid = new.uids[place] = first + number
            rows.append((folder, uid, modseq, bits[number], int(one.date * 1000), one.content.size, one.content.id))
            if one.token is not None:
                arrivals.append((mailbox, one.token, folder, uid, now))
        driver.many(
            "INSERT INTO mailbox_messages (folder, uid, modseq, flags, date, size, content) VALUES (?,?,?,?,?,?,?)",
            rows,
        )
        driver.many("INSERT INTO mailbox_arrivals (mailbox, token, folder, uid, time) VALUES (?,?,?,?,?)", arrivals)


def _known(driver: Driver, mailbox: int, tokens: Sequence[bytes]) -> dict[bytes, int]:
    known: dict[bytes, int] = {}
    for chunk in chunks(tokens):
        statement = "SELECT token, uid FROM mailbox_arrivals WHERE mailbox=? AND token IN (??)"
        known.update((bytes(token), uid) for token, uid in driver.rows(statement, mailbox, chunk))
    return known
