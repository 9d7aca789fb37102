"""The JSON Schema says what the reader takes: every name, with its values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.rules import forms, later
from gateway.rules.actions import ACTIONS
from gateway.rules.conditions import CONDITIONS
from gateway.rules.grammar import grammar
from gateway.rules.reading import PROPERTIES
from gateway.rules.schema import schema

SCHEMA: dict[str, Any] = schema()
RULE: dict[str, Any] = SCHEMA["items"]["properties"]


def test_it_is_json_and_names_everything_that_is_taken() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert set(RULE) == {*PROPERTIES, "when", "unless", "then"}
    conditions = set(SCHEMA["$defs"]["conditions"]["properties"])
    assert conditions == {*CONDITIONS, *forms.part_names(forms.CONDITIONS)}
    assert set(RULE["then"]["properties"]) == {*ACTIONS, *forms.part_names(forms.ACTIONS)}


def test_each_name_has_a_sentence() -> None:
    for table in (RULE, SCHEMA["$defs"]["conditions"]["properties"], RULE["then"]["properties"]):
        assert [name for name, one in table.items() if not one["description"]] == []


@pytest.mark.parametrize(
    ("name", "key"),
    [("reject_message_reason_text", "maxLength"), ("smime_otherwise", "enum"), ("set_header_value", "type")],
)
def test_parts_of_a_value_have_the_form_that_they_have_in_its_table(name: str, key: str) -> None:
    assert key in RULE["then"]["properties"][name]


def test_nothing_that_comes_later_is_there_already() -> None:
    known = grammar()
    assert later.CONDITIONS.keys() & known.conditions.keys() == set()
    assert later.ACTIONS.keys() & known.actions.keys() == set()
    assert later.PROPERTIES.keys() & PROPERTIES.keys() == set()


def test_an_instance_of_everything_fits(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    rule = {
        "name": "A",
        "priority": 1,
        "mode": "audit",
        "enabled": True,
        "when": {"subject_contains_words": ["a", "b"], "message_size_over": "10MB", "from": "a@corp.example"},
        "unless": {"header_contains": {"name": "X", "words": "a"}},
        "then": {
            "reject_message": {"text": "No", "code": "5.7.905"},
            "apply_smime": "encrypt",
            "smime_otherwise": "rights",
        },
    }
    jsonschema.validate([rule], SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([rule | {"then": {"qarantine": True}}], SCHEMA)
