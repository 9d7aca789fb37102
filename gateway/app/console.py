"""The command line's way in: to the running gateway by its control socket, or to the data as they lie."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway import __version__
from gateway.app import build
from gateway.app.certificate_commands import CertificateCommands
from gateway.app.channel import Fault
from gateway.app.commands import ELSEWHERE, Commands
from gateway.app.database import database
from gateway.app.dkim import Dkim
from gateway.app.file_vaults import AtTerminal, unlocked
from gateway.app.key_log import open_log, person, recorded
from gateway.app.key_log_reader import COMMANDS as KEY_LOG_COMMANDS
from gateway.app.key_log_reader import LogReader
from gateway.app.key_watch import protection_warnings
from gateway.app.keyring import Keyring, vaults
from gateway.app.keys import COMMANDS as KEY_COMMANDS
from gateway.app.keys import Keys, open_each
from gateway.app.lock import FileLock, InUse
from gateway.app.mailbox_commands import MailboxCommands
from gateway.app.mailboxes import MailboxOffice
from gateway.app.migrate import migrate
from gateway.app.own_certificates import certificate_warnings
from gateway.app.parts import Stores, open_stores
from gateway.app.people import People
from gateway.app.places import Places
from gateway.app.policies import PolicyCommands
from gateway.app.queue_counts import of_the_queue, queue_counts
from gateway.app.rights import RightsOffice
from gateway.app.rights_check import rights_terms
from gateway.app.rights_commands import RightsCommands, portal_url
from gateway.app.selftest import tested
from gateway.app.status import NOT_RUNNING, NOT_RUNNING_HERE, cryptography, queue_warnings, vault_warnings, warning
from gateway.connectors.outbound import outbounds
from gateway.connectors.patterns import accepted
from gateway.keys.access_writer import AccessLog
from gateway.keys.keeper import Trouble
from gateway.keys.vault import KeyFault, Vault
from gateway.settings.fault import BadSettings
from gateway.settings.load import Loaded, loaded, read
from gateway.storage.certificates import CertificateStore
from gateway.storage.sharing import SharedStore
from gateway.storage.spooling import QUARANTINED
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world import os_error
from gateway.world.account import account_name
from gateway.world.chance import SystemChance
from gateway.world.clock import Clock, SystemClock, rfc3339
from gateway.world.sockets import control_socket

TIMEOUT = 60.0  # Seconds for an answer of the running gateway.


class ConsoleFault(Exception):
    """The answer is no; the text is for people."""


class Console:
    """One gateway, serving or not. Blocks."""

    def __init__(self, settings: Loaded, serving: bool) -> None:
        self._settings = settings
        self._places = Places.of(settings)
        self.serving = serving
        self.otherness: str | None = None

    @staticmethod
    def open(path: Path) -> Console:
        """The gateway whose settings stand at `path`. Raises BadSettings, ConsoleFault."""
        reading = read(path)
        if reading.loaded is None:
            raise BadSettings(reading.faults)
        settings = reading.loaded  # With faults it will still do to find the gateway that runs on what was good.
        places = Places.of(settings)
        try:
            control_socket(places.control, timeout=5).close()
        except (FileNotFoundError, ConnectionRefusedError):
            return Console(tested(loaded(path)), serving=False)
        except OSError as error:
            raise ConsoleFault(f"the gateway can't be reached: {os_error.words(error)}") from error
        return Console(settings, serving=True)

    def ask(self, command: str, **arguments: Any) -> Any:
        """The answer, a JSON value. Raises ConsoleFault."""
        try:
            if command in KEY_LOG_COMMANDS:  # Read as it lies, also while a gateway serves.
                return LogReader(self._settings, SystemClock()).answer(command, arguments)
            if command in KEY_COMMANDS or command.startswith(("held.", "rights.", "policy.")):
                arguments["by"] = account_name()  # Who it was stands in the key-access log, or the trace.
            if self.serving:
                return self._ask_running(command, arguments)
            return asyncio.run(self._ask_files(command, arguments))
        except Fault as fault:
            raise ConsoleFault(str(fault)) from fault
        except InUse as error:
            raise ConsoleFault(
                f"{error} that answers no commands: a gateway that starts or stops at this moment, another command, or "
                f"a gateway whose control socket {self._places.control} was removed, which has to be restarted"
            ) from error
        except (KeyFault, StorageBroken, StorageFull) as error:
            raise ConsoleFault(str(error)) from error
        except OSError as error:
            silent = "the gateway does not answer: " if self.serving else ""
            raise ConsoleFault(f"{silent}{os_error.words(error)}") from error

    def _ask_running(self, command: str, arguments: dict[str, Any]) -> Any:
        with control_socket(self._places.control, timeout=TIMEOUT) as door, door.makefile("rwb") as stream:
            question = {"id": 1, "ask": command, "with": arguments, build.VERSION: __version__}
            stream.write(json.dumps(question).encode() + b"\n")
            stream.flush()
            line = stream.readline()
        if not line:
            raise ConsoleFault("the gateway hung up; it may be stopping. Try again")
        answer = json.loads(line)
        self.otherness = build.difference(answer)
        if "fault" in answer:
            raise ConsoleFault("\n".join(text for text in (answer["fault"], self.otherness) if text is not None))
        if command == "status" and self.otherness is not None:
            answer["answer"]["warnings"].append(warning("other_version", self.otherness))
        return answer["answer"]

    async def _ask_files(self, command: str, arguments: dict[str, Any]) -> Any:
        if command == "reload":
            raise Fault("nothing serves with these settings; gateway serve starts it")
        if command in KEY_COMMANDS:
            return await self._ask_keys(command, arguments)
        makes = _makes(command)
        if self._settings.is_shared:
            return await self._ask_shared(command, arguments)
        if not self._places.shared.exists():
            if not makes:
                return self._nothing_yet(command, arguments)
            self._places.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(self._places.lock)
        try:
            if makes:  # Accounts are made before the first start, and after an update before the next one.
                await asyncio.to_thread(migrate, self._settings.path)
            return await self._ask_locked(command, arguments)
        finally:
            lock.release()

    async def _ask_keys(self, command: str, arguments: dict[str, Any]) -> Any:
        """Without the domain keys: what was disabled has to be enabled somehow."""
        lock = None
        if not self._settings.is_shared and self._places.data.is_dir():  # Nobody shall start meanwhile.
            lock = FileLock(self._places.lock)
        masters = await asyncio.to_thread(typed_masters, self._settings)
        try:
            return await self._keys(masters).answer(command, arguments)
        finally:
            if lock is not None:
                lock.release()

    def _keys(self, masters: Mapping[str, bytes]) -> Keys:
        return Keys(
            lambda: self._settings,
            open_vaults=lambda loaded: open_each(loaded, masters),
            clock=SystemClock(),
            chance=SystemChance(),
            tell=lambda *_, **__: None,
            changed=_nobody,
        )

    async def _ask_shared(self, command: str, arguments: dict[str, Any]) -> Any:
        """On PostgreSQL other gateways may be at work meanwhile; nothing is locked, and the spool knows of them."""
        from gateway.storage.postgres.form import State
        from gateway.storage.postgres.probe import probe

        there = database(self._settings)
        seen = await asyncio.to_thread(probe, there)
        if seen.fault is not None:
            raise Fault(seen.fault)
        if seen.state is State.OLDER:  # Not migrated in passing: the others may be of that older version.
            raise Fault(f"{there.shown} is {seen.state.value}; say: gateway migrate")
        if seen.state is State.EMPTY:
            if not _makes(command):
                return self._nothing_yet(command, arguments)
            await asyncio.to_thread(migrate, self._settings.path)
        return await self._ask_locked(command, arguments)

    async def _ask_locked(self, command: str, arguments: dict[str, Any]) -> Any:
        clock = SystemClock()
        try:
            stores = await self._open_stores(clock)
        except KeyFault as fault:
            if command != "status":
                raise
            return await self._status_without_keys(clock, fault)
        try:
            async with asyncio.TaskGroup() as tasks:
                mover = tasks.create_task(stores.mover.run())
                if command == "trace":
                    for spool in stores.spools:
                        await stores.mover.recover(spool)
                    await stores.mover.finish(10.0)
                if command == "status":
                    answer = await self._status(stores.spools, clock.now())
                    answer["warnings"] += await asyncio.to_thread(self._away, clock.now())
                elif command.startswith("user."):
                    answer = await self._ask_people(stores, clock, command, arguments)
                elif command.startswith("mailbox."):
                    answer = await self._ask_mailboxes(stores, clock, command, arguments)
                elif command.startswith("policy."):
                    answer = await self._ask_policies(stores, clock, command, arguments)
                elif command.startswith("dkim."):
                    answer = await self._ask_dkim(stores, clock, command, arguments)
                elif command.startswith("rights."):
                    answer = await self._ask_rights(stores, clock, command, arguments)
                elif command.startswith("certificate."):
                    answer = await self._ask_certificates(stores, clock, command, arguments)
                    if command == "certificate.import":
                        after = ELSEWHERE if self._settings.is_shared else 0.0
                        answer["tried"] = await self._commands(stores, clock).protect(after)
                else:
                    answer = await self._commands(stores, clock).answer(command, arguments)
                await stores.mover.finish(10.0)
                mover.cancel()
        except BaseExceptionGroup as group:  # Not `except*`: what is raised in such a block comes out in a group again.
            if (faults := group.subgroup(Fault)) is None:
                raise
            raise faults.exceptions[0] from None
        finally:
            await asyncio.to_thread(stores.close)
        return answer

    def _commands(self, stores: Stores, clock: Clock) -> Commands:
        return Commands(
            stores.spools,
            stores.traces,
            clock,
            expire=lambda: self._settings.settings.retry.expire,
            in_hand=tuple,
            give_back=_nothing,
            wake=lambda: None,
        )

    async def _open_stores(self, clock: Clock, ring: Keyring | None = None) -> Stores:
        return await open_stores(
            self._settings,
            [] if self._settings.is_shared else self._places.spools(),
            clock=clock,
            chance=SystemChance(),
            tell=lambda *_, **__: None,
            observe=lambda *_: None,
            keyring=ring,
        )

    async def _status_without_keys(self, clock: Clock, fault: KeyFault) -> dict[str, Any]:
        """Where a vault does not open: as a process that serves would start then, since rows are counted sealed.

        Raises `fault` where no vault is to blame.
        """
        logs: list[AccessLog] = []

        def recorder(shared: SharedStore) -> AccessLog:
            logs.append(open_log(self._settings, shared, process=person(), clock=clock, tell=lambda *_, **__: None))
            return logs[-1]

        ring = Keyring(
            self._settings,
            clock=clock,
            chance=SystemChance(),
            tell=lambda *_, **__: None,
            who=person(),
            alone=not self._settings.is_shared,
            recorder=recorder,
        )
        stores = await self._open_stores(clock, ring)
        try:
            answer = await self._status(stores.spools, clock.now())
        finally:
            for log in logs:
                await asyncio.to_thread(log.close)
            await asyncio.to_thread(stores.close)
        if not (away := vault_warnings([{"keys": {"vaults": ring.keeper.facts["vaults"]}}])):
            raise fault
        answer["warnings"] += away
        return answer

    async def _ask_people(self, stores: Stores, clock: Clock, command: str, arguments: dict[str, Any]) -> Any:
        people = self._people(stores, clock)
        try:
            return await people.answer(command, arguments)
        finally:
            await asyncio.to_thread(people.close)

    def _people(self, stores: Stores, clock: Clock) -> People:
        return People(
            stores.shared,
            stores.sealer,
            fips=self._settings.settings.security.fips,
            clock=clock,
            chance=SystemChance(),
            tell=lambda *_, **__: None,
            accepted=lambda: accepted(self._settings),
        )

    async def _ask_policies(self, stores: Stores, clock: Clock, command: str, arguments: dict[str, Any]) -> Any:
        by = arguments.pop("by")
        with recorded(self._settings, stores.shared, self._guarded(clock), process=person(by), clock=clock) as held:
            office = MailboxOffice(
                self._settings, stores, held, clock=clock, chance=SystemChance(), tell=lambda *_, **__: None
            )
            return await PolicyCommands(office, by=by).answer(command, arguments)

    def _guarded(self, clock: Clock) -> dict[str, Vault]:
        """The vaults, none of them open yet: one that does not open hides no other."""
        is_alone = not self._settings.is_shared
        return Keyring(
            self._settings,
            clock=clock,
            chance=SystemChance(),
            tell=lambda *_, **__: None,
            who=person(),
            alone=is_alone,
        ).vaults

    async def _ask_mailboxes(self, stores: Stores, clock: Clock, command: str, arguments: dict[str, Any]) -> Any:
        terms = await asyncio.to_thread(outbounds, self._settings)
        people = self._people(stores, clock)
        try:
            with recorded(self._settings, stores.shared, self._guarded(clock), process=person(), clock=clock) as held:
                office = MailboxOffice(
                    self._settings, stores, held, clock=clock, chance=SystemChance(), tell=lambda *_, **__: None
                )
                return await MailboxCommands(
                    office,
                    people,
                    section=lambda: self._settings.settings.mailboxes,
                    accepted=lambda: accepted(self._settings),
                    outbounds=lambda: terms,
                    changed=lambda: None,
                ).answer(command, arguments)
        finally:
            await asyncio.to_thread(people.close)

    async def _ask_dkim(self, stores: Stores, clock: Clock, command: str, arguments: dict[str, Any]) -> Any:
        opened = await asyncio.to_thread(vaults, self._settings)
        with recorded(self._settings, stores.shared, opened, process=person(), clock=clock) as held:
            return await Dkim(
                stores.shared,
                stores.sealer,
                held,
                vault=lambda: self._settings.settings.dkim.vault,
                clock=clock,
                chance=SystemChance(),
                tell=lambda *_, **__: None,
                accepted=lambda: accepted(self._settings),
            ).answer(command, arguments)

    async def _ask_rights(self, stores: Stores, clock: Clock, command: str, arguments: dict[str, Any]) -> Any:
        terms = rights_terms(self._settings)
        opened = await asyncio.to_thread(vaults, self._settings)
        with recorded(self._settings, stores.shared, opened, process=person(), clock=clock) as held:
            office = RightsOffice(
                self._settings,
                stores,
                held,
                terms=lambda: terms,
                clock=clock,
                chance=SystemChance(),
                tell=lambda *_, **__: None,
            )
            commands = RightsCommands(office, clock=clock, chance=SystemChance(), url=portal_url(self._settings))
            return await commands.answer(command, arguments)

    async def _ask_certificates(self, stores: Stores, clock: Clock, command: str, arguments: dict[str, Any]) -> Any:
        return await CertificateCommands(
            CertificateStore(stores.shared, stores.sealer),
            accepted=lambda: accepted(self._settings),
            clock=clock,
            tell=lambda *_, **__: None,
        ).answer(command, arguments)

    async def _status(self, spools: Any, now: float) -> dict[str, Any]:
        queue, oldest = await queue_counts(spools)
        spare: frozenset[str] = frozenset()
        with suppress(Fault):  # Of the vaults that do not open `status` tells by itself.
            spare = await self._keys({}).spare(person())
        return {
            "processes": [],
            "listeners": [],
            "queue": of_the_queue(queue),
            "quarantine": queue[QUARANTINED],
            "oldest_waiting": None if oldest is None else rfc3339(oldest),
            "cryptography": cryptography(self._settings),
            "warnings": [
                self._not_running,
                *certificate_warnings(self._settings, now),
                *protection_warnings(self._settings, spare),
                *queue_warnings(self._settings, queue, oldest, now),
            ],
        }

    def _away(self, now: float) -> list[dict[str, str]]:
        """The vaults that do not open, where mail can be kept without them. Blocks."""
        faults = open_each(self._settings).faults
        away = {name: Trouble(fault, now).facts for name, fault in faults.items()}
        return vault_warnings([{"keys": {"vaults": away}}])

    @property
    def _not_running(self) -> dict[str, str]:
        return NOT_RUNNING_HERE if self._settings.is_shared else NOT_RUNNING

    def _nothing_yet(self, command: str, arguments: dict[str, Any]) -> Any:
        """Before the first start there are no databases, and so no mail."""
        if command == "status":
            warnings = [self._not_running]
            return {
                "processes": [],
                "listeners": [],
                "queue": of_the_queue({}),
                "quarantine": 0,
                "oldest_waiting": None,
                "cryptography": cryptography(self._settings),
                "warnings": warnings,
            }
        if command.startswith("queue.") and command not in ("queue.list", "queue.show"):
            return {"changed": [], "missing": [], "sending": []}
        if command in ("held.release", "held.delete"):
            return {"changed": [], "missing": arguments.get("ids") or [], "sending": []}
        if command == "rights.revoke":
            raise Fault("nothing was ever sealed here")
        return None if command == "held.read" else []


def _makes(command: str) -> bool:
    """Whether it needs the shared database even where there is none yet."""
    if command in ("user.list", "dkim.list", "certificate.list", "mailbox.list", "policy.list", "policy.backups"):
        return False
    kinds = ("user.", "dkim.", "certificate.", "mailbox.", "policy.")
    return command.startswith(kinds) or command in ("rights.open", "rights.seal")


async def _nothing(ids: object) -> None:
    """There is no runner that could hold anything."""


async def _nobody() -> None:
    """No process runs that had to be told of a change."""


def typed_masters(settings: Loaded) -> dict[str, bytes]:
    """Master keys of vaults that a passphrase opens; a person at the terminal is asked for it. Blocks."""
    try:
        return unlocked(settings, AtTerminal() if sys.stdin.isatty() else None)
    except KeyFault:  # Each command says by itself which vault does not open, and why.
        return {}
