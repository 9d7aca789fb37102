"""`gateway mailbox`: whose mail ends here, under which policy it lies, and by which addresses it is reached."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, line, say, table, value
from gateway.cli.password_input import read_password
from gateway.cli.reach import console, reach, speaking
from gateway.cli.words import count, moment, octets, plain, some
from gateway.settings.mailboxes import MOST_QUOTA

_SIZE = re.compile(r"([0-9]{1,15})\s*([kmgt]i?b?)?", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="The mailbox's address, or an alias of it.")]
Aliases = Annotated[list[str], typer.Argument(metavar="ALIAS", help="Other addresses of the mailbox.")]
Quota = Annotated[
    str | None,
    typer.Option("--quota", metavar="SIZE", help="What it may hold, such as 500M or 2G; 0: as much as there is room."),
]
Policy = Annotated[
    str | None,
    typer.Option("--policy", metavar="NAME|none", help="Data encryption policy; default: the default policy."),
]

app = typer.Typer(name="mailbox", help="Mail that ends here: mailboxes and their addresses.", no_args_is_help=True)
alias = typer.Typer(name="alias", help="Give or take aliases.", no_args_is_help=True)
app.add_typer(alias)


@app.command()
def create(
    context: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Its address, such as ida@corp.example.")],
    policy: Policy = None,
    password_stdin: Annotated[
        bool,
        typer.Option("--password-stdin", help="Read its account's password from standard input, up to the line's end."),
    ] = False,
    quota: Quota = None,
    aliases: Annotated[
        list[str] | None, typer.Option("--alias", metavar="ADDRESS", help="Another address of it. May repeat.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option("--account", metavar="NAME", help="Whose it is, as `gateway user` has it; default: ADDRESS."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a mailbox, and the account with which its user logs in; without --password-stdin a password is made."""
    size = None if quota is None else size_of(quota)
    password = read_password() if password_stdin else None
    with speaking():
        answer = console(context, config).ask(
            "mailbox.create",
            address=address,
            policy=policy,
            password=password,
            quota=size,
            aliases=list(aliases or ()),
            account=account,
        )
        if as_json:
            value(answer)
        else:
            say(f"Made the mailbox {plain(answer['address'])} of {plain(answer['account'])}, {_under(answer)}.")
            if "password" in answer:
                line("Password:", answer["password"])
                say("It is shown this once.")
        _warn(answer)


@app.command("list")
def list_(context: typer.Context, policy: Policy = None, config: Config = None, as_json: Json = False) -> None:
    """Show all mailboxes, or those of a policy."""
    with speaking():
        rows = console(context, config).ask("mailbox.list", policy=policy)
        if as_json:
            value(rows)
        elif rows:
            table(("address", "account", "policy", "messages", "used", "quota"), [_row(one) for one in rows])
        else:
            say("There is no mailbox. To make one: gateway mailbox create ADDRESS")


def _row(one: dict[str, Any]) -> list[str]:
    used, quota = octets(one["used"]), "-" if one["quota"] is None else octets(one["quota"])
    policy = plain(one["policy"] or "-") + (" (rolling)" if one["rolling"] else "")
    address = plain(one["address"]) + (" (removing)" if one["state"] == "removing" else "")
    return [address, plain(one["account"]), policy, str(one["messages"]), used, quota]


@app.command()
def show(context: typer.Context, address: AddressArgument, config: Config = None, as_json: Json = False) -> None:
    """Tell everything of one mailbox: whether it is open, its keys, its addresses, its folders."""
    with speaking():
        answer = console(context, config).ask("mailbox.show", address=address)
        if as_json:
            value(answer)
        else:
            _tell(answer)


def _tell(one: dict[str, Any]) -> None:
    print(plain(one["address"]))
    left = f"; {count(one['left'], 'content')} still under the one before" if one["rolling"] else ""
    for head, text in (
        ("account", plain(one["account"])),
        ("policy", plain(one["policy"] or "none: it lies under the service's own key")),
        ("state", "open" if one["open"] else f"closed: {plain(one['reason'])}"),
        ("key", f"version {one['key_version']}{left}"),
        ("aliases", some(one["aliases"]) or "-"),
        ("catch-all", some(one["catch_all"]) or "-"),
        ("holds", f"{count(one['messages'], 'message')}, {octets(one['used'])}{_of_quota(one)}"),
        ("created", moment(one["created"])),
    ):
        line(f"  {head + ':':11}", text)
    print()
    rows = [
        [plain(folder["name"]), str(folder["messages"]), str(folder["unseen"]), plain(folder["special_use"] or "-")]
        for folder in one["folders"]
    ]
    table(("folder", "messages", "unseen", "use"), rows)


def _of_quota(one: dict[str, Any]) -> str:
    return "" if one["quota"] is None else f" of {octets(one['quota'])}"


