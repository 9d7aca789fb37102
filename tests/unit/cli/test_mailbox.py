"""`gateway mailbox` as a person types it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from gateway.cli.mailbox import size_of
from tests.fakes.console import FakeConsole, Several
from tests.unit.cli.conftest import CommandLine

IDA: dict[str, Any] = {
    "address": "ida@corp.example",
    "account": "ida@corp.example",
    "policy": "house",
    "state": "ready",
    "messages": 3,
    "used": 4096,
    "quota": 1 << 30,
    "key_version": 2,
    "rolling": False,
    "left": 0,
    "created": "2026-11-03T08:00:00.000Z",
    "aliases": ["sales@corp.example"],
    "catch_all": ["corp.example"],
    "folders": [{"name": "INBOX", "messages": 3, "unseen": 1, "special_use": None}],
    "open": True,
    "reason": None,
}
GOOD = {"address": "ida@corp.example", "messages": 3, "octets": 4096, "damaged": 0, "faults": []}
BAD = GOOD | {"damaged": 1, "faults": [{"folder": "INBOX", "uid": 7, "damage": "flipped", "text": "it is \x1bdamaged"}]}


class FakeBulk:
    """Whole mailboxes: answers as the test says, and keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[Any, ...]] = []

    def open(self, path: Path) -> FakeBulk:
        return self

    def _answer(self, verb: str, *asked: Any) -> Any:
        self.asked.append((verb, *asked))
        return self.answers[verb]

    def verify(self, address: str, watch: Any) -> Any:
        watch(1, 3)
        return self._answer("verify", address)

    def export(self, address: str, to: Path, watch: Any) -> Any:
        return self._answer("export", address, to)

    def bring(self, address: str, path: Path, folder: str, form: str, again: bool, watch: Any) -> Any:
        return self._answer("bring", address, path, folder, form, again)

    def roll(self, address: str, watch: Any) -> Any:
        return self._answer("roll", address)


def test_a_mailbox_is_made_and_its_password_shown_once(command_line: CommandLine) -> None:
    console = FakeConsole(mailbox__create=IDA | {"password": "abcde-fghij", "warnings": ["mail goes elsewhere"]})
    said = command_line.run(
        console,
        "mailbox",
        "create",
        "ida@corp.example",
        "--alias",
        "a@corp.example",
        "--quota",
        "2G",
        "--policy",
        "house",
    )
    assert console.asked == [
        (
            "mailbox.create",
            {
                "address": "ida@corp.example",
                "policy": "house",
                "password": None,
                "quota": 2 << 30,
                "aliases": ["a@corp.example"],
                "account": None,
            },
        )
    ]
    assert (
        said.code == 0 and "Made the mailbox ida@corp.example of ida@corp.example, under the policy house." in said.out
    )
    assert "Password:  abcde-fghij" in said.out
    assert said.err == "gateway: warning: mail goes elsewhere\n"


def test_a_password_comes_from_standard_input_and_is_not_said_again(command_line: CommandLine) -> None:
    console = FakeConsole(mailbox__create=IDA | {"policy": None})
    said = command_line.run(
        console, "mailbox", "create", "ida@corp.example", "--password-stdin", typed="geheim123\nmore"
    )
    assert console.asked[0][1]["password"] == "geheim123"
    assert "under no policy" in said.out and "geheim" not in said.out + said.err
    said = command_line.run(console, "mailbox", "create", "ida@corp.example", "--password-stdin", typed="")
    assert said.code == 2 and len(console.asked) == 1


def test_the_list_names_policies_and_quotas(command_line: CommandLine) -> None:
    bo = IDA | {"address": "bo@corp.example", "policy": None, "quota": None, "rolling": True, "state": "removing"}
    console = FakeConsole(mailbox__list=[IDA, bo])
    said = command_line.run(console, "mailbox", "list", "--policy", "none")
    assert console.asked == [("mailbox.list", {"policy": "none"})]
    rows = [line.split() for line in said.out.splitlines()[2:]]
    assert rows[0] == ["ida@corp.example", "ida@corp.example", "house", "3", "4.0", "KiB", "1.0", "GiB"]
    assert rows[1] == ["bo@corp.example", "(removing)", "ida@corp.example", "-", "(rolling)", "3", "4.0", "KiB", "-"]
    assert "gateway mailbox create" in command_line.run(FakeConsole(mailbox__list=[]), "mailbox", "list").out
    assert command_line.run(console, "mailbox", "list", "--json").json == [IDA, bo]


