"""`gateway user`: what is asked, what is said, and that no password stands on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

IDA: dict[str, Any] = {
    "name": "ida",
    "addresses": ["ida@corp.example"],
    "state": "enabled",
    "created": "2026-11-26T03:04:12.789Z",
}
ADDED = {**IDA, "warnings": []}


def test_who_may_log_in_is_listed(command_line: CommandLine) -> None:
    other = {**IDA, "name": "printer", "addresses": [], "state": "needs_password"}
    console = FakeConsole(user__list=[IDA, other])
    said = command_line.run(console, "user", "list")
    lines = [line.split() for line in said.out.splitlines()]
    assert ["ida", "enabled", "ida@corp.example", "2026-11-26", "03:04:12Z"] in lines
    assert ["printer", "needs", "password", "-", "2026-11-26", "03:04:12Z"] in lines
    assert command_line.run(console, "user", "list", "--json").json == [IDA, other]


def test_nobody_yet_says_what_to_do(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(user__list=[]), "user", "list")
    assert said.code == 0 and "gateway user add NAME" in said.out


@pytest.mark.parametrize("typed", ["geheim 123\n", "geheim 123\r\n", "geheim 123", "geheim 123\nsecond line\n"])
def test_a_password_comes_by_standard_input(command_line: CommandLine, typed: str) -> None:
    console = FakeConsole(user__add=ADDED)
    arguments = ["user", "add", "ida", "--address", "ida@corp.example", "--password-stdin"]
    said = command_line.run(console, *arguments, typed=typed)
    assert said.code == 0 and said.out == "Added ida, who may send as ida@corp.example.\n"
    assert console.asked == [("user.add", {"name": "ida", "addresses": ["ida@corp.example"], "password": "geheim 123"})]
    assert "geheim" not in said.out + said.err


@pytest.mark.parametrize(
    ("typed", "words"),
    [("", "no password on standard input"), ("\n", "no password"), ("x" * 5000, "more than a password")],
)
def test_what_can_be_no_password_is_wrong_use(command_line: CommandLine, typed: str, words: str) -> None:
    console = FakeConsole(user__add=ADDED)
    said = command_line.run(console, "user", "add", "ida", "--password-stdin", typed=typed)
    assert said.code == 2 and words in " ".join(said.err.split()) and console.asked == []


def test_a_password_is_made_and_shown_once(command_line: CommandLine) -> None:
    console = FakeConsole(user__add={**ADDED, "password": "abcde-fghij"})
    said = command_line.run(console, "user", "add", "ida", "--generate")
    assert "Password:  abcde-fghij\n" in said.out
    assert console.asked[0][1] == {"name": "ida", "addresses": [], "password": None}
    assert command_line.run(console, "user", "add", "ida", "--generate", "--json").json["password"] == "abcde-fghij"


def test_a_name_that_is_an_address_is_also_theirs(command_line: CommandLine) -> None:
    console = FakeConsole(user__add=ADDED)
    command_line.run(console, "user", "add", "ida@corp.example", "--generate")
    command_line.run(console, "user", "add", "ida@corp.example", "--address", "x@corp.example", "--generate")
    assert [asked["addresses"] for _, asked in console.asked] == [["ida@corp.example"], ["x@corp.example"]]


def test_without_a_terminal_one_has_to_say_where_the_password_comes_from(command_line: CommandLine) -> None:
    console = FakeConsole(user__add=ADDED)
    for options in ([], ["--generate", "--password-stdin"]):
        assert command_line.run(console, "user", "add", "ida", *options).code == 2
    assert command_line.run(console, "user", "add", "ida", "--password", "geheim").code == 2
    assert console.asked == []


def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown(command_line: CommandLine) -> None:
    command_line.terminal = True
    console = FakeConsole(user__password=ADDED)
    said = command_line.run(console, "user", "password", "ida", typed="geheim123\ngeheim123\n")
    assert said.code == 0 and "geheim" not in said.out + said.err
    assert console.asked == [("user.password", {"name": "ida", "password": "geheim123"})]


def test_warnings_go_to_standard_error(command_line: CommandLine) -> None:
    console = FakeConsole(user__password={**IDA, "warnings": ["the password is short"]})
    said = command_line.run(console, "user", "password", "ida", "--password-stdin", "--json", typed="x\n")
    assert said.code == 0 and said.json["name"] == "ida"
    assert said.err == "gateway: warning: the password is short\n"


@pytest.mark.parametrize(
    ("arguments", "asked", "sentence"),
    [
        (["remove", "ida"], ("user.remove", {"name": "ida"}), "Removed ida."),
        (["disable", "ida"], ("user.disable", {"name": "ida"}), "ida may not log in until enabled again."),
        (["enable", "ida"], ("user.enable", {"name": "ida"}), "ida may log in."),
        (
            ["address", "add", "ida", "a@corp.example", "b@corp.example"],
            ("user.addresses", {"name": "ida", "add": ["a@corp.example", "b@corp.example"]}),
            "ida may send as ida@corp.example.",
        ),
        (
            ["address", "remove", "ida", "a@corp.example"],
            ("user.addresses", {"name": "ida", "remove": ["a@corp.example"]}),
            "ida may send as ida@corp.example.",
        ),
    ],
)
def test_each_change_says_what_is_now(
    command_line: CommandLine, arguments: list[str], asked: tuple[str, dict[str, Any]], sentence: str
) -> None:
    console = FakeConsole(user__remove={"name": "ida"}, user__disable=ADDED, user__enable=ADDED, user__addresses=ADDED)
    said = command_line.run(console, "user", *arguments)
    assert (said.code, said.out, console.asked) == (0, f"{sentence}\n", [asked])


def test_a_no_is_told_with_its_reason(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(fault="there is no account otto"), "user", "remove", "otto")
    assert (said.code, said.out, said.err) == (1, "", "gateway: there is no account otto\n")
