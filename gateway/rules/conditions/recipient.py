"""Conditions on who receives. They look at the envelope, at each recipient by himself, and fork."""

from __future__ import annotations

from typing import Final

from gateway.mail.address import Address
from gateway.rules.conditions.kind import NO, ConditionKind, Cost, Hit, Hits, Mark, Place, Sought, Text
from gateway.rules.conditions.sender import INSIDE, OUTSIDE, suffixes, within
from gateway.rules.facts import Organisation
from gateway.rules.model import Rule
from gateway.rules.shapes import ADDRESSES, DOMAINS, PATTERNS, choice
from gateway.rules.view import View
from gateway.rules.work import who

PARTNER: Final = "external_partner"
NO_PARTNER: Final = "external_non_partner"


def scopes_of(address: Address, organisation: Organisation) -> tuple[str, ...]:
    """All scopes that a recipient is in. An address without a domain is the gateway's own postmaster."""
    if not address.domain or organisation.is_ours(address.domain):
        return (INSIDE,)
    return (OUTSIDE, PARTNER if organisation.is_partner(address.domain) else NO_PARTNER)


def _sent_to(value: tuple[Address, ...], view: View, recipient: Address) -> Hits:
    key = who(recipient)
    return (Hit((recipient.text,), "recipient"),) if any(who(one) == key for one in value) else NO


def _scope(value: str, view: View, recipient: Address) -> Hits:
    found = value in scopes_of(recipient, view.facts.organisation)
    return (Hit((recipient.text,), "recipient"),) if found else NO


def _domain(value: tuple[str, ...], view: View, recipient: Address) -> Hits:
    return (Hit((recipient.text,), "recipient"),) if within(recipient.domain, value) else NO


def _patterns(value: tuple[str, ...], rule: Rule) -> tuple[Sought, ...]:
    return (Sought(Text(Place.RECIPIENT), patterns=value),)


def _sent_to_marks(value: tuple[Address, ...], rule: Rule) -> tuple[Mark, ...]:
    return tuple(Mark("to", who(one)) for one in value)


def _scope_marks(value: str, rule: Rule) -> tuple[Mark, ...]:
    return (Mark("to scope", value),)


def _domain_marks(value: tuple[str, ...], rule: Rule) -> tuple[Mark, ...]:
    return tuple(Mark("to domain", one) for one in value)


def marks_of(recipient: Address, view: View, kind: str) -> list[tuple[str, str]]:
    """What one recipient has of one kind of marks, as bare pairs: they equal marks, and cost less to make."""
    if kind == "to":
        return [(kind, recipient.who)]
    every = suffixes(recipient.domain) if kind == "to domain" else scopes_of(recipient, view.facts.organisation)
    return [(kind, one) for one in every]


KINDS: Final = (
    ConditionKind(
        name="sent_to",
        shape=ADDRESSES,
        text="The recipient is one of these.",
        cost=Cost.ENVELOPE,
        recipient=_sent_to,
        marks=_sent_to_marks,
        forks=True,
    ),
    ConditionKind(
        name="sent_to_scope",
        shape=choice(INSIDE, OUTSIDE, PARTNER, NO_PARTNER),
        text="The recipient is inside (an accepted domain that is no external relay), outside, or outside at a partner,"
        " to whom mail leaves under TLS that is demanded.",
        cost=Cost.ENVELOPE,
        recipient=_scope,
        marks=_scope_marks,
        forks=True,
    ),
    ConditionKind(
        name="recipient_domain_is",
        shape=DOMAINS,
        text="The recipient's domain is one of these or lies in one.",
        cost=Cost.ENVELOPE,
        recipient=_domain,
        marks=_domain_marks,
        forks=True,
    ),
    ConditionKind(
        name="recipient_address_matches_patterns",
        shape=PATTERNS,
        text="The recipient's address fits one of these patterns.",
        cost=Cost.ENVELOPE,
        sought=_patterns,
        forks=True,
    ),
)
