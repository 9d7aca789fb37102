"""One DKIM-Signature field as a verifier reads it (RFC 6376 3.5, 6.1.1; RFC 8616 for names beyond ASCII). Pure.

Leaves out: z= (copied fields), which proves nothing; t= in the future, since clocks differ; a domain of one label.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from gateway.authenticate.dkim import findings
from gateway.authenticate.dkim.canonical import Canonicalization, Turns, turns
from gateway.authenticate.dkim.findings import Finding, Found
from gateway.authenticate.dkim.tags import TagFault, tags, unspaced
from gateway.mail.address import BadAddress, normal_domain
from gateway.mail.body_hash import HashTerms

MAX_SIGNATURES: Final = 10  # Of a message. Lists and forwarders add one each; who has more wants to keep us busy.
MAX_NAMES: Final = 1000  # In h=. Who oversigns all he has needs a hundred.
MAX_NAME: Final = 1024  # Octets of d=, s= or the domain of i=. UTF-8 for what has 253 in A-labels is no longer.
MAX_PARTIAL: Final = 2  # Different l= of a message for which the body is hashed apart, only to say why it is no pass.
SHOWN: Final = 8  # Characters of b= that tell signatures apart (RFC 6008 3).

_ALGORITHMS: Final[dict[bytes, Literal["rsa", "ed25519"]]] = {b"rsa-sha256": "rsa", b"ed25519-sha256": "ed25519"}
_CANONICALIZATIONS: Final[dict[bytes, tuple[Canonicalization, Canonicalization]]] = {
    b"simple": ("simple", "simple"),
    b"relaxed": ("relaxed", "simple"),  # RFC 6376 3.5: simple where it says none.
    b"simple/simple": ("simple", "simple"),
    b"simple/relaxed": ("simple", "relaxed"),
    b"relaxed/simple": ("relaxed", "simple"),
    b"relaxed/relaxed": ("relaxed", "relaxed"),
}
_LABELS = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(rb"[0-9]{1,76}")  # RFC 6376 3.5: l= has at most 76 digits.
_EMPTIED = re.compile(rb"((?:\A[^:]*:|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_NEAR: Final = 64  # Octets in which a tag's name follows the semicolon before it.
_WORD = re.compile(rb"[A-Za-z0-9+/=_.-]*")
_WHOLE: Final[dict[Canonicalization, HashTerms]] = {
    "simple": HashTerms("simple"),
    "relaxed": HashTerms("relaxed"),
}
_REQUIRED: Final = frozenset(("v", "a", "b", "bh", "d", "h", "s"))
_REMEMBERED: Final = 1024  # Octets of an h= that is worth remembering.


# What differs between two fields of one signer, where it is written as nearly all write it.
_VARYING = re.compile(rb";[ \t]*(bh?|t|x)=([^;]*)")
_VARY: Final = frozenset(("b", "bh", "t", "x"))
MAX_USUAL: Final = 2048  # Such forms, all forgotten at once.


class Signature(NamedTuple):
    """What a DKIM-Signature field says, read and found to be in order.

    `names` are those of h= in lower case, `turns` what they cover; `own` is the field itself with an empty b=;
    `identity` is the domain of i=; times are seconds since 1970. A tuple, since one is made for each message: a frozen
    dataclass takes five times that.
    """

    domain: str
    selector: str
    kind: Literal["rsa", "ed25519"]
    algorithm: str
    header: Canonicalization
    body: Canonicalization
    names: tuple[bytes, ...]
    turns: Turns
    body_hash: bytes
    signature: bytes
    start: str
    own: bytes
    identity: str
    length: int | None = None
    expires: int | None = None

    @property
    def whole(self) -> HashTerms:
        """How the body has to be hashed for a pass."""
        return _WHOLE[self.body]

    @property
    def partial(self) -> HashTerms | None:
        """How it was hashed by a signer who covered a part alone."""
        return None if self.length is None else HashTerms(self.body, length=self.length)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A DKIM-Signature field that is not in order, with what could be read of it."""

    finding: Finding
    domain: str = ""
    selector: str = ""
    algorithm: str = ""
    start: str = ""


