"""Conditions on who sends."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gateway.mail.address import Address
from gateway.rules.conditions.kind import NO, ConditionKind, Cost, Hit, Hits, Mark, Place, Sought, Text
from gateway.rules.conditions.origin import client_of
from gateway.rules.model import Rule, SenderLocation
from gateway.rules.shapes import ADDRESSES, DOMAINS, NETWORKS, PATTERNS, WORDS, choice
from gateway.rules.values import Network
from gateway.rules.view import View
from gateway.rules.work import who

INSIDE: Final = "in_organization"
OUTSIDE: Final = "not_in_organization"


@lru_cache(maxsize=4096)
def suffixes(domain: str) -> tuple[str, ...]:
    """The domain and all that it lies in: `a.b.example`, `b.example`, `example`."""
    labels = domain.split(".")
    return tuple(".".join(labels[place:]) for place in range(len(labels)))


def within(domain: str, domains: Iterable[str]) -> str | None:
    """Which of `domains` it is, or lies in."""
    known = suffixes(domain)
    return next((one for one in domains if one in known), None)


def _from(value: tuple[Address, ...], view: View, rule: Rule) -> Hits:
    wanted = {who(one) for one in value}
    found = tuple(one.text for one in view.senders(rule.sender_location) if who(one) in wanted)
    return (Hit(found, "sender"),) if found else NO


def _from_marks(value: tuple[Address, ...], rule: Rule) -> tuple[Mark, ...]:
    return tuple(Mark(f"from {rule.sender_location}", who(one)) for one in value)


def _domain(value: tuple[str, ...], view: View, rule: Rule) -> Hits:
    found = tuple(one.text for one in view.senders(rule.sender_location) if within(one.domain, value))
    return (Hit(found, "sender"),) if found else NO


def _domain_marks(value: tuple[str, ...], rule: Rule) -> tuple[Mark, ...]:
    return tuple(Mark(f"from domain {rule.sender_location}", one) for one in value)


def _scope(value: str, view: View, rule: Rule) -> Hits:
    scope = INSIDE if view.is_internal else OUTSIDE
    return (Hit((scope,), "sender"),) if scope == value else NO


def _scope_marks(value: str, rule: Rule) -> tuple[Mark, ...]:
    return (Mark("from scope", value),)


def _networks(value: tuple[Network, ...], view: View, rule: Rule) -> Hits:
    client = client_of(view)
    if client is None:
        return NO
    return (Hit((str(client),), "client"),) if any(one.holds(client) for one in value) else NO


def _words(value: tuple[str, ...], rule: Rule) -> tuple[Sought, ...]:
    return (Sought(Text(Place.SENDER, rule.sender_location), words=value),)


def _patterns(value: tuple[str, ...], rule: Rule) -> tuple[Sought, ...]:
    return (Sought(Text(Place.SENDER, rule.sender_location), patterns=value),)


def marks_of(view: View, kind: str) -> list[tuple[str, str]]:
    """What the message has of one kind of sender's marks, as bare pairs: they equal marks, and cost less to make."""
    if kind == "from scope":
        return [(kind, INSIDE if view.is_internal else OUTSIDE)]
    # Those of both locations: a rule that finds none where it looks is looked at once in vain.
    senders = view.senders(SenderLocation.HEADER_OR_ENVELOPE)
    if kind.startswith("from domain "):
        return [(kind, suffix) for one in senders for suffix in suffixes(one.domain)]
    return [(kind, one.who) for one in senders]


KINDS: Final = (
    ConditionKind(
        name="from",
        shape=ADDRESSES,
        text="The sender is one of these.",
        cost=Cost.HEADER,
        judge=_from,
        marks=_from_marks,
    ),
    ConditionKind(
        name="from_scope",
        shape=choice(INSIDE, OUTSIDE),
        text="The sender is inside: an accepted domain, and an authenticated or on-premises connection; or he is not.",
        cost=Cost.HEADER,
        judge=_scope,
        marks=_scope_marks,
    ),
    ConditionKind(
        name="sender_domain_is",
        shape=DOMAINS,
        text="The sender's domain is one of these or lies in one.",
        cost=Cost.HEADER,
        judge=_domain,
        marks=_domain_marks,
    ),
    ConditionKind(
        name="from_address_contains_words",
        shape=WORDS,
        text="The sender's address holds one of these words.",
        cost=Cost.HEADER,
        sought=_words,
    ),
    ConditionKind(
        name="from_address_matches_patterns",
        shape=PATTERNS,
        text="The sender's address fits one of these patterns.",
        cost=Cost.HEADER,
        sought=_patterns,
    ),
    ConditionKind(
        name="sender_ip_ranges",
        shape=NETWORKS,
        text="The client's address is in one of these; behind a trusted host, that of the last one that is not.",
        cost=Cost.ENVELOPE,
        judge=_networks,
    ),
)
