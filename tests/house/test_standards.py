"""docs/standards.md is the register of what we follow: one row for each RFC that the code names."""

from __future__ import annotations

import re

from tests.house.tree import ROOT, name_of, sources

REGISTER = ROOT / "docs/standards.md"
NAMED = re.compile(r"\bRFC[ -]?([0-9]{3,5})\b")
DOCUMENT = re.compile(r"\b(?:FIPS [0-9]{3}(?:-[0-9])?|(?:SP 800-|SLIP-|PKCS ?#1)[0-9]+[A-Z]?(?:r[0-9])?)\b")
OLDER = {"FIPS 186-3"}  # Editions that only vectors are named after.
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


def test_every_document_of_nist_and_others_that_the_code_names_has_a_row() -> None:
    told = REGISTER.read_text("utf-8").partition("\nOther documents:\n")[2]
    # A row may say "FIPS 180-4, 197" and "SP 800-56A, 56B": each is known by its number alone.
    cells = " ".join(row.partition(" | ")[0] for row in told.splitlines())
    known = {word.removeprefix("800-") for word in re.findall(r"[0-9][\w-]*", cells)}
    named = {
        (one, name_of(path))
        for path in sources()
        for one in DOCUMENT.findall(path.read_text("utf-8"))
        if one not in OLDER
    }
    assert {"SP 800-108", "SLIP-39", "FIPS 186-5"} <= {one for one, _ in named}
    missing = {(one, where) for one, where in named if one.lstrip("FIPSLKC #-").removeprefix("800-") not in known}
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
