"""Processes that the supervisor has forked: what they inherit, how they end, and how, where the fork server dies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.fakes.forking import CONFIG

ROOT = Path(__file__).parents[3]


def acted(what: str) -> tuple[Any, str]:
    """What came of it, and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fakes.forking", what], capture_output=True, text=True, cwd=ROOT, timeout=50
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_what_is_forked_inherits_code_and_nothing_else() -> None:
    found, _ = acted("inside")
    for one, status in zip(found, (0, 7), strict=True):
        assert one["config"] == str(CONFIG) and one["arguments"] == {"status": status}
        assert one["title"] == f"gateway look --config {CONFIG}"
        assert one["ended"] == status
        assert one["notify"] is None and one["leads"] and one["child signals"]
        assert (one["threads"], one["stdin"], one["open"]) == (1, "/dev/null", 0)
    assert found[0]["pid"] != found[1]["pid"]


def test_no_two_draw_the_same_randomness() -> None:
    (first, second), _ = acted("inside")
    assert len(first["drawn"]) == 3
    assert set(first["drawn"]).isdisjoint(second["drawn"])


def test_each_end_is_told_to_all_who_wait_for_it() -> None:
    ends, told = acted("ends")
    assert ends == [-9, -9, 5, 1]
    assert "ZeroDivisionError" in told


def test_where_the_fork_server_dies_another_forks_and_what_there_is_goes_on() -> None:
    found, _ = acted("orphans")
    assert found == {
        "another": True,
        "lives": True,
        "first": None,  # Whoever could have told is dead.
        "second": 3,
        "title": f"gateway look --config {CONFIG}",
    }


def test_without_a_supervisor_the_fork_server_ends_and_leaves_the_others_to_themselves() -> None:
    assert acted("alone")[0] == {"lives": True, "ended": None}


def test_a_fork_server_that_can_not_be_started_is_an_error_each_time() -> None:
    told, _ = acted("never")
    assert told == ["the fork server ended at once; the log says why"] * 2


def test_who_types_fork_server_is_told_what_would_be_right() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "fork-server"], capture_output=True, text=True, cwd=ROOT, timeout=50
    )
    assert done.returncode == 2 and "gateway serve --config FILE" in done.stderr
