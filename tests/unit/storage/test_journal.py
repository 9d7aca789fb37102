"""The journal's group commit: by the kernel where it can, by a thread else; whoever waits hears of it either way."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.storage import journal as module
from gateway.storage.entries import carried
from gateway.storage.group import MAX_BATCH, StorageBroken, StorageFull
from gateway.storage.journal import DIRECT, Journal
from gateway.storage.kernel_write import KernelWriter
from gateway.storage.segments import Place, Segments


def entry(name: str) -> bytes:
    return carried([name], [])


class Commits(list[int]):
    """How many works each had."""

    def observe(self, works: int, seconds: float) -> None:
        self.append(works)


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture(params=["kernel", "thread"])
async def journal(
    request: pytest.FixtureRequest, tmp_path: Path, commits: Commits, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Journal]:
    if request.param == "thread":

        def none(most: int) -> KernelWriter:
            raise OSError(errno.ENOSYS, "none")

        monkeypatch.setattr(module, "KernelWriter", none)
    made = opened(tmp_path, commits.observe)
    yield made
    await asyncio.to_thread(made.close)


def opened(folder: Path, observe: Callable[[int, float], None] = lambda works, seconds: None) -> Journal:
    made = Journal(folder / "journal", name="j", monotonic=lambda: 0.0, observe=observe)
    made.recover()
    made.start(asyncio.get_running_loop())
    return made


def found(folder: Path) -> list[str]:
    """The names that the next process finds, in order."""
    again = Segments(folder / "journal")
    faults = again.recover()
    batches = list(again.batches(faults))
    again.close()
    assert faults == []
    return [octets.decode("latin-1").split('"')[1] for batch in batches for _, octets in batch.entries]


async def test_it_stands_on_disk_when_append_returns(journal: Journal, tmp_path: Path) -> None:
    for number in range(10):
        await journal.append(entry(f"Q{number}"))
        assert found(tmp_path)[-1] == f"Q{number}"


async def test_the_kernel_writes_where_it_can(on_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(on_disk)
    if journal._kernel is None:
        pytest.skip("this system has no asynchronous writes")
    await journal.append(entry("first"))  # Its file had to be made.
    if journal._segments._used[-1].direct is None:
        pytest.skip("the file system of the tests has no O_DIRECT")

    def thread(*_: object) -> None:
        raise AssertionError("by a thread")

    monkeypatch.setattr(journal._threads, "submit", thread)
    await journal.append(entry("second"))
    monkeypatch.undo()
    await asyncio.to_thread(journal.close)
    assert found(on_disk) == ["first", "second"]


async def test_what_comes_while_one_is_written_shares_the_next(journal: Journal, commits: Commits) -> None:
    await journal.append(entry("file"))
    commits.clear()
    await asyncio.gather(*(journal.append(entry(f"Q{number}")) for number in range(7)))
    assert commits == [1, 6]


async def test_a_batch_is_bounded(journal: Journal, commits: Commits, tmp_path: Path) -> None:
    await asyncio.gather(*(journal.append(entry(f"Q{number}")) for number in range(2 * MAX_BATCH)))
    assert max(commits) == MAX_BATCH
    assert sorted(found(tmp_path)) == sorted(f"Q{number}" for number in range(2 * MAX_BATCH))


async def test_without_haste_it_shares_the_next_commit(journal: Journal, commits: Commits) -> None:
    late = asyncio.ensure_future(journal.append(entry("late"), haste=False))
    await asyncio.sleep(0)
    assert not commits
    await journal.append(entry("now"))
    await late
    assert commits == [2]


async def test_without_haste_and_without_company_it_is_written_all_the_same(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.0)
    await journal.append(entry("late"), haste=False)
    assert found(tmp_path) == ["late"]


async def test_an_account_is_given_in_order_and_before_the_caller_goes_on(journal: Journal) -> None:
    told: list[tuple[str, Place | None]] = []

    async def put(name: str) -> None:
        await journal.append(entry(name), account=lambda place: told.append((name, place)))
        told.append((f"{name} goes on", None))

    await asyncio.gather(put("a"), put("b"), put("c"))
    assert [name for name, _ in told] == ["a", "a goes on", "b", "c", "b goes on", "c goes on"]
    (first, second) = (place for name, place in told if name in "ab" and place is not None)
    assert journal.read(first) == entry("a")
    assert journal.read(second) == entry("b")


async def test_whoever_is_cancelled_is_accounted_for(journal: Journal, tmp_path: Path) -> None:
    places: list[Place | None] = []
    task = asyncio.ensure_future(journal.append(entry("a"), account=places.append))
    await asyncio.sleep(0)
    task.cancel()
    await journal.append(entry("b"))
    assert [place is None for place in places] == [False]
    assert found(tmp_path) == ["a", "b"]


async def test_an_empty_entry_returns_when_all_before_it_is_settled(journal: Journal) -> None:
    done: list[str] = []

    async def put(name: str, octets: bytes) -> None:
        await journal.append(octets)
        done.append(name)

    await asyncio.gather(put("a", entry("a")), put("b", entry("b")), put("nothing", b""))
    assert done == ["a", "b", "nothing"]


async def test_a_long_entry_is_written_too(journal: Journal, tmp_path: Path) -> None:
    long = "Q" * (2 * DIRECT)
    await asyncio.gather(journal.append(entry("a")), journal.append(entry(long)), journal.append(entry("b")))
    assert found(tmp_path) == ["a", long, "b"]


async def test_a_write_that_fails_is_told_to_its_own_callers_and_the_next_goes_elsewhere(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await journal.append(entry("a"))
    places: list[Place | None] = []
    with monkeypatch.context() as patch:
        fails(journal, patch, errno.EIO)
        with pytest.raises(StorageBroken, match="can't be written"):
            await journal.append(entry("b"), account=places.append)
    assert places == [None]
    await journal.append(entry("c"))
    assert [name for name in found(tmp_path) if name != "b"] == ["a", "c"]  # It may be there all the same.
    assert len(list((tmp_path / "journal").iterdir())) == 2


async def test_a_full_disk_is_told_as_such(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    await journal.append(entry("a"))
    with monkeypatch.context() as patch:
        fails(journal, patch, errno.ENOSPC)
        with pytest.raises(StorageFull):
            await journal.append(entry("b"))


def fails(journal: Journal, patch: pytest.MonkeyPatch, number: int) -> None:
    """Whoever writes hears of an error."""
    if journal._kernel is not None:
        kernel = journal._kernel
        real = kernel.ended
        patch.setattr(kernel, "ended", lambda **how: number if real(**how) is not None else None)

    def raises(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    patch.setattr("gateway.storage.segments.os.pwritev", raises)


async def test_what_the_kernel_would_have_to_wait_for_a_thread_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = opened(tmp_path)
    await journal.append(entry("a"))
    kernel = journal._kernel
    if kernel is None:
        pytest.skip("this system has no asynchronous writes")
    real = kernel.ended

    def again(**how: bool) -> int | None:
        return None if real(**how) is None else errno.EAGAIN

    monkeypatch.setattr(kernel, "ended", again)
    await journal.append(entry("b"))
    await asyncio.to_thread(journal.close)
    assert found(tmp_path) == ["a", "b"]


async def test_a_kernel_that_waits_after_all_is_left_alone_for_a_while(tmp_path: Path) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.02  # Whatever happens between two looks takes too long.
        return now[0]

    journal = Journal(tmp_path / "journal", name="j", monotonic=clock, observe=lambda works, seconds: None)
    journal.recover()
    journal.start(asyncio.get_running_loop())
    await journal.append(entry("a"))
    await journal.append(entry("b"))
    if journal._kernel is not None and journal._segments._used[-1].direct is not None:
        assert journal._rests_until > now[0]
    await journal.append(entry("c"))
    await asyncio.to_thread(journal.close)
    assert found(tmp_path) == ["a", "b", "c"]


@pytest.mark.parametrize("where", ["loop", "thread"])
async def test_close_writes_what_was_asked_for(journal: Journal, tmp_path: Path, where: str) -> None:
    names = [f"Q{number}" for number in range(600)]
    tasks = [asyncio.ensure_future(journal.append(entry(name), haste=name != "Q5")) for name in names]
    await asyncio.sleep(0)
    if where == "loop":
        journal.close()
    else:
        await asyncio.to_thread(journal.close)
    await asyncio.gather(*tasks)
    assert sorted(found(tmp_path)) == sorted(names)
    with pytest.raises(StorageBroken, match="closed"):
        await journal.append(entry("late"))


def test_it_can_be_closed_when_its_loop_is_no_more(tmp_path: Path) -> None:
    async def leave() -> Journal:
        journal = opened(tmp_path)
        task = asyncio.ensure_future(journal.append(entry("a")))
        await asyncio.sleep(0)
        task.cancel()
        return journal

    asyncio.run(leave()).close()
    assert found(tmp_path) == ["a"]
