"""Conditions on sensitive information in what a message says."""

from __future__ import annotations

from typing import Final

from gateway.rules.conditions.kind import NO, ConditionKind, Cost, Hit, Hits
from gateway.rules.model import Rule
from gateway.rules.shapes import DATA_TYPES
from gateway.rules.values import WantedData
from gateway.rules.view import View

MOST_SHOWN: Final = 10  # Values that are told.


def _data(value: tuple[WantedData, ...], view: View, rule: Rule) -> Hits:
    """Distinct values count, of those whose confidence is within the bounds (semantics r36, r37)."""
    hits = []
    for one in value:
        found = [
            sensitive
            for sensitive in view.sensed(one.name)
            if one.min_confidence <= sensitive.confidence <= one.max_confidence
        ]
        if len(found) < one.min_count or (one.max_count is not None and len(found) > one.max_count):
            continue
        for where in dict.fromkeys(sensitive.where for sensitive in found):
            shown = [f"{one.name} {sensitive.value}" for sensitive in found if sensitive.where == where]
            hits.append(Hit(tuple(shown[:MOST_SHOWN]), where))
    return tuple(hits) or NO


KINDS: Final = (
    ConditionKind(
        name="message_contains_data_classifications",
        shape=DATA_TYPES,
        text="Subject and texts hold as many distinct values of one of these data types as it asks for.",
        cost=Cost.CONTENT,
        judge=_data,
    ),
)
