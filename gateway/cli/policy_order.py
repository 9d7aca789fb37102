"""`gateway policy order`: the custodian signs that a policy may be destroyed, on their own machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import say
from gateway.cli.private_file import write_private
from gateway.cli.reach import reach
from gateway.cli.small_file import read_text
from gateway.cli.words import plain


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(order)


def order(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The policy.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="For the order; - is standard output.")],
    key: Annotated[Path, typer.Option("--key", metavar="CUSTODIAN.pem", help="Their private key: Ed25519, RSA or EC.")],
    policy_id: Annotated[
        int | None,
        typer.Option(
            "--id", metavar="ID", min=1, help="The policy's id, of gateway policy show: the order fits no other."
        ),
    ] = None,
    successor: Annotated[
        Path | None,
        typer.Option("--successor", metavar="PUBLIC.pem", help="Order no end, but this key in the custodian's place."),
    ] = None,
) -> None:
    """Make and sign the order by which a policy is purged. Needs no settings and no gateway."""
    from gateway.app.policy_order import OrderRefused, PassphraseWanted, ordered
    from gateway.world.chance import SystemChance

    texts = read_text(key), None if successor is None else read_text(successor)

    def make(passphrase: str | None) -> bytes:
        return ordered(
            name,
            texts[0],
            policy_id=policy_id,
            successor=texts[1],
            passphrase=passphrase,
            clock=reach(context).clock,
            chance=SystemChance(),
        )

    try:
        try:
            octets = make(None)
        except PassphraseWanted:
            if not reach(context).terminal():
                raise
            octets = make(typer.prompt("Passphrase of the private key", hide_input=True, err=True))
        write_private(out, octets)
    except (OrderRefused, OSError) as refused:
        text = f"{out}: {refused.strerror}" if isinstance(refused, OSError) else str(refused)
        complain(text)
        raise typer.Exit(1) from None
    if out != Path("-"):
        what = "the end of" if successor is None else "another custodian of"
        say(f"Wrote {plain(out)}, which orders {what} {plain(name)}.")
