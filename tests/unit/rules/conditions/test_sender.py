"""Who sends: match, no match, exception, several values, and where the rule looks for him."""

from __future__ import annotations

from time import process_time

import pytest

from gateway.rules.model import SenderLocation
from tests.fakes.judging import judge, letter, matching, rule

HEADER = letter(sender="Ida <ida@corp.example>")
LIAR = letter(sender="evil@notcorp.example")


@pytest.mark.parametrize(
    ("name", "value", "message", "hits"),
    [
        ("from", "ida@corp.example", HEADER, True),
        ("from", ["otto@corp.example", "IDA@Corp.Example"], HEADER, True),
        ("from", "ida@sub.corp.example", HEADER, False),
        ("from", "ida@corp.example", letter(sender='"ida@corp.example" <evil@else.example>'), False),
        ("sender_domain_is", "corp.example", HEADER, True),
        ("sender_domain_is", ["else.example", "example"], HEADER, True),
        ("sender_domain_is", "corp.example", letter(sender="u@sub.corp.example"), True),
        ("sender_domain_is", "corp.example", LIAR, False),
        ("sender_domain_is", "sub.corp.example", HEADER, False),
        ("from_address_contains_words", "ida", HEADER, True),
        ("from_address_contains_words", ["otto", "corp"], HEADER, True),
        ("from_address_contains_words", "id", HEADER, False),
        ("from_address_contains_words", "ida@corp.example", HEADER, True),
        ("from_address_matches_patterns", r"^i.a@", HEADER, True),
        ("from_address_matches_patterns", [r"^x", r"\.EXAMPLE$"], HEADER, True),
        ("from_address_matches_patterns", r"^corp", HEADER, False),
    ],
)
def test_the_sender_of_the_header(name: str, value: object, message: bytes, hits: bool) -> None:
    assert bool(matching(name, value, message=message, sender="bounce@else.example")) is hits


@pytest.mark.parametrize(
    ("location", "value", "hits"),
    [
        (SenderLocation.HEADER, "ida@corp.example", True),
        (SenderLocation.HEADER, "bounce@list.example", False),
        (SenderLocation.ENVELOPE, "bounce@list.example", True),
        (SenderLocation.ENVELOPE, "ida@corp.example", False),
        (SenderLocation.HEADER_OR_ENVELOPE, "bounce@list.example", True),
        (SenderLocation.HEADER_OR_ENVELOPE, "ida@corp.example", True),
        (SenderLocation.HEADER_OR_ENVELOPE, "olga@corp.example", False),
    ],
)
@pytest.mark.parametrize(
    "name", ["from", "from_address_contains_words", "from_address_matches_patterns", "sender_domain_is"]
)
def test_a_rule_looks_where_it_is_told(name: str, location: SenderLocation, value: str, hits: bool) -> None:
    written = value.rpartition("@")[2] if name == "sender_domain_is" else value
    if name == "sender_domain_is" and value == "olga@corp.example":
        written = "else.example"
    judged = judge(rule("a", {name: written}, sender_location=location), message=HEADER, sender="bounce@list.example")
    assert bool(judged.matched) is hits


def test_sender_and_reply_to_do_not_count() -> None:
    message = letter(sender="ida@corp.example", headers="Sender: boss@corp.example\r\nReply-To: boss@corp.example\r\n")
    assert not matching("from", "boss@corp.example", message=message)


def test_of_several_authors_each_counts() -> None:
    message = letter(sender="ida@corp.example, otto@corp.example")
    assert matching("from", "otto@corp.example", message=message)


def test_of_a_from_that_readers_understand_in_several_ways_each_counts() -> None:
    message = letter(sender="boss@corp.example <evil@else.example>")
    assert matching("from", "boss@corp.example", message=message)
    assert matching("from", "evil@else.example", message=message)


@pytest.mark.parametrize(
    "sender",
    [
        "=?utf-8?q?boss=40corp=2Eexample?=",
        "=?utf-8?q?=3Cboss=40corp=2Eexample=3E?=",
        "=?utf-8?b?Ym9zc0Bjb3JwLmV4YW1wbGU=?==?utf-8?q?=00?=@else.example",
        "Boss <=?utf-8?q?boss=40corp=2Eexample?=@else.example>",
        "boss@corp.example\0",
        "Boss <boss@corp\0.example>",
        "boss@corp\u200b.example",
    ],
)
def test_an_address_that_some_reader_shows_counts(sender: str) -> None:
    """Encoded words where an address stands, and what nobody sees within one: so others pass for somebody of ours."""
    assert matching("sender_domain_is", "corp.example", message=letter(sender=sender))