_usual: dict[tuple[bytes, ...], Signature] = {}  # By all that does not differ.


def read_signature(raw: bytes) -> Signature | Unreadable:
    """Read a DKIM-Signature field: its octets as they stand, folding kept, without the last CR LF."""
    # A signer writes the same but for a few tags, message after message.
    line = raw.replace(b"\r\n ", b" ").replace(b"\r\n\t", b"\t") if b"\r\n" in raw else raw
    pieces = _VARYING.split(line)
    mark = tuple(pieces[::3] + pieces[1::3])
    if (known := _usual.get(mark)) is not None and b"\r" not in line and b"\n" not in line:
        if (again := _again(known, pieces, raw)) is not None:
            return again
    try:
        found = tags(raw.partition(b":")[2])
    except TagFault:
        return Unreadable(finding=findings.BAD_TAGS)
    try:
        one = _read(found, raw)
        if found.keys() & _VARY == {name.decode() for name in pieces[1::3]} and sum(map(len, mark)) <= _REMEMBERED:
            if len(_usual) >= MAX_USUAL:
                _usual.clear()
            _usual[mark] = one
        return one
    except Found as fault:
        return Unreadable(
            finding=fault.finding,
            domain=_name(found.get("d", b"")) or "",
            selector=_name(found.get("s", b"")) or "",
            algorithm=_shown(found.get("a", b"")),
            start=_shown(unspaced(found.get("b", b""))[:SHOWN]),
        )


def terms_of(signatures: Sequence[Signature | Unreadable]) -> tuple[HashTerms, ...]:
    """The hashes of the body that judging these signatures takes, each once."""
    readable = [one for one in signatures if isinstance(one, Signature)]
    if len(readable) == 1 and readable[0].length is None:
        return (readable[0].whole,)
    partial = [one.partial for one in readable if one.partial is not None]
    return tuple(dict.fromkeys([*(one.whole for one in readable), *partial[:MAX_PARTIAL]]))


def emptied(raw: bytes) -> bytes:
    """A DKIM-Signature field with an empty b=, and all else as it stands (RFC 6376 3.7)."""
    start = raw.find(b":") + 1
    at = raw.find(b"b=", start)
    while at >= 0:
        before = raw[max(start, at - _NEAR) : at].rstrip(b" \t\r\n")
        if before.endswith(b";") or (not before and at - _NEAR <= start):
            end = raw.find(b";", at)
            return raw[: at + 2] if end < 0 else raw[: at + 2] + raw[end:]
        at = raw.find(b"b=", at + 1)
    return _EMPTIED.sub(rb"\1", raw, count=1)  # Somebody writes `b =`, or many blanks in front of it.


def _again(known: Signature, pieces: Sequence[bytes], raw: bytes) -> Signature | None:
    """A field that says what `known` said, but for what stands in `pieces`, where `_VARYING` has split it; None for one
    that has to be read from the beginning, since something is not in order.
    """
    told = dict(zip(pieces[1::3], pieces[2::3]))  # noqa: B905 - for each there is one
    text = told[b"b"].translate(None, b" \t")
    try:
        body_hash = binascii.a2b_base64(told[b"bh"].translate(None, b" \t"), strict_mode=True)
        signature = binascii.a2b_base64(text, strict_mode=True)
        made = _number(told[b"t"].strip(b" \t")) if b"t" in told else None
        expires = _number(told[b"x"].strip(b" \t")) if b"x" in told else None
    except (binascii.Error, Found):
        return None
    if len(body_hash) != 32 or not signature or (made is not None and expires is not None and expires <= made):
        return None
    return Signature(
        *known[:8],
        *(body_hash, signature, text[:SHOWN].decode("ascii"), emptied(raw), known.identity, known.length, expires),
    )


