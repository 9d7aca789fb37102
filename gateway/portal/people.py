"""Mailboxes of From, To and Cc as a reader is shown them (RFC 5322 3.4). Pure.

Tolerant, because nothing is allowed or refused by what is found here: what can't be told apart is shown as one text.
A name never stands without its address, since anybody can write any name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.mail.reading.encoded_word import decoded
from gateway.mail.reading.header import ReadField, unfolded
from gateway.mail.reading.unseen import without_unseen

MAX_PEOPLE: Final = 200  # Of one field; a page that names more helps nobody.
MAX_FIELD: Final = 64 * 1024  # Octets of a field that are looked at.
MAX_SHOWN: Final = 320  # Letters of a name or address.

# A quoted string, a comment without others inside, or anything else up to what divides.
_PIECE = re.compile(rb'"(?:[^"\\]|\\.)*"?|\((?:[^()\\]|\\.)*\)?|[^",;<>:()]+|[,;<>:)]', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Person:
    """`name` is empty where none is given; `address` is empty where none could be told."""

    name: str
    address: str


def people(fields: Iterable[ReadField]) -> tuple[Person, ...]:
    """Those whom the fields name, in order, MAX_PEOPLE at most."""
    found: list[Person] = []
    for field in fields:
        for one in _mailboxes(unfolded(field.raw[:MAX_FIELD])):
            found.append(one)
            if len(found) >= MAX_PEOPLE:
                return tuple(found)
    return tuple(found)


def _mailboxes(value: bytes) -> Iterable[Person]:
    name: list[bytes] = []
    comment = b""
    address: bytes | None = None
    inside = False  # Of angle brackets.
    for match in _PIECE.finditer(value):
        piece = match[0]
        if piece == b"<" and not inside:
            inside, address = True, b""
        elif piece == b">":
            inside = False
        elif inside:
            address = (address or b"") + piece
        elif piece == b":":  # What stands in front of it is the name of a group.
            name = []
        elif piece in (b",", b";"):
            yield from _person(name, comment, address)
            name, comment, address = [], b"", None
        elif piece.startswith(b"("):
            comment = comment or piece[1:].removesuffix(b")")
        else:
            name.append(piece)
    yield from _person(name, comment, address)


def _person(name: list[bytes], comment: bytes, address: bytes | None) -> Iterable[Person]:
    words = b"".join(name).strip()
    if address is None:
        if not words:
            return
        if b"@" not in words or b" " in words:
            yield Person(_text(words), "")
        else:
            yield Person(_text(comment), _text(words))
    else:
        yield Person(_text(words or comment), _text(address.rpartition(b":")[2].strip()))


def _text(octets: bytes) -> str:
    """As a reader sees it: quotes taken off, encoded words read, nothing that turns or hides letters."""
    octets = octets.strip()
    if octets.startswith(b'"') and octets.endswith(b'"') and len(octets) > 1:
        octets = octets[1:-1]
    text = _ESCAPED.sub(r"\1", decoded(octets)[0])
    return " ".join(without_unseen(text).split())[:MAX_SHOWN]
