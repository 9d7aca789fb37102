"""Programs for a fork server, and a process that has it fork them: `python -m tests.fakes.forking WHAT`.

A process of its own, since the tests' has threads. What came of it goes to standard output as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import ssl
import sys
import threading
from pathlib import Path
from typing import Any

from gateway.app.fork_server import Program, adopt_standard_input, serve_forks
from gateway.app.forks import Forked, Forks
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock
from gateway.world.sockets import Socket, pair

CONFIG = Path("/nowhere/gateway.toml")
CHANCE = SystemChance()


def look(config: Path, arguments: dict[str, Any], sockets: list[Socket]) -> int:
    """Say over the socket what it is like in here, and end with the status that was asked for."""
    open_ = sorted(int(one) for one in os.listdir("/proc/self/fd"))
    seen = {
        "config": str(config),
        "arguments": arguments,
        "title": Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").decode(),
        "notify": os.environ.get("NOTIFY_SOCKET"),
        "leads": os.getsid(0) == os.getpid(),
        "threads": threading.active_count(),
        "stdin": os.readlink("/proc/self/fd/0"),
        # One of them looked at the folder and is closed again; the bond and the socket are two.
        "open": len([one for one in open_ if one > 2]) - 3,
        "child signals": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL,
        "drawn": [CHANCE.octets(16).hex(), ssl.RAND_bytes(16).hex(), random.random()],
    }
    sockets[0].setblocking(True)
    sockets[0].sendall(json.dumps(seen).encode())
    return int(arguments["status"])


def stay(config: Path, arguments: dict[str, Any], sockets: list[Socket]) -> int:
    """Until the other end closes."""
    sockets[0].setblocking(True)
    sockets[0].sendall(b"here")
    while sockets[0].recv(100):
        pass
    return 5


def fail(config: Path, arguments: dict[str, Any], sockets: list[Socket]) -> int:
    raise ZeroDivisionError("as it was meant to")


PROGRAMS: dict[str, Program] = {"look": look, "stay": stay, "fail": fail}


def started(forks: Forks, program: str, **arguments: Any) -> tuple[Forked, Socket]:
    """It, and our end of its socket."""
    ours, theirs = pair()
    one = forks.fork(program, arguments, [theirs], f"gateway {program} --config {CONFIG}")
    theirs.close()
    ours.settimeout(20)
    return one, ours


def everything(socket: Socket) -> bytes:
    octets = b""
    while part := socket.recv(1 << 16):
        octets += part
    return octets


def inside(forks: Forks) -> Any:
    CHANCE.octets(8)  # So that there is a store that could be shared.
    found = []
    for status in (0, 7):
        one, socket = started(forks, "look", status=status)
        found.append({**json.loads(everything(socket)), "pid": one.pid, "ended": one.wait()})
    return found


def ends(forks: Forks) -> Any:
    async def heard() -> list[int | None]:
        killed, socket = await asyncio.to_thread(started, forks, "stay")
        await asyncio.to_thread(socket.recv, 4)
        waits = asyncio.gather(killed.ended(), killed.ended())
        killed.signal(signal.SIGKILL)
        left, other = await asyncio.to_thread(started, forks, "stay")
        await asyncio.to_thread(other.recv, 4)
        other.close()
        failed, _ = await asyncio.to_thread(started, forks, "fail")
        both = await waits
        killed.signal(signal.SIGKILL)  # Nothing happens to whoever may have its number by now.
        return [*both, await left.ended(), await failed.ended()]

    return asyncio.run(heard())


def orphans(forks: Forks) -> Any:
    """The fork server dies; what it forked goes on, and another forks more."""

    async def heard() -> dict[str, Any]:
        first, socket = await asyncio.to_thread(started, forks, "stay")
        await asyncio.to_thread(socket.recv, 4)
        before = forks.pid
        os.kill(before, signal.SIGKILL)
        second, other = await asyncio.to_thread(started, forks, "look", status=3)
        seen = json.loads(await asyncio.to_thread(everything, other))
        waiting = asyncio.ensure_future(first.ended())
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        lives = not done and Path(f"/proc/{first.pid}").exists()
        socket.close()
        return {
            "another": forks.pid not in (0, before),
            "lives": lives,
            "first": await waiting,
            "second": await second.ended(),
            "title": seen["title"],
        }

    return asyncio.run(heard())


def alone(forks: Forks) -> Any:
    """Who asked is gone: so is the fork server, and nothing that it forked."""
    one, socket = started(forks, "stay")
    socket.recv(4)
    assert forks._channel is not None
    forks._channel.close()
    forks._channel = None
    os.waitpid(forks.pid, 0)
    forks._pid = 0
    lives = Path(f"/proc/{one.pid}").exists()
    socket.close()
    return {"lives": lives, "ended": one.wait()}


def never(forks: Forks) -> Any:
    """Another fork server does not start either."""
    os.kill(forks.pid, signal.SIGKILL)
    forks._anew = [sys.executable, "-c", "raise SystemExit(3)"]
    told = []
    for _ in range(2):
        try:
            started(forks, "look", status=0)
        except OSError as error:
            told.append(str(error))
    return told


def main(what: str) -> None:
    if what == "fork-server":
        serve_forks(adopt_standard_input(), CONFIG, PROGRAMS)
    os.environ["NOTIFY_SOCKET"] = "/nowhere/notify"
    anew = [sys.executable, "-m", "tests.fakes.forking", "fork-server"]
    forks = Forks.start(CONFIG, PROGRAMS, SystemClock(), anew)
    try:
        acts = {one.__name__: one for one in (inside, ends, orphans, alone, never)}
        print(json.dumps(acts[what](forks)))
    finally:
        forks.close()


if __name__ == "__main__":
    main(sys.argv[1])
