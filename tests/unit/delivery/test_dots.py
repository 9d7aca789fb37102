"""Dots of DATA, whole and in blocks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.dots import Stuffing, stuffed


@pytest.mark.parametrize(
    ("octets", "wire"),
    [
        (b"", b".\r\n"),
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b".a\r\n.b\r\n..\r\nc.d", b"..a\r\n..b\r\n...\r\nc.d\r\n.\r\n"),
        (b"\r\n.\r\n.\r\n", b"\r\n..\r\n..\r\n.\r\n"),
        (b"a.b\r\n.c\r\nd\r\n", b"a.b\r\n..c\r\nd\r\n.\r\n"),
        (b"a\r\n.", b"a\r\n..\r\n.\r\n"),
    ],
)
def test_lines_that_begin_with_a_dot_get_another(octets: bytes, wire: bytes) -> None:
    assert stuffed(octets) == wire


@given(
    octets=st.lists(st.sampled_from([b".", b"\r\n", b"a", b"\r\n."]), max_size=30).map(b"".join),
    cuts=st.lists(st.integers(0, 60), max_size=12),
)
def test_where_blocks_end_makes_no_difference(octets: bytes, cuts: list[int]) -> None:
    stuffing = Stuffing()
    edges = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    wire = b"".join(stuffing.block(octets[a:b]) for a, b in pairwise(edges))
    assert wire + stuffing.end() == stuffed(octets)
