"""The fork server: a process that has loaded what workers run, and forks one whenever the supervisor asks (DESIGN 4).

To load it takes a second and more of CPU and some 70 MiB. Loaded once, a worker is there in milliseconds, and shares
those pages with the others and with the supervisor. The fork server begins before the settings are read: it never holds
keys or mail, has one thread, and no descriptors but standard output and error and its channel. So what it forks
inherits nothing but code.

    channel   a request {"program": ..., "arguments": {...}, "title": ...} and sockets, of which the first is the bond
    bond      4 octets: the process id, or a negative errno; and once that process has ended, 4 octets: its exit status,
              or the negative number of the signal that ended it. Without those: the fork server died before it did

The bond's end is held by the fork server and by the process. It ends when the supervisor's end of the channel closes;
the workers then see that theirs does.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from setproctitle import setproctitle

from gateway.world.notify import NAMES
from gateway.world.sockets import Socket, adopt, pair, receive_sockets

NUMBER: Final = struct.Struct(">i")

# Given the settings' path, arguments and sockets; the exit status comes back.
Program: TypeAlias = Callable[[Path, dict[str, Any], list[Socket]], int]


def serve_forks(channel: Socket, config: Path, programs: Mapping[str, Program]) -> NoReturn:
    """Fork programs until the channel closes. Ends the process: it may be the fork server's or one that was forked."""
    status = 1
    try:
        status = _ForkServer(channel, config, programs).run()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        # At once: exit handlers and threads are those of the process that was forked, and all that counts is on disk.
        _flush()
        os._exit(status & 0xFF)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):  # Closed, a full disk, or there is none.
            continue


class _ForkServer:
    def __init__(self, channel: Socket, config: Path, programs: Mapping[str, Program]) -> None:
        self._channel = channel
        self._config = config
        self._programs = programs
        self._bonds: dict[int, Socket] = {}  # By process id.
        self._woken, self._waking = pair()

    def run(self) -> int:
        """The exit status: of the fork server, or, in a process that was forked, of its program."""
        setproctitle(f"gateway fork-server --config {self._config}")
        _leave_terminal()
        self._channel.setblocking(True)
        self._woken.setblocking(False)
        self._waking.setblocking(False)
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._woken in ready:
                    self._woken.recv(4096)
                    self._reap()
                if self._channel in ready:
                    try:
                        note, sockets = receive_sockets(self._channel)
                    except EOFError:
                        return 0
                    become = self._fork(json.loads(note), sockets)
                    if become is not None:
                        selector.close()
                        return become()

    def _fork(self, request: dict[str, Any], sockets: list[Socket]) -> Callable[[], int] | None:
        """None in the fork server; in the process that was forked, what it is to run."""
        bond, *handed = sockets
        try:
            pid = os.fork()
        except OSError as error:
            _say(bond, -(error.errno or 1))
            bond.close()
            pid = -1
        if pid == 0:
            self._forget()
            setproctitle(request["title"])
            program = self._programs[request["program"]]
            return lambda: _bound(bond, program, self._config, request["arguments"], handed)
        for one in handed:
            one.close()
        if pid > 0:
            self._bonds[pid] = bond
            _say(bond, pid)
        return None

    def _forget(self) -> None:
        """What is the fork server's, and not that of what it forks."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()  # Ctrl-C goes to a whole group: the supervisor alone shall hear it, and end us in order.
        for one in (self._channel, self._woken, self._waking, *self._bonds.values()):
            one.close()
        self._bonds.clear()

    def _reap(self) -> None:
        while self._bonds:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if (bond := self._bonds.pop(pid, None)) is not None:
                _say(bond, os.waitstatus_to_exitcode(status))
                bond.close()


def _bound(bond: Socket, program: Program, config: Path, arguments: dict[str, Any], sockets: list[Socket]) -> int:
    """Run it, with the bond open as long as that lasts."""
    try:
        return program(config, arguments, sockets)
    finally:
        bond.close()


def _leave_terminal() -> None:
    """No terminal, no standard input, and no way to the service's manager, who listens to the first process alone."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    if nothing:
        os.close(nothing)
    for name in NAMES:
        os.environ.pop(name, None)


def _say(bond: Socket, number: int) -> None:
    try:
        bond.sendall(NUMBER.pack(number))
    except OSError:  # Nobody waits for it any more.
        return


def adopt_standard_input() -> Socket:
    """The channel of a fork server that was started anew: it came as descriptor 0."""
    return adopt(os.dup(0))
