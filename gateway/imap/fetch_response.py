"""One message's response to FETCH (RFC 3501 7.4.2), put together from what was opened of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.imap.fetch_command import WITH_SECTION, Item, Kind
from gateway.imap.flag_words import shown
from gateway.imap.internal_date import internal_date
from gateway.mailboxes.head import Head, Section, What
from gateway.mailboxes.head.section import Need
from gateway.storage.mailboxes.model import ContentRow, Entry


@dataclass(slots=True, eq=False)
class Message:
    """One message on its way to the client. `place` counts from 0; `octets` is the whole, where that was read; else
    `parts` has what each section needs.
    """

    place: int
    uid: int
    flags: int
    modseq: int
    entry: Entry | None = None
    row: ContentRow | None = None
    head: Head | None = field(default=None, repr=False)
    octets: bytes | None = field(default=None, repr=False)
    parts: dict[Section, bytes] = field(default_factory=dict, repr=False)

    @property
    def known_head(self) -> Head:
        """The head. Raises LookupError where it was not opened."""
        if self.head is None:
            raise LookupError("the head of the message was not opened")
        return self.head

    @property
    def size(self) -> int:
        """Octets of the message."""
        if self.entry is None:
            raise LookupError("the row of the message was not read")
        return self.entry.size

    def need(self, section: Section) -> Need | None:
        """Which octets answer the section; None where the message has no such part."""
        if section.path or section.what is not What.ALL or section.binary:
            return section.need(self.known_head)
        if section.partial is None:
            return Need(0, self.size)
        start = min(section.partial[0], self.size)
        return Need(start, min(start + section.partial[1], self.size))

    def answer(self, section: Section) -> bytes | None:
        """What the section says. Raises UnknownEncoding."""
        need = self.need(section)
        if need is None:
            return None
        octets = self.parts[section] if self.octets is None else self.octets[need.start : need.end]
        if not section.path and section.what is What.ALL and not section.binary:
            return octets
        return section.answer(need, octets)


def response(message: Message, items: Sequence[Item], keywords: tuple[str, ...], *, with_flags: bool) -> list[bytes]:
    """The untagged response in pieces, so that no message's octets are copied for it. `with_flags`: also where they
    were not asked for. Raises UnknownEncoding.
    """
    pieces: list[bytes] = []
    front = b"* %d FETCH (" % (message.place + 1)
    for item in items:
        front += item.name
        if item.kind in WITH_SECTION:
            head, octets = _octets(message, item)
            pieces += (front + b" " + head, octets)
            front = b" "
        else:
            front += b" " + _value(message, item, keywords) + b" "
    if with_flags:
        front += b"FLAGS " + shown(message.flags, keywords)
    pieces.append(front.rstrip(b" ") + b")\r\n")
    return pieces


def _value(message: Message, item: Item, keywords: tuple[str, ...]) -> bytes:
    match item.kind:
        case Kind.FLAGS:
            return shown(message.flags, keywords)
        case Kind.UID:
            return b"%d" % message.uid
        case Kind.MODSEQ:
            return b"(%d)" % message.modseq
        case Kind.SIZE:
            return b"%d" % message.size
        case Kind.DATE:
            return internal_date(0 if message.entry is None else message.entry.date)
        case Kind.ENVELOPE:
            return message.known_head.envelope
        case Kind.BODY:
            return message.known_head.body
        case Kind.STRUCTURE:
            return message.known_head.body_structure
        case _:
            raise LookupError(item.kind)


def _octets(message: Message, item: Item) -> tuple[bytes, bytes]:
    """What a section says: how it begins, and the octets themselves."""
    if item.section is None:
        raise LookupError("the item has no section")
    answer = message.answer(item.section)
    if item.kind is Kind.BINARY_SIZE:
        return b"%d" % (0 if answer is None else len(answer)), b""
    if answer is None:
        return b"NIL", b""
    if b"\x00" not in answer:
        return b"{%d}\r\n" % len(answer), answer
    if item.kind is Kind.BINARY:  # RFC 3516 4.2: literal8.
        return b"~{%d}\r\n" % len(answer), answer
    return b"{%d}\r\n" % len(answer), answer.replace(b"\x00", b"\x80")  # No literal may hold NUL; sizes must stay.
