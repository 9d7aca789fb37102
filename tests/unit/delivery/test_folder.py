"""Delivery into a folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.delivery.folder import drop
from gateway.mail.message import Held


class Blocks:
    """Content in blocks, which fails after them if it is told to."""

    def __init__(self, *parts: bytes, fails: Exception | None = None) -> None:
        self.parts = parts
        self.fails = fails

    size = 0
    inline = None

    async def blocks(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
        if self.fails:
            raise self.fails


@pytest.mark.parametrize("content", [Held(b"a\r\n.b\r\n"), Blocks(b"a\r\n", b".b\r\n")])
async def test_the_file_holds_the_octets_as_they_are(tmp_path: Path, content: Held | Blocks) -> None:
    path = await drop(tmp_path / "outbox", "Q.1", content)
    assert path == tmp_path / "outbox" / "Q.1.eml"
    assert path.read_bytes() == b"a\r\n.b\r\n"
    assert [one.name for one in path.parent.iterdir()] == ["Q.1.eml"]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_second_attempt_replaces_the_file(tmp_path: Path) -> None:
    await drop(tmp_path, "Q.1", Held(b"first, longer\r\n"))
    await drop(tmp_path, "Q.1", Held(b"second\r\n"))
    assert (tmp_path / "Q.1.eml").read_bytes() == b"second\r\n"


async def test_content_and_name_are_on_the_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        order.append("folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        order.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    await drop(tmp_path, "Q.1", Held(b"a"))
    await drop(tmp_path, "Q.2", Blocks(b"a"))
    assert order == ["file", "name", "folder"] * 2


async def test_content_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"):
        await drop(tmp_path, "Q.1", Blocks(b"half", fails=ValueError("broken")))
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_made_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await drop(tmp_path / "missing" / "outbox", "Q.1", Held(b"a"))


async def test_an_id_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no path"):
        await drop(tmp_path, "../Q.1", Held(b"a"))
