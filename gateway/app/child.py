"""One worker as the supervisor sees it: a process, a channel to ask it, a channel to hand it sockets."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.app.channel import Channel, Closed, Fault
from gateway.app.face import Face
from gateway.app.forks import Forked, Forks
from gateway.app.handover import encoded
from gateway.settings.load import Loaded
from gateway.world.clock import Clock
from gateway.world.sockets import Socket, pair, send_sockets

START = 30.0  # Seconds in which a worker has to be ready.


class WorkerFailed(Exception):
    """It ended before it was ready; its own words stand in the log."""


class Child:
    """One process. Made by `start`; ended by `stop` or by itself."""

    def __init__(
        self,
        number: int,
        config: Path,
        clock: Clock,
        forks: Forks,
        masters: Mapping[str, bytes] | None = None,
        *,
        face: Face | None = None,
    ) -> None:
        """`masters`: master keys of vaults that the worker can't open by itself, by the vaults' names. `face`: what
        it serves instead of listeners.
        """
        self._face = None if face is None else face.name
        self.number = number
        self._forks = forks
        self._masters = encoded(masters or {})
        self.started = clock.now()
        self._config = config
        self._clock = clock
        self._process: Forked | None = None
        self._channel: Channel | None = None
        self._handover: Socket | None = None
        self.ready = False
        self._unwanted = False  # Told to end, maybe before there was a process.

    @property
    def pid(self) -> int:
        """Its process id."""
        return 0 if self._process is None else self._process.pid

    async def start(self, settings: Loaded, sockets: Mapping[str, Sequence[Socket]], tasks: asyncio.TaskGroup) -> None:
        """Start it and wait until it serves. Raises WorkerFailed, OSError."""
        ours, theirs = pair()
        hand, taken = pair()
        title = f"gateway worker --config {self._config} --number {self.number}"
        if self._face is not None:
            title += f" --face {self._face}"
        arguments = {"number": self.number, "face": self._face}
        try:
            self._process = await asyncio.to_thread(self._forks.fork, "worker", arguments, (theirs, taken), title)
        finally:
            theirs.close()
            taken.close()
        self._handover = hand
        if self._unwanted:
            self.kill()
            raise WorkerFailed(f"worker {self.number} was told to end while it was started")
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours, limit=256 << 20)  # noqa: TID251 - no new socket
        self._channel = Channel(reader, writer)
        tasks.create_task(self._channel.run())
        try:
            await asyncio.to_thread(self.hand, settings, sockets)
            async with self._clock.timeout(START):
                await self.ask("ready", {})
        except (Closed, Fault, OSError) as error:
            self.kill()
            raise WorkerFailed(f"worker {self.number} did not start") from error
        self.ready = True

    def hand(self, settings: Loaded, sockets: Mapping[str, Sequence[Socket]]) -> None:
        """Hand it settings and the sockets of each listener; it takes them at its start and at a reload. Blocks; raises
        Closed.

        Settings and rules as they were validated: what stands in the files when a worker is started again may be
        anything.
        """
        if self._handover is None:
            raise Closed
        self._handover.setblocking(True)
        note = {
            "listeners": [name for name, doors in sockets.items() for _ in doors],
            "settings": settings.octets.decode("utf-8"),
            "rules": settings.rules,
            "masters": self._masters,  # Over this socket alone: neither the environment nor a disk sees them.
        }
        handed = [door for doors in sockets.values() for door in doors]
        send_sockets(self._handover, json.dumps(note, ensure_ascii=False).encode(), handed)

    async def ask(self, command: str, arguments: dict[str, Any]) -> Any:
        """Its answer. Raises Fault, Closed."""
        if self._channel is None:
            raise Closed
        return await self._channel.ask(command, arguments)

    async def ended(self) -> int | None:
        """Wait for its end; the exit status, as far as it is known. Raises Closed where it never began."""
        if self._process is None:
            raise Closed
        status = await self._process.ended()
        self.ready = False
        if self._channel is not None:
            self._channel.close()
        if self._handover is not None:
            self._handover.close()
        return status

    def terminate(self) -> None:
        """Ask it to finish what is in hand and end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it now; its spool continues with the next."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        self._unwanted = True
        if self._process is not None:
            self._process.signal(number)
