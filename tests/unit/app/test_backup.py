"""A backup holds all that was accepted; a restore makes a gateway of it, or changes nothing."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from gateway.app import backup as module
from gateway.app.backup import BackupFault, backup
from gateway.app.blobs import open_blobs
from gateway.app.file_vaults import open_file_vault
from gateway.app.init import init
from gateway.app.mailbox_backup import MEMBERS
from gateway.app.mailbox_blobs import open_mailbox_blobs
from gateway.app.migrate import migrate
from gateway.app.parts import Stores, open_stores
from gateway.app.restore import Restored, RestoreFault, restore, verify
from gateway.keys import passphrase
from gateway.keys.providers.file.vault import facts
from gateway.keys.vault import KeyFault
from gateway.settings.load import loaded
from gateway.storage import manifest as form
from gateway.storage import snapshot
from gateway.storage.archive import ArchiveWriter, BadArchive, Member, members
from gateway.storage.mailbox_blob_folder import MARK, MARK_NAME
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import NewMessage
from gateway.storage.manifest import Manifest
from gateway.storage.owner import OWNER
from gateway.storage.rights import RightsStore
from gateway.storage.rights_model import KeptRights
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock
from tests.fakes import clear_vault
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_rows import IDA, add, content_of, mailbox_in
from tests.fakes.spool import put

PHRASE = b"correct horse battery"
LARGE = b"MARKER-OF-THE-TEST line\r\n" * 80_000  # Two segments.
SMALL = b"Subject: small\r\n\r\nx\r\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gateway as `init` and `migrate` make it. Slow, so it is made once and copied."""
    folder = tmp_path_factory.mktemp("made") / "g"
    init(folder, domains=["corp.example"], hostname="mx.corp.example", clock=SystemClock(), chance=FakeChance())
    path = folder / "gateway.toml"
    path.write_text(path.read_text().replace("# [metrics]", "[server]\nworkers = 2\n# [metrics]"))
    migrate(path)
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passphrase, "MEMORY_KIB", 64)
    monkeypatch.setattr(passphrase, "PASSES", 1)


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """The settings of a gateway of this test's own."""
    shutil.copytree(template, tmp_path / "g")
    return tmp_path / "g" / "gateway.toml"


async def opened(path: Path) -> Stores:
    return await open_stores(
        loaded(path),
        [0, 1],
        clock=SystemClock(),
        chance=SystemChance(),
        tell=lambda *_, **__: None,
        observe=lambda *_: None,
    )


async def filled(path: Path) -> None:
    """A small message in one spool, a small and a large one in the other."""
    stores = await opened(path)
    await put(stores.spools[0], "Q1", SMALL)
    await put(stores.spools[1], "Q2", SMALL)
    await put(stores.spools[1], "Q3", LARGE)
    await asyncio.to_thread(stores.close)


async def queued(path: Path) -> dict[str, bytes]:
    """Every message that lies in the queue, by its id."""
    stores = await opened(path)
    found = {}
    for spool in stores.spools:
        for delivery in await spool.deliveries():
            content = await spool.content(delivery)
            found[delivery.message] = b"".join([block async for block in content.blocks()])
    await asyncio.to_thread(stores.close)
    return found


ALL = {"Q1": SMALL, "Q2": SMALL, "Q3": LARGE}


def made(path: Path, phrase: bytes | None = PHRASE, name: str = "b") -> Path:
    dest = path.parents[1] / name
    backup(path, dest, passphrase=phrase, clock=FakeClock(), chance=FakeChance("backup"))
    return dest


def again(source: Path, into: Path, phrase: bytes | None = PHRASE, *, without_vault: bool = False) -> Restored:
    return restore(source, into, passphrase=phrase, without_vault=without_vault, chance=FakeChance("restore"))


def contents(source: Path) -> dict[str, bytes]:
    with source.open("rb") as file:
        return {entry.name: entry.octets() for entry in members(file, form.most)}


