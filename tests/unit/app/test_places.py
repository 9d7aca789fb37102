"""Whose spools are whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.face import IMAP, PORTAL
from gateway.app.places import Places
from gateway.storage.spool import DATABASE


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(tmp_path)
    for number in (0, 1, 2, 3, 5, PORTAL.number, IMAP.number):
        found.spool(number).mkdir(parents=True)
        (found.spool(number) / DATABASE).touch()
    return found


def test_spools_of_workers_that_are_no_more_are_shared_out(places: Places) -> None:
    both = (PORTAL.number, IMAP.number)
    assert places.left_over(0, 2, faces=both) == [2]
    assert places.left_over(1, 2, faces=both) == [3, 5]
    assert places.left_over(0, 64, faces=both) == []


def test_the_spool_of_a_face_is_its_own_as_long_as_there_is_one(places: Places) -> None:
    assert places.left_over(PORTAL.number, 2, faces=(PORTAL.number,)) == []
    assert places.left_over(0, 2, faces=(IMAP.number,)) == [2, PORTAL.number]
    assert places.left_over(1, 2, faces=(PORTAL.number,)) == [3, 5, IMAP.number]
    assert places.left_over(0, 2, faces=()) == [2, PORTAL.number]
    assert places.left_over(1, 2, faces=()) == [3, 5, IMAP.number]
