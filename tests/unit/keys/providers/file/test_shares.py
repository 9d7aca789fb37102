"""Shares of a recovery key: enough of them give it back, fewer nothing, and slips are told by their place."""

from __future__ import annotations

from itertools import combinations

import pytest

from gateway.keys.providers.file import shares
from gateway.keys.providers.file.shares import BadShares

SEED = bytes(range(16))


def test_any_two_of_three_give_it_back_in_any_order_and_spelling() -> None:
    three = shares.split(SEED, 2, 3)
    assert len(set(three)) == 3
    assert all(len(share.split()) == 20 for share in three)
    for pair in combinations(three, 2):
        assert shares.joined(pair) == shares.joined(pair[::-1]) == SEED
    assert shares.joined(three) == SEED
    assert shares.joined([f"  {three[0].upper()} \n", three[2].replace(" ", "   ")]) == SEED
    assert shares.joined([three[0], three[0], three[1]]) == SEED


def test_too_few_are_counted() -> None:
    three = shares.split(SEED, 3, 5)
    with pytest.raises(BadShares, match="3 different shares are needed, and 2 are there"):
        shares.joined([three[0], three[1], three[1]])
    with pytest.raises(BadShares, match="there is no share"):
        shares.joined([])


def test_a_mistyped_share_is_told_by_its_place_without_its_words() -> None:
    two = shares.split(SEED, 2, 2)
    words = two[1].split()
    words[7] = "academic" if words[7] != "academic" else "acid"
    for bad in (" ".join(words), "no share at all", "", "x" * 401, "\u00e4" * 30):
        with pytest.raises(BadShares, match="share 2") as caught:
            shares.joined([two[0], bad])
        error: BaseException | None = caught.value
        assert not any(word in str(error) for word in words if len(word) > 5)


def test_shares_of_two_keys_do_not_mix() -> None:
    with pytest.raises(BadShares, match="different recovery keys"):
        shares.joined([shares.split(SEED, 2, 3)[0], shares.split(bytes(16), 2, 3)[1]])


@pytest.mark.parametrize(("needed", "count"), [(0, 0), (1, 1), (1, 3), (3, 2), (2, 17)])
def test_odd_numbers_are_refused(needed: int, count: int) -> None:
    with pytest.raises(ValueError, match="right would be from 2/2 to 16/16"):
        shares.split(SEED, needed, count)
