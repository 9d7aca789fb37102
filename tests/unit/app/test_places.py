"""Whose spools are whose."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.places import PORTAL, Places
from gateway.storage.spool import DATABASE


@pytest.fixture
def places(tmp_path: Path) -> Places:
    found = Places(tmp_path)
    for number in (0, 1, 2, 3, 5, PORTAL):
        found.spool(number).mkdir(parents=True)
        (found.spool(number) / DATABASE).touch()
    return found


def test_spools_of_workers_that_are_no_more_are_shared_out(places: Places) -> None:
    assert places.left_over(0, 2, has_portal=True) == [2]
    assert places.left_over(1, 2, has_portal=True) == [3, 5]
    assert places.left_over(0, 64, has_portal=True) == []


def test_the_portals_spool_is_its_own_as_long_as_there_is_one(places: Places) -> None:
    assert places.left_over(PORTAL, 2, has_portal=True) == []
    assert places.left_over(0, 2, has_portal=False) == [2, PORTAL]
    assert places.left_over(1, 2, has_portal=False) == [3, 5]
