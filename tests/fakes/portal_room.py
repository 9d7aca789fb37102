"""A room for the files of forms, in memory, that knows what lies in it."""

from __future__ import annotations

from gateway.mail.message import Content, Held, Message
from gateway.storage.sealer import KeysClosed
from gateway.storage.writer import StorageFull


class FakeRoom:
    """A `gateway.portal.desk.Room`. `lying`: contents that nobody has forgotten yet; `begun`: how many were begun.

    Ways to fail: `closed` when a file begins, `full` when octets are flushed, `broken` when a file is finished.
    """

    def __init__(self) -> None:
        self.lying: list[Content] = []
        self.unfinished = 0
        self.begun = 0
        self.flushed = 0
        self.full = False
        self.broken = False
        self.closed = False

    @property
    def is_empty(self) -> bool:
        return not self.lying and not self.unfinished

    def begin(self) -> FakeIncoming:
        if self.closed:
            raise KeysClosed("the key of the spool is away")
        self.begun += 1
        self.unfinished += 1
        return FakeIncoming(self)

    async def forget(self, content: Content) -> None:
        self.lying = [one for one in self.lying if one is not content]


class FakeIncoming:
    """Wants to be flushed at 64 KiB."""

    def __init__(self, room: FakeRoom) -> None:
        self._room = room
        self._octets = bytearray()
        self._waits = 0
        self._ended = False

    def write(self, octets: bytes) -> bool:
        self._octets += octets
        self._waits += len(octets)
        return self._waits > 65536

    async def flush(self) -> None:
        if self._room.full:
            raise StorageFull("the disk is full")
        self._waits = 0
        self._room.flushed += 1

    async def finish(self) -> Message:
        if self._room.broken:
            raise StorageFull("the disk is full")
        self._end()
        content = Held(bytes(self._octets))
        self._room.lying.append(content)
        return Message(content.octets[:1000], content)

    async def abandon(self) -> None:
        self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._room.unfinished -= 1
