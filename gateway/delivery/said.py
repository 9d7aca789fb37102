"""What a next hop says: replies read from its octets (RFC 5321 4.2, RFC 2034 4), and the faults instead of a reply.

    HopFault             no reply that could be used
     +- HopUnreachable   no connection
     +- HopLost          the connection ended
     +- HopSilent        time ran out
     +- HopOdd           what came is no SMTP reply
     +- HopLogin         no login, or not ours

Pure; `client` moves the octets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

MAX_LINE = 8192  # RFC 5321 4.5.3.1.5 says 512; some hosts write long texts.
MAX_REPLY = 65_536  # All lines of one reply: what is longer is no EHLO, and memory is ours.
MAX_TOLD = 900  # Of a reply's text in queue, trace and DSN.

_ENHANCED = re.compile(r"([245])\.\d{1,3}\.\d{1,3}(?=[ \t]|$)")
_MARKS = (b" ", b"-", b"", b"\r")  # Behind the code; a bare code is allowed (RFC 5321 4.2).
_CONTROLS = dict.fromkeys((*range(32), 127), "?")


class HopFault(Exception):
    """No reply that could be used: passing. The text says what happened, `enhanced` is its code of RFC 3463."""

    enhanced = "4.4.2"


class HopUnreachable(HopFault):
    """There is no connection to the address."""

    enhanced = "4.4.1"


class HopLost(HopFault):
    """The connection ended before the reply."""


class HopSilent(HopFault):
    """The reply did not come in time."""


class HopOdd(HopFault):
    """What came is no SMTP reply."""

    enhanced = "4.5.0"


class HopLogin(HopFault):
    """The host lets us in under no name: it offers no AUTH that we know, refuses our login, or asks for one.

    `said` is its reply, for log and trace alone: it may name the user.
    """

    def __init__(self, text: str, *, enhanced: str = "4.7.8", said: str = "") -> None:
        super().__init__(text)
        self.enhanced = enhanced
        self.said = said


@dataclass(frozen=True, slots=True)
class Said:
    """One reply. `text` has its lines, without the code, separated by LF."""

    code: int
    text: str

    @property
    def good(self) -> bool:
        """Whether it says yes (2yz)."""
        return 200 <= self.code < 300

    @property
    def lasting(self) -> bool:
        """Whether it says no for ever (5yz)."""
        return self.code >= 500

    @property
    def enhanced(self) -> str | None:
        """Its enhanced status code, where it has one that goes with the code."""
        return _enhanced(self.code, self.text)

    @property
    def line(self) -> str:
        """Code and text on one line, fit for log, trace and DSN."""
        return _line(self.code, self.text)


# A host says the same again and again.


@lru_cache(maxsize=1024)
def _enhanced(code: int, text: str) -> str | None:
    found = _ENHANCED.match(text)
    return found[0] if found and found[1] == str(code // 100) else None


@lru_cache(maxsize=1024)
def _line(code: int, text: str) -> str:
    if "\n" in text:
        mark = _enhanced(code, text)
        lines = text.split("\n")
        # Each line repeats the enhanced code (RFC 2034 4); told once it reads better.
        rest = (line.removeprefix(mark) if mark else line for line in lines[1:])
        text = " ".join(part for part in (lines[0], *(line.strip() for line in rest)) if part)
    return f"{code} {text}"[:MAX_TOLD].translate(_CONTROLS).rstrip()


@lru_cache(maxsize=1024)
def _simple(octets: bytes) -> Said | None:
    """The reply, where `octets` are one reply of one line: nearly always, and mostly the same. None: read on."""
    if len(octets) > 512 or octets.find(b"\n") != len(octets) - 1 or octets[3:4] != b" ":
        return None
    code = octets[:3]
    if not code.isdigit() or not b"200" <= code < b"600":
        return None
    return Said(int(code), octets[4:].decode("utf-8", "replace").rstrip())


class Ear:
    """Makes replies of octets as they come."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._lines: list[str] = []
        self._length = 0

    def hear(self, octets: bytes) -> tuple[list[Said], HopOdd | None]:
        """The replies that `octets` complete, and the fault that follows them: then nothing more means anything."""
        if not self._rest and not self._lines and (said := _simple(octets)) is not None:
            return [said], None
        heard: list[Said] = []
        rest = self._rest
        rest += octets
        start = 0
        while (end := rest.find(b"\n", start)) >= 0:
            line = bytes(rest[start:end])
            start = end + 1
            self._length += len(line)
            if len(line) > MAX_LINE or self._length > MAX_REPLY:
                return heard, self._odd("the host's reply is too long")
            code, mark = line[:3], line[3:4]
            if len(code) != 3 or not code.isdigit() or not b"200" <= code < b"600" or mark not in _MARKS:
                shown = line[:60].decode("ascii", "replace").translate(_CONTROLS)
                return heard, self._odd(f"the host answered what is no SMTP reply: {shown}")
            self._lines.append(line[4:].decode("utf-8", "replace").rstrip())
            if mark != b"-":
                heard.append(Said(int(code), "\n".join(self._lines)))
                self._lines = []
                self._length = 0
        del rest[:start]
        if len(rest) > MAX_LINE:
            return heard, self._odd("the host's reply is too long")
        return heard, None

    @property
    def half(self) -> bool:
        """Whether the beginning of a reply is there, but not its end."""
        return bool(self._rest or self._lines)

    def _odd(self, text: str) -> HopOdd:
        self.forget()
        return HopOdd(text)

    def forget(self) -> None:
        """Drop what was heard in part: what came before a TLS handshake counts for nothing (RFC 3207 4.2)."""
        self._rest.clear()
        self._lines = []
        self._length = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What EHLO offered. `sized`: it knows SIZE; `size` is None where it names no limit (RFC 1870 4).

    `auth` are the mechanisms of AUTH, in capitals (RFC 4954 3).
    """

    sized: bool = False
    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False
    pipelining: bool = False
    starttls: bool = False
    enhanced: bool = False
    dsn: bool = False
    auth: tuple[str, ...] = ()

    @classmethod
    def of(cls, said: Said) -> Offers:
        """Read the lines behind the greeting (RFC 5321 4.1.1.1); keywords in any case, unknown ones passed over."""
        words = [line.split() for line in said.text.split("\n")[1:]]
        offered = {line[0].upper(): line[1:] for line in words if line}
        size = offered.get("SIZE", [])
        limit = int(size[0]) if size and size[0].isascii() and size[0].isdigit() and len(size[0]) < 20 else 0
        return cls(
            sized="SIZE" in offered,
            size=limit or None,
            eight_bit="8BITMIME" in offered,
            smtputf8="SMTPUTF8" in offered,
            pipelining="PIPELINING" in offered,
            starttls="STARTTLS" in offered,
            enhanced="ENHANCEDSTATUSCODES" in offered,
            dsn="DSN" in offered,
            auth=tuple(dict.fromkeys(mechanism.upper() for mechanism in offered.get("AUTH", []))),
        )
