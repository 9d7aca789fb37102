"""Messages in folders: found, flagged and expunged."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gateway.storage.mailboxes.driver import Driver, Rows, Span, chunks, spans
from gateway.storage.mailboxes.faults import NoFolder
from gateway.storage.mailboxes.message_rows import CONTENT, CONTENT_WITHOUT_HEAD, MessageRows, content_row, entry
from gateway.storage.mailboxes.model import (
    DELETED,
    SEEN,
    Changes,
    ContentRow,
    Entries,
    Entry,
    FlagChange,
    FlagsSet,
    Measures,
)
from gateway.storage.mailboxes.packed import CHANGED, ENTRIES, MEASURES, columns

FLAGGED_AT_ONCE: Final = 5000  # Messages whose flags are set in one transaction: nobody waits for long.
EXPUNGED_AT_ONCE: Final = 1000  # Likewise; each touches more rows.
_ENTRY: Final = "m.uid, m.modseq, m.flags, m.date, m.size, m.content"
_ENTRIES: Final = f"SELECT {_ENTRY} FROM mailbox_messages m WHERE m.folder=? AND ??"  # noqa: S608 - constants alone
_JOINED: Final = "FROM mailbox_messages m JOIN mailbox_contents c ON c.id=m.content WHERE m.folder=? AND ??"
_WITH_HEADS: Final = f"SELECT {_ENTRY}, {CONTENT} {_JOINED}"
_WITHOUT_HEADS: Final = f"SELECT {_ENTRY}, {CONTENT_WITHOUT_HEAD} {_JOINED}"
_SET_FLAGS: Final = {
    FlagChange.ADD: "UPDATE mailbox_messages SET flags=flags | ?, modseq=? WHERE folder=? AND ?? AND modseq<=?"
    " AND flags & ? <> ?",
    FlagChange.REMOVE: "UPDATE mailbox_messages SET flags=flags & ~ CAST(? AS BIGINT), modseq=? WHERE folder=? AND ??"
    " AND modseq<=? AND flags & ? <> 0",
    FlagChange.REPLACE: "UPDATE mailbox_messages SET flags=?, modseq=? WHERE folder=? AND ?? AND modseq<=?"
    " AND flags <> ?",
}


class MessageStore(MessageRows):
    """What is in a folder. Folders are given by their ids; UIDs that are not there are passed over in silence."""

    # -- asking -------------------------------------------------------------------------------------------------------

    async def entries(self, folder: int) -> Entries:
        """All messages of a folder, packed. Empty where the folder is gone."""
        return await self._read(lambda driver: Entries(*columns(driver, ENTRIES, folder)))

    async def changes(self, folder: int, since: int) -> Changes:
        """What happened in a folder after `since`, a modseq. Raises NoFolder."""

        def read(driver: Driver) -> Changes:
            row = driver.row("SELECT modseq, forgotten FROM mailbox_folders WHERE id=? AND token IS NOT NULL", folder)
            if row is None:
                raise NoFolder("there is no such folder (any more)")
            gone = driver.rows(
                "SELECT uid FROM mailbox_expunged WHERE folder=? AND modseq>? ORDER BY uid", folder, since
            )
            changed = Entries(*columns(driver, CHANGED, folder, since))
            return Changes(changed, tuple(uid for (uid,) in gone), row[0], since >= row[1])

        return await self._read(read)

    async def entries_of(self, folder: int, uids: Iterable[int]) -> list[Entry]:
        """These messages of a folder, by rising UID."""
        wanted = spans(uids)

        def read(driver: Driver) -> list[Entry]:
            found: Rows = []
            for span in wanted:
                found += driver.rows(_ENTRIES, folder, span)
            return [entry(row) for row in sorted(found, key=_uid)]

        return await self._read(read)

    async def fetch(self, folder: int, uids: Iterable[int], *, head: bool = True) -> list[tuple[Entry, ContentRow]]:
        """These messages with their contents, by rising UID, in one question. Without `head` that is left empty."""
        wanted = spans(uids)

        def read(driver: Driver) -> list[tuple[Entry, ContentRow]]:
            found: Rows = []
            for span in wanted:
                found += driver.rows(_WITH_HEADS if head else _WITHOUT_HEADS, folder, span)
            found.sort(key=_uid)
            if head:
                return [(entry(row[:6]), content_row(row[6:])) for row in found]
            return [(entry(row[:6]), content_row((*row[6:12], b"", row[12]))) for row in found]

        return await self._read(read)

    async def measures(self, folder: int) -> Measures:
        """Internal dates and sizes of all messages of a folder, for searching."""
        return await self._read(lambda driver: Measures(*columns(driver, MEASURES, folder)))

    # -- changing -----------------------------------------------------------------------------------------------------

    async def set_flags(
        self,
        folder: int,
        uids: Iterable[int],
        change: FlagChange,
        flags: int,
        keywords: Sequence[str] = (),
        *,
        unchanged_since: int | None = None,
    ) -> FlagsSet:
        """Change flags (`flags`: system flags alone) and keywords of messages, FLAGGED_AT_ONCE in one transaction.

        What changed after `unchanged_since` is left (RFC 7162 3.1.3). Raises NoFolder, TooManyKeywords.
        """
        asked = sorted(set(uids))
        sets: list[FlagsSet] = []
        for chunk in chunks(asked, FLAGGED_AT_ONCE) if asked else [()]:
            one = _Flagging(change, flags, tuple(keywords), spans(chunk), unchanged_since)
            sets.append(await self._write(partial(self._set_flags, folder=folder, one=one)))
        return sets[0] if len(sets) == 1 else _joined(sets)

    async def expunge(self, folder: int, uids: Iterable[int] | None = None) -> list[int]:
        """Remove the messages flagged as deleted, of `uids` alone where they are given (RFC 4315 2.1); which.

        EXPUNGED_AT_ONCE in one transaction. A content whose last message is gone goes too, and its blobs are garbage.
        Raises NoFolder.
        """
        if uids is None:
            return await self._expunge_all(folder)
        gone: list[int] = []
        for chunk in chunks(sorted(set(uids)), EXPUNGED_AT_ONCE):
            gone += await self._write(partial(self._expunge, folder=folder, wanted=spans(chunk)))
        return gone

    async def _expunge_all(self, folder: int) -> list[int]:
        gone: list[int] = []
        while True:
            after = gone[-1] if gone else 0
            wanted = [Span((after + 1, 1 << 32), True)]
            gone += (some := await self._write(partial(self._expunge, folder=folder, wanted=wanted)))
            if len(some) < EXPUNGED_AT_ONCE:
                return gone

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _set_flags(self, driver: Driver, *, folder: int, one: _Flagging) -> FlagsSet:
        there = self._folder(driver, folder, lock=True)
        mask = one.flags | self._bits(driver, there, one.keywords, make=one.change is not FlagChange.REMOVE)
        failed: list[int] = []
        until = there.modseq
        if one.unchanged_since is not None:
            until = one.unchanged_since
            statement = "SELECT uid FROM mailbox_messages WHERE folder=? AND ?? AND modseq>?"
            failed = [uid for span in one.wanted for (uid,) in driver.rows(statement, folder, span, until)]
        counts = one.change is FlagChange.REPLACE or mask & SEEN
        unseen = self._unseen(driver, folder, one.wanted) if counts else 0
        masks = (mask, mask) if one.change is FlagChange.ADD else (mask,)
        changed = 0
        for span in one.wanted:
            changed += driver.do(_SET_FLAGS[one.change], mask, there.modseq + 1, folder, span, until, *masks)
        if not changed:
            return FlagsSet(Entries(array("I"), array("q"), array("q")), tuple(sorted(failed)), there.modseq)
        difference = self._unseen(driver, folder, one.wanted) - unseen if counts else 0
        modseq = self._advance(driver, folder, unseen=difference)
        return FlagsSet(Entries(*columns(driver, CHANGED, folder, there.modseq)), tuple(sorted(failed)), modseq)

    def _unseen(self, driver: Driver, folder: int, wanted: Sequence[Span]) -> int:
        statement = "SELECT count(*) FROM mailbox_messages WHERE folder=? AND ?? AND flags & ? = 0"
        return sum(driver.number(statement, folder, span, SEEN) for span in wanted)

    def _expunge(self, driver: Driver, *, folder: int, wanted: Sequence[Span]) -> list[int]:
        mailbox = self._locked(driver, folder)
        statement = "SELECT uid FROM mailbox_messages WHERE folder=? AND ?? AND flags & ? <> 0 ORDER BY uid LIMIT ?"
        marked: list[int] = []
        for span in wanted:
            marked += [uid for (uid,) in driver.rows(statement, folder, span, DELETED, EXPUNGED_AT_ONCE)]
        octets, rows = self._take_away(driver, folder, marked)
        self._release(driver, [row[3] for row in rows])
        self._counted(driver, mailbox, messages=-len(rows), octets=-octets)
        return sorted(row[0] for row in rows)


@dataclass(frozen=True, slots=True)
class _Flagging:
    """What is to be done to the flags of some messages."""

    change: FlagChange
    flags: int
    keywords: tuple[str, ...]
    wanted: list[Span]
    unchanged_since: int | None


def _joined(sets: Sequence[FlagsSet]) -> FlagsSet:
    """What several transactions did, whose UIDs rise."""
    whole = Entries(array("I"), array("q"), array("q"))
    for one in sets:
        whole.uids.extend(one.changed.uids)
        whole.flags.extend(one.changed.flags)
        whole.modseqs.extend(one.changed.modseqs)
    return FlagsSet(whole, tuple(uid for one in sets for uid in one.failed), sets[-1].modseq)


def _uid(row: tuple[Any, ...]) -> int:
    uid: int = row[0]
    return uid
