"""The gateway as people run it: its own command line, in a folder of its own, on free ports of loopback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

from gateway.app.console import Console
from gateway.cli.story import spread
from tests.scenarios.peers.launcher import Launcher
from tests.scenarios.peers.ports import free_port, greets, until

COMMANDS = Launcher()
ROOT = Path(__file__).parents[3]
STOP = 40.0  # Seconds that a stop may take before it counts as failed; the settings' drain is 30 at most.


class Gateway:
    """`init`, then `start`; `stop` ends it with SIGTERM by its process id.

    `settings` is a template for string.Template, or None for those that `init` writes. PORT (the first listener's) is
    put in by itself, other values are handed in. `port` stays the same over restarts.
    """

    def __init__(self, folder: Path, settings: str | None, host: str = "127.0.0.1", **values: object) -> None:
        self.folder = folder
        self.host = host
        self.port = free_port(host)
        self.template = settings
        self.values = dict(values)
        self.process: subprocess.Popen[bytes] | None = None
        self._log = folder.with_name(folder.name + ".log")

    @property
    def config(self) -> Path:
        return self.folder / "gateway.toml"

    @property
    def log(self) -> str:
        """What it wrote to standard output and error."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def outbox(self) -> Path:
        return self.folder / "outbox"

    def init(self, *options: str) -> Gateway:
        """`gateway init`, with more options of it, and then the scenario's own settings."""
        listen = f"127.0.0.1:{self.port}"
        done = self.run(
            "init", str(self.folder), "--domain", "corp.example", "--listen", listen, *options, config=False
        )
        assert done.returncode == 0, done.stderr
        self.configure()
        return self

    def configure(self, **values: object) -> None:
        """Write the settings anew, with other values."""
        self.values |= values
        if self.template is not None:
            self.config.write_text(Template(self.template).substitute(PORT=self.port, **self.values))

    def start(self) -> Gateway:
        """`gateway serve`; returns once its first listener greets (which must not be an implicit one)."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
            )
        process = self.process
        until(
            lambda: process.poll() is not None or greets(self.port, self.host),
            f"the gateway to greet at {self.host}:{self.port}\n{self.log}",
            60.0,  # Where much else runs, to load the programs alone takes long.
        )
        assert process.poll() is None, f"the gateway ended with {process.returncode}\n{self.log}"
        # A worker greets a moment before the supervisor answers the command line.
        until(lambda: Console.open(self.config).serving, "the control socket to answer")
        return self

    def all_started(self) -> None:
        """Wait until every worker has started. Before that the death of one is a failed start: it ends the gateway."""
        self.ask("status")

    def retry_all(self) -> None:
        """`queue retry --all`, again where it says no: something is on the wire by itself already."""
        until(lambda: self.run("queue", "retry", "--all").returncode == 0, "all that waits to be tried")

    def stop(self) -> int | None:
        """Its exit status; None where it did not run."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP)
        except subprocess.TimeoutExpired:
            for pid in [*self.pids(), process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(10)
            raise AssertionError(f"the gateway did not stop within {STOP:.0f} s\n{self.log}") from None

    def kill(self) -> None:
        """`kill -9` to the supervisor; returns once none of its processes is left."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)
        self.process = None
        until(lambda: not self.pids(), "the workers of a killed supervisor to end", 10)

    def pids(self, word: str = "") -> list[int]:
        """Its processes: those with the settings' path in their command line, and `word` where one is given."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                # What is forked has its line in one piece; the first process has it in many.
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").split(b" ")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if str(self.config).encode() in line and state != "Z" and (not word or word.encode() in line):
                    found.append(int(entry.name))
        return found

    def workers(self) -> list[int]:
        """The processes that take mail."""
        return self.pids("worker")

    def run(self, *arguments: str, config: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """One command of the command line, as a person would type it."""
        named = ["--config", str(self.config)] if config else []
        return COMMANDS.run([*arguments, *named], stdin, 60)

    def json(self, *arguments: str) -> Any:
        """The JSON value that a command answers with."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stderr}\n{self.log}"
        return json.loads(done.stdout)

    def ask(self, command: str, **arguments: Any) -> Any:
        """What the command line asks the gateway, without starting a process for it: for whoever looks often."""
        return Console.open(self.config).ask(command, **arguments)

    def queue(self, queue_id: str | None = None) -> list[dict[str, Any]]:
        """The rows of `queue list`, of one message where one is named."""
        rows: list[dict[str, Any]] = self.ask("queue.list", ids=[queue_id] if queue_id else None)
        return rows

    def tried(self, queue_id: str) -> dict[str, Any]:
        """The row of a message with one delivery, once an attempt has failed."""
        return until(
            lambda: [one for one in self.queue(queue_id) if one["attempts"] and one["state"] != "sending"],
            f"a failed attempt of {queue_id}",
        )[0]

    def events(self, queue_id: str) -> list[dict[str, Any]]:
        """The story of one message, once there is one; one event for each thing that happened."""

        def look() -> list[dict[str, Any]]:
            stories = self.ask("trace", id=queue_id)
            return spread(stories[0]["events"]) if stories else []

        return until(look, f"a trace of {queue_id}")

    def story(self, queue_id: str, kind: str) -> list[dict[str, Any]]:
        """The events of one kind in that story, once there is one."""
        return until(
            lambda: [one for one in self.events(queue_id) if one["event"] == kind], f"{kind} in the trace of {queue_id}"
        )

    def drained(self, seconds: float = 30.0) -> None:
        """Wait until nothing lies in the queue."""
        until(lambda: not self.queue(), "an empty queue", seconds)

    def files(self, count: int, seconds: float = 20.0) -> list[Path]:
        """The messages in the outbox folder, once there are at least `count`."""

        def look() -> Sequence[Path]:
            found = sorted(self.outbox.glob("*.eml")) if self.outbox.is_dir() else []
            return found if len(found) >= count else []

        return list(until(look, f"{count} files in the outbox", seconds)) if count else []

    def remove(self) -> None:
        """Stop it and take its folder away."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
