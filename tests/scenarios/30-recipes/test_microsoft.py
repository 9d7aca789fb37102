"""Before Exchange and before Microsoft 365: the gateway's side, with hosts that look to it as those do."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.scenarios.peers.certificates import Authority, Issued
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.names import Names
from tests.scenarios.peers.ports import free_port
from tests.scenarios.peers.recipe import serve
from tests.scenarios.peers.slapd import ADMIN, PASSWORD, Slapd
from tests.scenarios.peers.swaks import Transcript, swaks

EXCHANGE, MICROSOFT, STRANGER = "127.0.0.20", "127.0.0.40", "127.0.0.77"
CLOUD = "corp-example.mail.protection.outlook.com"
ZONE = (
    "partner.example. 60 IN MX 10 mx.partner.example.",
    "mx.partner.example. 60 IN A 127.0.0.1",
    f"{CLOUD}. 60 IN A 127.0.0.1",
)


@dataclass
class Office:
    gateway: Gateway
    inside: Hop
    world: Hop
    shown: Issued

    def send(self, source: str, sender: str, recipient: str, *options: str) -> Transcript:
        given = ("--local-interface", source, "--from", sender, "--to", recipient)
        return swaks(self.gateway.port, *given, *options)

    def as_microsoft(self, source: str, sender: str, recipient: str) -> Transcript:
        """With Microsoft's certificate."""
        files = ("--tls-cert", str(self.shown.certificate), "--tls-key", str(self.shown.key))
        return self.send(source, sender, recipient, "-tls", *files)


@pytest.fixture(scope="module")
def exchange(make_gateway: Callable[..., Gateway], authority: Authority) -> Iterator[Office]:
    directory = Slapd({"ida": ("SMTP:ida@corp.example", "smtp:i.example@corp.example")}, authority.issue("127.0.0.1"))
    directory.start()
    gateway = make_gateway(file=None)
    certificate = authority.issue("mail.corp.example")
    try:
        with Hop(certificate=certificate) as inside, Hop() as world, Names(*ZONE) as names:
            serve(
                gateway,
                "Before Exchange",
                ("ldaps://dc1.corp.example", f"ldaps://127.0.0.1:{directory.tls_port}"),
                ("cn=gateway,ou=services,dc=corp,dc=example", ADMIN),
                ('"10.0.0.20", "10.0.0.21"', f'"{EXCHANGE}"'),
                ("ex1.corp.example:25", f"127.0.0.1:{free_port()}"),  # Away, for an update.
                ("ex2.corp.example:25", f"127.0.0.1:{inside.port}"),
                ("use_mx = true", f"use_mx = true\nport = {world.port}"),
                certificate=authority.issue("mx.corp.example"),
                files={"certs/inside-ca.pem": authority.ca, "ldap-password": PASSWORD + "\n"},
                rest=f'\n[dns]\nresolvers = ["{names.address}"]\n',
            )
            yield Office(gateway, inside, world, certificate)
    finally:
        directory.stop()


def test_exchange_gets_mail_for_people_whom_the_directory_has(exchange: Office) -> None:
    said = exchange.send(STRANGER, "eva@partner.example", "I.Example@corp.example")
    assert said.code == 0, said.text
    assert exchange.inside.wait(1)[0].tls is not None
    unknown = exchange.send(STRANGER, "eva@partner.example", "nobody@corp.example")
    assert unknown.last.startswith("550 5.1.1 "), unknown.text


def test_exchange_sends_to_the_world_over_tls_alone(exchange: Office) -> None:
    said = exchange.send(EXCHANGE, "ida@corp.example", "otto@partner.example", "-tls")
    assert said.code == 0, said.text
    assert exchange.world.wait(1)[0].recipients == ("otto@partner.example",)
    in_clear = exchange.send(EXCHANGE, "ida@corp.example", "otto@partner.example")
    assert in_clear.last.startswith("530 5.7.0 "), in_clear.text
    stranger = exchange.send(STRANGER, "ida@corp.example", "otto@partner.example", "-tls")
    assert stranger.last.startswith("550 5.7.64 "), stranger.text


@pytest.fixture(scope="module")
def cloud(make_gateway: Callable[..., Gateway], authority: Authority) -> Iterator[Office]:
    gateway = make_gateway(file=None)
    shown = authority.issue("mail.protection.outlook.com", "*.mail.protection.outlook.com")
    inside = Hop(certificate=shown)
    assert inside.context is not None
    inside.context.load_verify_locations(authority.ca)
    inside.context.verify_mode = ssl.CERT_REQUIRED  # Its connector demands our certificate.
    with inside, Hop() as world, Names(*ZONE) as names:
        serve(
            gateway,
            "Before Microsoft 365",
            ('"40.92.0.0/15"', f'"{MICROSOFT}"'),
            (f"{CLOUD}:25", f"{CLOUD}:{inside.port}"),
            # The real ones are issued by CAs that every system knows.
            ("allow_server_certificate = true", f'allow_server_certificate = true\ntrusted_ca = "{authority.ca}"'),
            ("client_certificate =", f'trusted_ca = "{authority.ca}"\nclient_certificate ='),
            ("use_mx = true", f"use_mx = true\nport = {world.port}"),
            certificate=authority.issue("mx.corp.example"),
            rest=f'\n[dns]\nresolvers = ["{names.address}"]\n',
        )
        yield Office(gateway, inside, world, shown)


def test_the_cloud_gets_our_mail_under_its_name_and_ours(cloud: Office) -> None:
    said = cloud.send(STRANGER, "eva@partner.example", "ida@corp.example")
    assert said.code == 0, said.text
    assert cloud.inside.wait(1)[0].tls is not None


def test_whom_the_cloud_does_not_have_is_refused(cloud: Office) -> None:
    cloud.inside.script({"RCPT": "550 5.4.1 Recipient address rejected: Access denied"})
    try:
        said = cloud.send(STRANGER, "eva@partner.example", "nobody@corp.example")
    finally:
        cloud.inside.healthy()
    assert said.last.startswith("550 5.1.1 "), said.text


def test_the_cloud_relays_with_its_certificate_from_its_addresses(cloud: Office) -> None:
    said = cloud.as_microsoft(MICROSOFT, "ida@corp.example", "otto@partner.example")
    assert said.code == 0, said.text
    assert cloud.world.wait(1)[0].sender == "ida@corp.example"


def test_nobody_else_sends_as_us(cloud: Office) -> None:
    without = cloud.send(MICROSOFT, "ida@corp.example", "otto@partner.example", "-tls")
    assert any(line.startswith("550 5.7.51 ") for line in without.replies), without.text
    inward = cloud.send(STRANGER, "ida@corp.example", "ida@corp.example", "-tls")
    assert any(line.startswith("550 5.7.51 ") for line in inward.replies), inward.text
    elsewhere = cloud.as_microsoft(STRANGER, "ida@corp.example", "otto@partner.example")
    assert elsewhere.code != 0 and elsewhere.last.startswith("550 5.7."), elsewhere.text


def test_another_sender_relays_nothing_by_the_cloud(cloud: Office) -> None:
    said = cloud.as_microsoft(MICROSOFT, "eva@else.example", "otto@partner.example")
    assert said.last.startswith("550 5.7.64 "), said.text
