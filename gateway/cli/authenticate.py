"""`gateway authenticate`: who a message really comes from, judged by hand."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, table, value
from gateway.cli.words import count, octets, plain

if TYPE_CHECKING:
    from gateway.mail.authentication import Authentication

File = Annotated[Path, typer.Argument(metavar="MESSAGE", help="The message as a file, or - for standard input.")]
Ip = Annotated[str | None, typer.Option("--ip", metavar="IP", help="Address of the client that handed it in.")]
Helo = Annotated[str | None, typer.Option("--helo", metavar="NAME", help="What the client called itself.")]
MailFrom = Annotated[str | None, typer.Option("--mail-from", metavar="ADDRESS", help="Its envelope's sender.")]
Zone = Annotated[
    Path | None,
    typer.Option("--zone", metavar="FILE", help="Answer from this file instead of the DNS: NAME TYPE VALUE on a line."),
]


def authenticate(
    message: File,
    ip: Ip = None,
    helo: Helo = None,
    mail_from: MailFrom = None,
    zone: Zone = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Judge the DKIM signatures of a message. Needs no settings and no running gateway.

    The exit status says whether it was judged, not what came of it: 0 it was, 1 a file can't be read, 2 wrong use.
    What SPF will need (--ip, --helo, --mail-from) is taken already; SPF, DMARC and ARC are null until they are built.
    """
    del config  # Taken, as by every command, and not needed.
    from gateway.app import authenticate as judge
    from gateway.authenticate.stage import facts
    from gateway.world.zone_file import ZoneFault

    if ip is not None:
        _check_ip(ip)
    try:
        content = sys.stdin.buffer.read() if str(message) == "-" else message.read_bytes()
        found = asyncio.run(judge.authenticate(judge.message_of(content), zone))
    except ZoneFault as fault:
        complain(str(fault))
        raise typer.Exit(1) from None
    except OSError as error:
        complain(f"{error.filename or message}: {error.strerror or error}")
        raise typer.Exit(1) from None
    if as_json:
        value({"spf": None, **facts(found), "dmarc": None, "arc": None})
    else:
        _tell(message, len(content), found)


def _check_ip(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise typer.BadParameter(f"--ip {plain(text)} is no address; right would be 192.0.2.7 or 2001:db8::7") from None


def _tell(message: Path, size: int, found: Authentication) -> None:
    from gateway.authenticate.dkim.findings import ALL

    signed = [one for one in found.dkim if one.reason != "not_signed"]
    number = len(signed) + found.skipped
    say(f"{plain(message)}, {octets(size)}, has {count(number, 'DKIM signature') if number else 'no DKIM signature'}.")
    if signed:
        print()
        rows = []
        for one in signed:
            key = (
                f"{one.algorithm}, {one.bits:,} bits" if one.bits and one.algorithm.startswith("rsa") else one.algorithm
            )
            why = ALL[one.reason].text if one.reason else "fields and body are as they were signed"
            rows.append((one.verdict.value, one.domain or "-", one.selector or "-", key or "-", why))
        table(("DKIM", "Domain", "Selector", "Key", "Why"), rows)
        print()
    if found.skipped:
        say(f"{count(found.skipped, 'signature')} below these {'was' if found.skipped == 1 else 'were'} not judged.")
    say("SPF, DMARC and ARC are not judged by this version.")
