"""Sets of messages become places, each once, whatever the set says."""

from __future__ import annotations

from array import array

import pytest
from pymap.parsing import Params
from pymap.parsing.specials import SequenceSet

from gateway.imap.sequence import BadSequence, places, spans, written

UIDS = array("I", [3, 4, 5, 9, 20])


def meant(text: bytes, *, uid: bool = False, uids: array[int] = UIDS) -> list[int]:
    wanted, _ = SequenceSet.parse(memoryview(text + b" "), Params(uid=uid))
    return list(places(spans(wanted, uids)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"1", [0]),
        (b"2:4", [1, 2, 3]),
        (b"4:2", [1, 2, 3]),
        (b"*", [4]),
        (b"4:*", [3, 4]),
        (b"*:4", [3, 4]),
        (b"5,1,1:2", [0, 1, 4]),
        (b"1:*," * 2000 + b"1", [0, 1, 2, 3, 4]),
    ],
)
def test_numbers_count_from_one_and_the_last_is_an_asterisk(text: bytes, found: list[int]) -> None:
    assert meant(text) == found


@pytest.mark.parametrize("text", [b"6", b"1:6", b"6:*"])
def test_a_number_that_is_not_there_is_refused(text: bytes) -> None:
    with pytest.raises(BadSequence):
        meant(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"4", [1]),
        (b"6:8", []),
        (b"5:9", [2, 3]),
        (b"100:*", [4]),
        (b"4294967295", []),
        (b"1:4294967295", [0, 1, 2, 3, 4]),
    ],
)
def test_uids_that_are_not_there_are_passed_over(text: bytes, found: list[int]) -> None:
    assert meant(text, uid=True) == found


def test_an_empty_folder_has_no_places() -> None:
    assert meant(b"1:*", uids=array("I")) == []


@pytest.mark.parametrize(("numbers", "text"), [([], b""), ([7], b"7"), ([1, 2, 3], b"1:3"), ([1, 3, 4, 9], b"1,3:4,9")])
def test_numbers_are_written_with_runs(numbers: list[int], text: bytes) -> None:
    assert written(numbers) == text
