"""The blocks of settings and commands that pages show, so that tests run the very text that people copy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.house.tree import ROOT

ADMINISTRATOR = ROOT / "docs/administrator.md"
README = ROOT / "README.md"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the heading above it, its language, its text, and where it stands."""

    page: str
    heading: str
    language: str
    text: str
    line: int

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}-{re.sub(r'[^a-z0-9]+', '-', self.heading.lower())}"


def blocks(page: Path) -> list[Block]:
    """All of them, in order."""
    found: list[Block] = []
    heading, language, inside, began = "", None, [""], 0
    for number, line in enumerate(page.read_text("utf-8").split("\n"), 1):
        if language is None and line.startswith("```"):
            language, inside, began = line[3:].strip(), [], number
        elif language is not None and line == "```":
            found.append(Block(page.name, heading, language, "\n".join(inside) + "\n", began))
            language = None
        elif language is not None:
            inside.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    assert language is None, f"{page}: the block of line {began} has no end"
    return found


def recipe(heading: str, language: str = "toml", page: Path = ADMINISTRATOR) -> str:
    """The text of the one block of that language under that heading."""
    found = [one.text for one in blocks(page) if (one.heading, one.language) == (heading, language)]
    assert len(found) == 1, f"{page}: {len(found)} blocks of {language} under {heading!r}"
    return found[0]
