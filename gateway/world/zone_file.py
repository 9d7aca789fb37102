"""Names out of a file of records, for judging a message without the DNS.

A line is `NAME TYPE VALUE` (a TTL and `IN` may stand between, as in a zone file, and `( )` spread a record over lines),
or `NAME: VALUE` for a TXT record, which a backslash continues. TEMPERROR in place of a value: no answer about the name.
Leaves out: other types than TXT, A, AAAA and MX; $ORIGIN, $TTL and names without their domain.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.world.names import MAX_TEXT, MAX_TEXTS, Mx, NameFault, NamesUnavailable, NoSuchName

MAX_FILE: Final = 1 << 20  # Octets.
_RECORD = re.compile(r"(\S+?)\.?\s+(?:\d+\s+)?(?:IN\s+)?(TXT|A|AAAA|MX)\s+(.+)", re.IGNORECASE)
_SHORT = re.compile(r"([^\s:]+?)\.?:\s*(.+)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"\s*')
_SPREAD = re.compile(r"^\S+\s+(?:\d+\s+)?(?:IN\s+)?\w+\s+\($", re.IGNORECASE)
_AWAY: Final = ("TEMPERROR", "SERVFAIL")
_GONE: Final = ("PERMERROR", "NXDOMAIN")


class ZoneFault(ValueError):
    """The file is no file of records; the text names file and line, and what would be right."""


class ZoneNames:
    """Names as the file has them. A name in none of its lines does not exist."""

    def __init__(self, path: Path) -> None:
        """Blocks; raises ZoneFault, OSError."""
        with path.open("rb") as file:
            octets = file.read(MAX_FILE + 1)
        if len(octets) > MAX_FILE:
            raise ZoneFault(f"{path} is larger than {MAX_FILE >> 20} MiB; a file of records has a line for each")
        self._records: dict[str, list[tuple[str, str]]] = {}
        for number, line in _lines(octets.decode("utf-8", "replace")):
            if (record := _RECORD.fullmatch(line)) is not None:
                name, kind, value = record.groups()
            elif (short := _SHORT.fullmatch(line)) is not None:
                name, kind, value = short[1], "TXT", short[2]
            else:
                raise ZoneFault(
                    f"{path}, line {number}: no record; right would be: sel._domainkey.corp.example TXT v=..."
                )
            self._records.setdefault(name.lower(), []).append((kind.upper(), value.strip()))

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """See Names."""
        return self._texts(name)

    def txt_at_hand(self, name: str) -> tuple[bytes, ...] | None:
        """See Names."""
        try:
            return self._texts(name)
        except NameFault:
            return None

    async def mx(self, domain: str) -> tuple[Mx, ...]:
        """See Names."""
        pairs = [value.split() for value in self._values(domain, "MX")]
        found = [
            Mx(int(pair[0]), pair[1].rstrip(".").lower()) for pair in pairs if len(pair) == 2 and pair[0].isdigit()
        ]
        return tuple(sorted(found, key=lambda mx: mx.preference))

    async def addresses(self, host: str) -> tuple[str, ...]:
        """See Names."""
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            return (*self._values(host, "AAAA"), *self._values(host, "A"))

    def _texts(self, name: str) -> tuple[bytes, ...]:
        return tuple(_text(value)[:MAX_TEXT] for value in self._values(name, "TXT")[:MAX_TEXTS])

    def _values(self, name: str, kind: str) -> list[str]:
        name = name.lower().removesuffix(".")
        if (records := self._records.get(name)) is None:
            raise NoSuchName(f"{name} does not exist")
        values = [value for one, value in records if one == kind]
        if any(value in _AWAY for value in values):
            raise NamesUnavailable(f"no answer about {name} ({kind}): so says the zone file")
        if any(value in _GONE for value in values):
            raise NoSuchName(f"{name} does not exist")
        return values


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each record on one line, with the number of its first."""
    begun, number = "", 0
    for place, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not begun:
            if not line or line[0] in ";#":
                continue
            number = place
        whole = f"{begun} {line}".strip()
        if whole.endswith("\\"):
            begun = whole[:-1].rstrip()
        elif _SPREAD.match(whole):
            begun = whole
        elif " (" in begun and not whole.endswith(")"):
            begun = whole
        else:
            if " (" in begun:
                whole = whole[:-1].replace(" (", " ", 1)
            begun = ""
            yield number, whole.strip()
    if begun:
        yield number, begun


def _text(value: str) -> bytes:
    """The text of a TXT record, whose strings may stand in quotes."""
    if not value.startswith('"'):
        return value.encode()
    return "".join(re.sub(r"\\(.)", r"\1", one[1]) for one in _STRING.finditer(value)).encode()