@pytest.mark.parametrize(
    "sender",
    ["=?utf-8?q?boss=40corp=2Eexample?= <evil@else.example>", "=?utf-8?q?boss=40corp=2Eexample?=<evil@else.example>"],
)
def test_what_an_encoded_display_name_says_is_no_address(sender: str) -> None:
    assert not matching("sender_domain_is", "corp.example", message=letter(sender=sender))
    assert matching("sender_domain_is", "else.example", message=letter(sender=sender))


@pytest.mark.parametrize("piece", ["a", "a.", "?=", "=?a?q?", "@=?", "a@", "(", '"', "a "])
def test_a_long_from_that_is_broken_takes_bounded_time(piece: str) -> None:
    """A field of 250 KiB without an `@` took minutes, in which the process did nothing else."""
    began = process_time()
    assert not matching("from", "boss@corp.example", message=letter(sender=f"( {piece * (250_000 // len(piece))}"))
    assert process_time() - began < 5


def test_two_from_fields_both_count() -> None:
    message = letter(sender="ida@corp.example", headers="From: boss@corp.example\r\n")
    assert matching("from", "boss@corp.example", message=message)


def test_a_null_sender_without_from_is_nobody() -> None:
    assert not matching("from", "ida@corp.example", message=b"Subject: x\r\n\r\n", sender=None)


@pytest.mark.parametrize(
    ("message", "trusted", "sender", "scope"),
    [
        (HEADER, True, "ida@corp.example", "in_organization"),
        (HEADER, False, "ida@corp.example", "not_in_organization"),  # r16
        (LIAR, True, "ida@corp.example", "not_in_organization"),
        (letter(sender="ida@corp.example, x@else.example"), True, "ida@corp.example", "not_in_organization"),
        (b"Subject: x\r\n\r\n", True, "ida@corp.example", "in_organization"),
        (b"Subject: x\r\n\r\n", True, "x@else.example", "not_in_organization"),
    ],
)
def test_inside_is_an_accepted_domain_on_a_trusted_connection(
    message: bytes, trusted: bool, sender: str, scope: str
) -> None:
    for one in ("in_organization", "not_in_organization"):
        hits = matching("from_scope", one, message=message, trusted=trusted, sender=sender)
        assert bool(hits) is (one == scope)


@pytest.mark.parametrize(
    ("value", "client", "hits"),
    [
        ("192.0.2.0/24", "192.0.2.7", True),
        ("192.0.2.0/24", "192.0.3.7", False),
        (["198.51.100.1", "192.0.2.5-192.0.2.9"], "192.0.2.7", True),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8::/32", "2001:db8::25", True),
        ("2001:db8::/32", "192.0.2.7", False),
        ("0.0.0.0/0", None, False),
    ],
)
def test_the_client_is_in_a_network(value: object, client: str | None, hits: bool) -> None:
    assert bool(matching("sender_ip_ranges", value, client=client)) is hits


RELAYED = letter(
    headers="Received: from inner (mx [192.0.2.99]) by gate.corp.example; now\r\n"
    "Received: from [203.0.113.5] (helo.example [198.51.100.4]) by inner.corp.example with ESMTP; now\r\n"
    "Received: from x ([192.0.2.200]) by helo.example; now\r\n"
)


def test_behind_a_trusted_hop_the_last_untrusted_address_counts() -> None:
    hops = ("10.0.0.1", "192.0.2.99")
    assert matching("sender_ip_ranges", "198.51.100.4", client="10.0.0.1", hops=hops, message=RELAYED)
    assert not matching("sender_ip_ranges", "192.0.2.200", client="10.0.0.1", hops=hops, message=RELAYED)
    assert not matching("sender_ip_ranges", "203.0.113.5", client="10.0.0.1", hops=hops, message=RELAYED)


def test_what_an_untrusted_client_claims_does_not_count() -> None:
    assert not matching("sender_ip_ranges", "192.0.2.99", client="10.0.0.1", message=RELAYED)
    assert matching("sender_ip_ranges", "10.0.0.1", client="10.0.0.1", message=RELAYED)


@pytest.mark.parametrize(
    "field",
    [
        "from mail.example (mail.example [198.51.100.4]) by inner with ESMTP; now",
        "from [203.0.113.5] (unknown [198.51.100.4]) by inner; now",
        "from [198.51.100.4] (helo=[203.0.113.5]) by inner with esmtp; now",
        "from mail.example (198.51.100.4) by inner (203.0.113.5) with Microsoft SMTP Server; now",
        "from mail.example ([IPv6:::ffff:198.51.100.4]) by inner; now",
    ],
)
def test_what_servers_write_of_their_client(field: str) -> None:
    message = letter(headers=f"Received: {field}\r\n")
    for value, hits in (("198.51.100.4", True), ("203.0.113.5", False)):
        found = matching("sender_ip_ranges", value, client="10.0.0.1", hops=("10.0.0.1",), message=message)
        assert bool(found) is hits
