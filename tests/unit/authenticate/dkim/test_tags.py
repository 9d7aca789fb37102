"""Tag lists (RFC 6376 3.2): what is one, what is none, and that looking through any octets ends soon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.authenticate.dkim.tags import MAX_TAGS, TagFault, tags, unspaced


def test_a_list_comes_in_order_without_the_blanks_around() -> None:
    value = b" v=1; a = rsa-sha256;\r\n\tbh=abc=\r\n =; d=corp.example ;h=From : To; "
    assert list(tags(value).items()) == [
        ("v", b"1"),
        ("a", b"rsa-sha256"),
        ("bh", b"abc= ="),
        ("d", b"corp.example"),
        ("h", b"From : To"),
    ]


def test_a_value_may_be_empty_and_hold_its_own_equals_signs() -> None:
    assert tags(b"p=;n=a=b") == {"p": b"", "n": b"a=b"}


def test_names_keep_their_case() -> None:
    assert tags(b"v=1;V=2") == {"v": b"1", "V": b"2"}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" \r\n ",
        b";",
        b"v=1;;d=x",
        b"v=1;d",
        b"=1",
        b"1v=1",
        b"v x=1",
        b"v=1;v=2",
        b"v=a\x00b",
        b"v=a\nb",
        b"v=a\r\nb",
    ],
)
def test_what_is_no_tag_list_is_refused(value: bytes) -> None:
    with pytest.raises(TagFault):
        tags(value)


def test_a_fault_shows_no_octets_of_a_value() -> None:
    with pytest.raises(TagFault) as fault:
        tags(b"b=geheim\x00")
    assert "geheim" not in str(fault.value)


def test_as_many_tags_as_may_be_pass_and_one_more_does_not() -> None:
    most = b";".join(b"t%d=x" % number for number in range(MAX_TAGS))
    assert len(tags(most + b";")) == MAX_TAGS
    with pytest.raises(TagFault):
        tags(most + b";one=more")


def test_blanks_go_where_they_mean_nothing() -> None:
    assert unspaced(b"ab\r\n\t cd =") == b"abcd="


@given(st.binary(max_size=300))
def test_any_octets_are_a_list_or_a_fault(value: bytes) -> None:
    try:
        found = tags(value)
    except TagFault:
        return
    # What was read means the same when it is written and read again.
    assert tags(b";".join(name.encode() + b"=" + text for name, text in found.items())) == found
