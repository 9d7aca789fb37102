"""From one file, and an empty database, to mailboxes that are read."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.postgres import Cluster, programs
from tests.scenarios.peers.mailroom import IDA, Mailroom, marks
from tests.scenarios.peers.stream import Stream

PHRASE = "correct horse battery\n"
LARGE = b"a line of a large message\r\n" * 60_000


@pytest.mark.timeout(400)
def test_mailboxes_come_back_from_one_file(
    rooms: tuple[Mailroom, Mailroom], server: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = rooms
    bin_ = programs()
    assert bin_ is not None
    if shutil.which("pg_dump") is None:
        monkeypatch.setenv("PATH", str(bin_), prepend=":")
    first.create(IDA)
    for mark in range(4):
        second.write(mark, text=LARGE if mark == 3 else b"x\r\n")
        first.arrived(mark + 1)
    before = first.arrived(4)
    backup = tmp_path / "monday.backup"
    with Stream(first.gateway.port, 1, recipient=IDA) as stream:
        stream.until_taken(3)
        first.does("backup", str(backup), "--passphrase-stdin", stdin=PHRASE)
    assert stream.refused == {}
    for room in rooms:
        assert room.gateway.stop() == 0
    folder = first.gateway.folder
    certs = shutil.copytree(folder / "certs", tmp_path / "certs")
    shutil.rmtree(folder)
    done = first.gateway.run(
        "restore", str(backup), "--into", str(folder), "--passphrase-stdin", config=False, stdin=PHRASE
    )
    assert done.returncode == 0, done.stderr
    shutil.copytree(certs, folder / "certs", dirs_exist_ok=True)
    empty = server.new_database()
    command = [str(bin_ / "pg_restore"), "--no-owner", f"--dbname={empty}", str(folder / "postgresql.dump")]
    filled = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert filled.returncode == 0, filled.stderr
    first.gateway.configure(DATABASE=empty)
    first.start()
    found = first.opens()
    assert found[:4] == before
    first.does("mailbox", "verify", IDA)
    first.write("after")
    assert "after" in marks(first.arrived(len(found) + 1))
