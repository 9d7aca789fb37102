"""Days that a Date names."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.mailboxes.head.sent import sent_on


@pytest.mark.parametrize(
    "value",
    [
        b"Tue, 3 Nov 2026 23:12:00 -1200",
        b"3 Nov 26 08:12 GMT",
        b"Tuesday, 03-Nov-26 08:12:00 GMT",
        b"3 November 2026",
        b"Tue (a day),  3 NOV   2026 (really)",
        b"Tue Nov  3 08:12:00 2026",
        b"Tue Nov 3 08:12:00 CET 2026",
    ],
)
def test_the_day_is_read_without_time_and_zone(value: bytes) -> None:
    assert sent_on(value) == date(2026, 11, 3)


def test_years_of_two_and_three_digits() -> None:
    assert sent_on(b"3 Nov 99 08:12 GMT") == date(1999, 11, 3)
    assert sent_on(b"3 Nov 126 08:12 GMT") == date(2026, 11, 3)


@pytest.mark.parametrize(
    "value", [b"", b"yesterday", b"31 Feb 2026", b"3 Foo 2026", b"0 Nov 2026", b"3 Nov 0000", b"9" * 300]
)
def test_what_is_no_day_is_none(value: bytes) -> None:
    assert sent_on(value) is None
