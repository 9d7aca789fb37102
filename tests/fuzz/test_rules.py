"""Any text as a file of rules: rules whose values can be hashed and compiled, or faults with their lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.rules.engine import Engine
from gateway.rules.fault import MOST, BadRules
from gateway.rules.flaw import BadValue
from gateway.rules.grammar import grammar
from gateway.rules.load import load
from gateway.rules.shapes.pattern import pattern
from gateway.rules.tree import read_tree

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10")) / 3

KNOWN = grammar()
NAMES = [
    *KNOWN.conditions,
    *KNOWN.actions,
    "name",
    "priority",
    "mode",
    "enabled",
    "activation_date",
    "words",
    "patterns",
]
VALUES = [
    *(
        "true",
        "false",
        "[a, b]",
        '"[secure]"',
        "10MB",
        "in_organization",
        "corp.example",
        "ida@corp.example",
        "5.7.905",
    ),
    *("{name: X, words: a}", "{name: X-A, value: '1'}", "{text: No, code: 5.7.1}", "encrypt", "'^a(b|c)+$'", "enforce"),
    *("'(?<=a)'", "'(a)\\1'", "192.0.2.0/24", "[{name: iban, min_count: 2}]", "2026-12-01", "\u200b", "x" * 200, "~"),
]
PARTS = [
    *(
        "- name: A\n",
        "  when:\n",
        "  unless: ",
        "  then: ",
        "    ",
        "- ",
        "\n",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&a ",
        "*a",
    ),
    *(
        "!!str ",
        "|\n",
        ">-\n",
        "---\n",
        "? ",
        "# ",
        "'",
        '"',
        "%YAML 1.1\n",
        "<<: ",
        "\t",
        "\0",
        "\u2028",
        "\ufeff",
        "\x85",
    ),
    *(f"{name}: " for name in NAMES),
    *VALUES,
]
TEXT = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=5)), max_size=40).map("".join)
ENTRY = st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)).map(lambda pair: f"{pair[0]}: {pair[1]}")
SECTION = st.lists(ENTRY, max_size=4).map(lambda entries: "{" + ", ".join(entries) + "}")
RULE = st.tuples(SECTION, SECTION, SECTION, st.integers(0, 3)).map(
    lambda parts: f"- name: R{parts[3]}\n  when: {parts[0]}\n  unless: {parts[1]}\n  then: {parts[2]}\n"
)
FILE = st.one_of(TEXT, st.lists(RULE, max_size=4).map("".join))


PATTERN = st.lists(
    st.one_of(
        st.sampled_from([*"()[]{}|*+?.^$\\", "(?=", "(?<!", "\\1", "{1000}", "[^", "[:alpha:]", "a", "\u00e9"]),
        st.text(max_size=3),
    ),
    max_size=20,
).map("".join)


def fuzz(texts: st.SearchStrategy[str], read: Callable[[str], object]) -> None:
    """`read` texts until time is up."""
    end = monotonic() + SECONDS

    @settings(
        max_examples=200,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(texts)
    def one(text: str) -> None:
        if monotonic() > end + 30:  # Shrinking what was found has its time too.
            return
        began = monotonic()
        read(text)
        assert monotonic() - began < 10

    while monotonic() < end:
        one()


def test_any_text_as_a_file_of_rules(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"

    def read(text: str) -> None:
        file.write_text(text, "utf-8", errors="surrogatepass", newline="")
        try:
            found = load(tmp_path, KNOWN)
        except BadRules as bad:
            lines = sum(map(text.count, "\n\r\x85\u2028\u2029")) + 2
            assert 0 < len(bad.faults) <= MOST
            assert all(0 <= one.line <= lines and len(str(one)) < 2000 for one in bad.faults)
            assert all(one.found and one.right and "\n" not in str(one) for one in bad.faults)
            return
        for rule in found:
            hash((rule.when, rule.unless, rule.then))
        Engine(found)

    fuzz(FILE, read)


def test_any_text_as_yaml() -> None:
    def read(text: str) -> None:
        try:
            read_tree(text)
        except BadValue as bad:
            assert bad.flaws

    fuzz(TEXT, read)


def test_any_text_as_a_pattern() -> None:
    def read(text: str) -> None:
        try:
            assert pattern(text) == text
        except BadValue as bad:
            assert bad.found and bad.right

    fuzz(PATTERN, read)
