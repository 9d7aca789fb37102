"""Asks a next hop whether it would take mail for somebody: MAIL, RCPT, RSET on connections under the connector's TLS.

A no is believed only where it says that nobody has this address, and only from a host that does not say no to
everybody. Leaves out: remembering answers and bounding questions, which `directory.asker` does.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import aclosing
from dataclasses import dataclass

from gateway.connectors.model import Outbound
from gateway.connectors.tls import TlsFault
from gateway.delivery.client import HostRefused, Timeouts
from gateway.delivery.hosts import NoHost, candidates
from gateway.delivery.outcome import Verdict
from gateway.delivery.pool import IDLE, Key, Link, Pool
from gateway.delivery.reach import Reach
from gateway.delivery.said import HopFault, HopLost, Said
from gateway.directory.model import Answer, Finding
from gateway.mail.address import Address
from gateway.world.chance import Chance
from gateway.world.clock import Clock
from gateway.world.names import Names

# Hosts slow down or end a session in which many recipients are refused or nothing is ever sent, Postfix after ten
# refusals and a hundred RSETs. A connection is ended before that.
WEAR = 30  # How much a connection stands,
WEAR_OF_YES = 1
WEAR_OF_NO = 4  # and what each answer takes of it.

TRUST = 3600.0  # Seconds for which one yes shows that a host does not refuse everybody.
BLIND_NOES = 3  # Plain noes in a row that are believed before the host must have said yes to anybody.
MAX_HOPS = 1000

# RFC 3463 3.2: no such mailbox, no such system, bad syntax, moved away, null MX (RFC 7505).
_NOBODY = frozenset(("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"))
# Mailbox disabled; and what Exchange Online says of recipients that its directory does not have.
_PERHAPS = frozenset(("5.2.1", "5.4.1"))
_EXISTS = frozenset(("5.2.2", "5.3.4"))  # Full, or for small messages only: but somebody's.
_NO = (550, 551, 553)  # RFC 5321 4.2.3; the others speak of us, of the message or of the host.


@dataclass(slots=True)
class _Repute:
    """What is known of the honesty of one key's hosts."""

    trusted_until: float = 0.0
    noes: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """Whom to ask about whom. `destination` is a domain (MX) or "" (smart hosts)."""

    outbound: Outbound
    destination: str
    address: Address


