"""Regular expressions that every Python we run on reads alike."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Python 3.11.2, which is Debian 12's, goes on behind what a last, failing turn of such a group has read (CPython's
# gh-100061). Possessive single classes, such as `[^x]*+`, are sound.
_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{[0-9,]+\})\+|\(\?>")


def possessive_groups(source: str) -> list[str]:
    """The lines of raw strings that hold a possessive or an atomic group."""
    return [line for line in source.splitlines() if "r" in line and _GROUP.search(line)]


@pytest.mark.parametrize("line", ['x = re.compile(r"(?:a|b)*+c")', 'rb"(a){1,2}+"', 'r"(?>a)"'])
def test_a_possessive_group_is_seen(line: str) -> None:
    assert possessive_groups(line) == [line]


@pytest.mark.parametrize("line", ['r"[^x]*+(?:a)*"', r'r"\)*+"'])
def test_a_possessive_class_is_none(line: str) -> None:
    assert possessive_groups(line) == []


def test_no_group_of_ours_is_possessive() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "gateway").rglob("*.py"))
        for line in possessive_groups(path.read_text())
        if path.name != "pattern.py"  # It tells administrators that RE2 has none.
    }
    assert not found
