"""Where connections come in: taken from listening sockets, counted, and given to a protocol once what comes before is
done, as a TLS handshake.

An event loop's own server tells of nobody before that, so that who never ends his handshake would hold memory (70 KiB)
and a descriptor beyond all limits. Leaves out: how many may be connected afterwards, which each service counts itself.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.world.clock import Clock
from gateway.world.sockets import Socket, accept

BATCH: Final = 8  # Connections in one go, before others get their turn, also those who look after the same door.
PAUSE: Final = 1.0  # Seconds after which we try again where there are no descriptors left.


@dataclass(frozen=True, slots=True)
class Room:
    """How many may be on their way in at once: all together, and those of one address (a proxy may have all of it)."""

    most: int
    of_one: int


class Threshold:
    """Made, then it listens until `close`. `sockets` is as of asyncio.Server."""

    def __init__(
        self,
        doors: Sequence[Socket],
        *,
        meet: Callable[[Socket, str], Awaitable[asyncio.Protocol | None]],
        context: Callable[[], ssl.SSLContext | None],
        handshake: Callable[[], float],
        room: Callable[[str], Room],
        refused: Callable[[], object],
        failed: Callable[[OSError], object],
        clock: Clock,
    ) -> None:
        """`meet` makes the protocol of a connection, by its socket and address; None: it is not wanted. `context` is
        that of TLS, None: it goes on in clear; `handshake` are the seconds for it. All are asked anew for each
        connection. `refused` hears of one for which there is no room, `failed` of accept(2) that fails.
        """
        self.sockets = tuple(doors)
        self._meet = meet
        self._context = context
        self._handshake = handshake
        self._room = room
        self._refused = refused
        self._failed = failed
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._arriving: Counter[str] = Counter()  # By address.
        self._open: set[Socket] = set()
        for door in self.sockets:
            self._listen(door)

    def __len__(self) -> int:
        """Connections on their way in."""
        return self._arriving.total()

    def close(self) -> None:
        """Take no more connections; those on their way in end."""
        for door in self.sockets:
            self._pause(door)
            door.close()
        for task in self._tasks:
            task.cancel()

    def _listen(self, door: Socket) -> None:
        self._loop.add_reader(door.fileno(), self._accept, door)
        self._open.add(door)

    def _pause(self, door: Socket) -> None:
        if door in self._open:
            self._loop.remove_reader(door.fileno())
            self._open.discard(door)

    def _accept(self, door: Socket) -> None:
        for _ in range(BATCH):
            try:
                found = accept(door)
            except OSError as error:
                self._failed(error)
                self._pause(door)
                self._hold(self._rest(door))
                return
            if found is None:
                return
            client, address = found
            room = self._room(address)
            if len(self) >= room.most or self._arriving[address] >= room.of_one:
                self._refused()
                client.close()  # Nothing can be said yet.
                continue
            self._arriving[address] += 1
            self._hold(self._arrive(client, address))

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rest(self, door: Socket) -> None:
        """Out of descriptors: who waits is left waiting, instead of asking the kernel again at once."""
        await self._clock.sleep(PAUSE)
        self._listen(door)

    async def _arrive(self, client: Socket, address: str) -> None:
        taken = False
        try:
            protocol = await self._meet(client, address)
            if protocol is None:
                return
            context = self._context()
            taken = True  # From here on the transport closes it.
            await self._loop.connect_accepted_socket(
                lambda: protocol,
                client,
                ssl=context,
                ssl_handshake_timeout=None if context is None else self._handshake(),
            )
        except OSError:  # TLS errors too. It failed, or the client is gone: nobody waits for a word.
            return
        finally:
            if not taken:
                client.close()
            self._arriving[address] -= 1
            if not self._arriving[address]:
                del self._arriving[address]
