"""Telling the sender of failure and delay, as far as the sender wants to hear of them (RFC 3461 4.1).

Leaves out: notices of success.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace

from gateway.delivery.dsn import MAX_RETURNED, build
from gateway.mail.delivery import Delivery, Status, Target
from gateway.mail.mail import Mail
from gateway.mail.message import Content
from gateway.observe import events
from gateway.observe.events import Event

LATE = 4 * 3600.0  # Seconds until the sender hears of a delay; RFC 5321 4.5.4.1 leaves the time to us.


class Notices:
    """Builds notices and submits them. Nothing is told to a null sender, so never anything about a notice."""

    def __init__(
        self,
        *,
        submit: Callable[[Mail], Awaitable[str]],
        ids: Callable[[], str],
        hostname: str,
        contact: str | None,
    ) -> None:
        """`submit` takes the mail like any other and returns its queue id, or raises; `ids` makes new queue ids."""
        self._submit = submit
        self._ids = ids
        self._hostname = hostname
        self._contact = contact

    def reconfigure(self, *, hostname: str, contact: str | None) -> None:
        """After a reload."""
        self._hostname = hostname
        self._contact = contact

    async def tell(
        self,
        delivery: Delivery,
        targets: tuple[Target, ...],
        content: Content | None,
        *,
        now: float,
        until: float | None = None,
    ) -> Event | None:
        """Tell the sender about `targets`; None where the sender is null or wants to hear nothing.

        `content` is the original's octets, None where they can't be read: then the notice goes without. With `until`
        they are only late. Raises whatever `submit` raises.
        """
        if delivery.sender is None:
            return None
        wanted = wishing(targets, "DELAY" if until is not None else "FAILURE")
        if not wanted:
            return None
        head, whole = await _head(content)
        id_ = self._ids()
        mail = build(
            delivery,
            wanted,
            head=head,
            whole=whole,
            hostname=self._hostname,
            contact=self._contact,
            now=now,
            id=id_,
            until=until,
        )
        facts: dict[str, object] = {
            "delivery": delivery.id,
            "notice": await self._submit(mail),
            "to": delivery.sender.text,
            "action": "failed" if until is None else "delayed",
            "recipients": [target.address.text for target in wanted],
        }
        return Event(message=delivery.message, time=now, event=events.NOTIFIED, facts=facts)


def wishing(targets: tuple[Target, ...], what: str) -> tuple[Target, ...]:
    """Those whose NOTIFY asks for `what` (FAILURE or DELAY). Without NOTIFY both are told (RFC 3461 4.1)."""
    return tuple(target for target in targets if target.notify is None or what in target.notify.upper().split(","))


def hushed(delivery: Delivery) -> Delivery:
    """`delivery` after a notice of delay: DELAY is crossed out of each NOTIFY, so that it is told but once."""
    return replace(
        delivery,
        targets=tuple(
            replace(target, notify=_without_delay(target.notify)) if target.status is Status.WAITING else target
            for target in delivery.targets
        ),
    )


def _without_delay(notify: str | None) -> str:
    left = ["FAILURE"] if notify is None else [word for word in notify.upper().split(",") if word != "DELAY"]
    return ",".join(left) or "NEVER"


async def _head(content: Content | None) -> tuple[bytes, bool]:
    """The first octets of the original, and whether they are all of it."""
    if content is None:
        return b"", False
    if content.inline is not None:
        head = content.inline[: MAX_RETURNED + 1]
    else:
        blocks = content.blocks()
        head = (await anext(blocks, b""))[: MAX_RETURNED + 1]
        if isinstance(blocks, AsyncGenerator):  # Left half read, it would keep its file open until it is collected.
            await blocks.aclose()
    return head, content.size == len(head)
