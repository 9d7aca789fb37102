"""A plain list of recipients."""

from __future__ import annotations

import pytest

from gateway.directory import listing
from gateway.directory.flaw import MOST, Unreadable
from gateway.directory.listing import read_list
from gateway.mail.address import parse_address


def knows(text: str, address: str, separator: str | None = None) -> bool:
    return read_list(text).knows(parse_address(address), separator)


LIST = """\
# people
Ida@corp.example
  otto@corp.example\t# sales
"o d d"@corp.example
j\u00f6rg@k\u00f6ln.example
#nobody@corp.example
with#hash@corp.example

@old.corp.example\r
"""


@pytest.mark.parametrize(
    "address",
    [
        "ida@corp.example",
        "OTTO@corp.example",
        '"o d d"@corp.example',
        "J\u00d6RG@xn--kln-sna.example",
        "with#hash@corp.example",
        "whoever@old.corp.example",
    ],
)
def test_whoever_stands_in_it_is_known(address: str) -> None:
    assert knows(LIST, address)


@pytest.mark.parametrize("address", ["nobody@corp.example", "ida@old.corp.example.example", "x@sub.old.corp.example"])
def test_nobody_else_is_known(address: str) -> None:
    assert not knows(LIST, address)


def test_tags_are_known_where_the_separator_is_set() -> None:
    assert knows(LIST, "ida+x@corp.example", "+")
    assert not knows(LIST, "ida+x@corp.example")


@pytest.mark.parametrize(
    ("line", "right"),
    [
        ("ida", '"@ida"'),
        ("ida@corp.example OK", 'the address alone, "ida@corp.example"'),
        ("*@corp.example", '"@corp.example"'),
        ("Ida <ida@corp.example>", "the address alone, such as"),
        ("ida@corp..example", "an address"),
        ("@", "a domain behind the @"),
        ("@[192.0.2.1]", "a domain behind the @"),
        ("@corp.example>", "a domain behind the @"),
        ("postmaster", "postmaster is always taken"),
    ],
)
def test_a_line_that_is_no_entry_is_told_with_its_number_and_what_would_be_right(line: str, right: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_list(f"otto@corp.example\n{line}\n")
    (flaw,) = caught.value.flaws
    assert flaw.line == 2
    assert right in flaw.right


def test_all_flaws_are_told_up_to_a_bound() -> None:
    with pytest.raises(Unreadable) as caught:
        read_list("nobody\n" * (MOST * 2))
    assert [flaw.line for flaw in caught.value.flaws] == list(range(1, MOST + 1))


@pytest.mark.parametrize("text", ["", "\n\n", "# all gone\n"])
def test_an_empty_list_is_a_flaw_because_it_would_refuse_everybody(text: str) -> None:
    with pytest.raises(Unreadable, match="empty list would refuse everybody"):
        read_list(text)


def test_one_entry_over_the_limit_is_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_ENTRIES", 2)
    assert len(read_list("a@x.example\nb@x.example\n").known) == 2
    with pytest.raises(Unreadable, match="more than 2 addresses"):
        read_list("a@x.example\nb@x.example\nc@x.example\n")
