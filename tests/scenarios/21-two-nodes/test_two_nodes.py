"""Two gateways on one PostgreSQL: one dies under load, and nothing is lost."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.postgres import MISSING, Cluster, programs
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.stream import Stream

TAKEN_OVER = 90.0  # Seconds until what a dead node had has left through another: half a minute, and a busy machine.
LOAD = 600  # Messages of smtp-source.


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """A server that writes to the disk as in earnest."""
    if programs() is None:
        pytest.skip(MISSING)
    with Cluster(durable=True, settings=("max_connections=100",)) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def made(make_gateway: Callable[..., Gateway], server: Cluster, hop: Hop) -> tuple[Gateway, Gateway]:
    """Both gateways, with one vault between them, and what opens it."""
    url = server.new_database()
    first = make_gateway(HOP=hop.port, DATABASE=url)
    second = make_gateway(HOP=hop.port, DATABASE=url)
    shutil.rmtree(second.folder / "vault")
    shutil.copytree(first.folder / "vault", second.folder / "vault")
    shutil.copy(first.folder / "service-secret", second.folder / "service-secret")
    return first, second


@pytest.fixture
def two(made: tuple[Gateway, Gateway], hop: Hop) -> tuple[Gateway, Gateway]:
    """Both at work, with an empty queue; the one that the test before has ended is started again."""
    hop.healthy()
    for gateway in made:
        if gateway.process is None:
            gateway.start()
    made[0].drained()
    hop.taken.clear()
    return made


def source(port: int) -> subprocess.Popen[bytes]:
    """Postfix's load generator: each message has a recipient of its own."""
    program = shutil.which("smtp-source") or shutil.which("/usr/sbin/smtp-source")
    if program is None:
        pytest.skip("smtp-source is not installed (Debian package postfix)")
    command = [program, "-N", "-s", "4", "-m", str(LOAD), "-l", "4096", "-f", "ida@corp.example"]
    return subprocess.Popen([*command, "-t", "load@partner.example", f"127.0.0.1:{port}"])


def arrived(hop: Hop) -> Counter[str]:
    """How often each recipient got his message."""
    return Counter(got.recipients[0].partition("@")[0] for got in list(hop.taken))


def test_commands_on_one_gateway_reach_what_the_other_has(two: tuple[Gateway, Gateway], hop: Hop) -> None:
    hop.script({"MAIL": "451 4.3.0 later"})
    first, second = two
    with Stream(first.port, 1) as senders:
        until(lambda: len(senders.taken) >= 5, "5 messages to be taken", 60)
    count = len(senders.taken)
    held: set[str] = set()

    def hold() -> bool:  # What is on the wire just now can't be held; it waits again in a moment.
        held.update(second.ask("queue.hold", all=True)["changed"])
        return len(held) == count

    until(hold, "all to be held")
    assert [row["state"] for row in first.queue()] == ["held"] * count
    status = second.json("status")
    assert status["queue"] == {"ready": 0, "sending": 0, "waiting": 0, "held": count}
    hop.healthy()
    gone, *rest = sorted(held)
    assert second.ask("queue.delete", ids=[gone])["changed"] == [gone]
    assert sorted(second.ask("queue.release", all=True)["changed"]) == rest
    got = hop.wait(count - 1)
    first.drained()
    assert len(got) == count - 1


def test_a_gateway_that_stops_in_order_leaves_its_mail_to_the_other(two: tuple[Gateway, Gateway], hop: Hop) -> None:
    hop.script({"MAIL": "451 4.3.0 later"})
    first, second = two
    with Stream(first.port, 2) as senders:
        until(lambda: len(senders.taken) >= 30, "30 messages to be taken", 60)
    accepted = {f"mark{mark}" for mark in senders.taken}
    rows_of_both = {gateway.port: {row["id"] for row in gateway.queue()} for gateway in (first, second)}
    assert rows_of_both[first.port] == rows_of_both[second.port]
    assert len(rows_of_both[first.port]) == len(accepted)
    assert first.stop() == 0
    hop.healthy()
    until(lambda: accepted <= set(arrived(hop)), "all that the other had", 25)  # Not after half a minute.
    second.drained()
    assert max(arrived(hop).values()) == 1


@pytest.mark.timeout(300)
def test_a_gateway_that_is_killed_under_load_loses_nothing(
    two: tuple[Gateway, Gateway], server: Cluster, hop: Hop, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = two
    name = first.values["DATABASE"]
    assert isinstance(name, str)
    load = source(second.port)
    try:
        with Stream(first.port) as senders:
            until(lambda: len(senders.taken) >= 150 and sum(arrived(hop).values()) >= 100, "both to be at work", 60)
            mine = [row[0] for row in rows(server, name, "SELECT id FROM nodes")]
            first.kill()
            in_hands = rows(server, name, "SELECT node FROM deliveries WHERE node IS NOT NULL")
        accepted = {f"mark{mark}" for mark in senders.taken}
        living = nodes_that_live(server, name)
        assert len(living) == 2
        left = [node for (node,) in in_hands if node not in living]
        assert load.wait(60) == 0, "the other gateway takes everything"
    finally:
        load.kill()
    until(lambda: accepted <= set(arrived(hop)), f"all of {len(accepted)} messages of the dead gateway", TAKEN_OVER)
    second.drained(60)
    found = arrived(hop)
    assert accepted <= set(found)
    assert sum(one.endswith("load") for one in found) == LOAD
    twice = sum(count - 1 for count in found.values())
    with capsys.disabled():
        print(f" [{len(accepted)} accepted before the kill, {len(left)} in its hands, {twice} arrived twice] ", end="")
    assert twice <= len(left)
    assert len(mine) == 4
    assert rows(server, name, "SELECT count(*) FROM messages") == [(0,)]
    assert rows(server, name, "SELECT count(*) FROM message_segments") == [(0,)]
    assert second.stop() == 0
    assert rows(server, name, "SELECT count(*) FROM nodes") == [(0,)]


# -- the database -----------------------------------------------------------------------------------------------------


def rows(server: Cluster, url: str, query: str) -> list[tuple[Any, ...]]:
    with server.connect(url.rpartition("/")[2]) as db:
        return db.execute(query.encode()).fetchall()


def nodes_that_live(server: Cluster, url: str) -> list[str]:
    """Those that gave a sign of life since now."""
    began = dict(rows(server, url, "SELECT id, seen FROM nodes"))

    def look() -> list[str]:
        now = rows(server, url, "SELECT id, seen FROM nodes")
        return [str(id_) for id_, seen in now if began.get(id_) != seen]

    until(lambda: len(look()) >= 2, "signs of life", 20)
    return look()
