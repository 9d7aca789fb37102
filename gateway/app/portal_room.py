"""Where the files of the portal's forms lie until they are used: in the process's own spool, sealed as messages are.

Leaves out: clearing up after a process that died; a spool forgets at its start what no message owns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gateway.mail.message import Content, Message
from gateway.storage.sealer import KeysClosed
from gateway.storage.spooling import Receiving, Spooling
from gateway.storage.writer import StorageBroken, StorageFull

LEAST: Final = 1 << 20  # Octets that there must be room for when a file begins; how long it is nobody knows yet.


class SpoolRoom:
    """A `gateway.portal.desk.Room`. `ids` makes names that no message has."""

    def __init__(self, spool: Callable[[], Spooling], ids: Callable[[], str], tell: Callable[..., None]) -> None:
        self._spool = spool
        self._ids = ids
        self._tell = tell
        self._names: dict[int, str] = {}  # Of what lies on the shelf, by the `id` of its content, which its user holds.

    def begin(self) -> Receiving:
        """See Room. Raises StorageFull, StorageBroken where nothing is to be taken now."""
        self._spool().check_room(LEAST)
        name = self._ids()
        return _Named(self._spool().begin(name), lambda content: self._names.__setitem__(id(content), name))

    async def forget(self, content: Content) -> None:
        """See Room."""
        name = self._names.pop(id(content), None)
        if name is None:  # Short, and in memory alone.
            return
        try:
            await self._spool().forget_content(name)
        except (StorageBroken, StorageFull, KeysClosed, OSError) as error:
            self._tell("warning", "upload_not_deleted", error=type(error).__name__)


class _Named:
    """Room for one file, which remembers its name once it is whole."""

    __slots__ = ("_incoming", "_named", "abandon", "flush", "write")

    def __init__(self, incoming: Receiving, named: Callable[[Content], None]) -> None:
        self._incoming = incoming
        self._named = named
        self.write = incoming.write
        self.flush = incoming.flush
        self.abandon = incoming.abandon

    async def finish(self) -> Message:
        message = await self._incoming.finish()
        if message.content.inline is None:
            self._named(message.content)
        return message
