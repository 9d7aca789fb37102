"""Data types of the administrator's own, out of rules/types/*.yaml: what a number looks like, and how sure a hit is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.rules.fault import Fault
from gateway.rules.grammar import Grammar
from gateway.rules.model import DataType
from gateway.rules.reading import MAX_COMMENTS, Property, Report, name_of
from gateway.rules.shapes import PATTERNS, TEXT, WORDS, Number, choice, closest
from gateway.rules.shapes.records import NAMED_DATA
from gateway.rules.tree import Table

MAX_DISTANCE: Final = 5_000  # Letters. Words further away say nothing about a number.


def properties(checksums: frozenset[str]) -> Mapping[str, Property]:
    """The keys of a data type."""
    return {
        "name": Property(NAMED_DATA, "must be there", "By which message_contains_data_classifications asks for it."),
        "patterns": Property(PATTERNS, "must be there", "What it looks like; RE2's, case-insensitive."),
        "checksum": Property(choice(*sorted(checksums)), "none", "What a hit must pass too."),
        "words": Property(WORDS, "none", "Words that make a hit surer where one stands near it."),
        "distance": Property(Number(1, MAX_DISTANCE), "`300`", "Letters from a hit to a word that counts as near."),
        "confidence": Property(Number(1, 100), "`65`", "Of a hit without such a word."),
        "confidence_near": Property(Number(1, 100), "`85`", "Of a hit with one."),
        "comments": Property(TEXT(MAX_COMMENTS, lines=True), "none", "For whoever reads the file."),
    }


def read_type(table: Table, file: str, grammar: Grammar, faults: list[Fault]) -> DataType | None:
    """The data type in `table`; None where anything is wrong, and then `faults` has all of it."""
    before = len(faults)
    known = properties(grammar.checksums)
    report = Report(file, faults, name_of(table))
    values: dict[str, Any] = {}
    for key, (line, node) in table.entries.items():
        if (one := known.get(key)) is None:
            report.unknown("", "key", key, closest(key, known), line)
        else:
            values[key] = report.read(one.shape, key, line, node)
    for key in ("name", "patterns"):
        if key not in table.entries:
            report.add(key, f"no {key}", "name: employee_number and patterns: ['E-[0-9]{6}']", table.line)
    if values.get("name") in grammar.data_types:
        right = "another name: this one is built in"
        report.add("name", f"`{values['name']}`", right, table.entries["name"][0])
    if len(faults) > before:
        return None
    values.pop("comments", None)
    return DataType(**values, file=file, line=table.line)
