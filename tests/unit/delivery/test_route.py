"""Which deliveries a message becomes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.connectors.model import Deliver
from gateway.delivery.route import MAX_TARGETS, reachable, regroup, route
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, State
from gateway.mail.envelope import Body, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Joined, Message, sliced
from gateway.mail.plan import Plan
from gateway.mail.reply import CONNECTOR_GONE, NO_ROUTE, Refused
from gateway.mail.terms import Otherwise, Quarantine, Smime, Terms, Wanted
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


def whole(sent: Mail) -> Plan:
    return Plan(copies=(sent,), touched=False)


def shape(deliveries: tuple[Delivery, ...]) -> list[tuple[str, str, str, list[str]]]:
    return [
        (one.id, one.connector, one.destination, [target.address.text for target in one.targets]) for one in deliveries
    ]


def test_what_ends_here_is_one_delivery_however_many_it_is_for() -> None:
    here = replace(
        outbound("here", "corp.example", "*.corp.example", mx=False), deliver=Deliver.MAILBOX, smart_hosts=()
    )
    names = [f"m{number}@corp.example" for number in range(MAX_TARGETS + 1)] + ["x@sub.corp.example"]
    (one,) = route(whole(mail(*names)), (*ALL, here), home="", now=1000.0)
    assert (one.connector, one.destination, len(one.targets)) == ("here", "", MAX_TARGETS + 2)


def test_a_copy_that_a_rule_sends_to_a_mailbox_goes_there_like_any_mail_to_it() -> None:
    """`copy_to` and `blind_copy_to` make copies with recipients of their own."""
    here = replace(outbound("here", "corp.example", mx=False), deliver=Deliver.MAILBOX, smart_hosts=())
    sent, blind = mail("a@x.example"), mail("archive+legal@corp.example")
    plan = Plan(copies=(sent, blind), touched=True)
    routed = shape(route(plan, (*ALL, here), home="", now=1000.0))
    assert routed == [
        ("Q1.1", "world", "x.example", ["a@x.example"]),
        ("Q1.2", "here", "", ["archive+legal@corp.example"]),
    ]


def test_mx_recipients_are_grouped_by_domain_and_smart_host_ones_by_connector() -> None:
    routed = route(
        whole(
            mail(
                *("a@x.example", "b@partner.example", "c@y.example"),
                *("d@x.example", "e@sub.partner.example", "f@demo.example"),
            )
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
        whole(mail(Recipient(parse_address("Bob@X.example"), notify="FAILURE", orcpt="rfc822;b+40x"))),
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
    plain = route(whole(mail("a@x.example", "b@demo.example")), ALL, home="", now=0)
    for one, before in zip(route(whole(sent), ALL, home="", now=0), plain, strict=True):
        assert (one.preface, one.size) == (b"A: 1\r\n", before.size + 6)


def test_a_recipient_named_twice_gets_it_once_whatever_the_case_of_the_domain() -> None:
    routed = route(whole(mail("a@x.example", "a@X.EXAMPLE", "A@x.example")), ALL, home="corp.example", now=0)
    assert shape(routed) == [("Q1.1", "world", "x.example", ["a@x.example", "A@x.example"])]


def test_bare_postmaster_goes_to_the_first_accepted_domain() -> None:
    (one,) = route(whole(mail("Postmaster")), ALL, home="corp.example", now=0)
    assert shape((one,)) == [("Q1.1", "world", "corp.example", ["Postmaster@corp.example"])]


def test_a_recipient_without_a_connector_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        route(whole(mail("a@elsewhere.example")), (SMART,), home="corp.example", now=0)
    assert caught.value.reply is NO_ROUTE
    with pytest.raises(Refused):
        route(whole(mail("a@partner.example", "a@elsewhere.example")), (SMART,), home="corp.example", now=0)


def test_reachable_says_at_rcpt_what_route_would_do() -> None:
    assert reachable((SMART,), parse_address("a@partner.example"))
    assert not reachable((SMART,), parse_address("a@elsewhere.example"))
    assert reachable((MX,), parse_address("postmaster"), "corp.example")
    assert not reachable((MX,), parse_address("postmaster"))


def test_more_recipients_than_every_server_takes_make_several_deliveries() -> None:
    names = [f"u{number}@x.example" for number in range(MAX_TARGETS + 1)]
    routed = route(whole(mail(*names)), ALL, home="", now=0)
    assert [len(one.targets) for one in routed] == [MAX_TARGETS, 1]
    assert [one.id for one in routed] == ["Q1.1", "Q1.2"]
    (one,) = route(whole(mail(*[name.replace("x.example", "demo.example") for name in names])), ALL, home="", now=0)
    assert len(one.targets) == MAX_TARGETS + 1


def test_regroup_keeps_recipients_of_different_connectors_apart() -> None:
    """A delivery through a smart host that is gone must not take one recipient along under another's terms."""
    sent = whole(mail("a@x.example", "b@partner.example", "c@none.test"))
    (stored,) = route(sent, (outbound("old", mx=False),), home="", now=0)
    parts = regroup(stored, (outbound("world", "x.example"), SMART))
    assert [(None if way is None else way.name, *shape((part,))[0]) for way, part in parts] == [
        ("world", "Q1.1", "world", "x.example", ["a@x.example"]),
        ("partner", "Q1.1", "partner", "", ["b@partner.example"]),
        (None, "Q1.1", "old", "", ["c@none.test"]),
    ]


