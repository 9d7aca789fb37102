"""`gateway init`: a new folder with all that a gateway needs to start."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import line, say
from gateway.cli.words import plain

if TYPE_CHECKING:
    from gateway.app.init import Made

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")]
Domain = Annotated[
    list[str] | None,
    typer.Option("--domain", metavar="D", help="A domain of yours; may repeat. Default: corp.example."),
]
Listen = Annotated[
    list[str] | None,
    typer.Option("--listen", metavar="HOST:PORT", help="Where to take mail; may repeat. Default: 127.0.0.1:2525."),
]
NextHop = Annotated[
    str | None,
    typer.Option("--next-hop", metavar="HOST:PORT", help="Where all mail goes. Default: files in DIR/outbox."),
]
NoRecoveryKey = Annotated[
    bool,
    typer.Option("--no-recovery-key", help="Leave out the vault's recovery key; gateway key recovery create adds one."),
]
Portal = Annotated[
    str | None,
    typer.Option("--portal", metavar="HOST:PORT", help="Where the recipients' portal serves. Default: there is none."),
]
Imap = Annotated[
    str | None,
    typer.Option("--imap", metavar="HOST:PORT", help="Where people read their mailboxes. Default: no mail ends here."),
]


def init(
    folder: Folder,
    domain: Domain = None,
    listen: Listen = None,
    next_hop: NextHop = None,
    no_recovery_key: NoRecoveryKey = False,
    portal: Portal = None,
    imap: Imap = None,
) -> None:
    """Make a folder with settings, development certificates, keys and data; asks nothing, overwrites nothing."""
    from gateway.app import init as maker
    from gateway.world.chance import SystemChance
    from gateway.world.clock import SystemClock

    try:
        made = maker.init(
            folder,
            domains=domain or (),
            listen=listen or (),
            next_hop=next_hop,
            portal=portal,
            imap=imap,
            recovery_key=not no_recovery_key,
            hostname=platform.node(),
            clock=SystemClock(),
            chance=SystemChance(),
        )
    except maker.WrongUse as error:
        complain(str(error))
        raise typer.Exit(2) from error
    except maker.Refusal as error:
        complain(str(error))
        raise typer.Exit(1) from error
    _tell(made)


def _tell(made: Made) -> None:
    say(f"Made {plain(made.folder)}:")
    line("  gateway.toml  ", f"the settings; domains of yours: {', '.join(made.domains)}")
    line("  certs/        ", "a development CA and a server certificate from it, for this machine alone")
    line("  vault/        ", "the root keys, sealed; in earnest on another disk, and in a backup of their own")
    line("  service-secret", "opens the vault at the start; in earnest a credential of systemd")
    line("  data/         ", "mail on its way, sealed with those keys")
    if made.imap is not None:
        line("  root-a, root-b", "the roots of the policy `default`; in earnest tokens or disks of their owner's")
    if made.outbox is not None:
        line("  outbox/       ", "here every message that leaves becomes a file; --next-hop sends it on instead")
    line("  rules/        ", "transport rules: what becomes of a message by what it is; rules/README.md says how")
    where = " and ".join(made.listen)
    goes = f"goes on to {made.next_hop}" if made.next_hop else "lands in outbox/"
    say(f"It will take mail from this machine at {where}; what it takes {goes}.")
    if made.url is not None:
        say(f"The recipients' portal will be at {made.url}; a browser that trusts certs/ca.pem warns of nothing.")
    if made.imap is not None:
        say(
            f"Mail to {' and '.join(made.domains)} will end in mailboxes, read by IMAP at {made.imap}, TLS at once; "
            f"gateway mailbox create ADDRESS --config {plain(made.settings)} makes one. They lie under the policy "
            "`default`; the key in certs/custodian.pem signs the order that ends it, and in earnest lies elsewhere."
        )
    if made.recovery_key is not None:
        _tell_recovery_key(made.recovery_key, made.settings)
    say(f"Next: gateway serve --config {plain(made.settings)}")


def _tell_recovery_key(digits: str, settings: Path) -> None:
    print()
    say("Recovery key of the vault, shown this once:")
    print()
    groups = digits.split("-")
    for half in (groups[:4], groups[4:]):
        say(f"    {'-'.join(half)}")
    print()
    say(
        "It opens the vault on the day when nothing else does; without it and without service-secret all stored mail "
        "is lost. Write it down and keep it away from this machine. Then prove that you hold it: gateway key recovery "
        f"verify main --config {plain(settings)}"
    )
    print()
