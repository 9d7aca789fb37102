"""A lock has one holder, whichever process, and ends with it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.app.lock import FileLock, InUse, lock_soon
from tests.fakes.clock import FakeClock


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    first = FileLock(tmp_path / "lock")
    with pytest.raises(InUse, match="lock is in use by another process"):
        FileLock(tmp_path / "lock")
    first.release()
    FileLock(tmp_path / "lock").release()
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from gateway.app.lock import FileLock\n"
        "lock = FileLock(Path(sys.argv[1])); print('held', flush=True); signal.pause()\n"
    )
    root = Path(__file__).resolve().parents[3]
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], cwd=root, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(InUse):
        FileLock(tmp_path / "lock")
    process.kill()
    process.wait()
    process.stdout.close()
    FileLock(tmp_path / "lock").release()


def test_a_folder_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "no" / "lock")


async def test_a_process_that_is_about_to_end_is_waited_for(tmp_path: Path) -> None:
    clock = FakeClock()
    held = FileLock(tmp_path / "lock")
    waiting = asyncio.ensure_future(lock_soon(tmp_path / "lock", clock, 10))
    await clock.advance(5)
    assert not waiting.done()
    held.release()
    await clock.advance(0.1)
    (await waiting).release()


async def test_the_wait_has_an_end(tmp_path: Path) -> None:
    clock = FakeClock()
    held = FileLock(tmp_path / "lock")
    waiting = asyncio.ensure_future(lock_soon(tmp_path / "lock", clock, 10))
    await clock.advance(10.1)
    with pytest.raises(InUse):
        await waiting
    held.release()
