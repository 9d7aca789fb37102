"""Octets inside of licences: base64, hexadecimal digests, GUIDs, moduli. Pure."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from typing import Final
from uuid import UUID

import pybase64

from gateway.rights.xrml.element import BadLicence, Element, tag

_SPACE: Final = dict.fromkeys(map(ord, " \t\r\n"))
_GUID = re.compile(r"\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}")
_HEX = re.compile(r"[0-9A-Fa-f]{64}")
MAX_MODULUS: Final = 1024  # Octets.


def write_base64(octets: bytes) -> str:
    """In one line."""
    return pybase64.b64encode_as_string(octets)


def read_base64(text: str) -> bytes:
    """White space is passed over, nothing else. Raises BadLicence."""
    try:
        return b64decode(text.translate(_SPACE), validate=True)
    except (binascii.Error, ValueError):
        raise BadLicence("base64 that is none") from None


def write_guid(guid: UUID) -> str:
    """In braces, as [MS-RMPR] 2.2.9.1 has them."""
    return f"{{{guid}}}"


def read_guid(text: str) -> UUID:
    """Raises BadLicence."""
    if not _GUID.fullmatch(text):
        raise BadLicence("a GUID that is none")
    return UUID(text)


def read_sha256(text: str) -> str:
    """A digest in hexadecimal, in small letters. Raises BadLicence."""
    if not _HEX.fullmatch(text):
        raise BadLicence("a digest that is none")
    return text.lower()


def write_public_key(modulus: int, exponent: int) -> str:
    """PUBLICKEY ([MS-RMPR] 2.2.9.1.8). The modulus is little-endian there, unlike a signature's value."""
    size = (modulus.bit_length() + 7) // 8
    return tag(
        "PUBLICKEY",
        tag("ALGORITHM", "RSA")
        + tag("PARAMETER", tag("VALUE", str(exponent), encoding="integer32"), name="public-exponent")
        + tag(
            "PARAMETER",
            tag("VALUE", write_base64(modulus.to_bytes(size, "little")), encoding="base64", size=str(size * 8)),
            name="modulus",
        ),
    )


def read_modulus(key: Element) -> int:
    """The modulus of a PUBLICKEY. Raises BadLicence. The exponent is that of our own key, whatever is said here."""
    found = [one for one in key.all("PARAMETER") if one.attributes.get("name") == "modulus"]
    if len(found) != 1:
        raise BadLicence("not one modulus")
    octets = read_base64(found[0].one("VALUE").text)
    if not 0 < len(octets) <= MAX_MODULUS:
        raise BadLicence("a modulus of the wrong length")
    return int.from_bytes(octets, "little")
