"""What the rules would do with a message in a file, without a running gateway (`gateway rule test`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.app.rules import internal
from gateway.connectors import outbound
from gateway.connectors.inbound import inbounds
from gateway.connectors.model import TlsLevel
from gateway.mail.address import Address, BadAddress
from gateway.mail.envelope import Body, Client, Envelope, Recipient
from gateway.mail.header_address import mailboxes
from gateway.mail.mail import Mail
from gateway.mail.message import Message
from gateway.mail.opened import Opened
from gateway.protect.opening import looks_like_smime
from gateway.rules.conditions.attachment import attachment_rows
from gateway.rules.decide import Decided, Deciding, RulingTerms, engines
from gateway.rules.engine import Engine
from gateway.rules.facts import IpAddress, Organisation
from gateway.rules.model import RuleSet
from gateway.rules.outcome import row
from gateway.settings.load import Loaded
from gateway.smime.cms.recipients import DecryptionKeys
from gateway.smime.opening import may_be_wrapped, open_message
from gateway.smime.trust import Trust
from gateway.world.chance import SystemChance

ID: Final = "TEST"  # In place of a queue id.


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A message, and how it comes. `sender` None: the null reverse path; `client`: its IP address, None: not told.
    `internal`: as from somebody who has logged in, or a server of ours.
    """

    message: Message
    sender: Address | None
    recipients: tuple[Address, ...]
    client: str | None = None
    internal: bool = False


class _Helps:
    """`Helps` of the stage. The marks that it makes count at no gateway."""

    def __init__(self, trusted: bool) -> None:
        self._trusted = trusted
        self.faults: list[tuple[tuple[str, ...], Exception]] = []

    def is_trusted(self, client: Client | None, connector: str | None) -> bool:
        return self._trusted

    def mark(self, text: str) -> str:
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]

    def failed(self, mail: Mail, rules: tuple[str, ...], error: Exception) -> None:
        self.faults.append((rules, error))


async def rule_test(question: Question, rules: RuleSet, organisation: Organisation, now: float) -> Decided:
    """What all rules say, with the copies made; where there is no rule, that everybody gets it as it is. Raises Refused
    where an edit can't be made. `now`: seconds since 1970.
    """
    made = engines(RulingTerms(rules=rules, organisation=organisation, hostname="gateway.invalid"))
    held = question.message.content.inline or b""
    client = None
    if question.client is not None:
        client = Client(address=question.client, port=0, helo="", esmtp=True, listener="", tls=None)
    mail = Mail(
        id=ID,
        received=now,
        envelope=Envelope(
            sender=question.sender,
            recipients=tuple([Recipient(one) for one in question.recipients]),
            body=Body.SEVEN_BIT if held.isascii() else Body.EIGHT_BIT_MIME,
            smtputf8=not all(one.is_ascii for one in question.recipients),
        ),
        message=question.message,
        client=client,
        opened=_opened(question.message, held, now),
    )
    return await Deciding(_Helps(question.internal))(mail, made, made.all or Engine(rules), explain=True)


def _opened(message: Message, octets: bytes, now: float) -> Opened | None:
    """What everybody reads inside of a signature around the content. Nothing is opened that needs a key."""
    if not looks_like_smime(message) or not may_be_wrapped(octets):
        return None
    opened = open_message(octets, DecryptionKeys(), Trust([]), now, SystemChance())
    return opened if opened.layers else None


def organisation_of(loaded: Loaded) -> Organisation:
    """Who is inside by these settings. Raises BadSettings, OSError."""
    ways = outbound.outbounds(loaded)
    nets = [net for one in inbounds(loaded) if one.on_premises for net in one.networks]

    def is_partner(domain: str) -> bool:
        way = outbound.choose(ways, domain)
        return way is not None and way.tls.level > TlsLevel.OPPORTUNISTIC

    def is_hop(address: IpAddress) -> bool:
        return any(address in net for net in nets)

    return Organisation(is_ours=internal(loaded), is_partner=is_partner, is_hop=is_hop)


def organisation_without_settings(question: Question) -> Organisation:
    """Where nobody says which domains are ours: the sender's, if he is said to be inside; else none."""
    domains: set[str] = set()
    if question.internal:
        if question.sender is not None:
            domains.add(question.sender.domain)
        try:
            domains |= {one.domain for one in mailboxes(question.message.first(b"From") or b"")}
        except BadAddress:
            pass
    return Organisation(is_ours=_one_of(domains))


def _one_of(domains: set[str]) -> Callable[[str], bool]:
    return lambda domain: domain in domains


def answer(decided: Decided, names: Sequence[str | None] | None) -> dict[str, Any]:
    """The JSON value of the contract. `names`: the files that copies were written to, None where there is none."""
    shown = names or [None] * len(decided.outcomes)
    outcomes = [row(one, name) for one, name in zip(decided.outcomes, shown, strict=True)]
    attachments = [dict(one) for one in attachment_rows(decided.judged.view)]
    return {"rules": decided.judged.rows(), "outcomes": outcomes, "facts": {"attachments": attachments}}


def write(decided: Decided, folder: Path) -> list[str | None]:
    """Write each copy into `folder`, as `out-1.eml` and so on; their names, None for outcomes without one. Raises
    OSError.
    """
    names: list[str | None] = []
    folder.mkdir(parents=True, exist_ok=True)
    for one in decided.outcomes:
        if one.mail is None:
            names.append(None)
            continue
        name = f"out-{sum(known is not None for known in names) + 1}.eml"
        (folder / name).write_bytes(one.mail.message.content.inline or b"")
        names.append(name)
    return names