def rewritten(source: Path, change: Callable[[dict[str, bytes]], None], *, honest: bool = True) -> None:
    """Change what a backup holds, and with `honest` let its manifest say so: a forger would."""
    files = contents(source)
    said = form.parsed(files.pop(form.MANIFEST_NAME))
    change(files)
    if honest:
        found = tuple(Member(name, len(octets), hashlib.sha256(octets).hexdigest()) for name, octets in files.items())
        said = Manifest(gateway="x", made=said.made, engine=said.engine, members=found, vaults=said.vaults)
    with source.open("wb") as file:
        writer = ArchiveWriter(file, 0)
        for name, octets in [*files.items(), (form.MANIFEST_NAME, said.octets())]:
            writer.add(name, len(octets), [octets])
        writer.close()


def rights_of(stores: Stores) -> RightsStore:
    return RightsStore(
        stores.shared, stores.sealer, chance=SystemChance(), blobs=stores.copies, executor=stores.executor
    )


def kept(work: UUID) -> KeptRights:
    return KeptRights(
        work=work,
        message_id="<1@corp.example>",
        queue_id="Q1",
        sender="ida@corp.example",
        readers=(),
        subject="",
        template="encrypt-only",
        created=1.0,
    )


def left_over(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if one.name.startswith("."))


# -- there and back ----------------------------------------------------------------------------------------------------


def test_files_of_trust_anchors_are_named_as_certificates_are(path: Path, tmp_path: Path) -> None:
    shutil.copy(path.parent / "certs" / "ca.pem", path.parent / "anchor.pem")
    path.write_text(path.read_text() + '\n[smime]\ntrust_anchors = ["anchor.pem"]\n')
    assert "anchor.pem" in again(made(path), tmp_path / "new").missing


def test_a_gateway_comes_back_from_nothing(path: Path, tmp_path: Path) -> None:
    asyncio.run(filled(path))
    source = made(path)
    assert source.stat().st_mode & 0o777 == 0o600
    assert left_over(tmp_path) == []
    shutil.rmtree(tmp_path / "g")
    done = again(source, tmp_path / "new")
    assert done.missing == ("certs/server.pem", "certs/server.key")
    assert done.notes == ()
    assert asyncio.run(queued(done.settings)) == ALL
    modes = {one.stat().st_mode & 0o777 for one in done.folder.rglob("*") if one.is_file() and "-" not in one.name[-4:]}
    assert modes == {0o600}
    assert {one.stat().st_mode & 0o777 for one in [done.folder, *done.folder.rglob("*")] if one.is_dir()} == {0o700}
    assert (done.folder / "rules/README.md").exists()


def test_a_backup_is_nothing_to_read_for_whoever_has_it_alone(path: Path) -> None:
    asyncio.run(filled(path))
    octets = made(path).read_bytes()
    keys = (path.parent / "vault/root-keys").read_bytes().splitlines()[2]
    opens = (path.parent / "service-secret").read_bytes().strip()
    for secret in (b"MARKER-OF-THE-TEST", b"otto@partner.example", keys, opens, b"PRIVATE KEY"):
        assert secret not in octets


def test_it_works_while_spools_are_open_and_written(path: Path, tmp_path: Path) -> None:
    async def serving() -> None:
        stores = await opened(path)
        await put(stores.spools[0], "Q1", SMALL)
        await put(stores.spools[1], "Q3", LARGE)
        running = asyncio.create_task(asyncio.to_thread(made, path))
        number = 0
        while not running.done():  # Mail that comes in while it runs.
            await put(stores.spools[0], f"N{number}", SMALL)
            number += 1
        await running
        await asyncio.to_thread(stores.close)

    asyncio.run(serving())
    found = asyncio.run(queued(again(tmp_path / "b", tmp_path / "new").settings))
    assert found["Q1"] == SMALL
    assert found["Q3"] == LARGE


