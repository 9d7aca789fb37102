"""From whoever tells something to the file: a bounded queue and a thread that renders and writes in batches."""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from gateway.observe.journal import PREFIXES
from gateway.observe.redact import cut, redact
from gateway.world.clock import rfc3339

# Time (seconds since 1970), level, event, bound facts, facts of this line.
Line = tuple[float, str, str, Mapping[str, object], Mapping[str, object]]

RANKS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

MAX_LINES: Final = 50_000  # Waiting at once, some 50 MB: above it debug and info are dropped,
MAX_URGENT: Final = 100_000  # and above this everything.
BATCH: Final = 1000
GATHER: Final = 0.02  # Seconds in which lines gather, so that the thread wakes 50 times a second and not for each line.


def _encode(value: object, default: object = None, **_: object) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # Numbers beyond 64 bits, keys that are no text: rare enough to be slow.
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str, allow_nan=False)


class Pipe:
    """A log's sink. `put` takes well under a microsecond and never blocks; what is too much is dropped and counted."""

    def __init__(self, level: str, file: Path | None, process: str, *, journal: bool = False) -> None:
        """`journal`: each line has its priority in front. Raises OSError where `file` can't be opened."""
        self._prefixes: Mapping[str, str] = PREFIXES if journal else {}
        self.least = RANKS[level]
        self._process = process
        self._file = file
        self._descriptor = 2 if file is None else _open(file)
        self._render_json = structlog.processors.JSONRenderer(serializer=_encode)
        self._lines: deque[Line | threading.Event] = deque()
        self._dropped = 0
        self._dropped_lock = threading.Lock()
        self._more = threading.Event()
        self._hurry = threading.Event()
        self._closed = False
        self._torn = False  # Whether the last write ended within a line.
        self._last = 0.0  # The time of the newest line, for lines of the pipe's own.
        self._second = (-1, "")
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: Line) -> None:
        """Take a line."""
        if self._closed:
            return
        lines = self._lines
        if len(lines) >= MAX_LINES and (RANKS[line[1]] < RANKS["warning"] or len(lines) >= MAX_URGENT):
            with self._dropped_lock:
                self._dropped += 1
            return
        lines.append(line)
        if not self._more.is_set():
            self._more.set()

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until what was put before is written; False where `seconds` did not suffice. Blocks."""
        if self._closed:
            return True
        written = threading.Event()
        self._lines.append(written)
        self._hurry.set()
        self._more.set()
        return written.wait(seconds)

    def close(self) -> None:
        """Write what is left and stop. Blocks."""
        if not self._closed:
            self.flush()
            self._closed = True
            self._hurry.set()
            self._more.set()
            self._thread.join(5.0)
            if self._file is not None and not self._thread.is_alive():
                os.close(self._descriptor)

    # -- on the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed:
            self._more.wait()
            self._hurry.wait(GATHER)
            # Cleared before the queue is emptied: what comes in between sets them again.
            self._hurry.clear()
            self._more.clear()
            while self._lines:
                self._write_batch()

    def _write_batch(self) -> None:
        rendered: list[str] = []
        waiting: list[threading.Event] = []
        while self._lines and len(rendered) < BATCH and not waiting:
            line = self._lines.popleft()
            if isinstance(line, threading.Event):
                waiting.append(line)
            else:
                rendered.append(self._render(line))
        with self._dropped_lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            facts = {"lines": dropped, "reason": "the log could not be written as fast as it was told"}
            rendered.append(self._render((self._last, "warning", "log_lines_dropped", {}, facts)))
        if rendered and not self._write("".join(rendered).encode("utf-8")):
            with self._dropped_lock:
                self._dropped += len(rendered)
        for one in waiting:
            one.set()

    def _render(self, line: Line) -> str:
        time, level, event, bound, facts = line
        self._last = time
        head: dict[str, Any] = {"time": self._time(time), "level": level, "process": self._process, "event": cut(event)}
        prefix = self._prefixes.get(level, "")
        try:
            return f"{prefix}{self._json(head | redact(bound) | redact(facts))}\n"
        except Exception as error:  # No fact, however odd, may stop the log.
            return f"{prefix}{self._json(head | {'unreadable': type(error).__qualname__})}\n"

    def _json(self, value: dict[str, Any]) -> str:
        return str(self._render_json(None, "", value))

    def _time(self, time: float) -> str:
        second = int(time // 1)
        if second != self._second[0]:
            self._second = (second, rfc3339(second)[:20])
        return f"{self._second[1]}{int((time - second) * 1000):03d}Z"

    def _write(self, octets: bytes) -> bool:
        """Whether all of it was written."""
        try:
            self._reopen()
            rest = memoryview(b"\n" + octets if self._torn else octets)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
                self._torn = bool(rest)
        except OSError:
            return False  # Disk full, or nobody reads our standard error: told with the next lines that can be written.
        return True

    def _reopen(self) -> None:
        """Follow a file that was rotated: another one, or none, has its name now."""
        if self._file is None:
            return
        ours = os.fstat(self._descriptor)
        try:
            there = self._file.stat()
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                return
        except FileNotFoundError:
            pass
        try:
            fresh = _open(self._file)
        except OSError:
            return  # Better into the old file than nowhere.
        os.close(self._descriptor)
        self._descriptor = fresh


def _open(file: Path) -> int:
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
