"""When a waiting delivery is tried again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.schedule import RetryTerms, next_attempt, wait
from gateway.settings.schema import Retry
from tests.fakes.chance import FakeChance
from tests.fakes.terms import RETRY


def test_waits_grow_to_the_longest_and_stay_there() -> None:
    waits = [wait(attempts, RETRY, FakeChance(share=1.0)) for attempts in range(1, 11)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3840, 7680, 14400, 14400]


def test_jitter_takes_its_share_away_and_never_adds() -> None:
    assert wait(3, RETRY, FakeChance(share=0.0)) == 240 * 0.8
    assert wait(3, RETRY, FakeChance(share=0.5)) == 240 * 0.9


def test_the_last_attempt_happens_at_expiry() -> None:
    terms = replace(RETRY, expire=1000.0)
    assert next_attempt(5, 900.0, 0.0, terms, FakeChance()) == 1000.0
    assert next_attempt(6, 1000.0, 0.0, terms, FakeChance()) is None
    assert next_attempt(6, 999.9995, 0.0, terms, FakeChance()) is None, "storage keeps whole milliseconds"
    assert next_attempt(1, 99_999.0, 0.0, terms, FakeChance()) is None


def test_an_attempt_is_made_when_the_delay_notice_falls_due() -> None:
    """Else the sender would hear of it up to one longest wait too late."""
    terms = replace(RETRY, delay_notice=4 * 3600.0)
    assert next_attempt(9, 10_000.0, 0.0, terms, FakeChance()) == 4 * 3600.0
    assert next_attempt(1, 10_000.0, 0.0, terms, FakeChance(share=1.0)) == 10_060.0
    assert next_attempt(9, 4 * 3600.0 - 0.5, 0.0, terms, FakeChance(share=1.0)) == 8 * 3600.0 - 0.5
    assert next_attempt(9, 10_000.0, 0.0, replace(terms, delay_notice=None), FakeChance(share=1.0)) == 24_400.0


def test_what_is_late_is_told_between_its_time_and_the_end() -> None:
    assert not RETRY.is_late(4 * 3600.0 - 2, 0.0)
    assert RETRY.is_late(4 * 3600.0 - 0.001, 0.0), "storage keeps whole milliseconds"
    assert not replace(RETRY, delay_notice=None).is_late(1e6, 0.0)
    assert not replace(RETRY, delay_notice=RETRY.expire).is_late(1e6, 0.0), "its end is told instead"


def test_settings_become_terms() -> None:
    assert RetryTerms.from_settings(Retry()) == RetryTerms(
        first=60, factor=2.0, longest=14400, jitter=0.2, expire=432000, delay_notice=14400
    )
    assert RetryTerms.from_settings(Retry(delay_notice=0)).delay_notice is None


@given(
    attempts=st.integers(0, 1_000_000),
    factor=st.floats(1, 10),
    jitter=st.floats(0, 0.9),
    share=st.floats(0, 1),
    age=st.floats(0, 1e7),
)
def test_the_next_attempt_lies_ahead_and_not_beyond_expiry(
    attempts: int, factor: float, jitter: float, share: float, age: float
) -> None:
    terms = replace(RETRY, factor=factor, jitter=jitter)
    when = next_attempt(attempts, 1e9 + age, 1e9, terms, FakeChance(share=share))
    if 1e9 + age >= 1e9 + terms.expire - 1.0:
        assert when is None
    else:
        assert when is not None
        assert 1e9 + age < when <= 1e9 + terms.expire
