"""Mailboxes as RFC 5321 4.1.2 and RFC 6531 3.3 have them; everything else is refused with one error."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.mail.address import (
    MAX_LOCAL,
    Address,
    BadAddress,
    normal_domain,
    parse_address,
    parse_path,
)

ANY_TEXT = st.text(max_size=300)
# Text that is nearly an address finds more than text that is none.
NEARLY = st.lists(
    st.sampled_from(
        [
            '"',
            "\\",
            "<",
            ">",
            "@",
            ".",
            "..",
            "[",
            "]",
            "IPv6:",
            "::1",
            "1.2.3.4",
            "a",
            "ß",
            "é",
            " ",
            ",",
            ":",
            "xn--",
            "-",
        ]
    ),
    max_size=14,
).map("".join)


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("ida@corp.example", "ida", "corp.example"),
        ("ida@CORP.Example.", "ida", "corp.example"),
        ("o'neil+tag@a-b.example", "o'neil+tag", "a-b.example"),
        ('"ida berg"@corp.example', '"ida berg"', "corp.example"),
        (r'"ot\"to"@partner.example', r'"ot\"to"', "partner.example"),
        ('"a@b"@corp.example', '"a@b"', "corp.example"),
        ('""@corp.example', '""', "corp.example"),
        ("ida@[192.0.2.1]", "ida", "[192.0.2.1]"),
        ("ida@[IPv6:2001:DB8::1]", "ida", "[ipv6:2001:db8::1]"),
        ("jörg@köln.example", "jörg", "xn--kln-sna.example"),
        ("ida@a_b.example", "ida", "a_b.example"),
        ("Postmaster", "Postmaster", ""),
    ],
)
def test_a_mailbox_is_read(text: str, local: str, domain: str) -> None:
    address = parse_address(text)
    assert (address.text, address.local, address.domain) == (text, local, domain)
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ida",
        "@corp.example",
        "ida@",
        "ida@@corp.example",
        ".ida@corp.example",
        "ida.@corp.example",
        "i..da@corp.example",
        "ida berg@corp.example",
        "ida@corp..example",
        "ida@.example",
        "ida@-corp.example",
        "ida@corp-.example",
        "ida@corp.example>",
        "ida@corp example",
        "ida@corp.example\r\n",
        "ida@corp.example\0",
        "i\tda@corp.example",
        '"ida@corp.example',
        'i"d"a@corp.example',
        '"ida\n"@corp.example',
        "ida@[192.0.2.256]",
        "ida@[192.0.2]",
        "ida@[IPv6:::g]",
        "ida@[2001:db8::1]",
        "ida@[corp.example]",
        "ida@(comment)corp.example",
        "ida@corp.example..",
        f"ida@{'a' * 64}.example",
        "ida@a\uff0e\uff0eexample",
    ],
)
def test_what_is_no_mailbox_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(text)


@pytest.mark.parametrize("letter", ["\u2100", "\uff20", "\uff1e", "\u00a0", "\uff1b", "\u2028"])
def test_a_letter_that_turns_into_ascii_signs_makes_no_domain(letter: str) -> None:
    # RFC 3491 maps each of these to signs such as `a/c`, `@` or a blank, which would then stand in a domain of ours.
    with pytest.raises(BadAddress):
        parse_address(f"ida@corp{letter}partner.example")


def test_a_local_part_of_64_octets_is_the_longest() -> None:
    assert parse_address("x" * MAX_LOCAL + "@corp.example").local == "x" * 64
    with pytest.raises(BadAddress):
        parse_address("x" * 65 + "@corp.example")


def test_the_local_part_is_measured_in_octets() -> None:
    assert parse_address("é" * 32 + "@corp.example").local == "é" * 32
    with pytest.raises(BadAddress):
        parse_address("é" * 33 + "@corp.example")


def test_a_path_of_256_octets_is_the_longest() -> None:
    domain = ".".join(["a" * 60] * 4)  # 243
    fits = "x" * 10 + "@" + domain
    assert len(fits) == 254
    assert parse_path(f"<{fits}>")[0] == Address(fits, domain)
    with pytest.raises(BadAddress):
        parse_path(f"<x{fits}>")


@pytest.mark.parametrize(
    ("text", "address", "rest"),
    [
        ("<>", None, ""),
        ("<> SIZE=1", None, " SIZE=1"),
        ("<ida@corp.example> BODY=7BIT", "ida@corp.example", " BODY=7BIT"),
        ("<@a.example,@b.example:ida@corp.example>", "ida@corp.example", ""),
        ('<"a>b"@corp.example> X', '"a>b"@corp.example', " X"),
        ("<postmaster>", "postmaster", ""),
    ],
)
def test_a_path_is_read_and_a_source_route_dropped(text: str, address: str | None, rest: str) -> None:
    found, behind = parse_path(text)
    assert (None if found is None else found.text) == address
    assert behind == rest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ida@corp.example",
        "<ida@corp.example",
        "< >",
        "< ida@corp.example>",
        "<@a.example:>",
        "<@a.example ida@b.example>",
        '<"a>',
        "<<>>",
    ],
)
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_path(text)


def test_domains_are_compared_in_one_form() -> None:
    assert (
        normal_domain("Straße.Example.") == normal_domain("XN--STRAE-OQA.example") != normal_domain("STRASSE.example")
    )
    assert normal_domain("[IPv6:2001:DB8::1]") == "[ipv6:2001:db8::1]"
    assert normal_domain("XN--KLN-SNA.example") == "xn--kln-sna.example"


@given(ANY_TEXT | NEARLY)
@example("ida@\u2100.example")
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except BadAddress:
        return
    assert address.text == text
    assert re.fullmatch(r"[a-z0-9._-]*|\[[0-9a-fipv:.]+\]", address.domain)
    assert "\r" not in text and "\n" not in text
    if address.domain:
        assert address.local + text[len(address.local) :] == text
        assert text[len(address.local)] == "@"


@given(ANY_TEXT | NEARLY.map(lambda text: f"<{text}>"))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        address, rest = parse_path(text)
    except BadAddress:
        return
    assert text.endswith(rest)
    assert address is None or f"{address.text}>" in text


@given(st.text(max_size=80))
def test_any_text_is_a_domain_or_refused(text: str) -> None:
    try:
        domain = normal_domain(text)
    except BadAddress:
        return
    assert normal_domain(domain) == domain
    assert text.startswith("[") or (domain.isascii() and domain == domain.lower())


def test_a_literal_of_any_length_is_no_domain_that_is_remembered() -> None:
    with pytest.raises(BadAddress):
        normal_domain("[" + "1" * 100_000)


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Ida@Corp.Example", "ida@corp.example"),
        ('"Ida"@corp.example.', "ida@corp.example"),
        ('"i\\da"@corp.example', "ida@corp.example"),
        ('"ida b"@corp.example', '"ida b"@corp.example'),
        ('"ida\\ b"@corp.example', '"ida b"@corp.example'),
        ('"a\\"b"@corp.example', '"a"b"@corp.example'),
        ('""@corp.example', '""@corp.example'),
        ("Ju\u0308rgen@corp.example", "j\u00fcrgen@corp.example"),
        ("\u212b@corp.example", "\u00e5@corp.example"),
        ("postmaster", "postmaster@"),
    ],
)
def test_one_mailbox_is_compared_alike_however_it_is_written(text: str, who: str) -> None:
    assert parse_address(text).who == who