# -- copies -----------------------------------------------------------------------------------------------------------

WANTED = Wanted(rule="Partners", smime=Smime.ENCRYPT, otherwise=Otherwise.DEFER)


def other(sent: Mail, octets: bytes, **terms: object) -> Mail:
    """Another copy of it."""
    return replace(sent, message=Message(octets, Held(octets)), terms=Terms(**terms))  # type: ignore[arg-type]


def test_copies_are_numbered_on_and_each_knows_its_place_in_what_is_stored() -> None:
    first = mail("a@x.example", "b@partner.example")
    second = other(mail("c@x.example"), b"Subject: other\r\n\r\n")
    notice = other(mail("ida@corp.example", sender=None), b"Subject: notice\r\n\r\n")
    routed = route(Plan(copies=(first, second), notices=(notice,)), ALL, home="", now=0)
    size = first.message.size
    assert [(one.id, one.slice, one.size) for one in routed] == [
        ("Q1.1", ((0, size),), size),
        ("Q1.2", ((0, size),), size),
        ("Q1.3", ((size, 18),), 18),
        ("Q1.4", ((size + 18, 19),), 19),
    ]
    assert [one.sender for one in routed] == [*[parse_address("ida@corp.example")] * 3, None]


def test_what_copies_have_in_common_is_stored_once_and_each_knows_its_runs() -> None:
    shared, tail = Held(b"s" * 50), Held(b"--end\r\n")
    heads = [Held(b"Subject: one\r\n\r\n"), Held(b"Subject: three\r\n\r\n")]
    copies = [
        replace(mail(who), message=Message(head.octets, Joined((head, shared, tail))))
        for who, head in zip(("a@x.example", "b@x.example"), heads, strict=True)
    ]
    plan = Plan(copies=tuple(copies))
    first, second = route(plan, ALL, home="", now=0)
    stored = b"".join(one.inline or b"" for one in plan.contents())
    assert stored.count(shared.octets) == 1
    for copy, delivery in zip(copies, (first, second), strict=True):
        content = copy.message.content
        assert isinstance(content, Joined)
        assert sliced(Held(stored), delivery.slice).inline == b"".join(one.inline or b"" for one in content.parts)
        assert delivery.size == content.size


def test_copies_of_one_message_share_its_octets() -> None:
    first = mail("a@x.example")
    second = replace(mail("b@x.example"), message=first.message, terms=Terms(require_tls=True))
    routed = route(Plan(copies=(first, second)), ALL, home="", now=0)
    assert [(one.id, one.slice, one.terms.require_tls) for one in routed] == [
        ("Q1.1", None, False),
        ("Q1.2", None, True),
    ]


def test_a_connector_that_a_rule_chose_counts_whatever_the_domain() -> None:
    sent = replace(mail("a@x.example", "b@demo.example"), terms=Terms(connector="partner"))
    assert shape(route(Plan(copies=(sent,)), ALL, home="", now=0)) == [
        ("Q1.1", "partner", "", ["a@x.example", "b@demo.example"])
    ]
    with pytest.raises(Refused) as caught:
        route(Plan(copies=(sent,)), (MX, FOLDER), home="", now=0)
    assert caught.value.reply is CONNECTOR_GONE


def test_what_an_officer_has_to_release_is_held_as_one_delivery() -> None:
    sent = replace(mail("a@x.example", "b@partner.example"), terms=Terms(quarantine=Quarantine(rules=("Odd",))))
    (one,) = route(Plan(copies=(sent,)), ALL, home="", now=0)
    assert (one.state, one.connector, len(one.targets)) == (State.HELD, "", 2)


def test_what_could_not_be_protected_waits_and_a_notice_of_it_will_not_show_its_body() -> None:
    sent = replace(mail("a@x.example", "Postmaster"), terms=Terms(wanted=WANTED))
    (one,) = route(Plan(copies=(sent,)), ALL, home="corp.example", now=1000.0, again=60.0)
    assert (one.state, one.connector, one.next_attempt, one.ret) == (State.WAITING, "", 1060.0, "HDRS")
    assert [target.address.text for target in one.targets] == ["a@x.example", "Postmaster@corp.example"]


def test_a_notice_that_leads_nowhere_holds_no_mail_up() -> None:
    notice = other(mail("ida@elsewhere.example", sender=None), b"x")
    plan = Plan(copies=(mail("a@partner.example"),), notices=(notice,))
    assert [one.id for one in route(plan, (SMART,), home="", now=0)] == ["Q1.1"]


def test_nothing_leaves_of_what_was_deleted() -> None:
    assert route(Plan(copies=()), ALL, home="", now=0) == ()
