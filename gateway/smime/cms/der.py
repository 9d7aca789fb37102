"""DER, written (ITU-T X.690 8 and 10): as much of it as CMS needs. Elements are octets and are put together as such."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = b"\x05\x00"
OID: Final = 0x06
UTC_TIME: Final = 0x17
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31


def head(tag: int, length: int) -> bytes:
    """Identifier and length octets of an element with `length` octets of content."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


def element(tag: int, *parts: bytes | memoryview) -> bytes:
    """An element whose content are `parts`, one behind the other."""
    content = b"".join(parts)
    return head(tag, len(content)) + content


def sequence(*parts: bytes) -> bytes:
    """A SEQUENCE of finished elements."""
    return element(SEQUENCE, *parts)


def set_of(*parts: bytes) -> bytes:
    """A SET OF finished elements, in the order that DER asks for (X.690 11.6)."""
    return element(SET, *sorted(parts))


@lru_cache(maxsize=128)
def integer(number: int) -> bytes:
    """An INTEGER, as short as it can be."""
    bits = (number if number >= 0 else ~number).bit_length()
    return element(INTEGER, number.to_bytes(bits // 8 + 1, "big", signed=True))


def octet_string(octets: bytes) -> bytes:
    """An OCTET STRING."""
    return element(OCTET_STRING, octets)


def bit_string(octets: bytes) -> bytes:
    """A BIT STRING of whole octets."""
    return element(BIT_STRING, b"\x00", octets)


def explicit(number: int, *parts: bytes) -> bytes:
    """Finished elements under a context tag; `[number] IMPLICIT` of a SEQUENCE or SET has the same octets."""
    return element(0xA0 | number, *parts)


def oid_octets(dotted: str) -> bytes:
    """The content octets of an object identifier: what names it in the tables of this package."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    made = bytearray()
    for arc in (first * 40 + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        made += bytes(reversed(septets))
    return bytes(made)


def dotted(octets: bytes) -> str:
    """An object identifier for people. What is none is told in hexadecimal."""
    arcs: list[int] = []
    arc = 0
    for octet in octets:
        arc = arc << 7 | octet & 0x7F
        if not octet & 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs or octets[-1] & 0x80:
        return octets.hex()
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


@lru_cache(maxsize=128)
def oid(octets: bytes) -> bytes:
    """An OBJECT IDENTIFIER of content octets."""
    return element(OID, octets)


def algorithm(octets: bytes, parameters: bytes = b"") -> bytes:
    """An AlgorithmIdentifier (RFC 5280 4.1.1.2); without parameters they are absent, not NULL."""
    return sequence(oid(octets), parameters)


def time(seconds: float) -> bytes:
    """Seconds since 1970 as CMS writes times (RFC 5652 11.3): UTCTime from 1950 to 2049, else GeneralizedTime."""
    moment = datetime.fromtimestamp(int(seconds), UTC)
    if 1950 <= moment.year < 2050:
        return element(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return element(GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())
