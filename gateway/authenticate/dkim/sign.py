"""Making DKIM-Signature fields (RFC 6376 5, RFC 8301, RFC 8463): what is covered, in which form, how it is written.

Pure. Nothing here holds a key: `Draft.to_sign` are the octets that a vault signs, `Draft.field` is what comes of it.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.authenticate.dkim.canonical import Field, covered, fields, relaxed
from gateway.mail.address import BadAddress
from gateway.mail.body_hash import HashTerms
from gateway.mail.header_address import mailboxes
from gateway.mail.message import MAX_HEAD, Message
from gateway.storage.dkim_keys import Algorithm, DkimKey

# Simple would break where a next hop folds anew or takes blanks off the end of a line.
BODY: Final = HashTerms("relaxed", "sha256")

# Each is covered once more than it stands, so that none can be added afterwards that some reader takes for the true one
# (RFC 6376 5.4, 8.15). Received, Return-Path and trace fields are not covered: hops add and change them.
COVERED: Final = tuple(
    b"from to cc subject date message-id reply-to sender in-reply-to references mime-version content-type "
    b"content-transfer-encoding list-id list-unsubscribe list-unsubscribe-post list-help list-subscribe list-post "
    b"list-owner list-archive".split()
)

_COVERED: Final = frozenset(COVERED)

# Where these are missing a next hop may add them (RFC 5321 6.4), as Postfix does for hosts near it, and a signature
# over their absence would break. One that stands is covered once more like all others.
ADDED_BY_OTHERS: Final = frozenset((b"date", b"message-id"))

# Why a message is not signed; alike in trace, log and tests.
NO_FROM: Final = "it has no From field"
SEVERAL_FROM: Final = "it has several From fields"
BAD_FROM: Final = "its From field names no author whom all readers would understand alike"
SEVERAL_DOMAINS: Final = "its authors have addresses in several domains"
BROKEN_HEADER: Final = "its header section holds a line that is no field"
ODD_FIELD: Final = "a field has a blank before its colon, which verifiers read differently"
LONG_HEADER: Final = "its header section is too long"
MANY_FIELDS: Final = "it has too many fields of one name"
KEY_DENIED: Final = "the vault denies the key"
VAULT_AWAY: Final = "the vault does not answer"

_COLON: Final = 0x3A
_MOST_NAMES: Final = 100  # In h=; where no field stands twice there are forty at most.
_REMEMBERED: Final = 512  # Octets of a From field that is worth remembering.
_MAILBOX_LINE = re.compile(rb"(?:\A|(?<=\r\n))From [^\r\n]*\r\n")
_LONGEST: Final = 76  # Octets of a line without its CR LF; with the blank that begins it one less is left.


class Unsignable(Exception):
    """The message can't be signed as it is. `reason` is a constant of this module."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that can be signed: whose it is (A-labels), its header's fields, and the names that h= will have."""

    domain: str
    fields: Sequence[Field]
    names: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A signature's field without the signature. `to_sign` goes to the vault; `field` makes the field of the answer."""

    start: bytes
    to_sign: bytes

    def field(self, signature: bytes) -> bytes:
        """The whole field with its CR LF."""
        text = b64encode(signature)
        first = _LONGEST - (len(self.start) - self.start.rfind(b"\n") - 1)
        rest = range(first, len(text), _LONGEST - 1)
        return b"\r\n\t".join([self.start + text[:first], *[text[at : at + _LONGEST - 1] for at in rest]]) + b"\r\n"


