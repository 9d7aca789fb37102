"""What got its 250 arrives, whatever is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import greets, until
from tests.scenarios.peers.stream import Stream, marks


def test_nothing_accepted_is_lost(make_gateway: Callable[..., Gateway], hop: Hop) -> None:
    gateway = make_gateway(HOP=hop.port).start()
    with Stream(gateway.port) as senders:
        gateway.all_started()
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
    until(lambda: accepted <= set(marks(hop)), f"all of {len(accepted)} accepted messages", 60)
    gateway.drained(60)
    assert set(marks(hop)) <= set(range(1, senders.tried + 1))
    assert gateway.stop() == 0


def test_without_its_fork_server_mail_goes_on_and_workers_come_again(
    make_gateway: Callable[..., Gateway], hop: Hop
) -> None:
    gateway = make_gateway(HOP=hop.port).start()
    gateway.all_started()
    (forks,) = gateway.pids("fork-server")
    before = gateway.workers()
    with Stream(gateway.port) as senders:
        senders.until_taken(20)
        os.kill(forks, signal.SIGKILL)
        senders.until_taken(20)
        assert gateway.workers() == before, "they don't need it"
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(now := gateway.workers()) == 2 and before[0] not in now, "another worker")
        os.kill(before[1], signal.SIGKILL)  # The child of a fork server that is no more.
        until(lambda: len(now := gateway.workers()) == 2 and not set(now) & set(before), "two other workers")
        senders.until_taken(20)
    until(lambda: set(senders.taken) <= set(marks(hop)), "all that was accepted", 60)
    (now,) = gateway.pids("fork-server")
    assert now != forks and now in {one["pid"] for one in gateway.json("status")["processes"]}
    gateway.drained(60)
    assert gateway.stop() == 0 and gateway.pids() == []


def test_a_worker_that_hangs_keeps_no_client_waiting(make_gateway: Callable[..., Gateway], hop: Hop) -> None:
    gateway = make_gateway(HOP=hop.port).start()
    gateway.all_started()
    hanging = gateway.workers()[0]
    os.kill(hanging, signal.SIGSTOP)
    try:
        # The kernel puts each client before one of two doors by chance: that all of them hit the other is 1 to 2**40.
        assert all(greets(gateway.port) for _ in range(40))
    finally:
        os.kill(hanging, signal.SIGCONT)
    assert gateway.stop() == 0


def test_what_waits_survives_a_kill(make_gateway: Callable[..., Gateway]) -> None:
    with Hop({"MAIL": "451 4.3.0 later"}) as hop:
        gateway = make_gateway(HOP=hop.port).start()
        with Stream(gateway.port, 1) as senders:
            senders.until_taken(12)
        gateway.kill()
        rows = gateway.json("queue", "list")  # read while nothing serves
        assert len(rows) == len(senders.taken) and all(one["state"] in ("ready", "waiting") for one in rows)
        hop.healthy()
        gateway.start()
        until(lambda: set(senders.taken) <= set(marks(hop)), "what waited", 60)


def test_spools_of_workers_that_are_no_more_are_adopted(make_gateway: Callable[..., Gateway]) -> None:
    with Hop({"MAIL": "451 4.3.0 later"}) as hop:
        gateway = make_gateway(HOP=hop.port).start()
        with Stream(gateway.port, 4) as senders:
            senders.until_taken(40)
        assert gateway.stop() == 0
        hop.healthy()
        gateway.template = (gateway.template or "").replace("workers = 2", "workers = 1")
        gateway.configure()
        gateway.start()
        until(lambda: set(senders.taken) <= set(marks(hop)), "what lay in both spools", 60)
