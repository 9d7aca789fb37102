"""`gateway send`: a test message through the running gateway, for people who have no other mail program at hand."""

from __future__ import annotations

import asyncio
import re
import sys
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.complaint import complain
from gateway.cli.fate import Fate, judge
from gateway.cli.output import Config, Json, line, say, value
from gateway.cli.reach import Console, Reach, console, reach, settings_path, speaking
from gateway.cli.words import count, path, plain

if TYPE_CHECKING:
    from gateway.cli.dialogue import Answer, Door
    from gateway.settings.load import Reading
    from gateway.settings.schema import Listener, Settings

PATIENCE = 10.0  # Seconds in which what became of the message is waited for.
PAUSE = 0.2  # Seconds between two looks at the trace.
TEXT = "This is a test message. If you can read it, the gateway relays mail."

From = Annotated[str | None, typer.Option("--from", metavar="ADDRESS", help="Default: ida@ the first accepted domain.")]
To = Annotated[
    list[str] | None, typer.Option("--to", metavar="ADDRESS", help="Default: otto@partner.example. May repeat.")
]
Subject = Annotated[str, typer.Option("--subject", help="Its subject.")]
Body = Annotated[str | None, typer.Option("--body", help="Its text.")]
File = Annotated[
    Path | None,
    typer.Option("--file", metavar="FILE", help="A whole message, header section and all; - is standard input."),
]
Listen = Annotated[str | None, typer.Option("--listen", metavar="HOST:PORT", help="Default: the first listener.")]
TlsChoice = Annotated[
    Literal["none", "starttls"] | None, typer.Option("--tls", help="Default: as the listener offers it.")
]


def send(
    context: typer.Context,
    sender: From = None,
    recipients: To = None,
    subject: Subject = "A test message",
    body: Body = None,
    file: File = None,
    listen: Listen = None,
    tls: TlsChoice = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Send a test message through the running gateway, and tell what became of it."""
    if body is not None and file is not None:
        raise typer.BadParameter("--body and --file exclude each other: the file is the whole message")
    with speaking():
        found = settings_path(config)
        reading, settings = _understood(found)
        mine = _address("--from", sender) if sender else f"ida@{_domain(reading, settings)}"
        theirs = [_address("--to", one) for one in recipients or ["otto@partner.example"]]
        here = reach(context)
        octets = _read(file) if file else _compose(here, mine, theirs, subject, TEXT if body is None else body)
        answer = _hand_in(_door(reading, settings, found.parent, listen, tls), mine, theirs, octets, found)
        if not answer.taken:
            _tell_refusal(answer, as_json)
            raise typer.Exit(1)
        if not as_json:
            _tell_taken(answer)
        fate = _follow(console(context, config), here, answer.queue_id)
        if as_json:
            value({"id": answer.queue_id, "reply": str(answer), "state": fate.state})
        else:
            _tell_fate(fate, answer, settings)
        for address, reply in answer.refused:
            complain(f"{address} was refused: {reply}")
        if fate.state == "failed" or answer.refused:
            raise typer.Exit(1)


def _understood(found: Path) -> tuple[Reading, Settings]:
    """The settings, as far as they can be understood: the gateway may well run on what was good. Raises BadSettings."""
    from gateway.settings.fault import BadSettings, errors
    from gateway.settings.load import read

    reading = read(found)
    if reading.loaded is None:
        raise BadSettings(reading.faults)
    if wrong := errors(reading.faults):
        complain(f"{count(len(wrong), 'fault')} in {found}, which gateway check names; sending nevertheless")
    return reading, reading.loaded.settings


def _doubtful(reading: Reading, key: str) -> bool:
    """Whether the value at `key` was at fault, so that what stands in the settings is a filling."""
    bad = () if reading.repair is None else reading.repair.faulty
    return any(key == one or key.startswith((f"{one}.", f"{one}[")) for one in bad)


def _address(option: str, text: str) -> str:
    """`text`, where it is a mailbox. Raises typer.BadParameter, with the option's name."""
    from gateway.mail.address import BadAddress, parse_address

    try:
        parse_address(text)
    except BadAddress as error:
        raise typer.BadParameter(
            f"{option} {plain(repr(text))} is no address ({error}); right would be one such as otto@partner.example"
        ) from error
    return text


def _domain(reading: Reading, settings: Settings) -> str:
    """The first accepted domain, a subdomain where only those are accepted."""
    for number, one in enumerate(settings.accepted_domains):
        key = f"accepted_domains[{number}]"
        if _doubtful(reading, f"{key}.name"):
            continue
        name = one if isinstance(one, str) else one.name
        return name.replace("*.", "mail.", 1)
    return "corp.example"


def _read(file: Path) -> bytes:
    """A message from a file, each line ended by CR LF as SMTP wants it. Exits with 2 where it can't be read."""
    try:
        octets = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"--file {plain(file)} cannot be read: {error.strerror}") from error
    return re.sub(rb"(?<!\r)\n", b"\r\n", octets)


