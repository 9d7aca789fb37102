"""In which language a page is."""

from __future__ import annotations

import pytest

from gateway.portal.languages import chosen, direction


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, None, "en"),
        ("ar", "de", "ar"),
        ("xx", "de", "de"),
        (None, "de-AT,de;q=0.9,en;q=0.8", "de"),
        (None, "fr, ar;q=0.5, de;q=0.7", "de"),
        (None, "fr;q=0.9, *", "en"),
        (None, "de;q=0", "en"),
        (None, "de;q=5, ;;,=, ar", "ar"),
        (None, "x" * 600 + ",de", "en"),
        (None, "DE", "de"),
    ],
)
def test_the_readers_choice_counts_then_his_browsers(cookie: str | None, accepted: str | None, language: str) -> None:
    assert chosen(cookie, accepted, "en") == language


def test_arabic_runs_from_right_to_left() -> None:
    assert [direction(one) for one in ("en", "de", "ar")] == ["ltr", "ltr", "rtl"]
