"""What an IMAP server says, as a tree: the tests' own reader of ENVELOPE and BODYSTRUCTURE, strict (RFC 3501 9)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeAlias

Value: TypeAlias = "bytes | int | list[Value] | None"

_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00\x80-\xff]|\\["\\])*)"')
_LITERAL = re.compile(rb"~?\{(\d+)\}\r\n")
_ATOM = re.compile(rb"[^\s(){%*\"\\\x00-\x1f\x7f-\xff]+")


def parsed(octets: bytes) -> list[Value]:
    """All values of `octets`. Raises ValueError where they are not what the grammar allows."""
    values, place = _list(octets, 0, b"")
    if place != len(octets):
        raise ValueError(f"something stands behind the values: {octets[place : place + 40]!r}")
    return values


def _list(octets: bytes, place: int, end: bytes) -> tuple[list[Value], int]:
    """A list up to `end`. Blanks stand between values, and nowhere else; lists alone may follow each other directly."""
    found: list[Value] = []
    blank = True
    while place < len(octets):
        sign = octets[place : place + 1]
        if sign == end:
            return found, place + 1
        if sign == b" ":
            if blank:
                raise ValueError(f"a blank stands where none may, before {octets[place : place + 40]!r}")
            blank = True
            place += 1
            continue
        if not blank and not (sign == b"(" and isinstance(found[-1], list)):
            raise ValueError(f"a blank is missing before {octets[place : place + 40]!r}")
        blank = False
        if sign == b"(":
            inner, place = _list(octets, place + 1, b")")
            found.append(inner)
        elif (quoted := _QUOTED.match(octets, place)) is not None:
            found.append(re.sub(rb"\\(.)", rb"\1", quoted[1]))
            place = quoted.end()
        elif (literal := _LITERAL.match(octets, place)) is not None:
            place = literal.end() + int(literal[1])
            if place > len(octets):
                raise ValueError("a literal is longer than what is there")
            found.append(octets[literal.end() : place])
        elif (atom := _ATOM.match(octets, place)) is not None:
            place = atom.end()
            found.append(None if atom[0].upper() == b"NIL" else int(atom[0]) if atom[0].isdigit() else atom[0])
        else:
            raise ValueError(f"no value begins with {octets[place : place + 40]!r}")
    if end:
        raise ValueError("a list is not ended")
    return found, place


def joined(answer: Sequence[object]) -> bytes:
    """What imaplib gave for one FETCH, as the server sent it, without the message's number."""
    out = b""
    for one in answer:
        if isinstance(one, tuple):
            out += one[0] + b"\r\n" + one[1]
        elif isinstance(one, bytes):
            out += one
    return out.partition(b" ")[2]
