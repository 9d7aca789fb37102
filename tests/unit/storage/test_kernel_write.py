"""Writes that the kernel does by itself: taken over without waiting, durable when it tells of their end."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.storage import kernel_write
from gateway.storage.kernel_write import KernelWriter

PAGE = 4096


@pytest.fixture
def writer() -> Iterator[KernelWriter]:
    try:
        made = KernelWriter(16 * PAGE)
    except OSError as error:
        pytest.skip(f"this system has no asynchronous writes: {error}")
    yield made
    made.close()


@pytest.fixture
def path(on_disk: Path) -> Path:
    """A file whose blocks are there, and not in the page cache."""
    path = on_disk / "file"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(descriptor, bytes(8 * PAGE))
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    return path


@pytest.fixture
def file(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_DIRECT)
    except OSError as error:
        pytest.skip(f"the file system of the tests has no O_DIRECT: {error}")
    yield descriptor
    os.close(descriptor)


def test_what_was_handed_over_stands_in_the_file(writer: KernelWriter, file: int, path: Path) -> None:
    assert writer.begin(file, [b"a" * 100, b"b" * (PAGE - 100)], PAGE)
    assert writer.is_busy
    assert writer.ended(wait=True) == 0
    assert not writer.is_busy
    assert path.read_bytes()[PAGE : PAGE + 101] == b"a" * 100 + b"b"


def test_one_after_the_other(writer: KernelWriter, file: int, path: Path) -> None:
    for number in range(6):
        assert writer.begin(file, [bytes([number]) * PAGE], number * PAGE)
        assert writer.ended(wait=True) == 0
    assert path.read_bytes()[: 6 * PAGE] == b"".join(bytes([number]) * PAGE for number in range(6))


async def test_its_descriptor_tells_a_loop_of_the_end(writer: KernelWriter, file: int) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int | None] = loop.create_future()
    loop.add_reader(writer.descriptor, lambda: ended.set_result(writer.ended()))
    assert writer.begin(file, [bytes(PAGE)], 0)
    assert await ended == 0
    loop.remove_reader(writer.descriptor)
    assert writer.ended() is None  # Told once.


def test_what_is_no_whole_page_is_refused_and_leaves_the_file_alone(
    writer: KernelWriter, file: int, path: Path
) -> None:
    taken = writer.begin(file, [b"a" * 100], 0)
    fault = writer.ended(wait=True) if taken else errno.EINVAL
    assert fault == errno.EINVAL
    assert path.read_bytes() == bytes(8 * PAGE)


def test_a_descriptor_that_may_not_be_written_is_a_fault(writer: KernelWriter, path: Path) -> None:
    reader = os.open(path, os.O_RDONLY)
    taken = writer.begin(reader, [bytes(PAGE)], 0)
    assert not taken or writer.ended(wait=True)
    os.close(reader)
    assert not writer.is_busy


def test_a_machine_that_is_not_known_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_write, "_CALLS", {})
    with pytest.raises(OSError, match="no asynchronous writes"):
        KernelWriter(PAGE)
