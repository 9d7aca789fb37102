"""The JSON Schema (2020-12) of a file of rules, for editors that complete and check while one types.

Leaves out: what a schema can't tell, such as names that stand twice and patterns that RE2 can't run.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.rules import forms
from gateway.rules.grammar import Grammar, Kind, grammar
from gateway.rules.reading import PROPERTIES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schema(known: Grammar | None = None) -> dict[str, Any]:
    """Of a list of rules. What comes later is not in it."""
    known = known or grammar()
    conditions = _section(known.conditions, forms.CONDITIONS)
    properties: dict[str, Any] = {
        name: {**one.shape.schema(), "description": one.meaning} for name, one in PROPERTIES.items()
    }
    properties["when"] = {"$ref": "#/$defs/conditions", "description": "All of them must hold."}
    properties["unless"] = {"$ref": "#/$defs/conditions", "description": "None of them may hold."}
    properties["then"] = {**_section(known.actions, forms.ACTIONS), "minProperties": 1, "description": "What is done."}
    return {
        "$schema": DIALECT,
        "title": "Transport rules",
        "type": "array",
        "items": {
            "type": "object",
            "properties": properties,
            "required": ["name", "then"],
            "additionalProperties": False,
        },
        "$defs": {"conditions": conditions},
    }


def _section(kinds: Any, spread: tuple[forms.Form, ...]) -> dict[str, Any]:
    """A table of conditions or actions, with the names over which Exchange spreads some of them."""
    properties: dict[str, Any] = {name: _described(kind) for name, kind in kinds.items()}
    for name, (joint, key) in forms.part_names(spread).items():
        if joint in kinds and (inner := _inner(kinds[joint].shape.schema(), key)) is not None:
            properties[name] = {**inner, "description": f"A part of {joint}."}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _described(kind: Kind) -> dict[str, Any]:
    return {**kind.shape.schema(), "description": kind.text}


def _inner(whole: Any, key: str) -> dict[str, Any] | None:
    """The schema of one key of a table, however deep the table stands among alternatives."""
    if not isinstance(whole, dict):
        return None
    inner = whole.get("properties", {}).get(key)
    if isinstance(inner, dict):
        return inner
    for one in whole.get("anyOf", ()):
        if (found := _inner(one, key)) is not None:
            return found
    return None
