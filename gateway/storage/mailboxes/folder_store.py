"""Folders of a mailbox: made, renamed, deleted, subscribed to, and how they stand."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from gateway.storage.mailboxes.driver import Driver, chunks
from gateway.storage.mailboxes.faults import FolderRefused, FolderThere, NoFolder, NoMailbox
from gateway.storage.mailboxes.folder_rows import FolderFacts, checked
from gateway.storage.mailboxes.model import INBOX, MOST_FOLDERS, SEPARATOR, Folder, MailboxState
from gateway.storage.mailboxes.sweep import Sweep


class FolderStore(Sweep):
    """A folder is known by its id, which it keeps when it is renamed."""

    # -- asking -------------------------------------------------------------------------------------------------------

    async def folders(self, mailbox: int) -> list[Folder]:
        """All folders of a mailbox, INBOX first, then by name."""
        return await self._read(lambda driver: self._folders_of(driver, mailbox))

    async def folder(self, mailbox: int, name: str = INBOX) -> Folder | None:
        """The folder of that name; None where the mailbox has none."""
        return await self._read(lambda driver: self._folder_named(driver, mailbox, name))

    async def folder_now(self, folder: int) -> Folder | None:
        """The folder as it is now; None where it is gone."""
        return next(iter(await self._read(lambda driver: self._folders(driver, [folder]))), None)

    async def revisions(self, folders: Iterable[int]) -> dict[int, int]:
        """The modseq of each of these folders by its id, in one cheap question; one that is gone is left out."""
        wanted = list(dict.fromkeys(folders))

        def read(driver: Driver) -> dict[int, int]:
            found: dict[int, int] = {}
            for chunk in chunks(wanted):
                statement = "SELECT id, modseq FROM mailbox_folders WHERE token IS NOT NULL AND id IN (??)"
                found.update((row[0], row[1]) for row in driver.rows(statement, chunk))
            return found

        return await self._read(read)

    # -- making -------------------------------------------------------------------------------------------------------

    async def create_folder(
        self, mailbox: int, name: str, *, special_use: str | None = None, subscribed: bool = False
    ) -> Folder:
        """A new folder, and those above it that are not there yet (RFC 3501 6.3.3).

        Raises NoMailbox, FolderThere, FolderRefused.
        """
        name = checked(name)

        def write(driver: Driver) -> Folder:
            validity = self._next_validity(driver, mailbox)
            if self._folder_named(driver, mailbox, name) is not None:
                raise FolderThere(f"the mailbox has a folder {name!r} already")
            return self._make(driver, mailbox, FolderFacts(name, special_use, subscribed), validity)

        return await self._write(write)

    async def rename_folder(self, mailbox: int, name: str, to: str) -> Folder:
        """Give a folder, and all below it, another name; as it is then. Ids, UIDs and UIDVALIDITY stay.

        INBOX leaves what it holds to the new folder and is there again, empty (RFC 3501 6.3.5). Raises NoMailbox,
        NoFolder, FolderThere, FolderRefused.
        """
        to = checked(to)

        def write(driver: Driver) -> Folder:
            validity = self._next_validity(driver, mailbox)
            # Locked, as each that is moved: who sets a keyword in it or deletes it has not the mailbox.
            folder = self._folder_named(driver, mailbox, name, lock=True)
            if folder is None:
                raise NoFolder("there is no such folder (any more)")
            if self._folder_named(driver, mailbox, to) is not None:
                raise FolderThere(f"the mailbox has a folder {to!r} already")
            if f"{to}{SEPARATOR}".startswith(f"{folder.name}{SEPARATOR}") and folder.name != INBOX:
                raise FolderRefused("a folder can't be moved below itself")
            self._make_above(driver, mailbox, to, validity)
            below = f"{folder.name}{SEPARATOR}"
            moved = [(folder, to)]
            if folder.name != INBOX:
                for one in self._folders_of(driver, mailbox):
                    if one.name.startswith(below):
                        with suppress(NoFolder):  # It was deleted just now.
                            now = self._folder(driver, one.id, lock=True)
                            moved.append((now, checked(f"{to}{SEPARATOR}{now.name.removeprefix(below)}")))
            for one, target in moved:
                if one is not folder and self._folder_named(driver, mailbox, target) is not None:
                    raise FolderThere(f"the mailbox has a folder {target!r} already")
                self._put_facts(driver, one, FolderFacts(target, one.special_use, one.subscribed, one.keywords))
            if folder.name == INBOX:
                self._check_room_for_folder(driver, mailbox)
                self._insert_folder(driver, self.new_id(), mailbox, FolderFacts(INBOX, None, True), validity)
            return replace(folder, name=to)

        return await self._alone(write)

    async def delete_folder(self, mailbox: int, name: str) -> None:
        """Delete a folder and what lies in it; folders below it stay. It is gone at once, its messages in batches.

        Raises NoFolder, FolderRefused (INBOX).
        """

        def write(driver: Driver) -> None:
            folder = self._folder_named(driver, mailbox, name, lock=True)
            if folder is None:
                raise NoFolder("there is no such folder (any more)")
            if folder.name == INBOX:
                raise FolderRefused("INBOX can't be deleted")
            driver.do("UPDATE mailbox_folders SET token=NULL WHERE id=?", folder.id)

        await self._write(write)
        await self.sweep(mailbox=mailbox)

    async def subscribe(self, mailbox: int, name: str, subscribed: bool) -> bool:
        """Subscribe to a folder or no longer; False where there is none of that name."""

        def write(driver: Driver) -> bool:
            folder = self._folder_named(driver, mailbox, name, lock=True)
            if folder is None:
                return False
            if folder.subscribed != subscribed:
                self._put_facts(
                    driver, folder, FolderFacts(folder.name, folder.special_use, subscribed, folder.keywords)
                )
            return True

        return await self._write(write)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _next_validity(self, driver: Driver, mailbox: int) -> int:
        """A UIDVALIDITY that no folder of the mailbox had before (RFC 3501 2.3.1.1). Locks the mailbox."""
        row = driver.row("SELECT uid_validity, state FROM mailboxes WHERE id=? FOR UPDATE", mailbox)
        if row is None or row[1] != MailboxState.READY:
            raise NoMailbox("there is no such mailbox (any more)")
        validity = max(int(row[0]) + 1, self._now() // 1000)
        driver.do("UPDATE mailboxes SET uid_validity=? WHERE id=?", validity, mailbox)
        return validity

    def _make(self, driver: Driver, mailbox: int, facts: FolderFacts, validity: int) -> Folder:
        self._make_above(driver, mailbox, facts.name, validity)
        self._check_room_for_folder(driver, mailbox)
        id_ = self.new_id()
        self._insert_folder(driver, id_, mailbox, facts, validity)
        return self._folder(driver, id_)

    def _check_room_for_folder(self, driver: Driver, mailbox: int) -> None:
        count = driver.number("SELECT count(*) FROM mailbox_folders WHERE mailbox=? AND token IS NOT NULL", mailbox)
        if count >= MOST_FOLDERS:
            raise FolderRefused(f"a mailbox has {MOST_FOLDERS} folders at most")

    def _make_above(self, driver: Driver, mailbox: int, name: str, validity: int) -> None:
        parts = name.split(SEPARATOR)[:-1]
        for count in range(1, len(parts) + 1):
            above = SEPARATOR.join(parts[:count])
            if self._folder_named(driver, mailbox, above) is None:
                self._make(driver, mailbox, FolderFacts(above), validity)
