"""The copies of one message as the one content that is stored: one behind the other, each a slice of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.mail.mail import Mail
from gateway.mail.message import Content, Held, Message
from gateway.mail.plan import Plan
from gateway.storage.content import INLINE
from gateway.storage.spooling import Spooling


async def bundled(mail: Mail, plan: Plan, spool: Spooling) -> Message:
    """What is to be stored for `plan`, of which `mail` is the message as it came in.

    What came in on the shelf, and is not what leaves, is read into memory, and written anew in its place. Raises what
    reading and storing raise; then nothing is to be accepted, and what was written has gone.
    """
    messages = plan.messages()
    shelved = mail.message.content.inline is None
    if len(messages) == 1 and (messages[0].content is mail.message.content or _fits(messages[0])):
        if shelved and messages[0].content is not mail.message.content:
            await spool.forget_content(mail.id)
        return messages[0]
    contents = plan.contents() if len(messages) > 1 else (messages[0].content,)
    if all(content.inline is not None for content in contents):
        whole = b"".join([content.inline or b"" for content in contents])
    else:
        whole = b"".join([await octets(content) for content in contents])
    if shelved:
        await spool.forget_content(mail.id)
    if len(whole) <= INLINE:
        return Message(messages[0].head, Held(whole))
    incoming = spool.begin(mail.id)
    try:
        view = memoryview(whole)
        for start in range(0, len(view), 1 << 20):
            if incoming.write(bytes(view[start : start + (1 << 20)])):
                await incoming.flush()
        return await incoming.finish()
    except BaseException:
        await incoming.abandon()
        raise


def _fits(message: Message) -> bool:
    return message.content.inline is not None and message.size <= INLINE


async def octets(content: Content) -> bytes:
    """All of a content in memory."""
    if (held := content.inline) is not None:
        return held
    blocks = content.blocks()
    if isinstance(blocks, AsyncGenerator):
        async with aclosing(blocks):
            return b"".join([block async for block in blocks])
    return b"".join([block async for block in blocks])
