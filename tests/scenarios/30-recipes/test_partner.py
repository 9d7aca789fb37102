"""Partner with forced TLS, who runs Postfix: both sides as the guide has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.names import Names
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.recipe import cooked, serve
from tests.scenarios.peers.swaks import swaks

NAME = "Partner with forced TLS"
OURS = "127.0.0.55"
ZONE = ("partner.example. 60 IN MX 10 mx.partner.example.", "mx.partner.example. 60 IN A 127.0.0.1")
TOLD = "\nsmtp_tls_loglevel = 1\n"  # Postfix logs how it judged a certificate.
# Our own servers, and where mail for us ends.
REST = f"""
[[connectors.inbound]]
name = "ours"
type = "on_premises"
sender_ip_addresses = ["{OURS}"]

[[connectors.outbound]]
name = "inside"
recipient_domains = ["corp.example"]
deliver = "folder"
folder = "outbox"
"""


@dataclass
class Road:
    gateway: Gateway
    partner: Postfix


@pytest.fixture(scope="module")
def road(
    make_gateway: Callable[..., Gateway],
    make_postfix: Callable[..., Postfix],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Road]:
    folder = tmp_path_factory.mktemp("authorities")
    theirs, ours = Authority(folder / "theirs", "Partner CA"), Authority(folder / "ours", "Corp CA")
    gateway = make_gateway(file=None)
    shown = theirs.issue("mx.partner.example")
    main = cooked(
        NAME,
        "postfix",
        ("{ corp.example = secure", f"{{ [127.0.0.1]:{gateway.port} = secure"),
        ("/etc/postfix/corp-ca.pem", ours.ca),
        ("/etc/postfix/mx.partner.example.pem", shown.certificate),
        ("/etc/postfix/mx.partner.example.key", shown.key),
    )
    partner = make_postfix(
        hostname="mx.partner.example", domains="partner.example", relay_to=gateway.port, extra=main + TOLD
    )
    with Names(*ZONE) as names:
        serve(
            gateway,
            NAME,
            ("use_mx = true", f"use_mx = true\nport = {partner.port}"),
            certificate=ours.issue("mx.corp.example"),
            files={"certs/partner-ca.pem": theirs.ca},
            rest=f'{REST}\n[dns]\nresolvers = ["{names.address}"]\n',
        )
        yield Road(gateway, partner)


def test_our_mail_reaches_the_partner_with_our_certificate(road: Road) -> None:
    said = swaks(road.gateway.port, "--local-interface", OURS)
    assert said.code == 0, said.text
    (message,) = road.partner.wait(1)
    assert b'Client CN "mx.corp.example", Issuer "Corp CA" (verified OK)' in message


def test_the_partners_mail_comes_with_its_certificate(road: Road) -> None:
    road.partner.submit("-f", "otto@partner.example", "ida@corp.example", octets=b"Subject: in\r\n\r\nHello\r\n")
    (file,) = road.gateway.files(1)
    assert b'client certificate "mx.partner.example" from "Partner CA", trusted' in b" ".join(file.read_bytes().split())
    assert "Verified TLS connection established to 127.0.0.1" in road.partner.log


def test_nobody_else_sends_as_the_partner(road: Road) -> None:
    options = ("--from", "otto@partner.example", "--to", "ida@corp.example")
    over_tls = swaks(road.gateway.port, "-tls", *options)
    assert any(line.startswith("550 5.7.51 ") for line in over_tls.replies), over_tls.text
    in_clear = swaks(road.gateway.port, *options)
    assert any(line.startswith("530 5.7.0 ") for line in in_clear.replies), in_clear.text
    others = swaks(road.gateway.port, "--from", "eva@else.example", "--to", "ida@corp.example")
    assert others.code == 0, others.text


@pytest.mark.parametrize("tls", [(), ("-tls",)], ids=["clear", "tls"])
def test_nobody_else_sends_as_us_to_the_partner(road: Road, tls: tuple[str, ...]) -> None:
    said = swaks(road.partner.port, *tls)
    assert said.code != 0 and "Sender address rejected" in said.text, said.text


def test_connector_test_finds_it_right(road: Road) -> None:
    done = road.gateway.run("connector", "test", "partner-out", "--to", "postmaster@partner.example")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trusted, and names *.partner.example" in done.stdout
    told = road.gateway.run(
        "connector", "test", "partner-in", "--from-address", "198.51.100.7", "--from", "ida@partner.example"
    )
    assert "*.partner.example" in told.stdout, told.stdout + told.stderr
