"""Deliveries: the unit of the queue. One stored copy, its recipients and the terms under which it must leave."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.mail.address import Address
from gateway.mail.envelope import Body
from gateway.mail.message import Runs
from gateway.mail.terms import PLAIN, Terms

# Connector and destination of what does not leave: it waits for its protection, or for an officer.
HERE: Final = ""
PROTECT: Final = "protect"
QUARANTINE: Final = "quarantine"


class State(StrEnum):
    """Of a delivery. `sending` is known to the runner alone: what was sending when a process died is ready again."""

    READY = "ready"
    SENDING = "sending"
    WAITING = "waiting"
    HELD = "held"


class Status(StrEnum):
    """Of one recipient."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class Success(StrEnum):
    """How a recipient was reached of whom nobody but we can tell the sender (RFC 3464 2.3.3)."""

    DELIVERED = "delivered"  # It ends here.
    RELAYED = "relayed"  # The next hop knows no DSN: what becomes of it there nobody will say.


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One recipient of a delivery and what is known of it.

    `reason` is a word of RFC 8460 4.3 where TLS is the cause, else a short sentence; `enhanced` is a code of RFC 3463;
    `reply` is what the next hop said last, as it goes into a DSN's diagnostic. `notify` and `orcpt` are as they came
    (RFC 3461 4.1, 4.2). `owed`: the sender asked to hear of success, and has not heard of it yet.
    """

    address: Address
    status: Status = Status.WAITING
    reason: str | None = None
    enhanced: str | None = None
    reply: str | None = None
    host: str | None = None
    notify: str | None = None
    orcpt: str | None = None
    owed: Success | None = None

    def wants(self, what: str) -> bool:
        """Whether the sender wants to hear of SUCCESS, FAILURE or DELAY.

        Without NOTIFY that is of failure and of delay (RFC 3461 4.1).
        """
        if self.notify is None:
            return what != "SUCCESS"
        return what in self.notify.upper().split(",")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """`id` is `Q.1`, `message` the queue id `Q` under which the octets lie.

    `connector` names the outbound connector, `destination` what is asked there: a domain (MX), or "" (smart hosts,
    folder). Times are seconds since 1970. `attempts` counts those that failed. `delay_told`: the sender was told once
    that it is late. `preface`: header fields that stand in front of the stored octets; `size` counts them. `slice`:
    which octets of the stored content of the message are its own, where other copies lie there too. `terms`: what it
    needs before it may leave, and leaves under.
    """

    id: str
    message: str
    connector: str
    destination: str
    sender: Address | None
    targets: tuple[Target, ...]
    size: int
    created: float
    next_attempt: float
    attempts: int = 0
    state: State = State.READY
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    delay_told: bool = False
    preface: bytes = b""
    slice: Runs | None = None
    terms: Terms = PLAIN

    @property
    def waiting(self) -> tuple[Target, ...]:
        """The recipients who have not got it yet and still may."""
        return tuple(target for target in self.targets if target.status is Status.WAITING)
