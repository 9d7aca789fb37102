"""The courier: carries one delivery to its next hop, whatever happened to its connector since it was stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import PurePath
from traceback import extract_tb
from typing import Any, Protocol

from gateway.connectors.model import Outbound
from gateway.delivery.lane import Item, Way
from gateway.delivery.outcome import Outcome
from gateway.delivery.route import regroup, uses_mx
from gateway.delivery.settle import fault, merged
from gateway.mail.delivery import HERE, PROTECT, Delivery
from gateway.mail.message import Content
from gateway.storage.sealer import KeysClosed, SealBroken

Tell = Callable[[str, str, dict[str, Any]], None]  # level, event, facts

Resume = Callable[[Delivery, Content], Awaitable[Outcome]]  # Has what waits for its protection protected now.

NO_CONNECTOR = "no connector leads to this domain"
CHOSEN_GONE = "the connector that a rule chose is no longer in the settings"
OVER_TLS = "\0tls"  # Behind a destination: the lane of those that leave over TLS or not at all.


class Attempts(Protocol):
    """One try at the hosts of one destination."""

    async def attempt(self, delivery: Delivery, outbound: Outbound, content: Content) -> Outcome:
        """Try delivery.waiting. Raises nothing for what the network does; SealBroken and OSError of `content` pass."""


class Courier:
    """Knows the connectors of the moment."""

    def __init__(self, *, attempts: Attempts, outbounds: tuple[Outbound, ...], tell: Tell, resume: Resume) -> None:
        self._attempts = attempts
        self._tell = tell
        self._resume = resume
        self.reconfigure(outbounds)

    def reconfigure(self, outbounds: tuple[Outbound, ...]) -> None:
        """These connectors from now on; what is under way ends under its old terms."""
        self._outbounds = outbounds
        self._by_name = {outbound.name: outbound for outbound in outbounds}

    def outbound(self, name: str) -> Outbound | None:
        """The connector of that name."""
        return self._by_name.get(name)

    def way(self, delivery: Delivery) -> Way:
        """The lane in which `delivery` travels now."""
        terms = delivery.terms
        if terms.wanted is not None or delivery.connector == HERE:
            return HERE, PROTECT
        outbound = self._stored(delivery)
        if outbound is None and terms.connector is None:
            for _, part in regroup(delivery, self._outbounds):
                return part.connector, part.destination
        # What fails for want of TLS alone holds nothing up that may leave without.
        return delivery.connector, delivery.destination + OVER_TLS if terms.require_tls else delivery.destination

    async def carry(self, item: Item) -> Outcome:
        """One attempt. Raises SealBroken where the octets don't open, KeysClosed where they don't open now, and nothing
        else: a fault of ours lets it wait.
        """
        delivery = item.delivery
        if delivery.attempts and not delivery.waiting:
            return Outcome(results=())  # Everybody has it; only the sender has still to be told.
        try:
            if item.content is None:
                item.content = await item.queue.content(delivery)
            if delivery.terms.wanted is not None or delivery.connector == HERE:  # Never as it is.
                return await self._resume(delivery, item.content)
            outbound = self._stored(delivery)
            if outbound is not None:
                return await self._attempts.attempt(delivery, outbound, item.content)
            if delivery.terms.connector is not None:
                return fault(delivery, f"4.3.5 {CHOSEN_GONE}", "4.3.5", CHOSEN_GONE)
            return await self._carry_anew(item, item.content)
        except (SealBroken, KeysClosed):
            raise
        except Exception as error:
            # An unknown error is a passing one, and its words may hold what is nobody's business.
            self._tell("error", "attempt_fault", {"id": delivery.message, "delivery": delivery.id, **told(error)})
            return fault(delivery, "4.3.0 A fault in the gateway; see its log", "4.3.0", "a fault in the gateway")

    def _stored(self, delivery: Delivery) -> Outbound | None:
        """The connector that the delivery was stored with, where it still is there and still asks for hosts alike."""
        outbound = self._by_name.get(delivery.connector)
        if outbound is None or uses_mx(outbound) != (delivery.destination != ""):
            return None
        return outbound

    async def _carry_anew(self, item: Item, content: Content) -> Outcome:
        parts = regroup(item.delivery, self._outbounds)
        if len(parts) == 1:  # It belongs there from now on, in the queue too.
            part = parts[0][1]
            item.delivery = replace(item.delivery, connector=part.connector, destination=part.destination)
        outcomes = []
        for outbound, part in parts:
            if outbound is None:
                outcomes.append(fault(part, "4.4.4 No connector leads to this domain", "4.4.4", NO_CONNECTOR))
            else:
                outcomes.append(await self._attempts.attempt(part, outbound, content))
        return outcomes[0] if len(outcomes) == 1 else merged(outcomes)


def told(error: BaseException) -> dict[str, Any]:
    """What the log may know of an exception: its class and place. Only of the system's own errors the words too."""
    frames = extract_tb(error.__traceback__)
    facts: dict[str, Any] = {"error": type(error).__name__}
    if frames:
        facts["where"] = f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno} {frames[-1].name}"
    if isinstance(error, OSError) and error.strerror:
        facts["text"] = error.strerror
    return facts
