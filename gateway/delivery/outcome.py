"""What came of one attempt, recipient by recipient."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gateway.delivery.seven_bit import Conversion
from gateway.mail.address import Address
from gateway.mail.delivery import Success


class Verdict(StrEnum):
    """Of one recipient in one attempt."""

    SENT = "sent"
    LATER = "later"  # passing: wait and try again
    NEVER = "never"  # lasting: the sender gets a DSN


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Which mailbox a recipient's mail goes into, for the trace. `folder` is None where it did not get there, `policy`
    where the mailbox is under none, or nobody knows.
    """

    mailbox: str
    folder: str | None = None
    policy: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`reply` is the next hop's own words (code first), or ours where it said nothing that counts.

    `reason` tells them apart: None where the host itself replied, a word of RFC 8460 4.3 where TLS is the cause, else a
    short sentence of ours. `enhanced` is a code of RFC 3463; `host` was tried, if any was. `success` is set where the
    recipient has it, the sender asked to hear of that, and nobody further on will tell. `placed`: mailboxes alone.
    """

    address: Address
    verdict: Verdict
    reply: str
    enhanced: str
    reason: str | None = None
    host: str | None = None
    success: Success | None = None
    placed: Placed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One host that was tried: for trace and log. `outcome` is `delivered`, `refused` (by the host itself), or what
    failed, in a few words.

    `tls_version` and `tls_cipher` are None in clear; `authenticated`: chain and name held; `fallback`: in clear after a
    handshake that failed; `converted`: what it was sent is no longer what came.
    """

    host: str
    address: str | None
    outcome: str
    seconds: float
    tls_version: str | None = None
    tls_cipher: str | None = None
    authenticated: bool = False
    fallback: bool = False
    converted: Conversion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`unreachable`: no host took even MAIL, so whatever else waits for that destination may as well wait too."""

    results: tuple[Result, ...]
    hops: tuple[Hop, ...] = field(default=())
    unreachable: bool = False
