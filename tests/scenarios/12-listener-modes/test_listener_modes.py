"""swaks at each door."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.swaks import Transcript, swaks


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    return make_gateway(HOP=hop.port, CLEAR=free_port(), IMPLICIT=free_port(), SIX=free_port("::1")).start()


@pytest.fixture(autouse=True)
def fresh(hop: Hop) -> None:
    hop.taken.clear()


def arrives(gateway: Gateway, hop: Hop, said: Transcript) -> bytes:
    """The Received field of what arrived, in one line."""
    assert said.code == 0, said.text
    octets = hop.wait(1)[0].octets
    field = octets[: octets.index(b"\r\n", octets.index(b"; "))]
    return b" ".join(field.split())


@pytest.mark.parametrize(
    ("door", "options", "host", "word"),
    [
        ("CLEAR", [], "127.0.0.1", b"with ESMTP "),
        ("PORT", [], "127.0.0.1", b"with ESMTP "),
        ("PORT", ["-tls"], "127.0.0.1", b"with ESMTPS "),
        ("PORT", ["-tls", "-tlsp", "tlsv1_2"], "127.0.0.1", b"with ESMTPS "),
        ("IMPLICIT", ["-tlsc"], "127.0.0.1", b"with ESMTPS "),
        ("SIX", [], "::1", b"with ESMTP "),
        ("SIX", ["-tls"], "::1", b"with ESMTPS "),
        ("CLEAR", ["--protocol", "SMTP"], "127.0.0.1", b"with SMTP "),
    ],
)
def test_mail_comes_in_and_says_how(
    gateway: Gateway, hop: Hop, door: str, options: list[str], host: str, word: bytes
) -> None:
    port = gateway.port if door == "PORT" else int(gateway.values[door])
    said = swaks(port, *options, host=host)
    secured = any(one.startswith("-tls") for one in options)
    received = arrives(gateway, hop, said)
    assert said.secured is secured
    assert received.startswith(b"Received: from client.example ") and b"by gateway.corp.example" in received
    assert word in received + b" "
    assert (b"IPv6:::1" if host == "::1" else b"127.0.0.1") in received
    assert (b"TLSv1." in received) is secured
    tls = gateway.story(said.queue_id, "received")[0]["tls"]
    assert (tls is not None) is secured
    if "tlsv1_2" in options:
        assert tls["version"] == "TLSv1.2" and tls["cipher"].startswith("TLS_ECDHE_")


def test_ehlo_offers_what_the_door_has(gateway: Gateway) -> None:
    for door, secured, offers in (
        (gateway.port, False, True),
        (int(gateway.values["CLEAR"]), False, False),
        (int(gateway.values["IMPLICIT"]), True, False),
    ):
        with Raw(door, implicit=secured) as client:
            offered = {line[4:].split()[0] for line in client.hello().splitlines()[1:]}
        assert ("STARTTLS" in offered) is offers
        assert {"SIZE", "8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES"} <= offered
        assert {"CHUNKING", "DSN", "LIMITS"} <= offered
        assert not offered & {"BINARYMIME", "AUTH"}


def test_a_connector_that_demands_tls_says_530_in_clear(gateway: Gateway, hop: Hop) -> None:
    refused = swaks(gateway.port, "--from", "ida@strict.example")
    assert refused.code != 0 and refused.last.startswith("530 5.7.0 ")
    assert swaks(gateway.port, "-tls", "--from", "ida@strict.example").code == 0
    hop.wait(1)


def test_old_tls_is_not_spoken(gateway: Gateway, hop: Hop) -> None:
    assert swaks(gateway.port, "-tls", "-tlsp", "tlsv1_1").code != 0
    gateway.drained()
    assert hop.taken == []


def test_gateway_send_comes_in_by_each_door(gateway: Gateway, hop: Hop) -> None:
    for listen in (
        f"127.0.0.1:{gateway.port}",
        f"127.0.0.1:{gateway.values['IMPLICIT']}",
        f"[::1]:{gateway.values['SIX']}",
    ):
        done = gateway.run("send", "--listen", listen)
        assert done.returncode == 0 and "TLSv1." in done.stdout, done.stderr
    assert len(hop.wait(3)) == 3
