"""What moves or reads a mailbox's whole content: export, import, verify, a key roll. Run by the command itself.

It opens the shared database, the vaults and the blobs as a process of its own, beside a gateway that serves or alone:
files are read and written as whoever calls it, and workers have nothing to do with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gateway.app.console import ConsoleFault, typed_masters
from gateway.app.key_log import open_log, person, who
from gateway.app.keyring import Keyring
from gateway.app.mailbox_heads import head_of
from gateway.app.mailboxes import MailboxOffice
from gateway.app.parts import open_stores
from gateway.keys.access_writer import AccessLog
from gateway.keys.vault import KeyFault
from gateway.mail.address import BadAddress, parse_address
from gateway.mailboxes.faults import MailboxClosed
from gateway.mailboxes.policies.roll import Progress, Roller
from gateway.mailboxes.transfer.exporting import Exported, Exporter, ExportRefused
from gateway.mailboxes.transfer.found import BadSource
from gateway.mailboxes.transfer.importing import Imported, Importer, ImportStopped
from gateway.mailboxes.transfer.mbox import Form
from gateway.mailboxes.transfer.room import Room
from gateway.mailboxes.transfer.verifying import Fault, Verified, Verifier
from gateway.settings.load import Loaded, loaded
from gateway.storage.mailboxes.faults import MailboxFault
from gateway.storage.mailboxes.model import INBOX, Mailbox
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock

Watch = Callable[[int, int], None]  # How far it is: done, and of how many.


class MailboxBulk:
    """One gateway's mailboxes, opened for one command. Blocks. All raise ConsoleFault, whose text is for people."""

    def __init__(self, settings: Loaded) -> None:
        self._settings = settings

    @staticmethod
    def open(path: Path) -> MailboxBulk:
        """Those of the gateway whose settings stand at `path`. Raises BadSettings."""
        return MailboxBulk(loaded(path))

    def verify(self, address: str, watch: Watch) -> dict[str, Any]:
        """Look whether every message opens."""

        async def work(office: MailboxOffice, mailbox: Mailbox) -> dict[str, Any]:
            def told(one: Verified) -> None:
                watch(one.done, one.total)

            done = await Verifier(_room(office)).run(mailbox, on_progress=told)
            return {
                "messages": done.total,
                "octets": done.octets,
                "damaged": done.damaged,
                "faults": _rows(done.faults),
            }

        return self._run(address, work)

    def export(self, address: str, to: Path, watch: Watch) -> dict[str, Any]:
        """Write everything into a folder, in clear."""

        async def work(office: MailboxOffice, mailbox: Mailbox) -> dict[str, Any]:
            def told(one: Exported) -> None:
                watch(one.done, one.total)

            done = await Exporter(_room(office)).run(mailbox, to, on_progress=told)
            return {
                "to": str(to),
                "messages": done.total,
                "written": done.written,
                "present": done.present,
                "octets": done.octets,
                "damaged": done.damaged,
                "faults": _rows(done.faults),
            }

        return self._run(address, work)

    def bring(self, address: str, path: Path, folder: str, form: str, again: bool, watch: Watch) -> dict[str, Any]:
        """Import what lies at `path` into a folder of the mailbox."""

        async def work(office: MailboxOffice, mailbox: Mailbox) -> dict[str, Any]:
            def told(one: Imported) -> None:
                watch(one.octets, one.total)

            importer = Importer(_room(office), office.stores.sealer, head_of=head_of, clock=office.clock)
            done = await importer.run(
                mailbox, path, folder=folder or INBOX, form=Form(form), again=again, on_progress=told
            )
            return {
                "path": str(path),
                "folder": folder or INBOX,
                "added": done.added,
                "present": done.present,
                "skipped": done.skipped,
                "reasons": [{"place": str(one.place), "why": one.why} for one in done.told],
            }

        return self._run(address, work)

    def roll(self, address: str, watch: Watch) -> dict[str, Any]:
        """Go on with a key roll that was begun, to its end."""

        async def work(office: MailboxOffice, mailbox: Mailbox) -> dict[str, Any]:
            def told(one: Progress) -> None:
                watch(one.done, one.done + one.left)

            per_second = float(office.loaded.settings.mailboxes.background_per_second)
            roller = Roller(
                office.store,
                office.mailbox_keys,
                office.contents.rewrap,
                clock=office.clock,
                tell=office.tell,
                executor=office.executor,
                per_second=per_second,
            )
            done = await roller.roll(mailbox, told)
            return {"wrapped": done.done, "left": done.left, "damaged": done.damaged}

        return self._run(address, work)

    def _run(self, address: str, work: Callable[[MailboxOffice, Mailbox], Any]) -> dict[str, Any]:
        async def whole() -> dict[str, Any]:
            async with _opened(self._settings) as office:
                mailbox = await _there(office, address)
                answer: dict[str, Any] = await work(office, mailbox)
                return {"address": mailbox.address} | answer

        try:
            return asyncio.run(whole())
        except (MailboxClosed, MailboxFault, ExportRefused, ImportStopped, BadSource) as fault:
            raise ConsoleFault(str(fault)) from fault
        except (StorageBroken, StorageFull, SealBroken, KeysClosed, KeyFault) as error:
            raise ConsoleFault(f"the mailboxes can't be used: {error}") from error
        except OSError as error:
            raise ConsoleFault(f"{error.filename or 'a file'}: {error.strerror or error}") from error


@asynccontextmanager
async def _opened(settings: Loaded) -> AsyncIterator[MailboxOffice]:
    """As a process that serves has them: a vault that a passphrase opens is asked for at the terminal, and keys are
    looked after for as long as it takes.
    """
    clock, chance = SystemClock(), SystemChance()
    logs: list[AccessLog] = []

    def recorder(shared: SharedStore) -> AccessLog:
        logs.append(open_log(settings, shared, process=person(), clock=clock, tell=_mute))
        return logs[-1]

    ring = Keyring(
        settings,
        clock=clock,
        chance=chance,
        tell=_mute,
        who=who(settings, person()),
        alone=False,
        masters=await asyncio.to_thread(typed_masters, settings),
        recorder=recorder,
    )
    stores = await open_stores(
        settings, [], clock=clock, chance=chance, tell=_mute, observe=lambda *_: None, keyring=ring
    )
    try:
        office = MailboxOffice(settings, stores, ring.vaults, clock=clock, chance=chance, tell=_mute)
        keeper = asyncio.get_running_loop().create_task(ring.keeper.run())
        try:
            yield office
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)
            await office.close()
    finally:
        for log in logs:
            await asyncio.to_thread(log.close)
        await asyncio.to_thread(stores.close)


def _mute(*_: object, **__: object) -> None:
    """The command says what there is to say."""


async def _there(office: MailboxOffice, address: str) -> Mailbox:
    try:
        name = parse_address(address).who
    except BadAddress as error:
        raise ConsoleFault(
            f"{address[:256]!r} is no address ({error}); right would be such as ida@corp.example"
        ) from None
    mailbox = await office.store.find(name)
    if mailbox is None:
        raise ConsoleFault(f"there is no mailbox {name}; gateway mailbox list shows those that are there")
    return mailbox


def _room(office: MailboxOffice) -> Room:
    return Room(office.store, office.contents, office.mailbox_keys, office.executor)


def _rows(faults: list[Fault]) -> list[dict[str, Any]]:
    return [{"folder": one.folder, "uid": one.uid, "damage": one.damage.value, "text": one.text} for one in faults]
