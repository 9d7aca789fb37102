"""`gateway policy`: data encryption policies, under which mailboxes lie, from their making to their end."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import policy_order, policy_words
from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, table, value
from gateway.cli.private_file import write_private
from gateway.cli.reach import console, reach, speaking
from gateway.cli.small_file import read_text
from gateway.cli.words import moment, plain

NONE = "none"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The policy.")]
Force = Annotated[bool, typer.Option("--force", help="Also with both roots in one vault.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

app = typer.Typer(name="policy", help="Data encryption policies, under which mailboxes lie.", no_args_is_help=True)
policy_order.add_to(app)


@app.command()
def create(
    context: typer.Context,
    name: Name,
    root: Annotated[
        list[str], typer.Option("--root", metavar="VAULT/KEY", help="A root key; twice, in two different vaults.")
    ],
    custodian: Annotated[
        Path | None,
        typer.Option("--custodian", metavar="PUBLIC.pem", help="Public key of whoever may order the policy's end."),
    ] = None,
    default: Annotated[bool, typer.Option("--default", help="Mailboxes are made under it from now on.")] = False,
    force: Force = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a policy. Both roots are proved first: each wraps its key, and unwraps it."""
    with speaking():
        pem = None if custodian is None else read_text(custodian)
        answer = console(context, config).ask(
            "policy.create", name=name, roots=list(root), custodian=pem, default=default, force=force
        )
        if as_json:
            value(answer)
        else:
            roots = " and ".join(plain(one["key"]) for one in answer["roots"])
            say(f"Made the policy {plain(answer['name'])} under {roots}, both proved.")
        _warn(answer)


@app.command("list")
def list_(context: typer.Context, config: Config = None, as_json: Json = False) -> None:
    """Show all policies, destroyed ones too."""
    with speaking():
        answer = console(context, config).ask("policy.list")
        if as_json:
            value(answer)
            return
        if not answer:
            make = "gateway policy create NAME --root VAULT/KEY --root VAULT/KEY --custodian PUBLIC.pem"
            say(f"There is no policy. To make one: {make}")
            return
        heads = ("policy", "state", "roots", "mailboxes", "default", "since")
        table(heads, [policy_words.row(one) for one in answer])


@app.command()
def show(context: typer.Context, name: Name, config: Config = None, as_json: Json = False) -> None:
    """Show a policy, ask each of its keys whether it answers, and name the versions that something still needs."""
    with speaking():
        answer = console(context, config).ask("policy.show", name=name)
        if as_json:
            value(answer)
        else:
            for head, text in policy_words.facts(answer):
                say(f"{head}: {text}")
            if answer["keys"]:
                print()
                heads = ("key", "wraps as", "version", "newest", "answers")
                table(heads, [policy_words.key_row(one) for one in answer["keys"]])
            _needs(answer)
        _warn(answer)


@app.command()
def refresh(context: typer.Context, name: Name, config: Config = None, as_json: Json = False) -> None:
    """Wrap the policy's key under its roots' newest versions: one row, whatever the mail."""
    with speaking():
        answer = console(context, config).ask("policy.refresh", name=name)
        if as_json:
            value(answer)
        else:
            for sentence in policy_words.renewed(answer):
                say(sentence)
            _needs(answer)


