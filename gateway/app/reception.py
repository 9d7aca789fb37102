"""The stages between a session and the spool, joined for one worker: loops, route, spool, and the start of delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from gateway.app.terms import Policy
from gateway.connectors.inbound import admit, may_reach
from gateway.connectors.model import Inbound
from gateway.delivery.queue import Queue
from gateway.delivery.route import reachable, route
from gateway.mail import reply as say
from gateway.mail.address import Address
from gateway.mail.delivery import Delivery
from gateway.mail.envelope import Client
from gateway.mail.mail import Mail
from gateway.mail.message import Content
from gateway.mail.reply import Refused
from gateway.observe import events
from gateway.observe.events import Event, Found
from gateway.observe.log import Log
from gateway.observe.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.storage.mover import Mover
from gateway.storage.record import Prepared
from gateway.storage.spool import Spool
from gateway.world.clock import Clock

MAX_MESSAGE_ID = 998  # RFC 5322 2.1.1: a longer one is no Message-ID but a line gone wrong.


class Reception:
    """Takes responsibility for mail. `policy` is replaced by a reload."""

    def __init__(
        self,
        policy: Policy,
        *,
        spool: Spool,
        mover: Mover,
        offer: Callable[[Queue, Delivery, Content], None],
        clock: Clock,
        log: Log,
        metrics: Metrics,
    ) -> None:
        self.policy = policy
        self._spool = spool
        self._mover = mover
        self._offer = offer
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self.pipeline = Pipeline(admit=self._admit_message, route=self._route, spool=self._store)

    # -- asked by sessions --------------------------------------------------------------------------------------------

    def admit(self, client: Client, sender: Address | None) -> Inbound | None:
        """The inbound connector by which this client may hand in mail from `sender`. Raises Refused."""
        policy = self.policy
        return admit(policy.inbounds, policy.accepted, sender=sender, client_address=client.address, tls=client.tls)

    def may_reach(self, inbound: Inbound | None, recipient: Address) -> None:
        """Raises Refused where the client may not send to `recipient`, or nothing leads there."""
        policy = self.policy
        may_reach(inbound, policy.accepted, recipient)
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
        id_ = await self.pipeline.accept(mail)
        client = mail.client
        metrics = self._metrics
        if client is not None:
            metrics.count("messages_received_total", (client.listener, mail.connector or ""))
        metrics.count("octets_received_total", (), mail.message.size)
        metrics.observe("accept_seconds", self._clock.monotonic() - began)
        return id_

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

    def _route(self, mail: Mail) -> tuple[Delivery, ...]:
        policy = self.policy
        return route(mail, policy.outbounds, home=policy.home, now=mail.received)

    async def _store(self, mail: Mail, deliveries: tuple[Delivery, ...]) -> None:
        spool = self._spool
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
            "size": mail.message.size,
            "message_id": message_id,
        }
        if client is not None:
            facts |= {"client": client.address, "helo": client.helo, "listener": client.listener, "tls": tls}
        told = [Event(message=mail.id, time=mail.received, event=events.RECEIVED, facts=facts)]
        told += [_routed(mail, delivery, alone=len(deliveries) == 1) for delivery in deliveries]
        record = spool.new_record(
            mail.id, told, found=Found(sender=sender.lower(), recipients=tuple(recipients), message_id=message_id)
        )
        await spool.accept(mail, deliveries, [record])
        # The client's reply goes out first: it waits, and nothing below can fail it any more.
        asyncio.get_running_loop().call_soon(self._taken, mail, deliveries, record, tls)

    def _taken(
        self, mail: Mail, deliveries: tuple[Delivery, ...], record: Prepared, tls: dict[str, str] | None
    ) -> None:
        """The message is ours: have its record moved, then let it go."""
        spool = self._spool
        self._mover.move(spool, [record], partial(self._release, spool, deliveries, mail.message.content))
        client = mail.client
        self._log.tell(
            "info",
            "received",
            id=mail.id,
            size=mail.message.size,
            recipients=len(mail.envelope.recipients),
            client=None if client is None else client.address,
            connector=mail.connector,
            tls=None if tls is None else f"{tls['version']} {tls['cipher']}",
        )

    def _release(self, spool: Spool, deliveries: tuple[Delivery, ...], content: Content) -> None:
        """The trace is written: they may leave."""
        for delivery in deliveries:
            self._offer(spool, delivery, content)


def _routed(mail: Mail, delivery: Delivery, *, alone: bool) -> Event:
    facts: dict[str, object] = {
        "delivery": delivery.id,
        "connector": delivery.connector,
        "destination": delivery.destination,
    }
    if not alone:  # Else they are those of the message.
        facts["recipients"] = [target.address.text for target in delivery.targets]
    return Event(message=mail.id, time=mail.received, event=events.ROUTED, facts=facts)


def _message_id(mail: Mail) -> str:
    value = mail.message.first(b"Message-ID") or b""
    return value.decode("utf-8", "replace") if len(value) <= MAX_MESSAGE_ID else ""
