"""Transfer encodings that stream: whatever was fed comes out again where Python's own decoders read it."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.mime.encode import LINE, PIECE, Encoding, encoder

# Bodies as they come: whole lines that end with CR LF, any octets in them, and perhaps a last line without an end.
LINES = st.lists(st.binary(max_size=200).map(lambda one: one.replace(b"\r", b"").replace(b"\n", b"")), max_size=12)
BODIES = st.builds(lambda lines, last: b"\r\n".join(lines) + last, LINES, st.sampled_from([b"", b"\r\n", b" ", b"\t"]))
SOME = st.sampled_from(
    [b"", b"a b \r\n", b"caf\xc3\xa9 = \xe4\r\n", b"\xff" * 100 + b"\r\n", b".\r\n", b"x" * 90 + b" \r\n"]
)


def encoded(encoding: Encoding, octets: bytes, step: int = 0) -> bytes:
    made = encoder(encoding)
    step = step or max(1, len(octets))
    return b"".join(made.feed(octets[at : at + step]) for at in range(0, len(octets), step)) + made.end()


def check_lines(out: bytes) -> None:
    assert out.isascii()
    for line in out.split(b"\r\n"):
        assert len(line) <= LINE
        assert b"\r" not in line and b"\n" not in line


@given(octets=BODIES | st.lists(SOME, max_size=6).map(b"".join), step=st.integers(1, 50))
def test_base64_holds_any_octets(octets: bytes, step: int) -> None:
    out = encoded(Encoding.BASE64, octets, step)
    check_lines(out)
    assert base64.b64decode(out) == octets
    assert not out.endswith(b"\r\n")


@given(octets=BODIES | st.lists(SOME, max_size=6).map(b"".join), step=st.integers(1, 50))
def test_quoted_printable_holds_any_lines(octets: bytes, step: int) -> None:
    out = encoded(Encoding.QUOTED_PRINTABLE, octets, step)
    check_lines(out)
    assert quopri.decodestring(out) == octets
    for line in out.split(b"\r\n"):
        assert not line.endswith((b" ", b"\t"))  # RFC 2045 6.7, rule 3


@given(octets=BODIES | st.lists(SOME, max_size=6).map(b"".join), step=st.integers(1, 50))
def test_mending_changes_nothing_that_a_reader_sees(octets: bytes, step: int) -> None:
    """What is there may hold anything: escapes, broken escapes, soft line ends."""
    out = encoded(Encoding.MENDED, octets, step)
    assert out.isascii()
    assert quopri.decodestring(out) == quopri.decodestring(octets)


def test_mending_leaves_lines_alone_that_need_nothing() -> None:
    octets = b"soft=\r\nline with =41 and " + b"x" * 100 + b"\r\n"
    assert encoded(Encoding.MENDED, octets + b"\xe4\r\n") == octets + b"=E4\r\n"


@pytest.mark.parametrize(
    ("line", "mended"),
    [
        (b"=\x80", b"=3D=80"),
        (b"=4\x80", b"=3D4=80"),
        (b"==\x80", b"===80"),
        (b"\x80=", b"=80="),
        (b"\x80= ", b"=80= "),
        (b"\x80==", b"=80=="),
    ],
)
def test_mending_leaves_an_odd_equals_sign_what_it_was(line: bytes, mended: bytes) -> None:
    assert encoded(Encoding.MENDED, line + b"\r\n") == mended + b"\r\n"
    assert quopri.decodestring(mended) == quopri.decodestring(line)


def test_mending_breaks_no_escape_apart() -> None:
    out = encoded(Encoding.MENDED, b"=41" * 25 + b"\xe4=\r\nb\r\n")
    check_lines(out)
    assert quopri.decodestring(out) == b"A" * 25 + b"\xe4b\r\n"


@pytest.mark.parametrize("encoding", [Encoding.QUOTED_PRINTABLE, Encoding.MENDED])
@pytest.mark.parametrize("step", [0, 1000, PIECE + 1])
def test_a_line_longer_than_memory_is_written_in_pieces(encoding: Encoding, step: int) -> None:
    octets = b"=41\xc3\xa4 " * PIECE
    made = encoder(encoding)
    first = made.feed(octets[: 2 * PIECE])
    assert len(first) > PIECE
    step = step or len(octets)
    rest = b"".join(made.feed(octets[at : at + step]) for at in range(2 * PIECE, len(octets), step)) + made.end()
    check_lines(first + rest)
    decoded = octets if encoding is Encoding.QUOTED_PRINTABLE else b"A\xc3\xa4 " * PIECE
    assert quopri.decodestring(first + rest) == decoded
