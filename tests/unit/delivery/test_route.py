"""Which deliveries a message becomes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.delivery.route import MAX_TARGETS, reachable, regroup, route
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, State
from gateway.mail.envelope import Body, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.reply import NO_ROUTE, Refused
from tests.fakes.terms import outbound

MX = outbound("world")
SMART = outbound("partner", "partner.example", "*.partner.example", mx=False)
FOLDER = outbound("demo", "demo.example", folder=True)
ALL = (MX, SMART, FOLDER)


def mail(*recipients: str | Recipient, sender: str | None = "ida@corp.example") -> Mail:
    octets = b"Subject: x\r\n\r\nx\r\n"
    return Mail(
        id="Q1",
        received=1000.0,
        envelope=Envelope(
            sender=None if sender is None else parse_address(sender),
            recipients=tuple(
                one if isinstance(one, Recipient) else Recipient(parse_address(one)) for one in recipients
            ),
            body=Body.EIGHT_BIT_MIME,
            smtputf8=True,
            ret="FULL",
            envid="e1",
        ),
        message=Message(octets, Held(octets)),
    )


def shape(deliveries: tuple[Delivery, ...]) -> list[tuple[str, str, str, list[str]]]:
    return [
        (one.id, one.connector, one.destination, [target.address.text for target in one.targets]) for one in deliveries
    ]


def test_mx_recipients_are_grouped_by_domain_and_smart_host_ones_by_connector() -> None:
    routed = route(
        mail(
            "a@x.example", "b@partner.example", "c@y.example", "d@x.example", "e@sub.partner.example", "f@demo.example"
        ),
        ALL,
        home="corp.example",
        now=1001.0,
    )
    assert shape(routed) == [
        ("Q1.1", "world", "x.example", ["a@x.example", "d@x.example"]),
        ("Q1.2", "partner", "", ["b@partner.example", "e@sub.partner.example"]),
        ("Q1.3", "world", "y.example", ["c@y.example"]),
        ("Q1.4", "demo", "", ["f@demo.example"]),
    ]


def test_one_recipient_makes_one_delivery_that_carries_the_envelope_over() -> None:
    (one,) = route(
        mail(Recipient(parse_address("Bob@X.example"), notify="FAILURE", orcpt="rfc822;b+40x")),
        ALL,
        home="corp.example",
        now=1001.0,
    )
    assert (one.id, one.message, one.connector, one.destination) == ("Q1.1", "Q1", "world", "x.example")
    assert (one.body, one.smtputf8, one.ret, one.envid) == (Body.EIGHT_BIT_MIME, True, "FULL", "e1")
    assert (one.created, one.next_attempt, one.attempts, one.state) == (1000.0, 1001.0, 0, State.READY)
    assert (one.targets[0].notify, one.targets[0].orcpt) == ("FAILURE", "rfc822;b+40x")
    assert one.targets[0].address.text == "Bob@X.example"
    assert one.size == len(b"Subject: x\r\n\r\nx\r\n")


def test_every_delivery_carries_the_preface_and_counts_it() -> None:
    sent = replace(mail("a@x.example", "b@demo.example"), preface=b"A: 1\r\n")
    plain = route(mail("a@x.example", "b@demo.example"), ALL, home="", now=0)
    for one, before in zip(route(sent, ALL, home="", now=0), plain, strict=True):
        assert (one.preface, one.size) == (b"A: 1\r\n", before.size + 6)


def test_a_recipient_named_twice_gets_it_once_whatever_the_case_of_the_domain() -> None:
    routed = route(mail("a@x.example", "a@X.EXAMPLE", "A@x.example"), ALL, home="corp.example", now=0)
    assert shape(routed) == [("Q1.1", "world", "x.example", ["a@x.example", "A@x.example"])]


def test_bare_postmaster_goes_to_the_first_accepted_domain() -> None:
    (one,) = route(mail("Postmaster"), ALL, home="corp.example", now=0)
    assert shape((one,)) == [("Q1.1", "world", "corp.example", ["Postmaster@corp.example"])]


def test_a_recipient_without_a_connector_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        route(mail("a@elsewhere.example"), (SMART,), home="corp.example", now=0)
    assert caught.value.reply is NO_ROUTE
    with pytest.raises(Refused):
        route(mail("a@partner.example", "a@elsewhere.example"), (SMART,), home="corp.example", now=0)


def test_reachable_says_at_rcpt_what_route_would_do() -> None:
    assert reachable((SMART,), parse_address("a@partner.example"))
    assert not reachable((SMART,), parse_address("a@elsewhere.example"))
    assert reachable((MX,), parse_address("postmaster"), "corp.example")
    assert not reachable((MX,), parse_address("postmaster"))


def test_more_recipients_than_every_server_takes_make_several_deliveries() -> None:
    names = [f"u{number}@x.example" for number in range(MAX_TARGETS + 1)]
    routed = route(mail(*names), ALL, home="", now=0)
    assert [len(one.targets) for one in routed] == [MAX_TARGETS, 1]
    assert [one.id for one in routed] == ["Q1.1", "Q1.2"]
    (one,) = route(mail(*[name.replace("x.example", "demo.example") for name in names]), ALL, home="", now=0)
    assert len(one.targets) == MAX_TARGETS + 1


def test_regroup_keeps_recipients_of_different_connectors_apart() -> None:
    """A delivery through a smart host that is gone must not take one recipient along under another's terms."""
    (stored,) = route(
        mail("a@x.example", "b@partner.example", "c@none.test"), (outbound("old", mx=False),), home="", now=0
    )
    parts = regroup(stored, (outbound("world", "x.example"), SMART))
    assert [(None if way is None else way.name, *shape((part,))[0]) for way, part in parts] == [
        ("world", "Q1.1", "world", "x.example", ["a@x.example"]),
        ("partner", "Q1.1", "partner", "", ["b@partner.example"]),
        (None, "Q1.1", "old", "", ["c@none.test"]),
    ]
