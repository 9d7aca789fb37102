"""FETCH as it is read (RFC 3501 6.4.5): its items in the order in which they were asked for, named as they were there,
with MODSEQ and CHANGEDSINCE (RFC 7162 3.1.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from pymap.parsing import EndLine, Params, Space
from pymap.parsing.command.select import FetchCommand, UidFetchCommand
from pymap.parsing.exceptions import NotParseable
from pymap.parsing.primitives import List
from pymap.parsing.specials import AString, SequenceSet

from gateway.mailboxes.head.section import Section, What

MAX_ITEMS: Final = 100
MAX_FIELDS: Final = 200  # Names of header fields in one item.


class Kind(StrEnum):
    """What an item asks for."""

    FLAGS = "FLAGS"
    UID = "UID"
    DATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    MODSEQ = "MODSEQ"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"  # The structure without extension data.
    STRUCTURE = "BODYSTRUCTURE"
    SECTION = "SECTION"  # BODY[...], RFC822 and its kin.
    BINARY = "BINARY"
    BINARY_SIZE = "BINARY.SIZE"


@dataclass(frozen=True, slots=True)
class Item:
    """One item. `name` is how the response names it; `sees`: it sets \\Seen."""

    kind: Kind
    name: bytes
    section: Section | None = None
    sees: bool = False


WITH_SECTION: Final = (Kind.SECTION, Kind.BINARY, Kind.BINARY_SIZE)

_PLAIN: Final = {kind.value.encode(): kind for kind in Kind if kind not in WITH_SECTION}
_MACROS: Final = {
    b"ALL": (Kind.FLAGS, Kind.DATE, Kind.SIZE, Kind.ENVELOPE),
    b"FULL": (Kind.FLAGS, Kind.DATE, Kind.SIZE, Kind.ENVELOPE, Kind.BODY),
    b"FAST": (Kind.FLAGS, Kind.DATE, Kind.SIZE),
}
_RFC822: Final = {
    b"RFC822": (What.ALL, True),
    b"RFC822.HEADER": (What.HEADER, False),
    b"RFC822.TEXT": (What.TEXT, True),
}
_WORD: Final = re.compile(rb"[A-Za-z0-9.]+")
_PARTS: Final = re.compile(rb"[1-9][0-9]{0,4}(?:\.[1-9][0-9]{0,4}){0,99}")
_WHAT: Final = re.compile(rb"(HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME)", re.IGNORECASE)
_PARTIAL: Final = re.compile(rb"<([0-9]{1,10})\.([1-9][0-9]{0,9})>")
_CHANGED: Final = re.compile(rb" *\( *CHANGEDSINCE +([0-9]{1,19}) *\)", re.IGNORECASE)


class _Arguments:
    """What stands behind FETCH."""

    def __init__(self, buf: memoryview, params: Params) -> None:
        _, buf = Space.parse(buf, params)
        self.wanted, buf = SequenceSet.parse(buf, params)
        _, buf = Space.parse(buf, params)
        self.items, buf = _items(buf, params)
        self.changed_since: int | None = None
        if match := _CHANGED.match(buf):
            self.changed_since = mod_sequence(match[1], buf)
            buf = buf[match.end() :]
        _, self.rest = EndLine.parse(buf, params)


class Fetch(FetchCommand):
    """FETCH."""

    items: tuple[Item, ...] = ()
    changed_since: int | None = None

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[Fetch, memoryview]:
        arguments = _Arguments(buf, params)
        command = cls(params.tag, arguments.wanted, ())
        command.items, command.changed_since = arguments.items, arguments.changed_since
        return command, arguments.rest


class UidFetch(UidFetchCommand):
    """UID FETCH."""

    delegate = FetchCommand
    items: tuple[Item, ...] = ()
    changed_since: int | None = None

    @classmethod
    def parse(cls, buf: memoryview, params: Params) -> tuple[UidFetch, memoryview]:
        arguments = _Arguments(buf, params.copy(uid=True))
        command = cls(params.tag, arguments.wanted, ())
        command.items, command.changed_since = arguments.items, arguments.changed_since
        return command, arguments.rest


def mod_sequence(digits: bytes, buf: memoryview) -> int:
    """The number that `buf` begins with. Raises NotParseable where it has more than 63 bits (RFC 7162 7)."""
    number = int(digits)
    if number >> 63:
        raise NotParseable(buf)
    return number


def plain(kind: Kind) -> Item:
    """An item that has no arguments."""
    return Item(kind, kind.value.encode())


def _items(buf: memoryview, params: Params) -> tuple[tuple[Item, ...], memoryview]:
    if buf[:1].tobytes() != b"(":
        word = _WORD.match(buf)
        if word is not None and (macro := _MACROS.get(word[0].upper())) is not None:
            return tuple(plain(kind) for kind in macro), buf[word.end() :]
        item, buf = _item(buf, params)
        return (item,), buf
    found: list[Item] = []
    buf = buf[1:]
    while True:
        while buf[:1].tobytes() == b" ":
            buf = buf[1:]
        item, buf = _item(buf, params)
        found.append(item)
        if buf[:1].tobytes() == b")":
            return tuple(found), buf[1:]
        if buf[:1].tobytes() != b" " or len(found) >= MAX_ITEMS:
            raise NotParseable(buf)


def _item(buf: memoryview, params: Params) -> tuple[Item, memoryview]:
    word = _WORD.match(buf)
    if word is None:
        raise NotParseable(buf)
    name, rest = word[0].upper(), buf[word.end() :]
    if name in _RFC822:
        what, sees = _RFC822[name]
        return Item(Kind.SECTION, name, Section(what=what), sees=sees), rest
    if rest[:1].tobytes() != b"[":
        if name not in _PLAIN:
            raise NotParseable(buf)
        return plain(_PLAIN[name]), rest
    section, shown, rest = _section(rest[1:], params)
    partial: tuple[int, int] | None = None
    tail = b""
    if match := _PARTIAL.match(rest):
        partial = int(match[1]), int(match[2])
        tail = b"<%d>" % partial[0]
        rest = rest[match.end() :]
    if name in (b"BODY", b"BODY.PEEK"):
        section = replace(section, partial=partial)
        return Item(Kind.SECTION, b"BODY[" + shown + b"]" + tail, section, sees=name == b"BODY"), rest
    if section.what is not What.ALL:
        raise NotParseable(buf)
    if name in (b"BINARY", b"BINARY.PEEK"):
        section = replace(section, partial=partial, binary=True)
        return Item(Kind.BINARY, b"BINARY[" + shown + b"]" + tail, section, sees=name == b"BINARY"), rest
    if name == b"BINARY.SIZE" and partial is None:
        section = replace(section, binary=True)
        return Item(Kind.BINARY_SIZE, b"BINARY.SIZE[" + shown + b"]", section), rest
    raise NotParseable(buf)


def _section(buf: memoryview, params: Params) -> tuple[Section, bytes, memoryview]:
    """The section, how a response names it, and what stands behind the bracket."""
    numbers: tuple[int, ...] = ()
    shown = b""
    if match := _PARTS.match(buf):
        numbers = tuple(int(number) for number in match[0].split(b"."))
        shown = match[0]
        buf = buf[match.end() :]
        if buf[:1].tobytes() == b"]":
            return Section(path=numbers), shown, buf[1:]
        if buf[:1].tobytes() != b".":
            raise NotParseable(buf)
        shown += b"."
        buf = buf[1:]
    elif buf[:1].tobytes() == b"]":
        return Section(), b"", buf[1:]
    word = _WHAT.match(buf)
    if word is None:
        raise NotParseable(buf)
    what = What(word[0].upper().decode())
    if what is What.MIME and not numbers:
        raise NotParseable(buf)
    shown += word[0].upper()
    buf = buf[word.end() :]
    fields: tuple[bytes, ...] = ()
    if what in (What.FIELDS, What.FIELDS_NOT):
        _, buf = Space.parse(buf, params)
        names, buf = List.parse(buf, params.copy(expected=[AString], list_limit=MAX_FIELDS))
        fields = tuple(name.value for name in names.get_as(AString))
        if not fields:
            raise NotParseable(buf)
        shown += b" (" + b" ".join(bytes(name) for name in names) + b")"
    if buf[:1].tobytes() != b"]":
        raise NotParseable(buf)
    return Section(path=numbers, what=what, names=frozenset(fields)), shown, buf[1:]
