"""`gateway key recovery`: what opens a file vault on the day when nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import vault_words
from gateway.cli.output import Config, Json, say, value
from gateway.cli.reach import reach, speaking
from gateway.cli.vault_words import FromFile, FromInput, FromTerminal, Name, SecretFile, Vault, Wanted, hidden
from gateway.cli.words import moment, plain

if TYPE_CHECKING:
    from gateway.app.custodian import Added, Custodian, Given

app = typer.Typer(name="recovery", help="What opens a vault when nothing else does.", no_args_is_help=True)

Shares = Annotated[
    str | None,
    typer.Option("--shares", metavar="M/N", help="Split it for N people, any M of whom can open the vault together."),
]
Certificate = Annotated[
    Path | None,
    typer.Option("--certificate", metavar="FILE", help="Instead: a certificate whose private key lies elsewhere."),
]
Key = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="The private key of the recovery certificate, PEM or DER.")
]


@app.command()
def create(
    context: typer.Context,
    vault: Vault,
    shares: Shares = None,
    certificate: Certificate = None,
    name: Name = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a recovery key of 48 digits and show it this once; or shares of it, or take a certificate instead."""
    if shares is not None and certificate is not None:
        raise typer.BadParameter("--shares and --certificate exclude each other")
    split = None if shares is None else _split(shares)
    with speaking():
        keeper = vault_words.custodian(context, config)
        if certificate is not None:
            added = keeper.add_certificate(vault, certificate, name)
        else:
            added = keeper.add_recovery_key(vault, split, name)
        if as_json:
            told = {"vault": vault, "name": added.name, "kind": str(added.kind)}
            value(told | ({"shown": list(added.shown)} if added.shown else {}))
            return
        say(f"Protector {plain(added.name)} ({added.kind}) opens vault {plain(vault)} from now on.")
        vault_words.shown_once(vault, added)


@app.command()
def verify(context: typer.Context, vault: Vault, key: Key = None, config: Config = None, as_json: Json = False) -> None:
    """Prove to hold the recovery key, or enough of its shares. When that was is kept in the vault's file.

    Without a terminal they are read from standard input, a share a line.
    """
    with speaking():
        keeper = vault_words.custodian(context, config)
        proved = keeper.verify(vault, _given(context, keeper, vault, key))
        from gateway.world.clock import rfc3339

        when = rfc3339(proved.proved or 0)
        if as_json:
            value({"vault": vault, "name": proved.name, "kind": str(proved.kind), "proved": when})
            return
        say(f"It opens vault {plain(vault)}: protector {plain(proved.name)} was proved at {moment(when)}.")


@app.command("open")
def open_(
    context: typer.Context,
    vault: Vault,
    key: Key = None,
    secret_file: SecretFile = None,
    passphrase: FromTerminal = False,
    passphrase_stdin: FromInput = False,
    passphrase_file: FromFile = None,
    name: Name = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Open a vault once, by its recovery key, shares or certificate, to give it a new protector."""
    if passphrase_stdin and key is None:
        raise typer.BadParameter("standard input brings the recovery key already; say --passphrase-file FILE")
    with speaking():
        keeper = vault_words.custodian(context, config)
        given = _given(context, keeper, vault, key)
        wanted = Wanted(name, secret_file, passphrase, passphrase_stdin, passphrase_file)
        sentences: list[str] = []

        def make(opened: Custodian) -> Added:
            added, sentence = wanted.add(opened, vault)
            sentences.append(sentence)
            return added

        added = keeper.reopen(vault, given, make)
        vault_words.warn(added.fault)
        if as_json:
            value({"vault": vault, "name": added.name, "kind": str(added.kind)})
            return
        say(f"Protector {plain(added.name)} opens vault {plain(vault)} from now on. {plain(' '.join(sentences))}")


def _split(text: str) -> tuple[int, int]:
    needed, _, count = text.partition("/")
    if not (needed.isdecimal() and count.isdecimal() and len(text) < 8):
        raise typer.BadParameter(f"--shares {plain(text)}: right would be two numbers such as 2/3")
    return int(needed), int(count)


def _given(context: typer.Context, keeper: Custodian, vault: str, key: Path | None) -> Given:
    """What somebody brings to open the vault with: a private key, or what he types."""
    from gateway.app.custodian import given_key, given_text
    from gateway.keys.providers.file.sheet import Kind

    terminal = reach(context).terminal()
    if key is not None:
        return given_key(key, (lambda: hidden("Passphrase of the private key").encode()) if terminal else None)
    if not terminal:
        lines = vault_words.read_lines()
        return given_text(keeper.asks_for(vault, " ".join(lines))[0], lines)
    kind, count = keeper.asks_for(vault)
    first = hidden("Recovery key (48 digits)" if kind is Kind.RECOVERY_KEY else f"Share 1 of {count}")
    kind, count = keeper.asks_for(vault, first)
    others = range(2, count + 1 if kind is Kind.SHARES else 2)
    return given_text(kind, [first, *(hidden(f"Share {number} of {count}") for number in others)])
