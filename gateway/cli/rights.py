"""`gateway rights`: open, inspect, seal and revoke rights-managed messages, and tell what became of them."""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, line, say, table, value
from gateway.cli.private_file import write_private
from gateway.cli.reach import console, reach, speaking
from gateway.cli.words import count, moment, octets, path, plain, some

app = typer.Typer(name="rights", help="Rights-managed messages: open, seal, revoke, and see.", no_args_is_help=True)

_REASONS = {
    "damaged": "it is no message.rpmsg, or not a whole one",
    "forged": "it was not signed by the key that it names, or was changed since",
    "not_ours": "it is sealed to a key that is not here",
    "expired": "its time is over; its sender still opens it",
    "revoked": "it was revoked; its sender still opens it",
    "not_a_reader": "that address is none of its readers'",
    "no_right": "its licence does not allow that",
    "key_away": "the vault with the tenant key does not answer now; try again",
    "key_denied": "the vault does not let us use the tenant key",
}

File = Annotated[Path, typer.Argument(metavar="FILE", help="A message.rpmsg; `-` is standard input.")]
Keys = Annotated[
    list[Path] | None,
    typer.Option(
        "--tenant-key",
        metavar="PEM",
        help="A tenant key's private half, instead of the gateway's; may be given again. One of 1,024 bits is an "
        "archived key of Mode 1. Needs no settings.",
    ),
]
As = Annotated[
    str | None,
    typer.Option("--as", metavar="ADDRESS", help="As this reader; default: as a super user, with all rights."),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where it goes; `-` is standard output.")]
Name = Annotated[str, typer.Argument(metavar="MESSAGE-ID", help="A Message-ID, queue id or work.")]
Maybe = Annotated[str | None, typer.Argument(metavar="MESSAGE-ID", help="A Message-ID, queue id or work.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many, the newest.")]


@app.command("open")
def open_(
    context: typer.Context,
    file: File,
    keys: Keys = None,
    principal: As = None,
    out: Out = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Open a message.rpmsg and write the original message; each opening stands in the licence log."""
    with speaking(), _files():
        from gateway.app.rights_files import opened_file, tenant_of

        whole = _read(file)
        original: bytes | None = None
        if keys:
            now = reach(context).clock.now()
            answer, original = opened_file(whole, tenant_of(keys), principal=principal, now=now)
        else:
            asked = console(context, config).ask("rights.open", octets=b64encode(whole).decode(), principal=principal)
            answer = {key: one for key, one in asked.items() if key != "original"}
            if asked["opened"]:
                original = b64decode(asked["original"])
        if original is not None and out is not None:
            write_private(out, original)
        if as_json:
            value(answer)
        elif original is not None:
            if out != Path("-"):
                _tell_opened(answer, out)
        if original is None:
            complain(f"{_shown(file)} does not open: {_REASONS.get(answer['reason'], answer['reason'])}")
            raise typer.Exit(1)


@app.command("inspect")
def inspect_(context: typer.Context, file: File, config: Config = None, as_json: Json = False) -> None:
    """Tell what a message.rpmsg says of itself, without a key; none of it is proved."""
    del config  # Taken, as by every command, and not needed.
    with speaking(), _files():
        from gateway.app.rights_files import inspected

        found = inspected(_read(file))
        if found is None:
            if as_json:
                value({"reason": "damaged"})
            complain(f"{_shown(file)} can't be read: {_REASONS['damaged']}")
            raise typer.Exit(1)
        if as_json:
            value(found)
            return
        for head, text in (
            ("work", found["work"]),
            ("sender", path(found["owner"])),
            ("template", plain(found["title"] or "-")),
            ("issued", moment(found["issued"])),
            ("portal", some(found["urls"]) or "-"),
            ("sealed to", f"a key of {found['key_bits']} bits, Cryptographic Mode {found['mode']}"),
            ("content", f"{octets(found['content_size'])}, {'whole' if found['whole'] else 'changed or cut off'}"),
            ("weak", some(found["weak"]) or "nothing"),
        ):
            line(f"  {head + ':':11}", text)


@app.command()
def seal(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="MESSAGE.eml", help="The message; `-` is standard input.")],
    to: Annotated[list[str], typer.Option("--to", metavar="ADDRESS", help="A reader; may be given 100 times.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the message.rpmsg goes.")],
    owner: Annotated[
        str,
        typer.Option("--from", metavar="ADDRESS", help="Its sender, who opens it at any time; default: as From says."),
    ] = "",
    template: Annotated[
        str, typer.Option("--template", metavar="NAME", help="What readers may do with it.")
    ] = "encrypt-only",
    days: Annotated[
        int | None,
        typer.Option("--expires-in-days", min=0, max=730, help="Default: what the settings say; 0: never."),
    ] = None,
    keys: Keys = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Seal a message into a message.rpmsg for its readers. Nothing is sent."""
    with speaking(), _files():
        original = _read(file)
        if keys:
            answer, sealed = _seal_alone(context, original, to, owner, template, days or 0, keys)
        else:
            answer = console(context, config).ask(
                "rights.seal",
                original=b64encode(original).decode(),
                to=to,
                owner=owner,
                template=template,
                expires_in_days=days,
            )
            sealed = b64decode(answer.pop("rpmsg"))
        write_private(out, sealed)
        if as_json:
            value(answer)
        elif out != Path("-"):
            say(
                f"Wrote {plain(out)} for {count(len(set(to)), 'reader')}: {octets(len(sealed))}, work {answer['work']}."
            )


@app.command()
def revoke(
    context: typer.Context,
    name: Name,
    recipient: Annotated[
        str | None, typer.Option("--recipient", metavar="ADDRESS", help="For this reader alone; default: for all.")
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Let nobody but its sender open a message any more. What somebody has read or saved he keeps."""
    with speaking():
        answer = console(context, config).ask("rights.revoke", name=name, recipient=recipient)
        if as_json:
            value(answer)
            return
        whom = plain(recipient) if recipient else "everybody"
        say(f"Revoked for {whom}: {some([plain(one['work']) for one in answer['revoked']])}.")


@app.command()
def status(
    context: typer.Context, name: Maybe = None, limit: Limit = 50, config: Config = None, as_json: Json = False
) -> None:
    """Tell of the newest messages, or of one: who has opened it when, and who was refused why."""
    with speaking():
        rows = console(context, config).ask("rights.status", name=name, most=limit)
        if as_json:
            value(rows)
        elif name is None:
            _tell_list(rows)
        else:
            for place, one in enumerate(rows):
                if place:
                    print()
                _tell_message(one)


@app.command()
def log(
    context: typer.Context, name: Maybe = None, limit: Limit = 100, config: Config = None, as_json: Json = False
) -> None:
    """Tell every licence that was given or refused, the newest first."""
    with speaking():
        rows = console(context, config).ask("rights.log", name=name, most=limit)
        if as_json:
            value(rows)
        elif rows:
            _tell_log(rows, with_work=True)
        else:
            say("No licence was given or refused yet.")


def _seal_alone(
    context: typer.Context,
    original: bytes,
    to: list[str],
    owner: str,
    template: str,
    days: int,
    keys: list[Path],
) -> tuple[dict[str, Any], bytes]:
    from gateway.app.rights_files import sealed_file, tenant_of
    from gateway.world.chance import SystemChance

    return sealed_file(
        original,
        tenant_of(keys),
        to=to,
        owner=owner,
        template=template,
        days=days,
        now=reach(context).clock.now(),
        chance=SystemChance(),
    )


@contextmanager
def _files() -> Iterator[None]:
    """Tell faults of files and keys on standard error and exit with status 1."""
    from gateway.app.channel import Fault
    from gateway.app.rights_files import FileFault
    from gateway.rights.tenant import TenantFault

    try:
        yield
    except (FileFault, TenantFault, Fault) as fault:
        complain(str(fault))
        raise typer.Exit(1) from None
    except OSError as error:
        complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
        raise typer.Exit(1) from None


def _read(file: Path) -> bytes:
    from gateway.app.rights_files import MOST, FileFault, read

    if file != Path("-"):
        return read(file)
    whole = sys.stdin.buffer.read(MOST + 1)
    if len(whole) > MOST:
        raise FileFault(f"standard input has more than {MOST} octets, and is not read")
    return whole


def _shown(file: Path) -> str:
    return "standard input" if file == Path("-") else plain(file)


def _tell_opened(answer: dict[str, Any], out: Path | None) -> None:
    built = (
        " It was put together from a foreign file, and is not the message as it was sent." if answer["built"] else ""
    )
    say(f"Opened: from {path(answer['owner'])} to {some(answer['readers'])}, issued {moment(answer['issued'])}.{built}")
    say(f"Rights: {some(answer['rights'], 20)}. SHA-256: {answer['sha256']}.")
    if out is not None:
        say(f"The message is in {plain(out)}.")


def _tell_list(rows: list[dict[str, Any]]) -> None:
    if not rows:
        say("No rights-managed message is known here.")
        return
    columns = ("work", "sent", "from", "readers", "template", "until", "copy")
    cells = [
        (
            plain(one["work"]),
            moment(one["created"]),
            path(one["sender"]),
            some([reader["address"] for reader in one["readers"]], 2),
            plain(one["template"]),
            "revoked" if one["revoked"] else moment(one["expires"]),
            plain(one["copy"]),
        )
        for one in rows
    ]
    table(columns, cells)


def _tell_message(one: dict[str, Any]) -> None:
    print(plain(one["work"]))
    for head, text in (
        ("message", f"{plain(one['message_id'] or '-')}  {plain(one['queue_id'])}".rstrip()),
        ("from", path(one["sender"])),
        ("sent", moment(one["created"])),
        ("template", plain(one["template"])),
        ("until", moment(one["expires"])),
        ("revoked", moment(one["revoked"])),
        ("copy", plain(one["copy"]) + (f", {octets(one['size'])}" if one["copy"] == "kept" else "")),
    ):
        line(f"  {head + ':':10}", text)
    for reader in one["readers"]:
        opened = [entry for entry in one["licences"] if _is_reading(entry, reader["address"])]
        what = f"opened {moment(opened[0]['time'])}" if opened else "not opened"
        if reader["revoked"]:
            what += f", revoked {moment(reader['revoked'])}"
        line(f"  {'reader:':10}", f"{plain(reader['address'])}: {what}")
    if one["licences"]:
        print()
        _tell_log(one["licences"], with_work=False)


def _is_reading(entry: dict[str, Any], address: str) -> bool:
    """Whether the reader himself has opened it, and not somebody here in his place (`rights open --as`)."""
    who = str(entry["principal"] or "").casefold()
    return bool(entry["given"]) and who == address.casefold() and not str(entry["by"]).startswith("cli ")


def _tell_log(rows: list[dict[str, Any]], *, with_work: bool) -> None:
    columns = ("time", *(("work",) if with_work else ()), "who", "from", "for", "result")
    cells = [
        (
            moment(one["time"]),
            *((plain(one["work"] or "-"),) if with_work else ()),
            plain(one["principal"] or f"super user ({one['by']})"),
            plain(one["client"] or one["by"]),
            plain(one["purpose"]),
            "given" if one["given"] else plain(one["reason"]).replace("_", " "),
        )
        for one in rows
    ]
    table(columns, cells)
