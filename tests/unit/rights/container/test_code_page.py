"""Windows code pages by number."""

from __future__ import annotations

import codecs

import pytest

from gateway.rights.container import code_page
from gateway.rights.container.code_page import decode


def test_python_has_every_codec_that_is_named() -> None:
    for page in range(65_537):
        decode(b"", page)
    for name in set(code_page._NAMED.values()) | {f"iso8859-{part}" for part in (*range(1, 12), *range(13, 17))}:
        assert codecs.lookup(name)


@pytest.mark.parametrize(
    ("page", "octets", "text"),
    [
        (65001, "\u20ac".encode(), "\u20ac"),
        (1200, b"\xac\x20", "\u20ac"),
        (1252, b"\x80", "\u20ac"),
        (1251, b"\xc0", "\u0410"),
        (28591, b"\xe9", "\u00e9"),
        (28605, b"\xa4", "\u20ac"),
        (932, b"\x82\xa0", "\u3042"),
        (50220, b"\x1b$B$\x22\x1b(B", "\u3042"),
        (936, b"\x80", "\ufffd"),
        (28602, b"\x80", "\u20ac"),  # There is no such part: Western.
        (0, b"caf\xe9", "caf\u00e9"),
        (4_000_000_000, b"caf\xe9", "caf\u00e9"),
        (65001, b"caf\xe9", "caf\ufffd"),
        (1252, b"\x81", "\ufffd"),
        (1200, b"a", "\ufffd"),
    ],
)
def test_a_body_is_read_in_its_code_page(page: int, octets: bytes, text: str) -> None:
    assert decode(octets, page) == text
