"""Wrapped mail, and message.rpmsg as an attachment of other mail, with what was inside put back in its place. Pure.

A wrapped mail becomes the message that it wraps, with the fields outside as they are now, which rules may have set. An
attached message.rpmsg becomes an attached message (RFC 2046 5.2.1); all other octets stay as they came. What rules look
at holds both: the message that was wrapped, and what stands around its file, since the mail goes on with that. Leaves
out: files that lie in attached messages, and files without the type or the name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.mail.message import MAX_HEAD, Message
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

    What only leads to the file gives way to the original; other parts beside it stay, and the original among them. So
    it does where one of the two has a header section that readers may take in several ways, of which nothing is lost.
    None where nothing could be put back, or the files are not those any more.
    """
    found = _found(octets, originals)
    if found and originals[0] is not None and _is_wrapped(octets, found) and _is_alone(octets, found[0]):
        now, was = _Header(octets), _Header(originals[0])
        if now.is_sound and was.is_sound:
            return _restored(now, was) + was.body
    return _in_place(octets, found, originals)


def seen(octets: bytes, originals: Sequence[bytes | None]) -> bytes | None:
    """The same for rules: of a wrapped mail the original, and behind it all that stands around the file, whatever it
    is. The mail may go on as it came, and its reader sees that too; so he does an original that can't take its place.
    """
    found = _found(octets, originals)
    if not found:
        return None
    if originals[0] is not None and _is_wrapped(octets, found):
        return _beside(octets, found[0], originals[0])
    made = _in_place(octets, found, originals)
    left = [one for place, one in zip(found, originals, strict=True) if one is not None and _is_cut(place, one)]
    if not left:
        return made
    whole = octets if made is None else made
    fields = [one for name, one in _Header(whole).readable() if name not in _ENTITY]
    return _together(fields, [_as_part(whole), *map(_as_message, left)], octets)


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
        if original is None or _is_cut(place, original):
            continue
        if place.start == 0:  # The part's header section is the message's.
            pieces.append(b"".join([*_Header(octets).others, b"MIME-Version: 1.0\r\n"]))
        pieces += [octets[at : place.start], _attached(original)]
        at = place.end
    return b"".join([*pieces, octets[at:]]) if pieces else None


def _is_cut(place: Place, original: bytes) -> bool:
    """Whether a line of the original would end what it is put in."""
    return any(edge in original for edge in place.edges)


def _beside(octets: bytes, place: Place, original: bytes) -> bytes:
    """The message that was wrapped as the first of several parts; what stood outside, without the file, is another.
    On top are the fields of both.
    """
    now, was = _Header(octets), _Header(original)
    parts = [_as_part(original)]
    if place.start > 0:
        parts.append(_as_message(octets[: place.start] + b"\r\n" + octets[place.end :]))
    elif not now.is_sound:  # The file's own header section is the message's, and has lines that are no field.
        parts.append(_as_message(now.section + b"\r\n"))
    outer, inner = now.readable(), was.readable()
    fields = [
        *_hidden_subjects(outer, inner),
        *(one for name, one in outer if name in _LISTED),
        *(one for name, one in inner if name not in _LISTED | _ENTITY),
        *(one for name, one in outer if name not in _LISTED | _ENTITY and not _is_class(one)),
    ]
    return _together(fields, parts, octets)


def _together(fields: Sequence[bytes], parts: Sequence[bytes], octets: bytes) -> bytes:
    """A message of these parts, each with its header section."""
    edge = sha256(octets).hexdigest().encode()  # Nobody can put into a message what depends on all of it.
    return b"".join((
        *fields,
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="' + edge + b'"\r\n',
        *(b"\r\n--" + edge + b"\r\n" + part for part in parts),
        b"\r\n--" + edge + b"--\r\n",
    ))  # fmt: skip


