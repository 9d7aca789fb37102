"""The stages of the one way that judge and change mail, as one worker has them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.app.certificates import Certificates
from gateway.app.dkim import Dkim
from gateway.app.parts import Stores
from gateway.app.protection import Protection
from gateway.app.rights import RightsOffice
from gateway.app.rules import TransportRules, internal
from gateway.app.terms import Policy
from gateway.authenticate.arriving import Arrivals
from gateway.authenticate.dkim.verify import Verifier
from gateway.authenticate.signing import Signing
from gateway.authenticate.signing import Terms as SigningTerms
from gateway.authenticate.stage import Authenticating
from gateway.keys.vault import Vault
from gateway.mail.envelope import Client
from gateway.mail.mail import Mail
from gateway.mail.plan import Plan
from gateway.observe.log import Log
from gateway.observe.metrics import Metrics
from gateway.settings.load import Loaded
from gateway.world.chance import Chance
from gateway.world.clock import Clock
from gateway.world.names import Names


class Stages:
    """`policy` gives the terms of the moment, `settings` the file's."""

    def __init__(
        self,
        stores: Stores,
        vaults: Mapping[str, Vault],
        names: Names,
        *,
        settings: Callable[[], Loaded],
        policy: Callable[[], Policy],
        clock: Clock,
        chance: Chance,
        log: Log,
        metrics: Metrics,
        ids: Callable[[], str],
        submit: Callable[[Mail], Awaitable[str]],
        office: RightsOffice | None = None,
    ) -> None:
        self._policy = policy
        self.signing = Signing(
            SigningTerms.from_settings(settings().settings.dkim),
            vaults=vaults,
            is_ours=self.is_ours,
            clock=clock,
            tell=log.tell,
            count=metrics.count,
        )
        self.dkim = Dkim(
            stores.shared,
            stores.sealer,
            vaults,
            vault=lambda: settings().settings.dkim.vault,
            clock=clock,
            chance=chance,
            tell=log.tell,
            accepted=lambda: policy().accepted,
            changed=self.signing.use,
        )
        self._is_inside = internal(settings())
        self.certificates, self.protection = self._smime(
            stores, ids, office, clock=clock, chance=chance, log=log, metrics=metrics
        )
        self.transport = TransportRules(
            stores.sealer,
            settings=settings,
            policy=policy,
            is_ours=self.is_ours,
            is_sure=self.protection.is_sure,
            submit=submit,
            sealed=self.protection.protecting.sealed,
            ids=ids,
            clock=clock,
            log=log,
            metrics=metrics,
        )
        terms = policy().authenticate
        self.arrivals = Arrivals(terms, stores.executor, signs=self.signing.may_sign)
        self.authenticating = Authenticating(
            terms, Verifier(names, clock, stores.executor), is_ours=self.is_ours, count=metrics.count
        )

    def _smime(
        self,
        stores: Stores,
        ids: Callable[[], str],
        office: RightsOffice | None,
        *,
        clock: Clock,
        chance: Chance,
        log: Log,
        metrics: Metrics,
    ) -> tuple[Certificates, Protection]:
        """What is known of certificates, and the two stages that use it."""
        policy = self._policy
        certificates = Certificates(
            stores.shared,
            stores.sealer,
            terms=lambda: policy().smime,
            accepted=lambda: policy().accepted,
            clock=clock,
            tell=log.tell,
        )
        protection = Protection(
            certificates,
            policy=policy,
            terms=lambda: policy().smime,
            is_ours=self.is_ours,
            is_inside=lambda domain: self._is_inside(domain),
            ids=ids,
            clock=clock,
            chance=chance,
            log=log,
            metrics=metrics,
            office=office,
        )
        return certificates, protection

    def is_ours(self, client: Client | None, connector: str | None) -> bool:
        """Whether mail comes from our side: the gateway itself (no client), people who logged in, servers of ours."""
        if client is None or client.user is not None:
            return True
        inbound = self._policy().inbounds.named(connector)
        return inbound is not None and inbound.on_premises

    # -- the pipeline's, None where nothing asks for one --------------------------------------------------------------

    @property
    def open(self) -> Callable[[Mail], Awaitable[Mail]] | None:
        """What is signed or encrypted is opened."""
        return self.protection.opening

    @property
    def rules(self) -> Callable[[Mail], Awaitable[Plan]] | None:
        """Transport rules."""
        return self.transport.stage

    @property
    def protect(self) -> Callable[[Plan], Awaitable[Plan]] | None:
        """The ladder of protection."""
        return self.protection.protecting

    @property
    def again(self) -> Callable[[Plan], Awaitable[Plan]]:
        """The same for a stored copy that waits."""
        return self.protection.again

    @property
    def open_again(self) -> Callable[[Mail], Awaitable[Mail]]:
        """`open` for a stored mail that was released."""
        return self.protection.opening.again

    # -- life ---------------------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Read what lies in the shared database. Never raises for what can't be read now."""
        await self.dkim.look()
        await self.certificates.look()

    async def watch(self) -> None:
        """Look again and again, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.dkim.watch())
            tasks.create_task(self.certificates.watch())

    def answers(self, command: str) -> bool:
        """Whether a command of the supervisor is for one of these."""
        return command.startswith(("dkim.", "certificate."))

    async def answer(self, command: str, arguments: dict[str, Any]) -> Any:
        """A JSON value. Raises Fault."""
        if command.startswith("certificate."):
            return await self.certificates.answer(command, arguments)
        return await self.dkim.answer(command, arguments)

    async def status(self) -> dict[str, Any]:
        """What the supervisor is told besides."""
        return {
            "unsigned": await self.dkim.denied() if self.signing.is_on else {},
            "certificates": self.certificates.warnings(),
        }

    def take(self, settings: Loaded, terms: Policy) -> None:
        """Go by these from now on."""
        self._is_inside = internal(settings)
        self.signing.terms = SigningTerms.from_settings(settings.settings.dkim)
        self.arrivals.terms = self.authenticating.terms = terms.authenticate

    def close(self) -> None:
        """End the threads. Blocks."""
        self.signing.close()
        self.protection.close()
