"""What a fault is in words of IMAP, and which of them the log is to show whole."""

from __future__ import annotations

import pytest

from gateway.imap.answers import answer_to
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageAway, StorageBroken, StorageFull


@pytest.mark.parametrize("error", [StorageAway("the database is away"), KeysClosed("the key is disabled")])
def test_what_is_known_to_be_away_is_not_told_with_each_command(error: Exception) -> None:
    answer = answer_to(error)
    assert answer.octets == b"NO [UNAVAILABLE] A part of the server does not answer; please try again later"
    assert not answer.is_ours


@pytest.mark.parametrize("error", [StorageBroken("malformed"), StorageFull("full"), SealBroken("x"), ValueError("x")])
def test_any_other_fault_of_ours_is_told_whole(error: Exception) -> None:
    assert answer_to(error).is_ours
