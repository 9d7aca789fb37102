"""The database goes away and comes back; the gateway stays."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.postgres import MISSING, Cluster, programs
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw

SECRET = "a-word-that-nobody-shows"


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """PostgreSQL as in earnest."""
    if programs() is None:
        pytest.skip(MISSING)
    with Cluster(durable=True) as cluster:
        cluster.run(f"CREATE ROLE mail LOGIN PASSWORD '{SECRET}'")
        yield cluster


@pytest.fixture
def gateway(server: Cluster, make_gateway: Callable[..., Gateway], hop: Hop) -> Iterator[Gateway]:
    name = server.new_database().rpartition("/")[2]
    server.run(f"ALTER DATABASE {name} OWNER TO mail")
    made = make_gateway(URL=server.url(name, user="mail", tcp=True), HOP=hop.port)
    (made.folder / "password").write_text(f"{SECRET}\n")
    (made.folder / "password").chmod(0o600)
    yield made
    made.stop()
    assert SECRET not in made.log


def send(gateway: Gateway, mark: str) -> str:
    """Hand in one message; the last reply."""
    with Raw(gateway.port, seconds=40) as client:
        client.hello()
        for line in ("MAIL FROM:<ida@corp.example>", "RCPT TO:<otto@partner.example>", "DATA"):
            said = client.ask(line)
            if said[0] not in "23":
                return said
        client.send(f"Subject: {mark}\r\n\r\nbody\r\n".encode())
        return client.ask(".")


def arrived(hop: Hop) -> list[str]:
    """The subjects of what the next hop took, in their order."""
    return [
        line.removeprefix(b"Subject: ").decode()
        for got in hop.taken
        for line in got.octets.split(b"\r\n")
        if line.startswith(b"Subject: ")
    ]


def warned(gateway: Gateway) -> str:
    """What `gateway status` warns of, as people read it."""
    done = gateway.run("status")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_mail_waits_with_the_client_and_goes_on_without_a_restart(
    gateway: Gateway, server: Cluster, hop: Hop, how: signal.Signals
) -> None:
    gateway.start()
    assert send(gateway, "before").startswith("250")
    until(lambda: arrived(hop) == ["before"], "the first message at the next hop")
    hop.script({"MAIL": "450 4.7.1 not yet"})
    assert send(gateway, "waits").startswith("250")
    gateway.tried(gateway.queue()[0]["id"].partition(".")[0])
    server.halt(how)
    try:
        until(lambda: send(gateway, "refused").startswith("451"), "a passing refusal")
        said = warned(gateway)
        assert "The gateway is running." in said
        assert "storage:" in said
        assert "The queue" not in said  # Nobody knows it now.
        listed = gateway.run("queue", "list")
        assert listed.returncode == 1
        assert 'the database "' in listed.stderr
        assert "the log says what" not in listed.stderr
        assert SECRET not in said + listed.stderr
        for _ in range(20):
            assert send(gateway, "refused").startswith("451 4.3.0")
    finally:
        server.resume()
    hop.script({"MAIL": "250 2.1.0 sender ok"})
    until(lambda: send(gateway, "after").startswith("250"), "mail to be taken again", 60)
    until(lambda: {"waits", "after"} <= set(arrived(hop)), "both at the next hop", 60)
    assert sorted(arrived(hop)) == ["after", "before", "waits"]
    # One worker may rest between two tries at the database while the other has the mail already, and answers for both.
    until(lambda: "storage:" not in warned(gateway), "every worker to know the queue again", 60)
    gateway.drained()
    assert len(gateway.workers()) == 2
    assert gateway.log.count("worker_started") == 2
    log = gateway.log
    assert "session_fault" not in log
    loud = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    for one in {line["connection"] for line in loud if line["event"] == "database_away"}:
        told = [line["event"] for line in loud if line.get("connection") == one and line["event"] != "database_lost"]
        assert told == ["database_away", "database_back"]
    assert len([line for line in loud if line["level"] == "error"]) < 20


def test_what_got_its_250_outlives_gateway_and_database(gateway: Gateway, server: Cluster, hop: Hop) -> None:
    hop.script({"MAIL": "450 4.7.1 not yet"})
    gateway.start()
    marks = [f"m{number}" for number in range(20)]
    assert [send(gateway, mark)[:3] for mark in marks] == ["250"] * len(marks)
    server.halt(signal.SIGQUIT)
    gateway.kill()
    refused = gateway.run("serve")
    assert refused.returncode == 1
    assert "can't be reached" in refused.stderr
    assert "does the server run" in refused.stderr
    server.resume()
    rows = gateway.run("queue", "list")  # Nothing serves: the command reads the database itself.
    assert rows.returncode == 0, rows.stderr
    assert rows.stdout.count("partner.example") >= 20
    hop.script({"MAIL": "250 2.1.0 sender ok"})
    gateway.start()
    # The killed node's leases are taken over once it has been silent for long enough.
    until(lambda: set(marks) <= set(arrived(hop)), "all at the next hop", 90)
    assert sorted(arrived(hop)) == sorted(marks)
