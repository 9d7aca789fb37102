"""`gateway held`: what it shows, what it asks the console, how it writes a message down, and how it says no."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.console import FakeConsole, Several
from tests.unit.cli.conftest import CommandLine

ROW: dict[str, Any] = {
    "id": "Q1.1",
    "from": "ida@corp.example",
    "recipients": ["otto@partner.example"],
    "subject": "Café \x1b[31m",
    "rules": ["Cards"],
    "severity": "high",
    "protection": "encrypt",
    "size": 4200,
    "since": "2026-11-03T08:12:00.000Z",
}
SHOWN = ROW | {
    "header": "From: ida@corp.example\r\nSubject: x\r\n",
    "texts": [{"where": "body", "text": "Hello\nOtto", "cut": True}],
    "attachments": [{"name": None, "type": "application/pdf", "size": 3, "inline": False}],
    "cut": True,
}
DONE = {"changed": ["Q1.1"], "missing": [], "sending": []}


def test_list_shows_who_what_and_which_rules_without_control_characters(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(held__list=[ROW]), "held", "list")
    row = next(line for line in said.out.splitlines() if "Q1.1" in line)
    assert all(text in row for text in ("ida@corp.example", "otto@partner.example", "Café", "Cards", "high"))
    assert "\x1b" not in said.out
    assert "2026-11-03 08:12:00Z" in row


def test_list_json_is_the_answer_as_it_came(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(held__list=[ROW]), "held", "list", "--json")
    assert said.json == [ROW] and said.err == ""


def test_an_empty_quarantine_is_said(command_line: CommandLine) -> None:
    assert "Nothing lies in quarantine" in command_line.run(FakeConsole(held__list=[]), "held", "list").out
    assert "gateway trace" in command_line.run(FakeConsole(held__list=[]), "held", "list", "Q1").out


def test_show_tells_header_texts_and_attachments(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(held__show=[SHOWN]), "held", "show", "Q1")
    assert said.code == 0
    for text in ("Q1.1", "Subject: x", "Hello", "Otto", "there is more", "application/pdf", "--out FILE", "encrypt"):
        assert text in said.out


def test_show_of_what_is_not_there_says_where_it_may_be(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(held__show=[], queue__list=[]), "held", "show", "Q1")
    assert said.code == 1 and "gateway trace" in said.err
    said = command_line.run(FakeConsole(held__show=[], queue__list=[{"id": "Q1.1"}]), "held", "show", "Q1")
    assert said.code == 1 and "gateway queue show" in said.err


def piece(octets: bytes, size: int) -> dict[str, Any]:
    return {"id": "Q1.1", "size": size, "octets": b64encode(octets).decode()}


def test_out_writes_the_whole_message_for_its_owner_alone(command_line: CommandLine, tmp_path: Path) -> None:
    console = FakeConsole(held__read=Several(piece(b"Subject", 10), piece(b": x", 10)))
    said = command_line.run(console, "held", "show", "Q1", "--out", str(tmp_path / "held.eml"))
    assert said.code == 0
    assert (tmp_path / "held.eml").read_bytes() == b"Subject: x"
    assert (tmp_path / "held.eml").stat().st_mode & 0o777 == 0o600
    assert [arguments["start"] for _, arguments in console.asked] == [0, 7]
    assert "in clear" in said.err


def test_out_overwrites_nothing(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "held.eml").write_text("mine")
    console = FakeConsole(held__read=piece(b"x", 1))
    said = command_line.run(console, "held", "show", "Q1", "--out", str(tmp_path / "held.eml"))
    assert said.code == 1 and "not there yet" in said.err
    assert (tmp_path / "held.eml").read_text() == "mine"


@pytest.mark.parametrize("parts", [[None], [piece(b"Sub", 10), None], [piece(b"Sub", 10), piece(b"", 10)]])
def test_out_leaves_no_half_of_a_message(command_line: CommandLine, tmp_path: Path, parts: list[Any]) -> None:
    console = FakeConsole(held__read=Several(*parts), queue__list=[])
    said = command_line.run(console, "held", "show", "Q1", "--out", str(tmp_path / "held.eml"))
    assert said.code == 1 and "not in quarantine" in said.err
    assert not (tmp_path / "held.eml").exists()


def test_release_and_delete_ask_for_what_was_named(command_line: CommandLine) -> None:
    console = FakeConsole(held__release=DONE, held__delete=DONE)
    said = command_line.run(console, "held", "release", "Q1", "Q2.1")
    assert (said.code, "Released: 1 delivery (Q1.1)" in said.out) == (0, True)
    said = command_line.run(console, "held", "delete", "--all", "--yes", "--json")
    assert said.json == DONE
    assert console.asked == [
        ("held.release", {"ids": ["Q1", "Q2.1"], "all": False}),
        ("held.delete", {"ids": None, "all": True}),
    ]


@pytest.mark.parametrize("words", [["release"], ["release", "Q1", "--all"], ["delete", "--yes"], ["delete", "Q1"]])
def test_who_does_not_say_which_or_can_not_be_asked_does_nothing(command_line: CommandLine, words: list[str]) -> None:
    console = FakeConsole()
    assert command_line.run(console, "held", *words).code == 2
    assert console.asked == []


def test_what_was_not_done_is_said_and_is_no_success(command_line: CommandLine) -> None:
    answer = {"changed": [], "missing": ["Q9"], "sending": ["Q3.1"]}
    said = command_line.run(FakeConsole(held__release=answer, queue__list=[]), "held", "release", "Q9", "Q3")
    assert said.code == 1
    assert "not in quarantine: Q9" in said.err and "Q3.1" in said.err


@pytest.mark.parametrize("words", [["show", "Q1"], ["release", "Q1"], ["delete", "Q1", "--yes"], ["retry", "Q1"]])
def test_the_queues_commands_refuse_mail_in_quarantine_with_a_hint(command_line: CommandLine, words: list[str]) -> None:
    nothing: dict[str, Any] = {"changed": [], "missing": ["Q1"], "sending": []}
    console = FakeConsole(
        queue__show=[], queue__release=nothing, queue__delete=nothing, queue__retry=nothing, held__list=[ROW]
    )
    said = command_line.run(console, "queue", *words)
    assert said.code == 1 and "in quarantine: Q1.1; gateway held" in said.err
    assert "not in the queue" not in said.err


def test_of_several_ids_each_is_told_where_it_is(command_line: CommandLine) -> None:
    nothing = {"changed": [], "missing": ["Q1", "Q9"], "sending": []}
    said = command_line.run(FakeConsole(queue__retry=nothing, held__list=[ROW]), "queue", "retry", "Q1", "Q9")
    assert "in quarantine: Q1.1" in said.err and "not in the queue: Q9;" in said.err
