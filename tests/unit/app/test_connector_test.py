"""`gateway connector test`: what it finds at hosts that are good, bad and not there, and of inbound connectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.app.connector_test import NoConnector, Wish, connector_test
from gateway.mail.address import parse_address
from gateway.world.clock import SystemClock
from gateway.world.names import Mx
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.chance import FakeChance
from tests.fakes.names import FakeNames
from tests.fakes.nexthop import FakeNextHop
from tests.fakes.settings import settings_in

TO = parse_address("otto@partner.example")
HEAD = """
accepted_domains = ["corp.example"]
[server]
hostname = "mx.corp.example"
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
"""


def outbound(port: int, more: str = "", hosts: str | None = None) -> str:
    return f"""{HEAD}
[[connectors.outbound]]
name = "partner-out"
recipient_domains = ["partner.example"]
smart_hosts = ["{hosts or "hop.partner.example"}:{port}"]
{more}
"""


async def report(folder: Path, text: str, names: FakeNames | None = None, **wish: Any) -> dict[str, Any]:
    return await connector_test(
        settings_in(folder, text),
        Wish(**{"name": "partner-out", **wish}),
        names=names or FakeNames(hosts={"hop.partner.example": ("127.0.0.1",)}),
        clock=SystemClock(),
        chance=FakeChance(),
    )


def steps(told: dict[str, Any]) -> list[tuple[str, bool | None]]:
    return [(step["name"], step["ok"]) for step in told["steps"]]


def step(told: dict[str, Any], name: str) -> dict[str, Any]:
    found: Sequence[dict[str, Any]] = [one for one in told["steps"] if one["name"] == name]
    assert found, steps(told)
    return found[-1]


@pytest.fixture
def ca(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, is_ca=True, common_name="Partner CA")


@pytest.fixture
def good(tmp_path: Path, ca: Certificate) -> Certificate:
    return make_certificate(tmp_path, "hop.partner.example", issuer=ca)


def forced(ca: Certificate, more: str = "") -> str:
    return f'tls_settings = "domain_validation"\ntrusted_ca = "{ca.file.name}"\n{more}'


async def test_every_step_of_a_good_host(tmp_path: Path, ca: Certificate, good: Certificate) -> None:
    async with FakeNextHop(tls=good.server) as hop:
        told = await report(tmp_path, outbound(hop.port, forced(ca)), recipient=TO)
    names = ["settings", "route", "dns", "connect", "banner", "ehlo", "starttls", "certificate", "mail", "rcpt"]
    assert steps(told) == [(name, True) for name in names]
    assert told["ok"]
    assert (told["connector"], told["direction"]) == ("partner-out", "outbound")
    assert step(told, "dns")["facts"] == {"hosts": {"hop.partner.example": ["127.0.0.1"]}}
    assert "SIZE 52428800" in step(told, "ehlo")["facts"]["offers"]
    assert step(told, "starttls")["facts"]["version"] == "TLSv1.3"
    certificate = step(told, "certificate")
    assert certificate["facts"]["names"] == ["hop.partner.example"]
    assert certificate["facts"]["issuer"] == "Partner CA"
    assert certificate["facts"]["until"].endswith("Z")
    assert "trusted, and names hop.partner.example" in certificate["result"]
    assert hop.commands[0][-2:] == [b"RSET", b"QUIT"]
    assert b"MAIL FROM:<postmaster@corp.example>" in hop.commands[0]
    assert hop.messages == []
    assert all(one["seconds"] >= 0 for one in told["steps"])


async def test_a_real_message_where_it_is_asked_for(tmp_path: Path) -> None:
    async with FakeNextHop() as hop:
        told = await report(tmp_path, outbound(hop.port), recipient=TO, send=True)
    assert told["ok"]
    assert step(told, "message")["result"] == "the test message: 250 2.0.0 Queued as X1"
    (message,) = hop.messages
    assert b"\r\nTo: <otto@partner.example>\r\n" in message
    assert message.startswith(b"From: <postmaster@corp.example>\r\n")


async def test_one_message_though_there_are_two_addresses(tmp_path: Path) -> None:
    names = FakeNames(hosts={"hop.partner.example": ("127.0.0.1", "127.0.0.1")})
    async with FakeNextHop() as hop:
        told = await report(tmp_path, outbound(hop.port), names, recipient=TO, send=True)
    assert told["ok"]
    assert len(hop.messages) == 1
    assert [one["name"] for one in told["steps"]].count("connect") == 2


async def test_without_a_recipient_mail_is_said_alone(tmp_path: Path) -> None:
    async with FakeNextHop() as hop:
        told = await report(tmp_path, outbound(hop.port))
    assert told["ok"]
    assert step(told, "mail")["ok"]
    assert hop.commands[0][-3:] == [b"MAIL FROM:<postmaster@corp.example>", b"RSET", b"QUIT"]


async def test_a_host_that_is_not_there(tmp_path: Path) -> None:
    async with FakeNextHop() as hop:
        port = hop.port
    told = await report(tmp_path, outbound(port))
    assert not told["ok"]
    failed = step(told, "connect")
    assert "refused" in failed["result"]
    assert failed["right"]


async def test_one_address_of_two_is_enough_for_mail(tmp_path: Path) -> None:
    names = FakeNames(hosts={"hop.partner.example": ("127.0.0.9", "127.0.0.1")})
    async with FakeNextHop() as hop:
        told = await report(tmp_path, outbound(hop.port), names)
    assert told["ok"]
    assert [one["ok"] for one in told["steps"] if one["name"] == "connect"] == [False, True]


async def test_a_host_that_refuses_us_at_its_banner(tmp_path: Path) -> None:
    async with FakeNextHop({"greeting": "554 5.7.1 Not you"}) as hop:
        told = await report(tmp_path, outbound(hop.port))
    assert steps(told)[-1] == ("banner", False)
    assert step(told, "banner")["result"] == "554 5.7.1 Not you"


async def test_forced_tls_that_is_not_offered(tmp_path: Path) -> None:
    async with FakeNextHop() as hop:
        told = await report(tmp_path, outbound(hop.port, 'tls_settings = "encryption_only"'), recipient=TO)
    assert steps(told)[-1] == ("starttls", False)
    assert step(told, "starttls")["facts"]["reason"] == "starttls-not-supported"
    assert not told["ok"]
    assert not any(line.startswith(b"MAIL") for line in hop.commands[0])


async def test_a_name_in_the_subject_alone_is_told_as_such(tmp_path: Path, ca: Certificate) -> None:
    old = make_certificate(tmp_path, common_name="hop.partner.example", issuer=ca)
    async with FakeNextHop(tls=old.server) as hop:
        told = await report(tmp_path, outbound(hop.port, forced(ca)), recipient=TO)
    failed = step(told, "certificate")
    assert "it is for hop.partner.example in its subject alone" in failed["result"]
    assert "subjectAltName" in failed["right"]
    assert "allow_certificate_cn" in failed["right"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("expired", "certificate-expired"),
        ("stranger", "certificate-not-trusted"),
        ("other", "certificate-host-mismatch"),
    ],
)
async def test_a_bad_certificate_is_shown_and_named(tmp_path: Path, ca: Certificate, kind: str, reason: str) -> None:
    bad = {
        "expired": lambda: make_certificate(tmp_path, "hop.partner.example", issuer=ca, days=(-9, -1)),
        "stranger": lambda: make_certificate(tmp_path, "hop.partner.example", common_name="Stranger"),
        "other": lambda: make_certificate(tmp_path, "mx.bank.example", issuer=ca),
    }[kind]()
    async with FakeNextHop(tls=bad.server) as hop:
        told = await report(tmp_path, outbound(hop.port, forced(ca)), recipient=TO)
    assert not told["ok"]
    failed = next(one for one in told["steps"] if one["ok"] is False)
    assert failed["result"].startswith(f"{reason}: ")
    assert failed["right"]
    names = step(told, "certificate")["facts"]["names"]
    assert names == (["mx.bank.example"] if kind == "other" else ["hop.partner.example"])
    assert not any(line.startswith(b"MAIL") for lines in hop.commands for line in lines)


async def test_an_opportunistic_connector_judges_no_certificate(tmp_path: Path) -> None:
    own = make_certificate(tmp_path, "whatever.example")
    async with FakeNextHop(tls=own.server) as hop:
        told = await report(tmp_path, outbound(hop.port), recipient=TO)
    assert told["ok"]
    assert step(told, "certificate")["ok"] is None
    assert "not judged" in step(told, "certificate")["result"]


async def test_opportunistic_tls_that_breaks_is_no_failure(tmp_path: Path, good: Certificate) -> None:
    async with FakeNextHop(tls=good.server, breaks_tls=True) as hop:
        told = await report(tmp_path, outbound(hop.port), recipient=TO)
    assert told["ok"]
    assert "once more in clear" in step(told, "starttls")["result"]


async def test_a_recipient_whom_the_host_refuses(tmp_path: Path) -> None:
    async with FakeNextHop({"RCPT": "550 5.1.1 No such user"}) as hop:
        told = await report(tmp_path, outbound(hop.port), recipient=TO, send=True)
    assert not told["ok"]
    assert steps(told)[-1] == ("rcpt", False)
    assert "550 5.1.1 No such user" in step(told, "rcpt")["result"]


async def test_a_login_that_the_host_refuses(tmp_path: Path, ca: Certificate, good: Certificate) -> None:
    (tmp_path / "password").write_text("geheim\n")
    (tmp_path / "password").chmod(0o600)
    more = forced(ca, 'auth_user = "ida"\nauth_password_file = "password"')
    says = {"AUTH": "535 5.7.8 No"}
    async with FakeNextHop(says, tls=good.server, offers=("AUTH PLAIN",)) as hop:
        told = await report(tmp_path, outbound(hop.port, more), recipient=TO)
    assert steps(told)[-1] == ("auth", False)
    assert "geheim" not in str(told)
    async with FakeNextHop({"AUTH": "235 2.7.0 Yes"}, tls=good.server, offers=("AUTH PLAIN",)) as hop:
        told = await report(tmp_path, outbound(hop.port, more), recipient=TO)
    assert told["ok"]
    assert step(told, "auth")["result"] == "logged in as ida"


async def test_a_connection_that_ends_half_way(tmp_path: Path) -> None:
    async with FakeNextHop({"RCPT": "close"}) as hop:
        told = await report(tmp_path, outbound(hop.port), recipient=TO)
    assert not told["ok"]
    assert steps(told)[-1] == ("session", False)


async def test_mail_for_a_domain_that_goes_elsewhere(tmp_path: Path) -> None:
    async with FakeNextHop() as hop:
        text = outbound(hop.port) + '[[connectors.outbound]]\nname = "rest"\nrecipient_domains = ["*"]\nuse_mx = true\n'
        told = await report(tmp_path, text, recipient=parse_address("x@other.example"))
    assert not told["ok"]
    assert step(told, "route")["result"] == "mail for other.example goes by rest"


async def test_a_name_that_dns_does_not_know(tmp_path: Path) -> None:
    told = await report(tmp_path, outbound(25), FakeNames())
    assert steps(told)[-1] == ("dns", False)
    assert not told["ok"]


async def test_mx_hosts_of_the_recipients_domain(tmp_path: Path) -> None:
    async with FakeNextHop() as hop:
        text = HEAD + (
            '[[connectors.outbound]]\nname = "partner-out"\nrecipient_domains = ["*"]\nuse_mx = true\n'
            f"port = {hop.port}\n"
        )
        names = FakeNames({"partner.example": (Mx(10, "mx.partner.example"),)}, {"mx.partner.example": ("127.0.0.1",)})
        told = await report(tmp_path, text, names, recipient=TO)
        assert told["ok"]
        assert step(told, "dns")["result"] == "mx.partner.example: 127.0.0.1"
        nowhere = await report(tmp_path, text, names)
    assert not nowhere["ok"]
    assert "--to ADDRESS" in step(nowhere, "dns")["right"]


@pytest.mark.parametrize("there", [True, False])
async def test_a_folder(tmp_path: Path, there: bool) -> None:
    text = HEAD + '[[connectors.outbound]]\nname = "partner-out"\nrecipient_domains = ["*"]\n'
    text += 'deliver = "folder"\nfolder = "outbox"\n'
    if there:
        (tmp_path / "outbox").mkdir()
    told = await report(tmp_path, text)
    assert told["ok"]
    assert ("takes files" in step(told, "folder")["result"]) is there


async def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("")
    text = HEAD + '[[connectors.outbound]]\nname = "partner-out"\nrecipient_domains = ["*"]\n'
    told = await report(tmp_path, text + 'deliver = "folder"\nfolder = "outbox"\n')
    assert steps(told)[-1] == ("folder", False)


async def test_names_that_are_no_connector(tmp_path: Path) -> None:
    with pytest.raises(NoConnector, match="there are: partner-out"):
        await report(tmp_path, outbound(25), name="other")
    with pytest.raises(NoConnector, match="not enabled"):
        await report(tmp_path, outbound(25, "enabled = false"))
    with pytest.raises(NoConnector):
        await report(tmp_path, outbound(25), inbound=True)


# -- inbound ----------------------------------------------------------------------------------------------------------


def inbound(ca: Certificate, own: Certificate | None) -> str:
    tls = 'tls = "none"' if own is None else f'certificate = "{own.file.name}"\nkey = "{own.key_file.name}"'
    return f"""
