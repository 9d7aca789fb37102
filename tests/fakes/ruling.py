"""Transport rules on a message, from YAML to the plan: hands that write down what they are asked for."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.mail.address import parse_address
from gateway.mail.envelope import Client, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Content, Held, Message
from gateway.mail.opened import Opened
from gateway.mail.reply import Reply
from gateway.mail.terms import Protection, Terms
from gateway.rules.decide import RulingTerms, engines
from gateway.rules.facts import Organisation
from gateway.rules.load import load
from gateway.rules.model import RuleSet
from gateway.rules.stage import Ruling
from tests.fakes.clock import FakeClock

OURS = "corp.example"
HEAD = (
    "From: Ida Berg <ida@corp.example>\r\nTo: otto@partner.example\r\nSubject: Offer\r\n"
    "Message-ID: <1@corp.example>\r\n"
)
PLAIN = (HEAD + "\r\nhello\r\n").encode()
CLIENT = Client(address="192.0.2.7", port=25, helo="mail", esmtp=True, listener="relay", tls=None, user="ida")


class FakeHands:
    """Whoever asks is trusted where the client has logged in. `fails`: what `submit` raises."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []
        self.counted: list[tuple[str, tuple[str, ...]]] = []
        self.observed: list[str] = []
        self.failures: list[tuple[tuple[str, ...], Exception]] = []
        self.submitted: list[Mail] = []
        self.reports: list[tuple[tuple[str, ...], Reply]] = []
        self.fails: Exception | None = None
        self.is_sure = True
        self.sealing = False  # Whether a certificate is known for whoever gets a report.

    def is_trusted(self, client: Client | None, connector: str | None) -> bool:
        return client is not None and client.user is not None

    def mark(self, text: str) -> str:
        return f"{sum(text.encode()):x}mark"

    def failed(self, mail: Mail, rules: tuple[str, ...], error: Exception) -> None:
        self.failures.append((rules, error))

    def refused(self, mail: Mail, recipients: tuple[Recipient, ...], reply: Reply) -> Mail | None:
        if not self.is_sure or mail.envelope.sender is None:
            return None
        self.reports.append((tuple(one.address.text for one in recipients), reply))
        return Mail(
            id=mail.id,
            received=mail.received,
            envelope=Envelope(sender=None, recipients=(Recipient(mail.envelope.sender),)),
            message=message(b"Subject: report\r\n\r\n"),
        )

    async def sealed(self, mail: Mail) -> Mail | None:
        if not self.sealing:
            return None
        octets = b"Content-Type: application/pkcs7-mime\r\n\r\nsealed\r\n"
        return replace(mail, message=message(octets), terms=Terms(protection=Protection.SMIME))

    async def submit(self, mail: Mail) -> str:
        if self.fails is not None:
            raise self.fails
        self.submitted.append(mail)
        return "Q2"

    def tell(self, level: str, event: str, **facts: object) -> None:
        self.told.append((event, facts))

    def count(self, name: str, labels: tuple[str, ...]) -> None:
        self.counted.append((name, labels))

    def observe(self, name: str, value: float) -> None:
        self.observed.append(name)


def rule_set(folder: Path, yaml: str) -> RuleSet:
    """The rules of one file with that text. Raises BadRules."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "rules.yaml").write_text(textwrap.dedent(yaml))
    return load(folder)


def ruling(rules: RuleSet, hands: FakeHands, *, is_ours: Callable[[str], bool] | None = None) -> Ruling:
    """The stage with these rules, for an organisation that has corp.example."""
    organisation = Organisation(is_ours=is_ours or (lambda domain: domain == OURS))
    terms = RulingTerms(rules=rules, organisation=organisation, hostname="mx.corp.example", contact="help@corp.example")
    return Ruling(engines(terms), clock=FakeClock(), hands=hands)


def message(octets: bytes, content: Content | None = None) -> Message:
    """A message of these octets."""
    return Message(octets[:MAX_HEAD], Held(octets) if content is None else content)


def mail(
    octets: bytes = PLAIN,
    *to: str,
    sender: str | None = "ida@corp.example",
    client: Client | None = CLIENT,
    opened: Opened | None = None,
    content: Content | None = None,
    **more: Any,
) -> Mail:
    """One on its way, to otto@partner.example unless said otherwise."""
    return Mail(
        id="Q",
        received=1_700_000_000.0,
        envelope=Envelope(
            sender=None if sender is None else parse_address(sender),
            recipients=tuple(Recipient(parse_address(one)) for one in to or ("otto@partner.example",)),
            **more,
        ),
        message=message(octets, content),
        client=client,
        connector="internal",
        opened=opened,
    )


def octets_of(one: Mail) -> bytes:
    """The whole of a small message."""
    held = one.message.content.inline
    assert held is not None
    return held


def addresses(one: Mail) -> list[str]:
    """The recipients of a copy."""
    return [recipient.address.text for recipient in one.envelope.recipients]
