"""What has waited here goes on: copies that could not be protected, and mail that an officer has released.

A delivery that waits keeps its octets in clear under the spool's seal, with what has to become of them in its terms. It
never leaves as it is: what comes of it is accepted under a queue id of its own, and then the delivery is done. A crash
between the two sends it twice; none is lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from gateway.app.bundle import octets
from gateway.delivery.outcome import Outcome, Result, Verdict
from gateway.delivery.settle import fault
from gateway.mail.address import Address
from gateway.mail.delivery import Delivery
from gateway.mail.envelope import Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Content, Held, Message
from gateway.mail.plan import Plan
from gateway.mail.reply import Refused, Reply
from gateway.observe import events
from gateway.protect.notice import ENHANCED, sentence
from gateway.protect.told import Step
from gateway.world.clock import Clock

HELD = "it is held for an officer to release"
NOT_YET = "it could not be protected yet"
NEVER = "it can't be protected for this recipient"


class Resuming:
    """`open` and `protect` are the stages, None where there are none; `leave` signs, routes and stores what is
    decided.
    """

    def __init__(
        self,
        *,
        open: Callable[[Mail], Awaitable[Mail]] | None = None,  # noqa: A002 - the stage's name
        protect: Callable[[Plan], Awaitable[Plan]] | None,
        leave: Callable[[Mail, Plan, bool], Awaitable[str]],
        ids: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._open = open
        self._protect = protect
        self._leave = leave
        self._ids = ids
        self._clock = clock

    async def __call__(self, delivery: Delivery, content: Content) -> Outcome:
        """What became of each recipient. Raises what reading and storing raise; then all of it is to be tried again."""
        terms = delivery.terms
        if terms.quarantine is not None:  # Whoever made it ready was no officer.
            return fault(delivery, f"4.7.0 {HELD}", "4.7.0", HELD)
        mail = await self._mail(delivery, content)
        try:
            if terms.wanted is None and self._open is not None:  # Held as it came: it may have to be decrypted still.
                mail = await self._open(mail)
            plan = Plan(copies=(mail,))
            if terms.wanted is not None:
                if self._protect is None:
                    return fault(delivery, f"4.7.0 {NOT_YET}", "4.7.0", NOT_YET)
                plan = await self._protect(plan)
            elif mail.opened is not None and self._protect is not None:
                plan = await self._protect(plan)
            ready = tuple(copy for copy in plan.copies if copy.terms.wanted is None)
            if ready:
                facts: dict[str, object] = {"from": delivery.id}
                told = (*plan.told, (events.HANDED_ON, facts))
                # Those who are refused hear of it by the delivery's own notice.
                await self._leave(mail, replace(plan, copies=ready, notices=(), told=told), terms.sign)
        except Refused as refused:
            return Outcome(results=tuple(_refused(target.address, refused.reply) for target in delivery.waiting))
        return Outcome(results=tuple(_results(delivery, plan, mail.id)))

    async def _mail(self, delivery: Delivery, content: Content) -> Mail:
        whole = await octets(content)
        recipients = tuple(
            Recipient(target.address, notify=target.notify, orcpt=target.orcpt) for target in delivery.waiting
        )
        envelope = Envelope(
            sender=delivery.sender,
            recipients=recipients,
            body=delivery.body,
            smtputf8=delivery.smtputf8,
            ret=delivery.ret,
            envid=delivery.envid,
        )
        return Mail(
            id=self._ids(),
            received=self._clock.now(),
            envelope=envelope,
            message=Message(whole[:MAX_HEAD], Held(whole)),
            terms=delivery.terms,
        )


def _results(delivery: Delivery, plan: Plan, id_: str) -> list[Result]:
    """By the copy in which each recipient stands; who stands in none was refused by the stage."""
    found: dict[str, Mail] = {one.address.text: copy for copy in plan.copies for one in copy.envelope.recipients}
    reasons = _reasons(plan)
    results = []
    for target in delivery.waiting:
        copy = found.get(target.address.text)
        if copy is None:
            why = reasons.get(target.address.text, NEVER)
            words = f"550 {ENHANCED} {why}"
            one = Result(address=target.address, verdict=Verdict.NEVER, reply=words, enhanced=ENHANCED, reason=why)
        elif copy.terms.wanted is not None:
            reason = copy.terms.reason or NOT_YET
            words = f"451 4.7.0 {reason}"
            one = Result(address=target.address, verdict=Verdict.LATER, reply=words, enhanced="4.7.0", reason=reason)
        else:
            words = f"250 2.0.0 Goes on as {id_}"
            one = Result(address=target.address, verdict=Verdict.SENT, reply=words, enhanced="2.0.0")
        results.append(one)
    return results


def _reasons(plan: Plan) -> dict[str, str]:
    """Why each one who was refused gets nothing, as the stage told the trace, in words for the sender."""
    rows: list[dict[str, str]] = []
    for event, facts in plan.told:
        found = facts.get("recipients")
        if event == events.PROTECTED and isinstance(found, list):
            rows += [row for row in found if row.get("step") == Step.REFUSED]
    return {row["recipient"]: sentence(row.get("rule", ""), row.get("reason", NEVER)) for row in rows}


def _refused(address: Address, reply: Reply) -> Result:
    verdict = Verdict.NEVER if reply.code >= 500 else Verdict.LATER
    enhanced = reply.enhanced or ("5.0.0" if verdict is Verdict.NEVER else "4.0.0")
    text = f"{reply.code} {enhanced} {reply.text}".replace("\n", " ")
    return Result(address=address, verdict=verdict, reply=text, enhanced=enhanced, reason=reply.text.split("\n")[0])
