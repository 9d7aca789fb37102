"""Files and functions stay short enough to be held in the head."""

from __future__ import annotations

import ast

from tests.house.tree import lines_of, name_of, sources

MOST_LINES = 500
MOST_FUNCTION_LINES = 60

# Each with its reason. What is no longer too long must leave the list.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def long_functions() -> dict[str, int]:
    """`file:function` of each that is too long, with its lines."""
    found: dict[str, int] = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MOST_FUNCTION_LINES:
                    found[f"{name_of(path)}:{node.name}"] = lines
    return found


def test_no_file_is_over_500_lines() -> None:
    found = {name_of(path): len(lines_of(path)) for path in sources() if len(lines_of(path)) > MOST_LINES}
    assert set(found) == set(LONG_FILES), f"split by noun, or give a reason in LONG_FILES: {found}"


def test_no_function_is_over_60_lines() -> None:
    found = long_functions()
    assert set(found) == set(LONG_FUNCTIONS), f"split, or give a reason in LONG_FUNCTIONS: {found}"
