"""`gateway status`, `gateway reload`, `gateway version`."""

from __future__ import annotations

from typing import Any

import gateway
from tests.fakes.console import FakeConsole
from tests.unit.cli.conftest import CommandLine

STATUS: dict[str, Any] = {
    "processes": [{"name": "worker 1", "pid": 4711, "state": "running", "uptime": 3700.5, "memory": 50 << 20}],
    "listeners": [{"listen": "127.0.0.1:2525", "kind": "relay", "tls": "starttls"}],
    "queue": {"ready": 0, "sending": 0, "waiting": 2, "held": 1},
    "oldest_waiting": "2026-11-03T08:12:00.000Z",
    "warnings": [{"code": "certificate-expires", "text": "certs/server.pem ends in 12 days"}],
}


def test_status_shows_processes_listeners_queue_and_warnings(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(status=STATUS), "status")
    assert said.code == 0 and said.err == ""
    for fact in ("worker 1", "4711", "1 h 1 min", "50.0 MiB", "127.0.0.1:2525", "starttls", "3 deliveries"):
        assert fact in said.out
    assert "2 waiting, 1 held" in said.out and "2026-11-03 08:12:00Z" in said.out
    assert "1 warning:" in said.out and "certs/server.pem ends in 12 days" in said.out


def test_status_fits_sixty_columns(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(status=STATUS), "status", columns=60)
    assert max(map(len, said.out.splitlines())) <= 60 and "127.0.0.1:2525" in said.out


def test_status_json_is_the_answer_as_it_came(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(status=STATUS), "status", "--json")
    assert said.json == STATUS and said.err == ""


def test_status_works_while_nothing_serves(command_line: CommandLine) -> None:
    missing = {"code": "not_running", "text": "nothing serves with these settings"}
    idle = STATUS | {"processes": [], "queue": {"ready": 0}, "oldest_waiting": None, "warnings": [missing]}
    said = command_line.run(FakeConsole(serving=False, status=idle), "status")
    assert said.code == 0 and "not running" in said.out
    assert f"gateway serve --config {command_line.settings}" in said.out
    assert "The queue is empty." in said.out and said.out.count("not running") == 1
    assert "Nothing needs" not in said.out and "warning" not in said.out


def test_status_tells_other_warnings_while_nothing_serves(command_line: CommandLine) -> None:
    missing, disk = {"code": "not_running", "text": "nothing serves"}, {"code": "disk", "text": "3 MiB are free"}
    idle = STATUS | {"processes": [], "warnings": [missing, disk]}
    said = command_line.run(FakeConsole(serving=False, status=idle), "status")
    assert said.code == 0 and "1 warning:" in said.out and "3 MiB are free" in said.out
    assert command_line.run(FakeConsole(serving=False, status=idle), "status", "--json").json == idle


def test_status_never_says_that_all_is_well_while_nothing_serves(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(serving=False, status=STATUS | {"warnings": []}), "status")
    assert said.code == 0 and "Nothing needs" not in said.out


def test_reload_tells_what_changed(command_line: CommandLine) -> None:
    console = FakeConsole(reload={"changed": ["retry.first: 60 -> 30"]})
    said = command_line.run(console, "reload")
    assert said.code == 0 and "retry.first: 60 -> 30" in said.out and console.asked == [("reload", {})]


def test_reload_says_that_it_is_done(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(reload={"changed": []}), "reload")
    assert said.code == 0 and "taken anew" in said.out
    assert command_line.run(FakeConsole(reload={"changed": []}), "reload", "--json").json == {"changed": []}


def test_reload_tells_warnings_too(command_line: CommandLine) -> None:
    doubt = 'rules/10-all.yaml: line 1: rule "All": when: warning: found no condition'
    said = command_line.run(FakeConsole(reload={"changed": [], "warnings": [doubt]}), "reload")
    assert said.code == 0 and "found no condition" in said.err and "found no condition" not in said.out


def test_reload_of_bad_settings_names_every_fault_and_is_a_no(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(fault="a.toml: one\na.toml: two"), "reload")
    assert (said.code, said.out) == (1, "") and said.err == "gateway: a.toml: one\ngateway: a.toml: two\n"


def test_reload_without_a_gateway_says_how_to_start_it(command_line: CommandLine) -> None:
    said = command_line.run(FakeConsole(serving=False), "reload")
    assert said.code == 1 and "gateway serve --config" in said.err and said.out == ""


def test_version_needs_no_settings(command_line: CommandLine) -> None:
    assert command_line.run(None, "version").code == 0  # --config is taken, and not looked at
    command_line.settings = None
    assert command_line.run(None, "version").out.startswith(f"gateway {gateway.__version__} ")
    assert command_line.run(None, "version", "--json").json["version"] == gateway.__version__
