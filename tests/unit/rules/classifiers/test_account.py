"""International bank account numbers."""

from __future__ import annotations

import pytest

from gateway.rules.classifiers.account import SURE, Iban


def found(text: str) -> dict[str, int]:
    return {one.value: one.confidence for one in Iban().find([("body", text)])}


@pytest.mark.parametrize(
    "number",
    [
        *("DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "NO9386011117947"),
        *("MT84MALT011000012345MTLCAST001S", "CH9300762011623852957", "NL91ABNA0417164300", "BE68539007547034"),
        *(
            "ES9121000418450200051332",
            "IT60X0542811101000000123456",
            "SE4550000000058398257466",
            "AT611904300234573201",
        ),
    ],
)
def test_countries_with_their_lengths(number: str) -> None:
    groups = " ".join(number[at : at + 4] for at in range(0, len(number), 4))
    for text in (
        number,
        groups,
        groups.lower(),
        f"IBAN:{number};",
        f"x {groups} and so on",
        number[:2] + " " + number[2:],
    ):
        assert found(text) == {number: SURE}, text


@pytest.mark.parametrize(
    "text",
    [
        "DE89370400440532013001",
        "DE8937040044053201300",
        "DE893704004405320130000",
        "XX89370400440532013000",
        "ADE89370400440532013000",
        "DE89 3704 0044  0532 0130 00",
        "GB29",
    ],
)
def test_what_is_none(text: str) -> None:
    assert found(text) == {}


def test_the_same_account_counts_once() -> None:
    assert len(found("DE89370400440532013000 DE89 3704 0044 0532 0130 00")) == 1
