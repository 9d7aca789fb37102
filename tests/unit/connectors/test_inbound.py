"""Who may hand us mail, under which terms, and whom it may reach."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from gateway.connectors.inbound import Inbounds, admit, may_reach
from gateway.connectors.model import Domains, Inbound
from gateway.mail.address import Address, parse_address
from gateway.mail.envelope import Tls
from gateway.mail.reply import (
    ADDRESS_RESTRICTED,
    RELAY_DENIED,
    SENDER_NOT_ALLOWED,
    TLS_REQUIRED,
    TLS_TOO_OLD,
    Refused,
    Reply,
)

OURS = Domains(("corp.example", "*.corp.example"))
TLS12 = Tls("TLSv1.2", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256")
TLS13 = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384")


def inbound(name: str, *domains: str, at: tuple[str, ...] = (), **terms: Any) -> Inbound:
    facts: dict[str, Any] = {
        "on_premises": False,
        "restrict_to_networks": False,
        "require_tls": False,
        "minimum_tls": None,
        "accepted_senders": None,
        "recipient_domains": None,
    }
    return Inbound(
        name=name,
        sender_domains=Domains(domains or ("*",)),
        networks=tuple(ip_network(one) for one in at),
        **(facts | terms),
    )


def came(
    *inbounds: Inbound, sender: str | None = "x@partner.example", at: str = "192.0.2.1", tls: Tls | None = TLS13
) -> str | None:
    """The name of the connector that was chosen, asked twice: what is remembered must be the same."""
    whole = Inbounds(inbounds)
    address = None if sender is None else parse_address(sender)
    first = admit(whole, OURS, sender=address, client_address=at, tls=tls)
    assert admit(whole, OURS, sender=address, client_address=at, tls=tls) is first
    assert admit(inbounds, OURS, sender=address, client_address=at, tls=tls) is first
    return first.name if first else None


def refused(
    *inbounds: Inbound, sender: str | None = "x@partner.example", at: str = "192.0.2.1", tls: Tls | None = TLS13
) -> Reply:
    whole = Inbounds(inbounds)
    address = None if sender is None else parse_address(sender)
    replies = []
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            admit(whole, OURS, sender=address, client_address=at, tls=tls)
        replies.append(caught.value.reply)
    assert replies[0] == replies[1]
    return replies[0]


def test_no_connector_for_the_client_is_none() -> None:
    assert came(inbound("a", at=("198.51.100.0/24",))) is None
    assert came(inbound("a", "other.example")) is None
    assert came() is None


def test_the_most_specific_sender_domain_wins() -> None:
    whole = (inbound("all"), inbound("sub", "*.partner.example"), inbound("one", "mail.partner.example"))
    assert came(*whole, sender="x@mail.partner.example") == "one"
    assert came(*whole, sender="x@other.partner.example") == "sub"
    assert came(*whole, sender="x@partner.example") == "all"


def test_a_domain_is_compared_in_any_case_and_as_a_labels() -> None:
    assert came(inbound("one", "xn--bcher-kva.example"), sender="x@BÜCHER.example") == "one"


def test_among_equals_one_with_networks_wins_then_the_files_order() -> None:
    assert came(inbound("any"), inbound("here", at=("192.0.2.0/24",))) == "here"
    assert came(inbound("first", at=("192.0.2.0/24",)), inbound("second", at=("192.0.2.1",))) == "first"


def test_a_more_specific_domain_beats_networks() -> None:
    assert came(inbound("here", at=("192.0.2.0/24",)), inbound("domain", "partner.example")) == "domain"


def test_a_mapped_address_counts_as_ipv4() -> None:
    assert came(inbound("here", at=("192.0.2.0/24",)), at="::ffff:192.0.2.7") == "here"


def test_an_address_with_a_zone_is_compared_without_it() -> None:
    assert came(inbound("here", at=("fe80::/10",)), at="fe80::1%eth0") == "here"


def test_a_client_without_an_address_is_in_no_network() -> None:
    assert came(inbound("here", at=("0.0.0.0/0", "::/0")), at="") is None


def test_null_sender_is_chosen_by_the_closest_network() -> None:
    whole = (
        inbound("any"),
        inbound("wide", "partner.example", at=("192.0.0.0/8",)),
        inbound("close", "other.example", at=("192.0.2.0/24",)),
    )
    assert came(*whole, sender=None) == "close"
    assert came(*whole, sender=None, at="192.9.9.9") == "wide"
    assert came(*whole, sender=None, at="203.0.113.1") == "any"


def test_null_sender_prefers_a_connector_for_all_senders() -> None:
    whole = (inbound("partner", "partner.example", require_tls=True), inbound("public"))
    assert came(*whole, sender=None, tls=None) == "public"


def test_null_sender_is_not_held_to_associated_domains() -> None:
    assert came(inbound("a", accepted_senders=Domains(("corp.example",))), sender=None) == "a"


def test_tls_is_demanded_from_those_whom_the_connector_is_for_alone() -> None:
    whole = (inbound("partner", "partner.example", require_tls=True), inbound("public"))
    assert refused(*whole, tls=None) == TLS_REQUIRED
    assert came(*whole, sender="x@else.example", tls=None) == "public"
    assert came(inbound("partner", "partner.example", require_tls=True), sender="x@else.example", tls=None) is None


def test_a_tls_version_that_is_too_old_is_refused() -> None:
    strict = inbound("a", minimum_tls="1.3")
    assert refused(strict, tls=TLS12) == TLS_TOO_OLD
    assert came(strict, tls=TLS13) == "a"
    assert came(inbound("a", minimum_tls="1.2"), tls=TLS12) == "a"


def test_restricted_domains_from_another_address_are_refused_even_if_another_connector_matches() -> None:
    strict = inbound("p", "partner.example", at=("198.51.100.0/24",), restrict_to_networks=True)
    assert refused(strict, inbound("all")) == ADDRESS_RESTRICTED
    assert refused(inbound("mine", at=("192.0.2.0/24",), on_premises=True), strict) == ADDRESS_RESTRICTED
    assert came(strict, inbound("all"), at="198.51.100.9") == "p"
    assert came(strict, inbound("all"), sender="x@else.example") == "all"


def test_a_restriction_yields_to_a_closer_connector() -> None:
    strict = inbound("p", "*.partner.example", at=("198.51.100.0/24",), restrict_to_networks=True)
    closer = inbound("closer", "mail.partner.example", at=("192.0.2.0/24",))
    assert came(strict, closer, sender="x@mail.partner.example") == "closer"


def test_two_restricted_connectors_of_one_domain_add_up() -> None:
    one = inbound("one", "partner.example", at=("198.51.100.0/24",), restrict_to_networks=True)
    two = inbound("two", "partner.example", at=("192.0.2.0/24",), restrict_to_networks=True)
    assert came(one, two) == "two"
    assert refused(one, two, at="203.0.113.1") == ADDRESS_RESTRICTED


def test_a_restriction_does_not_yield_to_an_equal_connector_for_any_address() -> None:
    strict = inbound("p", "partner.example", at=("198.51.100.0/24",), restrict_to_networks=True)
    assert refused(strict, inbound("loose", "partner.example")) == ADDRESS_RESTRICTED


def test_associated_domains_are_the_only_senders() -> None:
    mine = inbound("mine", accepted_senders=Domains(("corp.example",)), on_premises=True, at=("192.0.2.0/24",))
    assert came(mine, sender="x@corp.example") == "mine"
    assert came(mine, sender="x@sub.corp.example") is None
    assert came(mine, sender="x@else.example") is None


def test_a_flood_of_senders_is_forgotten() -> None:
    whole = Inbounds([inbound("a")])
    for number in range(10_000):
        admit(
            whole,
            OURS,
            sender=Address(f"x@{number}.example", f"{number}.example"),
            client_address="192.0.2.1",
            tls=None,
        )
    assert len(whole.chosen) <= 4096


def test_remembered_refusals_keep_no_traceback() -> None:
    whole = Inbounds([inbound("p", "partner.example", at=("198.51.100.0/24",), restrict_to_networks=True)])
    sender = parse_address("x@partner.example")
    with pytest.raises(Refused):
        admit(whole, OURS, sender=sender, client_address="192.0.2.1", tls=None)
    (kept,) = whole.chosen.values()
    assert isinstance(kept, Refused)
    assert kept.__traceback__ is None


MINE = inbound("mine", on_premises=True, at=("192.0.2.0/24",))
PARTNER = inbound("partner", "partner.example")


@pytest.mark.parametrize(
    "text", ["postmaster", "Postmaster@corp.example", "abuse@sub.corp.example", '"abuse"@corp.example']
)
@pytest.mark.parametrize("by", [None, MINE, PARTNER])
def test_postmaster_and_abuse_of_ours_are_always_taken(text: str, by: Inbound | None) -> None:
    may_reach(by, OURS, parse_address(text))


@pytest.mark.parametrize("text", ["postmaster@else.example", "abuse@else.example", "otto@else.example"])
@pytest.mark.parametrize("by", [None, PARTNER])
def test_others_domains_are_reached_from_our_own_servers_alone(text: str, by: Inbound | None) -> None:
    may_reach(MINE, OURS, parse_address(text))
    with pytest.raises(Refused) as caught:
        may_reach(by, OURS, parse_address(text))
    assert caught.value.reply == RELAY_DENIED


def test_a_partner_reaches_accepted_domains() -> None:
    may_reach(PARTNER, OURS, parse_address("ida@corp.example"))
    may_reach(PARTNER, OURS, parse_address("ida@CORP.example"))


def test_a_client_without_a_connector_reaches_nobody_of_ours() -> None:
    with pytest.raises(Refused) as caught:
        may_reach(None, OURS, parse_address("ida@corp.example"))
    assert caught.value.reply == SENDER_NOT_ALLOWED


@pytest.mark.parametrize(
    "text",
    [
        "otto%else.example@corp.example",
        "else.example!otto@corp.example",
        '"otto@else.example"@corp.example',
        '"otto%else.example"@corp.example',
        "abuse%else.example@corp.example",
    ],
)
def test_routes_hidden_in_the_local_part_are_relaying(text: str) -> None:
    """Attack: a server behind us that still knows the percent hack would carry it out, and we were its open door."""
    with pytest.raises(Refused) as caught:
        may_reach(PARTNER, OURS, parse_address(text))
    assert caught.value.reply == RELAY_DENIED
    may_reach(MINE, OURS, parse_address(text))


@pytest.mark.parametrize("text", ["otto@[192.0.2.1]", "otto@[IPv6:::1]"])
def test_a_partner_does_not_reach_address_literals(text: str) -> None:
    with pytest.raises(Refused):
        may_reach(PARTNER, OURS, parse_address(text))


def test_recipient_domains_narrow_both_types() -> None:
    narrow = Domains(("corp.example",))
    for by in (
        inbound("a", recipient_domains=narrow),
        inbound("b", recipient_domains=narrow, on_premises=True),
    ):
        may_reach(by, OURS, parse_address("ida@corp.example"))
        with pytest.raises(Refused):
            may_reach(by, OURS, parse_address("ida@sub.corp.example"))
    with pytest.raises(Refused):
        may_reach(inbound("c", recipient_domains=Domains(("else.example",))), OURS, parse_address("x@else.example"))
