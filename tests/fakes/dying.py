"""A process with mailboxes that is ended at a chosen point: `python -m tests.fakes.dying GATEWAY.toml`.

For each kind of work it goes on from the same folder: once to the end, to count the points at which a process may be
ended, then again and again, ended with no chance to tidy up at a point that lies further on each time. After each end a
new process looks whether all is whole, does the same work again to its end, and looks again. What is wrong goes to
standard error, and the exit status is 1; else one line for each kind of work goes to standard output.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.app.availability import availability_name
from gateway.app.keyring import vaults
from gateway.app.mailboxes import MailboxOffice
from gateway.app.parts import open_stores
from gateway.app.policy_end import policy_purge
from gateway.keys.rotation import RootName
from gateway.keys.vault import KeyType, Vault
from gateway.mail.message import Held
from gateway.mailboxes.faults import MailboxClosed, PolicyPurged
from gateway.mailboxes.head import Head
from gateway.mailboxes.policies.life import PolicyLife
from gateway.mailboxes.policies.order import PURGE, make_order
from gateway.mailboxes.policies.roll import Roller
from gateway.settings.load import Loaded, loaded
from gateway.storage.mailboxes import driver
from gateway.storage.mailboxes.model import Mailbox, MailboxState, NewMessage, PolicyRow, PolicyState
from gateway.storage.shared import Shared
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock

ENDED: Final = 9
STOPS: Final = 5  # Points of each kind of work at which a process is ended.
IDA, BERT = "ida@corp.example", "bert@corp.example"
# The private key is a test's, made from a constant.
CUSTODIAN: Final = Ed25519PrivateKey.from_private_bytes(b"custodian of a test, no secret!!")
PRIVATE: Final = CUSTODIAN.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC: Final = CUSTODIAN.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
OLD: Final = [b"Subject: %d\r\n\r\n" % number + b"x" * size for number, size in enumerate((10, 500, 2_500_000))]
NEW: Final = [b"Subject: new %d\r\n\r\n" % number + b"y" * size for number, size in enumerate((10, 2_500_000))]


class Points:
    """Counts the points that were passed; `last` is the one at which the process is ended, None: none."""

    def __init__(self) -> None:
        self.passed = 0
        self.last: int | None = None

    def passing(self) -> None:
        self.passed += 1
        if self.passed == self.last:
            os._exit(ENDED)

    def before(self, place: Any, name: str) -> None:
        """Each call of that function passes one before it is done."""
        whole = getattr(place, name)

        def passed(*arguments: Any, **more: Any) -> Any:
            self.passing()
            return whole(*arguments, **more)

        setattr(place, name, passed)

    def install(self) -> None:
        """Statements of mailboxes, transactions, and what is done to files."""
        self.before(driver.Driver, "_execute")
        self.before(Shared, "_transact")
        for name in ("fsync", "fdatasync", "unlink", "replace", "rename"):
            self.before(os, name)


@dataclass
class Scene:
    """One process' parts."""

    settings: Loaded
    office: MailboxOffice
    held: dict[str, Vault]
    life: PolicyLife
    roller: Roller

    async def mailbox(self, address: str) -> Mailbox | None:
        return await self.office.store.find(address)

    async def policy(self, name: str) -> PolicyRow:
        return await self.life.named(name)

    async def texts(self, mailbox: Mailbox) -> list[bytes]:
        """All messages of the inbox."""
        office = self.office
        inbox = await office.store.folder(mailbox.id)
        assert inbox is not None
        found = await office.store.fetch(inbox.id, (await office.store.entries(inbox.id)).uids)
        opened = await office.contents.read_many(await office.mailbox_keys.key(mailbox), [row for _, row in found])
        assert all(isinstance(one, bytes) for one in opened), opened
        return [one for one in opened if isinstance(one, bytes)]

    async def put(self, mailbox: Mailbox, texts: list[bytes], token: bytes | None = None) -> None:
        """Deliver; with a token each of them once, whatever happens."""
        for number, text in enumerate(texts):
            key = await self.office.mailbox_keys.key(mailbox)
            row = await self.office.contents.write(key, Held(text), Head.of(text).to_octets())
            name = None if token is None else token + bytes([number]) * 8
            await self.office.store.add(mailbox.id, None, [NewMessage(content=row, date=0.0, token=name)])


