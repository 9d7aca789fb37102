"""What is wrong in a file of recipients: where, what was found, what would be right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MOST = 20  # Flaws of one file that are told: who exported the wrong column has one in every line.
MAX_FILE = 32 << 20  # Octets. Half a million people with three addresses each take no more.


@dataclass(frozen=True, slots=True)
class Flaw:
    """`line` counts from 1; 0 is the file as a whole."""

    line: int
    found: str
    right: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}found {self.found}; right would be {self.right}"


class Unreadable(Exception):
    """The file can't be used. `flaws` says why, at least one, at most `MOST`."""

    def __init__(self, *flaws: Flaw) -> None:
        super().__init__("; ".join(str(flaw) for flaw in flaws[:MOST]))
        self.flaws = flaws[:MOST]


def text_of(path: Path) -> str:
    """The file as text. Blocks. Raises Unreadable."""
    try:
        with path.open("rb") as stream:
            octets = stream.read(MAX_FILE + 1)
    except FileNotFoundError as error:
        raise Unreadable(Flaw(0, "no such file", "a file with recipients")) from error
    except OSError as error:
        found = f"that it can't be read: {error.strerror}"
        raise Unreadable(Flaw(0, found, "a file that the gateway may read")) from error
    if len(octets) > MAX_FILE:
        raise Unreadable(Flaw(0, f"more than {MAX_FILE} octets", "a file with recipients"))
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise Unreadable(Flaw(line, "octets that are not UTF-8", "a file saved as UTF-8")) from error
