"""Attempts without a network: each destination answers as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.connectors.model import Outbound
from gateway.delivery.outcome import Hop, Outcome, Result, Verdict
from gateway.mail.address import Address
from gateway.mail.delivery import Delivery
from gateway.mail.message import Content

Answer = Callable[[Delivery], Outcome]

HOST = "mx.partner.example"


def result(address: Address, reply: str = "250 2.0.0 OK", *, reason: str | None = None) -> Result:
    """A result that follows from a reply with an enhanced code, such as `451 4.2.0 Busy`."""
    verdict = {"2": Verdict.SENT, "4": Verdict.LATER, "5": Verdict.NEVER}[reply[0]]
    return Result(address=address, verdict=verdict, reply=reply, enhanced=reply.split()[1], reason=reason, host=HOST)


def answering(*replies: str, reason: str | None = None) -> Answer:
    """One reply for each waiting recipient in order, the last for all further ones."""

    def answer(delivery: Delivery) -> Outcome:
        results = tuple(
            result(target.address, replies[min(place, len(replies) - 1)], reason=reason)
            for place, target in enumerate(delivery.waiting)
        )
        sent = any(one.verdict is Verdict.SENT for one in results)
        hop = Hop(
            host=HOST,
            address="192.0.2.1",
            outcome="delivered" if sent else "refused",
            seconds=0.25,
            tls_version="TLSv1.3",
            tls_cipher="TLS_AES_256_GCM_SHA384",
            authenticated=True,
        )
        return Outcome(results=results, hops=(hop,))

    return answer


def unreachable(reply: str = "450 4.4.1 No answer", reason: str | None = None) -> Answer:
    """No host took even MAIL."""

    def answer(delivery: Delivery) -> Outcome:
        results = tuple(result(target.address, reply, reason=reason) for target in delivery.waiting)
        hop = Hop(host=HOST, address="192.0.2.1", outcome="connect failed", seconds=30.0)
        return Outcome(results=results, hops=(hop,), unreachable=True)

    return answer


class FakeAttempts:
    """`answers` by destination, then by connector; without one all is sent. `tried` are (id, connector, recipients).

    Switches: `gates` by destination let attempts there wait until the test opens the gate; `raises` by destination.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.raises: dict[str, Exception] = {}
        self.tried: list[tuple[str, str, tuple[str, ...]]] = []
        self.active: dict[str, int] = {}
        self.most: dict[str, int] = {}

    @property
    def ids(self) -> list[str]:
        """The ids of what was tried, in order."""
        return [id_ for id_, _, _ in self.tried]

    async def attempt(self, delivery: Delivery, outbound: Outbound, content: Content) -> Outcome:
        key = delivery.destination or outbound.name
        names = tuple(target.address.text for target in delivery.waiting)
        self.tried.append((delivery.id, outbound.name, names))
        self.active[key] = self.active.get(key, 0) + 1
        self.most[key] = max(self.most.get(key, 0), self.active[key])
        try:
            if key in self.gates:
                await self.gates[key].wait()
            if key in self.raises:
                raise self.raises[key]
            return self.answers.get(key, answering("250 2.0.0 OK"))(delivery)
        finally:
            self.active[key] -= 1
