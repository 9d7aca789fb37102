"""One-time codes: what is drawn, what fits, what is forgotten, and how a door closes."""

from __future__ import annotations

import pytest

from gateway.rights import passcode
from gateway.rights.passcode import ALLOWED, DOOR_LIFE, LIFE, LONGEST, TRIES, Count, Counted
from tests.fakes.chance import FakeChance

NOW = 1_793_700_000.0
HERE = b"link" * 8 + b"browser" * 4


class Drawn:
    """Chance that gives what a test wants first."""

    def __init__(self, *first: bytes) -> None:
        self.first = list(first)
        self.rest = FakeChance()

    def octets(self, count: int) -> bytes:
        return self.first.pop(0) if self.first else self.rest.octets(count)

    def between(self, low: float, high: float) -> float:
        return low


def test_a_code_has_eight_digits_and_fits_for_its_link_and_browser_alone() -> None:
    code, kept = passcode.make(FakeChance(), HERE, NOW)
    assert len(code) == 8 and code.isdecimal()
    assert kept.fits(code, HERE)
    assert not kept.fits(code, HERE + b"x")
    assert not kept.fits(f"{(int(code) + 1) % 10**8:08d}", HERE)
    assert not kept.fits("", HERE)


def test_what_is_kept_shows_no_digit() -> None:
    code, kept = passcode.make(FakeChance(), HERE, NOW)
    assert code not in repr(kept) and code.encode() not in kept.digest


def test_a_code_with_zeros_in_front_keeps_them() -> None:
    code, kept = passcode.make(Drawn((7).to_bytes(4, "big")), HERE, NOW)
    assert code == "00000007" and kept.fits("00000007", HERE) and not kept.fits("7", HERE)


def test_a_draw_that_would_favour_some_codes_is_drawn_again() -> None:
    """2^32 is no multiple of 10^8: the last 94,967,296 numbers would make small codes likelier."""
    code, _ = passcode.make(Drawn(b"\xff\xff\xff\xff", (4_200_000_000).to_bytes(4, "big"), bytes(4)), HERE, NOW)
    assert code == "00000000"


def test_a_code_counts_for_fifteen_minutes_and_five_tries() -> None:
    _, kept = passcode.make(FakeChance(), HERE, NOW)
    assert kept.is_live(NOW) and kept.is_live(NOW + LIFE - 0.001)
    assert not kept.is_live(NOW + LIFE)
    assert not kept.is_live(NOW - 1), "a clock that was put back makes no code last longer"
    for _ in range(TRIES):
        assert kept.is_live(NOW)
        kept = kept.tried()
    assert not kept.is_live(NOW)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("12345678", "12345678"),
        (" 1234 5678\n", "12345678"),
        ("1234-5678", "12345678"),
        ("1234\u00a05678", "12345678"),
        ("\u200e12345678\u200f", "12345678"),
        ("١٢٣٤٥٦٧٨", "12345678"),
        ("۱۲۳۴۵۶۷۸", "12345678"),
        ("1234567", ""),
        ("123456789", ""),
        ("1234567a", ""),
        ("1234567²", ""),
        ("1" * 65, ""),
        ("", ""),
    ],
)
def test_digits_are_read_as_people_type_them(typed: str, meant: str) -> None:
    assert passcode.digits(typed) == meant


def test_a_reference_never_looks_like_a_code() -> None:
    assert all(passcode.reference(FakeChance(str(seed)))[0].isalpha() for seed in range(300))


def test_a_reference_has_no_letters_that_look_alike() -> None:
    found = {letter for seed in range(300) for letter in passcode.reference(FakeChance(str(seed)))}
    assert found.isdisjoint("0O1IL") and len(found) == 30 - ("L" in found)


@pytest.mark.parametrize("kind", list(Counted))
def test_the_first_beyond_what_is_free_has_all_wait_and_each_further_one_for_longer(kind: Counted) -> None:
    count, allowed = Count(), ALLOWED[kind]
    for _ in range(allowed.free):
        count = count.more(kind, NOW)
        assert count.wait(kind, NOW) == 0
    waits = []
    for _ in range(12):
        count = count.more(kind, NOW)
        waits.append(count.wait(kind, NOW))
    assert waits[0] == pytest.approx(allowed.first)
    assert waits == sorted(waits) and waits[-1] == allowed.longest >= LONGEST


def test_what_was_counted_is_forgotten_with_time() -> None:
    kind = Counted.TRY_LINK
    count = Count()
    for _ in range(ALLOWED[kind].free + 1):
        count = count.more(kind, NOW)
    later = NOW + ALLOWED[kind].leak * ALLOWED[kind].free
    assert count.left(kind, later) == pytest.approx(1)
    assert count.wait(kind, NOW + 1) == pytest.approx(ALLOWED[kind].first - 1)


def test_a_clock_that_was_put_back_has_nobody_wait_for_longer() -> None:
    count = Count(5, NOW, NOW + 100)
    assert count.wait(Counted.ASK_LINK, NOW - 86400) == LONGEST
    assert count.left(Counted.TRY_LINK, NOW - 86400) == 5


def test_ten_thousand_guesses_at_one_link_get_some_hundred_tries_a_day() -> None:
    """Whoever waits each time until a code is sent again, and then has all its tries; whatever the browser."""
    kind, now, tries, count = Counted.TRY_LINK, NOW, 0, Count()
    while now < NOW + 86400:
        if (wait := count.wait(kind, now)) > 0:
            now += wait
            continue
        for _ in range(TRIES):
            count = count.more(kind, now)
        tries += TRIES
    assert tries < 200


def test_a_door_counts_until_long_after_the_next_one_may_be_mailed() -> None:
    """Whoever has to wait finds one in his mailbox that counts, or has one mailed."""
    assert ALLOWED[Counted.DOOR_MAIL].free == 0
    assert Count().more(Counted.DOOR_MAIL, NOW).wait(Counted.DOOR_MAIL, NOW) <= DOOR_LIFE / 2
