"""What comes from the client, read within limits: lines, and the literals that belong to them (RFC 3501 4.3, 7888)."""

from __future__ import annotations

import asyncio
import re
from typing import Final

MAX_LINE: Final = 64 * 1024  # Octets of a line; programs name thousands of UIDs on one.
MAX_INLINE: Final = 8 * 1024  # Octets of a literal that comes without being asked for, but for APPEND's messages.
MAX_COMMAND: Final = 128 * 1024  # Octets of a command with its literals, without APPEND's messages.
MAX_LITERALS: Final = 128  # Of one command: it is read anew with each.
MAX_NESTING: Final = 40  # Parentheses inside of each other.
PIECE: Final = 64 * 1024  # Octets of a message that are read between two looks at the deadline.

_AT_END: Final = re.compile(rb"\{([0-9]{1,20})(\+?)\}\r?\n\Z")
# An APPEND, but for one whose first literal is the folder's name.
_PUTS: Final = re.compile(rb"\S+ +APPEND +(?!\{)", re.IGNORECASE)
_PUTS_INTO: Final = re.compile(rb"\S+ +APPEND +\{", re.IGNORECASE)
_STRINGS: Final = re.compile(rb'"(?:[^"\\\r\n]|\\.)*"')


class TooMuch(Exception):
    """The client sends more than it may; its text says of what. The connection ends: what follows makes no sense."""


class Inflow:
    """The reading half of a connection. Raises EOFError, ConnectionError where the client is gone, and TooMuch."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def line(self) -> bytes:
        """The next line with its ending."""
        try:
            line = await self._reader.readline()
        except ValueError:
            raise TooMuch(f"a line has at most {MAX_LINE} octets") from None
        if not line.endswith(b"\n"):
            raise EOFError
        return line

    async def command(self) -> bytes:
        """The next line, and the short literals that came along with it; the last line may announce a longer one, or a
        message of APPEND.
        """
        whole = await self.line()
        if _PUTS.match(whole):
            return whole  # Its messages are fetched one by one, whatever their size.
        parts: list[bytes] = []
        count = octets = 0
        line = whole
        while (literal := unasked(line)) is not None:
            count += 1
            octets += len(line) + literal
            if literal > MAX_INLINE:
                break  # A message, or the command is refused.
            if count > MAX_LITERALS or octets > MAX_COMMAND:
                raise TooMuch(f"a command has at most {MAX_LITERALS} literals and {MAX_COMMAND} octets")
            parts += [line, await self.exactly(literal)]
            line = await self.line()
            if count == 1 and _PUTS_INTO.match(parts[0]):
                break
        return b"".join([*parts, line]) if parts else whole

    async def exactly(self, octets: int) -> bytes:
        """So many octets."""
        try:
            return await self._reader.readexactly(octets)
        except asyncio.IncompleteReadError:
            raise EOFError from None


def unasked(line: bytes) -> int | None:
    """How long the literal is that follows a line without being asked for; None where there is none."""
    if not line.endswith((b"+}\r\n", b"+}\n")):
        return None
    found = _AT_END.search(line)
    if found is None:
        return None
    if len(found[1]) > 10:
        raise TooMuch("a literal has at most as many octets as fit into 32 bits")
    return int(found[1])


def is_too_nested(command: bytes | memoryview) -> bool:
    """Whether more parentheses stand inside of each other than any program needs: a parser would go down with them."""
    command = bytes(command)
    if command.count(b"(") <= MAX_NESTING:
        return False
    depth = most = 0
    for sign in _STRINGS.sub(b"", command):
        if sign == 0x28:
            depth += 1
            most = max(most, depth)
        elif sign == 0x29:
            depth -= 1
    return most > MAX_NESTING