def _compose(here: Reach, sender: str, recipients: list[str], subject: str, body: str) -> bytes:
    from datetime import UTC, datetime

    from gateway.world.chance import SystemChance

    message = EmailMessage(policy=SMTP.clone(utf8=not all(map(str.isascii, (sender, *recipients)))))
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = " ".join(subject.split())
    message["Date"] = format_datetime(datetime.fromtimestamp(here.clock.now(), UTC))
    message["Message-ID"] = f"<{SystemChance().octets(12).hex()}@{sender.rpartition('@')[2]}>"
    message.set_content(body)
    return message.as_bytes()


def _door(reading: Reading, settings: Settings, folder: Path, listen: str | None, tls: str | None) -> Door:
    """Which listener is spoken to, and how. A listener of the settings also says what TLS it has.

    Raises BadSettings where the first listener is meant, and its address or TLS can't be understood.
    """
    from gateway.cli.dialogue import Door
    from gateway.settings.fault import BadSettings

    known: Listener | None = next((one for one in settings.listeners if one.listen == listen), None)
    if listen is None:
        known = settings.listeners[0]
        listen = known.listen
        if _doubtful(reading, "listeners[0].listen") or (tls is None and _doubtful(reading, "listeners[0].tls")):
            raise BadSettings(reading.faults)
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"--listen {plain(listen)} is no address; right would be 127.0.0.1:2525 or [::1]:2525")
    host = host.strip("[]")
    offered = known.tls if known else "none"
    if offered == "implicit" and tls is not None:
        raise typer.BadParameter(f"{plain(listen)} speaks TLS from the first octet; leave --tls away")
    ca = folder / "certs" / "ca.pem"
    return Door(
        # A listener on every address is reached on loopback.
        host={"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host),  # noqa: S104 - compared, not bound
        port=int(port),
        tls=tls or offered,
        trusted_ca=ca if ca.is_file() else None,
    )


def _hand_in(door: Door, sender: str, recipients: list[str], octets: bytes, settings: Path) -> Answer:
    from gateway.cli import dialogue

    try:
        return asyncio.run(dialogue.send(door, sender, recipients, octets))
    except dialogue.NoAnswer as error:
        complain(str(error))
        if isinstance(error.__cause__, OSError) or "nothing listens" in str(error):
            complain(f"to start the gateway: gateway serve --config {settings}")
        raise typer.Exit(1) from error


def _tell_refusal(answer: Answer, as_json: bool) -> None:
    if as_json:
        value({"id": None, "reply": str(answer), "state": "refused"})
    complain(f"the gateway refused the message: {answer}")
    for address, reply in answer.refused[1:]:
        complain(f"{address}: {reply}")


def _tell_taken(answer: Answer) -> None:
    say(f"The gateway took the message ({answer.tls or 'in clear'}): {plain(answer)}")
    line("Queue id:", plain(answer.queue_id))


def _follow(there: Console, here: Reach, queue_id: str | None) -> Fate:
    """Look at the trace until every delivery has been tried, or patience ends."""
    if queue_id is None:
        return Fate("accepted", ())
    end = here.clock.monotonic() + PATIENCE
    while True:
        stories: list[dict[str, Any]] = there.ask(
            "trace", id=queue_id, message_id=None, sender=None, recipient=None, since=None, limit=1
        )
        fate = judge(stories[0]["events"]) if stories else Fate("accepted", ())
        if fate.state != "accepted" or here.clock.monotonic() >= end:
            return fate
        asyncio.run(here.clock.sleep(PAUSE))


def _tell_fate(fate: Fate, answer: Answer, settings: Settings) -> None:
    folders = {one.name: one.folder for one in settings.connectors.outbound if one.deliver == "folder"}
    if fate.state == "delivered":
        for delivery, connector in fate.deliveries:
            if folder := folders.get(connector):
                say(f"Delivered to {path(Path(folder) / f'{delivery}.eml')}")
    if fate.state == "accepted":
        say(f"It has not been tried within {PATIENCE:.0f} s. To see more: gateway trace {plain(answer.queue_id)}")
    for told in fate.lines:
        if fate.state != "delivered" or not any(connector in folders for _, connector in fate.deliveries):
            say(told[:1].upper() + told[1:])
