"""`gateway connector test` at the command line: how it speaks, and its exit status."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.conftest import SETTINGS, CommandLine


def test_it_tells_each_step_with_its_time(command_line: CommandLine) -> None:
    said = command_line.run(None, "connector", "test", "outbox")
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0].startswith("ok      settings")
    assert "0 ms  " in lines[0]
    assert lines[-1] == "The connector outbox works."


def test_json_is_the_report_alone(command_line: CommandLine) -> None:
    said = command_line.run(None, "connector", "test", "outbox", "--json")
    assert said.code == 0
    assert said.json["connector"] == "outbox"
    assert [step["name"] for step in said.json["steps"]] == ["settings", "route", "folder"]


def test_what_fails_says_what_would_be_right(command_line: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file\n")
    said = command_line.run(None, "connector", "test", "outbox")
    assert said.code == 1
    assert said.out.splitlines()[-1].startswith("gateway") or "folder" in said.err + said.out


def test_a_host_that_is_not_there(command_line: CommandLine, tmp_path: Path) -> None:
    text = SETTINGS.replace('deliver = "folder"\nfolder = "outbox"', 'smart_hosts = ["127.0.0.1:1"]')
    (tmp_path / "gateway.toml").write_text(text)
    said = command_line.run(None, "connector", "test", "outbox", "--to", "otto@partner.example")
    assert said.code == 1
    assert "FAILED  connect" in said.out
    assert "Right would be " in said.out
    assert said.out.splitlines()[-1] == "The connector outbox does not work: connect failed."


def test_an_inbound_connector(command_line: CommandLine) -> None:
    said = command_line.run(None, "connector", "test", "local", "--from-address", "127.0.0.1")
    assert said.code == 0
    assert "comes by this connector" in said.out


def test_no_such_connector(command_line: CommandLine) -> None:
    said = command_line.run(None, "connector", "test", "nobody")
    assert said.code == 1
    assert "there are: local, outbox" in said.err


def test_wrong_use(command_line: CommandLine) -> None:
    assert command_line.run(None, "connector", "test", "outbox", "--send").code == 2
    assert command_line.run(None, "connector", "test", "outbox", "--to", "nobody").code == 2
    assert command_line.run(None, "connector", "test", "local", "--from-address", "x").code == 2
