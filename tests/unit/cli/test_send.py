"""`gateway send`: the message it makes, how it tells what became of it, and what it says when nobody answers."""

from __future__ import annotations

import email
import socket
from collections.abc import Iterator
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from gateway.cli import send
from gateway.cli.fate import judge
from tests.fakes.clock import FakeClock
from tests.fakes.console import FakeConsole, Several
from tests.unit.cli.conftest import SETTINGS, CommandLine


class Hasty(FakeClock):
    """Whoever sleeps is woken at once, and the time has passed."""

    async def sleep(self, seconds: float) -> None:
        self._move(self._monotonic + seconds)


class Gateway:
    """What a listener needs to be for `send`: takes mail with a queue id, or says what the test set."""

    def __init__(self) -> None:
        self.answer = "250 2.0.0 OK queued as Q0123"
        self.recipient = "250 2.1.5 OK"
        self.taken: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return self.answer


@pytest.fixture
def listener(command_line: CommandLine) -> Iterator[Gateway]:
    """A listener at the address that the settings name."""
    gateway = Gateway()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(gateway, hostname="127.0.0.1", port=port, server_hostname="gateway.test")
    controller.start()
    try:
        assert command_line.settings is not None
        command_line.settings.write_text(SETTINGS.replace("127.0.0.1:2525", f"127.0.0.1:{port}"))
        command_line.clock = Hasty(1_793_700_000.0)
        yield gateway
    finally:
        controller.stop()


def story(*parts: dict[str, Any], connector: str = "outbox") -> list[dict[str, Any]]:
    routed = {"event": "routed", "delivery": "Q0123.1", "connector": connector}
    return [{"id": "Q0123", "events": [routed, *({"delivery": "Q0123.1"} | part for part in parts)]}]


SENT = (
    {"event": "recipient", "address": "otto@partner.example", "status": "sent", "reply": "250 ok"},
    {"event": "done"},
)
LATER = (
    {
        "event": "recipient",
        "address": "otto@partner.example",
        "status": "waiting",
        "enhanced": "4.4.1",
        "reply": "no connection",
    },
    {"event": "deferred", "next_attempt": "2026-11-03T08:14:00.000Z"},
)
NEVER = (
    {"event": "recipient", "address": "otto@partner.example", "status": "failed", "reply": "550 5.1.1 unknown"},
    {"event": "done"},
)


def test_send_tells_id_and_file(command_line: CommandLine, listener: Gateway) -> None:
    said = command_line.run(FakeConsole(trace=Several([], story(), story(*SENT))), "send")
    assert said.code == 0 and said.err == ""
    assert "Q0123" in said.out and "Delivered to outbox/Q0123.1.eml" in said.out
    envelope = listener.taken[0]
    assert envelope.mail_from == "ida@corp.example" and envelope.rcpt_tos == ["otto@partner.example"]
    assert isinstance(envelope.original_content, bytes)
    message = email.message_from_bytes(envelope.original_content, policy=default)
    assert message["Subject"] == "A test message" and message["From"] == "ida@corp.example"
    assert message["Date"] == "Tue, 03 Nov 2026 10:00:00 +0000" and message["Message-ID"].endswith("@corp.example>")
    assert send.TEXT in message.get_content()


def test_json_is_one_value(command_line: CommandLine, listener: Gateway) -> None:
    said = command_line.run(FakeConsole(trace=story(*SENT)), "send", "--json")
    assert said.json == {"id": "Q0123", "reply": "250 2.0.0 OK queued as Q0123", "state": "delivered"}
    assert said.code == 0 and said.err == ""


def test_a_waiting_message_is_told_with_its_reason(command_line: CommandLine, listener: Gateway) -> None:
    said = command_line.run(FakeConsole(trace=story(*LATER, connector="out")), "send")
    assert said.code == 0
    assert "Waiting for otto@partner.example: 4.4.1; no connection; next attempt at 2026-11-03 08:14:00Z" in said.out


def test_a_failed_message_is_a_no(command_line: CommandLine, listener: Gateway) -> None:
    said = command_line.run(FakeConsole(trace=story(*NEVER, connector="out")), "send", "--json")
    assert said.code == 1 and said.json["state"] == "failed"


def test_patience_ends(command_line: CommandLine, listener: Gateway) -> None:
    console = FakeConsole(trace=story())
    said = command_line.run(console, "send")
    assert said.code == 0 and "gateway trace Q0123" in said.out
    assert 40 <= len(console.asked) <= 60  # PATIENCE / PAUSE


def test_a_refusal_is_a_no_with_the_gateway_s_words(command_line: CommandLine, listener: Gateway) -> None:
    listener.recipient = "550 5.7.64 Relaying is not allowed"
    said = command_line.run(FakeConsole(), "send", "--to", "a@far.example")
    assert said.code == 1 and said.out == "" and "550 5.7.64 Relaying is not allowed" in said.err
    json = command_line.run(FakeConsole(), "send", "--json")
    assert json.json == {"id": None, "reply": "550 5.7.64 Relaying is not allowed", "state": "refused"}


