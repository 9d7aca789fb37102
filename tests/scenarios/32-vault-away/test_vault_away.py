"""The root key is disabled, damaged, gone, and comes back; the gateway stays."""

from __future__ import annotations

import base64
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app import keyring
from gateway.app.database import open_shared
from gateway.keys import domain
from gateway.settings.load import loaded
from gateway.world.clock import SystemClock
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port, until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.stream import Stream, marks


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Iterator[Gateway]:
    made = make_gateway(HOP=hop.port, METRICS=free_port())
    yield made
    made.stop()


def secrets(gateway: Gateway) -> list[bytes]:
    """The octets of all domain keys, as nobody but a test may see them."""
    settings = loaded(gateway.config)
    with closing(open_shared(settings)) as shared:
        keys = domain.load(shared, keyring.vaults(settings))
        return [keys.secret(*place) for place in keys.places()]


def shows(octets: bytes, secret: bytes) -> bool:
    """Whether the secret stands in `octets`, in one of the forms in which a program would print it."""
    forms = (secret, secret.hex().encode(), base64.b64encode(secret), repr(secret)[2:-1].encode())
    return any(form in octets for form in forms)


def mail_from(gateway: Gateway) -> str:
    """What a new client hears at MAIL."""
    with Raw(gateway.port) as client:
        client.hello()
        return client.ask("MAIL FROM:<ida@corp.example>")


def warnings(gateway: Gateway) -> dict[str, str]:
    """What `gateway status` warns of, by code."""
    return {one["code"]: one["text"] for one in gateway.json("status")["warnings"]}


def quiet(hop: Hop) -> int:
    """How many messages have arrived, once no more do."""
    clock, seen = SystemClock(), (0.0, -1)

    def look() -> bool:
        nonlocal seen
        if len(hop.taken) != seen[1]:
            seen = (clock.monotonic(), len(hop.taken))
        return clock.monotonic() - seen[0] > 2.0

    until(look, "nothing more to arrive")
    return seen[1]


def test_a_disabled_key_stops_everything_at_once_and_loses_nothing(gateway: Gateway, hop: Hop) -> None:
    hop.script({"MAIL": ["450 4.7.1 not yet"] * 20})  # These wait in the queue.
    gateway.start()
    processes = gateway.pids()
    with Stream(gateway.port) as stream:
        stream.until_taken(80)
        done = gateway.run("key", "disable", "main/default", "--yes")
        assert done.returncode == 0, done.stderr
        assert mail_from(gateway) == "451 4.3.0 Mail cannot be taken now; please try again later"
        stream.until_refused(30)
        arrived = quiet(hop)
        told = warnings(gateway)
        assert "key 'default' of vault 'main' is disabled" in told["vault_denied"]
        assert "mail is answered 451 and waits" in told["keys_closed"]
        listed = gateway.run("queue", "list")
        assert listed.returncode == 1
        assert "gateway key enable" in listed.stderr
        assert gateway.run("trace", "--since", "1h").returncode == 1
        assert len(hop.taken) == arrived  # Nothing leaves.
        taken = len(stream.taken)
        stream.until_refused(10)
        assert len(stream.taken) == taken  # And nothing is taken.
        assert gateway.run("key", "enable", "main/default").returncode == 0
        stream.until_taken(40)
    assert {said[:9] for said in stream.refused.values()} == {"451 4.3.0"}
    assert stream.lost == []
    gateway.ask("queue.retry", all=True)
    gateway.drained(60)
    assert sorted(marks(hop)) == sorted(stream.taken)
    assert gateway.pids() == processes
    assert not {"vault_denied", "keys_closed"} & warnings(gateway).keys()
    log = gateway.log
    assert (log.count('"keys_closed"'), log.count('"keys_open"')) == (2, 2)  # One line of each worker.
    assert "runner_fault" not in log and "session_fault" not in log and "queue_not_written" not in log
    for secret in secrets(gateway):
        assert not shows(log.encode(), secret)
    assert gateway.stop() == 0


