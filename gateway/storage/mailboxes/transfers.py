"""Messages copied and moved between the folders of one mailbox, each time all of them or none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.storage.mailboxes.driver import Driver, Rows, Span, spans
from gateway.storage.mailboxes.faults import NoFolder, OverQuota
from gateway.storage.mailboxes.message_rows import MessageRows
from gateway.storage.mailboxes.model import KEYWORD, SEEN, Copied, Folder


class Transfers(MessageRows):
    """COPY (RFC 3501 6.4.7) and MOVE (RFC 6851)."""

    async def copy(self, folder: int, uids: Iterable[int], target: int) -> Copied:
        """Copy messages, with flags, keywords and internal dates; contents are shared. The quota counts them again.

        Raises NoFolder, OverQuota, TooManyKeywords; then nothing was copied.
        """
        wanted = spans(uids)

        def write(driver: Driver) -> Copied:
            mailbox, source, there = self._both(driver, folder, target)
            rows = self._found(driver, folder, wanted)
            octets = sum(row[3] for row in rows)
            self._check_room(driver, mailbox, octets)
            self._refer(driver, [row[4] for row in rows], 1)
            self._counted(driver, mailbox, messages=len(rows), octets=octets)
            return self._put(driver, source, there, rows)

        return await self._write(write)

    async def move(self, folder: int, uids: Iterable[int], target: int) -> Copied:
        """Move messages; within one folder they get new UIDs. Raises NoFolder, TooManyKeywords; then nothing moved."""
        wanted = spans(uids)

        def write(driver: Driver) -> Copied:
            _, source, there = self._both(driver, folder, target)
            rows = self._found(driver, folder, wanted)
            copied = self._put(driver, source, there, rows)
            self._take_away(driver, folder, copied.sources)
            return copied

        return await self._write(write)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _both(self, driver: Driver, folder: int, target: int) -> tuple[int, Folder, Folder]:
        mailbox = self._locked(driver, folder)
        there = self._folder(driver, target, mailbox=mailbox, lock=True)
        return mailbox, self._folder(driver, folder), there

    def _found(self, driver: Driver, folder: int, wanted: Iterable[Span]) -> Rows:
        rows: Rows = []
        for span in wanted:
            statement = "SELECT uid, flags, date, size, content FROM mailbox_messages WHERE folder=? AND ??"
            rows += driver.rows(statement, folder, span)
        return sorted(rows, key=_uid)

    def _check_room(self, driver: Driver, mailbox: int, octets: int) -> None:
        row = driver.row("SELECT quota, used FROM mailboxes WHERE id=?", mailbox)
        if row is None:
            raise NoFolder("there is no such folder (any more)")
        quota, used = row
        if quota is not None and used + octets > quota:
            raise OverQuota(f"the mailbox holds {used} of {quota} octets, and {octets} more do not fit")

    def _put(self, driver: Driver, source: Folder, target: Folder, rows: Rows) -> Copied:
        if not rows:
            return Copied(target.uid_validity, (), ())
        flags = self._translated(driver, source, target, [row[1] for row in rows])
        modseq = self._advance(
            driver,
            target.id,
            messages=len(rows),
            unseen=sum(1 for one in flags if not one & SEEN),
            uids=len(rows),
        )
        first = target.uid_next
        driver.insert(
            "INSERT INTO mailbox_messages (folder, uid, modseq, flags, date, size, content)",
            [(target.id, first + number, modseq, flags[number], *row[2:5]) for number, row in enumerate(rows)],
        )
        return Copied(target.uid_validity, tuple(row[0] for row in rows), tuple(range(first, first + len(rows))))

    def _translated(self, driver: Driver, source: Folder, target: Folder, flags: list[int]) -> list[int]:
        """The flags with the target's bits for the source's keywords."""
        union = 0
        for one in flags:
            union |= one
        if source.id == target.id or not union >> KEYWORD:
            return flags
        places = [place for place in range(len(source.keywords)) if union >> (KEYWORD + place) & 1]
        self._bits(driver, target, [source.keywords[place] for place in places])
        target = self._folder(driver, target.id)
        bits = {place: self._bits(driver, target, [source.keywords[place]], make=False) for place in places}
        system = (1 << KEYWORD) - 1
        return [one & system | sum(bit for place, bit in bits.items() if one >> (KEYWORD + place) & 1) for one in flags]


def _uid(row: tuple[Any, ...]) -> int:
    uid: int = row[0]
    return uid
