"""Mail out of a mailbox into a folder of .eml files, octet for octet; begun again, it goes on where it was.

The files are in clear, with mode 0600 in folders of 0700. A file has its name when all of it is on disk. What was
exported before stays as it is, unless its flags have changed, which its name tells.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from gateway.mailboxes.contents.damage import Damaged
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.mailboxes.transfer.eml import ABOUT, About, file_name, folder_path, uid_of
from gateway.mailboxes.transfer.room import Room
from gateway.mailboxes.transfer.verifying import MOST_TOLD, Fault
from gateway.mailboxes.transfer.walking import OCTETS, Walked, walk
from gateway.storage.content import sync_folder, write_whole
from gateway.storage.mailboxes.model import KEYWORD, Entries, Folder, Mailbox

T = TypeVar("T")

DRAFT: Final = ".new"  # Behind a file's name until all of it is there.
_BATCH: Final = 100  # Messages that are written together.


@dataclass(slots=True)
class Exported:
    """How far it is: of `total` messages `written` are new, `present` were there, `damaged` do not open; the rest was
    removed meanwhile.
    """

    total: int = 0
    written: int = 0
    present: int = 0
    octets: int = 0
    damaged: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def done(self) -> int:
        return self.written + self.present + self.damaged


class ExportRefused(Exception):
    """What lies there is of another folder; nothing of it was touched."""


class Exporter:
    """Writes whole mailboxes."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def run(
        self, mailbox: Mailbox, to: Path, *, on_progress: Callable[[Exported], None] = lambda progress: None
    ) -> Exported:
        """Everything into `to`, which is made where it is missing.

        Raises ExportRefused, NoMailbox, MailboxClosed, BlobsAway, StorageBroken, OSError.
        """
        store, progress = self._room.store, Exported()
        folders = [(folder, await store.entries(folder.id)) for folder in await store.folders(mailbox.id)]
        progress.total = sum(len(entries) for _, entries in folders)
        for folder, entries in folders:
            await self._folder(mailbox, folder, entries, to / folder_path(folder.name), progress, on_progress)
        on_progress(progress)
        return progress

    async def _folder(
        self,
        mailbox: Mailbox,
        folder: Folder,
        entries: Entries,
        path: Path,
        progress: Exported,
        on_progress: Callable[[Exported], None],
    ) -> None:
        flags = dict(zip(entries.uids, entries.flags, strict=True))
        left = await self._run(_prepare, path, _about(folder, entries), flags)
        progress.present += len(flags) - len(left)
        batch: list[Walked] = []
        async for one in walk(self._room, mailbox, folder, left):
            octets: bytes | int | Damaged | None = one.octets
            if octets is None:
                octets = await self._room.with_key(mailbox.id, lambda key, one=one: self._long(key, one, path))  # type: ignore[misc]
            else:
                batch.append(one)
            if isinstance(octets, Damaged):
                progress.damaged += 1
                if len(progress.faults) < MOST_TOLD:
                    progress.faults.append(Fault(folder.name, one.entry.uid, octets.damage, str(octets)))
            elif octets is not None:
                progress.written += 1
                progress.octets += one.row.size
            if len(batch) >= _BATCH or sum(one.row.size for one in batch) >= OCTETS:
                await self._run(_write, path, batch)
                batch = []
                on_progress(progress)
        await self._run(_write, path, batch)

    async def _long(self, key: MailboxKey, one: Walked, path: Path) -> Damaged | int | None:
        """A message that is written in pieces; its size, or what is wrong with it. None: it was removed meanwhile."""
        for entry, row in await self._room.store.fetch(one.folder.id, [one.entry.uid], head=False):
            name = file_name(entry.uid, entry.flags)
            draft = path / f"{name}{DRAFT}"
            descriptor = await self._run(_create, draft)
            try:
                async for block in self._room.contents.blocks(key, row):
                    await self._run(write_whole, descriptor, block)
                await self._run(_finish, descriptor, draft, path / name, entry.date)
            except Damaged as fault:
                await self._run(draft.unlink)
                return fault
            finally:
                os.close(descriptor)
            return row.size
        return None

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._room.executor, work, *arguments)


def _about(folder: Folder, entries: Entries) -> About:
    words = {
        uid: tuple(word for number, word in enumerate(folder.keywords) if flags >> (KEYWORD + number) & 1)
        for uid, flags in zip(entries.uids, entries.flags, strict=True)
        if flags >> KEYWORD
    }
    return About(folder.name, words, folder.uid_validity, folder.mailbox)


def _prepare(path: Path, about: About, flags: dict[int, int]) -> list[int]:
    """The folder as it should be, and the UIDs that are not there yet."""
    # Not `parents=True`: those that are missing would get the mode that everybody's folders have.
    for missing in reversed([one for one in (path, *path.parents) if not one.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    before = About.read(path)
    if before.is_other(about):
        raise ExportRefused(
            f"{path} holds the messages of another folder {before.name!r}, which was there before this one, or in "
            "another mailbox; nothing was written there. Right would be an empty folder"
        )
    there = {}
    for file in path.iterdir():
        if file.name.endswith(DRAFT):
            file.unlink(missing_ok=True)  # Half of one, from an export that was ended.
        elif (uid := uid_of(file.name)) is not None:
            there[uid] = file
    for uid, file in there.items():
        if uid in flags and file.name != (name := file_name(uid, flags[uid])):
            file.rename(path / name)
    draft = path / f"{ABOUT}{DRAFT}"
    descriptor = _create(draft)
    try:
        write_whole(descriptor, about.octets)
        _finish(descriptor, draft, path / ABOUT, None)
    finally:
        os.close(descriptor)
    return sorted(flags.keys() - there.keys())


def _write(path: Path, batch: Sequence[Walked]) -> None:
    drafts: list[tuple[int, Path, Path, float]] = []
    try:
        for one in batch:
            if isinstance(one.octets, bytes):
                name = file_name(one.entry.uid, one.entry.flags)
                draft = path / f"{name}{DRAFT}"
                drafts.append((_create(draft), draft, path / name, one.entry.date))
                write_whole(drafts[-1][0], one.octets)
        for written in drafts:
            _finish(*written)
        sync_folder(path)
    finally:
        for descriptor, *_ in drafts:
            os.close(descriptor)


def _create(path: Path) -> int:
    path.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _finish(descriptor: int, draft: Path, path: Path, date: float | None) -> None:
    if date is not None:
        os.utime(descriptor, (date, date))
    os.fsync(descriptor)
    draft.rename(path)
