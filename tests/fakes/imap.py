"""A mailbox that is read over IMAP: real rows on SQLite, contents in memory, and a client that is fed octets."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.accounts.model import User
from gateway.imap.desk import Desk
from gateway.imap.server import ImapServer, Visit
from gateway.imap.terms import ImapTerms
from gateway.mail.message import Held
from gateway.mailboxes.contents.contents import Contents
from gateway.mailboxes.head import Head
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.settings.imap import Imap
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import Mailbox, NewMessage, WrappedKey
from gateway.storage.sharing import SharedStore
from gateway.world.clock import Clock
from tests.fakes.accounts import FakeAccounts
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.mailbox_blobs import MemoryMailboxBlobs
from tests.fakes.mailbox_rows import store_on

ADDRESS = "ida@corp.example"


class FakeKeys:
    """Mailbox keys by mailbox id. `closed`: what is raised instead. `asked` counts."""

    def __init__(self) -> None:
        self.closed: Exception | None = None
        self.asked = 0

    async def key(self, mailbox: Mailbox) -> MailboxKey:
        self.asked += 1
        if self.closed is not None:
            raise self.closed
        older = None
        if mailbox.next_key is not None:
            older = MailboxKey(mailbox.id, mailbox.key.version, b"k%031d" % mailbox.key.version)
        version = (mailbox.next_key or mailbox.key).version
        return MailboxKey(mailbox.id, version, b"k%031d" % version, older)


async def comes(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Until it holds: rows are written and read on threads, which a busy machine lets wait."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.0005)


class FakeTransport(asyncio.Transport):
    """A connection in memory. `said` is what the gateway wrote; `full`: the client takes nothing for now."""

    def __init__(self, peer: str) -> None:
        super().__init__({"peername": (peer, 1143)})
        self.said = bytearray()
        self.closed = False
        self.aborted = False
        self.full = False
        self.protocol: Any = None

    def write(self, data: Any) -> None:
        assert not self.closed
        self.said += data
        if self.full:
            self.protocol.pause_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.said) if self.full else 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.aborted = True
        self.close()


class Client:
    """One client, connected. `ask` gives a command and returns all that is said up to its tagged response."""

    def __init__(self, server: ImapServer, peer: str = "192.0.2.7") -> None:
        self.transport = FakeTransport(peer)
        self.visit = Visit(server, asyncio.get_running_loop())
        self.transport.protocol = self.visit
        self._tags = 0
        self._heard = 0
        self.visit.connection_made(self.transport)

    def feed(self, octets: bytes) -> None:
        """Octets come from the client."""
        self.visit.data_received(octets)

    def hang_up(self) -> None:
        """The client is gone."""
        self.visit.eof_received()
        self.transport.close()

    def heard(self) -> bytes:
        """What was said since this was last asked."""
        said = bytes(self.transport.said[self._heard :])
        self._heard = len(self.transport.said)
        return said

    async def until(self, ending: bytes, seconds: float = 30.0) -> bytes:
        """What is said, up to a line that begins with `ending`, or the end of the connection."""
        begun = self._heard

        def complete() -> bool:
            said = bytes(self.transport.said[begun:])
            return self.transport.closed or said.startswith(ending) or b"\r\n" + ending in said

        async with asyncio.timeout(seconds):
            while not complete():
                await asyncio.sleep(0.0005)
        await asyncio.sleep(0)
        return self.heard()

    async def ask(self, command: str | bytes, *literals: bytes) -> bytes:
        """Give a command; `literals` go where the server asks for them."""
        self._tags += 1
        tag = b"a%d " % self._tags
        self.feed(tag + (command.encode() if isinstance(command, str) else command) + b"\r\n")
        before = b""
        for literal in literals:
            before += await self.until(b"+ ")
            if not before.endswith(b"\r\n") or b"+ " not in before:
                return before
            self.feed(literal)
        return before + await self.until(tag)

    async def log_in(self) -> None:
        """As Ida."""
        assert b" OK " in await self.ask("LOGIN ida geheim")


@dataclass
class ImapRoom:
    """One process that serves one mailbox. `told` are the lines of its log."""

    shared: SharedStore
    executor: Executor
    clock: Clock = field(default_factory=FakeClock)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    keys: FakeKeys = field(default_factory=FakeKeys)
    blobs: MemoryMailboxBlobs = field(default_factory=lambda: MemoryMailboxBlobs(is_local=True))
    counted: Counter[tuple[str, ...]] = field(default_factory=Counter)
    told: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows_clock = self.clock if isinstance(self.clock, FakeClock) else FakeClock()
        self.store: MailboxStore = store_on(self.shared, rows_clock)
        self.contents = Contents(
            self.store, self.blobs, executor=self.executor, chance=FakeChance("contents"), clock=self.clock
        )
        self.desk = Desk(
            accounts=self.accounts,
            store=self.store,
            keys=self.keys,
            contents=self.contents,
            executor=self.executor,
            clock=self.clock,
            tell=lambda level, event, **facts: self.told.append((level, event, facts)),
            count=lambda name, labels: self.counted.update([(name, *labels)]),
            new_id=lambda: "S1",
        )
        self.mailbox: Mailbox | None = None

    @property
    def ida(self) -> Mailbox:
        """The mailbox, once it was made."""
        assert self.mailbox is not None
        return self.mailbox

    async def make(self, *, quota: int | None = None, user: User | None = None) -> None:
        """The mailbox of Ida, or of somebody else."""
        key = WrappedKey(version=1, policy=None, policy_version=0, octets=b"wrapped")
        account = "ida" if user is None else user.name
        address = ADDRESS if user is None else user.addresses[0]
        made = await self.store.create(self.store.new_id(), address, account, key, quota=quota)
        if user is None:
            self.mailbox = made

    async def put(
        self, *messages: bytes, folder: str = "INBOX", flags: int = 0, date: float = 0.0, with_head: bool = True
    ) -> list[int]:
        """Deliver messages; their UIDs."""
        key = await self.keys.key(self.ida)
        rows: list[NewMessage] = []
        for octets in messages:
            head = Head.of(octets).to_octets() if with_head else None
            content = await self.contents.write(key, Held(octets), head)
            rows.append(NewMessage(content=content, date=date, flags=flags))
        there = await self.store.folder(self.ida.id, folder)
        assert there is not None
        return await self.store.add(self.ida.id, there.id, rows)

    def server(self, **terms: Any) -> ImapServer:
        """A server that is fed in memory. `terms` as in the section [imap], and `idle` in seconds."""
        idle = terms.pop("idle", 1800.0)
        section = Imap.model_validate({"listen": "127.0.0.1:993", **terms})
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        return ImapServer(self.desk, context, replace(ImapTerms.from_settings(section), idle=idle))

    def events(self) -> list[str]:
        """What the log was told, without the facts."""
        return [event for _, event, _ in self.told]


def tagged(said: bytes) -> bytes:
    """The last line: the tagged response without its tag."""
    return said.rstrip(b"\r\n").split(b"\r\n")[-1].split(b" ", 1)[1]


def untagged(said: bytes) -> list[bytes]:
    """The lines that begin with an asterisk, without it."""
    return [line[2:] for line in said.split(b"\r\n") if line.startswith(b"* ")]
