"""The header by which a load balancer says for whom it connects: the PROXY protocol, versions 1 and 2. Pure.

HAProxy's specification (haproxy.org, doc/proxy-protocol.txt), which is quoted as "PP" here. Leaves out: what TLVs say,
but for the checksum; writing headers.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"  # PP 2.2
MAX_V1: Final = 107  # Octets with CR LF (PP 2.1).
MAX_V2: Final = 8192  # Octets in all. PP allows 65,551; a TLV with a client's certificate has two or three thousand.

_WORD = b"PROXY "
_FIXED = 16  # Octets of version 2 up to its addresses.
_LOCAL, _PROXY = 0, 1
_TCP4, _TCP6 = 0x11, 0x21
_ADDRESSES = {0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}  # Octets, by family and transport.
_CHECKSUM = 0x03  # PP2_TYPE_CRC32C
_PORT = rb"(0|[1-9][0-9]{0,4})"
_V1 = re.compile(rb"PROXY (TCP[46]) ([0-9A-Fa-f.:]{2,39}) ([0-9A-Fa-f.:]{2,39}) " + _PORT + b" " + _PORT)
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: .*)?", re.DOTALL)

# Reasons, as they stand in the log.
NO_HEADER: Final = "no PROXY header came first"
CUT_OFF: Final = "the connection ended within the header"
TOO_LONG: Final = "the header is too long"
BAD_LINE: Final = "the line of version 1 is malformed"
BAD_VERSION: Final = "a version or command that the protocol does not have"
BAD_FAMILY: Final = "an address family or transport that the protocol does not have"
BAD_LENGTH: Final = "the lengths in the header do not fit"
BAD_CHECKSUM: Final = "the checksum is wrong"


class BadHeader(Exception):
    """What came is no header; the connection is to be closed. `reason` is one of the constants above."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Header:
    """`length` octets of header. `source`: the client's address and port.

    None where the header names no client: the proxy speaks for itself (LOCAL), or can't say who it is (UNKNOWN, a
    family other than IP). The connection counts as the proxy's own then (PP 2.1, 2.2).
    """

    length: int
    source: tuple[str, int] | None


def parse(octets: bytes) -> Header | None:
    """The header with which `octets` begin; None where it goes on behind them, so that all of them belong to it.

    Raises BadHeader as soon as it is sure that they are none.
    """
    if octets.startswith(SIGNATURE):
        return _version_2(octets)
    if octets.startswith(_WORD):
        return _version_1(octets)
    if SIGNATURE.startswith(octets) or _WORD.startswith(octets):
        return None
    raise BadHeader(NO_HEADER)


def _version_1(octets: bytes) -> Header | None:
    end = octets.find(b"\r\n", 0, MAX_V1)
    if end < 0:
        if len(octets) >= MAX_V1:
            raise BadHeader(TOO_LONG)
        return None
    line = octets[:end]
    if _UNKNOWN.fullmatch(line):
        return Header(end + 2, None)
    found = _V1.fullmatch(line)
    if found is None:
        raise BadHeader(BAD_LINE)
    kind = IPv4Address if found[1] == b"TCP4" else IPv6Address
    try:
        source, destination = kind(found[2].decode()), kind(found[3].decode())
    except ValueError as error:
        raise BadHeader(BAD_LINE) from error
    port = int(found[4])
    if port > 0xFFFF or int(found[5]) > 0xFFFF or destination.version != source.version:
        raise BadHeader(BAD_LINE)
    return Header(end + 2, (plain(source), port))


def _version_2(octets: bytes) -> Header | None:
    if len(octets) > 12 and octets[12] not in (0x20 | _LOCAL, 0x20 | _PROXY):
        raise BadHeader(BAD_VERSION)
    if len(octets) < _FIXED:
        return None
    kind = octets[13]
    local = octets[12] == 0x20 | _LOCAL
    if not local and (kind >> 4 > 3 or kind & 0x0F > 2):
        raise BadHeader(BAD_FAMILY)
    length = _FIXED + int.from_bytes(octets[14:16], "big")
    if length > MAX_V2:
        raise BadHeader(TOO_LONG)
    if not local and length < _FIXED + _ADDRESSES.get(kind, 0):
        raise BadHeader(BAD_LENGTH)
    if len(octets) < length:
        return None
    header = octets[:length]
    if local or kind not in _ADDRESSES:
        return Header(length, None)  # What stands there is ignored, whatever it is.
    _judge_tlvs(header, _FIXED + _ADDRESSES[kind])
    if kind == _TCP4:
        address, _, port, _ = struct.unpack_from(">4s4sHH", header, _FIXED)
        return Header(length, (plain(IPv4Address(address)), port))
    if kind == _TCP6:
        address, _, port, _ = struct.unpack_from(">16s16sHH", header, _FIXED)
        return Header(length, (plain(IPv6Address(address)), port))
    return Header(length, None)


def _judge_tlvs(header: bytes, start: int) -> None:
    """PP 2.2, 2.2.3. Raises BadHeader where lengths do not add up, or a checksum is there and wrong."""
    place = start
    checksum: int | None = None
    while place < len(header):
        if place + 3 > len(header):
            raise BadHeader(BAD_LENGTH)
        kind, length = struct.unpack_from(">BH", header, place)
        place += 3
        if place + length > len(header):
            raise BadHeader(BAD_LENGTH)
        if kind == _CHECKSUM:
            if length != 4 or checksum is not None:
                raise BadHeader(BAD_LENGTH)
            checksum = place
        place += length
    if checksum is not None:
        said = int.from_bytes(header[checksum : checksum + 4], "big")
        if crc32c(header[:checksum] + bytes(4) + header[checksum + 4 :]) != said:
            raise BadHeader(BAD_CHECKSUM)


def plain(address: IPv4Address | IPv6Address) -> str:
    """An address as connectors and logs have it: an IPv4 address in IPv6 form is an IPv4 address (RFC 4291 2.5.5.2)."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(address if mapped is None else mapped)


@lru_cache(maxsize=1)
def _table() -> tuple[int, ...]:
    """CRC32c by the octet (RFC 4960 appendix B)."""
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return tuple(table)


def crc32c(octets: bytes) -> int:
    """The checksum of RFC 4960 appendix B."""
    table = _table()
    crc = 0xFFFFFFFF
    for octet in octets:
        crc = table[(crc ^ octet) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
