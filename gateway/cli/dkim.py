"""`gateway dkim`: the keys with which mail is signed in the name of our domains."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import unbuilt
from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, table, value
from gateway.cli.reach import console, speaking
from gateway.cli.words import moment, plain, some

Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="The domain in whose name is signed.")]
Selector = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Under which name the record stands; default: the day. With two keys one gets an ending."
    ),
]
Type = Annotated[
    str | None, typer.Option("--type", metavar="TYPE", help="rsa-2048 or ed25519; default: one of each, side by side.")
]
Vault = Annotated[
    str | None, typer.Option(metavar="NAME", help="Where the key is made; default: dkim.vault, else the first one.")
]
Activate = Annotated[
    bool, typer.Option("--activate", help="Sign with the successors from now on; their records must be published.")
]

app = typer.Typer(name="dkim", help="Signing mail in the name of our domains.", no_args_is_help=True)
key = typer.Typer(name="key", help="Make and change the keys, and show their DNS records.", no_args_is_help=True)
app.add_typer(key)
unbuilt.refuse(
    key,
    "publish",
    "publishing records by itself",
    "to put what gateway dkim key show prints into the DNS by hand",
)

_DENIED = {"disabled": "its key is disabled", "deleted": "its key is deleted"}
_STATES = {"active": "signs", "next": "waits to be activated", "retired": "signs no more"}


@app.callback()
def _dkim() -> None:
    """Signing mail in the name of our domains."""


@key.command()
def create(
    context: typer.Context,
    domain: Domain,
    selector: Selector = None,
    type_: Type = None,
    vault: Vault = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make the keys of a domain and sign with them at once; show the DNS records to publish."""
    with speaking():
        ask = console(context, config).ask
        answer = ask("dkim.create", domain=domain, selector=selector, type=type_, vault=vault)
        if as_json:
            value(answer)
        else:
            say(f"Mail from {plain(answer['keys'][0]['domain'])} is signed from now on. Publish in the DNS:\n")
            _records(answer["keys"])
        _warn(answer)


@key.command()
def show(context: typer.Context, domain: Domain, config: Config = None, as_json: Json = False) -> None:
    """Show a domain's DNS records, each as a line for a zone file and as plain text."""
    with speaking():
        rows = console(context, config).ask("dkim.show", domain=domain)
        if as_json:
            value(rows)
        else:
            _records(rows)


@key.command("list")
def list_(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Show all keys with which mail is signed."""
    with speaking():
        rows = console(context, config).ask("dkim.list")
        if as_json:
            value(rows)
        elif rows:
            table(("domain", "selector", "type", "state", "key", "created"), [_row(one) for one in rows])
        else:
            say("No mail is signed. To begin: gateway dkim key create DOMAIN")


@key.command()
def rotate(
    context: typer.Context,
    domain: Domain,
    activate: Activate = False,
    selector: Selector = None,
    vault: Vault = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make successors of a domain's keys; sign with them once they are published (--activate).

    The old records must stay in the DNS for some days after that, for mail that is still on its way.
    """
    if activate and (selector is not None or vault is not None):
        raise typer.BadParameter("--activate makes no key, so --selector and --vault do not go with it")
    with speaking():
        ask = console(context, config).ask
        if activate:
            answer = ask("dkim.activate", domain=domain)
            now = [plain(one["selector"]) for one in answer["keys"] if one["state"] == "active"]
            old = [plain(one["selector"]) for one in answer["keys"] if one["state"] == "retired"]
            sentence = (
                f"Mail is signed with {' and '.join(now)} from now on.\n"
                f"Leave the records of {some(old)} in the DNS for a week: mail that they signed is still on its way."
            )
        else:
            answer = ask("dkim.rotate", domain=domain, selector=selector, vault=vault)
            name = plain(answer["keys"][0]["domain"])
            sentence = f"Publish in the DNS; then: gateway dkim key rotate {name} --activate\n"
        if as_json:
            value(answer)
        else:
            say(sentence)
            if not activate:
                _records(answer["keys"])
        _warn(answer)


def _row(one: dict[str, Any]) -> list[str]:
    return [
        plain(one["domain"]),
        plain(one["selector"]),
        plain(one["type"]),
        _state(one),
        f"{plain(one['vault'])}/{plain(one['key'])}",
        moment(one["created"]),
    ]


def _state(one: dict[str, Any]) -> str:
    """What a key does; one that should sign may be denied by its vault."""
    words = _STATES.get(one["state"], plain(one["state"]))
    if one["state"] == "retired" or one["key_state"] == "enabled":
        return words
    return f"{words}, but {_DENIED.get(one['key_state'], 'its vault does not say so')}"


def _records(rows: list[dict[str, Any]]) -> None:
    """Whole and unfolded: they are copied from here."""
    for place, one in enumerate(rows):
        if place:
            print()
        print(f"; {plain(one['type'])}, {_state(one)}")
        print(one["zone"])
        print(f";   name   {one['name']}")
        print(f";   value  {one['record']}")


def _warn(answer: dict[str, Any]) -> None:
    for warning in answer.get("warnings", ()):
        complain(f"warning: {warning}")
