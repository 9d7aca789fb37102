"""Packages say what they are and what they leave out; modules are named by a noun."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.house.tree import CODE, name_of, sources

PACKAGES = [
    path
    for path in sources()
    if path.name == "__init__.py" and path.parent != CODE and "migrations" not in path.parts  # folders of revisions
]
NO_NOUNS = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_a_package_says_what_it_leaves_out(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    assert "Leaves out" in said, "its docstring says what it is, which specification it follows, what it leaves out"


def test_no_module_is_named_by_what_is_no_noun_of_ours() -> None:
    named = [name_of(path) for path in sources() if path.stem in NO_NOUNS or path.parent.name in NO_NOUNS]
    assert named == []
