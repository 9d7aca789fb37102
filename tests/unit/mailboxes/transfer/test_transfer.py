"""Whole mailboxes in and out: octet for octet, begun again without loss or double, damage told by name."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.mail.message import Held
from gateway.mailboxes.contents.contents import Contents
from gateway.mailboxes.contents.damage import Damage
from gateway.mailboxes.contents.garbage import Garbage
from gateway.mailboxes.faults import PolicyDenied
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.mailboxes.transfer import exporting, importing, walking
from gateway.mailboxes.transfer.exporting import Exporter, ExportRefused
from gateway.mailboxes.transfer.importing import Imported, Importer, ImportStopped
from gateway.mailboxes.transfer.room import Room
from gateway.mailboxes.transfer.verifying import Verifier
from gateway.mailboxes.transfer.walking import Walked
from gateway.storage.mailbox_blob_folder import FolderMailboxBlobs
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import DELETED, FLAGGED, SEEN, FlagChange, Mailbox, NewMessage
from gateway.storage.migrate import migrate_shared
from gateway.storage.shared import Shared
from gateway.storage.writer import StorageFull
from gateway.world.chance import SystemChance
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_rows import KEYS, mailbox_in, store_on

LONG = b"Subject: long\r\n\r\n" + b"0123456789abcdef\r\n" * 100_000  # Two chunks.


class FakeKeys:
    """Keys of mailboxes by the version of their rows. `denied` closes all of them."""

    def __init__(self) -> None:
        self.denied = False
        self.asked = 0

    async def key(self, mailbox: Mailbox) -> MailboxKey:
        self.asked += 1
        if self.denied:
            raise PolicyDenied("the policy is denied", mailbox=mailbox.address)
        return MailboxKey(mailbox.id, mailbox.key.version, bytes([mailbox.key.version]) * 32)


@dataclass
class House:
    store: MailboxStore
    contents: Contents
    blobs: FolderMailboxBlobs
    keys: FakeKeys
    room: Room
    clock: FakeClock
    ida: Mailbox
    folder: Path

    def importer(self) -> Importer:
        sealer = KeySealer(DomainKeys(KEYS), FakeChance())
        return Importer(self.room, sealer, head_of=lambda octets: b"head of " + octets[:9], clock=self.clock)

    async def texts(self, folder: str = "INBOX") -> list[bytes]:
        there = await self.store.folder(self.ida.id, folder)
        assert there is not None
        found = await self.store.fetch(there.id, (await self.store.entries(there.id)).uids)
        key = await self.keys.key(self.ida)
        opened = await self.contents.read_many(key, [row for _, row in found])
        return [one for one in opened if isinstance(one, bytes)]

    async def put(self, *texts: bytes, flags: int = 0, keywords: tuple[str, ...] = ()) -> None:
        key = await self.keys.key(self.ida)
        rows = await asyncio.gather(*(self.contents.write(key, Held(text), b"head") for text in texts))
        messages = [
            NewMessage(content=row, date=1000.0 + number, flags=flags, keywords=keywords)
            for number, row in enumerate(rows)
        ]
        await self.store.add(self.ida.id, None, messages)

    def blob(self, name: str) -> Path:
        return self.folder / "blobs" / name[:2] / name


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("template") / "shared.db"
    migrate_shared(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.fixture
async def house(tmp_path: Path, template: bytes, executor: ThreadPoolExecutor) -> AsyncIterator[House]:
    (tmp_path / "shared.db").write_bytes(template)
    shared = Shared(tmp_path / "shared.db")
    clock, keys = FakeClock(), FakeKeys()
    store = store_on(shared, clock)
    blobs = FolderMailboxBlobs(tmp_path / "blobs", executor)
    contents = Contents(store, blobs, executor=executor, chance=SystemChance(), clock=clock)
    room = Room(store, contents, keys, executor)
    yield House(store, contents, blobs, keys, room, clock, await mailbox_in(store), tmp_path)
    shared.close()


def eml_folder(path: Path, *texts: bytes, folder: str = "") -> Path:
    (path / folder).mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (path / folder / f"{number:03}.eml").write_bytes(text)
        os.utime(path / folder / f"{number:03}.eml", (5000 + number, 5000 + number))
    return path


TEXTS = [b"Subject: %d\r\n\r\ntext %d\r\n" % (number, number) for number in range(150)]


# -- import -----------------------------------------------------------------------------------------------------------


async def test_what_is_imported_lies_in_its_folders_octet_for_octet(house: House, tmp_path: Path) -> None:
    source = eml_folder(tmp_path / "in", *TEXTS[:70], LONG)
    eml_folder(source, *TEXTS[70:80], folder="Work")
    told: list[tuple[int, int]] = []
    done = await house.importer().run(
        house.ida, source, on_progress=lambda progress: told.append((progress.added, progress.octets))
    )
    assert (done.added, done.present, done.skipped, done.octets) == (81, 0, 0, done.total)
    assert await house.texts() == [*TEXTS[:70], LONG]
    assert await house.texts("Work") == TEXTS[70:80]
    assert told == sorted(told)
    inbox = await house.store.folder(house.ida.id)
    assert inbox is not None
    (entry, row), *_ = await house.store.fetch(inbox.id, [1])
    assert entry.date == 5000
    assert house.contents.head(await house.keys.key(house.ida), row) == b"head of Subject: "


async def test_a_target_takes_the_folders_of_the_source_below_it(house: House, tmp_path: Path) -> None:
    source = eml_folder(tmp_path / "in", TEXTS[0])
    eml_folder(source, TEXTS[1], folder="inbox")
    eml_folder(source, TEXTS[2], folder="Work")
    await house.importer().run(house.ida, source, folder="Old")
    assert await house.texts("Old") == TEXTS[:2]
    assert await house.texts("Old/Work") == [TEXTS[2]]
    assert await house.texts() == []


async def test_an_import_that_was_ended_goes_on_where_it_was(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 10)
    source = eml_folder(tmp_path / "in", *TEXTS, TEXTS[0], TEXTS[0])  # The same thrice: three messages.

    class Ended(BaseException):
        pass

    def end(progress: Imported) -> None:
        if progress.added == 40:
            raise Ended

    with pytest.raises(Ended):
        await house.importer().run(house.ida, source, on_progress=end)
    assert len(await house.texts()) == 40
    done = await house.importer().run(house.ida, source)
    assert (done.added, done.present) == (112, 40)
    assert await house.texts() == [*TEXTS, TEXTS[0], TEXTS[0]]
    done = await house.importer().run(house.ida, source)
    assert (done.added, done.present) == (0, 152)
    done = await house.importer().run(house.ida, eml_folder(tmp_path / "few", TEXTS[3]), again=True)
    assert (done.added, done.present) == (1, 0)


async def test_nothing_is_written_for_messages_that_are_there(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = eml_folder(tmp_path / "in", *TEXTS[:5])
    await house.importer().run(house.ida, source)
    monkeypatch.setattr(house.contents, "write", None)
    assert (await house.importer().run(house.ida, source)).present == 5


async def test_a_full_mailbox_ends_the_import_and_room_lets_it_go_on(house: House, tmp_path: Path) -> None:
    source = eml_folder(tmp_path / "in", *TEXTS)
    await house.store.set_quota(house.ida.id, 70 * len(TEXTS[-1]))
    with pytest.raises(ImportStopped, match="stopped after 64 messages: the mailbox holds") as told:
        await house.importer().run(house.ida, source)
    assert told.value.progress.added == 64
    await house.store.set_quota(house.ida.id, None)
    assert (await house.importer().run(house.ida, source)).present == 64
    assert await house.texts() == TEXTS


async def test_a_roll_in_the_middle_is_met_with_the_new_key(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = eml_folder(tmp_path / "in", *TEXTS[:3])
    add = house.store.add
    new = replace(house.ida.key, version=2)

    async def rolled(mailbox: int, folder: int | None, messages: Any) -> list[int]:
        monkeypatch.setattr(house.store, "add", add)
        assert await house.store.assign(house.ida, new)
        return await add(mailbox, folder, messages)

    monkeypatch.setattr(house.store, "add", rolled)
    assert (await house.importer().run(house.ida, source)).added == 3
    house.ida = replace(house.ida, key=new)
    assert await house.texts() == TEXTS[:3]


async def test_a_closed_policy_ends_the_import_as_such(house: House, tmp_path: Path) -> None:
    house.keys.denied = True
    with pytest.raises(PolicyDenied):
        await house.importer().run(house.ida, eml_folder(tmp_path / "in", *TEXTS[:3]))


async def test_folders_that_no_mailbox_may_have_are_passed_over_and_said(house: House, tmp_path: Path) -> None:
    source = eml_folder(tmp_path / "in", TEXTS[0])
    eml_folder(source, TEXTS[1], TEXTS[2], folder="a\x07b")
    done = await house.importer().run(house.ida, source)
    assert (done.added, done.skipped) == (1, 2)
    assert "control characters" in done.told[0].why


# -- export -----------------------------------------------------------------------------------------------------------


def files(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*.eml")}


async def test_what_is_exported_and_imported_again_is_the_same(house: House, tmp_path: Path) -> None:
    await house.put(*TEXTS[:3], LONG, flags=SEEN | FLAGGED, keywords=("$Forwarded",))
    made = await house.store.create_folder(house.ida.id, "A,b/..c")
    row = await house.contents.write(await house.keys.key(house.ida), Held(TEXTS[9]))
    await house.store.add(house.ida.id, made.id, [NewMessage(content=row, date=77.0)])
    done = await Exporter(house.room).run(house.ida, tmp_path / "out")
    assert (done.total, done.written, done.damaged) == (5, 5, 0)
    assert files(tmp_path / "out") == {
        **{f"INBOX/{number + 1:010},FS.eml": text for number, text in enumerate([*TEXTS[:3], LONG])},
        "A%2Cb/%2E%2Ec/0000000001,.eml": TEXTS[9],
    }
    out = tmp_path / "out"
    assert all(path.stat().st_mode & 0o077 == 0 for path in (out, *out.rglob("*")))

    otto = await mailbox_in(house.store, "otto@corp.example")
    await house.importer().run(otto, tmp_path / "out")
    house.ida = otto
    assert await house.texts() == [*TEXTS[:3], LONG]
    assert await house.texts("A,b/..c") == [TEXTS[9]]
    inbox = await house.store.folder(otto.id)
    assert inbox is not None
    assert inbox.keywords == ("$Forwarded",)
    (entry, _), *_ = await house.store.fetch(inbox.id, [2])
    assert (entry.date, entry.flags & 0xFF) == (1001.0, SEEN | FLAGGED)


async def test_an_export_begun_again_writes_what_is_new_and_follows_flags(house: House, tmp_path: Path) -> None:
    out = tmp_path / "out"
    await house.put(*TEXTS[:2])
    await Exporter(house.room).run(house.ida, out)
    (out / "INBOX" / "0000000009,S.eml.new").write_bytes(b"half")
    await house.put(TEXTS[2], flags=SEEN)
    inbox = await house.store.folder(house.ida.id)
    assert inbox is not None
    await house.store.set_flags(inbox.id, [1], FlagChange.ADD, SEEN)
    done = await Exporter(house.room).run(house.ida, out)
    assert (done.written, done.present, done.done) == (1, 2, 3)
    assert files(out) == {
        "INBOX/0000000001,S.eml": TEXTS[0],
        "INBOX/0000000002,.eml": TEXTS[1],
        "INBOX/0000000003,S.eml": TEXTS[2],
    }
    assert not list(out.rglob("*.new"))


async def test_an_export_of_a_mailbox_that_took_another_s_address_goes_elsewhere(house: House, tmp_path: Path) -> None:
    """Their UIDs mean other messages: what the former owner left there must not count as exported, nor be mixed."""
    out = tmp_path / "out"
    await house.put(*TEXTS[:2])
    await Exporter(house.room).run(house.ida, out)
    before = files(out)
    await house.store.remove(house.ida.id)
    house.ida = await mailbox_in(house.store)
    await house.put(TEXTS[2])
    with pytest.raises(ExportRefused, match="empty folder"):
        await Exporter(house.room).run(house.ida, out)
    assert files(out) == before
    done = await Exporter(house.room).run(house.ida, tmp_path / "other")
    assert (done.written, files(tmp_path / "other")) == (1, {"INBOX/0000000001,.eml": TEXTS[2]})


async def test_an_export_of_another_mailbox_of_the_same_second_goes_elsewhere(house: House, tmp_path: Path) -> None:
    """Their folders have one UIDVALIDITY, so that a message of the second would count as exported with the first."""
    otto = await mailbox_in(house.store, "otto@corp.example")
    await house.put(TEXTS[0])
    await Exporter(house.room).run(house.ida, tmp_path / "out")
    before = files(tmp_path / "out")
    house.ida = otto
    await house.put(TEXTS[1])
    with pytest.raises(ExportRefused, match="empty folder"):
        await Exporter(house.room).run(otto, tmp_path / "out")
    assert files(tmp_path / "out") == before


async def test_an_import_that_is_cancelled_while_a_file_is_read_ends_as_such(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by Ctrl+C: not by a complaint that the file is in use."""
    has_begun, may_end = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> Iterator[object]:
        has_begun.set()
        may_end.wait(30)
        yield from ()

    monkeypatch.setattr(importing, "read_source", slow)
    task = asyncio.ensure_future(house.importer().run(house.ida, eml_folder(tmp_path / "in", TEXTS[0])))
    assert await asyncio.to_thread(has_begun.wait, 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_end.set()


async def test_an_export_holds_some_mib_and_not_a_hundred_messages(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred messages of some MiB each would be most of a GiB."""
    held: list[int] = []
    write = exporting._write

    def spied(path: Path, batch: Sequence[Walked]) -> None:
        held.append(sum(one.row.size for one in batch))
        write(path, batch)

    monkeypatch.setattr(exporting, "_write", spied)
    monkeypatch.setattr(exporting, "OCTETS", 300)
    texts = [b"%d" % number + b"x" * 98 for number in range(10, 21)]
    await house.put(*texts)
    assert (await Exporter(house.room).run(house.ida, tmp_path / "out")).written == 11
    assert max(held) == 300
    assert sorted(files(tmp_path / "out").values()) == texts


async def test_a_long_message_that_goes_while_all_is_exported_is_not_counted(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "OCTETS", 1000)
    await house.put(TEXTS[0], LONG)
    long = Exporter._long

    async def late(exporter: Exporter, key: MailboxKey, one: Walked, path: Path) -> Any:
        await house.store.set_flags(one.folder.id, [one.entry.uid], FlagChange.ADD, DELETED)
        await house.store.expunge(one.folder.id)
        return await long(exporter, key, one, path)

    monkeypatch.setattr(Exporter, "_long", late)
    done = await Exporter(house.room).run(house.ida, tmp_path / "out")
    assert (done.total, done.written, done.octets, done.damaged) == (2, 1, len(TEXTS[0]), 0)


async def test_an_export_that_an_older_gateway_began_goes_on(house: House, tmp_path: Path) -> None:
    out = tmp_path / "out"
    await house.put(*TEXTS[:2])
    await Exporter(house.room).run(house.ida, out)
    for about in out.rglob("folder.json"):
        about.write_text(re.sub(r'\n *"(?:uid_validity|mailbox)": [0-9]+,', "", about.read_text()))
        assert "uid_validity" not in about.read_text()
        assert "mailbox" not in about.read_text()
    assert (await Exporter(house.room).run(house.ida, out)).present == 2
    assert all("uid_validity" in about.read_text() for about in out.rglob("folder.json"))


@pytest.mark.parametrize("step", ["blobs", "rows"])
async def test_an_import_on_a_full_disk_leaves_nothing_half_and_goes_on_afterwards(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    source = eml_folder(tmp_path / "in", *TEXTS)
    real = house.blobs.put if step == "blobs" else house.store.add
    calls = 0

    async def full(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > (100 if step == "blobs" else 1):
            raise StorageFull("the disk is full")
        return await real(*arguments)

    with monkeypatch.context() as disk:
        if step == "blobs":
            disk.setattr(house.blobs, "put", full)
        else:
            disk.setattr(house.store, "add", full)
        with pytest.raises(StorageFull):
            await house.importer().run(house.ida, source)
    assert len(await house.texts()) == 64  # The batch before.
    there = {row for _, row in await house.store.fetch((await house.store.folders(house.ida.id))[0].id, range(1, 200))}
    named = {name for row in there for name in row.blobs}
    waiting = await house.store.blobs_waiting()
    assert waiting["garbage"] >= 36 and len(named) == 64
    done = await house.importer().run(house.ida, source)
    assert (done.present, done.added) == (64, 86)
    assert sorted(await house.texts()) == sorted(TEXTS)


def flip(path: Path) -> None:
    octets = path.read_bytes()
    path.write_bytes(octets[:20] + bytes([octets[20] ^ 1]) + octets[21:])


@pytest.mark.parametrize("run", [Exporter, Verifier])
async def test_damage_is_told_by_folder_and_uid_and_the_rest_goes_on(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]
) -> None:
    monkeypatch.setattr(walking, "OCTETS", 1000)  # The long one is read in pieces.
    monkeypatch.setattr(exporting, "_BATCH", 2)
    await house.put(*TEXTS[:3], LONG, LONG, TEXTS[4])
    inbox = await house.store.folder(house.ida.id)
    assert inbox is not None
    rows = [row for _, row in await house.store.fetch(inbox.id, range(1, 7))]
    flip(house.blob(rows[1].blobs[0]))
    house.blob(rows[4].blobs[1]).unlink()
    done = await (
        Verifier(house.room).run(house.ida)
        if run is Verifier
        else Exporter(house.room).run(house.ida, tmp_path / "out")
    )
    assert (done.total, done.done, done.damaged) == (6, 6, 2)
    assert [(fault.folder, fault.uid, fault.damage) for fault in done.faults] == [
        ("INBOX", 2, Damage.FLIPPED),
        ("INBOX", 5, Damage.MISSING),
    ]
    assert "chunk 2 of 2 is missing" in done.faults[1].text
    if run is Exporter:
        wanted = {0: TEXTS[0], 2: TEXTS[2], 3: LONG, 5: TEXTS[4]}
        assert files(tmp_path / "out") == {f"INBOX/{uid + 1:010},.eml": text for uid, text in wanted.items()}


async def test_a_sound_mailbox_is_said_to_be_sound(house: House) -> None:
    await house.put(*TEXTS[:60], LONG)
    told: list[int] = []
    done = await Verifier(house.room).run(house.ida, on_progress=lambda progress: told.append(progress.done))
    assert done.is_sound
    assert (done.total, done.done, done.octets) == (61, 61, sum(map(len, TEXTS[:60])) + len(LONG))
    assert told == [50, 61]


# -- garbage, with storage as it is -----------------------------------------------------------------------------------


async def test_blobs_of_messages_that_are_gone_go_after_a_day_and_no_others(house: House) -> None:
    await house.put(*TEXTS[:3])
    key = await house.keys.key(house.ida)
    never = await house.contents.write(key, Held(TEXTS[9]))
    inbox = await house.store.folder(house.ida.id)
    assert inbox is not None
    (_, gone), *_ = await house.store.fetch(inbox.id, [2])
    await house.store.set_flags(inbox.id, [2], FlagChange.ADD, DELETED)
    assert await house.store.expunge(inbox.id, [2]) == [2]
    collector = Garbage(house.store, house.blobs, clock=house.clock, tell=lambda *words, **facts: None)
    assert await collector.collect() == 0
    assert house.blob(gone.blobs[0]).exists()
    await house.clock.advance(86401)
    collecting = asyncio.create_task(collector.collect())
    while not collecting.done():
        await house.clock.advance(1)  # Between two batches it lets others go first.
    assert await collecting > 2
    assert not house.blob(gone.blobs[0]).exists()
    assert not house.blob(never.blobs[0]).exists()
    assert await house.texts() == [TEXTS[0], TEXTS[2]]
    assert await house.store.blobs_waiting() == {"garbage": 0, "intended": 0}
