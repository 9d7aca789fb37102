"""MX records decide where mail goes."""

from __future__ import annotations

import email
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Any

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.names import Names
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.swaks import swaks

ZONE = (
    "two.example. 60 IN MX 20 second.two.example.",
    "two.example. 60 IN MX 10 first.two.example.",
    "first.two.example. 60 IN A 127.0.0.2",  # Nobody listens there.
    "second.two.example. 60 IN A 127.0.0.1",
    "own.example. 60 IN A 127.0.0.1",
    "null.example. 60 IN MX 0 .",
    "sick.example. 60 IN MX 10 second.two.example.",
)


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    with Names(*ZONE) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop, names: Names) -> Gateway:
    return make_gateway(HOP=hop.port, DNS=names.address).start()


def report_about(gateway: Gateway, recipient: str) -> tuple[str, Message]:
    """Text and fields of the notice about that recipient, which lies in the folder of our own domain."""

    def look() -> list[bytes]:
        found = [file.read_bytes() for file in gateway.outbox.glob("*.eml")] if gateway.outbox.is_dir() else []
        return [one for one in found if f"Final-Recipient: rfc822; {recipient}".encode() in one]

    (octets,) = until(look, f"a notice about {recipient}")
    parts: Any = email.message_from_bytes(octets).get_payload()
    text, status, _ = parts
    return " ".join(text.get_payload().split()), status.get_payload()[1]


def test_the_best_host_is_tried_first_and_the_next_where_it_is_dead(gateway: Gateway, hop: Hop) -> None:
    said = swaks(gateway.port, "--to", "otto@two.example")
    until(lambda: [one for one in hop.taken if "otto@two.example" in one.recipients], "the mail at the second host")
    hosts = [event["host"] for event in gateway.story(said.queue_id, "attempt")]
    assert hosts == ["first.two.example", "second.two.example"]


def test_a_domain_without_mx_is_its_own_host(gateway: Gateway, hop: Hop) -> None:
    swaks(gateway.port, "--to", "otto@own.example")
    until(lambda: [one for one in hop.taken if "otto@own.example" in one.recipients], "the mail at the domain itself")


@pytest.mark.parametrize(
    ("recipient", "status", "words"),
    [
        ("otto@null.example", "5.1.10", "the domain null.example takes no mail"),
        ("otto@none.example", "5.1.2", "the domain none.example does not exist"),
    ],
)
def test_a_domain_that_takes_no_mail_comes_back_at_once(
    gateway: Gateway, recipient: str, status: str, words: str
) -> None:
    assert swaks(gateway.port, "--to", recipient).code == 0
    text, fields = report_about(gateway, recipient)
    assert (fields["Action"], fields["Status"]) == ("failed", status)
    assert words in text
    assert fields["Diagnostic-Code"].startswith("x-gateway; "), "no host said it"


def test_a_dns_server_that_fails_lets_the_mail_wait(gateway: Gateway, hop: Hop, names: Names) -> None:
    names.dns.failing.add("sick.example")
    said = swaks(gateway.port, "--to", "otto@sick.example")
    row = gateway.tried(said.queue_id)
    assert row["recipients"][0]["enhanced"] == "4.4.3"
    names.dns.failing.clear()
    until(lambda: [one for one in hop.taken if "otto@sick.example" in one.recipients], "the mail once DNS answers", 40)
