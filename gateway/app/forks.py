"""The supervisor's side of the fork server: what was forked, how it ends, and another fork server where one died."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.app.fork_server import NUMBER, Program, serve_forks
from gateway.app.interpreter import command, environment
from gateway.world.clock import Clock
from gateway.world.sockets import Socket, pair, send_sockets

ANSWER: Final = 10.0  # Seconds within which a fork server has forked; it takes milliseconds.


class Forked:
    """A process that the fork server forked. It is bound to the event loop in which `ended` is first awaited."""

    def __init__(self, pid: int, bond: Socket) -> None:
        self.pid = pid
        self._bond = bond
        self._end: asyncio.Task[int | None] | None = None

    async def ended(self) -> int | None:
        """Its exit status, or the negative number of the signal that ended it; None where nobody knows any more."""
        if self._end is None:
            self._end = asyncio.create_task(self._heard())
        return await asyncio.shield(self._end)

    @property
    def has_ended(self) -> bool:
        """Whether `ended` has been told."""
        return self._end is not None and self._end.done()

    def wait(self) -> int | None:
        """The same as `ended`, where no event loop runs. Blocks."""
        self._bond.settimeout(None)
        try:
            return _number(_exactly(self._bond))
        finally:
            self._bond.close()

    def signal(self, number: signal.Signals) -> None:
        """Send it that signal, unless it has ended."""
        if not self.has_ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def _heard(self) -> int | None:
        loop = asyncio.get_running_loop()
        self._bond.setblocking(False)
        octets = b""
        try:
            while len(octets) < NUMBER.size:
                part = await loop.sock_recv(self._bond, NUMBER.size - len(octets))
                if not part:
                    break
                octets += part
        except OSError:
            octets = b""
        finally:
            self._bond.close()
        if len(octets) < NUMBER.size:
            self._take_over()
        return _number(octets)

    def _take_over(self) -> None:
        """Its fork server died before it. If we are the first process of a container it was our child since then."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)


class Forks:
    """The fork server, as the supervisor has it. Made by `start`."""

    def __init__(self, config: Path, clock: Clock, anew: Sequence[str] | None = None) -> None:
        """`anew`: the command line of another fork server, whose channel will be its standard input."""
        self._anew = list(anew) if anew else command("fork-server", "--config", str(config))
        self._clock = clock
        self._started = clock.now()
        self._lock = threading.Lock()
        self._channel: Socket | None = None
        self._pid = 0
        self._has_ended = False  # And was waited for: its number may be another's by now.

    @classmethod
    def start(
        cls, config: Path, programs: Mapping[str, Program], clock: Clock, anew: Sequence[str] | None = None
    ) -> Forks:
        """Fork it off this process, which has loaded all that `programs` need, and has neither read settings nor
        started a thread. What is forked never returns from here. Raises OSError.
        """
        forks = cls(config, clock, anew)
        ours, theirs = pair()
        gc.collect()
        gc.freeze()  # A collection would write to each object that it looks at, and so end the sharing of its page.
        pid = os.fork()
        if pid == 0:
            ours.close()
            serve_forks(theirs, config, programs)
        theirs.close()
        forks._channel, forks._pid = ours, pid
        return forks

    @property
    def pid(self) -> int:
        """The fork server's process id."""
        return self._pid

    @property
    def runs(self) -> bool:
        """Whether it lives. Where it does not, the next `fork` starts another."""
        if self._pid and not self._has_ended:
            try:
                self._has_ended = os.waitpid(self._pid, os.WNOHANG)[0] != 0
            except ChildProcessError:
                self._has_ended = True
        return self._pid != 0 and not self._has_ended

    @property
    def started(self) -> float:
        """When it was, in seconds since 1970."""
        return self._started

    def fork(self, program: str, arguments: Mapping[str, Any], sockets: Sequence[Socket], title: str) -> Forked:
        """A process that runs `program`, with these sockets, which stay open here. Blocks for some milliseconds.

        `title` is what `ps` shows. Where the fork server has died, another is started first. Raises OSError.
        """
        note = json.dumps({"program": program, "arguments": arguments, "title": title}).encode()
        with self._lock:
            if self._channel is not None:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError, EOFError):
                    return self._asked(self._channel, note, sockets)
            try:
                return self._asked(self._start_anew(), note, sockets)
            except (BrokenPipeError, ConnectionResetError, EOFError) as error:
                raise OSError("the fork server ended at once; the log says why") from error

    def renew(self) -> bool:
        """Start another fork server where this one has died; whether it had. Blocks. Raises OSError."""
        with self._lock:
            died = not self.runs
            if died:
                self._start_anew()
            return died

    def close(self) -> None:
        """End the fork server. What it forked goes on, and is heard of no more."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.runs:
            with contextlib.suppress(ChildProcessError):
                os.kill(self._pid, signal.SIGKILL)  # It has nothing to finish.
                os.waitpid(self._pid, 0)
        self._pid = 0

    def _asked(self, channel: Socket, note: bytes, sockets: Sequence[Socket]) -> Forked:
        ours, theirs = pair()
        try:
            channel.settimeout(ANSWER)
            send_sockets(channel, note, [theirs, *sockets])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            ours.settimeout(ANSWER)
            pid = _number(_exactly(ours))
            if pid is None:
                raise EOFError("the fork server ended")
            if pid < 0:
                raise OSError(-pid, f"no process can be started: {os.strerror(-pid)}")
        except BaseException:
            ours.close()
            raise
        return Forked(pid, ours)

    def _start_anew(self) -> Socket:
        """From nothing: by now this process has threads and keys, and must not be forked."""
        self.close()
        ours, theirs = pair()
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                self._anew,
                environment(),
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)],
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._channel, self._has_ended, self._started = ours, False, self._clock.now()
        return ours


def _exactly(bond: Socket) -> bytes:
    octets = b""
    while len(octets) < NUMBER.size:
        try:
            part = bond.recv(NUMBER.size - len(octets))
        except ConnectionResetError:
            part = b""
        if not part:
            break
        octets += part
    return octets


def _number(octets: bytes) -> int | None:
    return int(NUMBER.unpack(octets)[0]) if len(octets) == NUMBER.size else None
