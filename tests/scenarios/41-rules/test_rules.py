"""Transport rules on a running gateway."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.app.console import ConsoleFault
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Got, Hop
from tests.scenarios.peers.ports import greets, until
from tests.scenarios.peers.swaks import Transcript, swaks

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as hop:
        yield hop


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Iterator[Gateway]:
    gateway = make_gateway(HOP=hop.port)
    shutil.copy(HERE / "rules.yaml", gateway.folder / "rules" / "story.yaml")
    gateway.start()
    yield gateway
    gateway.stop()


def send(gateway: Gateway, subject: str, *more: str) -> Transcript:
    return swaks(gateway.port, "--header", f"Subject: {subject}", "--body", "hello", *more)


def got(hop: Hop, subject: str, recipient: str) -> Got:
    """What the hop took for that recipient under that subject, once it did."""

    def look() -> Got | None:
        return next(
            (one for one in hop.taken if f"Subject: {subject}".encode() in one.octets and recipient in one.recipients),
            None,
        )

    found = until(look, f"{subject} for {recipient}")
    assert found is not None
    return found


def test_a_refusal_is_answered_in_the_session(gateway: Gateway, hop: Hop) -> None:
    done = send(gateway, "the plan")
    assert done.code != 0
    assert done.last.startswith("550 5.7.905 Plans do not leave by mail")
    assert gateway.queue() == []

    def told() -> str:
        return gateway.run("trace", "--from", "ida@corp.example").stdout

    until(lambda: "Refused: the client was told 550 5.7.905 Plans do not leave by mail" in told(), "the trace of it")
    assert "No plans by mail" in told()


def test_one_of_two_recipients_is_refused_and_the_sender_told(gateway: Gateway, hop: Hop) -> None:
    done = send(gateway, "a gift", "--to", "otto@partner.example,olga@partner.example")
    assert done.code == 0
    assert got(hop, "[EXT] a gift", "otto@partner.example").recipients == ("otto@partner.example",)
    report = got(hop, "", "ida@corp.example").octets
    assert b"report-type=delivery-status" in report
    assert b"olga@partner.example" in report and b"5.7.910" in report
    assert not any("olga@partner.example" in one.recipients for one in hop.taken)


def test_a_mark_and_a_disclaimer_for_outside_alone(gateway: Gateway, hop: Hop) -> None:
    send(gateway, "news", "--to", "otto@partner.example,olaf@corp.example", "--h-From", "Ida <ida@corp.example>")
    assert got(hop, "[EXT] news", "otto@partner.example").octets.endswith(b"\r\n\r\nFrom Ida\r\n")
    assert b"From Ida\r\n" not in got(hop, "news", "olaf@corp.example").octets.partition(b"\r\n\r\n")[2]


def test_a_copy_and_a_report_for_the_officer(gateway: Gateway, hop: Hop) -> None:
    done = send(gateway, "watched words")
    copy = got(hop, "[EXT] watched words", "officer@corp.example")
    assert b"officer" not in copy.octets
    report = got(hop, "Incident report: Watched", "officer@corp.example").octets
    assert b"message/rfc822" in report and b"subject_contains_words in subject" in report
    ruled = gateway.story(done.queue_id, "ruled")[0]
    assert [rule["name"] for rule in ruled["rules"]] == ["External", "Watched"]


def test_what_is_held_leaves_when_it_is_released(gateway: Gateway, hop: Hop) -> None:
    done = send(gateway, "strange things")
    rows = gateway.ask("held.list", ids=None)
    assert [(row["rules"], row["severity"]) for row in rows] == [(["Held"], "medium")]
    assert gateway.queue(done.queue_id) == []
    assert not any(b"strange" in one.octets for one in hop.taken)
    # Whoever took it has it in hand for a moment longer than the 250 takes.
    until(lambda: gateway.ask("held.release", ids=[rows[0]["id"]])["changed"], "it to be released")
    assert b"hello" in got(hop, "[EXT] strange things", "otto@partner.example").octets
    until(lambda: gateway.ask("held.list", ids=None) == [], "nothing to be held any more")


def test_tls_that_a_rule_demands_is_waited_for(gateway: Gateway, hop: Hop) -> None:
    done = send(gateway, "sealed road")
    row = gateway.tried(done.queue_id)
    assert row["state"] == "waiting"
    assert row["recipients"][0]["reason"] == "starttls-not-supported"
    assert not any(b"sealed road" in one.octets for one in hop.taken)
    gateway.ask("queue.delete", ids=[done.queue_id])


def test_a_rule_chooses_the_connector(gateway: Gateway, hop: Hop) -> None:
    done = send(gateway, "special")
    assert gateway.story(done.queue_id, "routed")[0]["connector"] == "special"


def test_what_is_deleted_is_taken_and_traced(gateway: Gateway, hop: Hop) -> None:
    done = send(gateway, "spam")
    assert done.code == 0
    ruled = gateway.story(done.queue_id, "ruled")[0]
    assert [one["disposition"] for one in ruled["outcomes"]] == ["delete"]
    assert not any(b"Subject: spam" in one.octets or b"] spam" in one.octets for one in hop.taken)


def test_rule_test_says_the_same(gateway: Gateway, tmp_path: Path) -> None:
    letter = tmp_path / "letter.eml"
    letter.write_bytes(b"From: ida@corp.example\nTo: otto@partner.example\nSubject: watched\n\nhello\n")
    found = gateway.json(
        "rule", "test", str(letter), "--from", "ida@corp.example", "--to", "otto@partner.example", "--internal",
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    (outcome,) = found["outcomes"]
    assert outcome["recipients"] == ["otto@partner.example", "officer@corp.example"]
    assert (outcome["disposition"], outcome["message"]) == ("deliver", "out-1.eml")
    assert b"Subject: [EXT] watched\r\n" in (tmp_path / "out" / "out-1.eml").read_bytes()
    matched = [rule["name"] for rule in found["rules"] if rule["recipients"]["otto@partner.example"]["matched"]]
    assert matched == ["External", "Watched"]


def test_a_reload_takes_new_rules_and_leaves_bad_ones(gateway: Gateway, hop: Hop) -> None:
    rules = gateway.folder / "rules" / "story.yaml"
    good = rules.read_text()
    rules.write_text(good + "- name: Broken\n  then: {reject_mesage: No}\n")
    with pytest.raises(ConsoleFault, match=r"story\.yaml(?s:.*)reject_message"):
        gateway.ask("reload")
    assert send(gateway, "the plan").last.startswith("550 5.7.905")
    killed = set(gateway.workers())
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    until(lambda: killed.isdisjoint(gateway.workers()) and greets(gateway.port), "other workers")
    assert send(gateway, "the plan").last.startswith("550 5.7.905"), "they go by the rules that were judged"
    rules.write_text(good.replace("5.7.905", "5.7.906"))
    gateway.ask("reload")
    assert send(gateway, "the plan").last.startswith("550 5.7.906")
