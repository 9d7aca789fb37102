"""The SIGNATURE of a licence ([MS-RMPR] 2.2.9.1.12): RSA PKCS #1 v1.5 over the BODY's text in UTF-16LE. Pure.

What DIGEST says is written for other readers, and never believed: the hash is computed from the text that is read.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from gateway.mail.digest import Hashed
from gateway.rights.tenant import Mode, TenantVersion
from gateway.rights.xrml.binary import read_base64, write_base64
from gateway.rights.xrml.element import BadLicence, Element

_ALGORITHM: Final = "RSA PKCS#1-V1.5"
_SHA1: Final = frozenset({"SHA1", "SHA-1"})
_SHA256: Final = frozenset({"SHA256", "SHA-256"})


class Forged(ValueError):
    """The signature is not that of the key over the text."""


def signed_octets(body: str) -> bytes:
    """What is signed: the text from `<BODY` to `</BODY>`, as it stands."""
    return body.encode("utf-16-le")


def write_signature(signed: Hashed, value: bytes) -> str:
    """The element for a signature of SHA-256 over `signed` (see `signed_octets`), `value` in network order as every RSA
    library has it.
    """
    digest = write_base64(signed.sha256)
    coding = '<PARAMETER name="codingtype"><VALUE encoding="string">surface-coding</VALUE></PARAMETER>'
    hashed = f'<ALGORITHM>SHA256</ALGORITHM>{coding}<VALUE encoding="base64" size="256">{digest}</VALUE>'
    written = f'<VALUE encoding="base64" size="{len(value) * 8}">{write_base64(value)}</VALUE>'
    return f"<SIGNATURE><ALGORITHM>{_ALGORITHM}</ALGORITHM><DIGEST>{hashed}</DIGEST>{written}</SIGNATURE>"


def uses_sha1(signature: Element) -> bool:
    """Whether it says that its hash is SHA-1. Raises BadLicence for an algorithm that is not known."""
    if signature.one("ALGORITHM").value != _ALGORITHM:
        raise BadLicence("a signature of an unknown algorithm")
    name = signature.one("DIGEST", "ALGORITHM").value.upper()
    if name not in _SHA1 | _SHA256:
        raise BadLicence("a signature of an unknown hash")
    return name in _SHA1


def verify(body: str, signature: Element, version: TenantVersion) -> None:
    """Return where `signature` is that version's over `body`. Raises Forged, or BadLicence for an element that is none.

    SHA-1 is taken from keys of Mode 1 alone: one of Mode 2 never signed with it, so a collision would be of no use.
    """
    is_sha1 = uses_sha1(signature)
    value = read_base64(signature.one("VALUE").text)
    if is_sha1 and version.mode is not Mode.MODE_1:
        raise Forged("a signature of SHA-1 under a key of Mode 2")
    kind = SHA1() if is_sha1 else SHA256()  # noqa: S303 - [MS-RMPR] Mode 1, for old files
    try:
        version.public_key.verify(value, signed_octets(body), PKCS1v15(), kind)
    except InvalidSignature:
        raise Forged("a signature that is none") from None
