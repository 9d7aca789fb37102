"""The one way of a message, from the end of its data to the commit that its 250 rests on (DESIGN, The one way)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from gateway.mail.delivery import Delivery
from gateway.mail.mail import Mail
from gateway.mail.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """The stages, in order. `app` hands them in; each one returns a new value or raises. One that is None is not there:
    nothing asks for it.
    """

    admit: Callable[[Mail], Mail]
    authenticate: Callable[[Mail], Awaitable[Mail]] | None = None
    open: Callable[[Mail], Awaitable[Mail]] | None = None
    rules: Callable[[Mail], Awaitable[Plan]] | None = None
    protect: Callable[[Plan], Awaitable[Plan]] | None = None
    sign: Callable[[Mail], Awaitable[Mail]] | None = None
    route: Callable[[Plan], tuple[Delivery, ...]]
    spool: Callable[[Mail, Plan, tuple[Delivery, ...]], Awaitable[None]]

    async def accept(self, mail: Mail) -> str:
        """Take responsibility for `mail` and return its queue id, or raise `Refused`."""
        mail = self.admit(mail)  # what only the message itself shows: loops
        if self.authenticate is not None:
            mail = await self.authenticate(mail)  # who signed it, for mail that comes from elsewhere
        if self.open is not None:
            mail = await self.open(mail)  # what is inside, where a key of ours opens it
        if self.rules is None:
            plan = Plan(copies=(mail,), touched=False)
        else:
            plan = await self.rules(mail)  # what the administrator wants done with it
        if self.protect is not None:
            plan = await self.protect(plan)  # nothing that a rule wants protected goes on in clear
        return await self.leave(mail, plan)

    async def leave(self, mail: Mail, plan: Plan, sign: bool = True) -> str:
        """The rest of the way, for copies that are decided; without `sign` what leaves is not ours to sign."""
        if self.sign is not None and sign:
            plan = await signed(plan, self.sign)  # the last touch
        deliveries = self.route(plan)  # one for each copy and destination
        await self.spool(mail, plan, deliveries)  # durable when this returns
        return mail.id


async def signed(plan: Plan, sign: Callable[[Mail], Awaitable[Mail]]) -> Plan:
    """The plan with each copy and notice signed; those that wait or are held are signed when they leave. Copies of
    one message stay copies of one.
    """
    if len(plan.copies) == 1 and not plan.notices and not plan.copies[0].terms.waits:
        (copy,) = plan.copies
        made = await sign(copy)
        return plan if made is copy else replace(plan, copies=(made,))
    done: dict[tuple[int, bytes], Mail] = {}
    mails: list[Mail] = []
    for mail in plan.mails:
        if not mail.terms.waits:
            key = (id(mail.message), mail.preface)
            first = done.get(key)
            if first is None:
                mail = done[key] = await sign(mail)
            else:
                mail = replace(mail, message=first.message, preface=first.preface, signed=first.signed)
        mails.append(mail)
    count = len(plan.copies)
    return replace(plan, copies=tuple(mails[:count]), notices=tuple(mails[count:]))
