"""Behind HAProxy, with one of two gateways away: the guide's settings and HAProxy's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port, greets, until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.recipe import cooked, serve
from tests.scenarios.peers.swaks import swaks

NAME = "Behind a load balancer"
CLIENT = "127.0.0.77"
REST = """
[[connectors.inbound]]
name = "ours"
type = "on_premises"
sender_ip_addresses = ["{client}"]

[[connectors.outbound]]
name = "hop"
recipient_domains = ["*"]
smart_hosts = ["127.0.0.1:{hop}"]
"""


@dataclass
class Road:
    gateway: Gateway
    hop: Hop
    front: int


@pytest.fixture(scope="module")
def road(
    make_gateway: Callable[..., Gateway], authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Road]:
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if program is None:
        pytest.skip("haproxy is not installed (Debian package haproxy)")
    gateway = make_gateway(file=None)
    front, away = free_port(), free_port()
    config: Path = tmp_path_factory.mktemp("haproxy") / "haproxy.cfg"
    config.write_text(
        cooked(
            NAME,
            "haproxy",
            ("0.0.0.0:25", f"127.0.0.1:{front}"),
            ("10.0.0.11:25", f"127.0.0.1:{gateway.port}"),
            ("10.0.0.12:25", f"127.0.0.1:{away}"),
        )
    )
    log = config.with_suffix(".log")
    with Hop() as hop:
        rest = REST.format(client=CLIENT, hop=hop.port)
        # Another address of ours than the one from which the tests look whether it greets.
        put_in = ('["10.0.0.5"]', '["127.0.0.5"]')
        serve(gateway, NAME, put_in, certificate=authority.issue("mx.corp.example"), rest=rest)
        config.write_text(config.read_text().replace("send-proxy-v2", "send-proxy-v2 source 127.0.0.5"))
        with log.open("wb") as stream:
            process = subprocess.Popen([program, "-f", str(config), "-db"], stdout=stream, stderr=stream)
        try:
            until(lambda: process.poll() is not None or greets(front), "HAProxy to answer")
            assert process.poll() is None, log.read_text()
            yield Road(gateway, hop, front)
        finally:
            process.terminate()
            process.wait(10)


@pytest.mark.parametrize("tls", [(), ("-tls",)], ids=["clear", "tls"])
def test_the_client_counts_and_not_the_balancer(road: Road, tls: tuple[str, ...]) -> None:
    said = swaks(road.front, *tls, "--local-interface", CLIENT)
    assert said.code == 0 and said.secured is bool(tls), said.text
    (event,) = road.gateway.story(said.queue_id, "received")
    assert (event["client"], event["proxy"], event["connector"]) == (CLIENT, "127.0.0.5", "ours")


def test_a_gateway_that_is_away_is_not_noticed(road: Road) -> None:
    for _ in range(6):
        assert swaks(road.front, "--local-interface", CLIENT).code == 0


def test_strangers_relay_nothing_by_the_balancer(road: Road) -> None:
    said = swaks(road.front, "--local-interface", "127.0.0.78")
    assert said.last.startswith("550 5.7.64 "), said.text


def test_a_header_from_elsewhere_is_a_bad_command(road: Road) -> None:
    with Raw(road.gateway.port) as client:
        client.send(b"PROXY TCP4 127.0.0.77 192.0.2.1 4711 25\r\n")
        assert client.reply().startswith("220 ")
        assert client.reply().startswith("500 ")
