"""What a reload may not change."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.lasting import changed
from tests.fakes.settings import PLAIN, settings_in

WORKERS = PLAIN.replace("[server]\n", "[server]\nworkers = 2\n")


@pytest.mark.parametrize(
    ("more", "keys"),
    [
        ("", []),
        ('[log]\nlevel = "debug"\n', []),
        ("[mailboxes]\nquota = 5\n", []),
        ('[log]\nfile = "gateway.log"\n', ["log.file"]),
        ('[storage]\nblobs = "elsewhere"\n', ["storage.blobs"]),
        ("[keys]\ncache_seconds = 5\n", ["keys.cache_seconds"]),
        ("[keys]\nlook_seconds = 5\n", ["keys.look_seconds"]),
        ('[mailboxes]\nblobs = "elsewhere"\n', ["mailboxes.blobs"]),
        (
            '[mailboxes]\ncache_seconds = 5\navailability_key = "main/other"\n',
            ["mailboxes.availability_key", "mailboxes.cache_seconds"],
        ),
        ('[[vaults]]\nname = "other"\n', ["vaults"]),
        ("[security]\nfips = true\n", ["security"]),
        ('[imap]\nlisten = "127.0.0.1:9993"\n', ["imap"]),
    ],
)
def test_each_is_told_by_its_key(tmp_path: Path, more: str, keys: list[str]) -> None:
    before = settings_in(tmp_path, WORKERS)
    assert changed(before, settings_in(tmp_path, WORKERS + more), 2) == keys


def test_the_number_of_workers_is_that_of_those_that_run(tmp_path: Path) -> None:
    loaded = settings_in(tmp_path, WORKERS)
    assert changed(loaded, loaded, 3) == ["server.workers"]
