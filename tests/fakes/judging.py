"""Rules, messages and facts for tests of the rules' engine, each made in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.mail.address import parse_address
from gateway.mail.authentication import Authentication
from gateway.mail.envelope import Recipient
from gateway.mail.opened import Opened
from gateway.mail.reading import Reading, read
from gateway.rules.actions import ACTIONS
from gateway.rules.conditions import CONDITIONS
from gateway.rules.engine import Engine
from gateway.rules.facts import Facts, IpAddress, Organisation
from gateway.rules.model import Action, Condition, DataType, Rule, RuleSet
from gateway.rules.verdict import Judged
from gateway.rules.work import Work

NOW = 1_793_000_000.0
OURS = "corp.example"
PARTNER = "partner.example"


def condition(name: str, value: object) -> Condition:
    """As a rule file would have it; `value` as YAML gives it."""
    return Condition(name, CONDITIONS[name].shape.read(value))


def rule(
    name: str = "rule",
    when: Mapping[str, object] | None = None,
    unless: Mapping[str, object] | None = None,
    then: Mapping[str, object] | None = None,
    **properties: Any,
) -> Rule:
    """A rule; without `then` it changes nothing but the severity in the trace."""
    return Rule(
        name=name,
        when=tuple(condition(*one) for one in (when or {}).items()),
        unless=tuple(condition(*one) for one in (unless or {}).items()),
        then=tuple(
            Action(one, ACTIONS[one].shape.read(value))
            for one, value in (then or {"set_audit_severity": "low"}).items()
        ),
        **properties,
    )


def letter(
    body: str | bytes = "Good morning.\r\n",
    *,
    sender: str = f"Ida <ida@{OURS}>",
    headers: str = "",
    subject: str = "news",
) -> bytes:
    """A message. `headers`: further fields, each with its line end."""
    octets = body if isinstance(body, bytes) else body.encode()
    head = f"From: {sender}\r\nTo: otto@{PARTNER}\r\nSubject: {subject}\r\n{headers}\r\n"
    return head.encode() + octets


def is_ours(domain: str) -> bool:
    return domain == OURS


def is_partner(domain: str) -> bool:
    return domain == PARTNER


def facts(
    message: bytes = b"",
    *,
    sender: str | None = f"ida@{OURS}",
    client: str | None = "192.0.2.7",
    trusted: bool = True,
    hops: tuple[str, ...] = (),
    authentication: Authentication | None = None,
    opened: Opened | None = None,
    reads: Callable[[], Reading] | None = None,
    now: float = NOW,
) -> Facts:
    """Of mail that one of ours sends, unless something else is said."""

    def is_hop(address: IpAddress) -> bool:
        return str(address) in hops

    return Facts(
        sender=None if sender is None else parse_address(sender),
        organisation=Organisation(is_ours=is_ours, is_partner=is_partner, is_hop=is_hop),
        read=reads or (lambda: read(message or letter())),
        size=len(message or letter()),
        now=now,
        client=client,
        trusted=trusted,
        authentication=authentication,
        opened=opened,
    )


def work(*recipients: str) -> Work:
    """All recipients; `otto@partner.example` where none is named."""
    return Work(Recipient(parse_address(one)) for one in recipients or (f"otto@{PARTNER}",))


def engine(*rules: Rule, types: tuple[DataType, ...] = ()) -> Engine:
    """Rules in the order in which they are given."""
    return Engine(RuleSet(rules=rules, types=types))


def judge(
    *rules: Rule, to: tuple[str, ...] = (), explain: bool = False, types: tuple[DataType, ...] = (), **said: Any
) -> Judged:
    """What the rules make of one message; `said` as `facts` takes it."""
    return engine(*rules, types=types).judge(facts(**said), work(*to), explain=explain)


def matching(name: str, value: object, *, to: tuple[str, ...] = (), **said: Any) -> tuple[str, ...]:
    """For which recipients a rule with this one condition matches, as it is and as an exception, in one: the rest must
    be those for whom a rule with it as its exception matches.
    """
    recipients = to or (f"otto@{PARTNER}",)
    judged = judge(rule("with", {name: value}), rule("without", unless={name: value}), to=recipients, **said)
    assert judged.failures == ()
    hit, missed = (_matched(judged, one) for one in ("with", "without"))
    assert sorted(hit + missed) == sorted(recipients)
    return hit


def findings(name: str, value: object, **said: Any) -> list[tuple[tuple[str, ...], str | None]]:
    """What is found, and where, for the first recipient."""
    judged = judge(rule("with", {name: value}), **said)
    return [(one.found, one.where) for each in judged.verdicts for v in each.recipients.values() for one in v.because]


def _matched(judged: Judged, name: str) -> tuple[str, ...]:
    for one in judged.verdicts:
        if one.name == name:
            return tuple(address for address, verdict in one.recipients.items() if verdict.matched)
    return ()
