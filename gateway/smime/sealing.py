"""A message under S/MIME: encrypted, signed in the clear or around, or both (RFC 8551 3, RFC 1847). Pure, on octets.

Only the MIME entity is sealed. All other header fields stay where they are, octet for octet; what Subject and To say is
seen by everybody (header protection comes later). Who is named in the envelope is who was given: whoever has blind
recipients encrypts once for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Final

from gateway.mail.mime.base64_lines import base64_lines
from gateway.smime.armour import write_base64
from gateway.smime.cms.algorithms import ContentCipher, Mode
from gateway.smime.cms.enveloped import seal_blocks, seal_enveloped
from gateway.smime.cms.recipients import Recipient
from gateway.smime.cms.signing import Signer
from gateway.smime.cms.signing import sign as cms_sign
from gateway.smime.entity import Split, canonical, split
from gateway.smime.transfer import steady
from gateway.world.chance import Chance

SMALL: Final = 64 * 1024  # Octets; what is no longer is put together at once, which is quicker than piece by piece.

_MARK: Final = 16  # Octets of a signature that stand in a boundary.
_TYPE = re.compile(rb"^content-type[ \t]*:", re.IGNORECASE | re.MULTILINE)
_VERSION: Final = b"MIME-Version: 1.0\r\n"
# RFC 8551 3.2.2: the type says which of the CMS types is inside. The line is folded before the 76th octet.
_P7M: Final = (
    b"Content-Type: application/pkcs7-mime; smime-type=%s;\r\n"
    b' name="smime.p7m"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7m"\r\n'
    b"\r\n"
)
_CLEAR: Final = (
    b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
    b' micalg=%s; boundary="%s"\r\n'
    b"\r\n"
    b"This is an S/MIME signed message\r\n"
)
_P7S: Final = (
    b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7s"\r\n'
    b"\r\n"
)


def encrypt(message: bytes, recipients: Sequence[Recipient], cipher: ContentCipher, chance: Chance) -> bytes:
    """The message encrypted for all of `recipients`, each of whom sees that the others can read it.

    Takes 50 us for each RSA recipient, and 5 ms for each MiB; in memory what it returns. Raises ValueError without
    recipients.
    """
    parts = split(message)
    fields = _fields(parts)
    kind = b"authEnveloped-data" if cipher.mode is Mode.GCM else b"enveloped-data"
    if len(message) <= SMALL:
        return _with_cms(parts, kind, seal_enveloped(fields + message[parts.body :], recipients, cipher, chance))
    body = memoryview(message)[parts.body :]
    return _with_cms(parts, kind, seal_blocks(len(fields) + len(body), (fields, body), recipients, cipher, chance))


def sign(message: bytes, signers: Sequence[Signer], now: float, *, opaque: bool = False) -> bytes:
    """The message signed by each of `signers`; they say that it was at `now`, in seconds since 1970.

    Clear (RFC 8551 3.5.3) unless `opaque`: everybody reads it, with S/MIME or without. What a host on the way would
    change behind the signature's back is put into a transfer encoding before (3.1.2, see `transfer`); where that can't
    be done, as inside of a foreign signature, it is signed as it is.
    """
    parts = split(message)
    entity = steady(canonical(b"".join((_fields(parts), memoryview(message)[parts.body :]))))
    if opaque:
        return _with_cms(parts, b"signed-data", cms_sign(entity, signers, detached=False, now=now))
    signature = cms_sign(entity, signers, detached=True, now=now)
    boundary = _boundary(entity, signature)
    delimiter = b"\r\n--%s" % boundary
    return b"".join((
        *_outer(parts),
        _CLEAR % (_micalg(signers), boundary),
        *(delimiter, b"\r\n", entity),
        *(delimiter, b"\r\n", _P7S, base64_lines(signature)),
        *(delimiter, b"--\r\n"),
    ))  # fmt: skip


def _fields(parts: Split) -> bytes:
    """The header section of the entity, with the empty line. Without a type it would be text in ASCII (RFC 2045 5.2);
    some readers want to see it said.
    """
    return (b"" if _TYPE.search(parts.inner) else b"Content-Type: text/plain\r\n") + parts.inner + b"\r\n"


def _with_cms(parts: Split, kind: bytes, cms: bytes | Iterable[bytes]) -> bytes:
    """`cms` whole where it is short, else in pieces."""
    if isinstance(cms, bytes) and len(cms) <= 2 * SMALL:
        return b"".join((*_outer(parts), _P7M % kind, base64_lines(cms)))
    out = BytesIO()
    for piece in (*_outer(parts), _P7M % kind):
        out.write(piece)
    write_base64([cms] if isinstance(cms, bytes) else cms, out)
    return out.getvalue()


def _outer(parts: Split) -> tuple[bytes, bytes]:
    return parts.outer, b"" if parts.has_version else _VERSION


def _micalg(signers: Sequence[Signer]) -> bytes:
    """All digests (RFC 8551 3.5.3.2). Several have a comma between them, which asks for quotes (RFC 2045 5.1); one has
    none, since old readers compare it as it stands.
    """
    names = list(dict.fromkeys(one.micalg.encode() for one in signers))
    return names[0] if len(names) == 1 else b'"%s"' % b",".join(names)


def _boundary(entity: bytes, signature: bytes) -> bytes:
    """One that does not occur in the entity. What stands behind the equals sign is in no body that is encoded."""
    number = b""
    # The end of the last signer's signature itself, which nobody can tell before the entity is there. A boundary has 70
    # octets at most (RFC 2046 5.1.1).
    while (boundary := b"=_smime_%s%s" % (signature[-_MARK:].hex().encode(), number)) in entity:
        number = b"%d" % (int(number or b"0") + 1)
    return boundary
