"""The listening sockets of one worker and the sessions behind them; a reload opens, closes and changes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

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
        self._open: dict[str, tuple[list[asyncio.Server | Entrance], Sessions]] = {}
        self._retired: list[Sessions] = []  # Of listeners that were closed while clients were there.
        self._watches: dict[Sessions, asyncio.Task[None]] = {}

    def sessions(self) -> dict[str, int]:
        """How many sessions each listener has."""
        found = {name: len(sessions) for name, (_, sessions) in self._open.items()}
        for sessions in self._retired:
            if sessions.terms.name in found:
                found[sessions.terms.name] += len(sessions)
        return found

    async def arrange(self, listeners: Sequence[Terms], sockets: Mapping[str, Sequence[Socket]]) -> None:
        """Serve exactly `listeners`; `sockets` are those of the new ones. Running sessions keep their terms."""
        self._forget_empty()
        names = {terms.name for terms in listeners}
        for name in [name for name in self._open if name not in names]:
            servers, sessions = self._open.pop(name)
            _close(servers)
            self._retired.append(sessions)  # Those who are connected stay until they go by themselves.
        for terms in listeners:
            if (entry := self._open.get(terms.name)) is not None:
                if entry[1].terms is terms:
                    continue
                if _same_door(entry[1].terms, terms):
                    entry[1].terms = terms
                    continue
                await self._reopen(terms)
            elif doors := sockets.get(terms.name):
                await self._serve(terms, doors)

    async def _serve(self, terms: Terms, doors: Sequence[Socket]) -> None:
        sessions = Sessions(self._desk, terms, self._loop)
        servers: list[asyncio.Server | Entrance]
        if _is_asked(terms):
            servers = [Entrance(sessions, doors)]
        else:
            servers = [await self._loop.create_server(sessions, sock=door) for door in doors]
        self._open[terms.name] = servers, sessions
        self._watches[sessions] = self._tasks.create_task(sessions.watch())

    async def _reopen(self, terms: Terms) -> None:
        """What comes before the greeting belongs to the server, not to the session: new ones take over its sockets."""
        servers, sessions = self._open[terms.name]
        doors = [door.dup() for server in servers for door in server.sockets]
        _close(servers)
        self._retired.append(sessions)
        await self._serve(terms, doors)

    def _forget_empty(self) -> None:
        for sessions in [sessions for sessions in self._retired if not len(sessions)]:
            self._retired.remove(sessions)
            self._watches.pop(sessions).cancel()

    def watches(self) -> list[asyncio.Task[None]]:
        """The tasks that end what is over its time."""
        return list(self._watches.values())

    def close(self) -> None:
        """Take no more connections. What the kernel holds for us is for whoever has the socket next."""
        for servers, _ in self._open.values():
            _close(servers)

    async def drain(self, seconds: float) -> None:
        """Let what is under way end."""
        async with asyncio.TaskGroup() as tasks:
            for sessions in [*(sessions for _, sessions in self._open.values()), *self._retired]:
                tasks.create_task(sessions.drain(seconds))


def _close(servers: Iterable[asyncio.Server | Entrance]) -> None:
    for server in servers:
        server.close()


def _same_door(old: Terms, new: Terms) -> bool:
    """Whether new terms need no new server. An entrance asks for them with each connection."""
    return _is_asked(old) == _is_asked(new)


def _is_asked(terms: Terms) -> bool:
    """Whether something comes before the greeting: a PROXY header, a TLS handshake."""
    return bool(terms.proxies) or terms.implicit