@asynccontextmanager
async def scene(path: Path) -> AsyncIterator[Scene]:
    settings, clock, chance = loaded(path), SystemClock(), SystemChance()
    stores = await open_stores(settings, [], clock=clock, chance=chance, tell=mute, observe=mute)
    held: dict[str, Vault] = vaults(settings)
    office = MailboxOffice(settings, stores, held, clock=clock, chance=chance, tell=mute)
    life = PolicyLife(
        office.store,
        held,
        availability=availability_name(settings),
        clock=clock,
        chance=chance,
        executor=office.executor,
    )
    roller = Roller(
        office.store,
        office.mailbox_keys,
        office.contents.rewrap,
        clock=clock,
        tell=mute,
        executor=office.executor,
        per_second=1e9,
    )
    yield Scene(settings, office, held, life, roller)
    await office.close()
    stores.close()


def mute(*_: object, **__: object) -> None:
    """Nobody listens."""


# -- work, which may find itself half done ----------------------------------------------------------------------------


async def begin(one: Scene) -> None:
    """Two mailboxes under two policies."""
    for vault in ("root-a", "root-b"):
        one.held[vault].create("second", KeyType.AES_256)
    roots = [RootName("root-a", "second"), RootName("root-b", "second")]
    second = await one.life.create("second", roots, custodian=PUBLIC)
    first = await one.policy("default")
    for address, policy in ((IDA, first), (BERT, second)):
        id_ = one.office.store.new_id()
        key = await one.office.mailbox_keys.new(id_, policy.id)
        await one.put(await one.office.store.create(id_, address, address, key), OLD)


async def deliver(one: Scene) -> None:
    await one.put(await there(one, IDA), NEW, b"delivery")


async def roll(one: Scene) -> None:
    mailbox = await there(one, IDA)
    if mailbox.key.version == 1:  # Else it was over.
        await one.roller.roll(await one.office.mailbox_keys.start_roll(mailbox))


async def refresh(one: Scene) -> None:
    if one.held["root-a"].keys()[0].newest == 1:
        one.held["root-a"].rotate("mail")
    await one.life.refresh("default")


async def assign(one: Scene) -> None:
    mailbox = await there(one, IDA)
    if mailbox.policy != (second := await one.policy("second")).id:
        mailbox = await one.office.mailbox_keys.assign(mailbox, second.id, roll=True)
    await one.roller.roll(mailbox)


async def purge(one: Scene) -> None:
    row = await one.policy("second")
    for vault in ("root-a", "root-b"):
        one.held[vault].disable("second")
    ends = policy_purge(
        one.settings,
        one.office.store,
        one.office.stores.shared,
        one.held,
        clock=one.office.clock,
        tell=mute,
        executor=one.office.executor,
    )
    if row.state is PolicyState.READY:
        order = make_order(
            PURGE, "second", PRIVATE, policy_id=row.id, now=one.office.clock.now(), chance=SystemChance()
        )
        row = await ends.order(row, order, grace=0, by="test")
    if row.state is PolicyState.PURGING:
        await ends.finish(row)


async def remove(one: Scene) -> None:
    if (mailbox := await one.mailbox(BERT)) is not None:
        await one.office.store.remove(mailbox.id)
    await one.office.store.sweep()
    names = await one.office.store.garbage(1000)
    await one.office.store.forget_garbage(await one.office.blobs.delete(names))


async def there(one: Scene, address: str) -> Mailbox:
    mailbox = await one.mailbox(address)
    assert mailbox is not None, address
    return mailbox


# -- looking ----------------------------------------------------------------------------------------------------------


