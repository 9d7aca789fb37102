"""`gateway held`: mail in quarantine, and what an officer can do about it."""

from __future__ import annotations

import os
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, line, say, table, value
from gateway.cli.reach import Console, console, reach, speaking
from gateway.cli.words import count, moment, octets, path, plain, some

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="A delivery (Q.1), or a message (Q) for all of its own.")
]
Everything = Annotated[bool, typer.Option("--all", help="All that lie in quarantine.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the message into this new file, as it came.")
]

app = typer.Typer(name="held", help="See, release or delete mail that a rule holds.", no_args_is_help=True)


@app.command("list")
def list_(context: typer.Context, ids: Ids = None, config: Config = None, as_json: Json = False) -> None:
    """Show the mail in quarantine, oldest first."""
    with speaking():
        rows = console(context, config).ask("held.list", ids=ids or None)
        if as_json:
            value(rows)
        elif rows:
            table(("delivery", "since", "from", "to", "subject", "rules", "severity"), [_row(one) for one in rows])
        elif ids:
            say("Nothing of that lies in quarantine. What became of a message, tells: gateway trace ID")
        else:
            say("Nothing lies in quarantine.")


def _row(one: dict[str, Any]) -> list[str]:
    return [
        plain(one["id"]),
        moment(one["since"]),
        path(one["from"]),
        some(one["recipients"], 3),
        _subject(one),
        some(one["rules"], 3),
        plain(one["severity"] or "-"),
    ]


def _subject(one: dict[str, Any]) -> str:
    return "(can't be read)" if one["subject"] is None else plain(one["subject"]) or "-"


@app.command()
def show(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="ID", help="A delivery (Q.1) or a message (Q).")],
    out: Out = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show what is known of held mail and what it says. That somebody has looked stands in its trace."""
    with speaking():
        there = console(context, config)
        if out is not None:
            found = _write(there, identity, out)
            if as_json:
                value(found)
        else:
            found = there.ask("held.show", id=identity)
            if as_json:
                value(found)
            else:
                for place, one in enumerate(found):
                    if place:
                        print()
                    _tell(one)
        if not found:
            complain(_missing(there, [identity]))
            raise typer.Exit(1)


def _tell(one: dict[str, Any]) -> None:
    say(f"{plain(one['id'])} (in quarantine)")
    facts = {
        "from": path(one["from"]),
        "to": some(one["recipients"], 20),
        "since": moment(one["since"]),
        "rules": some(one["rules"], 20),
        "severity": plain(one["severity"] or "-"),
        "goes on as": plain(one["protection"] or "it is"),
        "size": octets(one["size"]),
    }
    for name, text in facts.items():
        line(f"  {name}:", text)
    print()
    for text in one["header"].replace("\r\n", "\n").rstrip("\n").split("\n"):
        say(f"  {plain(text.expandtabs(4))}")
    for part in one["texts"]:
        print()
        say(f"{plain(part['where'])}:")
        for text in part["text"].splitlines():
            say(f"  {plain(text.expandtabs(4))}")
        if part["cut"]:
            say("  ... (there is more of it)")
    if one["attachments"]:
        print()
        rows = [[plain(each["name"] or "-"), plain(each["type"]), octets(each["size"])] for each in one["attachments"]]
        table(("attachment", "type", "size"), rows)
    if one["cut"]:
        print()
        say("The message is longer than what was read for this; --out FILE writes all of it.")


def _write(there: Console, identity: str, out: Path) -> dict[str, Any] | None:
    """The message into a file that only its owner reads; its id and size, None where it is not in quarantine."""
    piece = there.ask("held.read", id=identity, start=0)
    if piece is None:
        return None
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        complain(f"{plain(out)} can't be written: {error.strerror}; say a file that is not there yet")
        raise typer.Exit(1) from error
    size, written = piece["size"], 0
    with os.fdopen(descriptor, "wb") as file:
        while piece is not None and (some_ := b64decode(piece["octets"])):
            file.write(some_)
            written += len(some_)
            piece = there.ask("held.read", id=identity, start=written) if written < size else None
    if written != size:  # Released or deleted meanwhile.
        out.unlink(missing_ok=True)
        return None
    complain(f"{plain(out)} holds {octets(size)}, in clear; who reads it is yours to see to")
    return {"id": identity, "size": size, "file": str(out)}


@app.command()
def release(
    context: typer.Context,
    ids: Ids = None,
    everything: Everything = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let held mail go on, with the protection that rules had decided; no rule looks at it again."""
    _decide(context, "release", "Released", ids, everything, config, as_json)


@app.command()
def delete(
    context: typer.Context,
    ids: Ids = None,
    everything: Everything = False,
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Delete held mail for good; nobody is told."""
    if (ids or everything) and not yes and not reach(context).terminal():
        raise typer.BadParameter("deleting asks first, and here is no terminal to ask at; say --yes")
    _decide(context, "delete", "Deleted", ids, everything, config, as_json, ask=not yes)


def _decide(
    context: typer.Context,
    command: str,
    done: str,
    ids: list[str] | None,
    everything: bool,
    config: Path | None,
    as_json: bool,
    ask: bool = False,
) -> None:
    if bool(ids) == everything:
        raise typer.BadParameter("say which: by ID, or --all; one of the two")
    with speaking():
        there = console(context, config)
        if ask:
            _confirm(there, ids)
        answer = there.ask(f"held.{command}", ids=ids or None, all=everything)
        if as_json:
            value(answer)
        elif answer["changed"]:
            say(f"{done}: {count(len(answer['changed']), 'delivery', 'deliveries')} ({some(answer['changed'])}).")
        elif not answer["missing"] and not answer["sending"]:
            say("Nothing lies in quarantine.")
        if answer["missing"]:
            complain(_missing(there, answer["missing"]))
        if answer["sending"]:
            complain(f"in somebody else's hands right now: {some(answer['sending'])}; ask again in a moment")
        if answer["missing"] or answer["sending"]:
            raise typer.Exit(1)


def _confirm(there: Console, ids: list[str] | None) -> None:
    rows = there.ask("held.list", ids=ids)
    if not rows:
        return
    names = some([one["id"] for one in rows])
    question = f"Delete {count(len(rows), 'delivery', 'deliveries')} ({names}) for good? Nobody is told."
    if not typer.confirm(question, err=True):
        complain("nothing was deleted")
        raise typer.Exit(1)


def _missing(there: Console, names: list[str]) -> str:
    """Which are not in quarantine, and where those are that the queue has."""
    queued = {one["id"] for one in there.ask("queue.list", ids=names, domain=None)}
    if queued:
        return f"not in quarantine: {some(names)}; in the queue lie {some(sorted(queued))}: gateway queue show ID"
    return f"not in quarantine: {some(names)}; what became of it, tells: gateway trace ID"


def hint(there: Console, names: list[str]) -> tuple[str | None, list[str]]:
    """For other commands: what to say of those of `names` that lie in quarantine (None: none does), and the rest."""
    ids = [one["id"] for one in there.ask("held.list", ids=names)]
    known = {name for id_ in ids for name in (id_, id_.rpartition(".")[0])}
    rest = [name for name in names if name not in known]
    if not ids:
        return None, rest
    return f"in quarantine: {some(ids)}; gateway held list, show, release and delete are for that", rest
