"""Four large messages and one small question."""

from __future__ import annotations

import hashlib
import statistics
import threading
import time
from collections.abc import Callable

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.raw import Raw

LINE = b"0123456789abcdef" * 4 + b"\r\n"
SIZE = 20_000_000


def test_a_small_session_is_served_beside_four_large_ones(
    make_gateway: Callable[..., Gateway], hop: Hop, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = make_gateway(HOP=hop.port).start()
    octets = LINE * (SIZE // len(LINE))
    answers: list[str] = []

    def send(mark: int) -> None:
        with Raw(gateway.port, seconds=120) as client:
            client.hello()
            client.ask("MAIL FROM:<ida@corp.example>")
            client.ask(f"RCPT TO:<m{mark}@partner.example>")
            client.ask("DATA")
            client.send(b"Subject: large\r\n\r\n" + octets)
            answers.append(client.ask("."))

    senders = [threading.Thread(target=send, args=(one,)) for one in range(4)]
    for sender in senders:
        sender.start()
    waits = []
    while any(sender.is_alive() for sender in senders):
        with Raw(gateway.port, seconds=60) as client:
            client.reply()
            start = time.monotonic()
            assert client.ask("EHLO client.example").startswith("250")
            waits.append(time.monotonic() - start)
        time.sleep(0.01)
    for sender in senders:
        sender.join()
    with capsys.disabled():
        print(f"\nEHLO beside four sessions of 20 MB: median {statistics.median(waits) * 1000:.1f} ms of {len(waits)}")
    assert [said[:3] for said in answers] == ["250"] * 4
    expected = hashlib.sha256(octets).digest()
    for got in hop.wait(4, 120):
        assert hashlib.sha256(got.octets[-len(octets) :]).digest() == expected
