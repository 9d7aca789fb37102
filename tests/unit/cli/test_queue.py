"""`gateway queue`: what it shows, what it asks the console, and how it says no."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

WAITING: dict[str, Any] = {
    "id": "Q0123.1",
    "from": "ida@corp.example",
    "recipients": [
        {
            "address": "otto@partner.example",
            "status": "waiting",
            "reason": "certificate-expired",
            "enhanced": "4.7.320",
            "next_attempt": "2026-11-03T08:14:00.000Z",
        }
    ],
    "connector": "partner-out",
    "size": 4200,
    "state": "waiting",
    "attempts": 2,
    "received": "2026-11-03T08:12:00.000Z",
}
DONE = {"changed": ["Q0123.1"], "missing": [], "sending": []}


def test_list_shows_state_reason_and_next_attempt(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(queue__list=[WAITING]), "queue", "list")
    assert said.code == 0
    row = next(line for line in said.out.splitlines() if "Q0123.1" in line)
    assert "ida@corp.example" in row and "otto@partner.example" in row and "waiting" in row
    assert "2026-11-03 08:14:00Z" in row and "4.7.320 certificate-expired" in row
    assert said.err == ""


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        ("451 4.7.1 Greylisted, come\nback later", "451 4.7.1 Greylisted, come back later"),
        ("450 " + "x" * 200, "450 " + "x" * 73 + "..."),
        (None, "4.7.1"),
    ],
)
def test_list_shows_the_hosts_words_where_the_gateway_has_none(
    reply: str | None, shown: str, command_line: CommandLine
) -> None:
    recipient = WAITING["recipients"][0] | {"reason": None, "enhanced": "4.7.1", "reply": reply}
    said = command_line.run(FakeConsole(queue__list=[WAITING | {"recipients": [recipient]}]), "queue", "list")
    row = next(line for line in said.out.splitlines() if "Q0123.1" in line)
    assert row.rstrip().endswith(f"   {shown}")


def test_list_json_is_the_answer_as_it_came(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(queue__list=[WAITING]), "queue", "list", "--json")
    assert said.json == [WAITING] and said.err == ""


def test_list_passes_ids_and_domain_on(command_line: CommandLine) -> None:
    console = FakeConsole(queue__list=[])
    command_line.run(console, "queue", "list", "Q1", "Q2.1", "--domain", "partner.example")
    assert console.asked == [("queue.list", {"domain": "partner.example", "ids": ["Q1", "Q2.1"], "replies": True})]
    assert console.opened == command_line.settings


def test_empty_queue_says_so_and_what_to_do_next(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(queue__list=[]), "queue", "list")
    assert said.code == 0 and "The queue is empty" in said.out and "gateway trace" in said.out


def test_empty_json_list_is_a_list(command_line: CommandLine) -> None:
    assert command_line.run(FakeConsole(queue__list=[]), "queue", "list", "--json").json == []


def test_sixty_columns_hold_every_fact(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(queue__list=[WAITING]), "queue", "list", columns=60)
    assert max(map(len, said.out.splitlines())) <= 60
    for fact in ("Q0123.1", "waiting", "otto@partner.example", "2026-11-03 08:14:00Z", "certificate-expired"):
        assert fact in said.out


def test_null_sender_is_shown_as_such(command_line: CommandLine) -> None:
    assert "<>" in command_line.run(FakeConsole(queue__list=[WAITING | {"from": None}]), "queue", "list").out


def test_a_hop_s_escape_sequences_do_not_reach_the_terminal(command_line: CommandLine) -> None:
    """A next hop answers with a sequence that clears the screen or hides a line."""
    nasty = WAITING["recipients"][0] | {"reply": "451 \x1b[2J\x9b31m later\u202e", "reason": "\x1b]0;owned\x07"}
    row = WAITING | {"recipients": [nasty]}
    listed = command_line.run(FakeConsole(queue__list=[row]), "queue", "list")
    shown = command_line.run(FakeConsole(queue__show=[row]), "queue", "show", "Q0123.1")
    for said in (listed, shown):
        assert not set(said.out) & set("\x1b\x9b\x07\u202e")
    assert "451 ?[2J?31m later?" in shown.out


def test_show_tells_reply_and_host(command_line: CommandLine) -> None:
    detail = WAITING["recipients"][0] | {"reply": "450 4.7.1 greylisted", "host": "mx.partner.example"}
    answer = WAITING | {
        "recipients": [detail],
        "destination": "partner.example",
        "expires": "2026-11-08T08:12:00.000Z",
    }
    said = command_line.run(FakeConsole(queue__show=[answer]), "queue", "show", "Q0123.1")
    assert said.code == 0
    for fact in ("450 4.7.1 greylisted", "mx.partner.example", "2026-11-08 08:12:00Z", "attempts:  2", "4.1 KiB"):
        assert fact in said.out
    assert command_line.run(FakeConsole(queue__show=[answer]), "queue", "show", "Q0123.1", "--json").json == [answer]


def test_what_waits_for_its_protection_says_so_in_place_of_a_way_out(command_line: CommandLine) -> None:
    there = WAITING | {"connector": "", "destination": "protect", "wants": "both", "rule": "Partners"}
    said = command_line.run(FakeConsole(queue__show=[there]), "queue", "show", "Q0123.1")
    assert "waits for:  S/MIME (sign and encrypt), by the rule Partners" in said.out
    assert "connector" not in said.out and "destination" not in said.out


def test_show_of_what_is_not_there_is_a_no(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(queue__show=[], held__list=[]), "queue", "show", "Q9")
    assert said.code == 1 and said.out == "" and "Q9" in said.err and "gateway trace" in said.err


def test_what_the_console_says_no_to_is_told_on_stderr(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(fault="no delivery Q9 is in the queue"), "queue", "show", "Q9", "--json")
    assert (said.code, said.out, said.err) == (1, "", "gateway: no delivery Q9 is in the queue\n")


@pytest.mark.parametrize("command", ["retry", "hold", "release", "delete"])
@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["Q1", "Q2.1"], {"ids": ["Q1", "Q2.1"], "domain": None, "all": False}),
        (["--domain", "partner.example"], {"ids": None, "domain": "partner.example", "all": False}),
        (["--all"], {"ids": None, "domain": None, "all": True}),
    ],
)
def test_a_change_names_what_it_is_for(
    command_line: CommandLine, command: str, arguments: list[str], chosen: dict[str, Any]
) -> None:
    console = FakeConsole()
    console.answers[f"queue.{command}"] = DONE
    yes = ["--yes"] if command == "delete" else []
    said = command_line.run(console, "queue", command, *arguments, *yes)
    assert (said.code, said.err) == (0, "") and "1 delivery (Q0123.1)" in said.out
    assert console.asked == [(f"queue.{command}", chosen)]


@pytest.mark.parametrize("command", ["retry", "hold", "release", "delete"])
@pytest.mark.parametrize(
    "arguments", [[], ["Q1", "--all"], ["Q1", "--domain", "a.example"], ["--domain", "a", "--all"]]
)
def test_exactly_one_way_of_choosing(command_line: CommandLine, command: str, arguments: list[str]) -> None:
    console = FakeConsole()
    yes = ["--yes"] if command == "delete" else []
    said = command_line.run(console, "queue", command, *arguments, *yes)
    assert said.code == 2 and console.asked == [] and "one of the three" in " ".join(said.err.split())


def test_missing_and_sending_are_told_and_make_a_no(command_line: CommandLine) -> None:
    answer = {"changed": ["Q1.1"], "missing": ["Q9"], "sending": ["Q2.1"]}
    said = command_line.run(FakeConsole(queue__hold=answer, held__list=[]), "queue", "hold", "Q1", "Q9", "Q2")
    assert said.code == 1 and "Q1.1" in said.out
    assert "not in the queue: Q9" in said.err and "on the wire right now and left as it is: Q2.1" in said.err
    asked = command_line.run(
        FakeConsole(queue__hold=answer, held__list=[]), "queue", "hold", "Q1", "Q9", "Q2", "--json"
    )
    assert asked.json == answer and asked.code == 1


def test_nothing_to_do_is_no_failure(command_line: CommandLine) -> None:
    answer: dict[str, list[str]] = {"changed": [], "missing": [], "sending": []}
    said = command_line.run(FakeConsole(queue__retry=answer), "queue", "retry", "--all")
    assert said.code == 0 and "nothing to retry" in said.out


def test_delete_off_a_terminal_needs_yes(command_line: CommandLine) -> None:
    console = FakeConsole(queue__delete=DONE)
    said = command_line.run(console, "queue", "delete", "Q1")
    assert said.code == 2 and "--yes" in said.err and console.asked == []


@pytest.mark.parametrize("group", ["queue", "held"])
def test_delete_of_nothing_asks_which_and_not_for_yes(command_line: CommandLine, group: str) -> None:
    said = command_line.run(FakeConsole(), group, "delete")
    assert said.code == 2 and "say which" in said.err and "--yes" not in said.err


@pytest.mark.parametrize(("typed", "code", "deleted"), [("y\n", 0, True), ("n\n", 1, False), ("\n", 1, False)])
def test_delete_asks_at_a_terminal(command_line: CommandLine, typed: str, code: int, deleted: bool) -> None:
    command_line.terminal = True
    console = FakeConsole(queue__list=[WAITING], queue__delete=DONE)
    said = command_line.run(console, "queue", "delete", "--all", typed=typed)
    assert said.code == code and "1 delivery (Q0123.1)" in said.err
    assert ("queue.delete" in [command for command, _ in console.asked]) is deleted


def test_an_answer_of_another_form_is_laid_to_the_other_version_that_gave_it(command_line: CommandLine) -> None:
    console = FakeConsole(queue__list=[{"id": "Q0123.1"}])
    with pytest.raises(KeyError):  # Of the same version it is a fault of ours, with its traceback.
        command_line.run(console, "queue", "list")
    console.otherness = "the running gateway is version 99.1, this command is version 0.1"
    said = command_line.run(console, "queue", "list")
    assert said.code == 1 and said.out == ""
    assert said.err == f"gateway: the gateway's answer can't be read: {console.otherness}\n"
