"""The MIME entity of a message: which fields belong to it, and what S/MIME makes of it (RFC 8551 3, RFC 1847 2.1).

Pure, on octets. Lines end with CR LF; whoever reads files makes it so first (`canonical`).
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.mail.mime.head import Head, head_of

SMALL: Final = 64 * 1024  # Octets.

_IDENTITY: Final = frozenset((b"", b"7bit", b"8bit", b"binary"))
_PKCS7_MIME: Final = frozenset((b"pkcs7-mime", b"x-pkcs7-mime"))
_PKCS7_SIGNATURE: Final = frozenset((b"pkcs7-signature", b"x-pkcs7-signature"))
# RFC 2045 9: whatever begins with Content- describes the body, so it goes where the body goes.
_MIME = re.compile(
    rb"^(?:(content-[!-9;-~]*)|mime-version)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)", re.IGNORECASE | re.MULTILINE
)
_TYPES = re.compile(rb"^content-type[ \t]*:", re.IGNORECASE | re.MULTILINE)
_ENCODINGS = re.compile(rb"^content-transfer-encoding[ \t]*:", re.IGNORECASE | re.MULTILINE)
# All fields from the start, folded or not. A line of a mailbox file in front of them is passed over.
_FIELDS = re.compile(rb"(?:>?From [^\n]*+\n)?(?:[!-9;-~]++[ \t]*+:[^\n]*+(?:\n|\Z)(?:[ \t][^\n]*+(?:\n|\Z))*)*")
_DISPOSITION = re.compile(rb"^content-disposition[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*", re.IGNORECASE | re.MULTILINE)
# RFC 8551 3.2.1: some hosts send what they don't know as octet-stream, and the name alone tells.
_NAME = re.compile(
    rb"""[;\s](?:file)?name\*?[01]?\*?\s*=\s*"?[^";\r\n]{0,1000}\.p7([ms])\s*(?:["';]|\s|\Z)""", re.IGNORECASE
)
_PROTOCOL = re.compile(
    rb"""[;\s]protocol\s*=\s*"?\s*application/(?:x-)?pkcs7-signature\s*(?:[";]|\s|\Z)""", re.IGNORECASE
)
_LONE = re.compile(rb"(?<!\r)\n")
# A part in front of the first delimiter or behind the last, where some readers find one.
_PART = re.compile(rb"(?:\A|\n)--[^\r\n]{0,200}\r?\n(?=content-[a-z-]{2,30}[ \t]*:)", re.IGNORECASE)


class Form(StrEnum):
    """What an entity is for S/MIME."""

    CMS = "cms"  # Its decoded body is a CMS object: enveloped, or signed with the content inside.
    CLEAR = "clear"  # multipart/signed: the content, then its signature.
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A MIME entity, read as far as S/MIME is concerned. `body` is where its body begins; the octets' end where it has
    none. For the message itself the header section is the message's, for what lies inside a layer its own.
    """

    octets: bytes = field(repr=False)
    head: Head = field(repr=False)
    body: int
    form: Form

    @property
    def section(self) -> bytes:
        """The header section without the empty line."""
        return section_of(self.octets)

    @property
    def is_plain(self) -> bool:
        """Whether all readers find the same body and take it for the same: each line of the header section belongs to
        a field, and no two fields tell a type or an encoding.
        """
        section = self.section
        if len(_TYPES.findall(section)) > 1 or len(_ENCODINGS.findall(section)) > 1:
            return False
        return split(self.octets).body == self.body

    def decoded(self) -> bytes:
        """The body without its transfer encoding. Raises ValueError where it has one that we don't know."""
        body = memoryview(self.octets)[self.body :]
        encoding = self.head.encoding
        if encoding == b"base64":
            try:
                return a2b_base64(body)
            except Error as error:
                raise ValueError("the base64 of a body is damaged") from error
        if encoding == b"quoted-printable":
            return a2b_qp(body)
        if encoding in _IDENTITY:
            return bytes(body)
        raise ValueError("a body has a transfer encoding that is not known")


@dataclass(frozen=True, slots=True)
class Split:
    """A message taken apart. `outer`: the fields that stay with the message, octet for octet. `inner`: those of the
    entity. Both end with CR LF or are empty. `body`: where the body begins.
    """

    outer: bytes
    inner: bytes
    body: int
    has_version: bool


@dataclass(frozen=True, slots=True)
class ClearSigned:
    """Both parts of a multipart/signed (RFC 1847 2.1). `signed`: the octets as they were signed, the CR LF in front of
    the delimiter not among them. `signature`: the second part. `is_whole`: there are two parts and no more, for any
    reader.
    """

    signed: bytes = field(repr=False)
    signature: Entity = field(repr=False)
    is_whole: bool


def canonical(octets: bytes) -> bytes:
    """The octets with CR LF as line ends where they have LF alone, as files have it (RFC 8551 3.1.1)."""
    if len(octets) <= SMALL:  # Counting takes twice the time; of long ones there shall be no second copy.
        is_canonical = b"\n" not in octets.replace(b"\r\n", b"")
    else:
        is_canonical = octets.count(b"\n") == octets.count(b"\r\n")
    return octets if is_canonical else _LONE.sub(b"\r\n", octets)


def section_of(octets: bytes) -> bytes:
    """The header section of a message or an entity, without the empty line."""
    return octets[: _section_end(octets)]


def entity_of(octets: bytes) -> Entity:
    """Read a message or an entity. Never raises: what can't be read is `Form.OTHER`."""
    end = _section_end(octets)
    section = octets[:end]
    head = head_of(section, 0)
    return Entity(octets=octets, head=head, body=min(end + 2, len(octets)), form=_form(head, section))


def split(message: bytes) -> Split:
    """Take a message apart: what stays outside when its entity is signed or encrypted, and what goes inside.

    The header section ends with its last field. Text that follows without an empty line is body, as Postfix and Exim
    have it too: who forgot that line did not mean his text to stay outside of the encryption.
    """
    fields = _FIELDS.match(message)
    end = 0 if fields is None else fields.end()
    section = message[:end]
    outer: list[bytes] = []
    inner: list[bytes] = []
    at = 0
    has_version = False
    for match in _MIME.finditer(section):
        if match[1] is None:
            has_version = True
            continue
        outer.append(section[at : match.start()])
        inner.append(_ended(match[0]))
        at = match.end()
    outer.append(section[at:])
    body = end + (2 if message.startswith(b"\r\n", end) else 1 if message.startswith(b"\n", end) else 0)
    return Split(_ended(b"".join(outer)), b"".join(inner), body, has_version)


def clear_signed(entity: Entity) -> ClearSigned | None:
    """The parts of a multipart/signed; None where it has no two parts that everybody would find."""
    boundary = entity.head.boundary
    if boundary is None or entity.head.encoding not in _IDENTITY:
        return None
    octets = entity.octets
    # The delimiter is a whole line (RFC 2046 5.1.1); the first may stand at the very start of the body.
    delimiter = re.compile(rb"(?:\A|\r\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r\n|\Z)")
    # From two octets earlier: the empty line's end may be the CR LF of the first delimiter.
    place = max(entity.body - 2, 0)
    cuts: list[tuple[int, int, bool]] = []
    while len(cuts) < 4 and (match := delimiter.search(octets, place)) is not None:
        cuts.append((match.start(), match.end(), match[1] is not None))
        if match[1] is not None:
            break
        place = match.end() - 2 if match[0].endswith(b"\r\n") else match.end()
    if len(cuts) < 2 or any(closes for _, _, closes in cuts[:2]):
        return None
    signed = octets[cuts[0][1] : max(cuts[1][0], cuts[0][1])]
    last = cuts[2][0] if len(cuts) > 2 else len(octets)
    signature = entity_of(octets[cuts[1][1] : max(last, cuts[1][1])])
    is_whole = len(cuts) == 2 or (cuts[2][2] and delimiter.search(octets, max(cuts[2][1] - 2, 0)) is None)
    if is_whole and (_PART.search(octets, max(entity.body - 1, 0), cuts[0][0] + 2) or _PART.search(octets, last)):
        is_whole = False
    return ClearSigned(signed, signature, is_whole=is_whole)


def is_pkcs7(main: bytes, sub: bytes) -> bool:
    """Whether a part of that type holds CMS that could be enveloped."""
    return main == b"application" and sub in _PKCS7_MIME


def is_signature(entity: Entity) -> bool:
    """Whether a part is a detached signature, by its type or by its name."""
    head = entity.head
    if head.main == b"application" and head.sub in _PKCS7_SIGNATURE:
        return True
    return _named(head, entity.section) in (b"s", b"m")


def _form(head: Head, section: bytes) -> Form:
    if head.main == b"multipart" and head.sub == b"signed":
        kind = head.content_type
        return Form.CLEAR if kind is not None and _PROTOCOL.search(kind.value) else Form.OTHER
    if is_pkcs7(head.main, head.sub) or _named(head, section) == b"m":
        return Form.CMS
    return Form.OTHER


def _named(head: Head, section: bytes) -> bytes:
    """`m` or `s` for application/octet-stream with a name that ends with .p7m or .p7s, else nothing."""
    if head.main != b"application" or head.sub != b"octet-stream":
        return b""
    values = [] if head.content_type is None else [head.content_type.value]
    values += [match[0] for match in _DISPOSITION.finditer(section)]
    for value in values:
        if (found := _NAME.search(value)) is not None:
            return found[1].lower()
    return b""


def _section_end(octets: bytes) -> int:
    """Where the header section ends: behind its last field's CR LF."""
    if octets.startswith(b"\r\n"):
        return 0
    end = octets.find(b"\r\n\r\n")
    return len(octets) if end < 0 else end + 2


def _ended(fields: bytes) -> bytes:
    return fields if not fields or fields.endswith(b"\r\n") else fields.rstrip(b"\r\n") + b"\r\n"
