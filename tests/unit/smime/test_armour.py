"""Base64 in lines, whatever pieces the octets come in."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smime.armour import write_base64


def written(*blocks: bytes) -> bytes:
    sink = BytesIO()
    write_base64(blocks, sink)
    return sink.getvalue()


@given(st.lists(st.binary(max_size=200), max_size=12))
def test_pieces_do_not_matter(blocks: list[bytes]) -> None:
    octets = b"".join(blocks)
    text = written(*blocks)
    assert text == written(octets)
    assert b64decode(text) == octets
    assert all(len(line) == 76 for line in text.split(b"\r\n")[:-2])


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 57 * 4096, 57 * 4096 + 1, 500_000])
def test_each_line_has_its_end(size: int) -> None:
    text = written(b"x" * size)
    assert text.count(b"\r\n") == text.count(b"\n") == -(-size // 57)
    assert text.endswith(b"\r\n") or not size
    assert b64decode(text) == b"x" * size