accepted_domains = ["corp.example"]
[server]
hostname = "mx.corp.example"
[[listeners]]
listen = "127.0.0.1:2525"
{tls}
[[connectors.inbound]]
name = "partner-in"
type = "partner"
sender_domains = ["partner.example"]
sender_ip_addresses = ["192.0.2.0/24"]
tls_sender_certificate_name = "*.partner.example"
restrict_domains_to_certificate = true
trusted_ca = "{ca.file.name}"
[[connectors.inbound]]
name = "near"
type = "partner"
sender_ip_addresses = ["198.51.100.0/24"]
"""


async def test_an_inbound_connector_says_whom_it_is_for(tmp_path: Path, ca: Certificate, good: Certificate) -> None:
    told = await report(tmp_path, inbound(ca, good), name="partner-in", from_address="192.0.2.7")
    assert told["direction"] == "inbound"
    assert told["ok"]
    assert "mail from partner.example, from 192.0.2.0/24" in step(told, "whom")["result"]
    assert step(told, "certificate")["result"].endswith("must show a certificate for *.partner.example")
    assert step(told, "listeners")["result"] == "asked for at 127.0.0.1:2525"
    assert step(told, "trusted")["result"].startswith("Partner CA, until ")
    assert "is answered 550 5.7.51" in step(told, "client")["result"]


async def test_which_connector_an_address_comes_by(tmp_path: Path, ca: Certificate, good: Certificate) -> None:
    met = await report(tmp_path, inbound(ca, good), name="near", from_address="198.51.100.7")
    assert step(met, "client")["ok"]
    elsewhere = await report(tmp_path, inbound(ca, good), name="near", from_address="203.0.113.7")
    assert not elsewhere["ok"]
    assert "comes by no connector" in step(elsewhere, "client")["result"]


async def test_a_certificate_that_nobody_can_show(tmp_path: Path, ca: Certificate) -> None:
    told = await report(tmp_path, inbound(ca, None), name="partner-in")
    assert not told["ok"]
    assert step(told, "listeners")["ok"] is False
