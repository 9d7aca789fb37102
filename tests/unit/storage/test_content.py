"""Octets on their way into a spool and out again: sealed in segments, bounded in memory, gone when forgotten."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.mail.message import MAX_HEAD, Message
from gateway.storage.content import INLINE, OVERHEAD, SEGMENT, START, FileIncoming, SealedFile
from gateway.storage.sealer import SealBroken, Sealer, Segments
from gateway.storage.writer import StorageFull
from tests.fakes.spool import sealer

SIZES = [0, 1, INLINE, INLINE + 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 2 * SEGMENT + 1, 3 * SEGMENT - 1]


def octets(size: int) -> bytes:
    """Octets that differ everywhere, so that swapped segments show."""
    return b"".join(b"%015d\n" % number for number in range(size // 16 + 1))[:size]


@pytest.fixture
async def executor() -> AsyncIterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


async def taken(folder: Path, executor: ThreadPoolExecutor, content: bytes, piece: int, id_: str = "Q1") -> Message:
    incoming = FileIncoming(id_, folder, sealer(), executor)
    for start in range(0, len(content), piece):
        if incoming.write(content[start : start + piece]):
            await incoming.flush()
    return await incoming.finish()


async def read(message: Message) -> bytes:
    return b"".join([block async for block in message.content.blocks()])


@pytest.mark.parametrize("piece", [65_536, SEGMENT, 5 * SEGMENT])
@pytest.mark.parametrize("size", SIZES)
async def test_what_goes_in_comes_out_at_every_border(
    tmp_path: Path, executor: ThreadPoolExecutor, size: int, piece: int
) -> None:
    content = octets(size)
    message = await taken(tmp_path, executor, content, piece)
    assert message.size == size
    assert message.head == content[: len(message.head)]
    assert len(message.head) == min(size, MAX_HEAD) if size > INLINE else len(message.head) == size
    assert await read(message) == content
    assert await read(message) == content  # As often as one likes.
    assert [path.name for path in tmp_path.iterdir()] == ([] if size <= INLINE else ["Q1"])


async def test_up_to_128_kib_stay_in_memory(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    assert (await taken(tmp_path, executor, octets(INLINE), 1000)).content.inline == octets(INLINE)
    assert (await taken(tmp_path, executor, octets(INLINE + 1), 1000)).content.inline is None


async def test_a_file_holds_nothing_in_clear_and_is_ours_alone(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    content = b"MARKER-OF-THE-TEST\r\n" * 100_000
    await taken(tmp_path, executor, content, 65_536)
    file = tmp_path / "Q1"
    assert b"MARKER" not in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size == START + len(content) + OVERHEAD * -(-len(content) // SEGMENT)


async def test_memory_holds_little_more_than_a_segment(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    incoming = FileIncoming("Q1", tmp_path, sealer(), executor)
    for _ in range(100):
        if incoming.write(bytes(65_536)):
            await incoming.flush()
        assert incoming._waits <= SEGMENT + 65_536
    await incoming.abandon()


@pytest.mark.parametrize("size", [10, INLINE + 1, 3 * SEGMENT])
@pytest.mark.parametrize("finished", [False, True])
async def test_what_is_abandoned_leaves_no_file(
    tmp_path: Path, executor: ThreadPoolExecutor, size: int, finished: bool
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    incoming = FileIncoming("Q1", tmp_path, sealer(), executor)
    if incoming.write(octets(size)):
        await incoming.flush()
    if finished:
        await incoming.finish()
    await incoming.abandon()
    await incoming.abandon()
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


# -- what was damaged or moved ----------------------------------------------------------------------------------------


async def opened_after(
    tmp_path: Path, executor: ThreadPoolExecutor, damage: object, size: int = 2 * SEGMENT + 5
) -> bytes:
    message = await taken(tmp_path, executor, octets(size), SEGMENT)
    file = tmp_path / "Q1"
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    return await read(message)


SEALED = SEGMENT + OVERHEAD


@pytest.mark.parametrize(
    "damage",
    [
        lambda sealed: sealed[:-1],
        lambda sealed: sealed[:-21],
        lambda sealed: sealed[:START],
        lambda sealed: sealed[:10],
        lambda sealed: b"",
        lambda sealed: b"\x02" + sealed[1:],
        lambda sealed: sealed[:5] + b"\0" + sealed[6:],
        lambda sealed: sealed[:100] + bytes([sealed[100] ^ 1]) + sealed[101:],
        lambda sealed: (
            sealed[:START]
            + sealed[START + SEALED : START + 2 * SEALED]
            + sealed[START : START + SEALED]
            + sealed[START + 2 * SEALED :]
        ),
        lambda sealed: sealed[:START] + sealed[START : START + SEALED] * 2 + sealed[START + 2 * SEALED :],
    ],
    ids=["cut", "last gone", "all gone", "start cut", "empty", "mark", "salt", "bit", "swapped", "repeated"],
)
async def test_damage_is_found(tmp_path: Path, executor: ThreadPoolExecutor, damage: object) -> None:
    with pytest.raises(SealBroken):
        await opened_after(tmp_path, executor, damage)


async def test_the_content_of_another_message_does_not_open(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    await taken(tmp_path, executor, octets(INLINE + 1), SEGMENT, "Q1")
    other = await taken(tmp_path, executor, octets(INLINE + 1), SEGMENT, "Q2")
    (tmp_path / "Q1").replace(tmp_path / "Q2")
    with pytest.raises(SealBroken):
        await read(other)


async def test_a_content_that_is_said_to_be_shorter_does_not_open(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    await taken(tmp_path, executor, octets(2 * SEGMENT), SEGMENT)
    shorter = SealedFile(tmp_path / "Q1", "Q1", SEGMENT, sealer(), executor)
    with pytest.raises(SealBroken):
        _ = [block async for block in shorter.blocks()]


async def test_a_file_that_is_gone_counts_as_content_that_does_not_open(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    message = await taken(tmp_path, executor, octets(INLINE + 1), SEGMENT)
    (tmp_path / "Q1").unlink()
    with pytest.raises(SealBroken, match="is gone"):
        await read(message)


async def test_reading_that_is_broken_off_closes_its_file(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    message = await taken(tmp_path, executor, octets(2 * SEGMENT), SEGMENT)
    before = len(os.listdir("/proc/self/fd"))
    blocks = message.content.blocks()
    await anext(blocks)
    await blocks.aclose()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


# -- a disk that fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("call", ["write", "fdatasync", "open"])
async def test_a_full_disk_is_told_as_such_and_leaves_nothing(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    def fails(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    before = len(os.listdir("/proc/self/fd"))
    incoming = FileIncoming("Q1", tmp_path, sealer(), executor)
    incoming.write(octets(INLINE + 1))
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fails)
        with pytest.raises(StorageFull):
            await incoming.finish()
    await incoming.abandon()
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


async def test_any_other_fault_of_the_disk_stays_what_it_is(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(OSError, match="Input/output"):
        await taken(tmp_path, executor, octets(INLINE + 1), SEGMENT)


class FailingSealer:
    """A sealer that has no key for new contents."""

    def segments(self, purpose: str, record: str, start: bytes | None = None) -> Segments:
        raise RuntimeError("no key")


async def test_a_sealer_that_fails_leaves_no_file(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    before = len(os.listdir("/proc/self/fd"))
    failing: Sealer = FailingSealer()  # type: ignore[assignment]
    incoming = FileIncoming("Q1", tmp_path, failing, executor)
    incoming.write(octets(INLINE + 1))
    with pytest.raises(RuntimeError):
        await incoming.finish()
    await incoming.abandon()
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


async def test_an_id_that_is_taken_never_costs_the_other_message_its_file(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    first = await taken(tmp_path, executor, octets(INLINE + 1), SEGMENT)
    second = FileIncoming("Q1", tmp_path, sealer(), executor)
    second.write(b"x" * (INLINE + 1))
    with pytest.raises(FileExistsError):
        await second.finish()
    await second.abandon()
    assert await read(first) == octets(INLINE + 1)


async def test_a_file_is_on_disk_with_its_name_before_finish_returns(
    tmp_path: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real_data, real = os.fdatasync, os.fsync

    def data(descriptor: int) -> None:
        synced.append("file")
        real_data(descriptor)

    def folder(descriptor: int) -> None:
        synced.append("folder")
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", data)
    monkeypatch.setattr(os, "fsync", folder)
    await taken(tmp_path, executor, octets(INLINE + 1), SEGMENT)
    assert synced == ["file", "folder"]
    await asyncio.sleep(0)