def _as_part(message: bytes) -> bytes:
    """A message as a part: by the fields that say how its body is to be read; whole where these can't be told."""
    header = _Header(message)
    if not header.is_sound:
        return _as_message(message)
    return b"".join(one for name, one in header.fields if name in _ENTITY) + header.body


def _as_message(message: bytes) -> bytes:
    return b"Content-Type: message/rfc822\r\n\r\n" + message


class _Header:
    """A message's header section, line by line: `fields` by their names in small letters, with their CR LF. Sound: it
    is nothing but fields, none twice that may be there once, no line end in them is one that some readers alone take
    for one, and it ends.
    """

    def __init__(self, octets: bytes) -> None:
        self.section = head_of(octets).header_section()
        self.fields: list[tuple[bytes, bytes]] = []
        self.is_sound = len(self.section) < MAX_HEAD
        lines: list[bytes] = []  # Of `others`.
        for line in _LINES.findall(self.section):
            whole = line if line.endswith(b"\r\n") else line + b"\r\n"
            name = _NAME.match(whole)
            if name is None or _BARE.search(whole):
                self.is_sound = False
                lines.append(whole)
                continue
            self.fields.append((name[1].lower(), whole))
            if name[1].lower() not in _ENTITY:
                lines.append(whole)
        once = [name for name, _ in self.fields if name in SINGLE]
        self.is_sound = self.is_sound and len(set(once)) == len(once)
        self.others = tuple(lines)  # All but those that say how the body is to be read.
        behind = octets[len(self.section) :]
        self.body = behind if behind.startswith(b"\r\n") else b"\r\n" + behind  # With the empty line.

    def readable(self) -> list[tuple[bytes, bytes]]:
        """The fields that the most tolerant reader finds."""
        if self.is_sound:
            return self.fields
        section = _FEED.sub(b"\r\n", self.section).partition(b"\r\n\r\n")[0] + b"\r\n"
        return [(name[1].lower(), line) for line in _LINES.findall(section) if (name := _NAME.match(line)) is not None]


def _hidden_subjects(now: Sequence[tuple[bytes, bytes]], was: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """The subjects inside that are not the one outside: a rule may have put something in front of that."""
    outside = next((_said(one) for name, one in now if name == b"subject"), b"")
    return [one for name, one in was if name == b"subject" and not outside.endswith(_said(one))]


def _said(field: bytes) -> bytes:
    return field.partition(b":")[2].replace(b"\r\n", b"").strip()


def _restored(now: _Header, was: _Header) -> bytes:
    """The fields that stand outside as they are now, but for a subject that was hidden and what is said of the wrapped
    mail alone; those that only the original has from inside.
    """
    ours = _LISTED - {b"subject"} if _hidden_subjects(now.fields, was.fields) else _LISTED
    fields = [one for name, one in now.fields if name in ours]
    fields += [one for name, one in was.fields if name not in ours]
    fields += [one for name, one in now.fields if name not in _LISTED | _ENTITY and not _is_of_wrapper(name, one)]
    return b"".join(fields)


def _is_class(field: bytes) -> bool:
    return field.lower().startswith(b"content-class") and _said(field) == CLASS.encode()


def _is_of_wrapper(name: bytes, field: bytes) -> bool:
    """Whether it speaks of the wrapped mail alone: its class, and signatures of it, which are broken."""
    return _is_class(field) or name == b"dkim-signature" or name.startswith(b"arc-")


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


_LISTED: Final = SINGLE | SEVERAL
_ENTITY: Final = frozenset(  # RFC 2045 3, RFC 2183
    (
        *(b"mime-version", b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id"),
        *(b"content-description", b"content-location", b"content-base"),
    )
)
_LINES: Final = re.compile(rb"[^\r\n]*(?:(?:\r\n[ \t]|\r(?!\n)|\n)[^\r\n]*)*\r\n|.+", re.DOTALL)  # With what is folded.
_NAME: Final = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:")
_FEED: Final = re.compile(rb"(?<!\r)\n")
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
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
