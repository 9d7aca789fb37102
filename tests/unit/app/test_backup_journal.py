"""What stands in a spool's journal alone is in a backup too, whatever goes on while it is made."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app.backup import backup
from gateway.app.parts import Stores
from gateway.keys import passphrase
from gateway.storage import journal_copy, snapshot
from gateway.storage.journal_copy import JournalCopy
from gateway.storage.segment_file import SIZE, octets_at
from gateway.storage.spool import DATABASE, JOURNAL, Spool
from gateway.storage.writer import StorageBroken, open_database
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.spool import SpoolOf, put
from tests.unit.app.test_backup import LARGE, PHRASE, SMALL, again, made, opened, path, queued, template

__all__ = ["path", "template"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "PASSES", 1)


def inside(spool: Path) -> list[str]:
    """The messages in the database of a spool."""
    with closing(open_database(str(spool / DATABASE), read_only=True)) as db:
        return [row[0] for row in db.execute("SELECT id FROM messages ORDER BY id")]


async def taken(path: Path) -> Stores:
    """A gateway at work: everything that it has taken and not sent stands in its journals."""
    stores = await opened(path)
    await put(stores.spools[0], "Q1", SMALL, destinations=("a.example", "b.example"), lease=True)
    await put(stores.spools[1], "Q2", LARGE, lease=True)
    (gone,) = await put(stores.spools[0], "Q3", SMALL, lease=True)
    await stores.spools[0].done(gone, [])
    return stores


def test_what_stands_in_the_journal_alone_comes_back_while_it_serves(path: Path, tmp_path: Path) -> None:
    async def serving() -> None:
        stores = await taken(path)
        await asyncio.to_thread(made, path)
        assert [inside(path.parent / "data/spool" / number) for number in "01"] == [[], []]
        await asyncio.to_thread(stores.close)

    asyncio.run(serving())
    done = again(tmp_path / "b", tmp_path / "new")
    assert done.notes == ()
    assert [inside(done.folder / "data/spool" / number) for number in "01"] == [["Q1"], ["Q2"]]
    assert asyncio.run(queued(done.settings)) == {"Q1": SMALL, "Q2": LARGE}


def test_what_stands_in_the_journal_alone_comes_back_when_nothing_serves(path: Path, tmp_path: Path) -> None:
    async def served() -> None:
        await asyncio.to_thread((await taken(path)).close)

    asyncio.run(served())
    before = [one.read_bytes() for one in sorted((path.parent / "data/spool").glob("*/journal/*"))]
    made(path)
    assert [one.read_bytes() for one in sorted((path.parent / "data/spool").glob("*/journal/*"))] == before
    done = again(tmp_path / "b", tmp_path / "new")
    assert asyncio.run(queued(done.settings)) == {"Q1": SMALL, "Q2": LARGE}
    assert asyncio.run(delivered(done.settings)) == ["Q1.1", "Q1.2", "Q2.1"]
    assert asyncio.run(queued(done.settings)) == {}


async def delivered(path: Path) -> list[str]:
    """What a runner would be given, and sends."""
    stores = await opened(path)
    sent = []
    for spool in stores.spools:
        for delivery in await spool.due(9e9, 10, []):
            await spool.done(delivery, [])
            sent.append(delivery.id)
        assert len(await spool.records()) > 0, "the trace of what was taken goes on its way"
    await asyncio.to_thread(stores.close)
    return sorted(sent)


def test_content_of_a_message_in_the_journal_that_is_lost_is_told(path: Path, tmp_path: Path) -> None:
    async def served() -> None:
        await asyncio.to_thread((await taken(path)).close)

    asyncio.run(served())
    (path.parent / "data/spool/1/content/Q2").unlink()
    said = backup(path, tmp_path / "b", passphrase=PHRASE, clock=FakeClock(), chance=FakeChance("backup"))
    assert [note for note in said.notes if "Q2" in note] != []


def test_a_damaged_journal_is_told_and_one_of_a_newer_gateway_is_not_left_out(path: Path, tmp_path: Path) -> None:
    async def served() -> None:
        await asyncio.to_thread((await taken(path)).close)

    asyncio.run(served())
    (file,) = (path.parent / "data/spool/0/journal").iterdir()
    octets = bytearray(file.read_bytes())
    octets[100] ^= 1
    file.write_bytes(octets)
    said = backup(path, tmp_path / "b", passphrase=PHRASE, clock=FakeClock(), chance=FakeChance("backup"))
    assert any("0001.journal is damaged between 0 and 4096" in note for note in said.notes)
    octets[3] += 1
    file.write_bytes(octets)
    with pytest.raises(StorageBroken, match="newer gateway"):
        made(path, name="c")
    assert not (tmp_path / "c").exists()


# -- while the spool goes on -------------------------------------------------------------------------------------------


async def copied(of: SpoolOf, journal: JournalCopy, folder: Path) -> set[str]:
    """The deliveries in a spool that is made of the copies."""
    snapshot.copy(of.folder / DATABASE, folder / DATABASE)
    journal.merge(folder / DATABASE)
    other = SpoolOf(folder, make=False)
    found = [one.id for one in await (await other.open()).deliveries()]
    await other.close()
    assert len(found) == len(set(found))
    return set(found)


async def test_what_is_carried_between_journal_and_database_is_there_once(tmp_path: Path) -> None:
    of = SpoolOf(tmp_path / "spool")
    spool = await of.open()
    for number in range(5):
        await put(spool, f"Q{number}", lease=True)
    journal = JournalCopy(of.folder / JOURNAL, tmp_path / "room")
    await spool.unload()
    (tmp_path / "new").mkdir()
    assert await copied(of, journal, tmp_path / "new") == {f"Q{number}.1" for number in range(5)}
    await of.close()


async def test_files_that_are_used_again_while_they_are_read_bring_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file with a message is read, and that with its end is written over before it is read."""
    of = SpoolOf(tmp_path / "spool")
    spool = await of.open()
    (gone,) = await put(spool, "Q1", lease=True)
    (kept,) = await put(spool, "Q2", lease=True)
    while spool._front._journal._settled < 2:
        await pass_through(spool)
    await spool.done(gone, [])
    await spool.unload()
    real = octets_at
    loop = asyncio.get_running_loop()
    read: list[Path] = []

    def slow(path: Path) -> bytes:
        octets = real(path)
        if path.parent == of.folder / JOURNAL:
            read.append(path)
            if len(read) == 1:  # What stands in 0002 is written over before it is read.
                asyncio.run_coroutine_threadsafe(go_on(), loop).result()
        return octets

    async def go_on() -> None:
        while spool._front._journal._settled < 8:
            await pass_through(spool)
        await put(spool, "Q9", lease=True)

    monkeypatch.setattr(journal_copy, "octets_at", slow)
    journal = await asyncio.to_thread(JournalCopy, of.folder / JOURNAL, tmp_path / "room")
    (tmp_path / "new").mkdir()
    found = await copied(of, journal, tmp_path / "new")
    assert kept.id in found
    assert gone.id not in found
    await of.close()


async def pass_through(spool: Spool) -> None:
    """Eight large messages that leave at once."""
    names = [f"P{spool._uid}{letter}" for letter in "ABCDEFGH"]
    taken = await asyncio.gather(*(put(spool, name, b"x" * 120_000, lease=True) for name in names))
    await asyncio.gather(*(spool.done(delivery, []) for (delivery,) in taken))
    spool.forget_records(list(spool._front._fresh.records()))


def test_room_for_the_journal_is_asked_for(tmp_path: Path) -> None:
    assert journal_copy.size(tmp_path) == 0
    (tmp_path / "0001.journal").touch()
    assert journal_copy.size(tmp_path) == SIZE
