"""`gateway mailbox verify|export|import|roll`: what reads, writes or wraps the whole content of a mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, say, value
from gateway.cli.progress import progress
from gateway.cli.reach import Bulk, Console, console, reach, settings_path, speaking
from gateway.cli.words import count, octets, plain

PAUSE: Final = 0.5  # Seconds between two looks at a roll that the gateway does.

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="The mailbox's address, or an alias of it.")]


def verify(context: typer.Context, address: AddressArgument, config: Config = None, as_json: Json = False) -> None:
    """Read and decrypt every message of a mailbox, and name those that are damaged."""
    with speaking():
        _there(context, config, address)
        with progress("Verifying") as watch:
            answer = _bulk(context, config).verify(address, watch)
        if as_json:
            value(answer)
        elif not answer["damaged"]:
            say(f"All {count(answer['messages'], 'message')} open: {octets(answer['octets'])}.")
        _tell_damage(answer)


def export(
    context: typer.Context,
    address: AddressArgument,
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="A folder; where an export was ended it goes on there.")
    ],
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write a mailbox into a folder, a file .eml for each message, IN CLEAR, readable by you alone."""
    with speaking():
        _there(context, config, address)
        with progress("Exporting") as watch:
            answer = _bulk(context, config).export(address, to, watch)
        if as_json:
            value(answer)
        else:
            before = f", {answer['present']} were there already" if answer["present"] else ""
            say(f"Wrote {count(answer['written'], 'message')} into {plain(to)}: {octets(answer['octets'])}{before}.")
            say("They lie there in clear.")
        _tell_damage(answer)


def import_(
    context: typer.Context,
    address: AddressArgument,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="An mbox, a Maildir, an .eml file or a folder of them.")],
    folder: Annotated[str, typer.Option("--folder", metavar="NAME", help="Where it goes.")] = "INBOX",
    mboxo: Annotated[
        bool, typer.Option("--mboxo", help="Lines >From of an mbox are quoted once at most, as old programs write it.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also add what an earlier import has added; else that is passed over.")
    ] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Bring mail of files into a mailbox. Begun again it goes on where it was."""
    with speaking():
        _there(context, config, address)
        with progress("Importing", in_octets=True) as watch:
            form = "mboxo" if mboxo else "mboxrd"
            answer = _bulk(context, config).bring(address, path, folder, form, again, watch)
        if as_json:
            value(answer)
        else:
            before = f"; {answer['present']} were there already" if answer["present"] else ""
            added = count(answer["added"], "message")
            say(f"Added {added} to {plain(answer['folder'])} of {plain(answer['address'])}{before}.")
        if answer["skipped"]:
            for one in answer["reasons"]:
                complain(f"{one['place']}: {one['why']}")
            complain(f"{count(answer['skipped'], 'entry', 'entries')} of {path} could not be taken")
            raise typer.Exit(1)


def roll(
    context: typer.Context,
    address: AddressArgument,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Begin it, and leave the rest to the gateway while it serves.")
    ] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Give a mailbox a new key and wrap its contents' keys under it; mail is not touched, and stays readable."""
    with speaking():
        there = console(context, config)
        answer = there.ask("mailbox.roll", address=address)
        if answer["rolling"] and not no_wait:
            with progress("Rolling") as watch:
                if there.serving:
                    answer = asyncio.run(_rolled(context, there, address, answer["left"], watch))
                else:
                    done = _bulk(context, config).roll(address, watch)
                    answer = there.ask("mailbox.show", address=address) | {"left": done["left"]}
        if as_json:
            value(answer)
        elif answer["rolling"]:
            left = count(answer["left"], "content is", "contents are")
            say(f"{plain(answer['address'])} has a new key; {left} still to be wrapped under it.")
            if answer["left"] and not no_wait:
                complain("some contents are damaged: gateway mailbox verify names them. The old key stays until then")
        else:
            version = answer["key_version"]
            say(f"{plain(answer['address'])} lies under version {version} of its key; the old one is gone.")
        if answer["rolling"] and not no_wait:
            raise typer.Exit(1)


async def _rolled(
    context: typer.Context, there: Console, address: str, total: int, watch: Callable[[int, int], None]
) -> dict[str, Any]:
    """The mailbox once the gateway has done it all, or gets no further."""
    clock = reach(context).clock
    still, before = 0.0, -1
    while True:
        answer: dict[str, Any] = there.ask("mailbox.show", address=address)
        watch(max(0, total - answer["left"]), total)
        if not answer["rolling"] or still > 60.0:
            return answer
        still = still + PAUSE if answer["left"] == before else 0.0
        before = answer["left"]
        await clock.sleep(PAUSE)


def _there(context: typer.Context, config: Path | None, address: str) -> None:
    """Raises ConsoleFault where there is no such mailbox, or it is closed. After an update the database is migrated."""
    from gateway.app.console import ConsoleFault

    answer = console(context, config).ask("mailbox.show", address=address)
    if not answer["open"]:
        raise ConsoleFault(answer["reason"])


def _bulk(context: typer.Context, config: Path | None) -> Bulk:
    return reach(context).bulk(settings_path(config))


def _tell_damage(answer: dict[str, Any]) -> None:
    """Name what does not open, and end with status 1 where there is any."""
    for one in answer["faults"]:
        complain(f"{one['folder']}, UID {one['uid']}: {one['text']}")
    if answer["damaged"]:
        complain(f"{answer['damaged']} of {count(answer['messages'], 'message')} are damaged; the others can be read")
        raise typer.Exit(1)
