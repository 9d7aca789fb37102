"""Who connects through a load balancer is who counts, and nobody else may say who he is."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.proxies import NOOP, tlv, v1, v2
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port, greets, until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.swaks import Transcript, swaks

CLIENT = "203.0.113.9"


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    return make_gateway(HOP=hop.port, BEHIND=free_port(), IMPLICIT=free_port()).start()


@pytest.fixture(autouse=True)
def fresh(gateway: Gateway, hop: Hop) -> None:
    gateway.drained()
    hop.taken.clear()


@pytest.fixture
def behind(gateway: Gateway) -> int:
    return int(gateway.values["BEHIND"])


@pytest.fixture
def implicit(gateway: Gateway) -> int:
    return int(gateway.values["IMPLICIT"])


def proxied(*options: str, source: str = CLIENT) -> list[str]:
    """swaks' options for a client at `source`."""
    there = "2001:db8::25" if ":" in source else "192.0.2.25"
    return [
        *("--proxy-source", source, "--proxy-source-port", "4711", "--proxy-dest", there, "--proxy-dest-port", "25"),
        *options,
    ]


def lines(gateway: Gateway, event: str) -> list[dict[str, Any]]:
    """The lines of that kind in the log."""
    found = [json.loads(line) for line in gateway.log.splitlines() if line.startswith("{")]
    return [line for line in found if line["event"] == event]


def told(gateway: Gateway) -> list[str]:
    """The lines of the log that tell of something else than mail that came and went."""
    usual = ('"event":"received"', '"event":"sent"')
    return [line for line in gateway.log.splitlines() if not any(one in line for one in usual)]


def arrives_from(gateway: Gateway, hop: Hop, said: Transcript, address: str) -> None:
    """The message came, and all that we tell of it names this client, and the balancer beside it."""
    assert said.code == 0, said.text
    octets = hop.wait(1)[0].octets
    shown = f"IPv6:{address}" if ":" in address else address
    assert octets.startswith(f"Received: from client.example ([{shown}])\r\n".encode())
    event = gateway.story(said.queue_id, "received")[0]
    assert (event["client"], event["proxy"]) == (address, "127.0.0.1")
    assert event["connector"] == "clients"
    line = until(lambda: [one for one in lines(gateway, "received") if one["id"] == said.queue_id], "its line")[0]
    assert (line["client"], line["proxy"]) == (address, "127.0.0.1")


@pytest.mark.parametrize(
    ("options", "source"),
    [
        (["--proxy-family", "TCP4"], CLIENT),
        (["--proxy-family", "TCP6"], "2001:db8::9"),
        (["--proxy-version", "2", "--proxy-family", "AF_INET"], CLIENT),
        (["--proxy-version", "2", "--proxy-family", "AF_INET6"], "2001:db8::9"),
    ],
)
@pytest.mark.parametrize("tls", [[], ["-tls"]])
def test_the_client_of_the_header_is_the_client(
    gateway: Gateway, hop: Hop, behind: int, options: list[str], source: str, tls: list[str]
) -> None:
    said = swaks(behind, *proxied(*options, *tls, source=source))
    assert said.secured is bool(tls)
    arrives_from(gateway, hop, said, source)


def test_the_header_comes_in_front_of_tls_at_once(hop: Hop, implicit: int) -> None:
    # swaks puts its header inside of TLS, where it does not belong.
    client = Raw(implicit)
    client.send(v2(tlvs=tlv(NOOP, b"x" * 300), checksum=True))
    with client:
        client.starttls()
        assert client.hello().startswith("250")
        assert client.ask("MAIL FROM:<ida@corp.example>").startswith("250")
        assert client.ask("RCPT TO:<otto@partner.example>").startswith("250")
        assert client.ask("DATA").startswith("354")
        assert client.ask(b"Subject: x\r\n\r\nx\r\n.").startswith("250")
    received = hop.wait(1)[0].octets
    assert received.startswith(b"Received: from client.example ([203.0.113.9])") and b"with ESMTPS" in received


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", v2(first=0x20, kind=0, block=b""), v2(kind=0x31, block=b"/run/mail".ljust(108, b"\0") * 2)],
    ids=["unknown", "local", "unix"],
)
def test_who_names_no_client_is_the_balancer_itself(gateway: Gateway, hop: Hop, behind: int, header: bytes) -> None:
    with Raw(behind) as client:
        client.send(header)
        assert client.hello().startswith("250")
        assert client.ask("MAIL FROM:<ida@corp.example>").startswith("250")
        assert client.ask("RCPT TO:<otto@partner.example>").startswith("250")
        assert client.ask("DATA").startswith("354")
        said = client.ask(b"Subject: x\r\n\r\nx\r\n.")
    event = gateway.story(said.split()[-1], "received")[0]
    assert (event["client"], event["connector"], event.get("proxy")) == ("127.0.0.1", "balancer", None)
    hop.wait(1)


def test_a_client_whom_no_connector_knows_relays_nothing(gateway: Gateway, hop: Hop, behind: int) -> None:
    # Were the balancer's address the client's, its connector would take this.
    said = swaks(behind, *proxied("--proxy-family", "TCP4", source="198.51.100.7"))
    assert said.code != 0 and said.last.startswith("550 5.7.64"), said.text
    line = until(lambda: [one for one in lines(gateway, "refused") if one["client"] == "198.51.100.7"], "its line")[0]
    assert line["proxy"] == "127.0.0.1"
    assert hop.taken == []