@app.command()
def replace(
    context: typer.Context,
    name: Name,
    root: Annotated[str, typer.Option("--root", metavar="OLD=NEW", help="VAULT/KEY=VAULT/KEY: NEW for the root OLD.")],
    force: Force = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Put one root in the place of another: one row, whatever the mail."""
    old, sign, new = root.partition("=")
    if not (old and sign and new):
        raise typer.BadParameter(f"{root!r} is no replacement; right would be --root VAULT/KEY=VAULT/KEY")
    with speaking():
        answer = console(context, config).ask("policy.replace", name=name, old=old, new=new, force=force)
        if as_json:
            value(answer)
        else:
            say(f"{plain(answer['name'])} is wrapped by {plain(new)} instead of {plain(old)}.")
            _needs(answer)


@app.command()
def default(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME|none", help="The policy; none: mailboxes are made without one.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Have mailboxes made under this policy from now on. Those that are there stay as they are."""
    with speaking():
        answer = console(context, config).ask("policy.default", name=name)
        if as_json:
            value(answer)
        elif answer is None:
            say("Mailboxes are made without a policy from now on, under the service's own key.")
        else:
            say(f"Mailboxes are made under {plain(answer['name'])} from now on.")


@app.command()
def custodian(
    context: typer.Context,
    name: Name,
    public: Annotated[Path, typer.Argument(metavar="PUBLIC.pem", help="Their public key: Ed25519, RSA or EC.")],
    order: Annotated[
        Path | None,
        typer.Option("--order", metavar="FILE", help="Where there is a custodian: their order for the new key."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Name who may order the policy's end, by their public key."""
    with speaking():
        signed = None if order is None else read_text(order)
        answer = console(context, config).ask("policy.custodian", name=name, custodian=read_text(public), order=signed)
        if as_json:
            value(answer)
        else:
            print_ = plain(answer["custodian"])
            say(f"The custodian of {plain(answer['name'])} holds the key {print_} (SHA-256 of the public key).")
        _warn(answer)


@app.command()
def purge(
    context: typer.Context,
    name: Name,
    order: Annotated[
        Path | None, typer.Option("--order", metavar="FILE", help="The custodian's order, of gateway policy order.")
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Take an order back while its grace lasts.")] = False,
    grace: Annotated[float, typer.Option("--grace", metavar="DAYS", help="Days until it is final; 0: at once.")] = 30,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="For the certificate.")] = None,
    contact: Annotated[str | None, typer.Option("--contact", metavar="TEXT", help="For the certificate.")] = None,
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Destroy every copy of the policy's key, so that nobody reads its mailboxes again.

    Needs the custodian's order, and both roots withdrawn by their owners.
    """
    if cancel is (order is not None):
        raise typer.BadParameter("right would be one of --order FILE and --cancel")
    with speaking():
        if order is None:
            answer = console(context, config).ask("policy.cancel", name=name)
        else:
            signed = read_text(order)
            _ask_first(context, name, grace, yes, config)
            answer = console(context, config).ask(
                "policy.purge", name=name, order=signed, grace=grace, reason=reason, contact=contact
            )
        if as_json:
            value(answer)
        else:
            say(policy_words.purged(answer))
        _warn(answer)


@app.command()
def certificate(
    context: typer.Context,
    name: Name,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="For the certificate; FILE.sig and FILE.pem are written beside it."),
    ],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write the certificate of a policy's destruction, its signature and the public key that verifies it."""
    with speaking():
        answer = console(context, config).ask("policy.certificate", name=name, out=str(out))
        write_private(out, answer["certificate"].encode())
        write_private(out.with_name(f"{out.name}.sig"), b64decode(answer["signature"]))
        write_private(out.with_name(f"{out.name}.pem"), answer["public_key"].encode())
        if as_json:
            value(answer)
        else:
            say(f"Wrote {plain(out)}, {plain(out)}.sig and {plain(out)}.pem. This verifies it:")
            print(plain(answer["verify"]))


@app.command()
def backups(
    context: typer.Context,
    forget: Annotated[
        str | None, typer.Option("--forget", metavar="ID", help="This backup is destroyed: nothing needs keys for it.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show the backups of the database that gateway backup has made: they need the keys of their time."""
    with speaking():
        answer = console(context, config).ask("policy.backups", forget=forget)
        if as_json:
            value(answer)
            return
        if not answer:
            say("No backup is known. To make one: gateway backup FILE")
            return
        rows = [
            [plain(one["id"]), plain(one["path"]), moment(one["made"]), "yes" if one["there"] else "no"]
            for one in answer
        ]
        table(("id", "backup", "made", "is there"), rows)


def _ask_first(context: typer.Context, name: str, grace: float, yes: bool, config: Path | None) -> None:
    """Name what goes; on a terminal ask. Exits with 1 where the answer is no."""
    facts = console(context, config).ask("policy.consequences", name=name)
    for sentence in policy_words.consequences(facts, grace):
        typer.echo(sentence, err=True)
    if yes or not reach(context).terminal():
        return  # The order is signed: whoever made it has been asked.
    if not typer.confirm(f"Purge {plain(facts['name'])}?", err=True):
        complain("nothing was changed")
        raise typer.Exit(1)


def _needs(answer: dict[str, Any]) -> None:
    for sentence in policy_words.needs(answer["needs"]):
        say(sentence)


def _warn(answer: dict[str, Any]) -> None:
    for text in answer.get("warnings", ()):  # A gateway of an older version may serve.
        complain(f"warning: {plain(text)}")
