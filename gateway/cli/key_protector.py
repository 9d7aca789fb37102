"""`gateway key protector`: what opens a file vault."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import vault_words
from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, table, value
from gateway.cli.reach import reach, speaking
from gateway.cli.vault_words import FromFile, FromInput, FromTerminal, Name, SecretFile, Vault, Wanted
from gateway.cli.words import moment, plain

app = typer.Typer(name="protector", help="What opens a vault in a file.", no_args_is_help=True)

Any_ = Annotated[str | None, typer.Argument(metavar="VAULT", help="One vault's alone; default: those of all.")]
Known = Annotated[str, typer.Argument(metavar="NAME", help="The protector's name, as the list shows it.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.command("list")
def list_(context: typer.Context, vault: Any_ = None, config: Config = None, as_json: Json = False) -> None:
    """Show what opens each vault. Any one of them is enough."""
    with speaking():
        rows = vault_words.custodian(context, config).listed(vault)
        if as_json:
            value(rows)
        elif rows:
            table(("vault", "name", "kind", "since", "proved", "terms"), [_row(one) for one in rows])
        else:
            say("There is none: the vaults lie in clear. gateway key protector add VAULT --secret-file FILE seals one.")


def _row(one: dict[str, Any]) -> list[str]:
    terms = ""
    if "needed" in one:
        terms = f"{one['needed']} of {one['shares']} shares"
    elif "subject" in one:
        terms = str(one["subject"])
    elif "derived_by" in one:
        terms = str(one["derived_by"])
    proved = moment(one["proved"]) if one["kind"].startswith("recovery") else ""
    return [*(plain(one[name]) for name in ("vault", "name", "kind")), moment(one["created"]), proved, plain(terms)]


@app.command()
def add(
    context: typer.Context,
    vault: Vault,
    secret_file: SecretFile = None,
    passphrase: FromTerminal = False,
    passphrase_stdin: FromInput = False,
    passphrase_file: FromFile = None,
    name: Name = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let one thing more open a vault. A vault that lies in clear is sealed by its first protector."""
    with speaking():
        wanted = Wanted(name, secret_file, passphrase, passphrase_stdin, passphrase_file)
        added, next_ = wanted.add(vault_words.custodian(context, config), vault)
        vault_words.warn(added.fault)
        if as_json:
            value({"vault": vault, "name": added.name, "kind": str(added.kind), "sealed": added.sealed})
            return
        if added.sealed:
            say(f"Vault {plain(vault)} is sealed now. Copies of its file from before, in backups too, stay readable.")
        say(f"Protector {plain(added.name)} opens vault {plain(vault)} from now on. {plain(next_)}")


@app.command()
def remove(
    context: typer.Context, vault: Vault, name: Known, yes: Yes = False, config: Config = None, as_json: Json = False
) -> None:
    """Let one thing open a vault no more. The last one can't be removed."""
    with speaking():
        if not yes and not reach(context).terminal():
            raise typer.BadParameter("this asks first, and here is no terminal to ask at; say --yes to do it unasked")
        if not yes and not typer.confirm(f"Remove {plain(name)}, so that it opens {plain(vault)} no more?", err=True):
            complain("nothing was changed")
            raise typer.Exit(1)
        gone, fault = vault_words.custodian(context, config).remove(vault, name)
        vault_words.warn(fault)
        if as_json:
            value({"vault": vault, "name": gone.name, "kind": str(gone.kind)})
            return
        say(
            f"Protector {plain(gone.name)} ({gone.kind}) opens vault {plain(vault)} no more. It still opens copies of "
            "the vault's file that were made before, in backups too."
        )
