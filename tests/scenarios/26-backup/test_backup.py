"""From one file to a gateway that delivers."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.raw import Raw

PHRASE = "correct horse battery\n"
LARGE = b"a line of a large message\r\n" * 60_000
WAITING = 12


@pytest.fixture
def hop() -> Iterator[Hop]:
    with Hop() as hop:
        yield hop


@pytest.fixture
def away() -> Iterator[Hop]:
    """Takes nothing for now."""
    with Hop({"MAIL": "451 4.3.2 Closed for now"}) as hop:
        yield hop


def send(port: int, recipient: str, body: bytes) -> str:
    """The queue id that a 250 ended with."""
    with Raw(port, seconds=30) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@corp.example>")
        client.ask(f"RCPT TO:<{recipient}>")
        client.ask("DATA")
        client.send(body)
        said = client.ask(".")
        assert said.startswith("250"), said
        return said.split()[-1]


def test_a_gateway_comes_back_from_nothing(
    make_gateway: Callable[..., Gateway], hop: Hop, away: Hop, tmp_path: Path
) -> None:
    gateway = make_gateway(HOP=hop.port, AWAY=away.port, FIRST=600).start()
    delivered = send(gateway.port, "otto@partner.example", b"Subject: gone\r\n\r\nx\r\n")
    hop.wait(1)
    waiting = {
        send(
            gateway.port,
            "eva@away.example",
            b"Subject: waits %d\r\n\r\n" % number + (LARGE if number % 4 == 0 else b"x\r\n"),
        )
        for number in range(WAITING)
    }
    stop, during = threading.Event(), []

    def load() -> None:
        while not stop.is_set():
            during.append(send(gateway.port, "otto@partner.example", b"Subject: meanwhile\r\n\r\nx\r\n"))

    busy = threading.Thread(target=load)
    busy.start()
    try:
        backup = tmp_path / "monday.backup"
        done = gateway.run("backup", str(backup), "--passphrase-stdin", stdin=PHRASE)
    finally:
        stop.set()
        busy.join()
    assert done.returncode == 0, done.stderr
    assert "sealed under the passphrase" in done.stdout
    assert during, "mail came in while it ran"
    assert gateway.stop() == 0
    shutil.rmtree(gateway.folder)

    refused = gateway.run(
        "restore",
        str(backup),
        "--into",
        str(gateway.folder),
        "--passphrase-stdin",
        config=False,
        stdin="another phrase\n",
    )
    assert refused.returncode == 1
    assert "passphrase" in refused.stderr
    assert not gateway.folder.exists()
    done = gateway.run(
        "restore", str(backup), "--into", str(gateway.folder), "--passphrase-stdin", config=False, stdin=PHRASE
    )
    assert done.returncode == 0, done.stderr
    assert gateway.run("check").returncode == 0
    assert waiting <= {row["id"].rpartition(".")[0] for row in gateway.queue()}

    away.healthy()
    gateway.start()
    gateway.run("queue", "retry", "--all")  # It says no where something is on the wire by itself already.
    took = away.wait(WAITING, 60)
    gateway.drained(60)
    assert {one.octets.split(b"Subject: waits ")[1].split(b"\r\n")[0] for one in took} == {
        b"%d" % number for number in range(WAITING)
    }
    assert sum(LARGE in one.octets for one in took) == WAITING // 4
    assert gateway.story(delivered, "received"), "the trace came along"


def test_without_the_vault_nothing_is_served_until_it_is_back(
    make_gateway: Callable[..., Gateway], hop: Hop, away: Hop, tmp_path: Path
) -> None:
    gateway = make_gateway(HOP=hop.port, AWAY=away.port, FIRST=600).start()
    send(gateway.port, "eva@away.example", b"Subject: waits\r\n\r\nx\r\n")
    backup = tmp_path / "b"
    assert gateway.run("backup", str(backup)).returncode == 2, "neither a passphrase nor --without-vault"
    done = gateway.run("backup", str(backup), "--without-vault")
    assert "NOT in it" in done.stdout
    assert gateway.stop() == 0
    kept = tmp_path / "vault"
    shutil.move(gateway.folder / "vault", kept)
    shutil.move(gateway.folder / "service-secret", kept)
    shutil.rmtree(gateway.folder)
    done = gateway.run("restore", str(backup), "--into", str(gateway.folder), config=False)
    assert done.returncode == 0, done.stderr
    assert "root keys of vault 'main' are not in it" in done.stdout
    checked = gateway.run("check")
    assert checked.returncode == 1
    assert "vault" in checked.stderr
    shutil.move(kept, gateway.folder / "vault")
    assert gateway.run("check").returncode == 0
    assert len(gateway.queue()) == 1
