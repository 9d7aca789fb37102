"""`gateway key log`: what it asks, what it says, and when the answer is no."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes.console import FakeConsole, Several
from tests.unit.cli.conftest import CommandLine

USE = {
    "line": 7,
    "time": "2026-11-03T08:12:00.000Z",
    "kind": "use",
    "who": "worker-0",
    "vault": "main",
    "key": "default",
    "version": 2,
    "operation": "unwrap",
    "about": "domain key spool 1",
    "outcome": "denied",
}
LOST = {"line": 8, "time": "2026-11-03T08:12:01.000Z", "kind": "lost", "who": "worker-0", "uses": 3}
ACCEPTED = {
    "line": 9,
    "time": "2026-11-03T08:12:02.000Z",
    "kind": "accepted",
    "who": "cli ida",
    "hash": "00",
    "reason": "a backup was \x1b[31m restored",
}
WHOLE: dict[str, Any] = {
    "whole": True,
    "first": 1,
    "last": 9,
    "hash": "00" * 32,
    "heads": 2,
    "signed": 8,
    "findings": [],
    "notes": ["lines up to 4 were removed"],
}
SPOILT = WHOLE | {
    "whole": False,
    "findings": [{"what": "changed", "first": 3, "last": 3, "text": "t", "sentence": "line 3: changed; it is not"}],
}


def test_uses_are_listed_with_key_and_outcome(command_line: CommandLine) -> None:
    console = FakeConsole(key__log__list=[USE, LOST, ACCEPTED])
    said = command_line.run(console, "key", "log", "list")
    assert said.code == 0, said.err
    rows = said.out.splitlines()[2:]
    assert rows[0].split() == [
        *("7", "2026-11-03", "08:12:00Z", "worker-0", "main/default", "2", "unwrap"),
        *("domain", "key", "spool", "1", "denied"),
    ]
    assert "3 uses more could not be kept" in rows[1]
    assert "accepted" in rows[2] and "\x1b" not in said.out
    assert console.asked == [
        ("key.log.list", {"since": None, "key": None, "operation": None, "about": None, "limit": 100})
    ]


def test_what_is_asked_for_is_handed_on(command_line: CommandLine) -> None:
    console = FakeConsole(key__log__list=[])
    options = ("--since", "1h", "--key", "main/default", "--operation", "sign", "--about", "4XYZ", "--limit", "5")
    said = command_line.run(console, "key", "log", "list", *options)
    assert "none that fits" in said.out
    assert console.asked[0][1] == {
        "since": 1_793_696_400.0,
        "key": "main/default",
        "operation": "sign",
        "about": "4XYZ",
        "limit": 5,
    }


def test_a_list_as_json_is_the_lines(command_line: CommandLine) -> None:
    assert command_line.run(FakeConsole(key__log__list=[USE]), "key", "log", "list", "--json").json == [USE]


def test_an_operation_that_there_is_not_is_wrong_use(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(), "key", "log", "list", "--operation", "open")
    assert said.code == 2 and "unwrap" in said.err


def test_a_whole_log_is_told_with_its_notes(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(key__log__verify=WHOLE), "key", "log", "verify")
    assert said.code == 0
    assert "lines up to 4 were removed" in said.out
    assert "is whole: lines 1 to 9, signed up to line 8; 2 signed heads in the database" in said.out
    empty = WHOLE | {"first": 0, "last": 0, "notes": []}
    assert "is empty" in command_line.run(FakeConsole(key__log__verify=empty), "key", "log", "verify").out


@pytest.mark.parametrize("as_json", [False, True])
def test_a_log_that_is_not_whole_exits_with_one(command_line: CommandLine, as_json: bool) -> None:
    console = FakeConsole(key__log__verify=SPOILT)
    said = command_line.run(console, "key", "log", "verify", "--head", "FILE", *(["--json"] if as_json else []))
    assert said.code == 1
    assert console.asked == [("key.log.verify", {"head": "FILE"})]
    assert "not whole: 1 thing does not fit" in said.err
    if as_json:
        assert said.json == SPOILT
    else:
        assert "line 3: changed; it is not" in said.err


def test_an_export_is_one_record_a_line_page_by_page(command_line: CommandLine) -> None:
    pages = Several(
        {"records": [{"gateway_key_log": 1}, {"line": "ü"}], "next": 5}, {"records": [{"head": {}}], "next": None}
    )
    console = FakeConsole(key__log__export=pages)
    said = command_line.run(console, "key", "log", "export", "--since", "2026-11-03T08:00:00Z")
    assert [json.loads(line) for line in said.out.splitlines()] == [{"gateway_key_log": 1}, {"line": "ü"}, {"head": {}}]
    assert [asked["after"] for _, asked in console.asked] == [None, 5]


def test_a_fault_is_told(command_line: CommandLine) -> None:
    for verb in (("list",), ("verify",), ("export",), ("accept", "--reason", "x")):
        said = command_line.run(FakeConsole(fault="the database is away"), "key", "log", *verb)
        assert said.code == 1 and "the database is away" in said.err


def test_who_answers_for_the_log_says_why(command_line: CommandLine) -> None:
    answer = {"line": 12, "accepted": 9, "aside": "/gw/vault/key-log-head.12", "heads_dropped": 0}
    console = FakeConsole(key__log__accept=answer)
    said = command_line.run(console, "key", "log", "accept", "--reason", "a backup was restored")
    assert "Line 12" in said.out and "key-log-head.12" in said.out
    assert console.asked == [("key.log.accept", {"reason": "a backup was restored"})]
    assert command_line.run(console, "key", "log", "accept", "--reason", "x", "--json").json == answer
    assert command_line.run(console, "key", "log", "accept").code == 2
