"""Base64 in lines, against the standard library's own."""

from __future__ import annotations

from base64 import encodebytes

import pytest

from gateway.mail.mime.base64_lines import LINE, LINE_OCTETS, base64_lines, base64_pieces

BLOCK = LINE_OCTETS * 128


@pytest.mark.parametrize(
    "size", [0, 1, 2, LINE_OCTETS - 1, LINE_OCTETS, LINE_OCTETS + 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 100]
)
def test_each_line_is_full_but_the_last_one_and_all_have_their_end(size: int) -> None:
    octets = bytes(number * 7 % 256 for number in range(size))
    expected = encodebytes(octets).replace(b"\n", b"\r\n")
    assert base64_lines(octets) == base64_lines(memoryview(octets)) == expected
    assert b"".join(base64_pieces(octets)) == expected
    assert all(len(line) <= LINE for line in expected.split(b"\r\n"))
