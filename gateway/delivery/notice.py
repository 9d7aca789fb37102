"""Telling the sender of failure, delay and success, as far as the sender wants to hear of them (RFC 3461 4.1).

Leaves out: success where the next hop knows DSN; that one tells (RFC 3461 5.2.1).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

from gateway.delivery.dsn import MAX_RETURNED, build
from gateway.delivery.kind import Kind, action
from gateway.mail.delivery import Delivery, Target
from gateway.mail.mail import Mail
from gateway.mail.message import Content
from gateway.observe import events
from gateway.observe.events import Event


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
        kind: Kind,
        now: float,
        until: float | None = None,
    ) -> Event | None:
        """Tell the sender about `targets`; None where the sender is null or wants to hear nothing.

        `content` is the original's octets, None where they can't be read: then the notice goes without. `until` goes
        with Kind.DELAY: when it is given up. Raises whatever `submit` raises.
        """
        if delivery.sender is None:
            return None
        wanted = wishing(targets, kind)
        if not wanted:
            return None
        head, whole = await _head(content)
        # What had to be protected does not go back in clear, whatever RET said; nor what left over TLS or not at all.
        if delivery.terms.wanted is not None or delivery.terms.require_tls:
            whole = False
        id_ = self._ids()
        mail = build(
            delivery,
            wanted,
            kind=kind,
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
            "action": action(kind, wanted[0]),
            "recipients": [target.address.text for target in wanted],
        }
        return Event(message=delivery.message, time=now, event=events.NOTIFIED, facts=facts)


def wishing(targets: tuple[Target, ...], kind: Kind) -> tuple[Target, ...]:
    """Those of whom the sender wants to hear it."""
    return tuple(target for target in targets if target.wants(kind))


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
