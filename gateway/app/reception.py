"""The stages between a session and the spool, joined for one worker: loops, route, spool, and the start of delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from gateway.app.bundle import bundled
from gateway.app.stages import Stages
from gateway.app.terms import Policy
from gateway.authenticate.stage import facts as authentication_facts
from gateway.connectors.authenticated import AUTHENTICATED, is_complete
from gateway.connectors.inbound import admit, may_reach
from gateway.connectors.model import Inbound
from gateway.connectors.tls import TlsFault
from gateway.delivery.queue import Queue
from gateway.delivery.route import reachable, route
from gateway.mail import reply as say
from gateway.mail.address import Address
from gateway.mail.authentication import Authentication
from gateway.mail.delivery import Delivery, State
from gateway.mail.envelope import Client, PeerCertificate
from gateway.mail.mail import Mail
from gateway.mail.message import Content, prefaced, sliced
from gateway.mail.plan import Plan
from gateway.mail.reply import Refused
from gateway.mail.signing import Signed
from gateway.mail.terms import PLAIN
from gateway.observe import events
from gateway.observe.events import Event, Found
from gateway.observe.log import Log
from gateway.observe.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.protect.opening import facts as opened_facts
from gateway.storage.moving import Moving
from gateway.storage.record import Prepared
from gateway.storage.spooling import Spooling
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

MAX_MESSAGE_ID = 998  # RFC 5322 2.1.1: a longer one is no Message-ID but a line gone wrong.


class Reception:
    """Takes responsibility for mail. `take` is told of a reload."""

    def __init__(
        self,
        policy: Policy,
        *,
        spool: Spooling,
        mover: Moving[Any],
        offer: Callable[[Queue, Delivery, Content], None],
        clock: Clock,
        log: Log,
        metrics: Metrics,
        stages: Stages | None = None,
    ) -> None:
        """`stages` are those that judge and change mail; None: there are none."""
        self.policy = policy
        self._spool = spool
        self._mover = mover
        self._offer = offer
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._returning: set[asyncio.Task[None]] = set()
        self._stages = stages
        self.pipeline = self._pipeline()

    def _pipeline(self) -> Pipeline:
        stages = self._stages
        return Pipeline(
            admit=self._admit_message,
            authenticate=None if stages is None else stages.authenticating,
            open=None if stages is None else stages.open,
            rules=None if stages is None else stages.rules,
            protect=None if stages is None else stages.protect,
            sign=None if stages is None else stages.signing.sign,
            route=self._route,
            spool=self._store,
        )

    def take(self, policy: Policy) -> None:
        """Go by this policy from now on; stages may have come or gone with it."""
        self.policy = policy
        self.pipeline = self._pipeline()

    # -- asked by sessions --------------------------------------------------------------------------------------------

    def admit(self, client: Client, sender: Address | None) -> Inbound | None:
        """The inbound connector by which this client may hand in mail from `sender`. Raises Refused."""
        policy = self.policy
        try:
            return admit(
                policy.inbounds,
                policy.accepted,
                sender=sender,
                client_address=client.address,
                tls=client.tls,
                now=self._clock.now,
            )
        except Refused as refused:
            if isinstance(refused.__cause__, TlsFault):
                self._tell_certificate(client, sender, refused.__cause__)
            raise

    def _tell_certificate(self, client: Client, sender: Address | None, fault: TlsFault) -> None:
        shown = None if client.tls is None else client.tls.certificate
        self._log.tell(
            "info",
            "certificate_refused",
            client=client.address,
            listener=client.listener,
            sender="" if sender is None else sender.text,
            reason=fault.reason,
            detail=str(fault),
            certificate=None if shown is None else shown.name,
            issuer=None if shown is None else shown.issuer,
        )

    def may_reach(self, inbound: Inbound | None, recipient: Address) -> None:
        """Raises Refused where the client may not send to `recipient`, or nothing leads there."""
        policy = self.policy
        may_reach(inbound, policy.accepted, recipient)
        if inbound is AUTHENTICATED and not is_complete(policy.accepted, recipient):
            raise Refused(say.INCOMPLETE_DOMAIN)
        if not reachable(policy.outbounds, recipient, policy.home):
            raise Refused(say.NO_ROUTE)

    def check_room(self, size: int) -> None:
        """Raises StorageFull, or Refused where the trace can't be written and too much waits for it."""
        if self._mover.is_full:
            raise Refused(say.INTERNAL)
        self._spool.check_room(size)

    async def accept(self, mail: Mail) -> str:
        """Take a client's message: durable when this returns. Raises Refused, StorageFull."""
        began = self._clock.monotonic()
        try:
            id_ = await self.pipeline.accept(mail)
        except Refused as refused:
            if refused.told and refused.reply.code >= 500:  # What is answered 4xx comes again.
                await self._tell_refusal(mail, refused)
            raise
        client = mail.client
        metrics = self._metrics
        if client is not None:
            metrics.count("messages_received_total", (client.listener, mail.connector or ""))
        metrics.count("octets_received_total", (), mail.message.size)
        metrics.observe("accept_seconds", self._clock.monotonic() - began)
        return id_

    async def _tell_refusal(self, mail: Mail, refused: Refused) -> None:
        """Have the trace know of a message that rules have judged and that is not taken. That may fail: the client's
        reply counts, and the log has the rules' names.
        """
        spool = self._spool
        told, found, _ = self._told(mail, Plan(copies=(mail,), touched=False, told=refused.told), ())
        reply = f"{refused.reply.code} {refused.reply.enhanced or ''} {refused.reply.text}"
        told.append(Event(message=mail.id, time=mail.received, event=events.REFUSED, facts={"reply": reply}))
        record = spool.new_record(mail.id, told, found=found)
        try:
            await spool.note([record])
        except (StorageFull, StorageBroken) as error:
            self._log.tell("error", "refusal_not_traced", id=mail.id, error=str(error))
            return
        self._mover.move(spool, [record])

    async def gone(self, id_: str) -> None:
        """The message was taken, but its client is gone and does not know."""
        event = Event(message=id_, time=self._clock.now(), event=events.CLIENT_GONE)
        await self._spool.note([self._spool.new_record(id_, [event])])

    # -- the stages ---------------------------------------------------------------------------------------------------

    def _admit_message(self, mail: Mail) -> Mail:
        # RFC 5321 6.3. Our own line stands on top of a client's message and does not count.
        own = 0 if mail.client is None else 1
        if mail.message.count(b"Received") - own >= self.policy.max_received:
            raise Refused(say.LOOP)
        return mail

    def _route(self, plan: Plan) -> tuple[Delivery, ...]:
        policy = self.policy
        now = plan.mails[0].received if plan.mails else 0.0
        if plan.touched:
            copies = tuple([self._marked(copy) for copy in plan.copies])
            if any(marked is not copy for marked, copy in zip(copies, plan.copies, strict=True)):
                plan = replace(plan, copies=copies)
        return route(plan, policy.outbounds, home=policy.home, now=now, again=policy.retry.first)

    def _marked(self, copy: Mail) -> Mail:
        """What waits here remembers whether it came from our side, so that it may be signed (DKIM, S/MIME) when it
        leaves; who handed it in is not kept.
        """
        terms, stages = copy.terms, self._stages
        if copy.client is None or stages is None or (terms.wanted is None and terms.quarantine is None):
            return copy
        return replace(copy, terms=replace(terms, sign=stages.is_ours(copy.client, copy.connector)))

    async def _store(self, mail: Mail, plan: Plan, deliveries: tuple[Delivery, ...]) -> None:
        spool = self._spool
        told, found, tls = self._told(mail, plan, deliveries)
        records = [spool.new_record(mail.id, told, found=found)]
        if deliveries:
            stored = await self._bundled(mail, plan)
            records += [spool.new_left(mail.id, one) for one in plan.left]
            await spool.accept(stored, deliveries, records)
        else:  # Rules have deleted it: nothing leaves, and only the trace knows of it.
            await spool.note(records)
            if mail.message.content.inline is None:
                await spool.forget_content(mail.id)
            stored = mail
        # The client's reply goes out first: it waits, and nothing below can fail it any more.
        asyncio.get_running_loop().call_soon(self._taken, stored, plan, deliveries, records, tls)

    async def _bundled(self, mail: Mail, plan: Plan) -> Mail:
        """The mail with what is to be stored of it."""
        if not plan.touched and plan.copies[0].message.content is mail.message.content:
            return mail
        message = await bundled(mail, plan, self._spool)
        if message is mail.message:
            return mail
        return mail.as_copy(mail.envelope, message, mail.terms, opened=mail.opened)

    def _told(
        self, mail: Mail, plan: Plan, deliveries: tuple[Delivery, ...]
    ) -> tuple[list[Event], Found, dict[str, str] | None]:
        """What the trace is told, by what it is found, and the TLS under which it came."""
        envelope, client = mail.envelope, mail.client
        sender = "" if envelope.sender is None else envelope.sender.text
        recipients = [recipient.address.text for recipient in envelope.recipients]
        message_id = _message_id(mail)
        tls = (
            None
            if client is None or client.tls is None
            else {"version": client.tls.version, "cipher": client.tls.cipher}
        )
        facts: dict[str, object] = {
            "from": sender,
            "recipients": recipients,
            "connector": mail.connector,
            "size": len(mail.preface) + mail.message.size,
            "message_id": message_id,
        }
        if unverified := [one.address.text for one in envelope.recipients if one.unverified]:
            facts["unverified"] = unverified
        if client is not None:
            facts |= {"client": client.address, "helo": client.helo, "listener": client.listener, "tls": tls}
            if client.user is not None:
                facts["user"] = client.user
            if client.proxy is not None:
                facts["proxy"] = client.proxy
            if client.tls is not None and client.tls.certificate is not None:
                facts["certificate"] = self._certificate(client.tls.certificate, mail.connector)
        told = [Event(message=mail.id, time=mail.received, event=events.RECEIVED, facts=facts)]
        if mail.authentication is not None:
            seen = authentication_facts(mail.authentication)
            told.append(Event(message=mail.id, time=mail.received, event=events.AUTHENTICATED, facts=seen))
        if mail.opened is not None:
            told.append(
                Event(message=mail.id, time=mail.received, event=events.OPENED, facts=opened_facts(mail.opened))
            )
        if plan.decided is not None:
            told.append(Event(message=mail.id, time=mail.received, event=events.RULED, facts=plan.decided))
        told += [Event(message=mail.id, time=mail.received, event=event, facts=more) for event, more in plan.told]
        told += _signings(mail, plan)
        alone = len(deliveries) == 1 and not plan.touched
        told += [_routed(mail, delivery, alone=alone) for delivery in deliveries]
        everybody = recipients
        if plan.touched:  # Whoever a rule has added is to be found too.
            named = [target.address.text for delivery in deliveries for target in delivery.targets]
            everybody = list(dict.fromkeys(recipients + named))
        return told, Found(sender=sender.lower(), recipients=tuple(everybody), message_id=message_id), tls

    def _certificate(self, shown: PeerCertificate, connector: str | None) -> dict[str, object]:
        """What the trace tells of it. Terms that did not hold would have been answered at MAIL."""
        inbound = self.policy.inbounds.named(connector)
        trusted = True if inbound is not None and inbound.certificate is not None else None
        return {"name": shown.name, "issuer": shown.issuer, "trusted": trusted}

    def _taken(
        self,
        mail: Mail,
        plan: Plan,
        deliveries: tuple[Delivery, ...],
        records: list[Prepared],
        tls: dict[str, str] | None,
    ) -> None:
        """The message is ours: have its records moved, then let it go."""
        spool = self._spool
        self._mover.move(spool, records, partial(self._release, spool, deliveries, mail.message.content))
        client = mail.client
        signed = plan.copies[0].signed if plan.copies else None
        self._log.tell(
            "info",
            "received",
            id=mail.id,
            size=len(mail.preface) + mail.message.size,
            recipients=len(mail.envelope.recipients),
            client=None if client is None else client.address,
            **({} if client is None or client.proxy is None else {"proxy": client.proxy}),
            connector=mail.connector,
            tls=None if tls is None else f"{tls['version']} {tls['cipher']}",
            **({} if client is None or client.user is None else {"user": client.user}),
            **({} if signed is None or not signed.signatures else {"signed": signed.domain}),
            **({} if mail.authentication is None else {"dkim": _verdicts(mail.authentication)}),
            **(plan.logged or {}),
        )

    def _release(self, spool: Spooling, deliveries: tuple[Delivery, ...], content: Content) -> None:
        """The trace is written: they may leave, but for those that wait or are held."""
        for delivery in deliveries:
            if delivery.terms is PLAIN and delivery.slice is None:
                self._offer(spool, delivery, prefaced(delivery.preface, content) if delivery.preface else content)
            elif delivery.state is State.READY:
                self._offer(spool, delivery, prefaced(delivery.preface, sliced(content, delivery.slice)))
            else:
                self._give_back(spool, delivery)

    def _give_back(self, spool: Spooling, delivery: Delivery) -> None:
        task = asyncio.get_running_loop().create_task(spool.unlease(delivery))
        self._returning.add(task)
        task.add_done_callback(self._returning.discard)