def read(message: Message) -> Letter:
    """Whose message it is, by the From field alone. Raises Unsignable where not all readers would agree on that."""
    head = message.head
    end = 0 if head.startswith(b"\r\n") else head.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0 and (len(head) >= MAX_HEAD or message.size > len(head)):
        raise Unsignable(LONG_HEADER)
    section = message.header_section()
    found, whole = fields(section)
    if not whole:
        # A line out of a mailbox file (RFC 4155) that its reader left there: other verifiers read over it too.
        found, whole = fields(_MAILBOX_LINE.sub(b"", section, count=1))
    authors = [raw for name, raw in found if name == b"from"]
    if not authors:
        raise Unsignable(NO_FROM)
    if len(authors) > 1:
        raise Unsignable(SEVERAL_FROM)
    if not whole:
        raise Unsignable(BROKEN_HEADER)
    # RFC 6376 3.4.2 takes the blank out, but dkimpy and OpenDKIM do not: a signature over it holds nowhere.
    if any(raw[len(name)] != _COLON for name, raw in found if name in _COVERED):
        raise Unsignable(ODD_FIELD)
    # The same programs write the same fields, message after message.
    present = tuple([name for name, _ in found if name in _COVERED])
    names = _known_names(present) if len(present) <= _MOST_NAMES else _names(present)
    author = _known_author if len(authors[0]) <= _REMEMBERED else _author
    return Letter(author(authors[0]), found, names)


def drafts(letter: Letter, keys: Sequence[DkimKey], body_hash: bytes, now: float) -> list[Draft]:
    """A draft for each key: relaxed/relaxed, with t= and without l=. `now` in seconds since 1970."""
    headers = b"".join([relaxed(raw) + b"\r\n" for raw in covered(letter.fields, letter.names)])
    named = _named(letter.names)
    made = []
    for key in keys:
        start = _start(key, named, body_hash, int(now))
        octets = headers + relaxed(start)
        # RFC 8463 3: Ed25519 signs the hash of what RSA signs.
        made.append(Draft(start, hashlib.sha256(octets).digest() if key.algorithm is Algorithm.ED25519 else octets))
    return made


def _author(raw: bytes) -> str:
    """The one domain of a From field's addresses."""
    try:
        domains = {address.domain for address in mailboxes(raw.partition(b":")[2])}
    except BadAddress:
        raise Unsignable(BAD_FROM) from None
    if len(domains) > 1:
        raise Unsignable(SEVERAL_DOMAINS)
    domain = next(iter(domains), "")
    if not domain or domain.startswith("["):  # A group without members; an address without domain; an address literal.
        raise Unsignable(BAD_FROM)
    return domain


@lru_cache(maxsize=4096)
def _known_author(raw: bytes) -> str:
    return _author(raw)


def _names(present: Sequence[bytes]) -> tuple[bytes, ...]:
    """What h= names, for a header section with these fields. Raises Unsignable."""
    count = Counter(present)
    names = tuple(
        [name for name in COVERED if count[name] or name not in ADDED_BY_OTHERS for _ in range(count[name] + 1)]
    )
    if len(names) > _MOST_NAMES:
        raise Unsignable(MANY_FIELDS)
    return names


@lru_cache(maxsize=1024)
def _known_names(present: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return _names(present)


@lru_cache(maxsize=1024)
def _named(names: tuple[bytes, ...]) -> bytes:
    """h= in folded lines. A fold may stand beside a colon (RFC 6376 3.5)."""
    lines = [b"h="]
    for name in names:
        piece = name + b":"
        if len(lines[-1]) + len(piece) > _LONGEST - 1:
            lines.append(b"")
        lines[-1] += piece
    return b"\r\n\t".join(lines)[:-1] + b";"


def _start(key: DkimKey, named: bytes, body_hash: bytes, now: int) -> bytes:
    """The field up to and with its empty b=."""
    whose = [f"d={key.domain};", f"s={key.selector}; t={now};"]
    if len(whose[0]) + len(whose[1]) + 1 < _LONGEST:
        whose = [" ".join(whose)]
    lines = [
        f"DKIM-Signature: v=1; a={key.algorithm.value}; c=relaxed/relaxed;".encode(),
        *[line.encode() for line in whose],
        named,
        b"bh=" + b64encode(body_hash) + b";",
        b"b=",
    ]
    return b"\r\n\t".join(lines)
