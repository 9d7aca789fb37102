"""Many short strings, sought in one pass."""

from __future__ import annotations

import gc
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.matching.scan import Scan


def made(*keys: bytes) -> Scan:
    scan = Scan()
    for number, key in enumerate(keys):
        assert scan.add(key) == number
    scan.compile()
    return scan


OCTETS = st.binary(max_size=40).map(lambda octets: bytes(b"ab \xc3\xa9\x01?"[octet % 7] for octet in octets))


@given(st.lists(OCTETS.filter(bool), min_size=1, max_size=20, unique=True), OCTETS)
def test_exactly_what_stands_there_is_pointed_at(keys: list[bytes], octets: bytes) -> None:
    assert sorted(made(*keys).points(octets)) == [number for number, key in enumerate(keys) if key in octets]


def test_a_key_that_is_added_again_keeps_its_number_and_without_keys_nothing_is_found() -> None:
    scan = Scan()
    assert [scan.add(key) for key in (b"a", b"b", b"a")] == [0, 1, 0]
    empty = Scan()
    empty.compile()
    assert empty.points(b"a") == []


def test_what_stands_there_a_thousand_times_is_told_once() -> None:
    assert made(b"ab", b"b", b"c").points(b"ab" * 1000) in ([0, 1], [1, 0])


@pytest.mark.parametrize("key", [b"", b"a\0b", b"\0"])
def test_what_the_library_would_cut_is_no_key(key: bytes) -> None:
    with pytest.raises(ValueError, match="zero"):
        made(b"fine", key)


def test_a_key_of_the_longest_length_is_found() -> None:
    key = b" " + b"x" * 1023
    assert made(key).points(key[:-1]) == []
    assert made(key).points(b"x" + key) == [0]


def test_threads_do_not_get_in_each_other_s_way() -> None:
    scan = made(*(f"key {number} ".encode() for number in range(500)))
    texts = [b"".join(b"key %d " % number for number in range(start, 500, 7)) * 50 for start in range(7)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda turn: set(scan.points(texts[turn % 7])), range(700)))
    assert all(numbers == set(range(turn % 7, 500, 7)) for turn, numbers in enumerate(found))


def test_sets_that_a_reload_has_replaced_leave_no_memory_behind() -> None:
    def kept() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def turns(count: int) -> None:
        for turn in range(count):
            made(*(f"word {turn} {number}".encode() for number in range(200))).points(b"word 1 1")

    turns(20)
    before = kept()
    turns(100)  # Each takes 100 KiB.
    assert kept() - before < 4 << 20
