"""Which addresses name the same person."""

from __future__ import annotations

import pytest

from gateway.directory.folding import folded, keys
from gateway.mail.address import parse_address


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ida@corp.example", "ida@CORP.example"),
        ('"ida"@corp.example', "ida@corp.example"),
        ('"i\\da"@corp.example', "ida@corp.example"),
        ("ida@corp.example.", "ida@corp.example"),
        ("ida@KÖLN.example", "ida@xn--kln-sna.example"),
        ("J\u00d6RG@corp.example", "jo\u0308rg@corp.example"),
    ],
)
def test_two_ways_to_write_one_address_are_one(one: str, other: str) -> None:
    assert folded(parse_address(one)) == folded(parse_address(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ida@corp.example", "ida@sub.corp.example"),
        ("ida@corp.example", "i.da@corp.example"),
        ('"ida "@corp.example', "ida@corp.example"),
        ("jorg@corp.example", "jörg@corp.example"),
    ],
)
def test_different_addresses_stay_different(one: str, other: str) -> None:
    assert folded(parse_address(one)) != folded(parse_address(other))


def test_a_tag_is_cut_off_only_where_the_separator_is_set() -> None:
    address = parse_address("Ida+News+2@corp.example")
    assert keys(address, None) == ("ida+news+2@corp.example",)
    assert keys(address, "+") == ("ida+news+2@corp.example", "ida@corp.example")
    assert keys(address, "-") == ("ida+news+2@corp.example",)


def test_a_tag_without_a_name_is_nobodys() -> None:
    assert keys(parse_address("+news@corp.example"), "+") == ("+news@corp.example",)
