"""The listening sockets of one worker and the sessions behind them; a reload opens, closes and changes them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from gateway.smtp.desk import Desk, Terms
from gateway.smtp.entrance import Entrance
from gateway.smtp.sessions import Sessions
from gateway.world.sockets import Socket


class Doors:
    """One server for each listener, on the sockets that the supervisor handed over."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop, tasks: asyncio.TaskGroup) -> None:
        self._desk = desk
        self._loop = loop
        self._tasks = tasks
        self._open: dict[str, tuple[asyncio.Server | Entrance, Sessions]] = {}
        self._retired: list[Sessions] = []  # Of listeners that were closed while clients were there.
        self._watches: dict[Sessions, asyncio.Task[None]] = {}

    def sessions(self) -> dict[str, int]:
        """How many sessions each listener has."""
        found = {name: len(sessions) for name, (_, sessions) in self._open.items()}
        for sessions in self._retired:
            if sessions.terms.name in found:
                found[sessions.terms.name] += len(sessions)
        return found

    async def arrange(self, listeners: Sequence[Terms], sockets: Mapping[str, Socket]) -> None:
        """Serve exactly `listeners`; `sockets` are those of the new ones. Running sessions keep their terms."""
        self._forget_empty()
        names = {terms.name for terms in listeners}
        for name in [name for name in self._open if name not in names]:
            server, sessions = self._open.pop(name)
            server.close()
            self._retired.append(sessions)  # Those who are connected stay until they go by themselves.
        for terms in listeners:
            if (entry := self._open.get(terms.name)) is not None:
                if entry[1].terms is terms:
                    continue
                if _same_door(entry[1].terms, terms):
                    entry[1].terms = terms
                    continue
                await self._reopen(terms)
            elif (door := sockets.get(terms.name)) is not None:
                await self._serve(terms, door)

    async def _serve(self, terms: Terms, door: Socket) -> None:
        sessions = Sessions(self._desk, terms, self._loop)
        server: asyncio.Server | Entrance
        if _is_asked(terms):
            server = Entrance(sessions, door)
        else:
            server = await self._loop.create_server(sessions, sock=door)
        self._open[terms.name] = server, sessions
        self._watches[sessions] = self._tasks.create_task(sessions.watch())

    async def _reopen(self, terms: Terms) -> None:
        """What comes before the greeting belongs to the server, not to the session: a new one takes over its socket."""
        server, sessions = self._open[terms.name]
        door = server.sockets[0].dup()
        server.close()
        self._retired.append(sessions)
        await self._serve(terms, door)

    def _forget_empty(self) -> None:
        for sessions in [sessions for sessions in self._retired if not len(sessions)]:
            self._retired.remove(sessions)
            self._watches.pop(sessions).cancel()

    def watches(self) -> list[asyncio.Task[None]]:
        """The tasks that end what is over its time."""
        return list(self._watches.values())

    def close(self) -> None:
        """Take no more connections. What the kernel holds for us is for whoever has the socket next."""
        for server, _ in self._open.values():
            server.close()

    async def drain(self, seconds: float) -> None:
        """Let what is under way end."""
        async with asyncio.TaskGroup() as tasks:
            for sessions in [*(sessions for _, sessions in self._open.values()), *self._retired]:
                tasks.create_task(sessions.drain(seconds))


def _same_door(old: Terms, new: Terms) -> bool:
    """Whether new terms need no new server. An entrance asks for them with each connection."""
    return _is_asked(old) == _is_asked(new)


def _is_asked(terms: Terms) -> bool:
    """Whether something comes before the greeting: a PROXY header, a TLS handshake."""
    return bool(terms.proxies) or terms.implicit
