"""A file of recipients that is read again when it changes. A bad file changes nothing: the old one still counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.directory.flaw import Flaw, Unreadable, text_of
from gateway.directory.listing import read_list
from gateway.directory.model import Answer, Roll
from gateway.directory.terms import By
from gateway.mail.address import Address

EVERY: Final = 2.0  # Seconds between looks.

Mark = tuple[int, int, int, int]


def read_file(path: Path, by: By) -> Roll:
    """Everybody in a file of this kind. Blocks. Raises Unreadable."""
    text = text_of(path)
    if by is By.LIST:
        return read_list(text)
    from gateway.directory.people import read_people  # PyYAML takes memory, and few have such a file.

    return read_people(text)


@dataclass(frozen=True, slots=True)
class Change:
    """What a look found: how many are known now, or why the file can't be used."""

    entries: int = 0
    flaws: tuple[Flaw, ...] = ()


class Watched:
    """One file. `knows` is asked on the event loop, `look` is called in a thread, one call after the other."""

    def __init__(self, path: Path, by: By) -> None:
        self.path = path
        self.by = by
        self.flaws: tuple[Flaw, ...] = ()  # Why what lies there now is not used; empty: it is.
        self.roll: Roll | None = None
        self._seen: Mark | None = None  # As it was at the last look.
        self._read: Mark | None = None  # As it was when it was read.

    def knows(self, address: Address, separator: str | None) -> Answer:
        """Unsure where the file was never good."""
        roll = self.roll
        if roll is None:
            return Answer.UNSURE
        return Answer.KNOWN if roll.knows(address, separator) else Answer.UNKNOWN

    def look(self, *, at_once: bool = False) -> Change | None:
        """Read the file if it has changed; what came of it, or None where there is nothing new. Blocks.

        A file that changes is read once two looks find it the same: half a file would refuse the other half's people.
        `at_once` is for the start.
        """
        mark = _mark(self.path)
        settled = at_once or mark == self._seen
        self._seen = mark
        if not settled or (mark == self._read and (mark is not None or self.flaws)):
            return None
        try:
            roll = read_file(self.path, self.by)
        except Unreadable as error:
            self._read = mark
            if error.flaws == self.flaws:
                return None
            self.flaws = error.flaws
            return Change(flaws=error.flaws)
        if _mark(self.path) != mark:
            return None  # It changed while it was read; the next look sees it.
        self._read = mark
        self.roll = roll
        self.flaws = ()
        return Change(entries=len(roll.known) + len(roll.catch_all))


def _mark(path: Path) -> Mark | None:
    """What changes when the file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
