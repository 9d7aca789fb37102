"""Views on a message's header section: lazy, and never failing whatever the octets are."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.message import MAX_HEAD, REMEMBERED, Held, Message, prefaced, sliced

PLAIN = b"Received: from a\r\n\tby b\r\nFrom: ida@corp.example\r\nSubject: one\r\n two\r\n\r\nReceived: body\r\n"


def message(octets: bytes) -> Message:
    return Message(octets, Held(octets))


def test_fields_come_in_order_with_their_folding() -> None:
    assert list(message(PLAIN).fields()) == [
        (b"Received", b" from a\r\n\tby b"),
        (b"From", b" ida@corp.example"),
        (b"Subject", b" one\r\n two"),
    ]


def test_the_first_field_of_a_name_is_unfolded_whatever_its_case() -> None:
    assert message(PLAIN).first(b"SUBJECT") == b"one two"
    assert message(b"Subject: a\r\nsubject: b\r\n\r\n").first(b"Subject") == b"a"
    assert message(PLAIN).first(b"Message-ID") is None
    assert message(b"X-Subject: a\r\n\r\n").first(b"Subject") is None


def test_what_was_found_is_kept_unless_it_is_long() -> None:
    """Attack: fifty thousand header fields of a letter each, in many messages at once."""
    for count in (2, REMEMBERED):
        one = message(b"a:\r\n" * count + b"\r\nbody")
        assert len(list(one.fields())) == len(list(one.fields())) == min(count, MAX_HEAD // 4)
        assert (one.header_section() is one.header_section()) is (count == 2)


def test_the_body_has_no_fields() -> None:
    assert message(PLAIN).count(b"received") == 1
    assert message(b"\r\nReceived: x\r\n").count(b"Received") == 0
    assert message(b"\r\nReceived: x\r\n").header_section() == b""
    assert list(message(b"\r\nReceived: x\r\n").fields()) == []


def test_a_header_section_without_an_end_is_read_to_its_end() -> None:
    assert message(b"Subject: x").first(b"Subject") == b"x"
    assert message(b"").header_section() == b""


def test_lines_that_are_no_field_are_passed_over() -> None:
    octets = b"From ida@corp.example Tue Nov  3 09:12:00 2026\r\nno field here: x y\r\nSubject: x\r\n\r\n"
    assert list(message(octets).fields()) == [(b"Subject", b" x")]


def test_a_field_is_none_that_stands_behind_a_bare_newline() -> None:
    octets = b"Subject: x\nMessage-ID: <fake@else.example>\r\nMessage-ID: <true@corp.example>\r\n\r\n"
    assert message(octets).first(b"Message-ID") == b"<true@corp.example>"
    assert message(octets).count(b"Message-ID") == 1
    assert [name for name, _ in message(octets).fields()] == [b"Subject", b"Message-ID"]


def test_raw_letters_beyond_ascii_stay_as_they_came() -> None:
    assert message(b"Subject: Gr\xfc\xdfe\r\n\r\n").first(b"Subject") == b"Gr\xfc\xdfe"


def test_a_header_section_over_256_kib_is_read_in_part() -> None:
    octets = b"A: b\r\n" + b"X: " + b"y" * MAX_HEAD + b"\r\nSubject: late\r\n\r\n"
    assert len(message(octets).header_section()) == MAX_HEAD
    assert message(octets).first(b"Subject") is None
    assert message(octets).first(b"A") == b"b"


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 5 << 19])
async def test_content_in_memory_comes_in_blocks_of_at_most_1_mib(size: int) -> None:
    held = Held(bytes(size))
    blocks = [block async for block in held.blocks()]
    assert b"".join(blocks) == held.octets == held.inline
    assert all(0 < len(block) <= 1 << 20 for block in blocks)
    assert message(held.octets).size == held.size == size


LINES = st.lists(
    st.sampled_from(
        [b"\r\n", b"\n", b"\r", b":", b" ", b"\t", b"Subject", b"subject", b"\0", b"\xff", b"x", b"\r\n\r\n"]
    ),
    max_size=30,
)


@given(st.binary(max_size=200) | LINES.map(b"".join), st.sampled_from([b"Subject", b"x", b"(", b""]))
def test_views_never_fail(octets: bytes, name: bytes) -> None:
    seen = message(octets)
    fields = list(seen.fields())
    assert octets.startswith(seen.header_section())
    assert seen.count(name) >= (seen.first(name) is not None)
    for field, value in fields:
        assert field + b":" in seen.header_section().replace(b" ", b"").replace(b"\t", b"")
        assert value in octets
    if fields:
        assert seen.first(fields[0][0]) is not None


class Far:
    """Content that is not at hand; `closed` once nobody reads it any more."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.closed = False

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self.pieces:
                yield piece
        finally:
            self.closed = True


async def test_a_preface_stands_in_front_of_content_that_is_read_where_it_lies() -> None:
    far = Far(b"ab", b"cd")
    content = prefaced(b"X: y\r\n", far)
    assert (content.size, content.inline) == (10, None)
    for _ in range(2):  # As often as one likes.
        assert [block async for block in content.blocks()] == [b"X: y\r\nab", b"cd"]
    assert [block async for block in prefaced(b"X: y\r\n", Far()).blocks()] == [b"X: y\r\n"]


async def test_who_reads_the_head_of_a_prefaced_content_alone_leaves_nothing_open() -> None:
    far = Far(b"ab", b"cd")
    blocks = prefaced(b"X", far).blocks()
    assert await anext(blocks) == b"Xab"
    assert isinstance(blocks, AsyncGenerator)
    await blocks.aclose()
    assert far.closed


def test_a_preface_of_content_in_memory_is_one_piece_with_it_and_none_changes_nothing() -> None:
    held = Held(b"ab")
    assert prefaced(b"X", held).inline == b"Xab"
    assert prefaced(b"", held) is held


# -- a slice of a content ---------------------------------------------------------------------------------------------


class Blocks:
    """Content that comes in blocks; `ended` once whoever reads has let go of it."""

    inline = None

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.size = sum(map(len, pieces))
        self.given = 0
        self.ended = False

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self.pieces:
                self.given += 1
                yield piece
        finally:
            self.ended = True


@given(st.lists(st.binary(min_size=1, max_size=5), max_size=6), st.integers(0, 30), st.integers(0, 30))
async def test_a_slice_is_what_lies_there_however_the_blocks_fall(pieces: list[bytes], start: int, size: int) -> None:
    whole = b"".join(pieces)
    start = min(start, len(whole))
    size = min(size, len(whole) - start)
    part = sliced(Blocks(*pieces), ((start, size),))
    assert part.size == size
    assert b"".join([block async for block in part.blocks()]) == whole[start : start + size]
    held = sliced(Held(whole), ((start, size),))
    assert held.inline == whole[start : start + size]


async def test_a_slice_reads_no_further_than_it_goes_and_leaves_nothing_open() -> None:
    content = Blocks(b"ab", b"cd", b"ef")
    assert [block async for block in sliced(content, ((1, 2),)).blocks()] == [b"b", b"c"]
    assert (content.given, content.ended) == (2, True)


def test_no_slice_is_all_of_it() -> None:
    content = Blocks(b"ab")
    assert sliced(content, None) is content
