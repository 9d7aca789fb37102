"""The loop guard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.swaks import swaks

LOOP = Path(__file__).parent / "queue-07.eml"


def test_a_hundred_received_lines_are_a_loop(make_gateway: Callable[..., Gateway], hop: Hop, tmp_path: Path) -> None:
    gateway = make_gateway(HOP=hop.port).start()
    looped = LOOP.read_bytes()
    lines = [one for one in looped.splitlines(keepends=True) if one.startswith(b"Received:")]
    assert len(lines) == 100
    refused = swaks(gateway.port, "--data", f"@{LOOP}")
    assert refused.code != 0 and refused.last.startswith("554 5.4.6 "), refused.text
    fewer = tmp_path / "fewer.eml"
    start = looped.index(lines[0])
    fewer.write_bytes(looped[:start] + looped[start + len(lines[0]) :])
    taken = swaks(gateway.port, "--data", f"@{fewer}")
    assert taken.code == 0, taken.text
    assert hop.wait(1)[0].octets.count(b"\nReceived:") + 1 >= 99
    gateway.drained()
    assert len(hop.taken) == 1
