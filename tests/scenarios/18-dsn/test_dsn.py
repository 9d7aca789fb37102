"""Notices of all kinds, between real servers."""

from __future__ import annotations

import email
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from typing import Any

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import EXTENSIONS, Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.raw import Raw

MESSAGE = b"From: ida@corp.example\nTo: somebody\nSubject: Offer %s\nMessage-ID: <%s@corp.example>\n\nSecret words\n"


@dataclass
class Report:
    """One notice: its text, the fields about the message, those of the first recipient, and what it returns."""

    text: str
    about: Message
    one: Message
    original: str
    head: Message


@dataclass
class Road:
    """Everybody on the way."""

    before: Postfix
    gateway: Gateway
    scripted: Hop
    old: Hop

    def send(self, envid: str, recipient: str, notify: str, *more: str) -> None:
        """As a user of the Postfix before would."""
        octets = MESSAGE.replace(b"%s", envid.encode())
        self.before.submit("-f", "ida@corp.example", "-N", notify, "-V", envid, *more, recipient, octets=octets)

    def reports(self, envid: str) -> list[Report]:
        """The notices about that message in the sender's mailbox."""
        return [one for one in map(_read, self.before.messages()) if one.about["Original-Envelope-Id"] == envid]

    def report(self, envid: str, count: int = 1) -> Report:
        """The last of the notices about that message, once there are so many."""
        until(lambda: len(self.reports(envid)) >= count, f"{count} notices about {envid}\n{self.gateway.log}", 40)
        reports = sorted(self.reports(envid), key=lambda report: report.one["Action"] == "failed")
        assert len(reports) == count
        return reports[-1]


def _read(octets: bytes) -> Report:
    parsed = email.message_from_bytes(octets)
    nothing = Message()
    if parsed.get_content_type() != "multipart/report":
        return Report("", nothing, nothing, "", parsed)
    parts: Any = parsed.get_payload()
    text, status, original = parts
    about, one = status.get_payload()[:2]
    return Report(" ".join(text.get_payload(decode=True).decode().split()), about, one, original.as_string(), parsed)


@pytest.fixture(scope="module")
def road(make_gateway: Callable[..., Gateway], make_postfix: Callable[..., Postfix]) -> Iterator[Road]:
    with Hop(extensions=[*EXTENSIONS, "DSN"]) as scripted, Hop() as old:
        gateway = make_gateway(BEFORE=1, BEHIND=1, SCRIPTED=scripted.port, OLD=old.port)
        before = make_postfix(hostname="before.corp.example", domains="corp.example", relay_to=gateway.port)
        behind = make_postfix(hostname="behind.partner.example", domains="partner.example", relay_to=gateway.port)
        gateway.configure(BEFORE=before.port, BEHIND=behind.port)
        gateway.start()
        yield Road(before, gateway, scripted, old)
        assert scripted.faults == old.faults == []


def test_what_was_asked_reaches_a_next_hop_that_knows_dsn(road: Road) -> None:
    road.send("asked+all", "otto+tag@scripted.example", "success,failure,delay", "-R", "hdrs")
    got = next(one for one in road.scripted.wait(1) if "otto+tag@scripted.example" in one.recipients)
    assert "RET=HDRS" in got.mail.split()
    assert "ENVID=asked+2Ball" in got.mail.split()
    (rcpt,) = got.rcpt
    assert set(rcpt.split("NOTIFY=")[1].split()[0].split(",")) == {"SUCCESS", "FAILURE", "DELAY"}
    assert rcpt.endswith("ORCPT=rfc822;otto+2Btag@scripted.example")
    road.gateway.drained()
    assert road.reports("asked+all") == []


def test_the_next_hops_own_notice_comes_back_through_the_gateway(road: Road) -> None:
    road.send("delivered-behind", "otto@partner.example", "success")
    report = road.report("delivered-behind")
    assert report.about["Reporting-MTA"] == "dns; behind.partner.example"
    assert report.one["Action"] == "delivered"
    assert report.one["Original-Recipient"].replace(" ", "") == "rfc822;otto@partner.example"
    assert report.head["Return-Path"] == "<>"
    assert "gateway.corp.example" in str(report.head.get_all("Received"))


def test_queue_20_a_next_hop_without_dsn_makes_a_relayed_of_the_gateways(road: Road) -> None:
    road.send("relayed", "otto@old.example", "success")
    report = road.report("relayed")
    got = next(one for one in road.old.taken if "otto@old.example" in one.recipients)
    assert "NOTIFY" not in got.rcpt[0] and "ENVID" not in got.mail
    assert report.about["Reporting-MTA"] == "dns; gateway.corp.example"
    assert (report.one["Action"], report.one["Status"]) == ("relayed", "2.0.0")
    assert report.one["Original-Recipient"] == "rfc822; otto@old.example"
    assert report.head["Auto-Submitted"] == "auto-replied"
    assert report.head["Return-Path"] == "<>"
    assert "handed on to" in report.text and '"Offer relayed"' in report.text
    assert "Secret words" not in report.original


