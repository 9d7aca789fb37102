"""Conditions on the message as a whole: its size and its kind."""

from __future__ import annotations

from typing import Final

from gateway.mail.opened import LayerKind
from gateway.mail.reading import MessageKind
from gateway.rules.conditions.kind import NO, ConditionKind, Cost, Hit, Hits
from gateway.rules.model import Rule
from gateway.rules.shapes import SIZE, Several, choice
from gateway.rules.view import View

TYPES: Final = tuple(kind.value for kind in MessageKind)


def _size(view: View) -> int:
    return view.facts.size


def _size_over(value: int, view: View, rule: Rule) -> Hits:
    size = _size(view)
    return (Hit((f"{size} B",), "message"),) if size > value else NO


def _type(value: tuple[str, ...], view: View, rule: Rule) -> Hits:
    found = tuple(kind for kind in value if kind in kinds_of(view))
    return (Hit(found, "message"),) if found else NO


def kinds_of(view: View) -> frozenset[str]:
    """What the message is: what its reader sees, and what it was before it was opened."""
    kinds = {str(kind) for kind in view.reading.kinds}
    for layer in () if view.facts.opened is None else view.facts.opened.layers:
        if layer.kind is LayerKind.SIGNED:
            kinds.add(MessageKind.SIGNED)
        elif layer.kind is LayerKind.RIGHTS:
            kinds.add(MessageKind.PERMISSION_CONTROLLED)
        elif layer.hides:
            kinds.add(MessageKind.ENCRYPTED)
    return frozenset(kinds)


KINDS: Final = (
    ConditionKind(
        name="message_size_over",
        shape=SIZE,
        text="The whole message, as it is sent, is larger than this.",
        cost=Cost.ENVELOPE,
        judge=_size_over,
        over=_size,
    ),
    ConditionKind(
        name="message_type_matches",
        shape=Several("types of message", choice(*TYPES)),
        text="The message is one of these: encrypted or signed by S/MIME or PGP, an automatic answer, an invitation"
        " and so on.",
        cost=Cost.STRUCTURE,
        judge=_type,
    ),
)
