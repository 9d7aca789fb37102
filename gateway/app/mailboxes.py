"""Mailboxes in one process, joined: what is kept, the keys of policies and mailboxes, their contents (DESIGN 4, 21).

Workers deliver with it, the IMAP process reads with it, commands open one for themselves. It opens no vault and asks no
blob before somebody wants a mailbox, so that a gateway without any pays nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

from gateway.app.availability import availability_name, wants_mailboxes
from gateway.app.book_terms import book_terms
from gateway.app.mailbox_blobs import open_mailbox_blobs
from gateway.app.parts import Stores
from gateway.app.policy_check import doubts
from gateway.app.policy_end import policy_purge
from gateway.keys.vault import Vault
from gateway.mailboxes.contents.contents import Contents
from gateway.mailboxes.contents.garbage import Garbage
from gateway.mailboxes.policies.background import PolicyWatch
from gateway.mailboxes.policies.mailbox_keys import MailboxKeys
from gateway.mailboxes.policies.policy_keys import PolicyKeys
from gateway.mailboxes.policies.reopening import Reopening, Waiting
from gateway.mailboxes.policies.roll import Roller
from gateway.settings.load import Loaded
from gateway.storage.mailboxes.mailbox_store import MailboxStore
from gateway.storage.mailboxes.model import PolicyRow
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance
from gateway.world.clock import Clock

WAITING: Final = 4  # Threads that wait for vaults.
SWEEP: Final = 10.0  # Seconds between two looks for keys whose time is over.
CLEAR: Final = 60.0  # Between two looks for rows of folders and mailboxes that were removed.
TRIM: Final = 3600.0  # Between two looks for UIDs and deliveries that nobody asks about any more.


class MailboxOffice:
    """The parts of one process. `store` keeps rows, `policy_keys` and `mailbox_keys` unwrap, `contents` reads and
    writes what messages say.
    """

    def __init__(
        self,
        loaded: Loaded,
        stores: Stores,
        vaults: Mapping[str, Vault],
        *,
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
    ) -> None:
        """Reads no key and connects to nobody yet. Raises StorageBroken where `[mailboxes] blobs` does not do."""
        self.loaded = loaded
        self.stores = stores
        self.clock = clock
        self.chance = chance
        self.tell = tell
        self.executor = stores.executor
        self.store = MailboxStore(stores.shared, stores.sealer, chance=chance, clock=clock)
        # Of its own: who waits for a vault that hangs shall not hold up those who read and write under other keys.
        self._waiting = ThreadPoolExecutor(WAITING, thread_name_prefix="policies")
        availability = availability_name(loaded)
        self.policy_keys = PolicyKeys(
            self.store,
            vaults,
            availability=(availability.vault, availability.key),
            clock=clock,
            chance=chance,
            tell=tell,
            executor=self._waiting,
            cache_seconds=loaded.settings.mailboxes.cache_seconds,
        )
        self.mailbox_keys = MailboxKeys(
            self.store, self.policy_keys, stores.sealer, clock=clock, chance=chance, tell=tell, executor=stores.executor
        )
        self.blobs = open_mailbox_blobs(loaded, stores.executor, clock)
        self.contents = Contents(self.store, self.blobs, executor=stores.executor, chance=chance, clock=clock)
        self._garbage = Garbage(
            self.store, self.blobs, clock=clock, tell=tell, age=loaded.settings.mailboxes.garbage_seconds
        )
        self.watch = self._watch(vaults)
        self._reopening = Reopening(self.store, self.policy_keys, vaults, executor=self._waiting)
        self._told = asyncio.Event()  # A vault or a policy has changed by a command of ours.

    def __repr__(self) -> str:
        return "MailboxOffice()"

    def _watch(self, vaults: Mapping[str, Vault]) -> PolicyWatch:
        clock, tell, executor = self.clock, self.tell, self.executor
        per_second = float(self.loaded.settings.mailboxes.background_per_second)
        rewrap = self.contents.rewrap
        return PolicyWatch(
            self.store,
            self.policy_keys,
            Roller(
                self.store, self.mailbox_keys, rewrap, clock=clock, tell=tell, executor=executor, per_second=per_second
            ),
            policy_purge(
                self.loaded, self.store, self.stores.shared, vaults, clock=clock, tell=tell, executor=executor
            ),
            vaults=vaults,
            clock=clock,
            tell=tell,
            executor=executor,
            doubts=self._doubts,
        )

    async def _doubts(self, policies: list[PolicyRow]) -> list[str]:
        """What `gateway check` would say of the settings for what the database has."""
        loaded = self.loaded
        asked = set(book_terms(loaded).catch_all.values()) if wants_mailboxes(loaded) else set()
        takers = await self.store.find_many(asked) if asked else ()
        return [str(fault) for fault in doubts(loaded, policies, frozenset(takers))]

    def take(self, loaded: Loaded) -> None:
        """Go by these settings, as far as they may change while we run."""
        self.loaded = loaded

    def forget_keys(self) -> None:
        """A vault has changed by a command of ours: what was unwrapped is dropped, and asked for again when wanted."""
        self.policy_keys.forget()
        self.mailbox_keys.forget()
        self.watch.look_again()
        self._told.set()

    @property
    def facts(self) -> dict[str, Any]:
        """For `status`, as JSON: policies that are not as they should be."""
        return {"policies": self.policy_keys.facts, "watch": self.watch.facts}

    # -- what nobody asks for -----------------------------------------------------------------------------------------

    async def keep(self, waiting: Waiting) -> None:
        """Let go of keys whose time is over, and have mail tried that waited for a policy which is open again, for
        ever; every process does.
        """
        while True:
            with suppress(TimeoutError):
                async with self.clock.timeout(SWEEP):
                    await self._told.wait()
            self._told.clear()
            self.policy_keys.sweep()
            if not wants_mailboxes(self.loaded):
                continue
            try:
                await self._reopening.look(waiting)
            except (StorageBroken, StorageFull, KeysClosed, SealBroken) as error:
                self.tell("warning", "closed_mail_not_hastened", error=str(error))

    async def tend(self) -> None:
        """Roll keys, end policies whose grace is over, clear what is garbage, for ever; one process sees to it."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.watch.run())
            tasks.create_task(self._garbage.run())
            tasks.create_task(self._clear())

    async def _clear(self) -> None:
        trimmed = float("-inf")
        while True:
            try:
                if count := await self.store.sweep():
                    self.tell("info", "mailbox_rows_cleared", messages=count)
                if self.clock.monotonic() - trimmed >= TRIM:
                    trimmed = self.clock.monotonic()
                    await self.store.trim()
            except (StorageBroken, StorageFull, KeysClosed, SealBroken) as error:
                self.tell("warning", "mailbox_rows_not_cleared", error=str(error))
            await self.clock.sleep(CLEAR)

    async def close(self) -> None:
        """Wait for what is under way in the background."""
        await self.contents.close()
        self._waiting.shutdown(wait=False, cancel_futures=True)