def _routed(mail: Mail, delivery: Delivery, *, alone: bool) -> Event:
    terms = delivery.terms
    facts: dict[str, object] = {"delivery": delivery.id}
    kind = events.ROUTED
    if terms.quarantine is not None:
        kind = events.QUARANTINED
        facts["rules"] = list(terms.quarantine.rules)
    elif terms.wanted is not None:
        kind = events.UNPROTECTED
        facts |= {"rule": terms.wanted.rule, "reason": terms.reason}
    else:
        facts |= {"connector": delivery.connector, "destination": delivery.destination}
        if terms.require_tls:
            facts["require_tls"] = True
    if not alone:  # Else they are those of the message.
        facts["recipients"] = [target.address.text for target in delivery.targets]
    return Event(message=mail.id, time=mail.received, event=kind, facts=facts)


def _signings(mail: Mail, plan: Plan) -> list[Event]:
    """One for each message that was to be signed; where there are several, with whose copy it is."""
    told, seen = [], set()
    for one in plan.copies:
        if one.signed is None or id(one.message) in seen:
            continue
        seen.add(id(one.message))
        told.append(_signing(mail, one.signed, one if len(plan.copies) > 1 else None))
    return told


def _signing(mail: Mail, signed: Signed, copy: Mail | None) -> Event:
    facts: dict[str, object] = {"domain": signed.domain}
    if signed.signatures:
        facts["signatures"] = [{"selector": selector, "algorithm": how} for selector, how in signed.signatures]
    if signed.reason is not None:
        facts["reason"] = signed.reason
    if copy is not None:
        facts["recipients"] = [recipient.address.text for recipient in copy.envelope.recipients]
    kind = events.SIGNED if signed.signatures else events.UNSIGNED
    return Event(message=mail.id, time=mail.received, event=kind, facts=facts)


def _verdicts(found: Authentication) -> str:
    """The results on one line of the log, such as `pass partner.example`."""
    return ", ".join(f"{one.verdict} {one.domain}".rstrip() for one in found.dkim)


def _message_id(mail: Mail) -> str:
    value = mail.message.first(b"Message-ID") or b""
    return value.decode("utf-8", "replace") if len(value) <= MAX_MESSAGE_ID else ""