def test_from_whom_we_do_not_believe_it_a_header_is_a_bad_command(gateway: Gateway) -> None:
    with Raw(gateway.port) as client:
        client.send(v1())
        assert client.reply().startswith("220 ")
        assert client.reply().startswith("500 5.5.2")
        assert client.ask("EHLO client.example").startswith("250")


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"EHLO client.example\r\n", "no PROXY header came first"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "no PROXY header came first"),
        (b"PROXY TCP4 203.0.113.999 192.0.2.1 1 2\r\n", "the line of version 1 is malformed"),
        (b"PROXY TCP4 " + b"9" * 200 + b"\r\n", "the header is too long"),
        (v2(length=0xFFFF), "the header is too long"),
        (v2(first=0x31), "a version or command that the protocol does not have"),
        (v2(checksum=True)[:-1] + b"\0", "the checksum is wrong"),
        (v2(tlvs=b"\x04\xff\xff"), "the lengths in the header do not fit"),
        (b"PROXY TCP4 ", "time ran out"),
        (b"", "time ran out"),
    ],
    ids=["none", "tls", "address", "long", "length", "version", "checksum", "tlv", "half", "silent"],
)
def test_a_hostile_header_is_closed_and_told_once(gateway: Gateway, behind: int, octets: bytes, reason: str) -> None:
    before = len(lines(gateway, "proxy_header_refused"))
    with Raw(behind, seconds=10) as client:
        client.send(octets)
        assert client.reply() == ""
    until(lambda: len(lines(gateway, "proxy_header_refused")) > before, "a line in the log")
    refusals = lines(gateway, "proxy_header_refused")[before:]
    assert [(one["proxy"], one["reason"]) for one in refusals] == [("127.0.0.1", reason)]


def test_a_health_check_makes_no_noise(gateway: Gateway, behind: int, implicit: int) -> None:
    before = len(told(gateway))
    for port in (behind, implicit) * 5:
        socket.create_connection(("127.0.0.1", port)).close()
    with Raw(behind) as client:
        client.send(v2(first=0x20, kind=0, block=b""))
        assert client.reply().startswith("220")
    with Raw(behind) as last:
        last.send(v1() + b"QUIT\r\n")
        assert last.rest(5)
    assert told(gateway)[before:] == []


# -- HAProxy itself ---------------------------------------------------------------------------------------------------

HAPROXY = """
global
    log stdout format raw local0 info
defaults
    mode tcp
    log global
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""
ROAD = """
frontend {name}
    bind 127.0.0.1:{port}
    default_backend {name}
backend {name}
    server one 127.0.0.1:{to} {options}
"""


@pytest.fixture(scope="module")
def balancer(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """HAProxy before both doors, with each version; the ports by name."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        pytest.skip("haproxy is not installed (Debian package haproxy)")
    ports = {name: free_port() for name in ("one", "two", "crc", "tls", "nothing")}
    behind, implicit = gateway.values["BEHIND"], gateway.values["IMPLICIT"]
    check = "check inter 200ms"
    roads = {
        "one": (behind, f"send-proxy {check}"),
        "two": (behind, f"send-proxy-v2 {check}"),
        "crc": (behind, f"send-proxy-v2 proxy-v2-options crc32c,unique-id {check} check-send-proxy"),
        "tls": (implicit, f"send-proxy-v2 {check} check-send-proxy"),
        "nothing": (behind, ""),
    }
    text = HAPROXY + "".join(
        ROAD.format(name=name, port=ports[name], to=to, options=options) for name, (to, options) in roads.items()
    )
    config: Path = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    config.write_text(text)
    log = config.with_suffix(".log").open("wb")
    process = subprocess.Popen([program, "-f", str(config), "-db"], stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or greets(ports["one"]), f"HAProxy to answer\n{config}")
        assert process.poll() is None, config.with_suffix(".log").read_text()
        yield ports
    finally:
        process.terminate()
        process.wait(10)
        log.close()


@pytest.mark.parametrize("road", ["one", "two", "crc"])
@pytest.mark.parametrize("tls", [[], ["-tls"]])
def test_haproxy_hands_mail_on_and_its_client_counts(
    gateway: Gateway, hop: Hop, balancer: dict[str, int], road: str, tls: list[str]
) -> None:
    said = swaks(balancer[road], *tls, "--local-interface", "127.0.0.77")
    assert said.code == 0, said.text
    assert hop.wait(1)[0].octets.startswith(b"Received: from client.example ([127.0.0.77])\r\n")
    event = gateway.story(said.queue_id, "received")[0]
    assert (event["client"], event["proxy"]) == ("127.0.0.77", "127.0.0.1")


def test_haproxy_hands_tls_on_as_it_comes(gateway: Gateway, hop: Hop, balancer: dict[str, int]) -> None:
    said = swaks(balancer["tls"], "-tlsc", "--local-interface", "127.0.0.78")
    assert said.code == 0 and said.secured, said.text
    octets = hop.wait(1)[0].octets
    assert octets.startswith(b"Received: from client.example ([127.0.0.78])\r\n") and b"with ESMTPS" in octets


def test_haproxys_own_checks_make_no_noise(gateway: Gateway, balancer: dict[str, int]) -> None:
    before = len(told(gateway))
    time.sleep(1.5)  # Some thirty checks, one or the other with a header.
    assert told(gateway)[before:] == []


def test_haproxy_without_a_header_is_refused(gateway: Gateway, balancer: dict[str, int]) -> None:
    with Raw(balancer["nothing"], seconds=10) as client:
        client.send(b"EHLO client.example\r\n")
        assert client.reply() == ""
