"""Queue ids: sorted by time, safe as file names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.queue_id import queue_id

TIMES = st.integers(0, 2**44).map(lambda milliseconds: milliseconds / 1000)
CHANCE = st.binary(min_size=5, max_size=5)


@given(TIMES, CHANCE)
def test_an_id_has_eighteen_letters_and_digits_that_are_not_mixed_up(now: float, chance: bytes) -> None:
    made = queue_id(now, chance)
    assert len(made) == 18
    assert made[0] == "Q"
    assert set(made[1:]) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@given(TIMES, CHANCE, TIMES, CHANCE)
def test_ids_sort_by_time(now: float, chance: bytes, later: float, other: bytes) -> None:
    if int(now * 1000) < int(later * 1000):
        assert queue_id(now, chance) < queue_id(later, other)


@given(CHANCE, CHANCE)
def test_ids_of_one_millisecond_differ_by_chance(chance: bytes, other: bytes) -> None:
    assert (queue_id(1.0, chance) == queue_id(1.0, other)) == (chance == other)
