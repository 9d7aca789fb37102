"""Rows of messages and contents, as every part of the store reads and writes them inside its transactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.storage.mailboxes.driver import Driver, Rows, chunks
from gateway.storage.mailboxes.faults import NoFolder
from gateway.storage.mailboxes.folder_rows import FolderRows
from gateway.storage.mailboxes.model import BLOB_NAME, SEEN, ContentRow, Entry

GARBAGE: Final = "garbage"
INTENDED: Final = "intended"
CONTENT: Final = "c.id, c.mailbox, c.key_version, c.size, c.blobs, c.map, c.head, c.created"
CONTENT_WITHOUT_HEAD: Final = "c.id, c.mailbox, c.key_version, c.size, c.blobs, c.map, c.created"


class MessageRows(FolderRows):
    """The tables `mailbox_messages`, `mailbox_contents`, `mailbox_expunged`."""

    def _advance(self, driver: Driver, folder: int, *, messages: int = 0, unseen: int = 0, uids: int = 0) -> int:
        """Another modseq of a folder, which is its own from now on; counters change by as much."""
        row = driver.row(
            "UPDATE mailbox_folders SET modseq=modseq+1, messages=messages+?, unseen=unseen+?, uid_next=uid_next+?"
            " WHERE id=? RETURNING modseq",
            *(messages, unseen, uids, folder),
        )
        return 0 if row is None else int(row[0])

    def _take_away(self, driver: Driver, folder: int, uids: Sequence[int], *, tell: bool = True) -> tuple[int, Rows]:
        """Delete these messages; octets, and their rows (uid, flags, size, content). Contents are not touched."""
        rows: Rows = []
        for chunk in chunks(uids):
            statement = (
                "DELETE FROM mailbox_messages WHERE folder=? AND uid IN (??) RETURNING uid, flags, size, content"
            )
            rows += driver.rows(statement, folder, chunk)
        if not rows:
            return 0, rows
        unseen = sum(1 for row in rows if not row[1] & SEEN)
        modseq = self._advance(driver, folder, messages=-len(rows), unseen=-unseen)
        if tell:
            now = self._now()
            driver.insert(
                "INSERT INTO mailbox_expunged (folder, modseq, uid, time)",
                [(folder, modseq, row[0], now) for row in rows],
            )
        return sum(row[2] for row in rows), rows

    def _release(self, driver: Driver, contents: Sequence[bytes]) -> None:
        """These messages' contents have a message less each; one that has none left becomes garbage."""
        self._refer(driver, contents, -1)
        names: list[bytes] = []
        for chunk in chunks(sorted(set(contents))):
            statement = "DELETE FROM mailbox_contents WHERE refs<=0 AND id IN (??) RETURNING blobs"
            for (blobs,) in driver.rows(statement, chunk):
                names += split_names(blobs)
        self._discard(driver, names)

    def _refer(self, driver: Driver, contents: Sequence[bytes], by: int) -> None:
        """So many messages more have each of these contents, or less; one that is named twice has it twice."""
        by_times: dict[int, list[bytes]] = {}
        for content, times in Counter(contents).items():
            by_times.setdefault(times, []).append(content)
        # One statement for all that are named as often: a folder may hold the same content a hundred thousand times.
        # Whoever comes here has the mailbox locked, and no other one has these contents.
        for times, some in by_times.items():
            for chunk in chunks(sorted(some)):
                driver.do("UPDATE mailbox_contents SET refs=refs+? WHERE id IN (??)", times * by, chunk)

    def _discard(self, driver: Driver, names: Iterable[bytes]) -> None:
        """Blobs of these names are nobody's from now on."""
        now = self._now()
        driver.insert(
            "INSERT INTO mailbox_blobs (name, state, since)",
            [(name, GARBAGE, now) for name in sorted(set(names))],
            " ON CONFLICT (name) DO UPDATE SET state=excluded.state, since=excluded.since",
        )

    def _locked(self, driver: Driver, folder: int) -> int:
        """The mailbox of a folder that is there; both are locked, the mailbox first as everywhere. Raises NoFolder."""
        row = driver.row("SELECT mailbox FROM mailbox_folders WHERE id=? AND token IS NOT NULL", folder)
        if row is not None and not driver.is_sqlite:
            driver.rows("SELECT 1 FROM mailboxes WHERE id=? FOR UPDATE", row[0])
            row = driver.row("SELECT mailbox FROM mailbox_folders WHERE id=? AND token IS NOT NULL FOR UPDATE", folder)
        if row is None:
            raise NoFolder("there is no such folder (any more)")
        return int(row[0])

    def _counted(self, driver: Driver, mailbox: int, *, messages: int, octets: int) -> None:
        driver.do("UPDATE mailboxes SET used=used+?, messages=messages+? WHERE id=?", octets, messages, mailbox)


def split_names(blobs: bytes) -> list[bytes]:
    """The names of a content's blobs."""
    return [blobs[at : at + BLOB_NAME] for at in range(0, len(blobs), BLOB_NAME)]


def joined_names(names: Iterable[str]) -> bytes:
    """Names as their column has them. Raises ValueError for what is no name."""
    octets = [bytes.fromhex(name) for name in names]
    if any(len(one) != BLOB_NAME for one in octets):
        raise ValueError(f"a blob's name has {BLOB_NAME} octets")
    return b"".join(octets)


def entry(row: Sequence[Any]) -> Entry:
    """Of the columns uid, modseq, flags, date, size, content."""
    uid, modseq, flags, date, size, content = row
    return Entry(uid, modseq, flags, date / 1000, size, content)


def content_row(row: Sequence[Any]) -> ContentRow:
    """Of the columns CONTENT."""
    id_, mailbox, version, size, blobs, map_, head, created = row
    return ContentRow(
        id=id_,
        mailbox=mailbox,
        key_version=version,
        size=size,
        blobs=tuple(name.hex() for name in split_names(blobs)),
        map=map_,
        head=head,
        created=created / 1000,
    )
