"""Rules and data types on the pages for people are read as they stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.rules.load import load
from tests.house.guide import ADMINISTRATOR, README, Block, blocks

RULES = [one for page in (README, ADMINISTRATOR) for one in blocks(page) if one.language == "yaml"]
RULES = [one for one in RULES if one.text.startswith("- name:")]


@pytest.mark.parametrize("block", RULES, ids=lambda block: block.name)
def test_rules_of_a_page_have_no_fault(block: Block, tmp_path: Path) -> None:
    folder = tmp_path / "types" if "patterns:" in block.text and "then:" not in block.text else tmp_path
    folder.mkdir(exist_ok=True)
    (folder / "a.yaml").write_text(block.text, "utf-8")
    found = load(tmp_path)
    assert found.rules or found.types


def test_there_are_some() -> None:
    assert len(RULES) > 1
