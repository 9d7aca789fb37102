"""Postfix's smtp-sink: takes everything, and writes each message into a file."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.peers.ports import answers, free_port, until


@dataclass(frozen=True)
class Dumped:
    """One message as smtp-sink wrote it: line ends are LF, its own header fields on top are taken off."""

    sender: str
    recipients: tuple[str, ...]
    octets: bytes


class Sink:
    """Runs from `start` to `stop`. `options` are smtp-sink's own, such as `-f RCPT`."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None

    def start(self) -> Sink:
        program = shutil.which("smtp-sink") or shutil.which("/usr/sbin/smtp-sink")
        if program is None:
            pytest.skip("smtp-sink is not installed (Debian package postfix)")
        self.port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-sink-"))
        self._folder.chmod(0o777)  # As root smtp-sink writes as nobody.
        user = ["-u", "nobody"] if _root() else []
        self._process = subprocess.Popen(
            [program, "-4", *user, *self.options, "-d", f"{self._folder}/m.", f"127.0.0.1:{self.port}", "100"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: answers(self.port), "smtp-sink to listen")
        return self

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._process = self._folder = None

    def messages(self) -> list[Dumped]:
        """All that it took so far."""
        assert self._folder is not None
        return [one for file in sorted(self._folder.iterdir()) if (one := _read(file.read_bytes())) is not None]

    def wait(self, count: int, seconds: float = 20.0) -> list[Dumped]:
        """All that it took, once there are at least `count`."""
        until(lambda: len(self.messages()) >= count, f"{count} messages at smtp-sink", seconds)
        return self.messages()


def _read(dump: bytes) -> Dumped | None:
    """The dump has X-... fields for the envelope, then a Received field of its own, then the message."""
    sender, recipients, rest = "", [], dump
    while rest.startswith(b"X-"):
        line, _, rest = rest.partition(b"\n")
        name, _, value = line.decode("utf-8", "surrogateescape").partition(": ")
        if name == "X-Mail-Args":
            sender = value[value.index("<") + 1 : value.rindex(">")]
        elif name == "X-Rcpt-Args":
            recipients.append(value[value.index("<") + 1 : value.rindex(">")])
    if not rest.startswith(b"Received: ") or not rest.endswith(b"\n"):
        return None  # It is still being written.
    lines = rest.split(b"\n")
    own = 1
    while lines[own].startswith((b"\t", b" ")):
        own += 1
    return Dumped(sender, tuple(recipients), b"\n".join(lines[own:]))


def _root() -> bool:
    import os

    return os.geteuid() == 0
