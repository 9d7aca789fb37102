"""What is kept of rights-managed messages in the shared database: who may read, the stored copy, revocation.

A row is found by the message's work, by blind tokens, and by the SHA-256 of a reader's link, which itself is nowhere.
All that names people is sealed, bound to the work. Runs on SQLite and PostgreSQL alike. The licence log beside it is
`gateway.storage.licence_log`.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, insert, or_, select, update

from gateway.mail.message import Content, Held
from gateway.mail.plan import Left
from gateway.storage.blobs import Blobs
from gateway.storage.record import RIGHTS
from gateway.storage.rights_copy import (
    KEY_OCTETS,
    MARK,
    BlobCopy,
    CopyKey,
    is_small,
    open_small,
    seal_small,
    write_blob,
)
from gateway.storage.rights_model import CopyState, KeptMessage, KeptRights, Linked, folded
from gateway.storage.rights_rows import ORGANISATION, RightsRow
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import rights_links, rights_messages
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance

PURPOSE: Final = "portal"
MOST_SWEPT: Final = 500  # Copies destroyed, or messages forgotten, in one transaction.
MOST_LINKS: Final = 5_000  # Links looked through in one transaction.
_TOKEN: Final = "rights message id"  # noqa: S105 - what blind tokens of these names are made for
_NONE: Final = "none"
_ROW: Final = "row"


class RightsStore:
    """The tables `rights_messages` and `rights_links`. Raises StorageFull, StorageBroken, SealBroken, KeysClosed.

    `blobs` take copies over 128 KiB, read and written with `executor`.
    """

    def __init__(
        self, shared: SharedStore, sealer: Sealer, *, chance: Chance, blobs: Blobs, executor: Executor
    ) -> None:
        self._shared = shared
        self._sealer = sealer
        self._chance = chance
        self._blobs = blobs
        self._executor = executor

    def __repr__(self) -> str:
        return "RightsStore()"

    # -- keeping ------------------------------------------------------------------------------------------------------

    async def left(self, message: KeptRights, copy: bytes | None) -> Left:
        """What is to be kept of a message that is about to leave, and its message.rpmsg; None: no copy is stored.

        It is stored in one commit with the message itself. A copy that has its place elsewhere lies there when this
        returns; where nothing comes of the message, the clearing of orphans takes it away.
        """
        return Left(RIGHTS, (await self._row(message, copy)).octets())

    async def keep(self, message: KeptRights, copy: bytes | None) -> None:
        """The same for a message that goes by no spool: kept, and durable, on return.

        Raises ValueError where its work is kept already.
        """
        row = await self._row(message, copy)
        values = dict(zip((column.name for column in rights_messages.c), row.values(), strict=True))
        links = [dict(zip((column.name for column in rights_links.c), link, strict=True)) for link in row.link_values()]

        def write(connection: Connection) -> bool:
            if connection.execute(select(rights_messages.c.work).where(_is(message.work))).first() is not None:
                return False
            connection.execute(insert(rights_messages), [values])
            if links:
                connection.execute(insert(rights_links), links)
            return True

        blob = row.stored if row.stored not in (_NONE, _ROW) else None
        try:
            is_new = await self._shared.call(write)
        except BaseException:
            await self._forget_blob(blob)
            raise
        if not is_new:
            await self._forget_blob(blob)
            raise ValueError(f"the message of work {message.work} is kept already")

    # -- reading ------------------------------------------------------------------------------------------------------

    async def by_link(self, link: bytes) -> Linked | None:
        """What a link stands for; None for one that is not ours."""

        def read(connection: Connection) -> Linked | None:
            mine = (rights_links.c.organisation == ORGANISATION, rights_links.c.link == sha256(link).digest())
            row = connection.execute(select(rights_links.c.work, rights_links.c.reader).where(*mine)).first()
            if row is None or (message := self._get(connection, UUID(row.work))) is None:
                return None
            return Linked(message, message.readers[row.reader])

        return await self._shared.call(read, read=True)

    async def get(self, work: UUID) -> KeptMessage | None:
        """The message of that work; None where it is not known here."""
        return await self._shared.call(lambda connection: self._get(connection, work), read=True)

    async def find(self, name: str) -> list[KeptMessage]:
        """Messages by Message-ID (with or without angle brackets), queue id or work, the oldest first.

        One message may have several works: one for each hundred readers, one for each Bcc recipient.
        """
        bare = name.strip().strip("<>")
        row = rights_messages.c
        tokens = [self._token(bare), self._token(f"<{bare}>")]
        fits = [row.message.in_(tokens), row.queue == bare]
        try:
            fits.append(row.work == str(UUID(bare)))
        except ValueError:
            pass

        def read(connection: Connection) -> list[KeptMessage]:
            where = (row.organisation == ORGANISATION, or_(*fits))
            return [self._opened(one) for one in connection.execute(_columns().where(*where).order_by(row.created))]

        return await self._shared.call(read, read=True)

    async def latest(self, most: int) -> list[KeptMessage]:
        """At most so many messages, the newest first."""
        row = rights_messages.c

        def read(connection: Connection) -> list[KeptMessage]:
            query = (
                _columns().where(row.organisation == ORGANISATION).order_by(row.created.desc(), row.work).limit(most)
            )
            return [self._opened(one) for one in connection.execute(query)]

        return await self._shared.call(read, read=True)

    async def copy(self, work: UUID) -> Content | None:
        """The stored message.rpmsg, whole or in pieces of 1 MiB; None where there is none, or its key is destroyed."""
        found = await self.with_copy(work)
        return None if found is None else found[1]

    async def with_copy(self, work: UUID) -> tuple[KeptMessage, Content | None] | None:
        """The message of that work, and its copy as `copy` gives it; None where it is not known here."""
        row = rights_messages.c
        query = _columns().add_columns(row.key, row.copy).where(_is(work))

        def read(connection: Connection) -> Row[Any] | None:
            return connection.execute(query).first()

        found = await self._shared.call(read, read=True)
        return None if found is None else (self._opened(found), self._content(work, found))

    def _content(self, work: UUID, found: Row[Any]) -> Content | None:
        if found.key is None:
            return None
        plain = self._sealer.open(PURPOSE, _key_record(work), bytes(found.key))
        if plain[:1] != MARK:
            raise SealBroken(f"the key of the copy {work} has an unknown version mark: a newer gateway wrote it")
        key = CopyKey(work, plain[1:])
        if found.stored == _ROW:
            return Held(open_small(key, bytes(found.copy)))
        return BlobCopy(found.stored, int(found.size), key, self._blobs, self._executor)

    async def known_blobs(self) -> set[str]:
        """The blobs that rows know: what else is in the store was never kept, or was destroyed."""
        row = rights_messages.c
        query = select(row.stored).where(row.key.is_not(None), row.stored.not_in((_NONE, _ROW)))
        return await self._shared.call(lambda connection: set(connection.execute(query).scalars()), read=True)

    # -- revoking -----------------------------------------------------------------------------------------------------

    async def revoke(self, work: UUID, now: float, *, reader: str | None = None) -> KeptMessage | None:
        """Nobody but its sender opens it from now on, or with `reader` that one not; as it is then.

        None where there is no such message. What is revoked already stays as it was. Raises ValueError where the
        message has no such reader.
        """

        def write(connection: Connection) -> KeptMessage | None:
            if (before := self._get(connection, work, lock=True)) is None:
                return None
            if reader is None:
                after = before if before.revoked is not None else replace(before, revoked=now)
            elif not before.is_reader(reader):
                raise ValueError(f"the message of work {work} has no such reader")
            else:
                revoked = {folded(reader): now} | dict(before.revoked_readers)
                after = replace(before, revoked_readers=MappingProxyType(revoked))
            if after != before:
                sealed = self._sealed(after, str(work), after.readers, after.revoked, dict(after.revoked_readers))
                connection.execute(update(rights_messages).where(_is(work)).values(sealed=sealed))
            return after

        return await self._shared.call(write)

    def is_revoked(self, work: UUID, reader: str) -> bool:
        """Whether it was revoked for that reader; no for a work that is not known here. Blocks: for threads alone."""
        kept = self._shared.run(lambda connection: self._get(connection, work), read=True)
        return kept is not None and kept.is_revoked(reader)

    # -- expiry -------------------------------------------------------------------------------------------------------

    async def sweep(self, now: float) -> int:
        """Destroy the content keys of copies whose messages have expired, and then the copies; how many.

        A blob that can't be deleted now is left to the clearing of orphans: without its key it is no copy any more.
        """
        count = 0
        while True:
            gone = await self._shared.call(lambda connection: _destroy(connection, int(now * 1000)))
            for stored in gone:
                await self._forget_blob(stored if stored not in (_NONE, _ROW) else None)
            count += len(gone)
            if len(gone) < MOST_SWEPT:
                return count

    async def forget(self, before: float) -> int:
        """Forget messages that had expired before that time (seconds since 1970), some hundred at most; how many.

        Their own licences say that they have expired, whatever is known here, so that no file of theirs opens for a
        reader. Those that never expire stay for ever: nothing but their row tells that one was revoked. So do those
        whose copy still has its key. Their links stay behind, for `forget_links`.
        """
        row = rights_messages.c

        def write(connection: Connection) -> int:
            old = select(row.work).where(
                row.organisation == ORGANISATION, row.expires < int(before * 1000), row.key.is_(None)
            )
            query = old.order_by(row.expires).limit(MOST_SWEPT).with_for_update(skip_locked=True)
            works = connection.execute(query).scalars().all()
            if works:
                mine = (row.organisation == ORGANISATION, row.work.in_(works))
                connection.execute(delete(rights_messages).where(*mine))
            return len(works)

        return await self._shared.call(write)

    async def forget_links(self, after: bytes | None = None) -> bytes | None:
        """Remove the links of messages that were forgotten, of some thousand behind `after`; where to go on, None: that
        was the last. No index leads from a message to its links, and all of them are looked through.
        """
        link = rights_links.c

        def write(connection: Connection) -> bytes | None:
            some = select(link.link).where(link.organisation == ORGANISATION).order_by(link.link).limit(MOST_LINKS)
            found = connection.execute(some if after is None else some.where(link.link > after)).scalars().all()
            if not found:
                return None
            last = bytes(found[-1])
            message = select(rights_messages.c.work).where(
                rights_messages.c.organisation == link.organisation, rights_messages.c.work == link.work
            )
            within = [link.organisation == ORGANISATION, link.link <= last]
            if after is not None:
                within.append(link.link > after)
            connection.execute(delete(rights_links).where(*within, ~message.exists()))
            return last if len(found) == MOST_LINKS else None

        return await self._shared.call(write)

    # -- rows ---------------------------------------------------------------------------------------------------------

    async def _forget_blob(self, name: str | None) -> None:
        if name is None:
            return
        try:
            await self._blobs.delete(name)
        except (StorageBroken, StorageFull):
            pass  # An orphan, and cleared later.

    def _token(self, message_id: str) -> int:
        return self._sealer.token(_TOKEN, message_id)

    def _get(self, connection: Connection, work: UUID, *, lock: bool = False) -> KeptMessage | None:
        query = _columns().where(_is(work))
        row = connection.execute(query.with_for_update() if lock else query).first()
        return None if row is None else self._opened(row)

    async def _row(self, message: KeptRights, copy: bytes | None) -> RightsRow:
        """Its rows, and the copy where that belongs."""
        work = str(message.work)  # Written out once: it takes some microseconds.
        stored, sealed_key, sealed_copy = _NONE, None, None
        if copy is not None:
            secret = self._chance.octets(KEY_OCTETS)
            key = CopyKey(message.work, secret)
            sealed_key = self._sealer.seal(PURPOSE, _key_record(work), MARK + secret)
            if is_small(len(copy)):
                stored, sealed_copy = _ROW, seal_small(key, copy)
            else:
                stored = f"{work}.{self._chance.octets(6).hex()}"
                await write_blob(stored, copy, key, self._blobs, self._executor)
        readers = tuple([address for address, _ in message.readers])
        return RightsRow(
            work=work,
            message=self._token(message.message_id.strip()),
            queue=message.queue_id,
            created=int(message.created * 1000),
            # Never late: what has expired by the licence has no copy that lives on for the rest of a millisecond.
            expires=None if message.expires is None else int(message.expires * 1000),
            size=0 if copy is None else len(copy),
            stored=stored,
            sealed=self._sealed(message, work, readers, None, {}),
            key=sealed_key,
            copy=sealed_copy,
            links=tuple([sha256(link).digest() for _, link in message.readers]),
        )

    def _sealed(
        self,
        one: KeptRights | KeptMessage,
        work: str,
        readers: tuple[str, ...],
        revoked: float | None,
        revoked_readers: dict[str, float],
    ) -> bytes:
        plain = orjson.dumps(
            {
                "message_id": one.message_id,
                "sender": one.sender,
                "readers": readers,
                "subject": one.subject,
                "template": one.template,
                "created": one.created,
                "expires": one.expires,
                "shows_subject": one.shows_subject,
                "revoked": revoked,
                "revoked_readers": revoked_readers,
            }
        )
        return self._sealer.seal(PURPOSE, _record(work), MARK + plain)

    def _opened(self, row: Row[Any]) -> KeptMessage:
        work = UUID(row.work)
        plain = self._sealer.open(PURPOSE, _record(work), bytes(row.sealed))
        if plain[:1] != MARK:
            raise SealBroken(f"the {PURPOSE} record {work} has an unknown version mark: a newer gateway wrote it")
        facts: dict[str, Any] = orjson.loads(plain[1:])
        state = CopyState.NONE if row.stored == _NONE else CopyState.KEPT if row.has_key else CopyState.DESTROYED
        return KeptMessage(
            work=work,
            queue_id=row.queue,
            copy=state,
            size=int(row.size),
            **facts
            | {"readers": tuple(facts["readers"]), "revoked_readers": MappingProxyType(facts["revoked_readers"])},
        )


def _destroy(connection: Connection, now: int) -> list[str]:
    """Where the copies lay whose keys are destroyed by this."""
    row = rights_messages.c
    ended = select(row.work, row.stored).where(
        row.organisation == ORGANISATION, row.expires <= now, row.key.is_not(None)
    )
    found = connection.execute(ended.limit(MOST_SWEPT).with_for_update(skip_locked=True)).all()
    if not found:
        return []
    with _overwriting(connection):
        works = [work for work, _ in found]
        change = update(rights_messages).where(row.organisation == ORGANISATION, row.work.in_(works))
        connection.execute(change.values(key=None, copy=None))
    return [stored for _, stored in found]


@contextmanager
def _overwriting(connection: Connection) -> Iterator[None]:
    """SQLite leaves what is deleted on its page unless it is told to overwrite it with zeros; PostgreSQL until VACUUM
    comes by.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        connection.exec_driver_sql("PRAGMA secure_delete=OFF")


def _record(work: UUID | str) -> str:
    return f"rights {work}"


def _key_record(work: UUID | str) -> str:
    return f"rights {work}/key"


def _is(work: UUID) -> ColumnElement[bool]:
    return and_(rights_messages.c.organisation == ORGANISATION, rights_messages.c.work == str(work))


def _columns() -> Select[Any]:
    """Without the copy, which may have 128 KiB, and without its key."""
    row = rights_messages.c
    return select(row.work, row.queue, row.size, row.stored, row.sealed, row.key.is_not(None).label("has_key"))
