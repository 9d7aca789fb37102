"""Any text as a list or a directory of recipients: a roll of those who stand in it, or flaws with their lines."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.directory.flaw import MOST, Unreadable
from gateway.directory.folding import folded
from gateway.directory.listing import read_list
from gateway.directory.people import EXAMPLE, read_people
from gateway.directory.tree import read_tree

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10")) / 3

PARTS = [
    *EXAMPLE.splitlines(keepends=True),
    *("- ", "  ", "\t", "\n", ": ", "[", "]", "{", "}", "&a ", "*a", "!!str ", "!<x> ", "|\n", ">\n", "---\n", "...\n"),
    *(
        "? ",
        "# ",
        "'",
        '"',
        "%YAML 1.1\n",
        "<<: ",
        "\\",
        "@",
        "*@",
        "ida@corp.example",
        "@corp.example",
        "\u00e9",
        "\0",
    ),
    *("\u2028", "\ufeff", "\x85", "0x1", "no", "~", "postmaster", '"a b"@x.example', "a@[192.0.2.1]", "x" * 300),
]
TEXT = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=5)), max_size=40).map("".join)


def fuzz(read: Callable[[str], object]) -> None:
    """`read` texts until time is up."""
    end = monotonic() + SECONDS

    @settings(
        max_examples=200,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(TEXT)
    def one(text: str) -> None:
        if monotonic() > end + 30:  # Shrinking what was found has its time too.
            return
        try:
            read(text)
        except Unreadable as error:
            assert 0 < len(error.flaws) <= MOST
            lines = sum(map(text.count, "\n\r\x85\u2028\u2029")) + 2
            assert all(0 <= flaw.line <= lines and len(str(flaw)) < 1000 for flaw in error.flaws)

    while monotonic() < end:
        one()


def test_any_text_as_a_list() -> None:
    def read(text: str) -> None:
        roll = read_list(text)
        assert roll.known or roll.catch_all

    fuzz(read)


def test_any_text_as_a_directory() -> None:
    def read(text: str) -> None:
        roll = read_people(text)
        named = [address for person in roll.people for address in (*person.addresses, *person.aliases)]
        named += [address for group in roll.groups for address in group.addresses]
        assert {folded(address) for address in named} == roll.known

    fuzz(read)


def test_any_text_as_yaml() -> None:
    fuzz(read_tree)
