"""New settings while mail flows."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.swaks import swaks


@pytest.fixture(scope="module")
def hops() -> Iterator[tuple[Hop, Hop]]:
    with Hop() as one, Hop() as other:
        yield one, other


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hops: tuple[Hop, Hop]) -> Gateway:
    return make_gateway(HOP=hops[0].port, RECIPIENTS=10).start()


@pytest.fixture(autouse=True)
def fresh(gateway: Gateway, hops: tuple[Hop, Hop]) -> None:
    """Each story begins with an empty queue, the first next hop, and nothing there."""
    gateway.configure(HOP=hops[0].port, RECIPIENTS=10)
    gateway.ask("reload")
    gateway.drained()
    for hop in hops:
        hop.taken.clear()


def test_an_open_session_goes_on_under_the_new_settings(gateway: Gateway, hops: tuple[Hop, Hop]) -> None:
    old, new = hops
    with Raw(gateway.port) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@corp.example>")
        workers = gateway.workers()
        gateway.configure(HOP=new.port)
        assert isinstance(gateway.json("reload")["changed"], list)
        assert client.ask("RCPT TO:<otto@partner.example>").startswith("250")
        assert client.ask("DATA").startswith("354")
        client.send(b"Subject: across\r\n\r\nx\r\n")
        assert client.ask(".").startswith("250")
    assert b"Subject: across" in new.wait(1)[0].octets and old.taken == []
    assert gateway.workers() == workers, "a reload restarts nobody"


def test_no_connection_is_lost_while_it_reloads(gateway: Gateway, hops: tuple[Hop, Hop]) -> None:
    for turn in range(5):
        clients = [Raw(gateway.port) for _ in range(10)]
        gateway.configure(RECIPIENTS=20 + turn)
        assert gateway.run("reload").returncode == 0
        for client in clients:
            with client:
                assert client.hello().startswith("250")


def test_sighup_reloads_too(gateway: Gateway, hops: tuple[Hop, Hop]) -> None:
    assert gateway.process is not None
    gateway.configure(HOP=hops[1].port)
    os.kill(gateway.process.pid, signal.SIGHUP)

    def arrived() -> bool:
        assert swaks(gateway.port).code == 0
        gateway.drained()
        return bool(hops[1].taken)

    until(arrived, "the new next hop to be used")


def test_a_file_with_faults_changes_nothing_and_names_all(gateway: Gateway, hops: tuple[Hop, Hop]) -> None:
    good = gateway.config.read_text()
    gateway.config.write_text(good.replace("max_recipients = 10", 'max_recipients = 0\nmax_mesages = 3\ntls = "ssl"', 1)
                              .replace('tls = "none"\n', "", 1))  # fmt: skip
    done = gateway.run("reload")
    assert done.returncode == 1 and done.stdout == ""
    for word in ("max_recipients", "max_mesages", "max_messages", "tls", "gateway.toml"):
        assert word in done.stderr, done.stderr
    assert gateway.run("check").returncode == 1
    assert swaks(gateway.port).code == 0
    hops[0].wait(1)
    assert gateway.process is not None and gateway.process.poll() is None


def test_a_limit_that_was_changed_holds_for_new_sessions(gateway: Gateway, hops: tuple[Hop, Hop]) -> None:
    gateway.configure(RECIPIENTS=1)
    assert gateway.run("reload").returncode == 0
    with Raw(gateway.port) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@corp.example>")
        assert client.ask("RCPT TO:<a@partner.example>").startswith("250")
        assert client.ask("RCPT TO:<b@partner.example>").startswith("452 4.5.3")
