"""Our own certificate, as partners ask for it."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.swaks import swaks

ASKING = """\
smtpd_tls_ask_ccert = yes
smtpd_tls_CAfile = {ca}
smtpd_tls_security_level = may
smtpd_relay_restrictions = permit_tls_all_clientcerts, reject
smtpd_recipient_restrictions = permit_tls_all_clientcerts, reject
"""


@dataclass
class Road:
    gateway: Gateway
    postfix: Postfix
    hop: Hop


@pytest.fixture(scope="module")
def road(
    make_gateway: Callable[..., Gateway], make_postfix: Callable[..., Postfix], authority: Authority
) -> Iterator[Road]:
    own = authority.issue("gateway.corp.example")
    postfix = make_postfix(
        hostname="behind.partner.example",
        domains="partner.example",
        certificate=authority.issue("mx.partner.example"),
        extra=ASKING.format(ca=authority.ca),
    )
    hop = Hop(certificate=authority.issue("mx.strict.example"))
    assert hop.context is not None
    hop.context.load_verify_locations(authority.ca)
    hop.context.verify_mode = ssl.CERT_REQUIRED
    with hop:
        gateway = make_gateway(POSTFIX=postfix.port, HOP=hop.port, CERTIFICATE=own.certificate, KEY=own.key)
        yield Road(gateway.start(), postfix, hop)


def test_postfix_lets_in_who_shows_a_certificate_of_its_authority(road: Road) -> None:
    assert swaks(road.gateway.port).code == 0
    (message,) = road.postfix.wait(1)
    assert b'Client CN "gateway.corp.example"' in message
    assert b"(verified OK)" in message


def test_a_host_that_demands_one_gets_it(road: Road) -> None:
    assert swaks(road.gateway.port, "--to", "otto@strict.example").code == 0
    assert road.hop.wait(1)[0].tls in ("TLSv1.2", "TLSv1.3")


def test_without_one_the_mail_waits_and_says_why(road: Road) -> None:
    said = swaks(road.gateway.port, "--to", "otto@unshown.example")
    row = road.gateway.tried(said.queue_id)
    (recipient,) = row["recipients"]
    assert (row["state"], recipient["enhanced"]) == ("waiting", "4.4.317")
    assert recipient["reason"] == "validation-failure"
    assert not [one for one in road.hop.taken if "otto@unshown.example" in one.recipients]


def test_a_host_that_refuses_who_shows_none_is_believed(road: Road) -> None:
    """Its 5xx at RCPT is a lasting no of its own."""
    said = swaks(road.gateway.port, "--to", "otto@refused.example")
    (told,) = road.gateway.story(said.queue_id, "recipient")
    assert told["status"] == "failed"
    assert told["enhanced"].startswith("5.7.")
