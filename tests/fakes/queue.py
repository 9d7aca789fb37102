"""A queue in memory that keeps to the contract of `gateway.delivery.queue.Queue`, leases included."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from gateway.mail.delivery import Delivery, State
from gateway.mail.message import Content, Held
from gateway.observe.events import Event
from gateway.storage.sealer import SealBroken


class FakeQueue:
    """`rows` are the deliveries as they are stored, `leased` the ids of those given out, `events` what was told.

    `settled` are the ids that are done, `reads` those whose content was read, `asked` limit and busy of each due.
    Switches: `broken` are ids whose content does not open; `fail_reads`, `fail_writes` how many calls raise first;
    `fenced`: nothing may be sent now.
    """

    def __init__(self, *deliveries: Delivery, octets: bytes = b"Subject: x\r\n\r\nx\r\n") -> None:
        self.rows: dict[str, Delivery] = {}
        self.leased: set[str] = set()
        self.events: list[Event] = []
        self.settled: list[str] = []
        self.octets = octets
        self.broken: set[str] = set()
        self.fenced = False
        self.fail_reads = 0
        self.fail_writes = 0
        self.reads: list[str] = []
        self.asked: list[tuple[int, set[tuple[str, str]]]] = []
        self.put(*deliveries)

    def put(self, *deliveries: Delivery) -> None:
        """Store them, leased to nobody."""
        for delivery in deliveries:
            self.rows[delivery.id] = delivery

    def accept(self, *deliveries: Delivery) -> None:
        """Store them, leased to the caller, as after a 250."""
        self.put(*deliveries)
        self.leased.update(delivery.id for delivery in deliveries)

    def kinds(self) -> list[str]:
        """The kinds of the events so far."""
        return [event.event for event in self.events]

    def _open(self, now: float | None) -> list[Delivery]:
        rows = [row for row in self.rows.values() if row.id not in self.leased and row.state is not State.HELD]
        if now is not None:
            rows = [row for row in rows if row.next_attempt <= now]
        return sorted(rows, key=lambda row: row.next_attempt)

    async def due(self, now: float, limit: int, busy: Collection[tuple[str, str]]) -> list[Delivery]:
        self.asked.append((limit, set(busy)))
        if self.fail_reads:
            self.fail_reads -= 1
            raise OSError(5, "Input/output error")
        rows = [row for row in self._open(now) if (row.connector, row.destination) not in busy][:limit]
        self.leased.update(row.id for row in rows)
        return rows

    async def next_due(self) -> float | None:
        rows = self._open(None)
        return rows[0].next_attempt if rows else None

    async def content(self, delivery: Delivery) -> Content:
        self.reads.append(delivery.id)
        if delivery.id in self.broken:
            raise SealBroken("the octets do not open")
        return Held(self.octets)

    async def done(self, delivery: Delivery, events: Sequence[Event]) -> None:
        self._write()
        del self.rows[delivery.id]
        self.settled.append(delivery.id)
        self.leased.remove(delivery.id)
        self.events += events

    async def postpone(self, delivery: Delivery, events: Sequence[Event]) -> None:
        self._write()
        assert delivery.id in self.rows
        self.rows[delivery.id] = delivery
        self.leased.remove(delivery.id)
        self.events += events

    def may_send(self, delivery: Delivery) -> bool:
        return delivery.id in self.leased and not self.fenced

    async def unlease(self, delivery: Delivery) -> None:
        self.leased.remove(delivery.id)

    def change(self, id_: str, *, state: State | None = None, next_attempt: float | None = None) -> None:
        """What an administrator's command does to a row that nobody has in hand."""
        assert id_ not in self.leased
        row = self.rows[id_]
        self.rows[id_] = replace(
            row,
            state=row.state if state is None else state,
            next_attempt=row.next_attempt if next_attempt is None else next_attempt,
        )

    def _write(self) -> None:
        if self.fail_writes:
            self.fail_writes -= 1
            raise OSError(28, "No space left on device")
