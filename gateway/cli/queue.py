"""`gateway queue`: what waits to leave, and what an administrator can do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.held import hint
from gateway.cli.output import Config, Json, line, say, table, value
from gateway.cli.protection_words import wanted
from gateway.cli.reach import Console, console, reach, speaking
from gateway.cli.words import count, moment, octets, path, plain, some

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="A delivery (Q.1), or a message (Q) for all of its own.")
]
Domain = Annotated[
    str | None, typer.Option("--domain", metavar="DOMAIN", help="Those with a recipient in this domain.")
]
Everything = Annotated[bool, typer.Option("--all", help="All that lie in the queue.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

SHORT = 80  # Letters of a next hop's reply that a row shows.

app = typer.Typer(name="queue", help="See, retry, hold, release or delete what waits.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context, ids: Ids = None, domain: Domain = None, config: Config = None, as_json: Json = False
) -> None:
    """Show the deliveries that lie in the queue."""
    with speaking():
        replies = {} if as_json else {"replies": True}
        rows = console(context, config).ask("queue.list", domain=domain, ids=ids or None, **replies)
        if as_json:
            value(rows)
        elif rows:
            table(("delivery", "state", "from", "to", "next attempt", "why"), [_row(one) for one in rows])
        elif ids or domain:
            say("Nothing of that lies in the queue. What became of a message, tells: gateway trace ID")
        else:
            say("The queue is empty: all mail has left. What became of a message, tells: gateway trace --since 1h")


def _row(delivery: dict[str, Any]) -> list[str]:
    waiting = [one for one in delivery["recipients"] if one["status"] == "waiting"] or delivery["recipients"]
    return [
        plain(delivery["id"]),
        plain(delivery["state"]),
        path(delivery["from"]),
        some([one["address"] for one in waiting], 3),
        "-" if delivery["state"] == "held" else moment(min((_next(one) for one in waiting), default="")),
        _why_shortly(waiting[0]) if waiting else "-",
    ]


def _next(recipient: dict[str, Any]) -> str:
    return recipient.get("next_attempt") or ""


def _why(recipient: dict[str, Any]) -> str:
    words = [plain(recipient[key]) for key in ("enhanced", "reason") if recipient.get(key)]
    return " ".join(words) or "-"


def _why_shortly(recipient: dict[str, Any]) -> str:
    """Where the gateway has no reason of its own, the next hop's words are the reason; `show` has the whole of them."""
    if recipient.get("reason") or not recipient.get("reply"):
        return _why(recipient)
    reply = plain(" ".join(str(recipient["reply"]).split()))
    return reply if len(reply) <= SHORT else f"{reply[: SHORT - 3]}..."


@app.command()
def show(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(metavar="ID", help="A delivery (Q.1) or a message (Q).")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show all that is known of one delivery, recipient by recipient."""
    with speaking():
        there = console(context, config)
        rows = there.ask("queue.show", id=identity)
        if as_json:
            value(rows)
        else:
            for place, delivery in enumerate(rows):
                if place:
                    print()
                _tell(delivery)
        if not rows:
            complain(_missing(there, [identity]))
            raise typer.Exit(1)


def _missing(there: Console, ids: list[str]) -> str:
    held, rest = hint(there, ids)
    gone = f"not in the queue: {some(rest)}; what became of it, tells: gateway trace ID" if rest else None
    return "\n".join(text for text in (held, gone) if text is not None)


def _tell(delivery: dict[str, Any]) -> None:
    say(f"{plain(delivery['id'])} ({plain(delivery['state'])})")
    facts = {"from": path(delivery["from"])}
    if delivery.get("wants"):  # Sealed here; its connector is chosen when it has that.
        facts["waits for"] = f"{wanted(delivery['wants'])}, by the rule {plain(delivery.get('rule') or '-')}"
    elif delivery["connector"]:
        facts["connector"] = plain(delivery["connector"])
        facts["destination"] = plain(delivery.get("destination") or "as the connector has it")
    facts |= {
        "size": octets(delivery["size"]),
        "received": moment(delivery.get("received")),
        "attempts": str(delivery.get("attempts", 0)),
        "expires": moment(delivery.get("expires")),
    }
    for name, text in facts.items():
        line(f"  {name}:", text)
    for one in delivery["recipients"]:
        say(f"  to {plain(one['address'])}: {plain(one['status'])}")
        for name, text in (
            ("why", _why(one)),
            ("reply", plain(one.get("reply") or "-")),
            ("host", plain(one.get("host") or "-")),
            ("next attempt", moment(one.get("next_attempt"))),
        ):
            if text != "-":
                line(f"    {name}:", text)


@app.command()
def retry(
    context: typer.Context,
    ids: Ids = None,
    domain: Domain = None,
    everything: Everything = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Try deliveries again now."""
    _change(context, "retry", "Will be tried now", ids, domain, everything, config, as_json)


@app.command()
def hold(
    context: typer.Context,
    ids: Ids = None,
    domain: Domain = None,
    everything: Everything = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Keep deliveries in the queue until they are released."""
    _change(context, "hold", "Held", ids, domain, everything, config, as_json)


@app.command()
def release(
    context: typer.Context,
    ids: Ids = None,
    domain: Domain = None,
    everything: Everything = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let held deliveries go."""
    _change(context, "release", "Released", ids, domain, everything, config, as_json)


@app.command()
def delete(
    context: typer.Context,
    ids: Ids = None,
    domain: Domain = None,
    everything: Everything = False,
    yes: Yes = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Delete deliveries for good; nobody is told."""
    if (ids or domain or everything) and not yes and not reach(context).terminal():
        raise typer.BadParameter("deleting asks first, and here is no terminal to ask at; say --yes")
    _change(context, "delete", "Deleted", ids, domain, everything, config, as_json, ask=not yes)


def _change(
    context: typer.Context,
    command: str,
    done: str,
    ids: list[str] | None,
    domain: str | None,
    everything: bool,
    config: Path | None,
    as_json: bool,
    ask: bool = False,
) -> None:
    if sum((bool(ids), domain is not None, everything)) != 1:
        raise typer.BadParameter("say which deliveries: by ID, by --domain DOMAIN, or --all; one of the three")
    chosen: dict[str, Any] = {"ids": ids or None, "domain": domain, "all": everything}
    with speaking():
        there = console(context, config)
        if ask:
            _confirm(there, chosen)
        answer = there.ask(f"queue.{command}", **chosen)
        if as_json:
            value(answer)
        elif answer["changed"]:
            say(f"{done}: {count(len(answer['changed']), 'delivery', 'deliveries')} ({some(answer['changed'])}).")
        elif not answer["missing"] and not answer["sending"]:
            say(f"There was nothing to {command}. What lies in the queue, and how, tells: gateway queue list")
        if answer["missing"]:
            complain(_missing(there, answer["missing"]))
        if answer["sending"]:
            complain(f"on the wire right now and left as it is: {some(answer['sending'])}; ask again in a moment")
        if answer["missing"] or answer["sending"]:
            raise typer.Exit(1)


def _confirm(there: Console, chosen: dict[str, Any]) -> None:
    rows = there.ask("queue.list", domain=chosen["domain"], ids=chosen["ids"])
    if not rows:
        return
    names = some([one["id"] for one in rows])
    question = f"Delete {count(len(rows), 'delivery', 'deliveries')} ({names}) for good? Nobody is told."
    if not typer.confirm(question, err=True):
        complain("nothing was deleted")
        raise typer.Exit(1)