def test_what_ends_in_a_folder_is_delivered(road: Road) -> None:
    road.send("in-the-folder", "otto@folder.example", "success")
    report = road.report("in-the-folder")
    assert report.one["Action"] == "delivered"
    assert report.about["Reporting-MTA"] == "dns; gateway.corp.example"
    assert len(road.gateway.files(1)) == 1


def test_what_is_refused_comes_back_with_the_hosts_words_and_in_full_where_asked(road: Road) -> None:
    road.old.script({"RCPT": "550 5.1.1 Никого \x1b[2J " + "x" * 2000})
    try:
        road.send("refused", "nobody@old.example", "failure", "-R", "full")
        report = road.report("refused")
    finally:
        road.old.healthy()
    assert (report.one["Action"], report.one["Status"]) == ("failed", "5.1.1")
    assert report.one["Diagnostic-Code"].startswith("smtp; 550 5.1.1 ??????")
    assert "there is no such mailbox" in report.text
    assert "Secret words" in report.original


def test_what_waits_is_told_once_and_then_its_end(road: Road) -> None:
    road.old.script({"RCPT": "451 4.2.1 mailbox busy"})
    try:
        road.send("expires", "slow@old.example", "failure,delay")
        late = road.report("expires")
        assert (late.one["Action"], late.one["Status"]) == ("delayed", "4.2.1")
        assert late.one["Will-Retry-Until"]
        assert "goes on trying" in late.text
        end = road.report("expires", 2)
    finally:
        road.old.healthy()
    assert (end.one["Action"], end.one["Status"]) == ("failed", "5.4.7")
    assert "451 4.2.1 mailbox busy" in end.text
    road.gateway.drained()
    assert len(road.reports("expires")) == 2


def test_t17_forced_tls_that_is_never_had_ends_with_its_reason_and_never_in_clear(road: Road) -> None:
    road.send("no-tls", "otto@secured.example", "failure,delay")
    late = road.report("no-tls")
    assert (late.one["Action"], late.one["Status"]) == ("delayed", "4.4.317")
    end = road.report("no-tls", 2)
    assert (end.one["Action"], end.one["Status"]) == ("failed", "5.4.7")
    for report in (late, end):
        assert "starttls-not-supported" in report.one["Diagnostic-Code"]
        assert "offers no encrypted connection (starttls-not-supported)" in report.text
    assert not [one for one in road.old.taken if "otto@secured.example" in one.recipients]


@pytest.mark.parametrize("notify", ["never", "success", "delay"])
def test_no_failure_is_told_to_whom_did_not_ask_for_it(road: Road, notify: str) -> None:
    road.old.script({"RCPT": "550 5.1.1 No such user"})
    try:
        road.send(f"quiet-{notify}", "nobody@old.example", notify)
        until(lambda: "failed" in _statuses(road, notify), "the failure in the trace")
        road.gateway.drained()
    finally:
        road.old.healthy()
    assert road.reports(f"quiet-{notify}") == []


def _statuses(road: Road, notify: str) -> list[str]:
    """What the trace says of the recipient of that message."""
    stories = road.gateway.ask("trace", message_id=f"<quiet-{notify}@corp.example>")
    return [str(event.get("status")) for story in stories for event in story["events"] if event["event"] == "recipient"]


def test_a_message_without_a_sender_makes_no_notice(road: Road) -> None:
    """Whatever NOTIFY asks: there is nobody to tell."""
    count = len(road.before.messages())
    with Raw(road.gateway.port) as client:
        client.reply()
        client.ask("EHLO client.example")
        assert client.ask("MAIL FROM:<>").startswith("250")
        assert client.ask("RCPT TO:<otto@folder.example> NOTIFY=SUCCESS,FAILURE").startswith("250")
        assert client.ask("DATA").startswith("354")
        assert client.ask(b"Subject: x\r\n\r\ny\r\n.").startswith("250")
    road.gateway.drained()
    assert len(road.before.messages()) == count


def test_several_recipients_of_one_delivery_are_told_in_one_notice(road: Road) -> None:
    with Raw(road.gateway.port) as client:
        client.reply()
        client.ask("EHLO client.example")
        assert client.ask("MAIL FROM:<ida@corp.example> ENVID=three-of-them").startswith("250")
        for name in ("a", "b", "c"):
            assert client.ask(f"RCPT TO:<{name}@old.example> NOTIFY=SUCCESS").startswith("250")
        assert client.ask("DATA").startswith("354")
        assert client.ask(b"Subject: x\r\n\r\ny\r\n.").startswith("250")
    road.report("three-of-them")
    (octets,) = [one for one in road.before.messages() if b"three-of-them" in one]
    assert octets.count(b"Action: relayed") == 3
