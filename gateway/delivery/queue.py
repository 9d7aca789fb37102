"""What delivery asks of the queue's storage. The spool fulfils it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from gateway.mail.delivery import Delivery
from gateway.mail.message import Content
from gateway.observe.events import Event


class Queue(Protocol):
    """Deliveries that lie in storage. A leased one is given to nobody else until `done`, `postpone` or `unlease`."""

    async def due(self, now: float, limit: int, busy: Collection[tuple[str, str]]) -> list[Delivery]:
        """Lease at most `limit` deliveries that are ready or waiting with next_attempt <= now, earliest first.

        `busy` are (connector, destination) pairs that have enough in hand: nothing for them is given out.
        """

    async def next_due(self) -> float | None:
        """When the earliest delivery that is not leased or held is due, in seconds since 1970."""

    async def content(self, delivery: Delivery) -> Content:
        """The octets of the delivery. Raises SealBroken or OSError."""

    async def done(self, delivery: Delivery, events: Sequence[Event]) -> None:
        """Everything about it is settled: forget it. Durable on return; its octets go with the last delivery."""

    async def postpone(self, delivery: Delivery, events: Sequence[Event]) -> None:
        """Store targets, state, attempts and next_attempt as `delivery` has them. Durable when this returns."""

    def may_send(self, delivery: Delivery) -> bool:
        """Whether an attempt may begin now: it is leased to us still, and nobody else can have got it meanwhile."""

    async def unlease(self, delivery: Delivery) -> None:
        """Give it back as it was."""
