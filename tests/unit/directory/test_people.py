"""A directory in YAML, and what YAML can do to whoever reads it."""

from __future__ import annotations

from time import monotonic

import pytest

from gateway.directory import tree
from gateway.directory.flaw import Flaw, Unreadable
from gateway.directory.people import EXAMPLE, read_people
from gateway.mail.address import parse_address


def flaws(text: str) -> tuple[Flaw, ...]:
    with pytest.raises(Unreadable) as caught:
        read_people(text)
    return caught.value.flaws


def test_people_aliases_groups_and_whole_domains_are_known() -> None:
    roll = read_people(EXAMPLE)
    for known in ("IDA@corp.example", "i.example@corp.example", "sales@corp.example", "anybody@old.corp.example"):
        assert roll.knows(parse_address(known)), known
    assert not roll.knows(parse_address("otto@corp.example"))


def test_what_rules_will_ask_is_kept() -> None:
    roll = read_people(EXAMPLE)
    assert roll.people[0].name == "Ida Example"
    assert roll.people[0].attributes == {"department": ("Sales",)}
    assert roll.groups[0].members == (parse_address("ida@corp.example"),)


def test_every_scalar_is_text_whatever_it_looks_like() -> None:
    text = 'version: "1"\npeople:\n- name: no\n  addresses: 1@corp.example\n  attributes: {room: 007, on: [yes, 1.0]}\n'
    (person,) = read_people(text).people
    assert person.name == "no"
    assert person.attributes == {"room": ("007",), "on": ("yes", "1.0")}


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("people: []\n", 1, "no version"),
        ("version: 2\npeople: [{addresses: [a@x.example]}]\n", 1, '"2"'),
        ("version: 1\n", 1, "nobody"),
        ("version: 1\npeople:\n", 1, "nobody"),
        ("- ida@corp.example\n", 1, "a list"),
        ("version: 1\npeople: {ida: x}\n", 2, "a table"),
        ("version: 1\npeople:\n- ida@corp.example\n", 3, 'the text "ida@corp.example"'),
        ("version: 1\npeople:\n- name: Ida\n", 3, "no addresses"),
        ("version: 1\npeople:\n- adresses: [a@x.example]\n  addresses: [b@x.example]\n", 3, 'unknown key "adresses"'),
        ("version: 1\npeople:\n- addresses: [nobody]\n", 3, '"nobody"'),
        ("version: 1\npeople:\n- addresses: ['@x.example']\n", 3, '"@x.example"'),
        ("version: 1\npeople:\n- addresses: [{a: b}]\n", 3, "a table"),
        ("version: 1\npeople:\n- addresses: [a@x.example]\n  attributes: [x]\n", 4, "a list"),
        (
            "version: 1\npeople:\n- addresses: [a@x.example]\n- addresses:\n  - A@x.example\n",
            5,
            "which line 3 has already",
        ),
        ("version: 1\ncatch_all: [a@x.example]\n", 2, '"a@x.example"'),
    ],
)
def test_a_flaw_is_told_with_its_line(text: str, line: int, found: str) -> None:
    told = flaws(text)
    assert (told[0].line, found in told[0].found) == (line, True), told


def test_all_flaws_are_told_in_the_order_of_the_file() -> None:
    text = "version: 3\nusers: []\npeople:\n- addresses: [x]\n- addresses: [y]\n"
    assert [flaw.line for flaw in flaws(text)] == [1, 2, 4, 5]


LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (LAUGHS, "an anchor"),
        ("version: 1\npeople: *everybody\n", "an alias"),
        ("version: 1\npeople: !!python/object/apply:os.system ['true']\n", "the tag"),
        ("version: 1\npeople: !!str x\n", "the tag"),
        ("version: 1\nversion: 1\n", "the key 'version', which line 1 has already"),
        ("{[a, b]: c}\n", "a list or table as a key"),
        ("a: 1\n---\nb: 2\n", "a second document"),
        ("[" * 9 + "]" * 9, "more than 8 levels"),
        ("version: 1\npeople: [\n", "YAML that can't be read"),
        ("version: 1\n\tpeople: x\n", "YAML that can't be read"),
        ("version: 1\npeople: \x07\n", "a control character"),
        ("", "an empty file"),
        ("# nothing\n", "an empty file"),
    ],
)
def test_what_yaml_can_do_to_a_reader_is_refused_at_once(text: str, found: str) -> None:
    began = monotonic()
    assert found in flaws(text)[0].found
    assert monotonic() - began < 5


@pytest.mark.parametrize("text", ["[" * 1_000_000, "{a: " * 300_000, "- " * 500_000])
def test_no_depth_exhausts_the_reader(text: str) -> None:
    began = monotonic()
    assert len(flaws(text)) == 1
    assert monotonic() - began < 5


def test_one_value_over_the_limit_is_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "version: 1\npeople: [{addresses: [a@x.example]}]\n"
    monkeypatch.setattr(tree, "MAX_NODES", 9)
    assert read_people(text).people
    monkeypatch.setattr(tree, "MAX_NODES", 8)
    assert "more than 8 values" in flaws(text)[0].found
