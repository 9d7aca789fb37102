"""One attempt at one delivery: hosts in order, TLS terms, the transaction, and what came of it for each recipient.

It never raises for anything that the network does. Leaves out: when to try again, which the schedule knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from gateway.connectors.model import Deliver, Outbound, TlsLevel
from gateway.connectors.tls import TlsFault
from gateway.delivery.client import HostRefused, Timeouts, Transaction
from gateway.delivery.demands import wording
from gateway.delivery.folder import drop
from gateway.delivery.hosts import Candidate, NoHost, candidates
from gateway.delivery.mailman import Mailman, NoMailman, ending
from gateway.delivery.outcome import Hop, Outcome, Result, Verdict
from gateway.delivery.pool import IDLE, Key, Link, Pool
from gateway.delivery.reach import Reach
from gateway.delivery.said import HopFault, HopLogin, HopLost
from gateway.delivery.seven_bit import Conversion, Convert, convert_unsigned, fit
from gateway.delivery.verdicts import of_all, of_host, of_ours, of_transaction, with_success
from gateway.mail.delivery import Delivery, Success, Target
from gateway.mail.message import Content
from gateway.world.chance import Chance
from gateway.world.clock import Clock
from gateway.world.names import Names

Failure = HopFault | HostRefused | TlsFault
# To MAIL at a smart host: it wants AUTH, or AUTH of a kind (RFC 4954 6). That is for our settings to mend, so it waits;
# a host that an MX names means by it that it takes no mail from strangers.
_WANTS_LOGIN = frozenset((530, 534, 538))


@dataclass(frozen=True, slots=True)
class _Carried:
    """What came of one transaction; `converted` where the host got something else than what came."""

    results: tuple[Result, ...]
    converted: Conversion | None = None


@dataclass(slots=True)
class _Trial:
    """What was tried so far in one attempt, and the failure that tells most: one of TLS or login, else the last."""

    hops: list[Hop] = field(default_factory=list)
    failure: Failure | None = None
    host: str = ""

    def failed(self, failure: Failure, host: str) -> None:
        if not isinstance(self.failure, TlsFault | HopLogin) or isinstance(failure, TlsFault | HopLogin):
            self.failure, self.host = failure, host


class Attempts:
    """Makes attempts, and keeps connections between them."""

    def __init__(
        self,
        *,
        names: Names,
        clock: Clock,
        chance: Chance,
        hostname: str,
        timeouts: Timeouts | None = None,
        idle: float = IDLE,
        convert: Convert = convert_unsigned,
        mailman: Mailman | None = None,
    ) -> None:
        """`convert` makes copies of 7 bits for hosts without 8BITMIME; `mailman` delivers what ends here."""
        self._names = names
        self._clock = clock
        self._chance = chance
        self._reach = Reach(clock=clock, hostname=hostname, timeouts=timeouts or Timeouts())
        self._pool = Pool(clock, idle)
        self._convert = convert
        self._mailman = mailman or NoMailman()
        self._logins: dict[str, tuple[Outbound, str]] = {}
        self._raised: dict[str, tuple[Outbound, Outbound]] = {}

    async def attempt(self, delivery: Delivery, outbound: Outbound, content: Content) -> Outcome:
        """Try once to deliver to those recipients who still wait.

        Raises only what reading `content` raises (SealBroken, OSError); nobody has got it then.
        """
        targets = delivery.waiting
        if outbound.deliver is Deliver.FOLDER:
            return await self._drop(delivery, targets, outbound, content)
        if outbound.deliver is Deliver.MAILBOX:
            return await self._put(delivery, targets, outbound, content)
        key = (outbound.name, delivery.destination)
        if delivery.terms.require_tls and outbound.tls.level < TlsLevel.ENCRYPTION_ONLY:
            outbound = self._over_tls(outbound)
            key = (outbound.name, f"{delivery.destination}\0tls")  # Connections of their own: others may be in clear.
        await self._pool.enter(key, outbound.concurrency)
        try:
            return await self._send(key, delivery, targets, outbound, content)
        finally:
            self._pool.leave(key)

    def _over_tls(self, outbound: Outbound) -> Outbound:
        """The connector as it is for what leaves over TLS or not at all. The same one each time: connections are kept
        by it.
        """
        raised = self._raised.get(outbound.name)
        if raised is None or raised[0] is not outbound:
            terms = replace(outbound.tls, level=TlsLevel.ENCRYPTION_ONLY)
            raised = self._raised[outbound.name] = (outbound, replace(outbound, tls=terms))
        return raised[1]

    def logins_refused(self, outbounds: Sequence[Outbound]) -> dict[str, str]:
        """Those of `outbounds` whose login was refused when it was last tried, by name, and in which words.

        After a reload they are others, of whom nothing is known yet.
        """
        return {
            name: words for name, (outbound, words) in self._logins.items() if any(outbound is o for o in outbounds)
        }

    async def close(self) -> None:
        """End all kept connections with QUIT."""
        await self._pool.close()

    async def _send(
        self, key: Key, delivery: Delivery, targets: tuple[Target, ...], outbound: Outbound, content: Content
    ) -> Outcome:
        trial = _Trial()
        if (kept := self._pool.take(key, outbound)) is not None:
            started = self._clock.monotonic()
            # A kept connection that has died meanwhile is no failure of the host: it is replaced, and not told.
            if not isinstance(done := await self._carry(key, kept, delivery, targets, content), HopFault | HostRefused):
                return self._outcome(done, kept, started, trial)
        try:
            async with aclosing(candidates(outbound, delivery.destination, self._names, self._chance)) as found:
                async for candidate in found:
                    outcome = await self._try(key, candidate, delivery, targets, outbound, content, trial)
                    if outcome is not None:
                        return outcome
        except NoHost as fault:
            results = of_ours(targets, fault.verdict, fault.code, fault.enhanced, str(fault))
            return Outcome(results=results, hops=tuple(trial.hops), unreachable=fault.verdict is Verdict.LATER)
        failure = trial.failure or HopLost("there was no host to try")
        return Outcome(results=of_host(targets, failure, trial.host), hops=tuple(trial.hops), unreachable=True)

    async def _try(
        self,
        key: Key,
        candidate: Candidate,
        delivery: Delivery,
        targets: tuple[Target, ...],
        outbound: Outbound,
        content: Content,
        trial: _Trial,
    ) -> Outcome | None:
        """Try one address. None: it did not take as much as MAIL, so another may be tried; `trial` knows why."""
        started = self._clock.monotonic()
        link: Link | None = None
        try:
            link = await self._reach.link(candidate, outbound)
            if self._logins:
                self._logins.pop(outbound.name, None)
            if link.fallback is not None:
                trial.hops.append(self._failed_hop(candidate, started, link.fallback))
            done = await self._carry(key, link, delivery, targets, content)
            if not isinstance(done, HopFault | HostRefused):
                return self._outcome(done, link, started, trial)
            failure: Failure = done
        except (HopFault, HostRefused, TlsFault) as fault:
            failure = fault
        if isinstance(failure, HopLogin):
            self._logins[outbound.name] = (outbound, f"{candidate.host}: {failure}")
        trial.failed(failure, candidate.host)
        trial.hops.append(self._failed_hop(candidate, started, _words(failure), link))
        return None

    async def _carry(
        self, key: Key, link: Link, delivery: Delivery, targets: tuple[Target, ...], content: Content
    ) -> _Carried | HopFault | HostRefused:
        """One transaction; the connection is kept or ended. A fault instead of results: MAIL got no answer, or 421."""
        hop = link.hop
        try:
            fitted = await fit(self._convert, delivery, content, hop.offers)
            told = await wording(delivery, targets, fitted, hop.offers, link.host)
            if not told.targets:
                self._pool.keep(key, link)
                return _Carried(told.left_out)
            done = await hop.transact(told.sender, told.recipients, told.parameters, fitted.content, told.extras)
        except BaseException:
            hop.abort()
            raise
        link.carried += 1
        if done.mail is None:
            return done.fault or HopLost("the connection ended")
        if done.mail.code == 421:
            hop.abort()
            return HostRefused(done.mail)
        if done.mail.code in _WANTS_LOGIN and link.outbound.smart_hosts:
            hop.abort()
            text = f"the host wants a login that the connector does not have ({done.mail.code})"
            return HopLogin(text, said=done.mail.line)
        await self._give_back(key, link, done)
        results = of_transaction(done, told.targets, link.host)
        if told.answering:
            results = with_success(results, told.targets, Success.RELAYED)
        return _Carried(results + told.left_out if told.left_out else results, fitted.conversion)

    async def _give_back(self, key: Key, link: Link, done: Transaction) -> None:
        usable = done.clean
        if done.closing:
            usable = False  # Even where it has not closed yet: what is said to it now is lost (RFC 5321 3.8).
        elif not usable and done.fault is None:
            try:
                usable = await link.hop.reset()
            except BaseException:
                link.hop.abort()
                raise
        if usable:
            self._pool.keep(key, link)
        else:
            link.hop.abort()

    def _outcome(self, carried: _Carried, link: Link, started: float, trial: _Trial) -> Outcome:
        results = carried.results
        hop = Hop(
            host=link.host,
            address=link.address,
            outcome=_ending(results),
            seconds=self._clock.monotonic() - started,
            tls_version=link.tls_version,
            tls_cipher=link.tls_cipher,
            authenticated=link.authenticated,
            fallback=link.fallback is not None,
            converted=carried.converted,
        )
        return Outcome(results=results, hops=(*trial.hops, hop))

    def _failed_hop(self, candidate: Candidate, started: float, words: str, link: Link | None = None) -> Hop:
        return Hop(
            host=candidate.host,
            address=candidate.address,
            outcome=words,
            seconds=self._clock.monotonic() - started,
            tls_version=link.tls_version if link else None,
            tls_cipher=link.tls_cipher if link else None,
            authenticated=link.authenticated if link else False,
            fallback=link is not None and link.fallback is not None,
        )

    async def _drop(
        self, delivery: Delivery, targets: tuple[Target, ...], outbound: Outbound, content: Content
    ) -> Outcome:
        started = self._clock.monotonic()
        folder = outbound.folder
        try:
            if folder is None:
                raise FileNotFoundError(None, "the connector names none")
            path = await drop(folder, delivery.id, content)
        except OSError as error:
            # The path stays out of it: the reply can reach the sender in a DSN.
            words = f"the folder of connector {outbound.name} can't be written: {error.strerror or 'unknown error'}"
            results = of_ours(targets, Verdict.LATER, 451, "4.3.0", words)
        else:
            words = "delivered"
            results = of_all(targets, Verdict.SENT, "2.0.0", f"250 2.0.0 Written to {path.parent.name}/{path.name}")
            if delivery.sender is not None:
                results = with_success(results, targets, Success.DELIVERED)
        name = folder.name if folder else outbound.name
        hop = Hop(host=name, address=None, outcome=words, seconds=self._clock.monotonic() - started)
        return Outcome(results=results, hops=(hop,), unreachable=words != "delivered")

    async def _put(
        self, delivery: Delivery, targets: tuple[Target, ...], outbound: Outbound, content: Content
    ) -> Outcome:
        """Into mailboxes. One that is closed or full holds none of the others up, so none counts as unreachable."""
        started = self._clock.monotonic()
        results = await self._mailman.deliver(delivery, targets, content)
        if delivery.sender is not None:
            results = with_success(results, targets, Success.DELIVERED)
        hop = Hop(host=outbound.name, address=None, outcome=ending(results), seconds=self._clock.monotonic() - started)
        return Outcome(results=results, hops=(hop,))


def _ending(results: Sequence[Result]) -> str:
    """How it ended at a host that answered MAIL, or was not asked to, in a few words for the trace."""
    if any(result.verdict is Verdict.SENT for result in results):
        return "delivered"
    fault = next((one.reason for one in results if one.reason is not None and one.verdict is Verdict.LATER), None)
    if fault is not None:
        return fault
    if all(result.reason is not None for result in results):
        return "its offers do not suffice"
    return "refused"


def _words(failure: Failure) -> str:
    """What failed, in a few words for the trace."""
    if isinstance(failure, TlsFault):
        return f"{failure.reason}: {failure}"
    if isinstance(failure, HopLogin) and failure.said:
        return f"{failure}: {failure.said}"
    return str(failure)
