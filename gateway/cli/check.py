"""`gateway check`: every fault of the settings, before they are served with."""

from __future__ import annotations

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, value
from gateway.cli.words import count, plain


def check(config: Config = None, as_json: Json = False) -> None:
    """Tell every fault of the settings and the rules: file, line or key, what was found, what would be right."""
    from gateway.app.check import check as judge
    from gateway.settings.fault import errors
    from gateway.settings.load import BadSettings, find

    try:
        path = find(config)
        faults = judge(path)
    except BadSettings as bad:
        faults = list(bad.faults)
    wrong = errors(faults)
    if as_json:
        value([fault.as_json() for fault in faults])
    else:
        for fault in faults:
            complain(str(fault))
    if wrong:
        if not as_json:
            complain(f"{count(len(wrong), 'fault')}; the gateway can't serve with this file")
        raise typer.Exit(1)
    if not as_json:
        note = f" {count(len(faults), 'warning')}, on standard error." if faults else ""
        say(f"{plain(path)} is right: the gateway can serve with it.{note}")
