"""`gateway status`: what runs, where it listens, how much waits, and what someone should act on."""

from __future__ import annotations

from typing import Any

import typer

from gateway.cli.output import Config, Json, line, say, table, value
from gateway.cli.reach import console, settings_path, speaking
from gateway.cli.words import count, moment, octets, plain, span

NOT_RUNNING = "not_running"  # The code of the warning that nothing serves.

STORAGE = "storage"  # The code of the warning that the database is away.


def status(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Show processes, listeners, the queue and warnings."""
    with speaking():
        there = console(context, config)
        answer = there.ask("status")
        if as_json:
            value(answer)
            return
        if there.serving:
            _processes(answer["processes"])
        else:
            say(f"The gateway is not running. Start it with: gateway serve --config {settings_path(config)}")
        _listeners(answer["listeners"])
        if not any(warning["code"] == STORAGE for warning in answer["warnings"]):  # Else nobody can tell.
            _queue(answer["queue"], answer["oldest_waiting"])
        _cryptography(answer.get("cryptography"))
        _warnings(answer["warnings"], there.serving)


def _processes(processes: list[dict[str, Any]]) -> None:
    say("The gateway is running.")
    print()
    rows = [
        [plain(one["name"]), str(one["pid"]), plain(one["state"]), _uptime(one["uptime"]), _memory(one["memory"])]
        for one in processes
    ]
    table(("process", "pid", "state", "up for", "memory"), rows)


def _uptime(seconds: float | None) -> str:
    return "-" if seconds is None else span(seconds)


def _memory(held: int | None) -> str:
    return "-" if held is None else octets(held)


def _listeners(listeners: list[dict[str, Any]]) -> None:
    if not listeners:
        return
    print()
    table(
        ("listener", "kind", "TLS"),
        [[plain(one["listen"]), plain(one["kind"]), plain(one["tls"])] for one in listeners],
    )


def _queue(states: dict[str, int], oldest: str | None) -> None:
    print()
    total = sum(states.values())
    if not total:
        say("The queue is empty.")
        return
    parts = ", ".join(f"{number} {plain(state)}" for state, number in states.items() if number)
    say(f"The queue holds {count(total, 'delivery', 'deliveries')}: {parts}.")
    if oldest:
        say(f"The oldest that waits came at {moment(oldest)}. To see why: gateway queue list")


def _cryptography(facts: dict[str, Any] | None) -> None:
    """Where FIPS 140 is asked for: which modules compute, and whether they can be validated ones."""
    if facts is None or not facts["fips"]:
        return
    print()
    say("Only what FIPS 140 approves is used ([security] fips).")
    for module in facts["modules"]:
        say(plain(module["words"]))


def _warnings(warnings: list[dict[str, str]], serving: bool) -> None:
    if not serving:
        # The first line says it already.
        warnings = [warning for warning in warnings if warning["code"] != NOT_RUNNING]
    if not warnings:
        if serving:
            print()
            say("Nothing needs anyone's attention.")
        return
    print()
    say(f"{count(len(warnings), 'warning')}:")
    for warning in warnings:
        line(f"  {plain(warning['code'])}:", plain(warning["text"]))
