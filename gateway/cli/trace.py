"""`gateway trace`: the story of a message, from its reception to the reply of the last next hop."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, line, say, value
from gateway.cli.reach import console, reach, speaking
from gateway.cli.story import sentence, spread
from gateway.cli.words import moment, plain

_AGO = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

Id = Annotated[str | None, typer.Argument(metavar="ID", help="The queue id, as the 250 and the log name it.")]
MessageId = Annotated[
    str | None, typer.Option("--message-id", metavar="ID", help="The Message-ID, with or without its brackets.")
]
From = Annotated[str | None, typer.Option("--from", metavar="ADDRESS", help="The sender's address or domain.")]
To = Annotated[str | None, typer.Option("--to", metavar="ADDRESS", help="A recipient's address or domain.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="An RFC 3339 time, or how long ago: 30m, 2h, 7d.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many messages, newest first.")]


def trace(
    context: typer.Context,
    identity: Id = None,
    message_id: MessageId = None,
    sender: From = None,
    recipient: To = None,
    since: Since = None,
    limit: Limit = 100,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tell the story of a message, found by its id, its Message-ID, its addresses or its time."""
    if not any((identity, message_id, sender, recipient, since)):
        raise typer.BadParameter("say which message: its ID, --message-id, --from, --to, or --since 1h")
    if message_id and not message_id.startswith("<"):
        message_id = f"<{message_id}>"
    start = None if since is None else since_when(since, reach(context).clock.now())
    with speaking():
        stories = console(context, config).ask(
            "trace", id=identity, message_id=message_id, sender=sender, recipient=recipient, since=start, limit=limit
        )
        if as_json:
            value(stories)
        elif stories:
            tell(stories)
            if len(stories) == limit:
                newest = "This is the newest message" if limit == 1 else f"These are the newest {limit} messages"
                say(f"{newest}; --limit shows more.")
        elif not identity and not message_id:
            say("No message of that is in the trace. To see all of the last days: gateway trace --since 7d")
        if not stories and (identity or message_id):
            complain(
                f"no message {identity or message_id} is in the trace; to search: gateway trace --to ADDRESS. "
                "What was refused in the session is not traced: the log has it under its id"
            )
            raise typer.Exit(1)


def since_when(text: str, now: float) -> float:
    """`text` (RFC 3339, or `2h` before `now`) in seconds since 1970. Raises typer.BadParameter."""
    if ago := _AGO.fullmatch(text.strip()):
        return now - int(ago[1]) * _UNIT[ago[2]]
    try:
        read = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"--since {plain(text)} is no time; right would be 2026-11-03T08:00:00Z, or 30m, 2h, 7d for that long ago"
        ) from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def tell(stories: list[dict[str, Any]]) -> None:
    """Each message's story: a heading, and one line an event in order of time."""
    for place, story in enumerate(stories):
        if place:
            print()
        events = spread(story["events"])
        day = moment(events[0]["time"])[:10] if events else ""
        say(f"{plain(story['id'])}  {day} (UTC)".rstrip())
        for event in events:
            when = plain(event["time"])
            # The day stands in the heading; it is repeated only where a message stayed overnight.
            clock = when[11:23].rstrip("Z") if when.startswith(day) else moment(when)
            line(f"  {clock}", sentence(event))
