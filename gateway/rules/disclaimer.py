"""Disclaimers: text of the organisation in every message, as HTML in HTML parts and as text in text parts. Pure.

The parts that a reader sees as the body get it; of everything else each octet stays. A message that is signed, that is
encrypted (S/MIME or PGP), broken, or without a text takes the fallback: `Unfit` says why. A multipart/mixed without any
text part gets one of its own in front. `gateway.rules.text_part` writes single parts. Leaves out: nested messages,
which are somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.mail.edit import Edit
from gateway.mail.mime.part import Kind, Walked
from gateway.rules.text_part import Texts, added, as_part

MOST: Final = 1 << 20  # Octets of a text part that is edited; nobody writes more by hand.


class Unfit(StrEnum):
    """Why a message can't take a disclaimer, as the trace tells it."""

    SIGNED = "it is signed, and the signature would break"
    ENCRYPTED = "it is encrypted"
    BROKEN = "its MIME structure is broken"
    NO_TEXT = "it has no text part"
    LONG = "its text part is too long"
    CODED = "its text part is encoded in a way that can't be edited"


class Unfitting(Exception):
    """It takes the fallback."""

    def __init__(self, why: Unfit) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True, slots=True)
class Target:
    """A text part that gets the disclaimer; `place` in `Walked.parts`."""

    place: int
    html: bool


@dataclass(frozen=True, slots=True)
class Made:
    """The edits in the order of their octets; `eight_bit`: some of what was put in is beyond ASCII."""

    edits: tuple[Edit, ...]
    eight_bit: bool = False


_PKCS7: Final = frozenset((b"pkcs7-mime", b"x-pkcs7-mime", b"pkcs7-signature", b"x-pkcs7-signature"))
_PGP: Final = b"-----BEGIN PGP "


Octets = Callable[[int, int], bytes]


def targets(walked: Walked, octets: Octets) -> tuple[Target, ...]:
    """The parts that a reader sees as the body: none where there is only something else. `octets` gives those from one
    place of the message to another. Raises Unfitting.
    """
    if walked.flaw is not None:
        raise Unfitting(Unfit.BROKEN)
    children: dict[int, list[int]] = {}
    for place, part in enumerate(walked.parts):
        if part.parent is not None:
            children.setdefault(part.parent, []).append(place)
    return _targets(walked, children, 0, octets)


def _targets(walked: Walked, children: dict[int, list[int]], place: int, octets: Octets) -> tuple[Target, ...]:
    part = walked.parts[place]
    if part.flaw is not None:
        raise Unfitting(Unfit.BROKEN)
    if part.main == b"multipart":
        if part.sub == b"signed":
            raise Unfitting(Unfit.SIGNED)
        if part.sub == b"encrypted":
            raise Unfitting(Unfit.ENCRYPTED)
        inner = children.get(place, [])
        if part.sub == b"alternative":  # The same text in several forms: each of them has to say it.
            return tuple(one for child in inner for one in _targets(walked, children, child, octets))
        if part.sub == b"related":  # RFC 2387 3.2: its root, which stands first where nothing else is said.
            inner = inner[:1]
        for child in inner:
            if found := _targets(walked, children, child, octets):
                return found
        return ()
    if part.main == b"application" and part.sub in _PKCS7:
        raise Unfitting(Unfit.ENCRYPTED)
    if part.kind is not Kind.LEAF or part.main != b"text" or part.sub not in (b"plain", b"html") or part.body is None:
        return ()
    if part.parent is not None and is_attached(octets(part.start, part.body)):
        return ()
    return (Target(place, part.sub == b"html"),)


def is_attached(section: bytes) -> bool:
    """Whether a part's header section says that it is a file (RFC 2183)."""
    head = b"\r\n" + section.lower()
    at = head.find(b"\r\ncontent-disposition")
    return at >= 0 and head[at:].partition(b":")[2].lstrip(b" \t\r\n").startswith(b"attachment")


def disclaim(walked: Walked, texts: Texts, octets: Octets) -> Made:
    """The edits that put `texts` into a message; `octets` as for `targets`. Raises Unfitting."""
    edits: list[Edit] = []
    eight_bit = False
    chosen = targets(walked, octets)
    if not chosen:
        return _own_part(walked, texts, octets)
    for target in chosen:
        part = walked.parts[target.place]
        begin = part.end if part.body is None else part.body
        if part.end - begin > MOST:
            raise Unfitting(Unfit.LONG)
        body = octets(begin, part.end)
        if _PGP in body:
            raise Unfitting(Unfit.SIGNED)
        done = added(part, body, texts, html=target.html)
        if done is None:
            raise Unfitting(Unfit.CODED)
        edits += done.edits
        eight_bit = eight_bit or done.eight_bit
    return Made(tuple(sorted(edits, key=lambda edit: (edit.start, edit.end))), eight_bit)


def _own_part(walked: Walked, texts: Texts, octets: Octets) -> Made:
    """A part of its own in front of all others, for a message that has attachments alone."""
    root = walked.parts[0]
    if root.main != b"multipart" or root.sub != b"mixed" or root.head.boundary is None or len(walked.parts) < 2:
        raise Unfitting(Unfit.NO_TEXT)
    first = walked.parts[1]
    line = b"--" + root.head.boundary + b"\r\n"
    # The delimiter's line ends where the first part begins; blanks behind the boundary would be left in front of it.
    if octets(max(0, first.start - len(line)), first.start) != line:
        raise Unfitting(Unfit.BROKEN)
    return Made((Edit(first.start, first.start, as_part(texts) + b"\r\n" + line),))