def health(gateway: Gateway) -> int:
    """The status with which a load balancer is answered; 0 where nobody listens yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.values['METRICS']}/health", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except urllib.error.URLError:
        return 0


def test_a_load_balancer_hears_that_no_mail_is_taken_and_that_it_is_again(gateway: Gateway) -> None:
    gateway.start()
    until(lambda: health(gateway) == 200, "the health address to say yes")
    assert gateway.run("key", "disable", "main/default", "--yes").returncode == 0
    until(lambda: health(gateway) == 503, "the health address to say no", 30)
    assert mail_from(gateway).startswith("451")
    assert gateway.run("key", "enable", "main/default").returncode == 0
    until(lambda: health(gateway) == 200, "the health address to say yes", 30)
    assert mail_from(gateway).startswith("250")


def test_a_stop_while_the_keys_are_closed_loses_nothing(gateway: Gateway, hop: Hop) -> None:
    hop.script({"MAIL": "450 4.7.1 not yet"})
    gateway.start()
    with Stream(gateway.port) as stream:
        stream.until_taken(30)
        assert gateway.run("key", "disable", "main/default", "--yes").returncode == 0
        stream.until_refused(5)
    assert gateway.stop() == 0
    refused = gateway.run("serve")
    assert refused.returncode == 1
    assert "key 'default' of vault 'main' is disabled" in refused.stderr
    assert gateway.run("queue", "list").returncode == 1
    assert gateway.run("key", "enable", "main/default").returncode == 0
    hop.healthy()
    gateway.start()
    gateway.ask("queue.retry", all=True)
    until(lambda: set(stream.taken) <= set(marks(hop)), "what waited", 60)
    gateway.drained(60)
    assert sorted(marks(hop)) == sorted(stream.taken)


def test_a_worker_that_dies_meanwhile_is_back_and_waits(gateway: Gateway, hop: Hop) -> None:
    hop.script({"MAIL": "450 4.7.1 not yet"})
    gateway.start()
    with Stream(gateway.port) as stream:
        stream.until_taken(30)
    assert gateway.run("key", "disable", "main/default", "--yes").returncode == 0
    before = gateway.workers()
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    until(lambda: len(now := gateway.workers()) == 2 and not set(now) & set(before), "two new workers")
    until(lambda: mail_from(gateway).startswith("451 4.3.0"), "a worker that answers")
    until(lambda: len(gateway.json("status")["processes"]) == 4, "both workers to be ready")
    assert "keys_closed" in warnings(gateway)
    hop.healthy()
    assert gateway.run("key", "enable", "main/default").returncode == 0
    until(lambda: mail_from(gateway).startswith("250"), "mail to be taken again")
    gateway.ask("queue.retry", all=True)
    gateway.drained(60)
    assert sorted(marks(hop)) == sorted(stream.taken)


def away(gateway: Gateway) -> Path:
    """Move the vault's file away."""
    path = gateway.folder / "vault" / "root-keys"
    return path.rename(path.with_name("elsewhere"))


def test_a_vault_that_is_gone_closes_and_comes_back_without_a_restart(gateway: Gateway) -> None:
    gateway.start()
    assert mail_from(gateway).startswith("250")
    moved = away(gateway)
    gateway.ask("keys")  # Else it is seen within half a minute.
    assert mail_from(gateway).startswith("451 4.3.0")
    assert "root-keys is missing" in warnings(gateway)["vault_denied"]
    moved.rename(moved.with_name("root-keys"))
    until(lambda: mail_from(gateway).startswith("250"), "mail to be taken again", 60)
    moved = away(gateway)
    gateway.stop()
    refused = gateway.run("serve")
    assert refused.returncode == 1
    assert "root-keys" in refused.stderr
    moved.rename(moved.with_name("root-keys"))


def test_a_vault_that_can_t_be_read_is_waited_for_as_the_settings_say(gateway: Gateway) -> None:
    gateway.start()
    gateway.ask("keys")  # From now on, not from the start, they are in use for four seconds.
    moved = away(gateway)
    pipe = moved.with_name("root-keys")
    os.mkfifo(pipe, 0o600)
    gateway.ask("keys")
    assert mail_from(gateway).startswith("250")
    assert "is not a plain file" in warnings(gateway)["vault_away"]
    until(lambda: mail_from(gateway).startswith("451 4.3.0"), "the keys to be dropped", 30)
    assert "keys_closed" in warnings(gateway)
    assert '"keys_unconfirmed"' in gateway.log
    pipe.unlink()
    moved.rename(pipe)
    until(lambda: mail_from(gateway).startswith("250"), "mail to be taken again", 60)
