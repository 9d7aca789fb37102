"""The door: TLS at once (RFC 8314) on the socket that the supervisor handed over, who may come in, deadlines, the end.

Leaves out: STARTTLS on port 143, client certificates, the PROXY protocol.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from typing import Final, cast

from gateway.imap.commands import known_commands
from gateway.imap.connection import Connection
from gateway.imap.course import Course
from gateway.imap.desk import Desk
from gateway.imap.hub import Hub
from gateway.imap.memory import Memory
from gateway.imap.terms import ImapTerms
from gateway.world.sockets import Socket
from gateway.world.threshold import Room, Threshold

HANDSHAKE: Final = 20.0  # Seconds for the TLS handshake.
TICK: Final = 1.0  # Seconds between two looks at deadlines and at the folders that somebody watches.
READ_AHEAD: Final = 64 * 1024  # Octets that may wait unread, twice: what is longer than a line is a literal.
WRITE_AHEAD: Final = 1 << 20  # Octets that may wait to be sent before the next are made.
MEMORY: Final = 256 << 20  # Octets of messages that all connections together hold at once.
LARGE: Final = 8 << 20  # Octets; who holds so many, perhaps for a slow client, has one half for himself and his like.
SHARE: Final = MEMORY // 4  # Of each half, for one account: half of it.


class Visit(asyncio.StreamReaderProtocol):
    """One connection from the end of its TLS handshake to its own."""

    def __init__(self, server: ImapServer, loop: asyncio.AbstractEventLoop) -> None:
        self._inflow = asyncio.StreamReader(limit=READ_AHEAD, loop=loop)
        super().__init__(self._inflow, loop=loop)
        self._server = server
        self._event_loop = loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        stream = cast(asyncio.Transport, transport)  # uvloop's looks like one, and is none.
        stream.set_write_buffer_limits(high=WRITE_AHEAD)
        writer = asyncio.StreamWriter(stream, self, self._inflow, self._event_loop)
        self._server.enter(self._inflow, writer)


class ImapServer:
    """One process's door. `open` begins, `use` and `take` change what holds for new connections, `close` ends."""

    def __init__(self, desk: Desk, context: ssl.SSLContext, terms: ImapTerms) -> None:
        self._desk = desk
        self._context = context
        self._terms = terms
        self._course = Course(context)
        self._commands = known_commands()
        self._hub = Hub(desk)
        large = Memory(MEMORY // 2, share=SHARE)
        self._memory = Memory(MEMORY // 2, share=SHARE, large=large, large_from=LARGE)
        self._threshold: Threshold | None = None
        self._watching: asyncio.Task[None] | None = None
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._clients: Counter[str] = Counter()
        self._stopping = False

    def __len__(self) -> int:
        """Connections at present."""
        return len(self._open)

    async def open(self, door: Socket) -> None:
        """Serve on it from now on. Raises OSError."""
        self._threshold = Threshold(
            [door],
            meet=self._meet,
            context=lambda: self._context,
            handshake=lambda: HANDSHAKE,
            room=lambda _: Room(self._terms.max_connections, self._terms.max_connections_per_client),
            refused=lambda: self._desk.count("imap_connections_refused_total", (self._terms.name,)),
            failed=self._failed,
            clock=self._desk.clock,
        )
        self._watching = asyncio.get_running_loop().create_task(self.watch())

    async def _meet(self, client: Socket, address: str) -> Visit:
        return Visit(self, asyncio.get_running_loop())

    def _failed(self, error: OSError) -> None:
        self._desk.tell("error", "accept_failed", listener=self._terms.name, error=type(error).__name__)

    def use(self, context: ssl.SSLContext) -> None:
        """The certificate for connections from now on."""
        self._context = context

    def take(self, terms: ImapTerms) -> None:
        """The terms of connections from now on."""
        self._terms = terms

    def enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has come, its TLS handshake done."""
        peer = str((writer.get_extra_info("peername") or ("",))[0])
        refusal = None
        if self._stopping:
            refusal = b"* BYE [UNAVAILABLE] The server is shutting down; please connect again\r\n"
        elif len(self._open) >= self._terms.max_connections:
            refusal = b"* BYE [LIMIT] Too many connections; please try again later\r\n"
        elif self._clients[peer] >= self._terms.max_connections_per_client:
            refusal = b"* BYE [LIMIT] Too many connections from your address\r\n"
        if refusal is not None:
            self._desk.count("imap_connections_refused_total", (self._terms.name,))
            writer.write(refusal)
            writer.close()
            return
        connection = Connection(
            *(self._desk, self._terms, self._course, self._commands, self._hub, self._memory, reader, writer, peer)
        )
        self._clients[peer] += 1
        task = asyncio.get_running_loop().create_task(connection.serve())
        self._open[connection] = task
        task.add_done_callback(lambda _: self._leave(connection, peer))

    def _leave(self, connection: Connection, peer: str) -> None:
        del self._open[connection]
        self._clients[peer] -= 1
        if not self._clients[peer]:
            del self._clients[peer]

    async def watch(self) -> None:
        """End what is over its deadline, and tell those who wait for news, for ever."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._expire())
            both.create_task(self._tell_news())

    async def _expire(self) -> None:
        while True:
            await self._desk.clock.sleep(TICK)
            now = self._desk.clock.monotonic()
            for connection in [one for one in self._open if one.deadline <= now]:
                connection.expire()

    async def _tell_news(self) -> None:
        """Apart, since a database that takes its time must keep nobody here beyond his own."""
        while True:
            await self._desk.clock.sleep(TICK)
            try:
                await self._hub.look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next look may be better
                self._desk.tell("error", "imap_news_away", error=error)

    async def close(self, seconds: float) -> None:
        """Take no more connections, let each finish the command under way, at most so long; then hang up."""
        self._stopping = True
        if self._threshold is not None:
            self._threshold.close()
        for connection in list(self._open):
            connection.stop()
        try:
            async with self._desk.clock.timeout(seconds):
                while self._open:
                    await asyncio.wait(set(self._open.values()))
        except TimeoutError:
            pass
        rest = list(self._open.items())
        for connection, task in rest:
            connection.abort()
            task.cancel()
        if rest:
            await asyncio.wait([task for _, task in rest], timeout=1)
        if self._watching is not None:
            self._watching.cancel()
