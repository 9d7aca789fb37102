"""`gateway check` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli.main import app


@pytest.fixture
def path(tmp_path: Path) -> Path:
    assert CliRunner().invoke(app, ["init", str(tmp_path / "var")]).exit_code == 0
    return tmp_path / "var" / "gateway.toml"


def test_right_settings_end_with_status_0(path: Path) -> None:
    ended = CliRunner().invoke(app, ["check", "--config", str(path)])
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout == f"{path} is right: the gateway can serve with it.\n"


def test_faults_stand_on_stderr_and_end_with_status_1(path: Path) -> None:
    path.write_text(path.read_text().replace('tls = "starttls"', 'tls = "maybe"').replace("sqlite:data", "mysql:x"))
    ended = CliRunner().invoke(app, ["check", "--config", str(path)])
    assert (ended.exit_code, ended.stdout) == (1, "")
    first, second, last = ended.stderr.splitlines()
    assert first.startswith(f'gateway: {path}: listeners[0].tls: found "maybe"; right would be one of "none"')
    assert second.startswith(f"gateway: {path}: storage.url: ")
    assert last == "gateway: 2 faults; the gateway can't serve with this file"


def test_a_warning_alone_ends_with_status_0(path: Path) -> None:
    path.write_text(path.read_text().replace('deliver = "folder"', 'deliver = "folder"\ndane = "opportunistic"'))
    ended = CliRunner().invoke(app, ["check", "--config", str(path)])
    assert ended.exit_code == 0
    assert "connectors.outbound[0].dane: warning: " in ended.stderr
    assert "1 warning" in ended.stdout


def test_json_is_one_value_with_every_fault(path: Path) -> None:
    path.write_text(path.read_text().replace('tls = "starttls"', 'tls = "maybe"\ndane = "x"'))
    ended = CliRunner().invoke(app, ["check", "--config", str(path), "--json"])
    assert (ended.exit_code, ended.stderr) == (1, "")
    faults = json.loads(ended.stdout)
    assert [fault["key"] for fault in faults] == ["listeners[0].tls", "listeners[0].dane"]
    assert set(faults[0]) == {"file", "key", "found", "right", "severity"}
    path.write_text(path.read_text().replace('tls = "maybe"\ndane = "x"', ""))
    assert json.loads(CliRunner().invoke(app, ["check", "--config", str(path), "--json"]).stdout) == []


def test_no_settings_at_all_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWAY_CONFIG", raising=False)
    ended = CliRunner().invoke(app, ["check"])
    assert ended.exit_code == 1
    assert "gateway init DIR" in ended.stderr
    assert CliRunner().invoke(app, ["check", "--json"]).exit_code == 1


def test_the_folder_and_the_environment_name_the_settings(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent.parent)
    monkeypatch.setenv("GATEWAY_CONFIG", str(path))
    assert CliRunner().invoke(app, ["check"]).exit_code == 0
    monkeypatch.delenv("GATEWAY_CONFIG")
    monkeypatch.chdir(path.parent)
    assert CliRunner().invoke(app, ["check"]).exit_code == 0
