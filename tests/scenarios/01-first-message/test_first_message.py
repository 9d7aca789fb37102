"""From nothing to a message in the outbox, with two commands."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.swaks import swaks


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    return make_gateway(file=None).start()


def test_a_message_from_swaks_lies_in_the_outbox(gateway: Gateway) -> None:
    said = swaks(gateway.port, "--data", "Subject: first\n\nhello\n")
    assert said.code == 0, said.text
    file = gateway.outbox / f"{said.queue_id}.1.eml"
    gateway.drained()
    octets = file.read_bytes()
    head, _, body = octets.partition(b"Subject: first\r\n")
    assert body.strip() == b"hello"
    assert head.startswith(b"Received: from client.example ") and b"127.0.0.1" in head
    assert said.queue_id.encode() in head and head.count(b"\r\nReceived:") == 0


def test_gateway_send_names_the_file(gateway: Gateway) -> None:
    done = gateway.run("send", "--subject", "from the command line")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    named = next(line for line in done.stdout.splitlines() if line.startswith("Delivered to "))
    file = gateway.folder / named.removeprefix("Delivered to ")
    assert b"Subject: from the command line\r\n" in file.read_bytes()


def test_gateway_send_json_is_one_value(gateway: Gateway) -> None:
    answer = gateway.json("send", "--tls", "none")
    assert answer["state"] == "delivered" and answer["reply"].startswith("250 ") and answer["id"] in answer["reply"]


def test_the_trace_tells_the_story_with_tls(gateway: Gateway) -> None:
    said = swaks(gateway.port, "-tls")
    assert said.secured
    gateway.story(said.queue_id, "done")
    events = gateway.events(said.queue_id)
    assert [one["event"] for one in events] == ["received", "routed", "attempt", "recipient", "done"]
    assert events[0]["tls"]["version"].startswith("TLSv1.") and events[0]["tls"]["cipher"].startswith("TLS_")
    told = gateway.run("trace", said.queue_id)
    assert events[0]["tls"]["cipher"] in told.stdout and f"{said.queue_id}.1.eml" in told.stdout


def test_the_command_line_says_what_runs(gateway: Gateway) -> None:
    status = gateway.json("status")
    assert [one["listen"] for one in status["listeners"]] == [f"127.0.0.1:{gateway.port}"]
    assert {one["pid"] for one in status["processes"]} == set(gateway.pids())
    assert set(status["queue"]) == {"ready", "sending", "waiting", "held"}


def test_init_does_not_overwrite(gateway: Gateway) -> None:
    before = gateway.config.read_bytes()
    done = gateway.run("init", str(gateway.folder), config=False)
    assert done.returncode == 1 and str(gateway.folder) in done.stderr and gateway.config.read_bytes() == before


def test_a_second_serve_with_the_same_settings_says_no(gateway: Gateway) -> None:
    done = gateway.run("serve")
    assert done.returncode == 1 and "already" in done.stderr


def test_a_stop_ends_every_process_with_status_0(make_gateway: Callable[..., Gateway]) -> None:
    one = make_gateway(file=None).start()
    assert one.stop() == 0 and one.pids() == []
    refused = one.run("send")
    assert refused.returncode == 1 and "gateway serve --config" in refused.stderr
