"""What a confined process can do no more. Each is tried in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.world import confinement

ROOT = Path(__file__).parents[3]
BEGINNING = """
import os, sys, socket, mmap
from gateway.world.confinement import confine
inside, outside = socket.socketpair()
confine(memory=1 << 30, seconds={seconds}, output=1000)
try:
    {attempt}
except OSError as error:
    print(error.errno)
else:
    print("done")
"""


def attempt(what: str, seconds: int = 10) -> tuple[int, str]:
    """Exit status and what it said."""
    program = BEGINNING.format(attempt=what, seconds=seconds)
    command, environment = [sys.executable, "-P", "-c", program], {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout.strip()


def test_what_this_machine_lacks_is_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    assert confinement.lacking() is None
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: SimpleNamespace(prctl=lambda *_: -1))
    assert confinement.lacking() == "a kernel without seccomp"
    monkeypatch.setattr("sys.platform", "freebsd14")
    assert confinement.lacking() == "no Linux"
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert "riscv64" in str(confinement.lacking())


@pytest.mark.parametrize(
    "what",
    [
        "open('/etc/passwd')",
        "open('new', 'w')",
        "os.stat('/etc/passwd')",
        "os.listdir('/')",
        "os.unlink('none')",
        "socket.socket()",
        "inside.send(b'x')",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "os.setuid(0)",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    ],
)
def test_no_file_no_socket_and_no_process_is_reached(what: str) -> None:
    assert attempt(what) == (0, "1"), "EPERM"


def test_threads_that_were_there_before_are_confined_too() -> None:
    program = """
import threading
from gateway.world.confinement import confine
is_confined, said = threading.Event(), []
def other():
    is_confined.wait()
    try:
        open("/etc/passwd")
    except OSError as error:
        said.append(error.errno)
thread = threading.Thread(target=other)
thread.start()
confine(memory=1 << 30, seconds=10, output=1000)
is_confined.set()
thread.join()
print(said)
"""
    command, environment = [sys.executable, "-P", "-c", program], {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "[1]\n")


@pytest.mark.parametrize("what", ["bytearray(1 << 20)", "print(sum(range(1000)))", "os.write(1, b'')", "os.urandom(4)"])
def test_computing_and_answering_go_on(what: str) -> None:
    status, said = attempt(what)
    assert status == 0 and said.endswith("done")


def test_memory_has_an_end() -> None:
    status, said = attempt("bytearray(2 << 30)")
    assert status == 1 and said == "", "a MemoryError"


def test_time_has_an_end() -> None:
    status, said = attempt("while True: pass", seconds=1)
    assert status < 0 and said == ""
