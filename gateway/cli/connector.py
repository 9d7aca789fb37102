"""`gateway connector test`: whether a connector works, step by step, and what would be right where it does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, line, say, value
from gateway.cli.reach import reach, settings_path, speaking
from gateway.cli.words import plain, seconds

if TYPE_CHECKING:
    from gateway.mail.address import Address

Name = Annotated[str, typer.Argument(metavar="NAME", help="The connector's name in gateway.toml.")]
To = Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="A recipient to ask the host about.")]
From = Annotated[str | None, typer.Option("--from", metavar="ADDRESS", help="The sender; default: postmaster of ours.")]
Send = Annotated[bool, typer.Option("--send", help="Send a short test message to the recipient.")]
Inbound = Annotated[bool, typer.Option("--inbound", help="The inbound connector, where both have that name.")]
FromAddress = Annotated[
    str | None, typer.Option("--from-address", metavar="IP", help="For an inbound one: a client's address.")
]

app = typer.Typer(name="connector", help="Try connectors.", no_args_is_help=True)


@app.callback()
def _connector() -> None:
    """Try connectors."""


@app.command()
def test(
    context: typer.Context,
    name: Name,
    recipient: To = None,
    sender: From = None,
    send: Send = False,
    inbound: Inbound = False,
    from_address: FromAddress = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Try a connector by hand: names, connection, TLS, certificate, login, recipient. No running gateway is needed."""
    if send and recipient is None:
        raise typer.BadParameter("--send needs --to ADDRESS: whom the message is for")
    theirs, mine = _address("--to", recipient), _address("--from", sender)
    _ip(from_address)
    with speaking():
        from gateway.app.connector_test import NoConnector, Wish, connector_test
        from gateway.settings.load import loaded
        from gateway.world.chance import SystemChance
        from gateway.world.dns import SystemNames

        path = settings_path(config)
        settings = loaded(path)
        clock = reach(context).clock
        wish = Wish(name=name, recipient=theirs, sender=mine, send=send, inbound=inbound, from_address=from_address)

        async def tried() -> dict[str, Any]:
            dns = settings.settings.dns
            names = SystemNames(list(dns.resolvers), dns.timeout, clock)
            try:
                return await connector_test(settings, wish, names=names, clock=clock, chance=SystemChance())
            finally:
                await names.close()

        try:
            report = asyncio.run(tried())
        except (NoConnector, OSError) as fault:
            complain(str(fault))
            raise typer.Exit(1) from None
        if as_json:
            value(report)
        else:
            _tell(report)
        if not report["ok"]:
            raise typer.Exit(1)


def _tell(report: dict[str, Any]) -> None:
    marks = {True: "ok", False: "FAILED", None: "note"}
    for step in report["steps"]:
        if step["name"] == "connect":
            print()
        line(f"{marks[step['ok']]:6}  {step['name']:11}  {seconds(step['seconds']):>7}", plain(step["result"]))
        if step["ok"] is False and step["right"]:
            line(" " * 28, f"Right would be {plain(step['right'])}.")
    print()
    name = plain(report["connector"])
    failed = [step for step in report["steps"] if step["ok"] is False]
    if not report["ok"]:
        say(f"The connector {name} does not work: {plain(failed[-1]['name'])} failed.")
    elif failed:
        say(f"The connector {name} works, though not at every address.")
    else:
        say(f"The connector {name} works." if report["direction"] == "outbound" else f"That is the connector {name}.")


def _address(option: str, text: str | None) -> Address | None:
    """`text` as an address. Raises typer.BadParameter, with the option's name."""
    from gateway.mail.address import BadAddress, parse_address

    if text is None:
        return None
    try:
        return parse_address(text)
    except BadAddress as error:
        raise typer.BadParameter(
            f"{option} {plain(repr(text))} is no address ({error}); right would be one such as otto@partner.example"
        ) from error


def _ip(text: str | None) -> None:
    import ipaddress

    try:
        if text is not None:
            ipaddress.ip_address(text)
    except ValueError:
        raise typer.BadParameter(f"--from-address {plain(repr(text))} is no IP address; 192.0.2.7 would be") from None
