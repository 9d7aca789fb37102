"""What must leave under TLS never leaves without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.swaks import swaks

CONNECTOR = """
[[connectors.outbound]]
name = "{name}"
recipient_domains = ["{name}.example"]
smart_hosts = ["127.0.0.1:{port}"]
tls_settings = "{level}"
{more}
"""
DOMAIN = 'tls_domain = "{name}"\ntrusted_ca = "{ca}"'
TRUSTED = 'trusted_ca = "{ca}"'


@pytest.fixture(scope="module")
def hops(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Hop]]:
    """Next hops by the name of the domain that is sent to them."""
    stranger = Authority(tmp_path_factory.mktemp("stranger"), "Nobody's CA")
    right = authority.issue("mx.partner.example")
    wild = authority.issue("*.partner.example")
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(hop)
            for name, hop in {
                "right": Hop(certificate=right),
                "wildcard": Hop(certificate=wild),
                "other-name": Hop(certificate=authority.issue("mx.else.example")),
                "expired": Hop(certificate=authority.issue("mx.partner.example", expired=True)),
                "untrusted": Hop(certificate=stranger.issue("mx.partner.example")),
                "not-offered": Hop(),
                "not-now": Hop({"STARTTLS": "454 4.7.0 not now"}, certificate=right),
                "broken": Hop(broken_tls=True),
                "chain-only": Hop(certificate=authority.issue("mx.else.example")),
                "chain-untrusted": Hop(certificate=stranger.issue("mx.partner.example")),
                "any": Hop(certificate=stranger.issue("mx.else.example", expired=True)),
                "any-not-offered": Hop(),
                "opportunistic": Hop(certificate=stranger.issue("mx.else.example")),
                "opportunistic-broken": Hop(broken_tls=True),
                "opportunistic-clear": Hop(),
            }.items()
        }


def level(name: str) -> str:
    """The terms of the connector for that domain."""
    if name.startswith("opportunistic"):
        return "opportunistic"
    if name.startswith("any"):
        return "encryption_only"
    return "certificate_validation" if name.startswith("chain") else "domain_validation"


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hops: dict[str, Hop], authority: Authority) -> Gateway:
    def more(name: str) -> str:
        terms = level(name)
        if terms == "domain_validation":
            return DOMAIN.format(name="mx.partner.example", ca=authority.ca)
        return TRUSTED.format(ca=authority.ca) if terms == "certificate_validation" else ""

    outbound = "".join(
        CONNECTOR.format(name=name, port=hop.port, level=level(name), more=more(name)) for name, hop in hops.items()
    )
    return make_gateway(OUTBOUND=outbound).start()


def hop_of(gateway: Gateway, queue_id: str) -> dict[str, Any]:
    return gateway.story(queue_id, "attempt")[-1]


@pytest.mark.parametrize(
    ("name", "enhanced", "reason"),
    [
        ("other-name", "4.7.320", "certificate-host-mismatch"),
        ("expired", "4.7.320", "certificate-expired"),
        ("untrusted", "4.7.320", "certificate-not-trusted"),
        ("not-offered", "4.4.317", "starttls-not-supported"),
        ("not-now", "4.4.317", "starttls-not-supported"),
        ("broken", "4.4.317", None),
        ("chain-untrusted", "4.7.320", "certificate-not-trusted"),
        ("any-not-offered", "4.4.317", "starttls-not-supported"),
    ],
)
def test_what_must_be_secured_waits(
    gateway: Gateway, hops: dict[str, Hop], name: str, enhanced: str, reason: str | None
) -> None:
    said = swaks(gateway.port, "--to", f"otto@{name}.example")
    assert said.code == 0, said.text
    gateway.tried(said.queue_id)
    row = gateway.json("queue", "list", said.queue_id)[0]
    assert row["state"] == "waiting" and row["connector"] == name
    told = row["recipients"][0]
    assert told["status"] == "waiting" and told["next_attempt"]
    assert told["enhanced"] == enhanced
    assert told["reason"] == reason if reason else told["reason"]
    assert hops[name].taken == []
    for talk in hops[name].talks:
        # Not even the envelope may go out where the terms don't hold.
        assert not [line for line in talk.commands if line.upper().startswith(("MAIL", "RCPT", "DATA"))]


@pytest.mark.parametrize("name", ["right", "wildcard", "chain-only", "any", "opportunistic"])
def test_what_holds_leaves_under_tls(gateway: Gateway, hops: dict[str, Hop], name: str) -> None:
    said = swaks(gateway.port, "--to", f"otto@{name}.example")
    got = hops[name].wait(1)[0]
    assert got.tls in ("TLSv1.2", "TLSv1.3")
    tls = hop_of(gateway, said.queue_id)["tls"]
    assert tls["version"] == got.tls and tls["cipher"].startswith("TLS_")
    if level(name) == "domain_validation":  # The others ask for no name.
        assert tls["authenticated"] is True


def test_opportunistic_goes_in_clear_after_a_broken_handshake_and_says_so(
    gateway: Gateway, hops: dict[str, Hop]
) -> None:
    hop = hops["opportunistic-broken"]
    said = swaks(gateway.port, "--to", "otto@opportunistic-broken.example")
    assert hop.wait(1)[0].tls is None
    assert hop_of(gateway, said.queue_id)["tls"]["fallback"] is True
    assert "in clear after a TLS handshake that failed" in gateway.run("trace", said.queue_id).stdout


def test_opportunistic_goes_in_clear_where_nothing_is_offered(gateway: Gateway, hops: dict[str, Hop]) -> None:
    said = swaks(gateway.port, "--to", "otto@opportunistic-clear.example")
    assert hops["opportunistic-clear"].wait(1)[0].tls is None
    assert hop_of(gateway, said.queue_id)["tls"] is None


def test_a_certificate_that_was_mended_lets_the_mail_go(
    gateway: Gateway, hops: dict[str, Hop], authority: Authority, tmp_path: Path
) -> None:
    hop = hops["expired"]
    said = swaks(gateway.port, "--to", "otto@expired.example")
    gateway.tried(said.queue_id)
    hop.context = authority.issue("mx.partner.example").context()
    done = gateway.json("queue", "retry", said.queue_id)
    assert done["changed"] == [f"{said.queue_id}.1"]
    assert hop.wait(1)[0].tls in ("TLSv1.2", "TLSv1.3")
