"""`gateway rule`: the transport rules, what may stand in their files, and what they would do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, table, value
from gateway.cli.reach import settings_path, speaking
from gateway.cli.words import count, plain

if TYPE_CHECKING:
    from gateway.rules.fault import Fault
    from gateway.rules.model import Rule

Folder = Annotated[
    Path | None,
    typer.Option("--rules", metavar="DIR", help="The folder with rules; default: that of the settings."),
]

app = typer.Typer(name="rule", help="See and try transport rules.", no_args_is_help=True)


@app.command("list")
def list_(folder: Folder = None, config: Config = None, as_json: Json = False) -> None:
    """Show the rules in the order in which they run."""
    from gateway.rules.fault import BadRules

    with speaking():
        try:
            found = rules_of(folder, config)
        except BadRules as bad:
            tell(bad.faults)
            raise typer.Exit(1) from bad
        tell(found.warnings)
        if as_json:
            value([_facts(rule) for rule in found])
        elif found.rules:
            table(("priority", "rule", "mode", "conditions", "actions", "stands in"), [_row(rule) for rule in found])
        else:
            say("There are no rules.")


def _row(rule: Rule) -> list[str]:
    conditions = [one.name for one in rule.when] + [f"not {one.name}" for one in rule.unless]
    return [
        str(rule.priority),
        plain(rule.name),
        rule.mode.value if rule.enabled else "disabled",
        ", ".join(conditions) or "every message",
        ", ".join(one.name for one in rule.then),
        plain(f"{Path(rule.file).name}:{rule.line}"),
    ]


def _facts(rule: Rule) -> dict[str, Any]:
    from gateway.world.clock import rfc3339

    return {
        "name": rule.name,
        "priority": rule.priority,
        "mode": rule.mode.value,
        "enabled": rule.enabled,
        "activation_date": None if rule.activation is None else rfc3339(rule.activation),
        "expiry_date": None if rule.expiry is None else rfc3339(rule.expiry),
        "rule_error_action": rule.on_error.value,
        "sender_address_location": rule.sender_location.value,
        "when": [one.name for one in rule.when],
        "unless": [one.name for one in rule.unless],
        "then": [one.name for one in rule.then],
        "comments": rule.comments,
        "file": rule.file,
        "line": rule.line,
    }


@app.command()
def schema(config: Config = None) -> None:
    """Print the JSON Schema of a file of rules, for an editor; it needs no settings."""
    del config  # Taken, as by every command, and not needed.
    from gateway.rules.schema import schema as made

    value(made())


def rules_of(folder: Path | None, config: Path | None) -> Any:
    """The RuleSet in `folder`, or of the settings. Raises BadRules, BadSettings."""
    from gateway.app.rule_files import load_rules
    from gateway.rules.load import load
    from gateway.settings.load import loaded

    return load(folder) if folder is not None else load_rules(loaded(settings_path(config)))


def tell(faults: Sequence[Fault]) -> None:
    """Faults and warnings on standard error, each on a line."""
    for fault in faults:
        complain(plain(str(fault)))
    if wrong := sum(fault.severity == "error" for fault in faults):
        complain(f"{count(wrong, 'fault')}; these rules can't be used")
