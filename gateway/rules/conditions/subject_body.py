"""Conditions on what a message says: its subject, and its texts as the reader sees them."""

from __future__ import annotations

from typing import Final

from gateway.rules.conditions.kind import ConditionKind, Cost, Place, Sought, Text
from gateway.rules.model import Rule
from gateway.rules.shapes import PATTERNS, WORDS


def _subject_words(value: tuple[str, ...], rule: Rule) -> tuple[Sought, ...]:
    return (Sought(Text(Place.SUBJECT), words=value),)


def _subject_patterns(value: tuple[str, ...], rule: Rule) -> tuple[Sought, ...]:
    return (Sought(Text(Place.SUBJECT), patterns=value),)


def _text_words(value: tuple[str, ...], rule: Rule) -> tuple[Sought, ...]:
    return (Sought(Text(Place.TEXT), words=value),)


def _text_patterns(value: tuple[str, ...], rule: Rule) -> tuple[Sought, ...]:
    return (Sought(Text(Place.TEXT), patterns=value),)


KINDS: Final = (
    ConditionKind(
        name="subject_contains_words",
        shape=WORDS,
        text="The subject holds one of these words or phrases: whole words; case and punctuation around them do not"
        " count, but a value that has punctuation means it.",
        cost=Cost.HEADER,
        sought=_subject_words,
    ),
    ConditionKind(
        name="subject_matches_patterns",
        shape=PATTERNS,
        text="The subject fits one of these patterns; ^ and $ are its ends.",
        cost=Cost.HEADER,
        sought=_subject_patterns,
    ),
    ConditionKind(
        name="subject_or_body_contains_words",
        shape=WORDS,
        text="The subject or any text of the message holds one of these words or phrases, hidden ones too.",
        cost=Cost.TEXT,
        sought=_text_words,
    ),
    ConditionKind(
        name="subject_or_body_matches_patterns",
        shape=PATTERNS,
        text="The subject or any text of the message fits one of these patterns, as the reader sees it.",
        cost=Cost.TEXT,
        sought=_text_patterns,
    ),
)
