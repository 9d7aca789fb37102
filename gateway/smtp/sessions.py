"""The sessions of one listener in one worker: how many there may be, their deadlines, their end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from gateway.mail import reply as say
from gateway.smtp.connection import Connection
from gateway.smtp.desk import Desk, Terms
from gateway.smtp.session import Session

TICK = 1.0  # Seconds between two looks at the deadlines; they are minutes, so nobody misses a second.


class Sessions:
    """Makes sessions for `loop.create_server` and holds every one of them and its task until it ends."""

    def __init__(self, desk: Desk, terms: Terms, loop: asyncio.AbstractEventLoop) -> None:
        self.desk = desk
        self.terms = terms
        self._loop = loop
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._clients: Counter[str] = Counter()
        self._stopping = False
        self._empty = asyncio.Event()
        self._empty.set()

    def __call__(self) -> Session:
        """A session for a new connection, under the terms of this moment."""
        return Session(self.desk, self.terms, self._loop, self)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._open))

    def enter(self, session: Connection) -> asyncio.Task[None]:
        """The client is connected: start the session, or refuse it where there are too many."""
        client = session.peer[0]
        refusal = None
        if self._stopping:
            refusal = say.SHUTTING_DOWN
        elif (
            len(self._open) >= self.terms.max_connections
            or self._clients[client] >= self.terms.max_connections_per_client
        ):
            refusal = say.TOO_MANY_CONNECTIONS
            self.desk.count("messages_refused_total", (self.terms.name, "421"))
        if refusal is None and session.transport is not None:
            session.transport.write(self.terms.banner)  # At once: the client waits for it, the rest can come after.
        self._clients[client] += 1
        self._empty.clear()
        task = self._loop.create_task(session.serve(refusal))
        self._open[session] = task
        task.add_done_callback(lambda _: self._leave(session, client))
        self.desk.count("sessions_total", (self.terms.name, "yes" if session.tls else "no"))
        return task

    def _leave(self, session: Connection, client: str) -> None:
        del self._open[session]
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]
        if not self._open:
            self._empty.set()

    async def watch(self) -> None:
        """End what is over its deadline, for ever."""
        while True:
            await self.desk.clock.sleep(TICK)
            now = self.desk.clock.monotonic()
            for session in [session for session in self if session.deadline <= now]:
                session.expire()

    async def drain(self, seconds: float) -> None:
        """Let every session finish the message under way, at most so long; then hang up."""
        self._stopping = True
        for session in self:
            session.stop()
        try:
            async with self.desk.clock.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            for session, task in list(self._open.items()):
                if session.transport is not None:
                    session.transport.abort()
                task.cancel()
