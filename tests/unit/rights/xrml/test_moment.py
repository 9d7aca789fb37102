"""Times of licences: UTC, whole minutes."""

from __future__ import annotations

import pytest

from gateway.rights.xrml.element import BadLicence
from gateway.rights.xrml.moment import read_moment, write_moment
from tests.fakes.rights import NOW


def test_a_time_is_rounded_down_to_its_minute() -> None:
    assert write_moment(NOW) == write_moment(NOW + 59.9) == "2026-11-03T08:12"
    assert read_moment("2026-11-03T08:12") == NOW


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-03",
        "2026-11-03T08:12:00",
        "2026-11-03T08:12Z",
        "2026-13-03T08:12",
        "0000-01-01T00:00",
        " 2026-11-03T08:12",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(BadLicence):
        read_moment(text)


@pytest.mark.parametrize("at", [-1.0, 253_402_300_800.0, float("inf"), float("nan")])
def test_a_year_that_has_no_four_digits_is_not_written(at: float) -> None:
    with pytest.raises(ValueError, match="time"):
        write_moment(at)
