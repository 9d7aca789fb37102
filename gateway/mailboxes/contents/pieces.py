"""A content cut into chunks, however it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from gateway.mail.message import Content
from gateway.mailboxes.contents.chunk import CHUNK


async def pieces(content: Content) -> AsyncGenerator[bytes, None]:
    """Its octets in pieces of CHUNK, the last one shorter; one empty piece where there are none."""
    rest, given = bytearray(), False
    blocks = content.blocks()
    try:
        async for block in blocks:
            if not rest and len(block) == CHUNK:
                given = True
                yield block
                continue
            rest += block
            while len(rest) >= CHUNK:
                given = True
                yield bytes(rest[:CHUNK])
                del rest[:CHUNK]
    finally:
        if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open.
            await blocks.aclose()
    if rest or not given:
        yield bytes(rest)
