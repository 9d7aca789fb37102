"""docs/standards.md is the register of what we follow: one row for each RFC that the code names."""

from __future__ import annotations

import re

from tests.house.tree import ROOT, name_of, sources

REGISTER = ROOT / "docs/standards.md"
NAMED = re.compile(r"\bRFC[ -]?([0-9]{3,5})\b")
ROW = re.compile(r"^\| (?:RFC )?([0-9]{3,5}) \|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|$", re.MULTILINE)
VERDICTS = {"yes", "partly", "no"}


def rows() -> list[tuple[str, str, str]]:
    """Number, verdict and place of each row."""
    return [(row[1], row[3].strip(), row[4].strip()) for row in ROW.finditer(REGISTER.read_text("utf-8"))]


def test_every_rfc_that_the_code_names_has_a_row() -> None:
    known = {number for number, _, _ in rows()}
    missing = {
        f"RFC {number} ({name_of(path)})"
        for path in sources()
        for number in NAMED.findall(path.read_text("utf-8"))
        if number not in known
    }
    assert missing == set()


def test_each_row_stands_once_and_says_yes_partly_or_no() -> None:
    numbers = [number for number, _, _ in rows()]
    assert len(numbers) > 20
    assert len(numbers) == len(set(numbers))
    assert {verdict for _, verdict, _ in rows()} <= VERDICTS


def test_what_is_followed_names_a_place_that_exists() -> None:
    wrong = []
    for number, verdict, where in rows():
        places = re.findall(r"`([^`]+)`", where)
        if verdict != "no" and not places:
            wrong.append(f"RFC {number}: no place")
        wrong += [f"RFC {number}: {place}" for place in places if not (ROOT / "gateway" / place).exists()]
    assert wrong == []