def _read(found: dict[str, bytes], raw: bytes) -> Signature:
    if found.get("v", b"1") != b"1":
        raise Found(findings.UNKNOWN_VERSION)
    if not found.keys() >= _REQUIRED:
        raise Found(findings.MISSING_TAG)
    if (domain := _name(found["d"])) is None:
        raise Found(findings.BAD_DOMAIN)
    if (selector := _name(found["s"])) is None:
        raise Found(findings.BAD_SELECTOR)
    kind = _kind(found["a"])
    if (forms := _CANONICALIZATIONS.get(found.get("c", b"simple").lower())) is None:
        raise Found(findings.UNKNOWN_CANONICALIZATION)
    names = _known_names(found["h"]) if len(found["h"]) <= _REMEMBERED else _names(found["h"])
    if "q" in found and b"dns/txt" not in unspaced(found["q"]).lower().split(b":"):
        raise Found(findings.UNKNOWN_QUERY)
    text = unspaced(found["b"])
    body_hash = _base64(unspaced(found["bh"]))
    if len(body_hash) != 32:
        raise Found(findings.BAD_BASE64)
    made, expires = _number(found.get("t")), _number(found.get("x"))
    if made is not None and expires is not None and expires <= made:
        raise Found(findings.TIMES_CROSSED)
    return Signature(
        domain=domain,
        selector=selector,
        kind=kind,
        algorithm=found["a"].lower().decode("ascii"),
        header=forms[0],
        body=forms[1],
        names=names,
        turns=turns(names),
        body_hash=body_hash,
        signature=_base64(text),
        start=text[:SHOWN].decode("ascii"),
        own=emptied(raw),
        identity=_identity(found.get("i"), domain),
        length=_number(found.get("l")),
        expires=expires,
    )


def _kind(value: bytes) -> Literal["rsa", "ed25519"]:
    value = value.lower()
    if value == b"rsa-sha1":
        raise Found(findings.HISTORIC_ALGORITHM)
    if (kind := _ALGORITHMS.get(value)) is None:
        raise Found(findings.UNKNOWN_ALGORITHM)
    return kind


def _names(value: bytes) -> tuple[bytes, ...]:
    """The names of h= in lower case. Raises Found."""
    names = tuple(unspaced(value).lower().split(b":", MAX_NAMES))
    if len(names) > MAX_NAMES:
        raise Found(findings.TOO_MANY_NAMES)
    if b"from" not in names:  # RFC 6376 5.4
        raise Found(findings.FROM_NOT_SIGNED)
    return names


@lru_cache(maxsize=1024)
def _known_names(value: bytes) -> tuple[bytes, ...]:
    """The same programs name the same fields, message after message."""
    return _names(value)


def _identity(value: bytes | None, domain: str) -> str:
    """The domain of i=, which lies in that of d= (RFC 6376 3.5)."""
    if value is None:
        return domain
    identity = _name(value.rpartition(b"@")[2]) if b"@" in value else None
    if identity is None or not (identity == domain or identity.endswith("." + domain)):
        raise Found(findings.IDENTITY_OUTSIDE)
    return identity


def _number(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not _NUMBER.fullmatch(value):
        raise Found(findings.BAD_NUMBER)
    return int(value)


def _base64(text: bytes) -> bytes:
    try:
        octets = binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise Found(findings.BAD_BASE64) from None
    if not octets:
        raise Found(findings.BAD_BASE64)
    return octets


def _name(value: bytes) -> str | None:
    """A domain name or a selector in A-labels and lower case (RFC 8616 3, 4); None for what is neither."""
    return _known_name(value) if len(value) <= MAX_NAME else None


@lru_cache(maxsize=4096)
def _known_name(value: bytes) -> str | None:
    try:
        text = normal_domain(value.decode("utf-8"))
    except (BadAddress, UnicodeDecodeError):
        return None
    return text if _LABELS.fullmatch(text) else None


def _shown(value: bytes) -> str:
    """What may stand in a trace of a value that nobody has judged: printable ASCII, not much of it."""
    return value[:32].decode("ascii") if _WORD.fullmatch(value) else ""
