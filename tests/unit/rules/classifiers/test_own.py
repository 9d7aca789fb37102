"""Data types of the administrator's own, and the checksums that they may name."""

from __future__ import annotations

import pytest

from gateway.rules.classifiers import CHECKSUMS, classifiers
from gateway.rules.classifiers.model import MOST_VALUES
from gateway.rules.classifiers.own import Own
from gateway.rules.model import DataType


def kind(*patterns: str, **more: object) -> Own:
    return Own(DataType(name="own", patterns=patterns, **more))  # type: ignore[arg-type]


def found(own: Own, *texts: str) -> list[tuple[str, int]]:
    return [(one.value, one.confidence) for one in own.find([("body", text) for text in texts])]


def test_letters_and_digits_count_what_stands_between_them_does_not() -> None:
    assert found(kind(r"e[- ]?\d{3}"), "E-123, e 123 and E123; e-124") == [("E123", 65), ("E124", 65)]


def test_of_several_patterns_any() -> None:
    assert found(kind(r"a\d", r"b\d"), "b1 a1") == [("A1", 65), ("B1", 65)]


def test_a_checksum_is_passed() -> None:
    assert found(kind(r"\d{9}", checksum="luhn"), "123456782 123456781") == [("123456782", 65)]


def test_a_word_near_makes_it_sure() -> None:
    own = kind(r"E\d{3}", words=("Staff number", "badge"), distance=10, confidence=40, confidence_near=90)
    assert found(own, "STAFF\r\nNUMBER: E123") == [("E123", 90)]
    assert found(own, "E123 (badge)") == [("E123", 90)]
    assert found(own, "badge of somebody: E123") == [("E123", 40)]
    assert found(own, "badges E123") == [("E123", 40)]


def test_a_checksum_that_there_is_not_is_an_error() -> None:
    with pytest.raises(LookupError):
        kind("x", checksum="guess")


def test_what_a_pattern_finds_is_bounded() -> None:
    assert found(kind("x*"), "xxx") == [("XXX", 65)]
    assert found(kind(".*"), "x" * 600) == []
    every = kind(r"\d+").find([("body", " ".join(map(str, range(MOST_VALUES + 100))))])
    assert len(every) == MOST_VALUES


def test_the_built_in_ones_and_those_of_ones_own_are_found_by_name() -> None:
    assert set(classifiers([DataType(name="own", patterns=("x",))])) == {"credit_card", "iban", "own"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("luhn", "79927398713", "79927398710"),
        ("mod97", "GB82WEST12345698765432", "GB82WEST12345698765433"),
        ("mod97_end", "79444", "79445"),
        ("mod11", "0306406152", "0306406153"),
        ("mod11", "097522980X", "0975229801"),
        ("verhoeff", "2363", "2364"),
    ],
)
def test_checksums(name: str, right: str, wrong: str) -> None:
    assert CHECKSUMS[name](right)
    assert not CHECKSUMS[name](wrong)


@pytest.mark.parametrize("name", sorted(CHECKSUMS))
@pytest.mark.parametrize("text", ["", "-", "é", "²", "A B", "\uff11\uff12"])
def test_what_a_checksum_can_not_be_made_for_fails_it(name: str, text: str) -> None:
    assert not CHECKSUMS[name](text)
