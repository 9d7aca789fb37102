"""Wrapped mail, and message.rpmsg as an attachment of other mail, with what was inside put back in its place. Pure.

A wrapped mail becomes the message that it wraps, with the fields outside as they are now. An attached message.rpmsg
becomes an attached message (RFC 2046 5.2.1); all other octets stay as they came. What rules look at holds both: the
message that was wrapped, and what stands around its file, since the mail goes on with that. Leaves out: files that lie
in attached messages, and files without the type or the name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.mail.message import Message
from gateway.mail.mime.part import Kind, Part, Walked
from gateway.mail.mime.walk import Walk
from gateway.mail.reading.transfer import decoded_blocks, encoding_of
from gateway.rights.wrapper.outside import SEVERAL, SINGLE, head_of
from gateway.rights.wrapper.wrapped import CLASS, NAME, TYPE

MOST: Final = 5  # Files of one message that are opened; each takes a use of the tenant key.
_LINE: Final = 998  # RFC 5321 4.5.3.1.6, without CR LF


@dataclass(frozen=True, slots=True)
class Place:
    """A message.rpmsg in a message: octets of the part with its header section, and of its body."""

    start: int
    body: int
    end: int
    edges: tuple[bytes, ...]  # Delimiters of what it lies in: none may stand in what is put in its place.


def is_worth_a_look(message: Message) -> bool:
    """Whether it may hold one, by its first octets: no more than a look, for all mail."""
    return b"rpmsg" in message.head


def places(octets: bytes) -> tuple[Place, ...]:
    """Where they are, in order; none where there are too many, or the structure can't be told for sure."""
    walk = Walk()
    walk.feed(octets)
    walked = walk.end()
    if walked.flaw is not None:
        return ()
    found = [
        Place(part.start, part.body, part.end, _edges(walked, number))
        for number, part in enumerate(walked.parts)
        if part.body is not None and _is_rpmsg(part, octets) and not _is_attached(walked, number)
    ]
    return tuple(found) if len(found) <= MOST else ()


def file_at(octets: bytes, place: Place) -> bytes:
    """The file there, decoded."""
    walk = Walk()
    walk.feed(octets[place.start : place.end])
    head = walk.end().parts[0].head
    encoding = None if head.transfer is None else encoding_of(head.transfer.value)
    if encoding is None:
        return octets[place.body : place.end]
    return b"".join(decoded_blocks(octets, place.body, place.end, encoding))


def unwrapped(octets: bytes, originals: Sequence[bytes | None]) -> bytes | None:
    """The message with each original in place of its file, in the order of `places`; None: that one stays shut.

    What only leads to the file gives way to the original; other parts beside it stay, and the original among them.
    None where nothing could be put back, or the files are not those any more.
    """
    found = _found(octets, originals)
    if found and originals[0] is not None and _is_wrapped(octets, found) and _is_alone(octets, found[0]):
        return _restored(octets, originals[0])
    return _in_place(octets, found, originals)


def seen(octets: bytes, originals: Sequence[bytes | None]) -> bytes | None:
    """The same for rules: of a wrapped mail the original, and behind it all that stands around the file, whatever it
    is. The mail may go on as it came, and its reader sees that too.
    """
    found = _found(octets, originals)
    if found and originals[0] is not None and _is_wrapped(octets, found):
        return _beside(octets, found[0], originals[0])
    return _in_place(octets, found, originals)


def can_travel(octets: bytes) -> bool:
    """Whether it is a message of lines (RFC 5321 2.3.8); what is sealed may be anything."""
    ends = octets.count(b"\r\n")
    if b"\0" in octets or octets.count(b"\r") != ends or octets.count(b"\n") != ends:
        return False
    return all(len(line) <= _LINE for line in octets.split(b"\r\n"))


def _found(octets: bytes, originals: Sequence[bytes | None]) -> tuple[Place, ...]:
    """The places of the files; none where they are not those of `originals`, or all of those stay shut."""
    if not any(one is not None for one in originals):
        return ()
    found = places(octets)
    return found if len(found) == len(originals) else ()


def _is_wrapped(octets: bytes, found: Sequence[Place]) -> bool:
    """Whether it is a wrapped mail: it says so, or it is the file and nothing else."""
    if len(found) != 1:
        return False
    return found[0].start == 0 or head_of(octets).first(b"Content-Class") == CLASS.encode()


