"""Headers of the PROXY protocol, as a load balancer writes them; each part can be made wrong."""

from __future__ import annotations

import struct
from ipaddress import ip_address

from gateway.smtp.proxy import SIGNATURE, crc32c

NOOP = 0x04  # PP2_TYPE_NOOP
CHECKSUM = 0x03  # PP2_TYPE_CRC32C


def v1(source: str = "203.0.113.9", port: int = 4711, destination: str | None = None) -> bytes:
    """A line of version 1."""
    four = ip_address(source).version == 4
    there = destination or ("192.0.2.1" if four else "2001:db8::1")
    return f"PROXY {'TCP4' if four else 'TCP6'} {source} {there} {port} 25\r\n".encode()


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack(">BH", kind, len(value)) + value


def v2(
    source: str = "203.0.113.9",
    port: int = 4711,
    *,
    first: int = 0x21,
    kind: int | None = None,
    block: bytes | None = None,
    tlvs: bytes = b"",
    length: int | None = None,
    checksum: bool = False,
) -> bytes:
    """A header of version 2. `first` is version and command, `kind` family and transport, `block` the addresses."""
    address = ip_address(source)
    here = address.packed
    if block is None:
        block = here + bytes(len(here)) + struct.pack(">HH", port, 25)
    if kind is None:
        kind = 0x11 if address.version == 4 else 0x21
    if checksum:
        tlvs += tlv(CHECKSUM, bytes(4))
    size = len(block) + len(tlvs) if length is None else length
    header = SIGNATURE + struct.pack(">BBH", first, kind, size) + block + tlvs
    return header[:-4] + struct.pack(">I", crc32c(header)) if checksum else header
