"""`gateway key` with real processes: what it says, and what clients hear of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.swaks import swaks


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    """Of the whole story, which goes from one test to the next; the first starts it."""
    return make_gateway(HOP=hop.port)


def key(gateway: Gateway, name: str) -> dict[str, Any]:
    """The row of one key."""
    return next(one for one in gateway.ask("key.list")["keys"] if one["key"] == name)


def codes(gateway: Gateway) -> dict[str, str]:
    return {one["code"]: one["text"] for one in gateway.ask("status")["warnings"]}


def said_at_mail(gateway: Gateway) -> str:
    with Raw(gateway.port) as client:
        client.hello()
        return client.ask("MAIL FROM:<ida@corp.example>")


def test_everything_works_while_nothing_serves(gateway: Gateway) -> None:
    assert key(gateway, "main/default")["holds"] == []  # Before the first start.
    gateway.start()
    gateway.stop()
    assert key(gateway, "main/default")["holds"]
    gateway.ask("key.create", key="main/second", type="aes-256")
    assert gateway.json("key", "disable", "main/default", "--yes")["state"] == "disabled"
    assert gateway.run("queue", "list").returncode == 1  # It says why, and what to do.
    assert gateway.json("key", "enable", "main/default")["state"] == "enabled"
    gone = gateway.json("key", "delete", "main/second", "--after", "0", "--force", "--yes")
    assert gone["state"] == "deleted"
    assert key(gateway, "main/second")["state"] == "deleted"  # Listing destroys nothing.
    gateway.start()
    until(lambda: '"key_destroyed"' in gateway.log, "the deleted key to end")
    assert "main/second" not in {one["key"] for one in gateway.ask("key.list")["keys"]}


def test_a_deletion_waits_warns_and_is_taken_back(gateway: Gateway) -> None:
    assert gateway.run("key", "delete", "main/default", "--after", "1", "--yes").returncode == 1  # Too soon.
    deleted = gateway.json("key", "delete", "main/default", "--after", "8", "--yes")
    assert deleted["state"] == "deleted" and deleted["ends"]
    assert said_at_mail(gateway).startswith("451 4.3.0")
    assert deleted["ends"] in codes(gateway)["key_deleted"]
    assert gateway.run("key", "enable", "main/default").returncode == 1
    recovered = gateway.run("key", "recover", "main/default")
    assert recovered.returncode == 0 and "gateway key enable main/default" in recovered.stdout
    assert said_at_mail(gateway).startswith("451 4.3.0")
    assert gateway.run("key", "enable", "main/default").returncode == 0
    assert said_at_mail(gateway).startswith("250")
    assert "key_deleted" not in codes(gateway)


def test_the_auditor_gets_an_inventory(gateway: Gateway) -> None:
    rows = {one["technology"]: one for one in gateway.json("inventory")}
    assert rows["Queue (SQLite, journal, files)"]["algorithm"] == "AES-256-GCM"
    assert "main/default" in rows["Queue (SQLite, journal, files)"]["key_management"]
    assert rows["Log"]["encrypted"] is False
    assert "not encrypted" in gateway.run("inventory").stdout


def test_a_key_lives_while_the_gateway_serves(gateway: Gateway, hop: Hop) -> None:
    hop.script({"MAIL": "451 4.7.1 later"})
    waiting = swaks(gateway.port, "--to", "otto@partner.example").queue_id
    gateway.tried(waiting)

    listed = gateway.json("key", "list")
    assert [(one["name"], one["provider"], one["health"]) for one in listed["vaults"]] == [("main", "file", "answers")]
    root = key(gateway, "main/default")
    assert (root["type"], root["state"], len(root["versions"])) == ("aes-256", "enabled", 1)
    assert {"domain/spool", "domain/trace", "domain/accounts"} <= {one["key"] for one in root["holds"]}
    assert "main/default" in gateway.run("key", "list").stdout

    made = gateway.run("key", "create", "main/second", "--type", "rsa-2048")
    assert (made.returncode, made.stdout) == (0, "Made main/second, of type rsa-2048.\n")
    assert gateway.run("key", "create", "main/third", "--type", "rot13").returncode == 2

    rotated = gateway.json("key", "rotate", "main/default")
    assert rotated["rewrapped"] == len(listed["domain_keys"])
    assert [one["version"] for one in key(gateway, "main/default")["versions"]] == [1, 2]
    assert gateway.json("key", "rotate", "domain/spool")["version"] == 2
    assert said_at_mail(gateway).startswith("250")

    # Disabled: named first, never unasked, and heard by clients at once.
    unasked = gateway.run("key", "disable", "main/default")
    assert unasked.returncode == 2 and "--yes" in unasked.stderr
    assert said_at_mail(gateway).startswith("250")
    disabled = gateway.run("key", "disable", "main/default", "--yes", "--json")
    assert disabled.returncode == 0, disabled.stderr
    assert json.loads(disabled.stdout)["state"] == "disabled"
    assert "1 message (" in disabled.stderr and "in the queue can't be read" in disabled.stderr
    assert said_at_mail(gateway).startswith("451 4.3.0")
    assert key(gateway, "main/default")["state"] == "disabled"
    assert gateway.run("key", "enable", "main/default").stdout == "main/default is enabled.\n"
    assert said_at_mail(gateway).startswith("250")

    # Domain keys move to the other root; what waits still leaves.
    moved = gateway.json("key", "rehome", "--from", "main/default", "--to", "main/second")
    assert moved["rewrapped"] == len(listed["domain_keys"]) + 1
    assert key(gateway, "main/default")["holds"] == []
    hop.healthy()
    gateway.ask("queue.retry", all=True)
    gateway.drained()
    assert len(hop.taken) == 1
    assert '"key_changed"' in gateway.log


def test_under_fips_the_gateway_starts_with_what_is_approved(make_gateway: Callable[..., Gateway], hop: Hop) -> None:
    hop.taken.clear()
    made = make_gateway(HOP=hop.port)
    made.config.write_text(made.config.read_text() + "\n[security]\nfips = true\n")
    checked = made.run("check")
    assert checked.returncode == 0, checked.stderr
    assert "security.fips" in checked.stdout + checked.stderr
    made.start()
    try:
        assert '"cryptographic_module"' in made.log
        assert swaks(made.port, "--to", "otto@partner.example").queue_id
        made.drained()
        assert len(hop.taken) == 1
        assert made.ask("status")["cryptography"]["fips"] is True
        assert "Only what FIPS 140 approves is used" in made.run("status").stdout
    finally:
        made.stop()
