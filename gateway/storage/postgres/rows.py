"""Deliveries as rows of PostgreSQL, and rows as deliveries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from gateway.mail.delivery import Delivery
from gateway.storage.content import PURPOSE
from gateway.storage.postgres.batch import Batch
from gateway.storage.postgres.writer import Writer
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.spool_rows import decode_delivery, encode_delivery, unreadable

_HOLD: Final = (
    "UPDATE deliveries SET state = 'held', node = NULL WHERE id = ANY(%s::text[]) AND (node = %s OR node IS NULL)"
)


class Rows:
    """Seals and opens them."""

    def __init__(self, sealer: Sealer, writer: Writer, node: str, name: str, tell: Callable[..., None]) -> None:
        self._sealer = sealer
        self._writer = writer
        self._node = node
        self._name = name
        self._tell = tell

    def of(self, delivery: Delivery, destination: int) -> tuple[Any, ...]:
        """The row; `destination` is its blind token."""
        return (
            delivery.id,
            delivery.message,
            delivery.connector,
            destination,
            delivery.state.value,
            int(delivery.next_attempt * 1000),
            delivery.attempts,
            int(delivery.created * 1000),
            delivery.size,
            self._sealer.seal(PURPOSE, f"delivery {delivery.id}", encode_delivery(delivery)),
        )

    async def opened(
        self, rows: Sequence[tuple[Any, ...]], *, broken_too: bool = False
    ) -> tuple[list[Delivery], list[str]]:
        """The deliveries, and the ids of those that do not open. These are held, so that they never stop the others.

        With `broken_too` they come as deliveries of which no more is known than their columns, for people to see.
        """
        found: list[Delivery] = []
        broken: list[str] = []
        for id_, message, connector, state, next_attempt, attempts, created, size, sealed in rows:
            try:
                found.append(
                    decode_delivery(
                        self._sealer.open(PURPOSE, f"delivery {id_}", sealed),
                        id_=id_,
                        message=message,
                        connector=connector,
                        state=state,
                        next_attempt=next_attempt / 1000,
                        attempts=attempts,
                        created=created / 1000,
                        size=size,
                    )
                )
            except SealBroken:
                broken.append(id_)
                if broken_too:
                    found.append(unreadable(id_, message, connector, attempts, created / 1000, size))
        if broken:
            self._tell("error", "deliveries_do_not_open", spool=self._name, deliveries=broken)
            await self._writer.do(self._hold(broken))
        return found, broken

    def _hold(self, ids: list[str]) -> Callable[[Batch], Callable[[], None]]:
        def run(batch: Batch) -> Callable[[], None]:
            batch.execute(_HOLD, (ids, self._node))
            return lambda: None

        return run
