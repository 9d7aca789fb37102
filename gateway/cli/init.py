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
Portal = Annotated[str | None, typer.Option("--portal", metavar="HOST:PORT", help="Not built yet.", hidden=True)]
Imap = Annotated[str | None, typer.Option("--imap", metavar="HOST:PORT", help="Not built yet.", hidden=True)]


def init(
    folder: Folder,
    domain: Domain = None,
    listen: Listen = None,
    next_hop: NextHop = None,
    portal: Portal = None,
    imap: Imap = None,
) -> None:
    """Make a folder with settings, development certificates, keys and data; asks nothing, overwrites nothing."""
    from gateway.app import init as maker
    from gateway.world.chance import SystemChance
    from gateway.world.clock import SystemClock

    for option, value, part in (("--portal", portal, "the recipients' portal"), ("--imap", imap, "mailbox access")):
        if value is not None:
            complain(f"{option}: {part} is not built yet; right would be to leave it out")
            raise typer.Exit(2)
    try:
        made = maker.init(
            folder,
            domains=domain or (),
            listen=listen or (),
            next_hop=next_hop,
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
    line("  gateway.toml", f"the settings; domains of yours: {', '.join(made.domains)}")
    line("  certs/      ", "a development CA and a server certificate from it, for this machine alone")
    line("  vault/      ", "the root keys; in earnest on another disk, and in a backup of their own")
    line("  data/       ", "mail on its way, sealed with those keys")
    if made.outbox is not None:
        line("  outbox/     ", "here every message that leaves becomes a file; --next-hop sends it on instead")
    line("  rules/      ", "for transport rules, which a later version brings")
    where = " and ".join(made.listen)
    goes = f"goes on to {made.next_hop}" if made.next_hop else "lands in outbox/"
    say(f"It will take mail from this machine at {where}; what it takes {goes}.")
    say(f"Next: gateway serve --config {plain(made.settings)}")
