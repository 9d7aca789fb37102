"""Conditions on fields of the header. They look at the message, so they do not fork."""

from __future__ import annotations

import re
from typing import Final

from gateway.mail.address import Address
from gateway.rules.conditions.kind import NO, ConditionKind, Cost, Hit, Hits, Judge, Place, Sought, Text
from gateway.rules.model import Rule
from gateway.rules.shapes import ADDRESSES, HEADER_PATTERNS, HEADER_WORDS, WORDS, choice
from gateway.rules.values import HeaderPatterns, HeaderWords
from gateway.rules.view import View
from gateway.rules.work import who

CLASSIFICATION: Final = "x-classification"  # Where the message's classification stands (contracts, Rule values).

_DIGIT = re.compile(r"\s*([1-5])\b")


def _named(*fields: str) -> Judge:
    def judge(value: tuple[Address, ...], view: View, rule: Rule) -> Hits:
        wanted = {who(one) for one in value}
        hits = []
        for field in fields:
            if found := tuple(one.text for one in view.addresses(field) if who(one) in wanted):
                hits.append(Hit(found, field.capitalize()))
        return tuple(hits)

    return judge


def _words(value: tuple[HeaderWords, ...], rule: Rule) -> tuple[Sought, ...]:
    return tuple(Sought(Text(Place.HEADER, one.name), words=one.words) for one in value)


def _patterns(value: tuple[HeaderPatterns, ...], rule: Rule) -> tuple[Sought, ...]:
    return tuple(Sought(Text(Place.HEADER, one.name), patterns=one.patterns) for one in value)


def _classification(value: tuple[str, ...], rule: Rule) -> tuple[Sought, ...]:
    return (Sought(Text(Place.HEADER, CLASSIFICATION), words=value),)


def _importance(value: str, view: View, rule: Rule) -> Hits:
    found, where = importance_of(view)
    return (Hit((found,), where),) if found == value else NO


def importance_of(view: View) -> tuple[str, str]:
    """`low`, `normal` or `high`, and the field that says so: Importance (RFC 2156 5.3.4), else X-Priority (1 and 2 are
    high, 4 and 5 low), else X-MSMail-Priority. A message that says nothing is normal.
    """
    for value in view.values("importance"):
        if (word := value.strip().lower()) in ("low", "normal", "high"):
            return word, "Importance"
    for value in view.values("x-priority"):
        if (digit := _DIGIT.match(value)) is not None:
            return {"1": "high", "2": "high", "3": "normal"}.get(digit[1], "low"), "X-Priority"
    for value in view.values("x-msmail-priority"):
        if (word := value.strip().lower()) in ("low", "normal", "high"):
            return word, "X-MSMail-Priority"
    return "normal", "Importance"


KINDS: Final = (
    ConditionKind(
        name="any_of_to_header",
        shape=ADDRESSES,
        text="To names one of these; the actions touch everyone.",
        cost=Cost.HEADER,
        judge=_named("to"),
    ),
    ConditionKind(
        name="any_of_cc_header",
        shape=ADDRESSES,
        text="Cc names one of these; the actions touch everyone.",
        cost=Cost.HEADER,
        judge=_named("cc"),
    ),
    ConditionKind(
        name="any_of_to_cc_header",
        shape=ADDRESSES,
        text="To or Cc names one of these; the actions touch everyone.",
        cost=Cost.HEADER,
        judge=_named("to", "cc"),
    ),
    ConditionKind(
        name="header_contains",
        shape=HEADER_WORDS,
        text="Any field of that name, unfolded and decoded, holds one of these words.",
        cost=Cost.HEADER,
        sought=_words,
    ),
    ConditionKind(
        name="header_matches",
        shape=HEADER_PATTERNS,
        text="Any field of that name, unfolded and decoded, fits one of these patterns.",
        cost=Cost.HEADER,
        sought=_patterns,
    ),
    ConditionKind(
        name="with_importance",
        shape=choice("low", "normal", "high"),
        text="Importance, or X-Priority where that is missing; a message without either is normal.",
        cost=Cost.HEADER,
        judge=_importance,
    ),
    ConditionKind(
        name="has_classification",
        shape=WORDS,
        text="The message classification (X-Classification) is one of these.",
        cost=Cost.HEADER,
        judge=None,
        sought=_classification,
    ),
)
