"""Commands whose part a later version brings: refused by name, as `gateway.settings.unbuilt` does with settings."""

from __future__ import annotations

import typer

from gateway.cli.complaint import complain


def refuse(app: typer.Typer, name: str, part: str, right: str) -> None:
    """Let `app` answer the command `name`, with whatever arguments, that `part` is not built yet and what to do."""

    @app.command(
        name,
        hidden=True,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def refused() -> None:
        complain(f"{part} is not built yet; right would be {right}")
        raise typer.Exit(2)
