"""`gateway inventory`: what of this installation is encrypted how, for an auditor."""

from __future__ import annotations

from typing import Any

import typer

from gateway.cli.output import Config, Json, line, value
from gateway.cli.reach import console, speaking
from gateway.cli.words import plain

CLEAR = "not encrypted"


def inventory(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Show each path, store and connection: how it is encrypted, who holds the key, which module computes it."""
    with speaking():
        rows = console(context, config).ask("inventory")
        if as_json:
            value(rows)
            return
        for number, row in enumerate(rows):
            if number:
                print()
            _show(row)


def _show(row: dict[str, Any]) -> None:
    print(plain(row["technology"]))
    line("  where:     ", plain(row["where"]))
    line("  what:      ", plain(row["what"]))
    line("  encrypted: ", _algorithm(row))
    line("  keys:      ", plain(row["key_management"]))
    if row["validation"]:
        line("  validation:", plain(row["validation"]))


def _algorithm(row: dict[str, Any]) -> str:
    if row["algorithm"] is None:
        return CLEAR
    length = "" if row["key_length"] is None else f" ({row['key_length']})"
    return plain(f"{'' if row['encrypted'] else f'{CLEAR}, but: '}{row['algorithm']}{length}")
