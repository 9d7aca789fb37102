"""The log: one line, one JSON object (structlog). Whoever tells something is never held up by the disk.

`Log.tell` puts facts into a queue; a thread renders and writes them in batches. The libraries' own logging comes the
same way. Content and secrets stay out, whatever is told: see `gateway.observe.redact`.
Leaves out: syslog, several files.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, Protocol

import structlog

from gateway.observe.journal import is_journal
from gateway.observe.pipe import RANKS, Line, Pipe
from gateway.world.clock import Clock

Level = Literal["debug", "info", "warning", "error"]

# Libraries tell of data at lower levels: aiosmtpd of commands, SQLAlchemy of parameters.
_LEAST_OF_LIBRARIES: Final = logging.WARNING


class Sink(Protocol):
    """Where lines go. `Pipe` fulfils it; so does the tests' fake."""

    least: int

    def put(self, line: Line) -> None:
        """Take a line. Never blocks."""

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until what was put before is written; False where `seconds` did not suffice. Blocks."""

    def close(self) -> None:
        """Write what is left and stop. Blocks."""


class Log:
    """Handed to whoever has something to tell. `bind` makes one that adds facts to each line, such as `id`."""

    __slots__ = ("_bound", "_clock", "_sink")

    def __init__(self, sink: Sink, clock: Clock, bound: Mapping[str, object] | None = None) -> None:
        self._sink = sink
        self._clock = clock
        self._bound: dict[str, object] = dict(bound or {})

    def tell(self, level: Level, event: str, /, **facts: object) -> None:
        """One line. `event` is a short constant; what varies is a fact. Facts are not to be changed afterwards."""
        sink = self._sink
        if RANKS[level] >= sink.least:
            sink.put((self._clock.now(), level, event, self._bound, facts))

    def bind(self, **facts: object) -> Log:
        """A log that tells the same place, with these facts on each line as well."""
        return Log(self._sink, self._clock, {**self._bound, **facts})

    def set_level(self, level: Level) -> None:
        """The least level written from now on, for every log of this process."""
        self._sink.least = RANKS[level]

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until what was told before is written; False where `seconds` did not suffice. Blocks."""
        return self._sink.flush(seconds)

    def close(self) -> None:
        """Write what is left, let go of the libraries' logging, stop. Blocks. What is told later is lost."""
        root = logging.getLogger()
        for handler in [one for one in root.handlers if isinstance(one, _Libraries) and one.sink is self._sink]:
            root.removeHandler(handler)
            structlog.reset_defaults()
        self._sink.close()


def configure(level: Level, file: Path | None, process: str, clock: Clock, *, journal: bool | None = False) -> Log:
    """Start this process' log: to `file`, or to standard error. `process` stands on each line.

    `journal`: lines on standard error have their priority in front; None: where the journal reads them. Takes over
    structlog and the standard library's root logger. Raises OSError where `file` can't be opened.
    """
    if journal is None:
        journal = is_journal(os.environ)
    sink = Pipe(level, file, process, journal=journal and file is None)
    log = Log(sink, clock)

    def to_sink(logger: object, method: str, event_dict: MutableMapping[str, Any]) -> NoReturn:
        event = str(event_dict.pop("event", ""))
        log.tell(_level_of(getattr(logging, method.upper(), logging.INFO)), event, **event_dict)
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, to_sink],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(_Libraries(sink, log))
    root.setLevel(_LEAST_OF_LIBRARIES)
    return log


def _level_of(number: int) -> Level:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    return "info" if number >= logging.INFO else "debug"


class _Libraries(logging.Handler):
    """Carries what libraries log into the same pipe."""

    def __init__(self, sink: Sink, log: Log) -> None:
        super().__init__(_LEAST_OF_LIBRARIES)
        self.sink = sink
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except Exception:  # A library's broken format string must not break us.
            text = str(record.msg)
        facts: dict[str, object] = {"logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            facts["error"] = record.exc_info[1]
        self._log.tell(_level_of(record.levelno), text, **facts)
