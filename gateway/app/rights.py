"""Rights-managed mail in one process, joined: what is kept, the tenant key, the desk; and what ends with time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gateway.app.blobs import EVERY, keep_clear
from gateway.app.officer import officer_mail
from gateway.app.parts import Stores
from gateway.app.rights_desk import RightsDesk, SuperUser
from gateway.app.tenant import VaultTenant, archived, tenant_name, wants_tenant
from gateway.keys.vault import Vault
from gateway.mail.address import parse_address
from gateway.mail.mail import Mail
from gateway.rights.opening import OpenedMessage
from gateway.rights.tenant import TenantFault
from gateway.rights.terms import RightsTerms
from gateway.settings.load import Loaded
from gateway.storage.licence_log import LicenceLog
from gateway.storage.rights import RightsStore
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance
from gateway.world.clock import Clock

SWEEP: Final = 60.0  # Seconds between two looks for messages that have expired: licences count in minutes.


class RightsOffice:
    """The parts of one process. `store` keeps, `tenant` seals and opens, `desk` gives licences, `log` tells of them."""

    def __init__(
        self,
        loaded: Loaded,
        stores: Stores,
        vaults: Mapping[str, Vault],
        *,
        terms: Callable[[], RightsTerms],
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
        count: Callable[[str, tuple[str, ...]], None] = lambda name, labels: None,
        submit: Callable[[Mail], Awaitable[str]] | None = None,
        ids: Callable[[], str] | None = None,
        hostname: Callable[[], str] = lambda: "localhost",
    ) -> None:
        """`terms` gives those of the moment. `submit` takes a mail of ours and returns its queue id, `ids` makes new
        queue ids; both None where nothing serves. Reads the archived keys; raises TenantDenied where one is no key.
        """
        self._stores = stores
        self._terms = terms
        self._clock = clock
        self._tell = tell
        self._submit = submit
        self._ids = ids
        self._hostname = hostname
        self.store = RightsStore(
            stores.shared, stores.sealer, chance=chance, blobs=stores.copies, executor=stores.executor
        )
        self.log = LicenceLog(stores.shared, stores.sealer)
        self.tenant = VaultTenant(vaults, tenant_name(loaded), monotonic=clock.monotonic, archive=archived(loaded))
        self.desk = RightsDesk(
            self.store, self.log, self.tenant, executor=stores.executor, clock=clock, tell=tell, count=count
        )
        self.super_user = SuperUser(self.desk, terms=terms, notify=None if submit is None else self._notify)

        self._wants_tenant = wants_tenant(loaded)
        self._links_left = True  # Whether links of forgotten messages may be left, as after a process that died.
        self.fault: str | None = None  # Why nothing can be sealed, where mail is to be; as of the last look.

    def __repr__(self) -> str:
        return f"RightsOffice({self.tenant!r})"

    @property
    def terms(self) -> RightsTerms:
        """Those of the moment."""
        return self._terms()

    async def _notify(self, opened: OpenedMessage, account: str) -> None:
        officer = self._terms().notify_officer
        if officer is None or self._submit is None or self._ids is None:
            return
        mail = officer_mail(
            id=self._ids(),
            to=parse_address(officer),
            account=account,
            opened=opened,
            hostname=self._hostname(),
            now=self._clock.now(),
        )
        await self._submit(mail)

    # -- what ends with time ------------------------------------------------------------------------------------------

    async def sweep(self) -> None:
        """Destroy the copies of what has expired. Never raises for what can't be done now."""
        now = self._clock.now()
        try:
            if count := await self.store.sweep(now):
                self._tell("info", "copies_destroyed", copies=count)
        except (StorageBroken, StorageFull) as error:
            self._tell("warning", "copies_not_destroyed", error=str(error))

    async def watch(self) -> None:
        """Sweep again and again, for ever; one process sees to it."""
        erased = float("-inf")
        while True:
            await self.sweep()
            await self.look()
            if self._clock.monotonic() - erased >= EVERY:
                erased = self._clock.monotonic()
                await self._erase()
            await self._clock.sleep(SWEEP)

    async def look(self) -> None:
        """Whether mail could be sealed now, for `status` and the log."""
        if not self._wants_tenant:
            return
        before, self.fault = self.fault, await asyncio.get_running_loop().run_in_executor(None, self._why_not)
        if self.fault is not None and before is None:
            self._tell("error", "tenant_key_unusable", reason=self.fault)
        elif self.fault is None and before is not None:
            self._tell("warning", "tenant_key_usable")

    def _why_not(self) -> str | None:
        try:
            self.tenant.check()
        except TenantFault as fault:
            return str(fault)
        return None

    async def clear(self) -> None:
        """Clear blobs of copies that were never kept, or are destroyed, for ever."""
        await keep_clear(self._stores.copies, self.store.known_blobs, self._clock, self._tell)

    async def _erase(self) -> None:
        """Old lines of the licence log, and what is kept of messages that had expired by then. Never raises for what
        can't be done now.
        """
        before = self._clock.now() - self._terms().log_days * 86400.0
        try:
            while await self.log.erase(before) > 0:
                await self._clock.sleep(0.1)
            await self._forget(before)
        except (StorageBroken, StorageFull) as error:
            self._tell("warning", "licence_log_not_erased", error=str(error))

    async def _forget(self, before: float) -> None:
        messages = 0
        while (count := await self.store.forget(before)) > 0:
            messages += count
            self._links_left = True
            await self._clock.sleep(0.1)
        if messages:
            self._tell("info", "protected_messages_forgotten", messages=messages)
        if self._links_left:
            after = await self.store.forget_links()
            while after is not None:
                await self._clock.sleep(0.1)
                after = await self.store.forget_links(after)
            self._links_left = False
