"""Numbers of payment cards."""

from __future__ import annotations

from time import process_time

import pytest

from gateway.rules.classifiers.card import ALONE, SUPPORTED, CreditCard


def found(text: str) -> dict[str, int]:
    return {one.value: one.confidence for one in CreditCard().find([("body", text)])}


@pytest.mark.parametrize(
    "number",
    [
        *("4111111111111111", "4222222222222", "5500000000000004", "2223000048400011", "340000000000009"),
        *("378282246310005", "30569309025904", "38520000023237", "6011000990139424", "3530111333300000"),
        *("6200000000000005", "6759649826438453", "2200000000000004"),
    ],
)
def test_issuers_with_their_lengths(number: str) -> None:
    assert found(f"number {number}.") == {number: ALONE}


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111\u20131111\u20111111\u20101111",
        "4111\u00a01111\u00a01111\u00a01111",
        "\uff14\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11\uff11",
        "(4111111111111111)",
        "No.:4111111111111111,",
        "2021 4111 1111 1111 1111",
        "4111 1111 1111 1111 99",
        "41111111 11111111",
    ],
)
def test_however_it_is_written(text: str) -> None:
    assert found(text) == {"4111111111111111": ALONE}


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # No check digit of Luhn.
        "9111111111111119",  # Nobody issues it.
        "411111111111116",  # Too short for Visa.
        "94111111111111111",
        "41111111111111110000",
        "4111.1111.1111.1111",
        "x4111111111111111",
        "4111111111111111x",
        "3,4111111111111111",
        "4111111111111111.5",
        "4111 1111  1111 1111",
        "0000000000000000",
    ],
)
def test_what_is_no_card(text: str) -> None:
    assert found(text) == {}


@pytest.mark.parametrize(
    "around",
    [
        "Visa: {}",
        "{} CVV 123",
        "{} 04/27",
        "valid\r\nthru {}",
        "Meine Kreditkarte {}",
        "credit   card {}",
        "expires 12-2028 {}",
    ],
)
def test_a_word_or_date_near_makes_it_sure(around: str) -> None:
    assert found(around.format("4111111111111111")) == {"4111111111111111": SUPPORTED}


def test_what_is_far_away_or_part_of_a_word_does_not() -> None:
    assert found("visa " + "x " * 200 + "4111111111111111") == {"4111111111111111": ALONE}
    assert found("discard 4111111111111111") == {"4111111111111111": ALONE}


def test_the_same_number_counts_once_with_its_best_confidence() -> None:
    every = CreditCard().find([("subject", "4111111111111111"), ("body", "visa 4111 1111 1111 1111")])
    assert [(one.value, one.confidence, one.where) for one in every] == [("4111111111111111", SUPPORTED, "subject")]


def test_several_numbers_in_one_row_are_several() -> None:
    assert set(found("4111 1111 1111 1111 5500 0000 0000 0004")) == {"4111111111111111", "5500000000000004"}


def test_many_digits_take_little_time() -> None:
    assert found("4 " * 100_000) == {}
    assert found("4444 " * 100_000) == {}
    assert found("1" * 500_000) == {}


def test_many_cards_with_their_dates_take_little_time() -> None:
    began = process_time()
    assert found("12/25 4111111111111111 " * 50_000) == {"4111111111111111": SUPPORTED}
    assert process_time() - began < 5
