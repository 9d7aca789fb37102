"""Copies of 7 bits for next hops without 8BITMIME, signed anew where we had signed the original (RFC 6376 5.3)."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from typing import Final

from gateway.authenticate.signing import Signing
from gateway.delivery.seven_bit import Conversion, NotNow, planned, rewritten
from gateway.mail.delivery import Delivery
from gateway.mail.edit import Edit
from gateway.mail.message import Content, Message, prefaced
from gateway.mail.reply import Refused

NO_KEY: Final = "there is no key for its domain any more"
SWITCHED_OFF: Final = "signing is switched off"

# Whatever comes in gets a Received field of ours on top before it is signed, so that signatures above are ours alone.
_OURS = re.compile(rb"(?:DKIM-Signature:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n)+", re.IGNORECASE)


class Conversions:
    """A `Convert` of `gateway.delivery.seven_bit`, for one process."""

    def __init__(self, signing: Signing, count: Callable[[str], None]) -> None:
        self._signing = signing
        self._count = count

    async def __call__(self, delivery: Delivery, content: Content, /) -> tuple[Content, Conversion | None]:
        """See `Convert`."""
        done = await planned(content)
        if not done.edits:
            return content, None
        self._count("conversions_total")
        front = await _front(content)
        found = _OURS.match(front)
        ours = b"" if found is None else found[0]
        before = Message(front[len(ours) :], content)
        broken = before.count(b"DKIM-Signature") + before.count(b"ARC-Message-Signature")
        encodings = tuple(done.encodings)
        if not ours:
            return await rewritten(content, done.edits), Conversion(encodings=encodings, broken=broken)
        copy = await rewritten(content, (Edit(0, len(ours)), *done.edits))
        taken_off = Message(ours, content).count(b"DKIM-Signature")
        fields, signed, unsigned = await self._signed(copy, delivery.message)
        return prefaced(fields, copy), Conversion(
            encodings=encodings, taken_off=taken_off, signed=signed, unsigned=unsigned, broken=broken
        )

    async def _signed(self, copy: Content, id_: str) -> tuple[bytes, tuple[str, ...], str | None]:
        """New signatures, what they are called, and why there are fewer than there might be. Raises NotNow."""
        if not self._signing.terms.sign:
            return b"", (), SWITCHED_OFF
        try:
            fields, signed = await self._signing.signatures(Message(await _front(copy), copy), id_)
        except Refused as error:
            # The original was signed, and may not leave without because the vault is away just now.
            raise NotNow("it has to be signed anew, and the vault of the DKIM key does not answer") from error
        if signed is None:
            return b"", (), NO_KEY
        return fields, tuple(f"{signed.domain}/{selector}" for selector, _ in signed.signatures), signed.reason


async def _front(content: Content) -> bytes:
    """The first block, in which the header section lies."""
    if content.inline is not None:
        return content.inline
    blocks = content.blocks()
    try:
        async for block in blocks:
            return block
        return b""
    finally:
        if isinstance(blocks, AsyncGenerator):
            await blocks.aclose()
