"""What a spool that one process has to itself answers where others would have to be asked."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from gateway.mail.delivery import Delivery
from gateway.observe.events import Event
from gateway.storage.spooling import Hands


class Alone:
    """The part of `Spooling` that is the same for every such spool."""

    is_shared = False

    def attend(self, hands: Hands) -> None:
        """Nobody else will ask."""

    def may_send(self, delivery: Delivery) -> bool:
        """Nobody else could send it."""
        return True

    def woken(self) -> None:
        """Nobody else sleeps."""

    async def sending_elsewhere(self) -> set[str]:
        return set()

    @asynccontextmanager
    async def recalled(self, deliveries: Sequence[Delivery]) -> AsyncIterator[set[str]]:
        """Whoever runs the queue has given back beforehand what only waited."""
        yield {delivery.id for delivery in deliveries if self.is_leased(delivery.id)}

    async def drop(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Forget those that nobody has in hand; the ids of these."""
        gone = []
        for delivery in deliveries:
            if self.lease(delivery):
                try:
                    await self.done(delivery, [events(delivery)])
                except BaseException:
                    await self.unlease(delivery)
                    raise
                gone.append(delivery.id)
        return gone

    async def amend(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Store all that may change of those that nobody has in hand; the ids of these."""
        done = []
        for delivery in deliveries:
            if self.lease(delivery):
                try:
                    await self.postpone(delivery, [events(delivery)])
                except BaseException:
                    await self.unlease(delivery)
                    raise
                done.append(delivery.id)
        return done

    # -- what the spool itself has ------------------------------------------------------------------------------------

    @abstractmethod
    def is_leased(self, id_: str) -> bool: ...

    @abstractmethod
    def lease(self, delivery: Delivery) -> bool: ...

    @abstractmethod
    async def done(self, delivery: Delivery, events: Sequence[Event]) -> None: ...

    @abstractmethod
    async def postpone(self, delivery: Delivery, events: Sequence[Event]) -> None: ...

    @abstractmethod
    async def unlease(self, delivery: Delivery) -> None: ...