async def whole(one: Scene, work: str, *, is_over: bool) -> None:
    """Whether nothing is half: what was there is there, counted right, and every blob is known by name."""
    ida, bert = await there(one, IDA), await one.mailbox(BERT)
    found = await one.texts(ida)
    assert found[: len(OLD)] == OLD
    assert found[len(OLD) :] == (NEW if work == "deliver" and is_over else NEW[: len(found) - len(OLD)])
    assert (ida.messages, ida.used) == (len(found), sum(map(len, found)))
    second = await one.policy("second")
    if bert is not None:
        assert not (work == "remove" and is_over)
        try:
            assert await one.texts(bert) == OLD
            assert not (work == "purge" and is_over)
        except PolicyPurged:
            assert work == "purge" and second.copies == () and (second.purge or {}).get("certificate")
        except MailboxClosed:
            assert work == "purge" and not is_over
            assert len(second.copies) == 3, "closed, and not destroyed: all copies are there"
    if work in ("roll", "assign") and is_over:
        assert ida.next_key is None and await one.office.store.contents_left(ida.id, ida.key.version) == 0
        assert ida.key.version == 2
    if work == "assign" and is_over:
        assert ida.policy == second.id
    if work == "refresh" and is_over:
        assert (await one.policy("default")).copies[0].key_version == 2
    await known(one)


async def known(one: Scene) -> None:
    """Blobs that contents point to are there; whatever else is there, the table of names knows of."""
    files = {path.name for path in (one.settings.storage / "mailboxes").rglob("*") if len(path.name) == 32}
    shared = one.office.stores.shared
    rows = await shared.call(
        lambda connection: (
            driver.Driver(connection).rows("SELECT blobs FROM mailbox_contents"),
            driver.Driver(connection).rows("SELECT name FROM mailbox_blobs"),
        ),
        read=True,
    )
    pointed = {octets[at : at + 16].hex() for (octets,) in rows[0] for at in range(0, len(octets), 16)}
    assert pointed <= files, "a content points to a blob that is not there"
    assert files - pointed <= {bytes(name).hex() for (name,) in rows[1]}, "a blob that nobody knows of"
    mailboxes = {one.id for one in await one.office.store.all_mailboxes() if one.state is MailboxState.READY}
    assert mailboxes


# -- processes --------------------------------------------------------------------------------------------------------

Work = Callable[[Scene], Awaitable[None]]
WORKS: Final[dict[str, Work]] = {
    "deliver": deliver,
    "roll": roll,
    "refresh": refresh,
    "assign": assign,
    "purge": purge,
    "remove": remove,
}


def in_process(path: Path, do: Callable[[Scene], Awaitable[None]], points: Points | None = None) -> int:
    """The exit status of a process of its own that does it."""
    if (pid := os.fork()) == 0:
        child(path, do, points)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def child(path: Path, do: Callable[[Scene], Awaitable[None]], points: Points | None) -> NoReturn:
    async def run() -> None:
        async with scene(path) as one:
            if points is not None:
                points.install()
            await do(one)

    try:
        asyncio.run(run())
    except BaseException:  # noqa: BLE001 - told, whatever it is
        traceback.print_exc()
        os._exit(1)
    if points is not None and points.last is None:
        (path.parent / "passed").write_text(str(points.passed))
    os._exit(0)


def must(status: int, words: str) -> None:
    if status:
        sys.exit(f"{words}: exit status {status}")


def main(path: Path) -> None:
    folder = path.parent
    must(in_process(path, begin), "begin")
    kept = folder.with_name(folder.name + ".kept")
    shutil.copytree(folder, kept)

    def again() -> None:
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)

    for name, work in WORKS.items():
        must(in_process(path, work, Points()), f"{name} to its end")
        passed = int((folder / "passed").read_text())
        must(in_process(path, lambda one, name=name: whole(one, name, is_over=True)), f"{name}, whole")  # type: ignore[misc]
        stops = sorted({1 + number * (passed - 1) // (STOPS - 1) for number in range(STOPS)})
        ended = 0
        for stop in stops:
            again()
            points = Points()
            points.last = stop
            status = in_process(path, work, points)
            if status not in (0, ENDED):  # 0: what runs beside took another order, and it was over before.
                must(status, f"{name} until {stop} of {passed}")
            ended += status == ENDED
            must(
                in_process(path, lambda one, name=name: whole(one, name, is_over=False)),  # type: ignore[misc]
                f"{name}, ended at {stop} of {passed}",
            )
            must(in_process(path, work), f"{name} again, after it was ended at {stop} of {passed}")
            must(
                in_process(path, lambda one, name=name: whole(one, name, is_over=True)),  # type: ignore[misc]
                f"{name}, ended at {stop} of {passed} and done again",
            )
        again()
        print(f"{name}: ended at {ended} of {passed} points", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
