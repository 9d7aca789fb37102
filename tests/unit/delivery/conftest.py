"""A runner with everything about it faked, in a running task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.connectors.model import Outbound
from gateway.delivery.runner import Runner
from gateway.delivery.schedule import RetryTerms
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.mail import Mail
from gateway.mail.message import Held
from tests.fakes.attempts import FakeAttempts
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.queue import FakeQueue
from tests.fakes.terms import RETRY, outbound

OCTETS = b"Subject: Offer\r\n\r\nwords\r\n"


@dataclass
class Stage:
    """One runner and its surroundings. `submitted` are the notices; `refuse` is raised by `submit` while it is set."""

    clock: FakeClock = field(default_factory=FakeClock)
    attempts: FakeAttempts = field(default_factory=FakeAttempts)
    queue: FakeQueue = field(default_factory=FakeQueue)
    submitted: list[Mail] = field(default_factory=list)
    log: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    counted: list[tuple[str, dict[str, str], float]] = field(default_factory=list)
    refuse: Exception | None = None
    gate: asyncio.Event | None = None
    task: asyncio.Task[None] | None = None
    _runner: Runner | None = None

    @property
    def runner(self) -> Runner:
        assert self._runner is not None
        return self._runner

    def make(
        self,
        *outbounds: Outbound,
        retry: RetryTerms = RETRY,
        limit: int = 500,
        queues: tuple[FakeQueue, ...] = (),
    ) -> Runner:
        self._runner = Runner(
            queues=queues or (self.queue,),
            attempts=self.attempts,
            outbounds=outbounds or (outbound("world"),),
            retry=retry,
            clock=self.clock,
            chance=FakeChance(share=1.0),
            submit=self._submit,
            tell=lambda level, event, facts: self.log.append((level, event, facts)),
            count=lambda name, labels, value: self.counted.append((name, labels, value)),
            contact="postmaster@corp.example",
            hostname="gw.corp.example",
            ids=lambda: f"N{len(self.submitted) + 1}",
            limit=limit,
        )
        return self._runner

    async def _submit(self, mail: Mail) -> str:
        if self.gate is not None:
            await self.gate.wait()
        if self.refuse is not None:
            raise self.refuse
        self.submitted.append(mail)
        return mail.id

    def delivery(
        self,
        number: int = 1,
        *names: str,
        domain: str = "x.example",
        connector: str = "world",
        destination: str | None = None,
        sender: str | None = "ida@corp.example",
        created: float | None = None,
        attempts: int = 0,
        notify: str | None = None,
    ) -> Delivery:
        now = self.clock.now()
        return Delivery(
            id=f"Q{number}.1",
            message=f"Q{number}",
            connector=connector,
            destination=domain if destination is None else destination,
            sender=None if sender is None else parse_address(sender),
            targets=tuple(Target(address=parse_address(f"{n}@{domain}"), notify=notify) for n in names or ("a",)),
            size=len(OCTETS),
            created=now if created is None else created,
            next_attempt=now,
            attempts=attempts,
        )

    def offer(self, *deliveries: Delivery, octets: bytes = OCTETS) -> None:
        """As after a 250: stored, leased, at hand."""
        for delivery in deliveries:
            self.queue.accept(delivery)
            self.runner.offer(self.queue, delivery, Held(octets))

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        await self.clock.advance(0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Runner]:
        async with asyncio.TaskGroup() as group:
            self.task = group.create_task(self.runner.run())
            await self.settle()
            yield self.runner
            if not self.task.done():
                for gate in self.attempts.gates.values():
                    gate.set()
                if self.gate is not None:
                    self.gate.set()
                stop = group.create_task(self.runner.drain(1.0))
                await self.clock.advance(2.0)
                await stop
        assert self.queue.leased == set(), "a lease was not given back"

    def events(self, kind: str) -> list[dict[str, object]]:
        return [event.facts for event in self.queue.events if event.event == kind]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [facts for _, name, facts in self.log if name == event]


@pytest.fixture
def stage() -> Stage:
    return Stage()
