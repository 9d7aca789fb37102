"""`gateway rule test`: what the rules would do with a message, and why."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.complaint import complain
from gateway.cli.output import Config, Json, line, say, table, value
from gateway.cli.reach import settings_path, speaking
from gateway.cli.rule import Folder, tell
from gateway.cli.words import count, octets, plain, some

if TYPE_CHECKING:
    from gateway.app.rule_test import Question
    from gateway.mail.address import Address
    from gateway.rules.facts import Organisation
    from gateway.rules.model import RuleSet
    from gateway.settings.load import Loaded

File = Annotated[Path, typer.Argument(metavar="MESSAGE", help="The message as a file, or - for standard input.")]
Sender = Annotated[str, typer.Option("--from", metavar="ADDRESS", help="The envelope's sender; <> for the null one.")]
To = Annotated[list[str], typer.Option("--to", metavar="ADDRESS", help="A recipient; may stand several times.")]
Ip = Annotated[str | None, typer.Option("--client-ip", metavar="IP", help="Address of the client that hands it in.")]
Internal = Annotated[
    bool, typer.Option("--internal", help="As from somebody who has logged in, or from a server of ours.")
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write the copies there, as they would go on.")]


def test(
    message: File,
    sender: Sender,
    to: To,
    client_ip: Ip = None,
    internal: Internal = False,
    folder: Folder = None,
    out: Out = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Tell what the rules would do with a message, and why. Nothing is sent, no gateway has to run.

    With --rules no settings are needed; where there are some, they say which domains are ours. Without them the
    sender's domain is, with --internal. Copies are shown as rules leave them: before they are protected and signed.
    """
    from gateway.app.authenticate import message_of
    from gateway.app.rule_test import Question, answer, rule_test, write
    from gateway.mail.reply import Refused
    from gateway.rules.fault import BadRules
    from gateway.rules.outcome import spoken
    from gateway.world.clock import SystemClock

    with speaking():
        try:
            content = sys.stdin.buffer.read() if str(message) == "-" else message.read_bytes()
        except OSError as error:
            complain(f"{error.filename or message}: {error.strerror or error}")
            raise typer.Exit(1) from None
        question = Question(
            message=message_of(content),
            sender=None if sender in ("", "<>") else _address(sender, "--from"),
            recipients=tuple(_address(one, "--to") for one in to),
            client=_ip(client_ip),
            internal=internal,
        )
        try:
            rules, organisation = _known(folder, config, question)
        except BadRules as bad:
            tell(bad.faults)
            raise typer.Exit(1) from bad
        try:
            decided = asyncio.run(rule_test(question, rules, organisation, SystemClock().now()))
            names = None if out is None else write(decided, out)
        except Refused as refused:
            complain(f"the message would be answered {spoken(refused.reply)}")
            raise typer.Exit(1) from None
        except OSError as error:
            complain(f"{error.filename or out}: {error.strerror or error}")
            raise typer.Exit(1) from None
        found = answer(decided, names)
        if as_json:
            value(found)
        else:
            say(f"{plain(message)}, {octets(len(content))}, judged by {count(len(rules.rules), 'rule')}.")
            _show(found)


def _address(text: str, option: str) -> Address:
    from gateway.mail.address import BadAddress, parse_address

    try:
        return parse_address(text.removeprefix("<").removesuffix(">"))
    except BadAddress as error:
        raise typer.BadParameter(f"{option} {plain(text)}: {error}; right would be ida@corp.example") from None


def _ip(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise typer.BadParameter(
            f"--client-ip {plain(text)} is no address; right would be 192.0.2.7 or 2001:db8::7"
        ) from None


def _known(folder: Path | None, config: Path | None, question: Question) -> tuple[RuleSet, Organisation]:
    """The rules, and who is inside. Raises BadRules, BadSettings, OSError."""
    from gateway.app.rule_files import load_rules
    from gateway.app.rule_test import organisation_of, organisation_without_settings
    from gateway.rules.load import load

    loaded = _settings(config, needed=folder is None)
    organisation = organisation_without_settings(question) if loaded is None else organisation_of(loaded)
    if folder is not None:
        return load(folder), organisation
    assert loaded is not None  # noqa: S101 - they were needed
    return load_rules(loaded), organisation


def _settings(config: Path | None, *, needed: bool) -> Loaded | None:
    """The settings; None where there are none that can be read and nobody asked for them. Raises BadSettings."""
    from gateway.settings.fault import BadSettings
    from gateway.settings.load import loaded

    try:
        return loaded(settings_path(config))
    except (BadSettings, OSError):
        if needed or config is not None:
            raise
        return None


def _show(found: dict[str, Any]) -> None:
    rows = []
    for rule in found["rules"]:
        for address, verdict in rule["recipients"].items():
            said = "matches" if verdict["matched"] else "excepted" if verdict["unless"] else "no"
            if "error" in verdict:
                said = "error"
            why = [_why(one) for one in (verdict["unless"] or verdict["because"])]
            words = "; ".join(why) or "-"
            if said == "no" and why:  # Else it reads as the reason for the no.
                words = f"only this holds: {words}"
            rows.append((plain(rule["name"]), rule["mode"], plain(address), said, words))
    if rows:
        print()
        table(("Rule", "Mode", "Recipient", "Matches", "Why"), rows)
    for number, outcome in enumerate(found["outcomes"], 1):
        print()
        say(f"{number}. {some(outcome['recipients'], 100)}: {outcome['disposition']}")
        for key in ("reply", "protection", "template", "smime", "connector", "severity", "override", "message"):
            if outcome.get(key) not in (None, "none"):
                line(f"   {key}:", plain(outcome[key]))
        if outcome["require_tls"]:
            line("   TLS:", "demanded")
        for key in ("actions", "audited", "warnings"):
            if outcome.get(key):
                line(f"   {key}:", some(outcome[key], 100))


def _why(finding: dict[str, Any]) -> str:
    where = f" in {plain(finding['where'])}" if finding["where"] else ""
    found = f": {some(finding['found'])}" if finding["found"] else ""
    return f"{finding['condition']}{where}{found}"