@app.command()
def assign(
    context: typer.Context,
    address: AddressArgument,
    policy: Annotated[str, typer.Argument(metavar="POLICY|none", help="The policy's name.")],
    roll: Annotated[
        bool, typer.Option("--roll", help="Give it a new key too; contents are wrapped under it in the background.")
    ] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Put a mailbox under another policy: its key is wrapped anew, its mail is not touched, and it stays readable."""
    with speaking():
        answer = console(context, config).ask("mailbox.assign", address=address, policy=policy, roll=roll)
        if as_json:
            value(answer)
            return
        say(f"The mailbox {plain(answer['address'])} is {_under(answer)}.")
        if answer["rolling"]:
            say("What lies in it is wrapped under its new key in the background; gateway mailbox show tells how far.")


@alias.command("add")
def alias_add(
    context: typer.Context, address: AddressArgument, aliases: Aliases, config: Config = None, as_json: Json = False
) -> None:
    """Let mail for other addresses come into a mailbox."""
    _change_aliases(context, "mailbox.alias_add", address, aliases, config, as_json)


@alias.command("remove")
def alias_remove(
    context: typer.Context, address: AddressArgument, aliases: Aliases, config: Config = None, as_json: Json = False
) -> None:
    """Let mail for these addresses come into a mailbox no more."""
    _change_aliases(context, "mailbox.alias_remove", address, aliases, config, as_json)


def _change_aliases(
    context: typer.Context, command: str, address: str, aliases: list[str], config: Config, as_json: bool
) -> None:
    with speaking():
        answer = console(context, config).ask(command, address=address, aliases=aliases)
        if as_json:
            value(answer)
        else:
            has = some(answer["aliases"])
            say(f"The mailbox {plain(answer['address'])} has {f'the aliases {has}' if has else 'no alias'}.")
        _warn(answer)


@app.command("catch-all")
def catch_all(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain whose mail ends here.")],
    address: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", help="The mailbox that takes what is for nobody there.")
    ] = None,
    remove_: Annotated[bool, typer.Option("--remove", help="Refuse what is for nobody there.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let a mailbox take what is addressed to nobody in a domain."""
    if remove_ == (address is not None):
        raise typer.BadParameter("say which mailbox takes it, or --remove")
    with speaking():
        answer = console(context, config).ask("mailbox.catch_all", domain=domain, address=address)
        if as_json:
            value(answer)
        elif address is None:
            say(f"What is for nobody in {plain(answer['domain'])} is refused.")
        else:
            say(f"What is for nobody in {plain(answer['domain'])} goes to {plain(answer['mailbox'])}.")
        _warn(answer)


@app.command()
def quota(
    context: typer.Context,
    address: AddressArgument,
    size: Annotated[str, typer.Argument(metavar="SIZE", help="Such as 500M or 2G; 0: as much as there is room.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say how much a mailbox may hold; what lies there above it stays."""
    wanted = size_of(size)
    with speaking():
        answer = console(context, config).ask("mailbox.quota", address=address, quota=wanted)
        if as_json:
            value(answer)
        else:
            may = "as much as there is room" if answer["quota"] is None else octets(answer["quota"])
            say(f"The mailbox {plain(answer['address'])} holds {octets(answer['used'])} and may hold {may}.")


@app.command()
def remove(
    context: typer.Context,
    address: AddressArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Destroy a mailbox, its key and all that is in it. Its account stays."""
    if not yes:
        if not reach(context).terminal():
            raise typer.BadParameter("say --yes; here is no terminal to ask at")
        if not typer.confirm(f"Destroy the mailbox {plain(address)} and all that is in it?", err=True):
            raise typer.Exit(1)
    with speaking():
        answer = console(context, config).ask("mailbox.remove", address=address)
        if as_json:
            value(answer)
        else:
            say(f"Removed the mailbox {plain(answer['address'])} with {count(answer['messages'], 'message')}.")
            say(f"Its account {plain(answer['account'])} stays; gateway user remove forgets it.")


def size_of(text: str) -> int:
    """Octets of `500M`, `2GiB` or a plain number; units are of 1,024. Raises typer.BadParameter."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{plain(text)} is no size; right would be such as 500M, 2G, or 0 for none")
    size = int(match[1]) << _UNITS[(match[2] or "")[:1].lower()]
    if size > MOST_QUOTA:
        raise typer.BadParameter(f"{plain(text)} is too much; at most 1024T, such as 500M, 2G, or 0 for none")
    return size


def _under(answer: dict[str, Any]) -> str:
    return f"under the policy {plain(answer['policy'])}" if answer["policy"] else "under no policy"


def _warn(answer: dict[str, Any]) -> None:
    for warning in answer.get("warnings", ()):
        complain(f"warning: {warning}")
