"""Runs `gateway` commands without loading its libraries for each: a process that has them forks for every command.

What a command does is what it does for a person: arguments, standard streams, environment and exit status are its own,
and nothing that it leaves behind in its process is seen by another. Only `python -m gateway` itself is passed over,
whose half second of loading would be most of what the scenarios take; those about starting start it in earnest.

Three processes take part: the launcher, a watcher that it forks for each command, and the command, which leads a
session of its own. The watcher kills that session when nobody waits for it any more, so that nothing outlives the
tests, whichever way they end.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[3]
MOST = 1 << 20  # Octets of a request, arguments and environment; as set up by default, the kernel takes fewer.
AFTER = 10.0  # Seconds until what a command that has ended wrote must have been read.


class Launcher:
    """Started with the first command, ended with this process. A command is `main` of the module `program`."""

    def __init__(self, program: str = "gateway") -> None:
        self._program = program
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def run(self, arguments: Sequence[str], stdin: str | None, seconds: float) -> subprocess.CompletedProcess[str]:
        """As subprocess.run of the program with text. Raises subprocess.TimeoutExpired; the command is killed then.

        Raises RuntimeError where the launcher itself failed, or where somebody still holds the command's output after
        its end.
        """
        name = [self._program, *arguments]
        out, err, told, feed = self._asked(arguments)
        texts: list[bytes] = [b"", b""]
        threads = [
            threading.Thread(target=_collect, args=(out, texts, 0), daemon=True),
            threading.Thread(target=_collect, args=(err, texts, 1), daemon=True),
            threading.Thread(target=_pour, args=(feed, (stdin or "").encode()), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            said = _heard(told, seconds)
        finally:
            os.close(told)  # Whatever of the command is left, is killed now.
            for thread in threads:
                thread.join(AFTER)
        if said is None:
            raise subprocess.TimeoutExpired(name, seconds, *texts)
        if not said:
            raise RuntimeError(f"the launcher of commands has failed; what it wrote to standard error says why: {name}")
        if any(thread.is_alive() for thread in threads):
            raise RuntimeError(f"a process that {name} left behind keeps its output open")
        # As text mode has it: universal newlines.
        shown = (text.decode().replace("\r\n", "\n").replace("\r", "\n") for text in texts)
        return subprocess.CompletedProcess(name, int(said), *shown)

    def _asked(self, arguments: Sequence[str]) -> tuple[int, int, int, int]:
        """Have it started; our ends of its pipes: output, errors, how it ended, input."""
        given, feed = os.pipe()
        (out, into_out), (err, into_err), (told, tell) = (os.pipe() for _ in range(3))
        try:
            self._send(arguments, (given, into_out, into_err, tell))
        except BaseException:
            for one in (out, err, told, feed):
                os.close(one)
            raise
        finally:
            for one in (given, into_out, into_err, tell):
                os.close(one)
        return out, err, told, feed

    def _send(self, arguments: Sequence[str], descriptors: Sequence[int]) -> None:
        request = json.dumps({"arguments": list(arguments), "environment": dict(os.environ)}).encode()
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self.end()
                self._start()
            assert self._socket is not None
            socket.send_fds(self._socket, [request], descriptors)

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MOST)
        command = [sys.executable, "-m", "tests.scenarios.peers.launcher", str(theirs.fileno()), self._program]
        # In a process group of its own: Ctrl-C in a terminal is for the tests, whose end is its end.
        with theirs:
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], cwd=ROOT, stdin=subprocess.DEVNULL, process_group=0
            )
        self._socket = ours
        atexit.register(self.end)

    def end(self) -> None:
        """End the process, if there is one. What it has forked ends by itself."""
        atexit.unregister(self.end)
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.wait(20)
        self._process = self._socket = None


def _collect(descriptor: int, texts: list[bytes], place: int) -> None:
    with os.fdopen(descriptor, "rb") as pipe:
        texts[place] = pipe.read()


def _pour(descriptor: int, octets: bytes) -> None:
    try:
        with os.fdopen(descriptor, "wb") as pipe:
            pipe.write(octets)
    except BrokenPipeError:  # It did not ask for all of it.
        pass


def _heard(told: int, seconds: float) -> bytes | None:
    """What the watcher says at the end; nothing where it was cut off, None where that took too long."""
    ready, _, _ = select.select([told], [], [], seconds)
    return os.read(told, 100) if ready else None


# -- the process that has the libraries -------------------------------------------------------------------------------


def serve(door: socket.socket, program: str) -> None:
    """Fork for each request until the other side is gone."""
    _load(program)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for those that watch.
    while True:
        request, descriptors, _, _ = socket.recv_fds(door, MOST, 4)
        if not request:
            return
        if os.fork() == 0:
            try:
                door.close()
                _watch(program, json.loads(request), descriptors)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            os._exit(1)
        for one in descriptors:
            os.close(one)


def _load(program: str) -> None:
    """What most commands import, so that each child has it at once."""
    if program != "gateway":
        return
    import alembic.command
    import alembic.config  # noqa: F401

    import gateway.app.check
    import gateway.app.console
    import gateway.app.init
    import gateway.cli.main  # noqa: F401

    # A thread would be missing in the children, with whatever lock it held.
    assert threading.active_count() == 1, threading.enumerate()


def _watch(program: str, request: dict[str, object], descriptors: Sequence[int]) -> None:
    """Fork once more; tell how that ended, or kill it when nobody listens."""
    given, out, err, tell = descriptors
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        os.close(tell)
        for place, one in enumerate((given, out, err)):
            os.dup2(one, place)
            os.close(one)
        _become(program, request)
    for one in (given, out, err):
        os.close(one)
    ended = os.pidfd_open(pid)
    waiting = select.poll()
    waiting.register(ended, select.POLLIN)
    waiting.register(tell, 0)  # Which says POLLERR once the other end is closed.
    if ended in dict(waiting.poll()):
        _, status = os.waitpid(pid, 0)
        os.write(tell, b"%d" % os.waitstatus_to_exitcode(status))
        return
    # It has not been waited for, so the number is still its own; where it has not come to setsid, it has done nothing.
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os.waitpid(pid, 0)


def _become(program: str, request: dict[str, object]) -> NoReturn:
    """Be the command, and end as Python ends it."""
    environment, arguments = request["environment"], request["arguments"]
    assert isinstance(environment, dict) and isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = [program, *arguments]
    sys.orig_argv = [sys.executable, "-m", program, *arguments]
    # What the locale asks for, Python has found out when it started this process.
    sys.stdin = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)
    sys.stdout = open(1, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors, closefd=False)
    sys.stderr = open(2, "w", encoding=sys.stderr.encoding, errors="backslashreplace", closefd=False, buffering=1)
    code = 1
    try:
        importlib.import_module(f"{program}.__main__" if program == "gateway" else program).main()
        code = 0
    except SystemExit as ended:
        code = _status(ended.code)
    except BaseException:  # What Python itself would print.
        sys.excepthook(*sys.exc_info())
    try:
        threading._shutdown()  # type: ignore[attr-defined] # waits for threads, as at the end of every program
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 120  # As Python has it.
    os._exit(code & 0xFF)


def _status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    sys.stderr.write(f"{code}\n")
    return 1


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