def test_a_message_that_is_refused_after_data_is_a_no(command_line: CommandLine, listener: Gateway) -> None:
    listener.answer = "554 5.4.6 Mail loop"
    said = command_line.run(FakeConsole(), "send")
    assert said.code == 1 and "554 5.4.6 Mail loop" in said.err


def test_a_file_travels_as_it_is_with_cr_lf(command_line: CommandLine, listener: Gateway, tmp_path: Path) -> None:
    file = tmp_path / "a.eml"
    file.write_bytes(b"Subject: x\n\n.dot\r\nlast\n")
    said = command_line.run(FakeConsole(trace=story(*SENT)), "send", "--file", str(file), "--from", "eva@corp.example")
    assert said.code == 0
    assert listener.taken[0].original_content == b"Subject: x\r\n\r\n.dot\r\nlast\r\n"
    assert listener.taken[0].mail_from == "eva@corp.example"


def test_subject_and_body_are_taken(command_line: CommandLine, listener: Gateway) -> None:
    command_line.run(FakeConsole(trace=story(*SENT)), "send", "--subject", "Grüße\r\nBcc: x", "--body", "Hallo Wörld")
    octets = listener.taken[0].original_content
    assert isinstance(octets, bytes)
    message = email.message_from_bytes(octets, policy=default)
    assert message["Subject"] == "Grüße Bcc: x" and message["Bcc"] is None
    assert message.get_content().strip() == "Hallo Wörld"


def test_nobody_listening_says_how_to_start_it(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(), "send", "--listen", "127.0.0.1:1")
    assert said.code == 1 and said.out == ""
    assert "nothing listens at 127.0.0.1:1" in said.err and "gateway serve --config" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--body", "x", "--file", "y"],
        ["--file", "/nowhere/a.eml"],
        ["--listen", "nonsense"],
        ["--tls", "implicit"],
    ],
)
def test_wrong_use(command_line: CommandLine, arguments: list[str]) -> None:
    said = command_line.run(FakeConsole(), "send", *arguments)
    assert said.code == 2 and said.out == ""


def spoil(command_line: CommandLine, old: str, new: str) -> None:
    assert command_line.settings is not None
    text = command_line.settings.read_text()
    assert old in text
    command_line.settings.write_text(text.replace(old, new, 1))


def test_send_works_while_the_settings_have_a_fault_elsewhere(command_line: CommandLine, listener: Gateway) -> None:
    spoil(command_line, 'deliver = "folder"', 'deliver = "foldr"')
    spoil(command_line, '["corp.example"]', '[5, "corp.example"]')
    said = command_line.run(FakeConsole(trace=story(*SENT, connector="out")), "send")
    assert said.code == 0 and listener.taken[0].mail_from == "ida@corp.example"
    assert said.err == (
        f"gateway: 2 faults in {command_line.settings}, which gateway check names; sending nevertheless\n"
    )


def test_send_names_the_faults_of_a_listener_that_it_can_t_understand(
    command_line: CommandLine, listener: Gateway
) -> None:
    spoil(command_line, 'tls = "none"', 'tls = "sometimes"')
    said = command_line.run(FakeConsole(trace=story(*SENT)), "send")
    assert said.code == 1 and "listeners[0].tls" in said.err and not listener.taken
    assert command_line.run(FakeConsole(trace=story(*SENT)), "send", "--tls", "none").code == 0


def test_send_names_the_fault_of_a_file_that_is_no_toml(command_line: CommandLine) -> None:
    assert command_line.settings is not None
    command_line.settings.write_text("[[")
    said = command_line.run(FakeConsole(), "send")
    assert said.code == 1 and "TOML that can't be read" in said.err


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_a_bad_address_is_told_with_its_option(command_line: CommandLine, option: str) -> None:
    said = command_line.run(FakeConsole(), "send", option, "a b@c")
    assert said.code == 2 and said.out == ""
    assert f"{option} 'a b@c' is no address" in " ".join(said.err.replace("│", " ").split())


def test_the_worst_delivery_gives_the_state() -> None:
    events = [
        {"event": "routed", "delivery": "Q.1", "connector": "a"},
        {"event": "routed", "delivery": "Q.2", "connector": "b"},
        {"event": "recipient", "delivery": "Q.1", "address": "a@b.example", "status": "sent"},
        {"event": "done", "delivery": "Q.1"},
    ]
    assert judge(events).state == "accepted"
    events.append({"event": "deferred", "delivery": "Q.2", "next_attempt": "2026-11-03T08:14:00Z"})
    assert judge(events).state == "waiting"
    events.append({"event": "deleted", "delivery": "Q.2"})
    assert judge(events).state == "deleted"
