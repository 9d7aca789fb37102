"""`gateway key log`: every use of a key of a vault, and whether the log of them is whole."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, table, value
from gateway.cli.reach import console, reach, speaking
from gateway.cli.trace import since_when
from gateway.cli.words import count, moment, plain

OPERATIONS = (
    *("wrap", "unwrap", "decrypt", "sign"),
    *("create", "rotate", "enable", "disable", "delete", "recover", "purge"),
)

Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="An RFC 3339 time, or how long ago: 30m, 2h, 7d.")
]

app = typer.Typer(name="log", help="The log of every use of a vault's keys.", no_args_is_help=True)


@app.command("list")
def list_(
    context: typer.Context,
    since: Since = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Of this key alone: VAULT/KEY or KEY.")
    ] = None,
    operation: Annotated[
        str | None, typer.Option("--operation", metavar="WHAT", help=f"One of {', '.join(OPERATIONS)}.")
    ] = None,
    about: Annotated[
        str | None, typer.Option("--about", metavar="WORDS", help="What it was for holds these words, as a queue id.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="So many of the newest at most.")] = 100,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show the newest uses of keys, oldest first."""
    if operation is not None and operation not in OPERATIONS:
        raise typer.BadParameter(f"there is no operation {operation!r}; right would be one of {', '.join(OPERATIONS)}")
    start = None if since is None else since_when(since, reach(context).clock.now())
    with speaking():
        lines = console(context, config).ask(
            "key.log.list", since=start, key=key, operation=operation, about=about, limit=limit
        )
        if as_json:
            value(lines)
        elif lines:
            table(("line", "time", "who", "key", "operation", "about", "outcome"), [_row(one) for one in lines])
        else:
            say("No use of a key is logged, or none that fits.")


def _row(line: dict[str, Any]) -> list[str]:
    cells = [str(line["line"]), moment(line["time"]), plain(line["who"])]
    if line["kind"] == "use":
        version = "" if line["version"] is None else f" {line['version']}"
        what = plain(f"{line['vault']}/{line['key']}{version}")
        return [*cells, what, plain(line["operation"]), plain(line["about"]) or "-", plain(line["outcome"])]
    if line["kind"] == "lost":
        return [*cells, "-", "lost", f"{count(line['uses'], 'use', 'uses')} more could not be kept", "-"]
    return [*cells, "-", "accepted", plain(f"the log up to line {line['line']}: {line['reason']}"), "-"]


@app.command()
def verify(
    context: typer.Context,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="FILE", help="A head, export or gateway's log that was kept elsewhere."),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say whether the log is whole: nothing changed, removed, inserted, swapped or cut off."""
    with speaking():
        report = console(context, config).ask("key.log.verify", head=head)
    if as_json:
        value(report)
    else:
        for note in report["notes"]:
            say(plain(note))
    if report["whole"]:
        if not as_json:
            say(_whole(report))
        return
    if not as_json:
        for finding in report["findings"]:
            complain(plain(finding["sentence"]))
    number = count(len(report["findings"]), "thing does", "things do")
    complain(f"the key-access log is not whole: {number} not fit")
    raise typer.Exit(1)


def _whole(report: dict[str, Any]) -> str:
    if not report["last"]:
        return "The key-access log is empty."
    heads = count(report["heads"], "signed head", "signed heads")
    return (
        f"The key-access log is whole: lines {report['first']} to {report['last']}, signed up to line "
        f"{report['signed']}; {heads} in the database."
    )


@app.command()
def export(context: typer.Context, since: Since = None, config: Config = None) -> None:
    """Write the log to standard output as JSON Lines, with all that somebody else needs to verify it."""
    start = None if since is None else since_when(since, reach(context).clock.now())
    with speaking():
        there = console(context, config)
        after: int | None = None
        while True:
            page = there.ask("key.log.export", since=start, after=after)
            for record in page["records"]:
                print(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
            after = page["next"]
            if after is None:
                break


@app.command()
def accept(
    context: typer.Context,
    reason: Annotated[str, typer.Option("--reason", metavar="WORDS", help="What happened; it stands in the log.")],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Answer for a log that does not fit its last signed head, as after a backup was restored."""
    with speaking():
        answer = console(context, config).ask("key.log.accept", reason=reason)
        if as_json:
            value(answer)
            return
        say(
            f"Line {answer['line']} of the log says that you answer for this. The former head lies in "
            f"{plain(answer['aside'])}; a new one is signed within a few minutes."
        )
