"""Base64 in lines of 76 letters, each with its CR LF, while octets stream (RFC 2045 6.8, RFC 8551 3.1.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from gateway.mail.mime.base64_lines import LINE_OCTETS, base64_lines

_BLOCK: Final = LINE_OCTETS * 4096  # Octets that are written at once: what lies beside them stays small.


class Sink(Protocol):
    """What octets are written to, as io.BytesIO."""

    def write(self, octets: bytes, /) -> int:
        """Take them."""


def write_base64(blocks: Iterable[bytes | memoryview], sink: Sink) -> None:
    """Write the octets of all blocks to `sink`. The last line has its CR LF too. Nothing large is kept beside them."""
    rest = b""
    for block in blocks:
        if len(rest) + len(block) < LINE_OCTETS:
            rest += block
            continue
        view = memoryview(block)
        start = 0
        if rest:
            start = LINE_OCTETS - len(rest)
            sink.write(base64_lines(rest + view[:start]))
        end = len(view) - (len(view) - start) % LINE_OCTETS
        for at in range(start, end, _BLOCK):
            sink.write(base64_lines(view[at : min(at + _BLOCK, end)]))
        rest = bytes(view[end:])
    if rest:
        sink.write(base64_lines(rest))
