"""A log that keeps what it was told."""

from __future__ import annotations

from gateway.observe.log import Log
from gateway.observe.pipe import RANKS, Line
from tests.fakes.clock import FakeClock


class FakeSink:
    """Keeps lines. `lines` are (level, event, all facts)."""

    def __init__(self) -> None:
        self.least = RANKS["debug"]
        self.lines: list[tuple[str, str, dict[str, object]]] = []
        self.closed = False

    def put(self, line: Line) -> None:
        _, level, event, bound, facts = line
        self.lines.append((level, event, {**bound, **facts}))

    def flush(self, seconds: float = 5.0) -> bool:
        return True

    def close(self) -> None:
        self.closed = True

    def events(self) -> list[str]:
        """What was told, without the facts."""
        return [event for _, event, _ in self.lines]


def fake_log() -> tuple[Log, FakeSink]:
    """A log and what it was told."""
    sink = FakeSink()
    return Log(sink, FakeClock()), sink
