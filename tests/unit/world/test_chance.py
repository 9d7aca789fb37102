from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.world import chance
from gateway.world.chance import SMALL, STORE, SystemChance


def test_as_many_octets_as_asked_for_and_never_the_same() -> None:
    one = SystemChance()
    for count in (0, 1, 12, 16, 32, SMALL, SMALL + 1, STORE, 100_000):
        assert len(one.octets(count)) == count
    assert len({one.octets(16) for _ in range(5000)}) == 5000


def test_small_wishes_are_what_the_kernel_gave_each_octet_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[bytes] = []

    def urandom(count: int) -> bytes:
        given.append(bytes((len(given) * 7 + at) % 256 for at in range(count)))
        return given[-1]

    monkeypatch.setattr(os, "urandom", urandom)
    one = SystemChance()
    drawn = b"".join(one.octets(SMALL) for _ in range(STORE // SMALL))
    assert [drawn] == given
    assert one.octets(SMALL) == given[1][:SMALL]
    assert one.octets(SMALL + 1) == given[2]  # More than a small wish is its own question.


def test_threads_share_it_and_get_different_octets() -> None:
    one = SystemChance()
    with ThreadPoolExecutor(8) as threads:
        drawn = [
            octets for some in threads.map(lambda _: [one.octets(16) for _ in range(500)], range(8)) for octets in some
        ]
    assert len(set(drawn)) == 4000


def test_a_child_does_not_draw_what_its_parent_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    one = SystemChance()
    one.octets(16)
    before = one._store[one._drawn :]
    monkeypatch.setattr(chance, "_forks", chance._forks + 1)  # What `os.fork` does in the child.
    assert one.octets(16) not in before


def test_jitter_stays_between_its_ends() -> None:
    assert all(2.0 <= SystemChance().between(2.0, 3.0) <= 3.0 for _ in range(100))
