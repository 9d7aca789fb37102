"""A recovery key of 48 digits: typed in any spacing, and a slip of the pen is told with its group."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keys.providers.file import digits
from gateway.keys.providers.file.digits import Mistyped

SEED = bytes(range(16))
WRITTEN = "000011-005665-011319-016973-022627-028281-033935-039589"


def test_it_is_written_in_eight_groups_of_six() -> None:
    assert digits.written(SEED) == WRITTEN
    assert digits.read(WRITTEN) == SEED
    assert digits.written(b"\xff" * 16) == "-".join(["720885"] * 8)


@given(st.binary(min_size=16, max_size=16))
def test_what_is_written_can_be_read(seed: bytes) -> None:
    assert digits.read(digits.written(seed)) == seed


@pytest.mark.parametrize(
    "text",
    [
        WRITTEN.replace("-", " "),
        WRITTEN.replace("-", ""),
        f"  {WRITTEN[:27]}\r\n{WRITTEN[28:]}\n",
        WRITTEN.replace("-", "\u2013"),
    ],
)
def test_spacing_does_not_count(text: str) -> None:
    assert digits.read(text) == SEED


@given(place=st.integers(0, 47), digit=st.integers(0, 9))
def test_every_wrong_digit_is_found_with_its_group(place: int, digit: int) -> None:
    bare = WRITTEN.replace("-", "")
    if bare[place] == str(digit):
        return
    with pytest.raises(Mistyped, match=f"^group {place // 6 + 1} of 8 is mistyped") as caught:
        digits.read(bare[:place] + str(digit) + bare[place + 1 :])
    assert not any(bare[start : start + 6] in str(caught.value) for start in range(0, 48, 6))


@given(seed=st.binary(min_size=16, max_size=16), place=st.integers(0, 46))
def test_two_digits_that_changed_places_are_found(seed: bytes, place: int) -> None:
    bare = digits.written(seed).replace("-", "")
    if place % 6 == 5 or bare[place] == bare[place + 1]:
        return  # Neighbours of two groups break the check of both, unless they are equal.
    with pytest.raises(Mistyped):
        digits.read(bare[:place] + bare[place + 1] + bare[place] + bare[place + 2 :])


def test_a_group_beyond_sixteen_bits_is_mistyped() -> None:
    with pytest.raises(Mistyped, match="group 1"):
        digits.read("720896" + WRITTEN[6:])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing was given"),
        (WRITTEN[:-1], "47 digits"),
        (WRITTEN + "0", "49 digits"),
        (WRITTEN.replace("0", "O"), "something else than digits"),
        ("\u0661" * 48, "something else than digits"),
        ("1" * 201, "longer than 200"),
    ],
)
def test_what_can_t_be_one_says_why(text: str, words: str) -> None:
    with pytest.raises(Mistyped, match=words):
        digits.read(text)


def test_a_seed_has_sixteen_octets() -> None:
    with pytest.raises(ValueError, match="16 octets"):
        digits.written(b"short")
