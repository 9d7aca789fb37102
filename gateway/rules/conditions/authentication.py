"""Conditions on what we found out about who a message really comes from."""

from __future__ import annotations

from typing import Final

from gateway.mail.authentication import Verdict
from gateway.rules.conditions.kind import NO, ConditionKind, Cost, Hit, Hits
from gateway.rules.model import Rule
from gateway.rules.shapes import AUTHENTICATION
from gateway.rules.values import WantedResult
from gateway.rules.view import View


def _results(value: tuple[WantedResult, ...], view: View, rule: Rule) -> Hits:
    """All methods that are named must have one of their verdicts; of several signatures any of them will do.

    Mail that was not judged, since it is our own, has no results: `none` alone fits it.
    """
    hits = []
    for one in value:
        found = [verdict for verdict in _verdicts(one.method, view) if verdict in one.verdicts]
        if not found:
            return NO
        hits.append(Hit(tuple(dict.fromkeys(found)), one.method))
    return tuple(hits)


def _verdicts(method: str, view: View) -> list[str]:
    """The results of one method. Raises LookupError for one that is not checked here: such a rule can't be judged."""
    if method != "dkim":
        raise LookupError("an authentication method that is not checked here")
    judged = view.facts.authentication
    return [one.verdict.value for one in judged.dkim] if judged is not None and judged.dkim else [Verdict.NONE.value]


KINDS: Final = (
    ConditionKind(
        name="authentication_results",
        shape=AUTHENTICATION,
        text="Our own judgement of the sender: the result of each method that is named is one of these.",
        cost=Cost.ENVELOPE,
        judge=_results,
    ),
)
