"""`gateway user`: who may log in, with which password, and as whom they may send."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, line, say, table, value
from gateway.cli.password_input import read_password
from gateway.cli.reach import console, reach, speaking
from gateway.cli.words import moment, plain, some

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name with which one logs in; case does not count.")]
Addresses = Annotated[
    list[str] | None,
    typer.Option("--address", metavar="ADDRESS", help="May be used as sender; *@DOMAIN for all of it. May repeat."),
]
Listed = Annotated[list[str], typer.Argument(metavar="ADDRESS", help="ida@corp.example, or *@corp.example for all.")]
FromInput = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, up to the first line's end.")
]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and show it once.")]

app = typer.Typer(name="user", help="Who may log in, and as whom they may send.", no_args_is_help=True)
address = typer.Typer(name="address", help="Give or take addresses.", no_args_is_help=True)
app.add_typer(address)


@app.command("list")
def list_(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Show who may log in."""
    with speaking():
        rows = console(context, config).ask("user.list")
        if as_json:
            value(rows)
        elif rows:
            table(("name", "state", "addresses", "created"), [_row(one) for one in rows])
        else:
            say("Nobody may log in. To let somebody: gateway user add NAME --generate")


def _row(user: dict[str, Any]) -> list[str]:
    state = user["state"].replace("_", " ")
    return [plain(user["name"]), plain(state), some(user["addresses"], 5) or "-", moment(user["created"])]


@app.command()
def add(
    context: typer.Context,
    name: Name,
    addresses: Addresses = None,
    password_stdin: FromInput = False,
    generate: Generate = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let somebody log in. A NAME that is an address is also theirs to send from, unless --address says others."""
    password = _password(context, password_stdin, generate)
    given = addresses if addresses is not None else [name] if "@" in name else []
    with speaking():
        answer = console(context, config).ask("user.add", name=name, addresses=given, password=password)
        _tell(answer, as_json, f"Added {plain(answer['name'])}, who{_sends(answer)}.")


@app.command("password")
def password_(
    context: typer.Context,
    name: Name,
    password_stdin: FromInput = False,
    generate: Generate = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Give somebody another password; whoever is logged in with the old one must log in again."""
    password = _password(context, password_stdin, generate)
    with speaking():
        answer = console(context, config).ask("user.password", name=name, password=password)
        _tell(answer, as_json, f"{plain(answer['name'])} has a new password from now on.")


@app.command()
def remove(context: typer.Context, name: Name, config: Config = None, as_json: Json = False) -> None:
    """Let somebody log in no more, and forget them."""
    with speaking():
        answer = console(context, config).ask("user.remove", name=name)
        _tell(answer, as_json, f"Removed {plain(answer['name'])}.")


@app.command()
def disable(context: typer.Context, name: Name, config: Config = None, as_json: Json = False) -> None:
    """Let somebody log in no more, but keep name, password and addresses."""
    with speaking():
        answer = console(context, config).ask("user.disable", name=name)
        _tell(answer, as_json, f"{plain(answer['name'])} may not log in until enabled again.")


@app.command()
def enable(context: typer.Context, name: Name, config: Config = None, as_json: Json = False) -> None:
    """Let somebody log in again."""
    with speaking():
        answer = console(context, config).ask("user.enable", name=name)
        _tell(answer, as_json, f"{plain(answer['name'])} may log in.")


@address.command("add")
def address_add(
    context: typer.Context, name: Name, addresses: Listed, config: Config = None, as_json: Json = False
) -> None:
    """Give somebody addresses to send from."""
    with speaking():
        answer = console(context, config).ask("user.addresses", name=name, add=addresses)
        _tell(answer, as_json, f"{plain(answer['name'])}{_sends(answer)}.")


@address.command("remove")
def address_remove(
    context: typer.Context, name: Name, addresses: Listed, config: Config = None, as_json: Json = False
) -> None:
    """Take addresses from somebody."""
    with speaking():
        answer = console(context, config).ask("user.addresses", name=name, remove=addresses)
        _tell(answer, as_json, f"{plain(answer['name'])}{_sends(answer)}.")


def _sends(answer: dict[str, Any]) -> str:
    return f" may send as {some(answer['addresses'])}" if answer["addresses"] else " may send as nobody"


def _tell(answer: dict[str, Any], as_json: bool, sentence: str) -> None:
    if as_json:
        value(answer)
    else:
        say(sentence)
        if "password" in answer:
            line("Password:", answer["password"])
            say("It is shown this once.")
    for warning in answer.get("warnings", ()):
        complain(f"warning: {warning}")


def _password(context: typer.Context, from_input: bool, generate: bool) -> str | None:
    """The password that was given; None: one is to be made. Never an argument: other users of the machine see those."""
    if from_input and generate:
        raise typer.BadParameter("--password-stdin and --generate exclude each other")
    if generate:
        return None
    if from_input:
        return read_password()
    if not reach(context).terminal():
        raise typer.BadParameter("say --password-stdin or --generate; here is no terminal to ask at")
    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return answer
