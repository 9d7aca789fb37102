"""Which deliveries the copies of one message become: recipients grouped by outbound connector and destination. Pure."""

from __future__ import annotations

from dataclasses import replace

from gateway.connectors.model import Deliver, Outbound
from gateway.connectors.outbound import choose
from gateway.mail.address import Address
from gateway.mail.delivery import HERE, PROTECT, QUARANTINE, Delivery, State, Target
from gateway.mail.envelope import Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Runs
from gateway.mail.plan import Plan
from gateway.mail.reply import CONNECTOR_GONE, NO_ROUTE, Refused
from gateway.mail.terms import PLAIN

MAX_TARGETS = 100  # RFC 5321 4.5.3.1.8: every server takes that many in one transaction; more may get 452.


def uses_mx(outbound: Outbound) -> bool:
    """Whether the connector looks up the MX of the recipient's domain."""
    return outbound.deliver is Deliver.SMTP and not outbound.smart_hosts


def reachable(outbounds: tuple[Outbound, ...], address: Address, home: str = "") -> bool:
    """Whether a connector leads to `address`; asked at RCPT, where the answer is Refused(NO_ROUTE).

    `home` is the domain of a bare `postmaster` (RFC 5321 4.5.1); without one that address leads nowhere.
    """
    domain = address.domain or home
    return bool(domain) and choose(outbounds, domain) is not None


def route(
    plan: Plan, outbounds: tuple[Outbound, ...], *, home: str, now: float, again: float = 0.0
) -> tuple[Delivery, ...]:
    """The deliveries Q.1, Q.2, ... of each copy and notice, in the order in which their first recipients were named.

    A recipient who was named twice gets a copy once. `home`, the first accepted domain, is where a bare `postmaster`
    lives. `again`: seconds until a copy is protected that could not be. Raises Refused(NO_ROUTE) where a recipient
    can't be reached, as after a reload between RCPT and the end of DATA.
    """
    places = plan.places()
    if places is None and len(plan.copies) == 1 and plan.copies[0].terms is PLAIN:
        return _routed(plan.copies[0], 1, outbounds, home, now, None)
    deliveries: tuple[Delivery, ...] = ()
    for mail in plan.mails:
        number = len(deliveries) + 1
        place = None if places is None else places[id(mail.message.content)]
        if mail.terms.quarantine is not None:
            targets = tuple(target_of(recipient, home) for recipient in mail.envelope.recipients)
            one = _delivery(mail, number, HERE, QUARANTINE, targets, now, place)
            deliveries += (replace(one, state=State.HELD),)
        elif mail.terms.wanted is not None:
            targets = tuple(target_of(recipient, home) for recipient in mail.envelope.recipients)
            # Its octets are in clear: whatever notice there will be of it has the header section alone.
            one = _delivery(mail, number, HERE, PROTECT, targets, now + again, place)
            deliveries += (replace(one, state=State.WAITING, ret="HDRS"),)
        else:
            try:
                deliveries += _routed(mail, number, outbounds, home, now, place)
            except Refused:
                if mail not in plan.notices:  # A notice that leads nowhere holds no mail up.
                    raise
    return deliveries


def _routed(
    mail: Mail, number: int, outbounds: tuple[Outbound, ...], home: str, now: float, place: Runs | None
) -> tuple[Delivery, ...]:
    """The deliveries of one copy, numbered from `number` on."""
    recipients, chosen = mail.envelope.recipients, mail.terms.connector
    if len(recipients) == 1:
        outbound, target = _aim(recipients[0], outbounds, home, chosen)
        way = _way(outbound, target)
        return (_delivery(mail, number, *way, (target,), now, place),)
    groups: dict[tuple[str, str], list[Target]] = {}
    ways: dict[tuple[str, str], Outbound] = {}
    seen: set[tuple[str, str]] = set()
    for recipient in recipients:
        outbound, target = _aim(recipient, outbounds, home, chosen)
        address = target.address
        if (who := (address.local, address.domain)) in seen:
            continue
        seen.add(who)
        way = _way(outbound, target)
        ways[way] = outbound
        groups.setdefault(way, []).append(target)
    deliveries: list[Delivery] = []
    for way, targets in groups.items():
        most = MAX_TARGETS if ways[way].deliver is Deliver.SMTP else len(targets)
        for start in range(0, len(targets), most):
            some = tuple(targets[start : start + most])
            deliveries.append(_delivery(mail, number + len(deliveries), *way, some, now, place))
    return tuple(deliveries)


def _way(outbound: Outbound, target: Target) -> tuple[str, str]:
    return outbound.name, target.address.domain if uses_mx(outbound) else ""


def _aim(
    recipient: Recipient, outbounds: tuple[Outbound, ...], home: str, chosen: str | None
) -> tuple[Outbound, Target]:
    target = target_of(recipient, home)
    domain = target.address.domain
    if chosen is not None:  # Whatever domains it is for; where it is gone nothing else will do.
        outbound = next((one for one in outbounds if one.name == chosen), None)
        if outbound is None:
            raise Refused(CONNECTOR_GONE)
    else:
        outbound = choose(outbounds, domain) if domain else None
        if outbound is None:
            raise Refused(NO_ROUTE)
    if not domain and uses_mx(outbound):
        raise Refused(NO_ROUTE)
    return outbound, target


def target_of(recipient: Recipient, home: str) -> Target:
    """The recipient as a delivery has him."""
    address = recipient.address
    if not address.domain and home:
        # The next hop may be another domain's server, where the bare word would mean somebody else.
        address = Address(f"{address.text}@{home}", home)
    return Target(address=address, notify=recipient.notify, orcpt=recipient.orcpt)


def _delivery(
    mail: Mail,
    number: int,
    connector: str,
    destination: str,
    targets: tuple[Target, ...],
    now: float,
    place: Runs | None,
) -> Delivery:
    envelope = mail.envelope
    return Delivery(
        id=f"{mail.id}.{number}",
        message=mail.id,
        connector=connector,
        destination=destination,
        sender=envelope.sender,
        targets=targets,
        size=len(mail.preface) + mail.message.size,
        created=mail.received,
        next_attempt=now,
        body=envelope.body,
        smtputf8=envelope.smtputf8,
        ret=envelope.ret,
        envid=envelope.envid,
        preface=mail.preface,
        slice=place,
        terms=mail.terms,
    )


def regroup(delivery: Delivery, outbounds: tuple[Outbound, ...]) -> list[tuple[Outbound | None, Delivery]]:
    """Where a stored delivery goes whose connector is no more: its waiting recipients, by their domains once more.

    Each part keeps the id and holds its own recipients alone, so that none leaves under another's terms.
    Those to whom no connector leads come in a part with None.
    """
    groups: dict[tuple[str, str], list[Target]] = {}
    ways: dict[tuple[str, str], Outbound | None] = {}
    for target in delivery.waiting:
        domain = target.address.domain
        outbound = choose(outbounds, domain)
        # A stored delivery without a connector keeps its old name, so that the queue shows whose it was.
        way = (delivery.connector, delivery.destination)
        if outbound is not None:
            way = (outbound.name, domain if uses_mx(outbound) else "")
        ways[way] = outbound
        groups.setdefault(way, []).append(target)
    return [
        (ways[way], replace(delivery, connector=way[0], destination=way[1], targets=tuple(targets)))
        for way, targets in groups.items()
    ]
