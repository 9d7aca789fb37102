"""The one way of a message, from the end of its data to the commit that its 250 rests on (DESIGN, The one way).

Leaves out: open, rules and protect, which take their places here when they exist.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.mail.delivery import Delivery
from gateway.mail.mail import Mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The stages, in order. `app` hands them in; each one returns a new value or raises."""

    admit: Callable[[Mail], Mail]
    authenticate: Callable[[Mail], Awaitable[Mail]] | None = None
    sign: Callable[[Mail], Awaitable[Mail]] | None = None
    route: Callable[[Mail], tuple[Delivery, ...]]
    spool: Callable[[Mail, tuple[Delivery, ...]], Awaitable[None]]

    async def accept(self, mail: Mail) -> str:
        """Take responsibility for `mail` and return its queue id, or raise `Refused`."""
        mail = self.admit(mail)  # what only the message itself shows: loops
        if self.authenticate is not None:
            mail = await self.authenticate(mail)  # who signed it, for mail that comes from elsewhere
        if self.sign is not None:
            mail = await self.sign(mail)  # the last touch
        deliveries = self.route(mail)  # one for each destination
        await self.spool(mail, deliveries)  # durable when this returns
        return mail.id