def test_what_is_delivered_meanwhile_is_left_out_whole(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the copy of the database and the reading of its content files a message leaves."""
    asyncio.run(filled(path))
    real = snapshot.shelved

    def leaving(database: Path) -> list[tuple[str, int]]:
        found = real(database)
        if found:
            asyncio.run(deliver(path, "Q3"))
        return found

    monkeypatch.setattr(snapshot, "shelved", leaving)
    source = made(path)
    monkeypatch.setattr(snapshot, "shelved", real)
    done = again(source, tmp_path / "new")
    assert done.notes == ()
    assert asyncio.run(queued(done.settings)) == {"Q1": SMALL, "Q2": SMALL}


async def deliver(path: Path, message: str) -> None:
    stores = await opened(path)
    for spool in stores.spools:
        for delivery in await spool.deliveries([message]):
            await spool.done(delivery, [])
    await asyncio.to_thread(stores.close)


def test_content_that_is_lost_is_told_and_the_rest_is_saved(path: Path, tmp_path: Path) -> None:
    asyncio.run(filled(path))
    content = path.parent / "data/spool/1/content/Q3"
    content.write_bytes(content.read_bytes()[:-1])
    done = again(made(path), tmp_path / "new")
    assert len(done.notes) == 1
    assert "Q3" in done.notes[0]
    assert snapshot.is_queued(done.folder / "data/spool/1/spool.db", "Q3")
    assert not (done.folder / "data/spool/1/content/Q3").exists()


def test_records_on_their_way_to_the_trace_are_in_it(path: Path, tmp_path: Path) -> None:
    asyncio.run(filled(path))

    async def records(path: Path) -> list[str]:
        stores = await opened(path)
        found = [record.message for spool in stores.spools for record in await spool.records()]
        await asyncio.to_thread(stores.close)
        return sorted(found)

    before = asyncio.run(records(path))
    assert before == ["Q1", "Q2", "Q3"]
    assert asyncio.run(records(again(made(path), tmp_path / "new").settings)) == before


def test_before_the_first_start_settings_and_keys_are_saved(path: Path, tmp_path: Path) -> None:
    shutil.rmtree(path.parent / "data")
    done = again(made(path), tmp_path / "new")
    assert "nothing was ever accepted" in done.notes[0]
    before, after = loaded(path), loaded(done.settings)
    assert (
        open_file_vault(after, after.settings.vaults[0]).keys()
        == open_file_vault(before, before.settings.vaults[0]).keys()
    )


def test_a_restored_vault_opens_by_a_secret_of_its_own_and_by_all_that_opened_it_before(
    path: Path, tmp_path: Path
) -> None:
    done = again(made(path), tmp_path / "new")
    secret = done.folder / "service-secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert secret.read_bytes() != (path.parent / "service-secret").read_bytes()
    head = facts(done.folder / "vault").head
    assert head is not None
    assert [one.name for one in head.protectors] == ["service", "recovery", "restored-1"]
    shutil.copy(path.parent / "service-secret", secret)
    after = loaded(done.settings)
    assert open_file_vault(after, after.settings.vaults[0]).keys()


@pytest.mark.parametrize(
    "named", ['secret_credential = "vault"', 'secret_file = "/nowhere/secret"', 'secret_environment = "K1_SECRET"']
)
def test_what_opens_a_vault_from_elsewhere_is_asked_for_in_a_note(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    secret = (path.parent / "service-secret").read_text()
    path.write_text(path.read_text().replace('secret_file = "service-secret"', named))
    if "environment" in named:
        monkeypatch.setenv("K1_SECRET", secret)
    done = again(made(path), tmp_path / "new")
    assert not (done.folder / "service-secret").exists()
    assert any("gateway key recovery open main" in note for note in done.notes)


def test_a_clear_vault_of_before_comes_back_as_it_was(path: Path, tmp_path: Path) -> None:
    shutil.rmtree(path.parent / "vault")
    clear_vault.create(path.parent / "vault", ("default",), FakeChance("clear"))
    shutil.rmtree(path.parent / "data", ignore_errors=True)
    done = again(made(path), tmp_path / "new")
    assert (done.folder / "vault/root-keys").read_bytes() == (path.parent / "vault/root-keys").read_bytes()


# -- the vault ---------------------------------------------------------------------------------------------------------


def test_without_the_vault_its_keys_are_left_out_and_it_is_said(path: Path, tmp_path: Path) -> None:
    asyncio.run(filled(path))
    source = made(path, None)
    assert not any(name.startswith("vaults/") for name in contents(source))
    done = again(source, tmp_path / "new", None)
    assert any("root keys of vault 'main' are not in it" in note for note in done.notes)
    assert not (done.folder / "vault").exists()
    with pytest.raises(KeyFault):
        asyncio.run(queued(done.settings))
    shutil.copytree(path.parent / "vault", done.folder / "vault")
    shutil.copy(path.parent / "service-secret", done.folder / "service-secret")
    assert asyncio.run(queued(done.settings)) == ALL


def test_sealed_keys_may_stay_where_they_are(path: Path, tmp_path: Path) -> None:
    done = again(made(path), tmp_path / "new", None, without_vault=True)
    assert not (done.folder / "vault").exists()


@pytest.mark.parametrize(
    ("phrase", "words"), [(b"another passphrase", "passphrase is another one"), (None, "are sealed")]
)
def test_a_wrong_or_missing_passphrase_writes_nothing(
    path: Path, tmp_path: Path, phrase: bytes | None, words: str
) -> None:
    source = made(path)
    with pytest.raises(RestoreFault, match=words):
        again(source, tmp_path / "new", phrase)
    assert not (tmp_path / "new").exists()


def test_a_vault_that_belongs_to_other_data_is_noticed(path: Path, tmp_path: Path) -> None:
    source = made(path)

    def swap(files: dict[str, bytes]) -> None:
        shutil.rmtree(tmp_path / "g")
        init(tmp_path / "g", hostname="x.example", clock=SystemClock(), chance=FakeChance("other"))
        files["vaults/0.sealed"] = contents(made(path, name="other"))["vaults/0.sealed"]

    rewritten(source, swap)
    with pytest.raises(RestoreFault, match="does not open"):
        again(source, tmp_path / "new")
    assert not (tmp_path / "new").exists()


# -- large content in a store of blobs ---------------------------------------------------------------------------------


def test_blobs_come_along_and_the_restored_gateway_never_touches_those_of_the_first(path: Path, tmp_path: Path) -> None:
    text = path.read_text().replace('url = "sqlite:data"', 'url = "sqlite:data"\nblobs = "../blobs"')
    path.write_text(text)
    asyncio.run(filled(path))
    blobs = [one for one in (tmp_path / "blobs").rglob("*") if one.is_file()]
    assert [one.name for one in blobs] == ["Q3"]
    owner = snapshot.fact(path.parent / "data/gateway.db", OWNER)
    assert blobs[0].parent == tmp_path / "blobs" / str(owner) / "1"
    done = again(made(path), tmp_path / "new")
    assert asyncio.run(queued(done.settings)) == ALL
    asyncio.run(deliver(done.settings, "Q3"))
    assert asyncio.run(queued(done.settings)) == {"Q1": SMALL, "Q2": SMALL}
    assert asyncio.run(queued(path)) == ALL
    assert snapshot.fact(done.folder / "data/gateway.db", OWNER) != owner


def test_a_blob_that_goes_while_it_is_read_goes_with_its_message(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text(path.read_text().replace('url = "sqlite:data"', 'url = "sqlite:data"\nblobs = "blobs"'))
    asyncio.run(filled(path))
    monkeypatch.setattr("gateway.app.shelves._READ", 1 << 20)
    real, reads = open_blobs, 0

    def opening(*arguments: object) -> object:
        blobs = real(*arguments)  # type: ignore[arg-type]
        assert blobs is not None
        read = blobs.read

        async def leaving(name: str, start: int, length: int) -> bytes:
            nonlocal reads
            reads += 1
            if reads == 2:
                await asyncio.to_thread(lambda: asyncio.run(deliver(path, "Q3")))
            return await read(name, start, length)

        blobs.read = leaving  # type: ignore[method-assign]
        return blobs

    monkeypatch.setattr("gateway.app.shelves.open_blobs", opening)
    done = again(made(path), tmp_path / "new")
    assert reads == 2
    assert asyncio.run(queued(done.settings)) == {"Q1": SMALL, "Q2": SMALL}
    assert done.notes == ()


# -- what is refused when one is made ----------------------------------------------------------------------------------


async def test_stored_copies_of_protected_mail_come_along(path: Path, tmp_path: Path) -> None:
    works = [UUID(int=number, version=4) for number in (1, 2, 3)]
    stores = await opened(path)
    there = rights_of(stores)
    for work in works:
        await there.keep(kept(work), LARGE)
    await asyncio.to_thread(stores.close)
    lost = next((path.parent / "data" / "copies").glob(f"{works[2]}.*"))
    lost.unlink()
    source = await asyncio.to_thread(made, path)
    done = await asyncio.to_thread(again, source, tmp_path / "new")
    assert done.manifest.notes == ("1 stored copies of rights-managed mail are gone, and not in it",)
    stores = await opened(tmp_path / "new" / "gateway.toml")
    there = rights_of(stores)
    for work in works[:2]:
        content = await there.copy(work)
        assert content is not None
        assert b"".join([block async for block in content.blocks()]) == LARGE
    await asyncio.to_thread(stores.close)


def test_a_shared_database_of_before_knows_no_copies(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("CREATE TABLE meta(name TEXT)")
    assert snapshot.copies(tmp_path / "old.db") == []
    assert snapshot.mailbox_blobs(tmp_path / "old.db") == []
    snapshot.skip_uids(tmp_path / "old.db")


async def with_mailbox(path: Path, count: int) -> list[str]:
    """A mailbox with so many messages, each of one blob, whose octets are its name; the names."""
    stores = await opened(path)
    blobs = open_mailbox_blobs(loaded(path), stores.executor, SystemClock())
    store = MailboxStore(stores.shared, stores.sealer, chance=SystemChance(), clock=SystemClock())
    mailbox = await mailbox_in(store)
    names: list[str] = []
    for _ in range(count):
        content = await content_of(store, mailbox.id)
        await blobs.put(content.blobs[0], content.blobs[0].encode())
        await store.add(mailbox.id, None, [NewMessage(content=content, date=1.0)])
        names += content.blobs
    await blobs.put(SystemChance().octets(16).hex(), b"of no message")
    await blobs.close()
    await asyncio.to_thread(stores.close)
    return names


async def mailboxes_read(path: Path) -> list[bytes]:
    """What lies in the inbox of that mailbox, blob for blob."""
    stores = await opened(path)
    blobs = open_mailbox_blobs(loaded(path), stores.executor, SystemClock())
    store = MailboxStore(stores.shared, stores.sealer, chance=SystemChance(), clock=SystemClock())
    mailbox = await store.find(IDA)
    assert mailbox is not None
    inbox = await store.folder(mailbox.id)
    assert inbox is not None
    found = [await blobs.get(content.blobs[0]) for _, content in await store.fetch(inbox.id, range(1, 10))]
    # What came after the backup may have been seen under these numbers.
    assert inbox.uid_next > 1_000_000
    assert not (await store.changes(inbox.id, 50)).complete
    assert (await add(store, mailbox.id))[0] == inbox.uid_next
    await asyncio.to_thread(stores.close)
    return found


@pytest.mark.parametrize("folder", [None, "mail/blobs"])
async def test_mailboxes_come_along_with_their_contents(path: Path, tmp_path: Path, folder: str | None) -> None:
    if folder is not None:
        path.write_text(f'{path.read_text()}\n[mailboxes]\nblobs = "{folder}"\n')
    names = await with_mailbox(path, 2)
    source = await asyncio.to_thread(made, path)
    assert len([name for name in contents(source) if name.startswith(MEMBERS)]) == 3  # And the folder's mark.
    done = await asyncio.to_thread(again, source, tmp_path / "new")
    assert done.notes == ()
    assert await mailboxes_read(done.settings) == [name.encode() for name in names]


async def test_contents_of_mailboxes_that_are_gone_are_counted(path: Path, tmp_path: Path) -> None:
    names = await with_mailbox(path, 2)
    (path.parent / "data" / "mailboxes" / names[0][:2] / names[0]).unlink()
    source = await asyncio.to_thread(made, path)
    done = await asyncio.to_thread(again, source, tmp_path / "new")
    assert done.notes == ("1 contents of mailboxes are gone, and not in it",)


async def test_contents_of_mailboxes_beside_what_is_restored_are_noted(path: Path, tmp_path: Path) -> None:
    await with_mailbox(path, 1)
    path.write_text(f'{path.read_text()}\n[mailboxes]\nblobs = "{tmp_path / "elsewhere"}"\n')
    shutil.move(path.parent / "data" / "mailboxes", tmp_path / "elsewhere")
    source = await asyncio.to_thread(made, path)
    done = await asyncio.to_thread(again, source, tmp_path / "new")
    [note] = done.notes
    assert note.endswith(f"their contents lie in {tmp_path / 'new' / 'data' / 'mailboxes'}: move one of the two")
    assert len(list((tmp_path / "new" / "data" / "mailboxes").glob("??/*"))) == 1


async def test_contents_of_mailboxes_in_a_bucket_need_a_backup_of_their_own(path: Path, tmp_path: Path) -> None:
    await with_mailbox(path, 1)
    section = 'blobs = "s3://mail/box"\nread_credentials = "r"\nwrite_credentials = "w"\n'
    path.write_text(f"{path.read_text()}\n[mailboxes]\n{section}")
    source = await asyncio.to_thread(made, path)
    assert not [name for name in contents(source) if name.startswith(MEMBERS)]
    with source.open("rb") as file:
        manifest, _ = verify(file)
    assert [note for note in manifest.notes if "s3://mail/box" in note and "another prefix" in note]


def test_nothing_is_overwritten(path: Path, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"precious")
    with pytest.raises(BackupFault, match="is there already"):
        made(path)
    assert (tmp_path / "b").read_bytes() == b"precious"
    with pytest.raises(BackupFault, match=r"such as .*/g/gateway\.backup"):
        made(path, name="g")
    with pytest.raises(BackupFault, match="no folder"):
        made(path, name="none/b")


def test_what_fails_leaves_nothing_behind(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(filled(path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot, "copy", full)
    with pytest.raises(BackupFault, match="No space left"):
        made(path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["g"]


def test_a_disk_without_room_for_the_copies_is_told_before(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "sizes", lambda _: 1 << 60)
    with pytest.raises(BackupFault, match="MiB free"):
        made(path)


def test_odd_files_among_the_rules_are_named(path: Path, tmp_path: Path) -> None:
    (path.parent / "rules/link.yaml").symlink_to("/etc/passwd")
    (path.parent / "rules/.swp").write_text("x")
    (path.parent / "rules/my rule.yaml").write_text("x")
    (path.parent / "rules/good.yaml").write_text("x")
    (path.parent / "rules/types").mkdir()
    (path.parent / "rules/types/own.yaml").write_text("# x")
    (path.parent / "rules/types/old").mkdir()
    source = made(path)
    kept = {"rules/10-secure.yaml", "rules/README.md", "rules/good.yaml", "rules/types/own.yaml"}
    assert {name for name in contents(source) if name.startswith("rules/")} == kept
    done = again(source, tmp_path / "new")
    assert (done.folder / "rules/types/own.yaml").read_text() == "# x"
    assert "types/old" in " ".join(done.notes) and "rules/types is" not in " ".join(done.notes)
    assert [word in " ".join(done.notes) for word in ("link.yaml", ".swp", "my rule.yaml")] == [True] * 3


# -- what is refused when one is read ----------------------------------------------------------------------------------


def refused(source: Path, into: Path, words: str) -> None:
    with pytest.raises(RestoreFault, match=words) as told:
        again(source, into)
    assert "Nothing was" in str(told.value) or "right would be" in str(told.value)
    assert not into.exists()


def test_a_damaged_file_is_named(path: Path, tmp_path: Path) -> None:
    source = made(path)

    def damage(files: dict[str, bytes]) -> None:
        files["data/gateway.db"] = files["data/gateway.db"][:-1] + b"x"

    rewritten(source, damage, honest=False)
    refused(source, tmp_path / "new", r"data/gateway\.db is damaged")


def test_a_missing_and_an_added_file_are_named(path: Path, tmp_path: Path) -> None:
    source = made(path)
    rewritten(source, lambda files: files.__delitem__("data/spool/1/spool.db"), honest=False)
    refused(source, tmp_path / "new", r"spool/1/spool\.db is missing")
    source.unlink()
    source = made(path)
    rewritten(source, lambda files: files.update({"rules/evil.yaml": b"x"}), honest=False)
    refused(source, tmp_path / "new", r"evil\.yaml stands in it, but not")


def test_every_cut_is_noticed(path: Path, tmp_path: Path) -> None:
    whole = made(path).read_bytes()
    for end in (0, 100, 512, len(whole) // 3, len(whole) // 2, len(whole) - 1024, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:end])
        refused(tmp_path / "cut", tmp_path / "new", "cut off")


def test_a_forged_database_is_noticed_before_anything_has_its_name(path: Path, tmp_path: Path) -> None:
    source = made(path)
    rewritten(source, lambda files: files.update({"data/spool/0/spool.db": b"SQLite format 3\0" + os.urandom(9000)}))
    refused(source, tmp_path / "new", "no database that can be read|is damaged")


@pytest.mark.parametrize(
    ("settings", "words"),
    [(b"\xff\xfe", "can't be read"), (b"[[[", "can't be read")],
)
def test_settings_that_cannot_be_read_are_told(path: Path, tmp_path: Path, settings: bytes, words: str) -> None:
    source = made(path)
    rewritten(source, lambda files: files.update({"settings/gateway.toml": settings}))
    refused(source, tmp_path / "new", words)


@pytest.mark.parametrize("place", ["/etc/cron.d", "../outside", "a/../../outside", "$CREDENTIALS_DIRECTORY"])
def test_settings_that_name_places_elsewhere_lead_nothing_there(path: Path, tmp_path: Path, place: str) -> None:
    """A forged gateway.toml must not choose where files are written."""
    source = made(path)

    def forge(files: dict[str, bytes]) -> None:
        text = files["settings/gateway.toml"].decode().replace("sqlite:data", f"sqlite:{place}")
        files["settings/gateway.toml"] = text.replace('path = "vault"', f'path = "{place}"').encode()

    rewritten(source, forge)
    files = contents(source)
    said = form.parsed(files.pop(form.MANIFEST_NAME))
    forged = Manifest(
        gateway="x",
        made=0,
        engine="sqlite",
        members=said.members,
        vaults=tuple(type(one)(one.name, place, one.member) for one in said.vaults),
    )
    with source.open("wb") as file:
        writer = ArchiveWriter(file, 0)
        for name, octets in [*files.items(), (form.MANIFEST_NAME, forged.octets())]:
            writer.add(name, len(octets), [octets])
        writer.close()
    done = again(source, tmp_path / "new")
    assert (done.folder / "data/gateway.db").exists()
    assert (done.folder / "vault/root-keys").exists()
    assert not (tmp_path / "outside").exists()
    assert sum("move one of the two" in note for note in done.notes) == 2


def test_a_vault_that_would_lie_on_another_file_is_refused(path: Path, tmp_path: Path) -> None:
    source = made(path)
    files = contents(source)
    said = form.parsed(files.pop(form.MANIFEST_NAME))
    twice = tuple(type(one)(one.name, "rules/README.md", one.member) for one in said.vaults)
    forged = Manifest(gateway="x", made=0, engine="sqlite", members=said.members, vaults=twice)
    with source.open("wb") as file:
        writer = ArchiveWriter(file, 0)
        for name, octets in [*files.items(), (form.MANIFEST_NAME, forged.octets())]:
            writer.add(name, len(octets), [octets])
        writer.close()
    refused(source, tmp_path / "new", "exists|Not a directory")


def test_another_programs_archive_is_told_as_such(tmp_path: Path) -> None:
    for name in ("data/gateway.db", "gateway-backup", "rules/x.yaml"):
        with tarfile.open(tmp_path / "b", "w", format=tarfile.USTAR_FORMAT) as tar:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
        refused(tmp_path / "b", tmp_path / "new", "no backup of the gateway")


def test_a_newer_backup_is_told_as_such(path: Path, tmp_path: Path) -> None:
    source = made(path)
    rewritten(source, lambda files: files.update({"gateway-backup": b"gateway-backup 2\n"}))
    refused(source, tmp_path / "new", "newer gateway")


def test_a_folder_that_holds_something_is_left_alone(path: Path, tmp_path: Path) -> None:
    source = made(path)
    into = tmp_path / "new"
    into.mkdir()
    (into / "mine").write_text("x")
    with pytest.raises(RestoreFault, match="is there already"):
        again(source, into)
    (into / "mine").unlink()
    again(source, into)  # An empty one will do.
    with pytest.raises(RestoreFault, match="is there already"):
        again(source, into)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RestoreFault, match="is there already"):
        again(source, tmp_path / "link")


def test_a_failed_restore_takes_back_what_it_made(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = made(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gateway.app.restore._sync_all", full)
    with pytest.raises(RestoreFault, match="No space left"):
        again(source, tmp_path / "above/new")
    assert not (tmp_path / "above").exists()


def test_what_is_no_plain_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for source, words in ((tmp_path / "pipe", "not a plain file"), (tmp_path / "none", "No such file")):
        with pytest.raises(RestoreFault, match=words):
            again(source, tmp_path / "new")


def test_verifying_says_nothing_of_what_it_read(path: Path) -> None:
    source = made(path)
    rewritten(source, lambda files: files.update({"rules/a.yaml": b"SECRET"}), honest=False)
    with source.open("rb") as file, pytest.raises(BadArchive) as told:
        verify(file)
    assert "SECRET" not in repr(told.value)


def test_the_module_says_which_files_stay_behind(path: Path) -> None:
    text = path.read_text() + '\n[log]\nfile = "gateway.log"\n'
    path.write_text(text.replace('certificate = "certs/server.pem"', 'certificate = "x.pem"'))
    assert list(module._named(loaded(path).settings.model_dump())) == ["x.pem", "certs/server.key"]


def test_without_pg_dump_the_contents_of_mailboxes_are_in_it_all_the_same(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = path.read_text()
    assert 'url = "sqlite:data"' in text
    path.write_text(text.replace('url = "sqlite:data"', 'url = "postgresql://gateway@/gateway?host=/nowhere"'))
    name = "ab" + "0" * 30
    folder = path.parent / "data" / "mailboxes"
    (folder / "ab").mkdir(parents=True)
    (folder / MARK_NAME).write_bytes(MARK)
    (folder / "ab" / name).write_bytes(b"sealed")
    monkeypatch.setattr(module, "can_dump", lambda: False)
    source = made(path)
    assert contents(source)[f"data/mailboxes/ab/{name}"] == b"sealed"
    with source.open("rb") as file:
        assert any("no pg_dump" in note for note in verify(file)[0].notes)


def test_a_folder_that_takes_no_file_is_told(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)  # As Linux answers there, whether there is such a file or not.
    with pytest.raises(BackupFault, match=r"Read-only file system\. No backup was made"):
        backup(path, tmp_path / "kept.backup", passphrase=None, clock=FakeClock(), chance=FakeChance("backup"))
