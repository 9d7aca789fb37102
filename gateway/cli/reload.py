"""`gateway reload`: the running gateway takes its settings anew, all of them or none."""

from __future__ import annotations

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, value
from gateway.cli.reach import console, settings_path, speaking
from gateway.cli.words import plain


def reload(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Take settings and rules anew without losing a connection; a fault in them changes nothing."""
    with speaking():
        there = console(context, config)
        if not there.serving:
            complain(f"the gateway is not running; start it with: gateway serve --config {settings_path(config)}")
            raise typer.Exit(1)
        answer = there.ask("reload")
        if as_json:
            value(answer)
            return
        for warning in answer.get("warnings", ()):
            complain(warning)
        say("Settings and rules were taken anew, and hold from now on.")
        for change in answer["changed"]:
            say(f"  {plain(change)}")
