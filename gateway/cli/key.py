"""`gateway key`: the keys under which everything here lies, what hangs on each of them, and their life."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import key_log, key_protector, key_recovery, key_words, unbuilt
from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, table, value
from gateway.cli.reach import console, reach, speaking
from gateway.cli.words import count, moment, plain

TYPES = ("rsa-2048", "rsa-3072", "rsa-4096", "aes-256", "ed25519", "ec-p256")
DOMAIN = "domain/"  # Begins the names of domain keys.

Key = Annotated[str, typer.Argument(metavar="VAULT/KEY", help="A key of a vault, such as main/default.")]
Rotated = Annotated[
    str, typer.Argument(metavar="KEY", help="VAULT/KEY for a key of a vault, domain/PURPOSE for a domain key.")
]
Type = Annotated[str, typer.Option("--type", metavar="TYPE", help=f"One of {', '.join(TYPES)}.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

app = typer.Typer(name="key", help="The keys under which everything lies sealed.", no_args_is_help=True)
app.add_typer(key_log.app)
app.add_typer(key_protector.app)
app.add_typer(key_recovery.app)
unbuilt.refuse(
    app,
    "import",
    "bringing keys of your own (BYOK)",
    "a key that is made in the vault (gateway key create), or one of yours in a token, labelled as the administrator's "
    "guide says",
)


@app.command("list")
def list_(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Show vaults, their keys, and what hangs on each."""
    with speaking():
        answer = console(context, config).ask("key.list")
        if as_json:
            value(answer)
            return
        table(("vault", "provider", "health"), [_vault(one) for one in answer["vaults"]])
        if answer["keys"]:
            print()
            heads = ("key", "type", "state", "version", "since", "holds")
            table(heads, [key_words.row(one) for one in answer["keys"]])
        if answer["domain_keys"]:
            print()
            domain_heads = ("domain key", "versions", "wrapped by", "since")
            table(domain_heads, [key_words.domain_row(one) for one in answer["domain_keys"]])
    for one in answer["vaults"]:
        if one["reason"] is not None:
            complain(f"vault {one['name']}: {one['reason']}")


def _vault(vault: dict[str, Any]) -> list[str]:
    return [plain(vault["name"]), plain(vault["provider"]), plain(vault["health"])]


@app.command()
def create(context: typer.Context, key: Key, type_: Type, config: Config = None, as_json: Json = False) -> None:
    """Make a new key in a vault."""
    if type_ not in TYPES:
        raise typer.BadParameter(f"there is no type {type_!r}; right would be one of {', '.join(TYPES)}")
    with speaking():
        answer = console(context, config).ask("key.create", key=key, type=type_)
        _tell(answer, as_json, f"Made {plain(answer['key'])}, of type {plain(answer['type'])}.")


@app.command()
def rotate(context: typer.Context, key: Rotated, config: Config = None, as_json: Json = False) -> None:
    """Make a new version of a key, used from now on; older versions still open what they sealed."""
    with speaking():
        answer = console(context, config).ask("key.rotate", key=key)
        if "used_from" in answer:
            sentence = (
                f"{plain(answer['key'])} has version {answer['version']}, wrapped by {plain(answer['root'])}. It is "
                f"used from {moment(answer['used_from'])}, once all processes know it; the older ones still open."
            )
        else:
            newest = max(int(one["version"]) for one in answer["versions"])
            sentence = f"{plain(answer['key'])} has version {newest}; {key_words.rotated(answer)}"
        _tell(answer, as_json, sentence)


@app.command()
def disable(context: typer.Context, key: Key, yes: Yes = False, config: Config = None, as_json: Json = False) -> None:
    """Deny every use of a key until it is enabled again. What hangs on it is named first."""
    with speaking():
        _ask_first(context, key, "disable", yes, config)
        answer = console(context, config).ask("key.disable", key=key)
        name = plain(answer["key"])
        _tell(answer, as_json, f"{name} is disabled. To allow its use again: gateway key enable {name}")


@app.command()
def enable(context: typer.Context, key: Key, config: Config = None, as_json: Json = False) -> None:
    """Allow the use of a disabled key again."""
    with speaking():
        answer = console(context, config).ask("key.enable", key=key)
        _tell(answer, as_json, f"{plain(answer['key'])} is enabled.")


@app.command()
def delete(
    context: typer.Context,
    key: Key,
    after: Annotated[
        float,
        typer.Option("--after", metavar="DAYS", help="Days until it is destroyed; until then it can be recovered."),
    ] = 30,
    force: Annotated[bool, typer.Option("--force", help="Allow less than 7 days.")] = False,
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Deny every use of a key, and destroy it after a waiting time. What hangs on it is named first."""
    with speaking():
        _ask_first(context, key, "delete", yes, config)
        answer = console(context, config).ask("key.delete", key=key, after=after, force=force)
        name = plain(answer["key"])
        ends = moment(answer["ends"])
        _tell(answer, as_json, f"{name} is deleted, and destroyed after {ends}. Until then: gateway key recover {name}")


@app.command()
def recover(context: typer.Context, key: Key, config: Config = None, as_json: Json = False) -> None:
    """Take back a deletion while the key still waits for its end. The key is disabled then."""
    with speaking():
        answer = console(context, config).ask("key.recover", key=key)
        name = plain(answer["key"])
        _tell(answer, as_json, f"{name} is recovered, and disabled. To allow its use again: gateway key enable {name}")


@app.command()
def rehome(
    context: typer.Context,
    source: Annotated[str, typer.Option("--from", metavar="VAULT/KEY", help="The root key that wraps them now.")],
    target: Annotated[str, typer.Option("--to", metavar="VAULT/KEY", help="The root key that shall wrap them.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Move all domain keys from one root key to another, also of another vault. No mail is touched."""
    with speaking():
        answer = console(context, config).ask("key.rehome", source=source, target=target)
        moved = count(answer["rewrapped"], "domain key is", "domain keys are")
        _tell(
            answer,
            as_json,
            f"{moved} wrapped by {plain(answer['key'])} now. Keep {plain(answer['from'])} as long as there are backups "
            "that were made before.",
        )


def _ask_first(context: typer.Context, key: str, verb: str, yes: bool, config: Path | None) -> None:
    """Name the consequences; on a terminal ask. Exits with 2 where nobody can be asked and nobody said yes, and with 1
    where the answer is no, or there is no such key.
    """
    facts = console(context, config).ask("key.consequences", key=key)
    for sentence in key_words.consequences(facts, verb):
        # On standard error: standard output is for the answer, which may be JSON.
        typer.echo(sentence, err=True)
    if not yes and not reach(context).terminal():
        raise typer.BadParameter(f"this asks first, and here is no terminal to ask at; say --yes to {verb} it unasked")
    if not yes and not typer.confirm(f"{verb.capitalize()} {plain(facts['key'])}?", err=True):
        complain("nothing was changed")
        raise typer.Exit(1)


def _tell(answer: dict[str, Any], as_json: bool, sentence: str) -> None:
    if as_json:
        value(answer)
    else:
        say(sentence)
