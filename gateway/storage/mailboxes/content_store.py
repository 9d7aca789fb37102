"""Contents by themselves: read by id, and their maps wrapped under a mailbox's next key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.storage.mailboxes.driver import Driver, chunks
from gateway.storage.mailboxes.message_rows import CONTENT, MessageRows, content_row
from gateway.storage.mailboxes.model import ContentRow

MOST_REWRAPPED: Final = 500  # Contents in one batch: some milliseconds, in which nobody else writes.
_BY_ID: Final = f"SELECT {CONTENT} FROM mailbox_contents c WHERE c.id IN (??)"  # noqa: S608 - constants alone
_OLDER: Final = f"SELECT {CONTENT} FROM mailbox_contents c WHERE c.mailbox=? AND c.key_version<? LIMIT ?"  # noqa: S608


class ContentStore(MessageRows):
    """The table `mailbox_contents`."""

    async def contents(self, ids: Iterable[bytes]) -> dict[bytes, ContentRow]:
        """The contents of those ids, those that there are, by id; in one question."""
        wanted = list(dict.fromkeys(ids))

        def read(driver: Driver) -> dict[bytes, ContentRow]:
            found: dict[bytes, ContentRow] = {}
            for chunk in chunks(wanted):
                found.update((row[0], content_row(row)) for row in driver.rows(_BY_ID, chunk))
            return found

        return await self._read(read)

    async def contents_left(self, mailbox: int, version: int) -> int:
        """How many contents of the mailbox lie under an older key than `version`."""

        def read(driver: Driver) -> int:
            return driver.number(
                "SELECT count(*) FROM mailbox_contents WHERE mailbox=? AND key_version<?", mailbox, version
            )

        return await self._read(read)

    async def contents_under_older(
        self, mailbox: int, version: int, *, limit: int = MOST_REWRAPPED
    ) -> list[ContentRow]:
        """Some contents of the mailbox that lie under an older key than `version`; none: all are done."""

        def read(driver: Driver) -> list[ContentRow]:
            return [content_row(row) for row in driver.rows(_OLDER, mailbox, version, limit)]

        return await self._read(read)

    async def rewrap(self, changes: Sequence[tuple[ContentRow, ContentRow]]) -> int:
        """Put key version, map and head of each second row in the place of the first's; how many there were to change.

        One that is gone, or lies under another version by now, is left as it is. Blobs are not touched.
        """

        def write(driver: Driver) -> int:
            done = 0
            for before, after in changes:
                done += driver.do(
                    "UPDATE mailbox_contents SET key_version=?, map=?, head=? WHERE id=? AND key_version=?",
                    *(after.key_version, after.map, after.head, before.id, before.key_version),
                )
            return done

        return await self._alone(write)

    async def finish_roll(self, mailbox: int) -> bool:
        """Destroy the mailbox's old key: the next one takes its place. False, and nothing changes, where there is no
        next one, or a content is still under the old.

        Who adds a content under the old key from now on is told KeyChanged.
        """

        def write(driver: Driver) -> bool:
            row = driver.row("SELECT next_key_version FROM mailboxes WHERE id=? FOR UPDATE", mailbox)
            if row is None or row[0] is None:
                return False
            left = driver.row(
                "SELECT 1 FROM mailbox_contents WHERE mailbox=? AND key_version<? LIMIT 1", mailbox, row[0]
            )
            if left is not None:
                return False
            with driver.overwriting():
                driver.do(
                    "UPDATE mailboxes SET key_version=next_key_version, policy=next_policy,"
                    " policy_version=next_policy_version, wrapped=next_wrapped, next_key_version=NULL,"
                    " next_policy=NULL, next_policy_version=NULL, next_wrapped=NULL WHERE id=?",
                    mailbox,
                )
            return True

        return await self._alone(write)
