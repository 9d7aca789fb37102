"""Signed by us, judged by OpenDKIM behind Postfix."""

from __future__ import annotations

import importlib.util
import re
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.authenticate.dkim import sign
from gateway.mail.message import MAX_HEAD, Held, Message
from tests.scenarios.peers.gateway import ROOT, Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.opendkim import OpenDkim
from tests.scenarios.peers.ports import free_port, until
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.swaks import swaks

LETTER = b"From: Ida <ida@corp.example>\r\nTo: %s@partner.example\r\nSubject: %s\r\n\r\nHello\r\n"
# What Postfix or OpenDKIM change or can't take in, so that it says nothing of our signature.
NOT_TAKEN = {
    "mk-stack-overflow.txt.eml",  # A header field of 130 KiB, of which Postfix keeps 100.
}


def with_cr_lf(octets: bytes) -> bytes:
    octets = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


@dataclass
class Road:
    """The gateway, the Postfix behind it, and its judge."""

    gateway: Gateway
    postfix: Postfix
    judge: OpenDkim
    refusing: Hop

    def publish(self) -> None:
        """Let the judge's DNS have the records of all keys that there are."""
        self.judge.start({one["name"]: one["record"] for one in self.gateway.ask("dkim.list")})

    def send(self, octets: bytes, recipient: str, sender: str = "ida@corp.example") -> str:
        """Hand it in as one of our own servers; its queue id."""
        with Raw(self.gateway.port) as client:
            client.reply()
            client.ask("EHLO client.example")
            client.send(f"MAIL FROM:<{sender}> BODY=8BITMIME\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode())
            said = [client.reply() for _ in range(3)]
            assert said[2].startswith("354"), said
            client.send(re.sub(rb"(?m)^\.", b"..", octets))
            answer = client.ask(".")
        assert answer.startswith("250"), answer
        return answer.split()[-1]

    def got(self, recipient: str, seconds: float = 30.0) -> bytes:
        """What lies in the mailbox of that recipient, once something does."""
        mark = re.compile(rb"^X-Original-To: " + re.escape(recipient.encode()) + rb"$", re.MULTILINE)
        return until(
            lambda: next((one for one in self.postfix.messages() if mark.search(one)), b""),
            f"mail for {recipient}\n{self.gateway.log}\n{self.postfix.log}",
            seconds,
        )

    def results(self, recipient: str, seconds: float = 30.0) -> dict[str, str]:
        """What the judge wrote of each signature, by its selector; {"": "none"} where there was none."""
        octets = self.got(recipient, seconds)
        fields = re.findall(rb"^Authentication-Results: judge\.test;((?:[^\n]|\n[ \t])*)", octets, re.MULTILINE)
        return {
            (selector[1] if (selector := re.search(r"header\.s=([\w.-]+)", one)) else ""): result[1]
            for field in fields
            for one in field.decode().split(";")
            if (result := re.search(r"dkim=(\w+)", one))
        }


@pytest.fixture(scope="module")
def road(make_gateway: Callable[..., Gateway], make_postfix: Callable[..., Postfix]) -> Iterator[Road]:
    OpenDkim.check()
    judge = OpenDkim(free_port())
    domains = "partner.example, later.example, corp.example"
    postfix = make_postfix(hostname="judge.test", domains=domains, extra=judge.postfix)
    with Hop({"RCPT": "550 5.1.1 nobody here"}) as refusing:
        gateway = make_gateway(BEHIND=postfix.port, LATER=free_port(), REFUSING=refusing.port)
        done = gateway.run("dkim", "key", "create", "corp.example", "--selector", "s1")
        assert done.returncode == 0, done.stderr
        road = Road(gateway.start(), postfix, judge, refusing)
        try:
            road.publish()
            yield road
        finally:
            judge.stop()


def test_mail_of_our_servers_is_signed_twice_and_both_hold(road: Road) -> None:
    said = swaks(road.gateway.port, "--to", "otto@partner.example")
    assert road.results("otto@partner.example") == {"s1": "pass", "s1-ed25519": "pass"}
    (told,) = road.gateway.story(said.queue_id, "signed")
    assert told["domain"] == "corp.example"
    assert told["signatures"] == [
        {"selector": "s1", "algorithm": "rsa-sha256"},
        {"selector": "s1-ed25519", "algorithm": "ed25519-sha256"},
    ]
    assert "Signed with DKIM for corp.example" in road.gateway.run("trace", said.queue_id).stdout


def test_mail_from_elsewhere_is_not_signed_in_our_name(road: Road) -> None:
    arguments = ("--local-interface", "127.0.0.3", "--to", "forged@corp.example")
    said = swaks(road.gateway.port, *arguments)
    assert said.code == 0, said.text
    assert road.results("forged@corp.example") == {"": "none"}
    assert [one for one in road.gateway.events(said.queue_id) if one["event"] in ("signed", "unsigned")] == []


def test_what_cant_be_signed_goes_on_and_the_trace_says_why(road: Road) -> None:
    id_ = road.send(b"Subject: nobody's\r\n\r\nx\r\n", "nofrom@partner.example")
    assert road.results("nofrom@partner.example") == {"": "none"}
    assert road.gateway.story(id_, "unsigned")[0]["reason"] == sign.NO_FROM


def test_a_notice_of_the_gateway_is_signed(road: Road) -> None:
    road.send(LETTER % (b"x", b"bounces"), "x@refused.example", sender="sender@corp.example")
    assert b"From: Mail gateway <MAILER-DAEMON@gateway.corp.example>" in road.got("sender@corp.example")
    assert road.results("sender@corp.example") == {"s1": "pass", "s1-ed25519": "pass"}


def test_a_large_message_keeps_its_signature_over_a_kill(road: Road) -> None:
    gateway = road.gateway
    octets = LETTER % (b"large", b"large") + b"A  line of a large message. \r\n" * 100_000
    id_ = road.send(octets, "large@later.example")
    row = gateway.tried(id_)
    assert row["size"] > len(octets) + 1200  # Signatures and our Received count.
    gateway.kill()
    gateway.configure(LATER=road.postfix.port)
    gateway.start()
    assert road.results("large@later.example", 60) == {"s1": "pass", "s1-ed25519": "pass"}
    assert road.got("large@later.example").endswith(octets[-3000:].replace(b"\r\n", b"\n"))


def test_every_message_of_the_corpus_that_can_be_signed_passes(road: Road, mime_corpus: list[Path]) -> None:
    sent: dict[str, str] = {}
    known = {one["domain"] for one in road.gateway.ask("dkim.list")}
    messages: list[tuple[str, bytes]] = []
    for file in mime_corpus:
        octets = with_cr_lf(file.read_bytes())
        try:
            domain = sign.read(Message(octets[:MAX_HEAD], Held(octets))).domain
        except sign.Unsignable:
            continue
        # Postfix ends the header section at a line out of a mailbox file, and with it everybody behind it.
        if octets.startswith(b"From ") or file.name in NOT_TAKEN:
            continue
        if domain not in known:
            known.add(domain)
            road.gateway.ask("dkim.create", domain=domain, selector="c1", type="ed25519")
        messages.append((file.name, octets))
    road.publish()
    for place, (name, octets) in enumerate(messages):
        sent[name] = f"m{place}@partner.example"
        road.send(octets, sent[name])
    assert len(sent) >= 160
    road.gateway.drained(90)
    wrong = {name: results for name, to in sent.items() if not _ours_pass(results := road.results(to, 60))}
    assert wrong == {}


def _ours_pass(results: dict[str, str]) -> bool:
    """Foreign signatures in the messages are none of ours."""
    ours = {selector: result for selector, result in results.items() if selector in ("s1", "s1-ed25519", "c1")}
    return bool(ours) and set(ours.values()) == {"pass"}


def test_a_successor_signs_in_every_worker_once_it_is_activated_and_not_before(road: Road) -> None:
    gateway = road.gateway
    assert gateway.run("dkim", "key", "rotate", "corp.example", "--selector", "s2").returncode == 0
    road.publish()
    road.send(LETTER % (b"x", b"before"), "before@partner.example")
    assert set(road.results("before@partner.example")) == {"s1", "s1-ed25519"}
    assert gateway.run("dkim", "key", "rotate", "corp.example", "--activate").returncode == 0
    for place in range(8):  # The kernel spreads connections over the workers.
        road.send(LETTER % (b"x", b"after"), f"after{place}@partner.example")
    for place in range(8):
        assert road.results(f"after{place}@partner.example") == {"s2": "pass", "s2-ed25519": "pass"}


def test_a_disabled_key_holds_nothing_up_and_the_other_still_signs(road: Road) -> None:
    gateway = road.gateway
    done = gateway.run("key", "disable", "main/dkim.corp.example.s2", "--yes")
    assert done.returncode == 0, done.stderr
    id_ = road.send(LETTER % (b"x", b"one"), "one@partner.example")
    assert road.results("one@partner.example") == {"s2-ed25519": "pass"}
    assert gateway.story(id_, "signed")[0]["reason"] == sign.KEY_DENIED
    assert gateway.run("key", "enable", "main/dkim.corp.example.s2").returncode == 0
    road.send(LETTER % (b"x", b"two"), "two@partner.example")
    assert road.results("two@partner.example") == {"s2": "pass", "s2-ed25519": "pass"}


def test_the_demo_is_signed(make_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    gateway = make_gateway(file=None)
    command = tmp_path / "gateway"
    command.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m gateway "$@"\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    hello = _hello()
    assert hello.sign(gateway.config, str(command)) == "corp.example"
    assert hello.sign(gateway.config, str(command)) == "corp.example"  # The second time there is nothing to do.
    assert "Signed for    corp.example" in hello.hello(gateway.config, str(command), "corp.example")
    gateway.start()
    assert swaks(gateway.port).code == 0
    (file,) = gateway.files(1)
    assert file.read_bytes().count(b"DKIM-Signature: v=1;") == 2


def _hello() -> Any:
    spec = importlib.util.spec_from_file_location("hello", ROOT / ".ci/hello.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
