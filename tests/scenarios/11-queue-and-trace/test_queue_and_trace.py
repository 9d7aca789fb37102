"""`gateway queue` and `gateway trace` on a queue that waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.swaks import swaks

ROW = {"id", "from", "recipients", "connector", "size", "state"}
RECIPIENT = {"address", "status", "reason", "enhanced", "next_attempt"}


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    return make_gateway(HOP=hop.port).start()


@pytest.fixture(autouse=True)
def later(gateway: Gateway, hop: Hop) -> Iterator[None]:
    """The hop says later; each story begins with an empty queue."""
    hop.script({"MAIL": "451 4.7.1 greylisted"})
    yield
    hop.healthy()
    gateway.ask("queue.delete", all=True)
    hop.taken.clear()


def waits(gateway: Gateway, to: str = "otto@partner.example") -> str:
    """The id of a new message that waits."""
    said = swaks(gateway.port, "--to", to)
    gateway.tried(said.queue_id)
    return said.queue_id


def test_list_and_show_have_the_contract_s_fields(gateway: Gateway) -> None:
    one = waits(gateway)
    row = gateway.json("queue", "list")[0]
    assert ROW <= set(row) and RECIPIENT <= set(row["recipients"][0])
    assert row["id"] == f"{one}.1" and row["from"] == "ida@corp.example" and row["connector"] == "hop"
    assert row["state"] == "waiting" and row["size"] > 0 and row["recipients"][0]["enhanced"] == "4.7.1"
    due = datetime.fromisoformat(row["recipients"][0]["next_attempt"])
    assert timedelta(minutes=40) < due - datetime.now(UTC) < timedelta(minutes=80)
    shown = gateway.json("queue", "show", one)[0]
    assert "451 4.7.1 greylisted" in shown["recipients"][0]["reply"] and shown["attempts"] == 1
    assert "451 4.7.1 greylisted" in gateway.run("queue", "show", f"{one}.1").stdout
    assert one in gateway.run("queue", "list").stdout


def test_hold_release_and_retry_by_id(gateway: Gateway, hop: Hop) -> None:
    one, two = waits(gateway), waits(gateway)
    assert gateway.json("queue", "hold", one)["changed"] == [f"{one}.1"]
    hop.healthy()
    assert gateway.json("queue", "retry", "--all")["changed"] == [f"{two}.1"]
    hop.wait(1)
    until(
        lambda: [(row["id"], row["state"]) for row in gateway.queue()] == [(f"{one}.1", "held")],
        "the held one alone to be left",
    )
    assert gateway.json("queue", "release", f"{one}.1")["changed"] == [f"{one}.1"]
    hop.wait(2)
    gateway.drained()
    gateway.story(one, "done")
    kinds = [event["event"] for event in gateway.events(one)]
    assert kinds[kinds.index("held") :] == ["held", "released", "attempt", "recipient", "done"]


def test_by_domain_touches_no_other(gateway: Gateway, hop: Hop) -> None:
    one, two = waits(gateway, "a@partner.example"), waits(gateway, "b@other.example")
    assert gateway.json("queue", "hold", "--domain", "other.example")["changed"] == [f"{two}.1"]
    states = {row["id"]: row["state"] for row in gateway.queue()}
    assert states == {f"{one}.1": "waiting", f"{two}.1": "held"}
    assert [row["id"] for row in gateway.json("queue", "list", "--domain", "OTHER.example")] == [f"{two}.1"]


def test_delete_is_final_and_told_in_the_trace(gateway: Gateway, hop: Hop) -> None:
    one = waits(gateway)
    refused = gateway.run("queue", "delete", one)
    assert refused.returncode == 2 and "--yes" in refused.stderr and len(gateway.queue()) == 1
    assert gateway.json("queue", "delete", one, "--yes")["changed"] == [f"{one}.1"]
    assert gateway.queue() == [] and gateway.run("queue", "list").stdout.startswith("The queue is empty")
    assert gateway.story(one, "deleted")
    assert "deleted by an administrator" in gateway.run("trace", one).stdout
    assert hop.taken == []


def test_what_is_not_there_is_named(gateway: Gateway) -> None:
    one = waits(gateway)
    done = gateway.run("queue", "hold", one, "QNOSUCHMESSAGE", "--json")
    assert done.returncode == 1 and "QNOSUCHMESSAGE" in done.stderr
    assert json.loads(done.stdout) == {"changed": [f"{one}.1"], "missing": ["QNOSUCHMESSAGE"], "sending": []}
    assert gateway.run("queue", "show", "QNOSUCHMESSAGE").returncode == 1
    assert gateway.run("trace", "QNOSUCHMESSAGE").returncode == 1


def test_trace_finds_by_everything_it_promises(gateway: Gateway) -> None:
    said = swaks(
        gateway.port,
        "--from",
        "eva@corp.example",
        "--to",
        "carl@third.example",
        "--header",
        "Message-Id: <t1@corp.example>",
    )
    gateway.tried(said.queue_id)
    gateway.story(said.queue_id, "received")
    for arguments in (
        [said.queue_id],
        ["--message-id", "<t1@corp.example>"],
        ["--message-id", "t1@corp.example"],
        ["--from", "eva@corp.example"],
        ["--from", "EVA@Corp.Example", "--since", "1h"],
        ["--to", "carl@third.example"],
        ["--to", "third.example", "--since", (datetime.now(UTC) - timedelta(minutes=5)).isoformat()],
    ):
        assert [one["id"] for one in gateway.json("trace", *arguments)] == [said.queue_id], arguments
    assert gateway.json("trace", "--to", "carl@third.example", "--from", "otto@partner.example") == []
    assert gateway.run("trace", "--to", "nobody@third.example").stdout.startswith("No message")


def test_all_of_it_works_while_nothing_serves(gateway: Gateway, hop: Hop) -> None:
    one, two = waits(gateway), waits(gateway)
    assert gateway.stop() == 0
    try:
        assert {row["id"] for row in gateway.json("queue", "list")} == {f"{one}.1", f"{two}.1"}
        assert gateway.json("queue", "hold", one)["changed"] == [f"{one}.1"]
        assert gateway.json("queue", "delete", two, "--yes")["changed"] == [f"{two}.1"]
        status = gateway.json("status")
        assert status["processes"] == [] and status["queue"]["held"] == 1
        assert gateway.json("trace", two)[0]["events"][-1]["event"] == "deleted"
        assert gateway.run("reload").returncode == 1
    finally:
        gateway.start()
    assert [(row["id"], row["state"]) for row in gateway.queue()] == [(f"{one}.1", "held")]
    hop.healthy()
    gateway.json("queue", "release", "--all")
    hop.wait(1)


def test_status_tells_what_waits(gateway: Gateway) -> None:
    waits(gateway)
    status = gateway.json("status")
    assert status["queue"]["waiting"] >= 1 and status["oldest_waiting"].endswith("Z")
    assert {"name", "pid", "state", "uptime", "memory"} <= set(status["processes"][0])
    assert "1 waiting" in gateway.run("status").stdout
