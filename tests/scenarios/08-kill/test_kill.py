"""What got its 250 arrives, whatever is killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw

LARGE = b"x" * 76 + b"\r\n"


class Senders:
    """A few clients that send without a pause until told to stop; `taken` are the marks of what got 250."""

    def __init__(self, port: int, count: int = 3) -> None:
        self.port = port
        self.taken: list[int] = []
        self.tried = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"sender {one}") for one in range(count)]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def until_taken(self, count: int) -> None:
        start = len(self.taken)
        until(lambda: len(self.taken) >= start + count, f"{count} more messages to be taken")

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with Raw(self.port, seconds=20) as client:
                    client.hello()
                    for _ in range(10):
                        if self._over.is_set() or not self._one(client):
                            break
            except OSError:
                time.sleep(0.02)  # It is being killed; that is the story.

    def _one(self, client: Raw) -> bool:
        with self._lock:
            self.tried += 1
            mark = self.tried
        client.send(b"MAIL FROM:<ida@corp.example>\r\nRCPT TO:<otto@partner.example>\r\nDATA\r\n")
        if [client.reply()[:3] for _ in range(3)] != ["250", "250", "354"]:
            return False
        # Some are large enough to lie in a file of their own instead of the database.
        body = LARGE * 3000 if mark % 10 == 0 else LARGE
        client.send(b"X-Mark: %d\r\n\r\n" % mark + body)
        if not client.ask(".").startswith("250"):
            return False
        with self._lock:
            self.taken.append(mark)
        return True


def marks(hop: Hop) -> set[int]:
    """What arrived whole."""
    found = set()
    for got in list(hop.taken):
        start = got.octets.index(b"X-Mark: ") + 8
        mark = int(got.octets[start : got.octets.index(b"\r\n", start)])
        size = 3000 if mark % 10 == 0 else 1
        assert got.octets.endswith(b"\r\n\r\n" + LARGE * size), f"message {mark} is damaged"
        found.add(mark)
    return found


def test_nothing_accepted_is_lost(make_gateway: Callable[..., Gateway], hop: Hop) -> None:
    gateway = make_gateway(HOP=hop.port).start()
    with Senders(gateway.port) as senders:
        senders.until_taken(30)
        for _ in range(2):
            workers = until(lambda: found if len(found := gateway.workers()) == 2 else None, "two workers")
            os.kill(workers[0], signal.SIGKILL)
            senders.until_taken(30)
        killed = time.monotonic()
        gateway.kill()
        assert time.monotonic() - killed < 5
        gateway.start()
        senders.until_taken(30)
    accepted = set(senders.taken)
    assert len(accepted) >= 120
    until(lambda: accepted <= marks(hop), f"all of {len(accepted)} accepted messages", 60)
    gateway.drained(60)
    assert marks(hop) <= set(range(1, senders.tried + 1))
    assert gateway.stop() == 0


def test_what_waits_survives_a_kill(make_gateway: Callable[..., Gateway]) -> None:
    with Hop({"MAIL": "451 4.3.0 later"}) as hop:
        gateway = make_gateway(HOP=hop.port).start()
        with Senders(gateway.port, 1) as senders:
            senders.until_taken(12)
        gateway.kill()
        rows = gateway.json("queue", "list")  # read while nothing serves
        assert len(rows) == len(senders.taken) and all(one["state"] in ("ready", "waiting") for one in rows)
        hop.healthy()
        gateway.start()
        until(lambda: set(senders.taken) <= marks(hop), "what waited", 60)


def test_spools_of_workers_that_are_no_more_are_adopted(make_gateway: Callable[..., Gateway]) -> None:
    with Hop({"MAIL": "451 4.3.0 later"}) as hop:
        gateway = make_gateway(HOP=hop.port).start()
        with Senders(gateway.port, 4) as senders:
            senders.until_taken(40)
        assert gateway.stop() == 0
        hop.healthy()
        gateway.template = (gateway.template or "").replace("workers = 2", "workers = 1")
        gateway.configure()
        gateway.start()
        until(lambda: set(senders.taken) <= marks(hop), "what lay in both spools", 60)
