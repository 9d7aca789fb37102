"""Content with a few octets changed, which is read where it lies and never copied. Pure."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.mail.edit import Edit
from gateway.mail.message import MAX_HEAD, Content, Held, Message
from gateway.mail.mime.editor import Editor

_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Edited:
    """`edits` are in the order of their octets, none of them encodes. Made by `edited`."""

    source: Content
    edits: tuple[Edit, ...]

    @property
    def size(self) -> int:
        return self.source.size + sum(len(edit.octets) - (edit.end - edit.start) for edit in self.edits)

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        editor = Editor(self.edits)
        blocks = self.source.blocks()
        try:
            async for block in blocks:
                made = editor.feed(block)
                for start in range(0, len(made), _PIECE):
                    yield made[start : start + _PIECE]
        finally:
            if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open.
                await blocks.aclose()
        if rest := editor.end():
            yield rest


def edited(message: Message, edits: Sequence[Edit], *, body: bool) -> Message:
    """`message` with `edits`, in one piece where it is small and at hand. `body`: they reach beyond its header section,
    so that hashes of the body no longer hold. No edit crosses the end of `head`, which is where views end.
    """
    if not edits:
        return message
    hashes = None if body else message.hashes
    held = message.content.inline
    if held is not None:
        editor = Editor(edits)
        octets = editor.feed(held) + editor.end()
        return Message(octets, Held(octets), hashes)
    size = len(message.head)
    editor = Editor(
        [edit for edit in edits if edit.end <= size and (edit.start < size or size == message.content.size)]
    )
    head = editor.feed(message.head) + editor.end()
    return Message(head[:MAX_HEAD], Edited(message.content, tuple(edits)), hashes)
