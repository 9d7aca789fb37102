"""Which deliveries one message becomes: recipients grouped by outbound connector and destination. Pure.

Leaves out: connectors that a transport rule names; they come with the rules.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.connectors.model import Deliver, Outbound
from gateway.connectors.outbound import choose
from gateway.mail.address import Address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.envelope import Recipient
from gateway.mail.mail import Mail
from gateway.mail.reply import NO_ROUTE, Refused

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


def route(mail: Mail, outbounds: tuple[Outbound, ...], *, home: str, now: float) -> tuple[Delivery, ...]:
    """The deliveries Q.1, Q.2, ... of `mail`, in the order in which RCPT named their first recipients.

    A recipient who was named twice gets it once. `home`, the first accepted domain, is where a bare `postmaster` lives.
    Raises Refused(NO_ROUTE) where a recipient can't be reached, as after a reload between RCPT and the end of DATA.
    """
    recipients = mail.envelope.recipients
    if len(recipients) == 1:
        outbound, target = _aim(recipients[0], outbounds, home)
        return (_delivery(mail, 1, outbound, target.address.domain, (target,), now),)
    groups: dict[tuple[str, str], list[Target]] = {}
    ways: dict[tuple[str, str], Outbound] = {}
    seen: set[tuple[str, str]] = set()
    for recipient in recipients:
        outbound, target = _aim(recipient, outbounds, home)
        address = target.address
        if (who := (address.local, address.domain)) in seen:
            continue
        seen.add(who)
        way = (outbound.name, address.domain if uses_mx(outbound) else "")
        ways[way] = outbound
        groups.setdefault(way, []).append(target)
    deliveries: list[Delivery] = []
    for way, targets in groups.items():
        most = MAX_TARGETS if ways[way].deliver is Deliver.SMTP else len(targets)
        for start in range(0, len(targets), most):
            some = tuple(targets[start : start + most])
            deliveries.append(_delivery(mail, len(deliveries) + 1, ways[way], some[0].address.domain, some, now))
    return tuple(deliveries)


def _aim(recipient: Recipient, outbounds: tuple[Outbound, ...], home: str) -> tuple[Outbound, Target]:
    address = recipient.address
    if not address.domain and home:
        # The next hop may be another domain's server, where the bare word would mean somebody else.
        address = Address(f"{address.text}@{home}", home)
    outbound = choose(outbounds, address.domain) if address.domain else None
    if outbound is None:
        raise Refused(NO_ROUTE)
    return outbound, Target(address=address, notify=recipient.notify, orcpt=recipient.orcpt)


def _delivery(
    mail: Mail, number: int, outbound: Outbound, domain: str, targets: tuple[Target, ...], now: float
) -> Delivery:
    envelope = mail.envelope
    return Delivery(
        id=f"{mail.id}.{number}",
        message=mail.id,
        connector=outbound.name,
        destination=domain if uses_mx(outbound) else "",
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
