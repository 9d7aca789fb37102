"""No room."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.tiny_disk import fill, tiny_disk

SIZE = 32 << 20  # Octets of the whole file system.


def send(gateway: Gateway, mark: str, size: int) -> str:
    """The last reply."""
    with Raw(gateway.port, seconds=30) as client:
        client.hello()
        said = client.ask("MAIL FROM:<ida@corp.example>")
        if not said.startswith("250"):
            return said
        said = client.ask("RCPT TO:<otto@partner.example>")
        if not said.startswith("250"):
            return said
        said = client.ask("DATA")
        if not said.startswith("354"):
            return said
        line = b"x" * 76 + b"\r\n"
        client.send(f"Subject: {mark}\r\n\r\n".encode() + line * (size // len(line)))
        return client.ask(".")


@pytest.mark.parametrize(
    ("min_free", "left", "size"),
    [(8 << 20, 4 << 20, 4096), (0, 200 << 10, 1 << 20), (0, 0, 4096)],
    ids=["below min_free", "no room for a large one", "no room at all"],
)
def test_a_full_disk_answers_452_and_stores_nothing(
    make_gateway: Callable[..., Gateway], min_free: int, left: int, size: int
) -> None:
    with ExitStack() as stack:
        hop = stack.enter_context(Hop({"MAIL": "451 4.3.0 later"}))
        gateway = make_gateway(HOP=hop.port, MIN_FREE=min_free)
        disk = stack.enter_context(tiny_disk(gateway.folder / "data", SIZE))
        stack.callback(gateway.stop)
        gateway.start()
        assert send(gateway, "before", 4096).startswith("250")
        ballast = fill(disk, left)
        time.sleep(1.2)  # The room that is left is looked at once a second.
        for _ in range(3):
            assert send(gateway, "refused", size).startswith("452 4.3.1 ")
        ballast.unlink()
        until(lambda: send(gateway, "after", size).startswith("250"), "room to be noticed", 15)
        assert len(gateway.queue()) == 2
        hop.healthy()
        subjects = [got.octets.split(b"Subject: ")[1].split(b"\r\n")[0] for got in hop.wait(2)]
        assert sorted(subjects) == [b"after", b"before"]
        gateway.drained()
        assert not list((gateway.folder / "data").rglob("*.tmp"))