def test_everything_of_one_is_told(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(mailbox__show=IDA), "mailbox", "show", "ida@corp.example")
    for words in (
        "policy:      house",
        "state:       open",
        "key:         version 2",
        "sales@corp.example",
        "of 1.0 GiB",
    ):
        assert words in said.out
    closed = IDA | {"open": False, "reason": "both roots deny", "rolling": True, "left": 4}
    said = command_line.run(FakeConsole(mailbox__show=closed), "mailbox", "show", "ida@corp.example")
    assert "closed: both roots deny" in said.out and "4 contents still under the one before" in said.out


def test_assigning_says_where_it_is_now(command_line: CommandLine) -> None:
    console = FakeConsole(mailbox__assign=IDA | {"rolling": True})
    said = command_line.run(console, "mailbox", "assign", "ida@corp.example", "house", "--roll")
    assert console.asked == [("mailbox.assign", {"address": "ida@corp.example", "policy": "house", "roll": True})]
    assert "is under the policy house" in said.out and "in the background" in said.out


def test_aliases_catch_alls_and_quotas_are_changed(command_line: CommandLine) -> None:
    console = FakeConsole(
        mailbox__alias_add=IDA | {"warnings": ["mail goes elsewhere"]},
        mailbox__alias_remove=IDA | {"aliases": []},
        mailbox__catch_all={"domain": "corp.example", "mailbox": "ida@corp.example", "warnings": []},
        mailbox__quota=IDA | {"quota": None},
    )
    said = command_line.run(console, "mailbox", "alias", "add", "ida@corp.example", "sales@corp.example")
    assert "has the aliases sales@corp.example" in said.out and "warning: mail goes elsewhere" in said.err
    said = command_line.run(console, "mailbox", "alias", "remove", "ida@corp.example", "sales@corp.example")
    assert "has no alias" in said.out
    said = command_line.run(console, "mailbox", "catch-all", "corp.example", "ida@corp.example")
    assert "goes to ida@corp.example" in said.out
    said = command_line.run(console, "mailbox", "catch-all", "corp.example", "--remove")
    assert "is refused" in said.out and console.asked[-1][1] == {"domain": "corp.example", "address": None}
    assert command_line.run(console, "mailbox", "catch-all", "corp.example").code == 2
    said = command_line.run(console, "mailbox", "quota", "ida@corp.example", "0")
    assert "may hold as much as there is room" in said.out


def test_nothing_is_destroyed_without_a_yes(command_line: CommandLine) -> None:
    console = FakeConsole(mailbox__remove={"address": "ida@corp.example", "account": "ida", "messages": 3})
    assert command_line.run(console, "mailbox", "remove", "ida@corp.example").code == 2
    command_line.terminal = True
    assert command_line.run(console, "mailbox", "remove", "ida@corp.example", typed="n\n").code == 1
    assert console.asked == []
    said = command_line.run(console, "mailbox", "remove", "ida@corp.example", typed="y\n")
    assert "Removed the mailbox ida@corp.example with 3 messages." in said.out
    assert command_line.run(console, "mailbox", "remove", "ida@corp.example", "--yes").code == 0


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("500", 500), ("1k", 1024), ("2 MB", 2 << 20), ("3GiB", 3 << 30), ("1024T", 1 << 50)]
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5G", "G", "9" * 20, "1P", "1025T", "99999999999T"])
def test_what_is_no_size_is_wrong_use(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="500M"):
        size_of(text)


def test_verifying_names_what_is_damaged_and_says_no(command_line: CommandLine) -> None:
    command_line.bulk = FakeBulk(verify=GOOD).open
    said = command_line.run(FakeConsole(mailbox__show=IDA), "mailbox", "verify", "ida@corp.example")
    assert (said.code, said.out) == (0, "All 3 messages open: 4.0 KiB.\n")
    command_line.bulk = FakeBulk(verify=BAD).open
    said = command_line.run(FakeConsole(mailbox__show=IDA), "mailbox", "verify", "ida@corp.example", "--json")
    assert said.code == 1 and said.json == BAD
    assert said.err.splitlines()[0] == "gateway: INBOX, UID 7: it is ?damaged"
    assert "1 of 3 messages are damaged; the others can be read" in said.err


