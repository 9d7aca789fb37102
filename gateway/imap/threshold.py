"""Where connections come in: taken from the socket, counted, and given to a protocol once their TLS handshake is done.

An event loop's own server tells of nobody before that, so that who never ends his handshake would hold memory (70 KiB)
and a descriptor beyond all limits. Leaves out: what is said once there is TLS (`server`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

from gateway.imap.desk import Desk
from gateway.imap.terms import ImapTerms
from gateway.world.sockets import Socket, accept

HANDSHAKE: Final = 20.0  # Seconds for the TLS handshake.
BATCH: Final = 64  # Connections in one go, before others get their turn.
PAUSE: Final = 1.0  # Seconds after which we try again where there are no descriptors left.


class Threshold:
    """Made, then it listens until `close`. As many may be at their handshakes as may be connected, and then no more."""

    def __init__(
        self,
        desk: Desk,
        door: Socket,
        *,
        visit: Callable[[], asyncio.Protocol],
        context: Callable[[], ssl.SSLContext],
        terms: Callable[[], ImapTerms],
    ) -> None:
        """`visit` makes the protocol of one connection; `context` and `terms` are asked anew for each."""
        self._desk = desk
        self._door = door
        self._visit = visit
        self._context = context
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._shaking: Counter[str] = Counter()  # Handshakes under way, by the client's address.
        self._is_open = False
        self._listen()

    def __len__(self) -> int:
        """Handshakes under way."""
        return self._shaking.total()

    def close(self) -> None:
        """Take no more connections; handshakes under way end."""
        if self._is_open:
            self._loop.remove_reader(self._door.fileno())
            self._is_open = False
        self._door.close()
        for task in self._tasks:
            task.cancel()

    def _listen(self) -> None:
        self._loop.add_reader(self._door.fileno(), self._accept)
        self._is_open = True

    def _accept(self) -> None:
        terms = self._terms()
        for _ in range(BATCH):
            try:
                found = accept(self._door)
            except OSError as error:
                self._desk.tell("error", "accept_failed", listener=terms.name, error=type(error).__name__)
                self._loop.remove_reader(self._door.fileno())
                self._is_open = False
                self._hold(self._rest())
                return
            if found is None:
                return
            client, address = found
            if len(self) >= terms.max_connections or self._shaking[address] >= terms.max_connections_per_client:
                self._desk.count("imap_connections_refused_total", (terms.name,))
                client.close()  # Nothing can be said before there is TLS.
                continue
            self._shaking[address] += 1
            self._hold(self._shake(client, address))

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rest(self) -> None:
        """Out of descriptors: who waits is left waiting, instead of asking the kernel again at once."""
        await self._desk.clock.sleep(PAUSE)
        self._listen()

    async def _shake(self, client: Socket, address: str) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._visit, client, ssl=self._context(), ssl_handshake_timeout=HANDSHAKE
            )
        except OSError:  # TLS errors too; it failed, or the client is gone, and nobody waits for a word.
            return
        finally:
            self._shaking[address] -= 1
            if not self._shaking[address]:
                del self._shaking[address]