class Probes:
    """Asks, and keeps connections between the questions, apart from those that carry mail."""

    def __init__(self, *, names: Names, clock: Clock, chance: Chance, hostname: str, idle: float = IDLE) -> None:
        self.hostname = hostname
        self._names = names
        self._clock = clock
        self._chance = chance
        self._pool = Pool(clock, idle)
        self._reputes: OrderedDict[Key, _Repute] = OrderedDict()

    async def ask(self, question: Question, sender: Address | None, *, at_once: int, patience: float) -> Finding:
        """Ask once, with at most `at_once` connections to one destination. Never raises for what the network does.

        Each step has `patience` seconds; how long all of them may take together is the caller's business.
        """
        key = (question.outbound.name, question.destination)
        await self._pool.enter(key, at_once)
        try:
            return await self._asked(key, question, sender, patience)
        finally:
            self._pool.leave(key)

    async def close(self) -> None:
        """End all kept connections."""
        await self._pool.close()

    async def _asked(self, key: Key, question: Question, sender: Address | None, patience: float) -> Finding:
        """By a kept connection, or by the first host that answers."""
        if (kept := self._pool.take(key, question.outbound)) is not None:
            try:
                return await self._by(key, kept, question, sender)
            except HopFault:
                pass  # It has died meanwhile, which says nothing about the host.
        times = Timeouts(
            connect=patience / 2, greeting=patience, tls=patience, ehlo=patience, mail=patience, rcpt=patience
        )
        reach = Reach(clock=self._clock, hostname=self.hostname, timeouts=times)
        failure = "there was no host to ask"
        try:
            hosts = candidates(question.outbound, question.destination, self._names, self._chance)
            async with aclosing(hosts) as found:
                async for candidate in found:
                    try:
                        link = await reach.link(candidate, question.outbound)
                        return await self._by(key, link, question, sender)
                    except (HopFault, HostRefused, TlsFault) as fault:
                        failure = f"{candidate.host}: {fault}"
        except NoHost as fault:
            if fault.verdict is Verdict.NEVER and fault.enhanced in _NOBODY:
                return Finding(Answer.UNKNOWN, str(fault))
            return Finding(Answer.UNSURE, str(fault), away=True)
        return Finding(Answer.UNSURE, failure, away=True)

    async def _by(self, key: Key, link: Link, question: Question, sender: Address | None) -> Finding:
        """Ask on this connection, which is kept or ended. Raises HopFault."""
        try:
            finding = await self._judged(key, link, question, sender)
        except BaseException:
            link.hop.abort()
            raise
        if link.carried < WEAR:
            self._pool.keep(key, link)
        else:
            self._pool.drop(link)
        return finding

    async def _judged(self, key: Key, link: Link, question: Question, sender: Address | None) -> Finding:
        address = question.address
        utf8 = not address.local.isascii()
        if utf8 and not link.hop.offers.smtputf8:
            return Finding(Answer.UNSURE, f"{link.host} takes no addresses beyond ASCII")
        wire = address.text if utf8 or address.is_ascii else f"{address.local}@{address.domain}"
        finding, sure = of_replies(*await self._rehearse(link, sender, wire, utf8=utf8), link.host)
        repute = self._repute(key)
        now = self._clock.monotonic()
        if finding.answer is Answer.KNOWN:
            repute.trusted_until, repute.noes = now + TRUST, 0
            return finding
        if finding.answer is not Answer.UNKNOWN or now < repute.trusted_until:
            return finding
        repute.noes += 1
        if sure and repute.noes <= BLIND_NOES:
            return finding
        # RFC 5321 4.5.1: every host that takes mail takes it for postmaster.
        for known in (f"postmaster@{address.domain}", "postmaster"):
            if not link.hop.alive:
                raise HopLost("the host closed the connection")
            said, _ = of_replies(*await self._rehearse(link, sender, known), link.host)
            if said.answer is Answer.KNOWN:
                repute.trusted_until, repute.noes = self._clock.monotonic() + TRUST, 0
                return finding
        why = f"{link.host} refuses postmaster too, so its no is not believed ({finding.why})"
        return Finding(Answer.UNSURE, why, away=True)

    async def _rehearse(
        self, link: Link, sender: Address | None, recipient: str, *, utf8: bool = False
    ) -> tuple[Said, Said | None]:
        from_ = b"" if sender is None else sender.text.encode()
        mail, rcpt = await link.hop.rehearse(from_, recipient.encode(), b" SMTPUTF8" if utf8 else b"")
        link.carried += WEAR_OF_YES if rcpt is not None and rcpt.good else WEAR_OF_NO
        return mail, rcpt

    def _repute(self, key: Key) -> _Repute:
        repute = self._reputes.get(key)
        if repute is None:
            repute = self._reputes[key] = _Repute()
            if len(self._reputes) > MAX_HOPS:
                self._reputes.popitem(last=False)
        return repute


def of_replies(mail: Said, rcpt: Said | None, host: str) -> tuple[Finding, bool]:
    """What the replies to MAIL and RCPT mean, and whether a no speaks plainly of the recipient.

    A host that does not take our MAIL says nothing about anybody, so it counts as away.
    """
    if rcpt is None:
        return Finding(Answer.UNSURE, f"{host} answered MAIL with {mail.line}", away=True), False
    why = f"{host} said {rcpt.line}"
    if rcpt.good:
        return Finding(Answer.KNOWN), True
    if rcpt.code == 421:
        return Finding(Answer.UNSURE, why, away=True), False
    if rcpt.enhanced in _EXISTS:
        return Finding(Answer.KNOWN), True
    if rcpt.code in _NO and rcpt.enhanced in _NOBODY:
        return Finding(Answer.UNKNOWN, why), True
    if rcpt.code in _NO and (rcpt.enhanced is None or rcpt.enhanced in _PERHAPS):
        return Finding(Answer.UNKNOWN, why), False
    return Finding(Answer.UNSURE, why), False
