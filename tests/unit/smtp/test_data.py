"""The end of DATA, dots, line endings and limits, whatever the pieces in which octets come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.dots import stuffed
from gateway.mail import reply as say
from gateway.mail.reply import Reply
from gateway.smtp.data import DataReader

# Octets in which everything that matters is frequent.
OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"x", b"\0"]), max_size=40).map(b"".join)


def pieces_of(octets: bytes, cuts: list[int]) -> list[bytes]:
    """`octets` cut at these places."""
    places = sorted({cut % (len(octets) + 1) for cut in cuts})
    return [octets[a:b] for a, b in zip([0, *places], [*places, len(octets)], strict=True)]


def read(
    *pieces: bytes, normalize: bool = False, max_size: int = 1 << 20, max_line: int | None = None
) -> tuple[DataReader, bytes]:
    """A reader that was fed until its end, and what it gave."""
    reader = DataReader(normalize=normalize, max_size=max_size, max_line=max_line)
    content = b""
    for place, piece in enumerate(pieces):
        content += reader.feed(piece)
        if reader.ended:
            reader.rest += b"".join(pieces[place + 1 :])
            break
    return reader, content


def model(octets: bytes) -> tuple[bytes, bytes] | None:
    """What RFC 5321 4.1.1.4 and 4.5.2 say, as simply as it can be: content and rest; None where there is no end."""
    if octets.startswith(b".\r\n"):
        return b"", octets[3:]
    end = octets.find(b"\r\n.\r\n")
    if end < 0:
        return None
    lines = octets[: end + 2].split(b"\r\n")
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines), octets[end + 5 :]


@given(OCTETS, st.lists(st.integers(0, 100), max_size=8))
def test_only_cr_lf_dot_cr_lf_ends_data_however_it_is_split(octets: bytes, cuts: list[int]) -> None:
    expected = model(octets)
    reader, content = read(*pieces_of(octets, cuts))
    assert reader.ended == (expected is not None)
    if expected is None:
        return
    text, rest = expected
    assert reader.rest == rest
    bare = b"\r" in text.replace(b"\r\n", b"") or b"\n" in text.replace(b"\r\n", b"")
    assert (reader.fault is say.BARE_NEWLINE) == bare
    if not bare:
        assert content == text
        assert reader.size == len(text)


@given(OCTETS, st.lists(st.integers(0, 100), max_size=8))
def test_normalising_makes_cr_lf_of_every_newline_and_never_ends_earlier(octets: bytes, cuts: list[int]) -> None:
    expected = model(octets)
    reader, content = read(*pieces_of(octets, cuts), normalize=True)
    assert reader.ended == (expected is not None)
    if expected is None:
        return
    text, rest = expected
    assert reader.rest == rest
    assert reader.fault is None
    assert content == text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


@given(
    st.lists(st.sampled_from([b"\r\n", b".", b"..", b"x", b"\xff"]), max_size=30),
    st.lists(st.integers(0, 100), max_size=8),
)
def test_what_delivery_stuffs_is_read_as_it_was(parts: list[bytes], cuts: list[int]) -> None:
    octets = b"".join(parts)
    clean = octets if not octets or octets.endswith(b"\r\n") else octets + b"\r\n"
    reader, content = read(*pieces_of(stuffed(octets), cuts))
    assert reader.ended
    assert reader.fault is None
    assert (content, reader.rest) == (clean, b"")


def test_an_empty_message_is_a_message() -> None:
    reader, content = read(b".\r\n")
    assert (reader.ended, content, reader.fault, reader.size) == (True, b"", None, 0)


def test_octets_that_may_be_the_end_stay_back() -> None:
    reader = DataReader(normalize=False, max_size=100, max_line=None)
    assert reader.feed(b"a\r\n.\r") == b"a"
    assert not reader.ended
    assert reader.feed(b"\nNOOP\r\n") == b"\r\n"
    assert reader.ended
    assert reader.rest == b"NOOP\r\n"


@pytest.mark.parametrize(
    "ending",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\n\n.\r\n",
        b"\r\r\n.\n",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
    ],
)
def test_nothing_that_looks_like_the_end_is_the_end(ending: bytes) -> None:
    reader, _ = read(b"x" + ending + b"MAIL FROM:<evil@else.example>\r\n")
    assert not reader.ended


def faults(
    *pieces: bytes, max_size: int = 1 << 20, max_line: int | None = None, normalize: bool = False
) -> Reply | None:
    return read(*pieces, b"\r\n.\r\n", max_size=max_size, max_line=max_line, normalize=normalize)[0].fault


def test_a_message_one_octet_over_the_limit_is_too_large() -> None:
    assert faults(b"x" * 98, max_size=100) is None
    assert faults(b"x" * 99, max_size=100) is say.TOO_LARGE


def test_dots_that_are_taken_out_do_not_count() -> None:
    assert faults(b".." + b"x" * 97, max_size=100) is None
    assert faults(b".." + b"x" * 98, max_size=100) is say.TOO_LARGE


@pytest.mark.parametrize("cut", range(12))
def test_a_line_one_octet_over_the_limit_is_too_long_wherever_it_is_cut(cut: int) -> None:
    fits, long = b"a\r\n" + b"x" * 9, b"a\r\n" + b"x" * 10
    assert faults(fits[:cut], fits[cut:], max_line=9) is None
    assert faults(long[:cut], long[cut:], max_line=9) is say.LINE_OVER_LIMIT


def test_a_line_without_a_limit_may_have_a_mebibyte() -> None:
    reader, content = read(*[b"x" * 65536] * 16, b"\r\n.\r\n", max_size=2 << 20)
    assert reader.fault is None
    assert content == b"x" * (1 << 20) + b"\r\n"


def test_after_a_fault_nothing_is_given_and_the_end_is_still_found() -> None:
    reader, content = read(b"a\nb", b"c\r\n", b"d\r\n.\r\nQUIT\r\n")
    assert (reader.ended, content, reader.rest) == (True, b"", b"QUIT\r\n")
    assert reader.fault is say.BARE_NEWLINE


def test_a_bare_newline_counts_over_any_other_fault() -> None:
    # It alone ends the session; a message that is too large as well must not hide it.
    assert faults(b"a\nb" + b"x" * 200, max_size=100) is say.BARE_NEWLINE
    assert faults(b"x" * 200, b"a\nb", max_size=100) is say.BARE_NEWLINE
    assert faults(b"x" * 200, b"a\nb", max_line=100) is say.BARE_NEWLINE
