"""Kept connections, by connector and destination: who may open one, which one is at hand, when one ends.

Leaves out: opening them, which `reach` does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from gateway.connectors.model import Outbound
from gateway.delivery.client import NextHop
from gateway.world.clock import Clock

IDLE = 30.0  # Seconds that an unused connection is kept; RFC 5321 lets the host close after 5 minutes, many do sooner.

Key = tuple[str, str]  # connector, destination


@dataclass(slots=True, eq=False, kw_only=True)
class Link:
    """A connection and what is known of it. `outbound` is the very value under whose terms it was opened.

    `fallback` tells why it is in clear though the host offered TLS.
    """

    hop: NextHop
    outbound: Outbound
    host: str
    address: str
    tls_version: str | None = None
    tls_cipher: str | None = None
    authenticated: bool = False
    fallback: str | None = None
    carried: int = 0
    idle_since: float = 0.0


@dataclass(slots=True)
class _Lane:
    """The connections of one key. Those in use and those kept are together never more than the limit."""

    used: int = 0
    kept: list[Link] = field(default_factory=list)
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Pool:
    """Kept connections. `enter`, then `take` or open one, then `keep` or `drop` it, then `leave`."""

    def __init__(self, clock: Clock, idle: float = IDLE) -> None:
        self._clock = clock
        self._idle = idle
        self._lanes: dict[Key, _Lane] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self._closed = False

    async def enter(self, key: Key, limit: int) -> None:
        """Wait for one of the `limit` places of `key`. First come, first served."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        if lane.used < limit and not lane.waiting:
            lane.used += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        lane.waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                self.leave(key)  # The place was ours already; the next one gets it.
            else:
                with suppress(ValueError):  # `leave` may have passed it over already.
                    lane.waiting.remove(turn)
            raise

    def leave(self, key: Key) -> None:
        """Give the place to whoever waits, or free it."""
        lane = self._lanes[key]
        while lane.waiting:
            turn = lane.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        lane.used -= 1
        self._tidy(key, lane)

    def take(self, key: Key, outbound: Outbound) -> Link | None:
        """A kept connection that lives and was opened under these very terms (after a reload they are others)."""
        lane = self._lanes.get(key)
        while lane is not None and lane.kept:
            link = lane.kept.pop()  # The last one used is the one least likely to be dead.
            if link.outbound is outbound and link.hop.alive:
                return link
            self.drop(link)
        return None

    def keep(self, key: Key, link: Link) -> None:
        """Keep it for the next message, or end it: it has carried enough, or lives no more."""
        if self._closed or not link.hop.alive or link.carried >= link.outbound.messages_per_connection:
            self.drop(link)
            return
        link.idle_since = self._clock.monotonic()
        self._lanes.setdefault(key, _Lane()).kept.append(link)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    def drop(self, link: Link) -> None:
        """End it; QUIT is said without anybody waiting for it."""
        task = asyncio.get_running_loop().create_task(link.hop.quit())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """QUIT to all that are kept; what is in use ends as it comes back."""
        self._closed = True
        for key, lane in list(self._lanes.items()):
            for link in lane.kept:
                self.drop(link)
            lane.kept.clear()
            self._tidy(key, lane)
        sweeper = self._sweeper
        if sweeper is not None:
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)
        await asyncio.gather(*self._leaving)

    @property
    def kept(self) -> int:
        """How many connections wait for their next message."""
        return sum(len(lane.kept) for lane in self._lanes.values())

    async def _sweep(self) -> None:
        """End what was not used for long; ends itself when nothing is kept."""
        try:
            while self.kept:
                oldest = min(lane.kept[0].idle_since for lane in self._lanes.values() if lane.kept)
                await self._clock.sleep(max(0.0, oldest + self._idle - self._clock.monotonic()))
                limit = self._clock.monotonic() - self._idle
                for key, lane in list(self._lanes.items()):
                    # The first is the oldest: links go and come at the end.
                    while lane.kept and (lane.kept[0].idle_since <= limit or not lane.kept[0].hop.alive):
                        self.drop(lane.kept.pop(0))
                    self._tidy(key, lane)
        finally:
            self._sweeper = None

    def _tidy(self, key: Key, lane: _Lane) -> None:
        if not lane.used and not lane.kept and not lane.waiting:
            self._lanes.pop(key, None)
