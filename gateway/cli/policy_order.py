"""`gateway policy order`: the custodian signs that a policy may be destroyed, on their own machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.complaint import complain, is_for_people
from gateway.cli.output import Config, say
from gateway.cli.private_file import write_private
from gateway.cli.reach import console, reach, speaking
from gateway.cli.small_file import read_text
from gateway.cli.words import plain
from gateway.settings.fault import BadSettings


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
    by_name: Annotated[
        bool, typer.Option("--by-name", help="Order without the id: it fits any gateway's policy of that name.")
    ] = False,
    successor: Annotated[
        Path | None,
        typer.Option("--successor", metavar="PUBLIC.pem", help="Order no end, but this key in the custodian's place."),
    ] = None,
    config: Config = None,
) -> None:
    """Make and sign the order by which a policy is purged. Needs no settings and no gateway.

    Where there are settings, the gateway is asked for the policy's id, so that the order fits no other of its name.
    """
    if by_name and policy_id is not None:
        raise typer.BadParameter("right would be one of --id ID and --by-name")
    from gateway.app.policy_order import OrderRefused, PassphraseWanted, ordered
    from gateway.world.chance import SystemChance

    texts = read_text(key), None if successor is None else read_text(successor)
    if policy_id is None and not by_name:
        policy_id = _id_of(context, name, config)

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
        which = "" if policy_id is None else f" (the policy of the id {policy_id}, and no other)"
        say(f"Wrote {plain(out)}, which orders {what} {plain(name)}{which}.")


def _id_of(context: typer.Context, name: str, config: Path | None) -> int | None:
    """The policy's id, as the gateway knows it. None, with a warning, where no settings were named and those that are
    found, if any, don't tell it: an order is made on the custodian's machine too. Exits with 1 where they were named.
    """
    if config is not None:
        with speaking():
            if (found := _known(context, name, config)) is not None:
                return found
            complain(f"{config} has no policy {name} that could be ended; gateway policy list shows those there are")
        raise typer.Exit(1)
    why = f"the gateway that is found here has no policy {name}"
    try:
        if (found := _known(context, name, None)) is not None:
            return found
    except BadSettings:
        why = "no settings are found here"
    except Exception as error:
        if not is_for_people(error):
            raise
        why = f"the gateway that is found here does not tell its id ({error})"
    complain(
        f"warning: the order fits any gateway's policy of the name {name} under this custodian, since {why}; right "
        "would be --id ID with the id that gateway policy show tells, or --by-name to mean it"
    )
    return None


def _known(context: typer.Context, name: str, config: Path | None) -> int | None:
    rows = console(context, config).ask("policy.list")
    return next((int(row["id"]) for row in rows if row["name"] == name and row["state"] != "purged"), None)
