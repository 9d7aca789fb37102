"""What readers of files find."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

MAX_MESSAGE: Final = 256 << 20  # Octets of one message; a longer one is passed over, and said so.


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One message. `place` says where, for people; `folder` is the one below the target that it lay in, None: itself.

    `date` is seconds since 1970, None where the file does not tell.
    """

    place: str
    octets: bytes = field(repr=False)
    folder: str | None = None
    date: float | None = None
    flags: int = 0
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """What is no message that could be taken, and why."""

    place: str
    why: str


Finding: TypeAlias = Generator["Found | Skipped", None, None]


class BadSource(ValueError):
    """The path holds nothing that can be imported. The text says what would be right."""


def with_crlf(octets: bytes) -> bytes:
    """Lines end with CR LF, as RFC 5322 2.1 and IMAP have them; files of Unix have LF. Every other octet stays."""
    if octets.count(b"\n") == octets.count(b"\r\n"):
        return octets
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
