"""Limits on guessing: what closes which door, for how long, and for whom it stays open."""

from __future__ import annotations

import pytest

from gateway.accounts.attempts import (
    BESIEGED_FREE,
    LONGEST,
    LONGEST_DELAY,
    NETWORK_FREE,
    PAIR_FREE,
    SIEGE,
    Attempt,
    Attempts,
    TooManyAttempts,
    network_of,
)
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock


class Doors:
    """Attempts on a clock that the test moves."""

    def __init__(self, kept: int = 20_000) -> None:
        self.clock = FakeClock()
        self.attempts = Attempts(self.clock, FakeChance(), kept=kept)

    def wait(self, seconds: float) -> None:
        """Nobody sleeps here, so nothing has to be woken."""
        self.clock._move(self.clock.monotonic() + seconds)

    def guess(self, name: str = "ida", address: str = "192.0.2.7") -> Attempt:
        return self.attempts.begin(name, address)

    def closed(self, name: str = "ida", address: str = "192.0.2.7") -> float:
        """Seconds for which the door is closed; looks without counting."""
        try:
            self.guess(name, address).was_none()
        except TooManyAttempts as error:
            return error.seconds
        return 0.0

    def guesses(self, seconds: float, name: str = "ida", address: str = "192.0.2.7") -> int:
        """Guess each second; how many were judged."""
        judged = 0
        for _ in range(int(seconds)):
            try:
                self.guess(name, address)
                judged += 1
            except TooManyAttempts:
                pass
            self.wait(1)
        return judged


@pytest.fixture
def doors() -> Doors:
    return Doors()


def test_a_person_has_some_free_attempts_and_then_the_door_closes(doors: Doors) -> None:
    for _ in range(PAIR_FREE + 1):
        doors.guess()
    assert doors.closed() == pytest.approx(2.0)


def test_each_further_guess_closes_it_for_longer_and_it_always_opens_again(doors: Doors) -> None:
    for _ in range(PAIR_FREE):
        doors.guess()
    waits = []
    for _ in range(14):
        doors.guess()
        waits.append(doors.closed())
        doors.wait(waits[-1] + 0.001)
        assert doors.closed() == 0.0
    assert waits == sorted(waits)
    assert waits[:3] == [pytest.approx(2.0), pytest.approx(4.0, rel=0.01), pytest.approx(8.0, rel=0.02)]
    assert 0.98 * LONGEST < waits[-1] <= LONGEST


def test_answers_come_slower_with_each_guess_up_to_a_bound(doors: Doors) -> None:
    delays = [doors.guess().delay for _ in range(PAIR_FREE)]
    assert delays == [0.5, 1.0, 2.0, 4.0, LONGEST_DELAY]


def test_a_day_of_guessing_at_one_name_from_one_address_gets_few_judged(doors: Doors) -> None:
    judged = doors.guesses(3 * 3600)
    assert judged <= PAIR_FREE + 10 + 3 * 3600 / LONGEST


def test_hundreds_of_names_from_one_network_are_bounded_too(doors: Doors) -> None:
    judged = 0
    for number in range(2000):
        try:
            doors.guess(f"name{number}", f"192.0.2.{number % 256}")
            judged += 1
        except TooManyAttempts:
            pass
        doors.wait(1)
    assert judged <= NETWORK_FREE + 20
    assert doors.closed("somebody", "192.0.3.1") == 0.0


def test_guesses_never_close_the_door_to_another_network(doors: Doors) -> None:
    """An attacker with a thousand networks guesses at one name; its owner comes from his own, and always gets in."""
    for number in range(3000):
        try:
            doors.guess("ida", f"10.{number % 200}.{number % 7}.1")
        except TooManyAttempts:
            pass
        if number % 100 == 0:
            doors.guess("ida", "198.51.100.9").was_right()
            assert doors.closed("ida", "198.51.100.9") == 0.0


def test_a_besieged_name_leaves_each_network_fewer_attempts_but_never_none(doors: Doors) -> None:
    for number in range(SIEGE):
        doors.guess("ida", f"10.0.{number}.1")
    for _ in range(BESIEGED_FREE + 1):
        doors.guess()
    assert doors.closed() == pytest.approx(60.0)
    assert doors.closed("otto") == 0.0


def test_the_right_password_clears_name_and_network_together(doors: Doors) -> None:
    for _ in range(PAIR_FREE):
        doors.guess()
    doors.guess().was_right()
    for _ in range(PAIR_FREE):
        doors.guess()
    assert doors.closed() == 0.0


def test_one_account_buys_no_guesses_about_others(doors: Doors) -> None:
    """Who logs in rightly between his guesses is bounded like anybody."""
    judged = 0
    for number in range(1000):
        try:
            doors.guess("mallory").was_right()
            doors.guess(f"name{number}")
            judged += 1
        except TooManyAttempts:
            pass
        doors.wait(1)
    assert judged <= NETWORK_FREE + 20


def test_many_at_once_gain_nothing(doors: Doors) -> None:
    """Attempts count before they are judged, so parallel connections do not slip through together."""
    begun = 0
    with pytest.raises(TooManyAttempts):
        while True:
            doors.guess()
            begun += 1
    assert begun == PAIR_FREE + 1


def test_a_success_opens_no_door_that_another_guess_has_closed_since(doors: Doors) -> None:
    for number in range(NETWORK_FREE - 1):
        doors.guess(f"name{number}")
    honest = doors.guess("mallory")
    doors.guess("ida")  # Closes the network.
    closed = doors.closed("otto")
    honest.was_right()
    assert closed > 0 and doors.closed("otto") == closed


def test_what_could_not_be_judged_does_not_count(doors: Doors) -> None:
    for _ in range(100):
        doors.guess().was_none()
    assert doors.closed() == 0.0
    assert doors.guess().delay == 0.5


def test_a_device_with_an_old_password_does_not_lock_out_its_office(doors: Doors) -> None:
    """It tries every half minute for a day; its neighbours at the same address get in all the time."""
    for minute in range(24 * 60):
        for _ in range(2):
            try:
                doors.guess("scanner")
            except TooManyAttempts:
                pass
            doors.wait(30)
        if minute % 10 == 0:
            doors.guess("ida").was_right()


def test_counts_are_forgotten_in_time(doors: Doors) -> None:
    for _ in range(PAIR_FREE):
        doors.guess()
    doors.wait(PAIR_FREE * LONGEST)
    assert doors.guess().delay == 0.5


def test_memory_is_bounded_and_what_is_newest_stays() -> None:
    doors = Doors(kept=10)
    for number in range(1000):
        doors.guess(f"name{number}", f"10.0.{number % 256}.{number}")
    assert repr(doors.attempts) == "Attempts(10 pairs, 10 networks, 10 names)"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("::ffff:192.0.2.1", "192.0.2.9", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
    ],
)
def test_which_addresses_count_as_one_network(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def test_names_are_not_kept_as_they_were_typed(doors: Doors) -> None:
    doors.guess("my-secret-password")
    assert b"my-secret-password" not in repr(vars(doors.attempts._names)).encode()
    assert "my-secret" not in repr(vars(doors.attempts._pairs))
