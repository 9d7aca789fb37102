"""Root and domain keys are rotated under load."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from gateway.app.places import Places
from gateway.settings.load import loaded
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.stream import Stream, marks

CONTENTS = "SELECT content FROM messages WHERE content IS NOT NULL"


def query(path: object, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return database.execute(sql).fetchall()


def wrapped(gateway: Gateway) -> dict[tuple[str, int], tuple[int, bytes]]:
    """Each domain key's root version and wrapping."""
    rows = query(
        Places.of(loaded(gateway.config)).shared, "SELECT purpose, version, root_version, wrapped FROM domain_keys"
    )
    return {(purpose, version): (root, octets) for purpose, version, root, octets in rows}


def sealed_with(gateway: Gateway) -> set[int]:
    """The versions of the spool's key under which contents lie in the databases."""
    places = Places.of(loaded(gateway.config))
    return {
        int.from_bytes(sealed[1:5], "big")
        for number in places.spools()
        for (sealed,) in query(places.spool(number) / "spool.db", CONTENTS)
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_no_message_fails_while_keys_are_rotated(make_gateway: Callable[..., Gateway], hop: Hop, workers: int) -> None:
    gateway = make_gateway(HOP=hop.port, WORKERS=workers)
    hop.script({"MAIL": "450 4.7.1 not yet"})
    gateway.start()
    processes = gateway.pids()
    with Stream(gateway.port) as stream:
        stream.until_taken(30)
        before = wrapped(gateway)
        done = gateway.run("key", "rotate", "main/default")
        assert done.returncode == 0, done.stderr
        after = wrapped(gateway)
        assert after.keys() == before.keys()
        assert {root for root, _ in after.values()} == {2}
        assert all(after[place][1] != before[place][1] for place in before)
        stream.until_taken(30)
        done = gateway.run("key", "rotate", "domain/spool")
        assert done.returncode == 0, done.stderr
        assert set(wrapped(gateway)) - set(after) == {("spool", 2)}
        stream.until_taken(30)
        assert gateway.run("key", "rotate", "domain/token").returncode == 1  # What is found by it would be lost.
        if workers == 1:  # Else the other process is given a minute to learn of it.
            until(lambda: sealed_with(gateway) == {1, 2}, "mail under the new key, beside mail under the old one")
        hop.healthy()
        stream.until_taken(30)
    assert stream.refused == {}
    assert stream.lost == []
    gateway.drained(60)
    assert sorted(marks(hop)) == sorted(stream.taken)
    assert gateway.pids() == processes
    assert "session_fault" not in gateway.log and "does_not_open" not in gateway.log
    hop.script({"MAIL": "450 4.7.1 not yet"})
    with Stream(gateway.port, 1) as last:
        last.until_taken(3)
    assert gateway.stop() == 0
    hop.healthy()
    gateway.start()
    gateway.drained(60)
    assert len(hop.taken) == len(stream.taken) + len(last.taken)
    gateway.stop()
