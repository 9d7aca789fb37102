"""Final delivery into mailboxes, as an attempt sees it (RFC 5321 2.1, 4.4).

Leaves out: which mailboxes there are, and how they are kept; `app` hands in somebody who knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.delivery.outcome import Result, Verdict
from gateway.delivery.verdicts import of_ours
from gateway.mail.delivery import Delivery, Target
from gateway.mail.message import Content


class Mailman(Protocol):
    """Puts mail into mailboxes."""

    async def deliver(self, delivery: Delivery, targets: tuple[Target, ...], content: Content) -> tuple[Result, ...]:
        """One result for each of `targets`, in their order: durable where it says sent, and once only, however often
        this delivery is brought.

        Raises what reading `content` raises, SealBroken and OSError, and KeysClosed; whoever has it then gets nothing
        twice when it is brought again.
        """


class NoMailman:
    """Where no mailboxes are open everybody waits."""

    async def deliver(self, delivery: Delivery, targets: tuple[Target, ...], content: Content) -> tuple[Result, ...]:
        return of_ours(targets, Verdict.LATER, 451, "4.3.5", "no mailboxes are open here")


def ending(results: Sequence[Result]) -> str:
    """How an attempt at mailboxes ended, in a few words for the trace."""
    if any(one.verdict is Verdict.SENT for one in results):
        return "delivered"
    return next((one.reason for one in results if one.verdict is Verdict.LATER and one.reason), "refused")