def test_a_closed_mailbox_is_neither_read_nor_written(command_line: CommandLine, tmp_path: Path) -> None:
    bulk = FakeBulk()
    command_line.bulk = bulk.open
    closed = FakeConsole(mailbox__show=IDA | {"open": False, "reason": "the mailbox is closed: both roots deny"})
    for rest in (["verify"], ["export", "--to", str(tmp_path)], ["import", str(tmp_path)]):
        said = command_line.run(closed, "mailbox", rest[0], "ida@corp.example", *rest[1:])
        assert (said.code, said.err) == (1, "gateway: the mailbox is closed: both roots deny\n")
    assert bulk.asked == []


def test_an_export_says_that_it_lies_in_clear(command_line: CommandLine, tmp_path: Path) -> None:
    bulk = FakeBulk(export=GOOD | {"to": str(tmp_path), "written": 2, "present": 1})
    command_line.bulk = bulk.open
    said = command_line.run(
        FakeConsole(mailbox__show=IDA), "mailbox", "export", "ida@corp.example", "--to", str(tmp_path)
    )
    assert said.out.splitlines()[0] == f"Wrote 2 messages into {tmp_path}: 4.0 KiB, 1 were there already."
    assert "They lie there in clear." in said.out
    assert bulk.asked == [("export", "ida@corp.example", tmp_path)]


def test_an_import_counts_what_it_could_not_take(command_line: CommandLine, tmp_path: Path) -> None:
    answer = {"address": "ida@corp.example", "path": "x", "folder": "INBOX", "added": 5, "present": 2, "skipped": 0}
    bulk = FakeBulk(bring=answer)
    command_line.bulk = bulk.open
    said = command_line.run(FakeConsole(mailbox__show=IDA), "mailbox", "import", "ida@corp.example", str(tmp_path))
    assert (said.code, said.out) == (
        0,
        "Added 5 messages to INBOX of ida@corp.example; 2 were there already.\n",
    )
    bulk.answers["bring"] = answer | {"skipped": 1, "reasons": [{"place": "x:7", "why": "it is too long"}]}
    more = ("--folder", "Old", "--mboxo", "--again")
    said = command_line.run(
        FakeConsole(mailbox__show=IDA), "mailbox", "import", "ida@corp.example", str(tmp_path), *more
    )
    assert bulk.asked[-1] == ("bring", "ida@corp.example", tmp_path, "Old", "mboxo", True)
    assert said.code == 1 and "gateway: x:7: it is too long" in said.err and "1 entry of" in said.err


def test_a_roll_is_watched_to_its_end_while_the_gateway_does_it(command_line: CommandLine) -> None:
    rolling = IDA | {"rolling": True, "left": 1}
    console = FakeConsole(mailbox__roll=rolling, mailbox__show=Several(IDA))
    said = command_line.run(console, "mailbox", "roll", "ida@corp.example")
    assert (said.code, said.out) == (0, "ida@corp.example lies under version 2 of its key; the old one is gone.\n")
    said = command_line.run(console, "mailbox", "roll", "ida@corp.example", "--no-wait")
    assert said.code == 0 and "1 content is still to be wrapped" in said.out


def test_a_roll_is_done_by_the_command_itself_where_nothing_serves(command_line: CommandLine) -> None:
    bulk = FakeBulk(roll={"wrapped": 3, "left": 1, "damaged": 1})
    command_line.bulk = bulk.open
    rolling = IDA | {"rolling": True, "left": 4}
    console = FakeConsole(serving=False, mailbox__roll=rolling, mailbox__show=rolling)
    said = command_line.run(console, "mailbox", "roll", "ida@corp.example")
    assert bulk.asked == [("roll", "ida@corp.example")]
    assert said.code == 1 and "gateway mailbox verify names them" in said.err
