"""`gateway dkim key`: what it asks and what it shows."""

from __future__ import annotations

from typing import Any

from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

KEY: dict[str, Any] = {
    "domain": "corp.example",
    "selector": "s1",
    "type": "ed25519",
    "algorithm": "ed25519-sha256",
    "state": "active",
    "vault": "main",
    "key": "dkim.corp.example.s1",
    "key_state": "enabled",
    "created": "2026-11-03T08:00:00.000Z",
    "name": "s1._domainkey.corp.example",
    "record": "v=DKIM1; k=ed25519; p=AAAA",
    "zone": 's1._domainkey.corp.example. 3600 IN TXT "v=DKIM1; k=ed25519; p=AAAA"',
}
NEXT = {**KEY, "selector": "s2", "state": "next"}
OLD = {**KEY, "selector": "s0", "state": "retired"}


def test_a_new_key_is_shown_as_a_line_to_be_copied_whatever_the_terminals_width(command_line: CommandLine) -> None:
    console = FakeConsole(dkim__create={"keys": [KEY], "warnings": ["a hint"]})
    said = command_line.run(
        console, *("dkim", "key", "create", "corp.example", "--selector", "s1", "--type", "ed25519"), columns=40
    )
    assert console.asked == [
        ("dkim.create", {"domain": "corp.example", "selector": "s1", "type": "ed25519", "vault": None})
    ]
    lines = said.out.splitlines()
    assert KEY["zone"] in lines
    assert f";   value  {KEY['record']}" in lines
    assert "; ed25519, signs" in lines
    assert "warning: a hint" in " ".join(said.err.split())


def test_records_are_shown_in_words_and_as_json(command_line: CommandLine) -> None:
    console = FakeConsole(dkim__show=[KEY, NEXT])
    said = command_line.run(console, "dkim", "key", "show", "corp.example")
    assert said.out.count("IN TXT") == 2
    assert "; ed25519, waits to be activated" in said.out
    assert command_line.run(console, "dkim", "key", "show", "corp.example", "--json").json == [KEY, NEXT]


def test_the_zone_lines_alone_are_a_zone_file(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(dkim__show=[KEY, NEXT]), "dkim", "key", "show", "corp.example")
    assert [line for line in said.out.splitlines() if line and not line.startswith(";")] == [KEY["zone"], NEXT["zone"]]


def test_all_keys_are_listed_and_none_yet_says_what_to_do(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(dkim__list=[KEY, OLD]), "dkim", "key", "list")
    assert "main/dkim.corp.example.s1" in said.out
    assert "signs no more" in said.out
    said = command_line.run(FakeConsole(dkim__list=[]), "dkim", "key", "list")
    assert "gateway dkim key create DOMAIN" in said.out
    assert command_line.run(FakeConsole(dkim__list=[KEY]), "dkim", "key", "list", "--json").json == [KEY]


def test_a_rotation_shows_what_to_publish_and_the_next_step(command_line: CommandLine) -> None:
    console = FakeConsole(dkim__rotate={"keys": [NEXT], "warnings": []})
    said = command_line.run(console, "dkim", "key", "rotate", "corp.example")
    assert console.asked == [("dkim.rotate", {"domain": "corp.example", "selector": None, "vault": None})]
    assert "gateway dkim key rotate corp.example --activate" in said.out
    assert NEXT["zone"] in said.out


def test_activating_says_what_signs_now_and_which_records_have_to_stay(command_line: CommandLine) -> None:
    console = FakeConsole(dkim__activate={"keys": [OLD, KEY], "warnings": []})
    said = command_line.run(console, "dkim", "key", "rotate", "corp.example", "--activate")
    assert console.asked == [("dkim.activate", {"domain": "corp.example"})]
    assert "signed with s1 from now on" in said.out
    assert "Leave the records of s0 in the DNS" in said.out
    said = command_line.run(console, "dkim", "key", "rotate", "corp.example", "--activate", "--selector", "x")
    assert said.code == 2


def test_a_fault_is_told_and_ends_with_1(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(fault="corp.example has no DKIM key"), "dkim", "key", "show", "corp.example")
    assert said.code == 1
    assert "corp.example has no DKIM key" in said.err


def test_a_key_that_should_sign_and_is_denied_is_listed_as_denied(command_line: CommandLine) -> None:
    rows = [{**KEY, "key_state": state} for state in ("disabled", "deleted", None)]
    said = command_line.run(FakeConsole(dkim__list=[*rows, {**OLD, "key_state": None}]), "dkim", "key", "list").out
    for words in ("its key is disabled", "its key is deleted", "its vault does not say so"):
        assert f"signs, but {words}" in said
    assert said.count("but") == 3