def _is_alone(octets: bytes, place: Place) -> bool:
    """Whether there is nothing beside the file but what a wrapper has: one text in two forms, and its logo."""
    walk = Walk()
    walk.feed(octets)
    parts = walk.end().parts
    return [_kind(part) for part in parts if part.start != place.start] in _SHAPES


def _kind(part: Part) -> str:
    main = part.main.decode("ascii", "replace")
    return main if main == "image" else f"{main}/{part.sub.decode('ascii', 'replace')}"


def _in_place(octets: bytes, found: Sequence[Place], originals: Sequence[bytes | None]) -> bytes | None:
    pieces, at = [], 0
    for place, original in zip(found, originals, strict=False):
        if original is None or any(edge in original for edge in place.edges):
            continue
        pieces += [octets[at : place.start], _attached(original)]
        at = place.end
    return b"".join([*pieces, octets[at:]]) if pieces else None


def _beside(octets: bytes, place: Place, original: bytes) -> bytes:
    """The message that was wrapped as the first of two parts; the other is what stood outside, without the file."""
    inner = _restored(octets, original)
    message = head_of(inner)
    entity, rest = _parted(message)
    outer = octets[: place.start] + b"\r\n" + octets[place.end :]
    edge = sha256(octets).hexdigest().encode()  # Nobody can put into a message what depends on all of it.
    return b"".join((
        rest,
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="' + edge + b'"\r\n\r\n--' + edge + b"\r\n",
        entity,
        inner[len(message.header_section()) :],
        b"\r\n--" + edge + b"\r\nContent-Type: message/rfc822\r\n\r\n",
        outer,
        b"\r\n--" + edge + b"--\r\n",
    ))  # fmt: skip


def _parted(message: Message) -> tuple[bytes, bytes]:
    """The header fields that say how its body is to be read (RFC 2045 3), and the others."""
    entity: list[bytes] = []
    rest: list[bytes] = []
    for name, value in message.fields():
        kind = entity if name.lower().startswith((b"content-", b"mime-version")) else rest
        kind.append(name + b":" + value + b"\r\n")
    return b"".join(entity), b"".join(rest)


def _restored(octets: bytes, original: bytes) -> bytes:
    """The fields that stand outside as they are now, but for a subject that was hidden; all others from inside."""
    now, was = head_of(octets), head_of(original)
    subject, inside = now.first(b"Subject") or b"", was.first(b"Subject")
    is_hidden = inside is not None and not subject.endswith(inside)  # A rule may have put something in front.
    outer = [
        name + b":" + value + b"\r\n"
        for name, value in now.fields()
        if name.lower() in SINGLE | SEVERAL and not (is_hidden and name.lower() == b"subject")
    ]
    section = was.header_section()
    inner = [
        name + b":" + value + b"\r\n"
        for name, value in was.fields()
        if name.lower() not in SINGLE | SEVERAL or (is_hidden and name.lower() == b"subject")
    ]
    # What stands behind the section, its empty line too; a message may have neither.
    behind = original[len(section) :]
    return b"".join([*outer, *inner, behind if behind.startswith(b"\r\n") else b"\r\n" + behind])


def _attached(original: bytes) -> bytes:
    encoding = "7bit" if original.isascii() else "8bit"
    return (
        f"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    ).encode() + original


def _is_rpmsg(part: Part, octets: bytes) -> bool:
    if part.kind is not Kind.LEAF or part.body is None:
        return False
    if _kind(part) == TYPE:
        return True
    return _NAMED.search(octets[part.start : part.body]) is not None


_TEXTS: Final = ("multipart/alternative", "text/plain", "text/html")
_SHAPES: Final[tuple[list[str], ...]] = (
    [],
    ["multipart/mixed", *_TEXTS],
    ["multipart/mixed", "multipart/related", *_TEXTS, "image"],
)
_NAMED = re.compile(rb'[;\s](?:file)?name\s*=\s*"?' + re.escape(NAME.encode()) + rb'"?\s*(?:;|\r|\Z)', re.IGNORECASE)


def _is_attached(walked: Walked, number: int) -> bool:
    """Whether it lies in an attached message, which is its sender's affair."""
    return any(one.kind is Kind.MESSAGE for one in walked.line_of(number)[1:])


def _edges(walked: Walked, number: int) -> tuple[bytes, ...]:
    return tuple(b"--" + boundary for one in walked.line_of(number)[1:] if (boundary := one.head.boundary) is not None)
