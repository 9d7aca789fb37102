"""A spool whose process is killed or whose disk refuses: what was acknowledged is there, and nothing is half stored."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.storage.spool import DATABASE, Spool
from gateway.storage.writer import open_database
from tests.fakes.accepting import SIZES, content_of
from tests.fakes.spool import SpoolOf

ROOT = Path(__file__).resolve().parents[3]


def accepting(folder: Path, first: int, *limit: str) -> subprocess.Popen[bytes]:
    """The process that takes mail; its output are the ids that it acknowledged."""
    command = [sys.executable, "-m", "tests.fakes.accepting", str(folder), *limit]
    environment = {**os.environ, "FIRST": str(first)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)


async def check_whole(of: SpoolOf, acknowledged: set[str]) -> None:
    """Each acknowledged message is there with its octets, and whatever else is there is whole too."""
    spool: Spool = await of.reopen()
    deliveries = {delivery.message: delivery for delivery in await spool.deliveries(limit=1_000_000)}
    assert acknowledged <= set(deliveries)
    for message, delivery in deliveries.items():
        blocks = [block async for block in (await spool.content(delivery)).blocks()]
        assert b"".join(blocks) == content_of(int(message[1:]))
    large = {message for message in deliveries if SIZES[int(message[1:]) % len(SIZES)] > 128 * 1024}
    assert set(of.contents) == large
    assert {record.message for record in await spool.records(limit=1_000_000)} == set(deliveries)
    await of.close()
    database = open_database(str(of.folder / DATABASE))
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    of = SpoolOf(tmp_path / "0")
    acknowledged: set[str] = set()
    for turn, wanted in enumerate((1, 7, 40)):
        process = accepting(of.folder, 1 + turn * 100_000)
        assert process.stdout is not None
        heard = 0
        while heard < wanted:
            line = process.stdout.readline()
            assert line.startswith(b"Q")
            acknowledged.add(line.decode().strip())
            heard += 1
        process.send_signal(signal.SIGKILL)
        acknowledged |= {line.decode().strip() for line in process.stdout if line.endswith(b"\n")}
        process.stdout.close()
        process.wait()
        await check_whole(of, acknowledged)
    assert len(acknowledged) >= 48


@pytest.mark.parametrize("limit", [100_000, 600_000, 1_000_000])
async def test_files_that_may_not_grow_refuse_and_store_nothing_half(tmp_path: Path, limit: int) -> None:
    of = SpoolOf(tmp_path / "0")
    process = accepting(of.folder, 1, str(limit))
    out, _ = process.communicate(timeout=50)
    assert process.returncode == 0
    lines = out.decode().split("\n")[:-1]
    refused = {line.partition(" ")[0][1:] for line in lines if line.startswith("!")}
    acknowledged = {line for line in lines if line.startswith("Q")}
    assert len(refused) + len(acknowledged) == 60
    assert refused
    # A content of 1.1 million octets fits into none of these files: that is a full disk, whatever else happens.
    assert "!Q4 StorageFull" in lines
    await check_whole(of, acknowledged)
    spool = await of.reopen()
    assert {delivery.message for delivery in await spool.deliveries()} == acknowledged
    await of.close()
