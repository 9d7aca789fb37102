"""A spool in a folder of the test, and what is put into it, short to write."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.envelope import Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Message
from gateway.observe.events import RECEIVED, Event
from gateway.storage.migrate import migrate_spool
from gateway.storage.record import Prepared
from gateway.storage.sealer import Sealer
from gateway.storage.shared import Shared
from gateway.storage.spool import CONTENT, DATABASE, Spool
from gateway.storage.spooling import Spooling
from gateway.storage.traces import TraceStore
from gateway.storage.writer import open_database
from gateway.world.clock import Clock
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

KEYS = {("spool", 1): b"s" * 32, ("trace", 1): b"t" * 32, ("token", 1): b"k" * 32}
OTTO = "otto@partner.example"
_TEMPLATES: dict[str, bytes] = {}


def sealer() -> KeySealer:
    """The sealer whose keys all these spools have."""
    return KeySealer(DomainKeys(KEYS), FakeChance())


def make_spool(folder: Path) -> None:
    """An empty spool. Migrating is slow, so it is done once and copied."""
    (folder / CONTENT).mkdir(parents=True)
    if not _TEMPLATES:
        migrate_spool(folder / DATABASE)
        _TEMPLATES[DATABASE] = (folder / DATABASE).read_bytes()
    else:
        (folder / DATABASE).write_bytes(_TEMPLATES[DATABASE])


class SpoolOf:
    """Opens and closes the spool in one folder, again and again. `moved` are the records that it wants moved."""

    engine = "sqlite"

    def __init__(self, folder: Path, clock: Clock | None = None, *, make: bool = True) -> None:
        self.folder = folder
        self.clock = clock or FakeClock()
        self.sealer: Sealer = sealer()
        self.moved: list[Prepared] = []
        self.commits: list[int] = []
        self.min_free = 0
        self.executor: Executor = ThreadPoolExecutor(2)
        self._open: list[Spool] = []
        if make:
            make_spool(folder)

    @property
    def contents(self) -> list[str]:
        """The names of the content files."""
        return sorted(path.name for path in (self.folder / CONTENT).iterdir())

    async def open(self) -> Spool:
        spool = Spool(
            self.folder,
            sealer=self.sealer,
            keeper=TraceStore(Shared(self.folder / "no.db"), sealer()),
            clock=self.clock,
            executor=self.executor,
            min_free=self.min_free,
            moved=self._moved,
            observe=lambda works, seconds: self.commits.append(works),
            name="0",
        )
        await spool.open(asyncio.get_running_loop())
        self._open.append(spool)
        return spool

    async def reopen(self) -> Spool:
        """Close what is open and open it anew, as after a restart."""
        await self.close()
        return await self.open()

    async def close(self) -> None:
        for spool in self._open:
            await asyncio.to_thread(spool.close)
        self._open.clear()

    def _moved(self, spool: Spool, records: Sequence[Prepared]) -> None:
        self.moved += records

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What another process sees."""
        other = open_database(str(self.folder / DATABASE), read_only=True)
        try:
            return other.execute(query).fetchall()
        finally:
            other.close()

    def alter(self, statement: str) -> None:
        """What another process does."""
        other = open_database(str(self.folder / DATABASE))
        try:
            other.execute(statement)
        finally:
            other.close()

    def record_count(self) -> int:
        """Records that are stored."""
        return int(self.rows("SELECT count(*) FROM records")[0][0])

    def refuse_updates(self) -> None:
        """From now on no delivery may be changed."""
        self.alter("CREATE TRIGGER full BEFORE UPDATE ON deliveries BEGIN SELECT RAISE(ABORT, 'full'); END")

    def take_updates(self) -> None:
        """Deliveries may be changed again."""
        self.alter("DROP TRIGGER full")

    def octets(self) -> bytes:
        """All octets of all files, one behind the other."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file())


async def message_of(spool: Spooling, id_: str, octets: bytes, piece: int = 200_000) -> Message:
    """The message as a session takes it, in pieces."""
    incoming = spool.begin(id_)
    for start in range(0, len(octets), piece):
        if incoming.write(octets[start : start + piece]):
            await incoming.flush()
    return await incoming.finish()


def mail_of(id_: str, message: Message, *recipients: str, sender: str | None = "ida@corp.example") -> Mail:
    """A mail for these recipients, or for Otto."""
    return Mail(
        id=id_,
        received=1_793_700_000.0,
        envelope=Envelope(
            sender=None if sender is None else parse_address(sender),
            recipients=tuple(Recipient(parse_address(one)) for one in recipients or (OTTO,)),
        ),
        message=message,
    )


def delivery_of(
    mail: Mail,
    number: int = 1,
    *,
    destination: str = "partner.example",
    connector: str = "out",
    due: float | None = None,
) -> Delivery:
    """A delivery of all its recipients."""
    return Delivery(
        id=f"{mail.id}.{number}",
        message=mail.id,
        connector=connector,
        destination=destination,
        sender=mail.envelope.sender,
        targets=tuple(Target(address=one.address) for one in mail.envelope.recipients),
        size=mail.message.size,
        created=mail.received,
        next_attempt=mail.received if due is None else due,
    )


def event_of(id_: str, kind: str = RECEIVED) -> Event:
    """Something that happened to `id_`."""
    return Event(message=id_, time=1_793_700_000.0, event=kind, facts={"x": 1})


async def put(
    spool: Spooling,
    id_: str,
    octets: bytes = b"Subject: x\r\n\r\nx\r\n",
    *,
    destinations: tuple[str, ...] = ("partner.example",),
    due: float | None = None,
    lease: bool = False,
) -> list[Delivery]:
    """Accept a message with a delivery for each destination. Unless `lease`, nobody has them in hand afterwards."""
    mail = mail_of(id_, await message_of(spool, id_, octets))
    deliveries = [delivery_of(mail, number, destination=one, due=due) for number, one in enumerate(destinations, 1)]
    await spool.accept(mail, deliveries, [spool.new_record(id_, [event_of(id_)])])
    if not lease:
        for delivery in deliveries:
            await spool.unlease(delivery)
    return deliveries


async def fill(spool: Spool) -> None:
    """Let the database have no page more than a few that are free now, as on a full disk."""

    def work(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE filler(octets BLOB)")
        free: int = db.execute("PRAGMA freelist_count").fetchone()[0]
        if free > 4:
            db.execute("INSERT INTO filler VALUES (zeroblob(?))", ((free - 4) * 4092,))
        pages: int = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={pages}").fetchone()

    await spool._writer.do(work)
