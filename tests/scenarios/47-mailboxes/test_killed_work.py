"""`kill -9` in the middle of a roll, a refresh and a purge: resumed or rolled back, nothing half."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.peers.mailroom import IDA, Mailroom
from tests.scenarios.peers.ports import until

MANY = 900  # The roll takes 200 at a time.


@pytest.fixture(scope="module")
def room(make_room: Callable[..., Mailroom]) -> Mailroom:
    room = make_room().start()
    room.create(IDA)
    return room


def start_again(room: Mailroom) -> None:
    room.gateway.kill()
    room.start()


def in_the_background(room: Mailroom, *arguments: str) -> threading.Thread:
    """A command whose end nobody waits for: the gateway is killed under it."""
    thread = threading.Thread(target=lambda: room.gateway.run(*arguments), daemon=True)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def filled(room: Mailroom) -> list[bytes]:
    """Many messages, so that a roll takes a while."""
    mbox = room.gateway.folder.with_name("many.mbox")
    mbox.write_text(
        "".join(f"From - Thu Nov 26 09:30:00 2026\nSubject: x\nX-Mark: many {one}\n\nx\n\n" for one in range(MANY))
    )
    room.does("mailbox", "import", IDA, str(mbox), "--folder", "Many")
    return room.arrived(MANY, folder="Many")


@pytest.mark.parametrize("share", [0.1, 0.6])
def test_a_roll_that_is_killed_goes_on_where_it_was(room: Mailroom, filled: list[bytes], share: float) -> None:
    version = room.mailbox(IDA)["key_version"]
    total = room.query("SELECT count(*) FROM mailbox_contents")[0][0]
    thread = in_the_background(room, "mailbox", "roll", IDA)

    def done() -> int:
        return int(room.query("SELECT count(*) FROM mailbox_contents WHERE key_version = ?", version + 1)[0][0])

    until(lambda: done() >= share * total or not thread.is_alive(), "a part of the roll", 30)
    room.gateway.kill()
    half = done()
    room.start()
    assert len(room.opens()) == room.count()
    if half < total:
        assert room.arrived(MANY, folder="Many") == filled  # While a part lies under each.

    def over() -> bool:
        told = room.mailbox(IDA)
        return (told["key_version"], told["rolling"], told["left"]) == (version + 1, False, 0)

    until(over, "the roll to go on by itself", 60)
    assert room.arrived(MANY, folder="Many") == filled
    assert half < total, "it was over before it was killed: the test has to be quicker"


def test_a_refresh_that_is_killed_is_done_or_not(room: Mailroom) -> None:
    for pause in (0.0, 0.3):
        room.does("key", "rotate", "root-a/mail")
        thread = in_the_background(room, "policy", "refresh", "default")
        time.sleep(pause)
        start_again(room)
        thread.join(30)
        room.opens()
        room.does("policy", "refresh", "default")
        room.opens()


def test_a_purge_that_is_killed_is_final_or_not_begun(room: Mailroom, tmp_path: Path) -> None:
    for vault in ("root-a", "root-b"):
        room.does("key", "create", f"{vault}/doomed", "--type", "aes-256")
    certs = room.gateway.folder / "certs"
    room.does(
        "policy", "create", "doomed", "--root", "root-a/doomed", "--root", "root-b/doomed",
        "--custodian", str(certs / "custodian.pub.pem"),
    )  # fmt: skip
    cleo = "cleo@corp.example"
    room.create(cleo, "--policy", "doomed")
    room.write("x", cleo)
    room.arrived(1, cleo)
    order = tmp_path / "order.json"
    signed = ("policy", "order", "doomed", "--out", str(order), "--key", str(certs / "custodian.pem"))
    assert room.gateway.run(*signed, config=False).returncode == 0
    for vault in ("root-a", "root-b"):
        room.does("key", "disable", f"{vault}/doomed", "--yes")
    thread = in_the_background(room, "policy", "purge", "doomed", "--order", str(order), "--grace", "0")
    until(lambda: states(room)["doomed"] != "ready" or not thread.is_alive(), "the purge to begin", 20)
    start_again(room)
    thread.join(30)
    told = room.policy("doomed")["state"]
    if told == "ready":
        room.does("policy", "purge", "doomed", "--order", str(order), "--grace", "0")
    until(lambda: room.policy("doomed")["state"] == "purged", "the purge to be final", 60)
    certificate = tmp_path / "certificate"
    room.does("policy", "certificate", "doomed", "--out", str(certificate))
    assert certificate.stat().st_size > 100
    for vault in ("root-a", "root-b"):
        room.does("key", "enable", f"{vault}/doomed")
    assert "doomed" in room.closed(cleo)
    room.opens()


def states(room: Mailroom) -> dict[str, str]:
    return {one["name"]: one["state"] for one in room.gateway.json("policy", "list")}
