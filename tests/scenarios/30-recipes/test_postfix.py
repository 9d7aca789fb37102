"""Before Postfix: docs/administrator.md's settings and main.cf, word for word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.names import Names
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.recipe import cooked, serve
from tests.scenarios.peers.swaks import Transcript, swaks

NAME = "Before Postfix"
POSTFIX, STRANGER = "127.0.0.10", "127.0.0.77"
ZONE = ("partner.example. 60 IN MX 10 mx.partner.example.", "mx.partner.example. 60 IN A 127.0.0.1")
# What the peer's own main.cf has otherwise, and the machine that Postfix is in the recipe.
HERE = f"""
mynetworks = 127.0.0.3
smtp_bind_address = {POSTFIX}
smtpd_recipient_restrictions =
virtual_mailbox_maps = inline:{{ {{ otto@corp.example = all/ }} }}
"""


@dataclass
class Office:
    gateway: Gateway
    postfix: Postfix
    world: Hop

    def from_outside(self, *arguments: str, recipient: str = "otto@corp.example") -> Transcript:
        """A stranger's message to the gateway."""
        options = ("--local-interface", STRANGER, "--from", "eva@partner.example", "--to", recipient)
        return swaks(self.gateway.port, *options, *arguments)


@pytest.fixture(scope="module")
def office(
    make_gateway: Callable[..., Gateway], make_postfix: Callable[..., Postfix], authority: Authority
) -> Iterator[Office]:
    gateway = make_gateway(file=None)
    inside = authority.issue("mail.corp.example")
    main = cooked(
        NAME,
        "postfix",
        ("[mx.corp.example]:25", f"[127.0.0.1]:{gateway.port}"),
        ("/etc/ssl/certs/ca-certificates.crt", authority.ca),
        ("/etc/postfix/mail.corp.example.pem", inside.certificate),
        ("/etc/postfix/mail.corp.example.key", inside.key),
        ("192.0.2.25", "127.0.0.1"),
    )
    postfix = make_postfix(hostname="mail.corp.example", domains="corp.example", extra=main + HERE)
    with Hop() as world, Names(*ZONE) as names:
        serve(
            gateway,
            NAME,
            ("192.0.2.10", POSTFIX),
            ("mail.corp.example:25", f"127.0.0.1:{postfix.port}"),
            ("use_mx = true", f"use_mx = true\nport = {world.port}"),
            certificate=authority.issue("mx.corp.example"),
            files={"certs/inside-ca.pem": authority.ca},
            rest=f'\n[dns]\nresolvers = ["{names.address}"]\n',
        )
        yield Office(gateway, postfix, world)


def test_mail_from_outside_reaches_a_mailbox_over_tls(office: Office) -> None:
    said = office.from_outside()
    assert said.code == 0, said.text
    (message,) = office.postfix.wait(1)
    assert b"using TLSv1." in message
    assert b"by mx.corp.example" in message


def test_whom_postfix_does_not_have_is_refused_at_once(office: Office) -> None:
    said = office.from_outside(recipient="nobody@corp.example")
    assert said.last.startswith("550 5.1.1 "), said.text


def test_strangers_relay_nothing(office: Office) -> None:
    said = office.from_outside(recipient="otto@elsewhere.example")
    assert said.last.startswith("550 5.7.64 "), said.text
    as_us = swaks(office.gateway.port, "--local-interface", STRANGER, "--to", "otto@elsewhere.example")
    assert as_us.last.startswith("550 5.7.64 "), as_us.text


def test_what_leaves_postfix_leaves_by_the_gateway(office: Office) -> None:
    office.postfix.submit("-f", "otto@corp.example", "eva@partner.example", octets=b"Subject: out\r\n\r\nHello\r\n")
    (message,) = office.world.wait(1)
    assert message.recipients == ("eva@partner.example",)
    (found,) = office.gateway.json("trace", "--to", "eva@partner.example")
    (received,) = office.gateway.story(found["id"], "received")
    assert (received["connector"], received["client"]) == ("postfix", POSTFIX)
    assert received["tls"] is not None


def test_postfix_in_clear_would_be_refused(office: Office) -> None:
    said = swaks(office.gateway.port, "--local-interface", POSTFIX, "--to", "eva@partner.example")
    assert said.last.startswith("530 5.7.0 "), said.text


def test_nobody_passes_the_gateway_by(office: Office) -> None:
    said = swaks(office.postfix.port, "--local-interface", STRANGER, "--to", "otto@corp.example")
    assert said.code != 0 and "Client host rejected" in said.text
    by_the_gateways_address = swaks(office.postfix.port, "--to", "eva@partner.example")
    assert by_the_gateways_address.code != 0 and "Relay access denied" in by_the_gateways_address.text
