"""From one file to mailboxes that are read; and what is left where a store is missing (row k13)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.peers.mailroom import IDA, Mailroom, marks
from tests.scenarios.peers.stream import Stream

PHRASE = "correct horse battery\n"
LARGE = b"a line of a large message\r\n" * 60_000


@pytest.fixture
def room(make_room: Callable[..., Mailroom]) -> Mailroom:
    room = make_room().start()
    room.create(IDA)
    for mark in range(4):
        room.write(mark, text=LARGE if mark == 3 else b"x\r\n")
        room.arrived(mark + 1)
    return room


def test_mailboxes_come_back_from_one_file(room: Mailroom, tmp_path: Path) -> None:
    gateway = room.gateway
    before = room.arrived(4)
    backup = tmp_path / "monday.backup"
    with Stream(gateway.port, 1, recipient=IDA) as stream:
        stream.until_taken(3)
        room.does("backup", str(backup), "--passphrase-stdin", stdin=PHRASE)
    assert stream.refused == {}
    assert gateway.stop() == 0
    certs = shutil.copytree(gateway.folder / "certs", tmp_path / "certs")
    shutil.rmtree(gateway.folder)
    into = ("restore", str(backup), "--into", str(gateway.folder), "--passphrase-stdin")
    done = gateway.run(*into, config=False, stdin=PHRASE)
    assert done.returncode == 0, done.stderr
    if not (gateway.folder / "certs").exists():
        shutil.copytree(certs, gateway.folder / "certs")
    room.start()
    found = room.opens()
    assert found[:4] == before
    done = gateway.run("mailbox", "verify", IDA)
    assert done.returncode == 0, done.stdout + done.stderr
    room.write("after")
    assert "after" in marks(room.arrived(len(found) + 1))


def test_neither_the_database_nor_a_vault_shows_anything_alone(
    room: Mailroom, make_room: Callable[..., Mailroom], tmp_path: Path
) -> None:
    """Row k13."""
    gateway = room.gateway
    backup = tmp_path / "b"
    room.does("backup", str(backup), "--without-vault")
    assert gateway.stop() == 0
    kept = tmp_path / "kept"
    shutil.copytree(gateway.folder, kept)
    shutil.rmtree(gateway.folder)
    done = gateway.run("restore", str(backup), "--into", str(gateway.folder), config=False)
    assert done.returncode == 0, done.stderr
    if not (gateway.folder / "certs").exists():
        shutil.copytree(kept / "certs", gateway.folder / "certs")
    # Without any vault.
    for command in (("mailbox", "list"), ("mailbox", "export", IDA, "--to", str(tmp_path / "out")), ("serve",)):
        said = gateway.run(*command)
        assert said.returncode == 1, (command, said.stdout)
        assert "Traceback" not in said.stderr
    # With the service's own alone: who there is it tells, the mail stays closed.
    bring(kept, gateway.folder, "vault", "service-secret")
    said = gateway.run("mailbox", "export", IDA, "--to", str(tmp_path / "out"))
    assert said.returncode == 1
    assert not list((tmp_path / "out").rglob("*.eml"))
    # With one of the two roots, all of it.
    bring(kept, gateway.folder, "root-b", "root-b-secret")
    room.does("mailbox", "export", IDA, "--to", str(tmp_path / "out"))
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*.eml")]
    assert len(written) == 4 and all(b"X-Mark: " in one for one in written)

    # The vaults and the blobs without the database.
    shutil.rmtree(gateway.folder / "data")
    shutil.copytree(kept / "data" / "mailboxes", gateway.folder / "data" / "mailboxes")
    said = gateway.run("mailbox", "list", "--json")
    assert IDA not in said.stdout
    said = gateway.run("mailbox", "export", IDA, "--to", str(tmp_path / "none"))
    assert said.returncode == 1
    assert not list((tmp_path / "none").rglob("*.eml"))


def bring(kept: Path, folder: Path, *names: str) -> None:
    for name in names:
        there = kept / name
        if there.is_dir():
            shutil.copytree(there, folder / name, dirs_exist_ok=True)
        else:
            shutil.copy(there, folder / name)
