"""S/MIME and rights on the way of a message, joined for one worker: what is opened, what is sealed, and who hears what
was not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gateway.app.rights import RightsOffice
from gateway.app.rights_desk import Asking
from gateway.app.terms import Policy
from gateway.connectors.model import Outbound
from gateway.connectors.outbound import choose
from gateway.mail.address import Address
from gateway.mail.envelope import Client
from gateway.mail.mail import Mail
from gateway.mail.plan import Plan
from gateway.observe.log import Log
from gateway.observe.metrics import Metrics
from gateway.protect.decrypted import Decrypting
from gateway.protect.notice import Lost, refusal_notice
from gateway.protect.opening import Opening
from gateway.protect.rights import Wrapping, WrapTerms
from gateway.protect.rights_opener import RightsOpener
from gateway.protect.smime import Certificates, Smime
from gateway.protect.stage import Protecting
from gateway.protect.unsealed import Unsealing
from gateway.protect.visible import who
from gateway.protect.workroom import Workroom
from gateway.rights.opening import OpenedMessage
from gateway.smime.terms import SmimeTerms
from gateway.world.chance import Chance
from gateway.world.clock import Clock

THREADS: Final = 2  # Of each process: for RSA keys of ours, and for long messages.


class Protection:
    """The stages `open` and `protect`. `policy` and `terms` give those of the moment; `is_inside` says whether the
    mailboxes of a domain are ours; `ids` makes names for notices.
    """

    def __init__(
        self,
        certificates: Certificates,
        *,
        terms: Callable[[], SmimeTerms],
        policy: Callable[[], Policy],
        is_ours: Callable[[Client | None, str | None], bool],
        is_inside: Callable[[str], bool],
        ids: Callable[[], str],
        clock: Clock,
        chance: Chance,
        log: Log,
        metrics: Metrics,
        office: RightsOffice | None = None,
    ) -> None:
        """`office` None: there are no rights."""
        self._certificates = certificates
        self._policy = policy
        self._is_ours = is_ours
        self._is_inside = is_inside
        self._ids = ids
        self._clock = clock
        self._terms = terms
        self._wrap: tuple[Policy, WrapTerms | None] | None = None  # As of the last look.
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="smime")
        work = Workroom(self._executor)
        smime = Smime(certificates, terms, clock=clock, chance=chance)
        self.opening = Opening(
            smime,
            work,
            authserv_id=lambda: policy().authenticate.authserv_id,
            is_ours=is_ours,
            tell=log.tell,
            count=metrics.count,
            rights=None if office is None else self._opener(office),
        )
        self.protecting = Protecting(
            smime,
            work,
            decrypting=Decrypting(self._delivers_decrypted, work, is_his=self._is_his),
            unsealing=Unsealing(work, is_inside=is_inside, is_ours=lambda mail: is_ours(mail.client, mail.connector)),
            is_sure=self.is_sure,
            is_ours=lambda mail: is_ours(mail.client, mail.connector),
            notice=self._notice,
            tell=log.tell,
            count=metrics.count,
            wrapping=None
            if office is None
            else Wrapping(self._wrap_terms, office.tenant, office.store.left, work, clock=clock, chance=chance),
        )

    def _opener(self, office: RightsOffice) -> RightsOpener:
        """Rights are opened as the gateway itself, and each opening is in the licence log."""

        async def open_(file: bytes) -> OpenedMessage:
            return await office.desk.open(file, Asking(principal=None, by="rules"))

        return RightsOpener(office.tenant, open_, is_on=lambda: self._policy().portal is not None)

    def _wrap_terms(self) -> WrapTerms | None:
        policy = self._policy()
        if self._wrap is None or self._wrap[0] is not policy:  # They are asked for several times for each message.
            self._wrap = policy, wrap_terms(policy)
        return self._wrap[1]

    async def again(self, plan: Plan) -> Plan:
        """The stage `protect` for a stored copy that waits: nothing is raised for what still can't be had."""
        return await self.protecting.again(plan.copies[0])

    def close(self) -> None:
        """End the threads. Blocks."""
        self._executor.shutdown(wait=True)

    def is_sure(self, mail: Mail) -> bool:
        """Whether the sender of a mail is who it says: ours, or signed (DKIM) by the domain of its sender."""
        if self._is_ours(mail.client, mail.connector):
            return True
        sender, found = mail.envelope.sender, mail.authentication
        return sender is not None and found is not None and found.signed_by(sender.domain)

    def _notice(self, mail: Mail, lost: Sequence[Lost]) -> Mail | None:
        policy = self._policy()
        return refusal_notice(
            mail, lost, hostname=policy.hostname, contact=policy.contact, now=self._clock.now(), id=self._ids()
        )

    def _delivers_decrypted(self, address: Address, connector: str | None) -> bool:
        """As the outbound connector says by which it goes; where that says nothing, as [smime] has it, and only for
        domains inside: what was encrypted for us is not to leave the house in clear by a catch-all.
        """
        policy = self._policy()
        outbound = _way(policy.outbounds, address, connector)
        if outbound is not None and outbound.deliver_decrypted is not None:
            return outbound.deliver_decrypted
        return self._terms().deliver_decrypted and self._is_inside(address.domain)

    def _is_his(self, address: Address, fingerprint: str) -> bool:
        """Whether the certificate is used for that address; for its whole domain, where the settings let that count."""
        known = self._certificates.selection.named(fingerprint)
        if known is None:
            return False
        if who(address) in known.addresses:
            return True
        return self._terms().deliver_decrypted_by_domain and address.domain in known.domains


def wrap_terms(policy: Policy) -> WrapTerms | None:
    """The terms of wrapping; None where there is no portal."""
    if policy.portal is None:
        return None
    return WrapTerms(
        url=policy.portal,
        branding=policy.branding,
        rights=policy.rights,
        hostnames=(policy.hostname, *(one.hostname for one in policy.listeners)),
        authserv_id=policy.authenticate.authserv_id,
    )


def _way(outbounds: Sequence[Outbound], address: Address, connector: str | None) -> Outbound | None:
    if connector is not None:
        return next((one for one in outbounds if one.name == connector), None)
    return choose(tuple(outbounds), address.domain)
