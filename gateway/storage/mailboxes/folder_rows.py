"""Rows of folders, as every part of the store reads and writes them inside its transactions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.storage.mailboxes.driver import Driver, chunks
from gateway.storage.mailboxes.faults import FolderRefused, NoFolder, TooManyKeywords
from gateway.storage.mailboxes.ground import Ground
from gateway.storage.mailboxes.model import (
    INBOX,
    KEYWORD,
    KEYWORD_OCTETS,
    MOST_DEPTH,
    MOST_KEYWORDS,
    NAME_OCTETS,
    SEPARATOR,
    Folder,
)

_COLUMNS: Final = "id, mailbox, uid_validity, uid_next, modseq, messages, unseen, sealed"
_BY_ID: Final = f"SELECT {_COLUMNS} FROM mailbox_folders WHERE token IS NOT NULL AND id IN (??)"  # noqa: S608 - constants
_BY_TOKEN: Final = f"SELECT {_COLUMNS} FROM mailbox_folders WHERE mailbox=? AND token=?"  # noqa: S608
_OF_MAILBOX: Final = f"SELECT {_COLUMNS} FROM mailbox_folders WHERE mailbox=? AND token IS NOT NULL"  # noqa: S608
_LOCKED: Final = " FOR UPDATE"


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What is sealed of a folder."""

    name: str
    special_use: str | None = None
    subscribed: bool = False
    keywords: tuple[str, ...] = ()


class FolderRows(Ground):
    """The table `mailbox_folders`."""

    def _insert_folder(self, driver: Driver, id_: int, mailbox: int, facts: FolderFacts, validity: int) -> None:
        driver.do(
            "INSERT INTO mailbox_folders (id, mailbox, token, uid_validity, uid_next, modseq, forgotten, messages,"
            " unseen, sealed) VALUES (?,?,?,?,1,1,0,0,0,?)",
            *(id_, mailbox, self._folder_token(mailbox, facts.name), validity, self._sealed_folder(id_, facts)),
        )

    def _put_facts(self, driver: Driver, folder: Folder, facts: FolderFacts) -> None:
        driver.do(
            "UPDATE mailbox_folders SET token=?, sealed=? WHERE id=?",
            *(self._folder_token(folder.mailbox, facts.name), self._sealed_folder(folder.id, facts), folder.id),
        )

    def _folder(self, driver: Driver, id_: int, *, mailbox: int | None = None, lock: bool = False) -> Folder:
        """One that is there, and of that mailbox. Raises NoFolder."""
        row = driver.row(_BY_ID + _LOCKED if lock else _BY_ID, (id_,))
        if row is None or (mailbox is not None and row[1] != mailbox):
            raise NoFolder("there is no such folder (any more)")
        return self._opened_folder(row)

    def _folder_named(self, driver: Driver, mailbox: int, name: str, *, lock: bool = False) -> Folder | None:
        statement = _BY_TOKEN + _LOCKED if lock else _BY_TOKEN
        row = driver.row(statement, mailbox, self._folder_token(mailbox, name))
        if row is None:
            return None
        found = self._opened_folder(row)
        return found if found.name == folded(name) else None  # Tokens have 64 bits alone.

    def _folders_of(self, driver: Driver, mailbox: int) -> list[Folder]:
        found = [self._opened_folder(row) for row in driver.rows(_OF_MAILBOX, mailbox)]
        return sorted(found, key=lambda one: (one.name != INBOX, one.name))

    def _folders(self, driver: Driver, ids: Sequence[int]) -> list[Folder]:
        found: list[Folder] = []
        for chunk in chunks(ids):
            found += map(self._opened_folder, driver.rows(_BY_ID, chunk))
        return found

    def _bits(self, driver: Driver, folder: Folder, keywords: Sequence[str], *, make: bool = True) -> int:
        """The bits of these keywords in the folder, which learns those that it lacks where `make`.

        Keywords are compared without regard to case (RFC 3501 2.3.2 leaves it open; clients differ in it). Raises
        TooManyKeywords.
        """
        if not keywords:
            return 0
        known = {one.casefold(): place for place, one in enumerate(folder.keywords)}
        names = list(folder.keywords)
        bits = 0
        for keyword in keywords:
            place = known.get(keyword.casefold())
            if place is None:
                if not make:
                    continue
                if len(names) >= MOST_KEYWORDS or not 0 < len(keyword.encode()) <= KEYWORD_OCTETS:
                    raise TooManyKeywords(
                        f"a folder has {MOST_KEYWORDS} keywords at most, each of 1 to {KEYWORD_OCTETS} octets"
                    )
                place = known[keyword.casefold()] = len(names)
                names.append(keyword)
            bits |= 1 << (KEYWORD + place)
        if len(names) > len(folder.keywords):
            facts = FolderFacts(folder.name, folder.special_use, folder.subscribed, tuple(names))
            self._put_facts(driver, folder, facts)
        return bits

    def _folder_token(self, mailbox: int, name: str) -> int:
        return self._token("folder", f"{mailbox} {folded(name)}")

    def _sealed_folder(self, id_: int, facts: FolderFacts) -> bytes:
        return self._sealed(
            "folder",
            id_,
            {
                "name": facts.name,
                "special_use": facts.special_use,
                "subscribed": facts.subscribed,
                "keywords": facts.keywords,
            },
        )

    def _opened_folder(self, row: tuple[Any, ...]) -> Folder:
        id_, mailbox, validity, uid_next, modseq, messages, unseen, sealed = row
        facts = self._opened("folder", id_, sealed)
        return Folder(
            id=id_,
            mailbox=mailbox,
            name=facts["name"],
            uid_validity=validity,
            uid_next=uid_next,
            modseq=modseq,
            exists=messages,
            unseen=unseen,
            special_use=facts["special_use"],
            subscribed=facts["subscribed"],
            keywords=tuple(facts["keywords"]),
        )


def folded(name: str) -> str:
    """The name as it is kept: INBOX is the same however it is written (RFC 3501 5.1)."""
    head, separator, rest = name.partition(SEPARATOR)
    return INBOX + separator + rest if head.upper() == INBOX else name


def checked(name: str) -> str:
    """`folded`, where a folder may be called so. Raises FolderRefused."""
    name = folded(name)
    parts = name.split(SEPARATOR)
    if len(parts) > MOST_DEPTH:
        raise FolderRefused(f"folders lie {MOST_DEPTH} deep at most")
    if not all(parts) or len(name.encode("utf-8", "surrogatepass")) > NAME_OCTETS:
        raise FolderRefused(f"a folder's name has 1 to {NAME_OCTETS} octets, and no empty part between two /")
    if any(ord(one) < 32 or ord(one) == 127 or 0xD800 <= ord(one) <= 0xDFFF for one in name):
        raise FolderRefused("a folder's name has no control characters")
    return name
