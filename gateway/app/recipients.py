"""Recipients are known before they are taken: the question at RCPT, its sources, and who hears of their absence.

What is at hand (a list, an answer remembered) is answered at once; only a question to another machine is a wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from gateway.app.hosted import Hosted
from gateway.app.verification import Verification
from gateway.connectors.inbound import is_always_taken
from gateway.connectors.model import Deliver, Domains, Inbound, Outbound
from gateway.connectors.outbound import choose
from gateway.delivery.probe import Probes, Question
from gateway.delivery.route import uses_mx
from gateway.directory.asker import Absence, Ask, Asker, Place
from gateway.directory.ldap import LdapQuestion
from gateway.directory.model import Answer, Finding
from gateway.directory.terms import MAILBOXES, By, LdapTerms, Source, WhenUnsure, secret_in
from gateway.directory.watched import EVERY, Watched
from gateway.mail import reply as say
from gateway.mail.address import Address
from gateway.mail.reply import Refused
from gateway.observe.log import Level, Log
from gateway.observe.metrics import Metrics
from gateway.world.clock import Clock
from gateway.world.ldap import Ldap, LdapServer, SystemLdap

MAX_REMEMBERED = 4096  # Domains whose pattern is remembered.
MAX_TOLD = 20  # Absences of one source that status tells.

OpenLdap = Callable[[LdapServer, int], Ldap]


class Recipients:
    """One worker's. `arrange` gives it the policy, at the start and at each reload."""

    def __init__(
        self,
        *,
        probes: Probes,
        clock: Clock,
        log: Log,
        metrics: Metrics,
        open_ldap: OpenLdap = SystemLdap,
        hosted: Hosted | None = None,
    ) -> None:
        """`hosted` knows who has a mailbox here."""
        self._hosted = hosted
        self._probes = probes
        self._clock = clock
        self._log = log
        self._metrics = metrics
        self._open_ldap = open_ldap
        self._verification = Verification()
        self._accepted = Domains(())
        self._outbounds: tuple[Outbound, ...] = ()
        self._patterns: dict[str, str | None] = {}
        self._files: dict[Source, Watched] = {}
        self._askers: dict[Source, Asker] = {}
        self._ldaps: dict[Source, Ldap] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def is_on(self) -> bool:
        """Whether anybody is asked about anybody."""
        return bool(self._verification.sources) or any(one.deliver is Deliver.MAILBOX for one in self._outbounds)

    async def arrange(
        self, verification: Verification, accepted: Domains, outbounds: tuple[Outbound, ...], hostname: str
    ) -> None:
        """These from now on; `hostname` is what we call ourselves. Files are read before it returns.

        A source that stays the same keeps what it remembers.
        """
        for source in verification.sources:
            if source.file is not None and source not in self._files:
                watched = Watched(source.file, source.by)
                await asyncio.to_thread(self._look, source, watched, at_once=True)
                self._files[source] = watched
        self._probes.hostname = hostname
        moved = _ways(outbounds) != _ways(self._outbounds)
        self._verification, self._accepted, self._outbounds = verification, accepted, outbounds
        self._patterns.clear()
        sources = set(verification.sources)
        for source in [one for one in self._askers if one not in sources]:
            self._end(source)
        for source in [one for one in self._files if one not in sources]:
            del self._files[source]
        for source in verification.sources:
            if source.file is not None or source.by is By.MAILBOXES:
                continue
            if source not in self._askers:
                self._askers[source] = self._asker(source)
            elif source.ldap is None and moved:
                self._askers[source].forget()  # Another server is asked now.

    async def watch(self) -> None:
        """Read files again when they change, for ever."""
        while True:
            await self._clock.sleep(EVERY)
            for source, watched in list(self._files.items()):
                await asyncio.to_thread(self._look, source, watched)

    async def close(self) -> None:
        """End all connections."""
        for source in list(self._askers):
            self._end(source)
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._probes.close()

    def absences(self) -> list[dict[str, Any]]:
        """Sources that can't say now, for `status`: name, since when where that is known, why."""
        told = [
            {"source": source.name, "why": f"{source.file}: {watched.flaws[0]}", "stale": watched.roll is not None}
            for source, watched in self._files.items()
            if watched.flaws
        ]
        for source, asker in self._askers.items():
            told += [
                {"source": source.name, "why": one.why, "since": one.since, "place": _named(one.place)}
                for one in asker.absences[:MAX_TOLD]
            ]
        return told

    # -- asked by sessions --------------------------------------------------------------------------------------------

    def verify(self, inbound: Inbound | None, recipient: Address) -> bool | Callable[[], Awaitable[bool]]:
        """Whether the recipient is known; False: he is taken though that can't be told now. Raises Refused.

        True also where nobody is asked. Where another machine has to be asked, what does so is given back.
        """
        if inbound is None or is_always_taken(recipient):  # Nobody gets here without a connector but for these.
            return True
        pattern = self._pattern(recipient.domain)
        if pattern is None:  # None of ours: to ask the world's servers is what dictionary attackers do.
            return True
        source = self._verification.source(pattern, inbound.name)
        if source is None:
            return pattern in self._verification.domains or self._host(recipient)
        if source.by is By.MAILBOXES:
            return self._host(recipient)
        if (watched := self._files.get(source)) is not None:
            return self._judged(source, watched.knows(recipient, source.separator))
        asker = self._askers[source]
        if (answer := asker.recall(recipient)) is not None:
            return self._judged(source, answer)
        return partial(self._asked, source, asker, recipient)

    def _host(self, recipient: Address) -> bool | Callable[[], Awaitable[bool]]:
        """As `verify`, by the mailboxes here; True where mail for him does not end here."""
        outbound = None if self._hosted is None else choose(self._outbounds, recipient.domain)
        if self._hosted is None or outbound is None or outbound.deliver is not Deliver.MAILBOX:
            return True
        try:
            known = self._hosted.verify(recipient)
        except Refused as refused:
            self._count_hosted(refused)
            raise
        if not isinstance(known, bool):
            return partial(self._ask_hosted, known)
        self._count_hosted(None)
        return known

    async def _ask_hosted(self, ask: Callable[[], Awaitable[bool]]) -> bool:
        try:
            known = await ask()
        except Refused as refused:
            self._count_hosted(refused)
            raise
        self._count_hosted(None)
        return known

    def _count_hosted(self, refused: Refused | None) -> None:
        answer = Answer.KNOWN
        if refused is not None:
            answer = Answer.UNKNOWN if refused.reply.code >= 500 else Answer.UNSURE
        self._metrics.count("recipient_verifications_total", (MAILBOXES, answer.value))

    async def _asked(self, source: Source, asker: Asker, recipient: Address) -> bool:
        finding = await asker.answer(recipient)
        if finding.answer is not Answer.KNOWN and finding.why:
            # A next hop's words may repeat the address, but nothing of the message.
            self._log.tell("debug", "recipient_asked", source=source.name, answer=finding.answer, why=finding.why)
        return self._judged(source, finding.answer)

    def _judged(self, source: Source, answer: Answer) -> bool:
        self._metrics.count("recipient_verifications_total", (source.name, answer.value))
        if answer is Answer.UNKNOWN:
            raise Refused(say.NO_SUCH_RECIPIENT)
        if answer is Answer.UNSURE and source.when_unsure is WhenUnsure.DEFER:
            raise Refused(say.RECIPIENT_UNSURE)
        return answer is Answer.KNOWN

    def _pattern(self, domain: str) -> str | None:
        """The closest of accepted_domains that takes `domain`."""
        try:
            return self._patterns[domain]
        except KeyError:
            pass
        if len(self._patterns) >= MAX_REMEMBERED:
            self._patterns.clear()
        best, closest = None, -1
        for pattern in self._accepted.patterns:
            closeness = Domains((pattern,)).closeness(domain)
            if closeness is not None and closeness > closest:
                best, closest = pattern, closeness
        self._patterns[domain] = best
        return best

    # -- sources ------------------------------------------------------------------------------------------------------

    def _look(self, source: Source, watched: Watched, *, at_once: bool = False) -> None:
        """Blocks. The log takes lines from any thread."""
        change = watched.look(at_once=at_once)
        if change is None:
            return
        facts = {"source": source.name, "file": str(source.file)}
        if change.flaws:
            kept = "the former content counts" if watched.roll is not None else "nobody can be verified"
            self._log.tell("error", "recipients_not_read", **facts, flaws=[str(one) for one in change.flaws], now=kept)
        else:
            self._log.tell("info", "recipients_read", **facts, entries=change.entries)

    def _asker(self, source: Source) -> Asker:
        if source.ldap is not None:
            ldap = self._open_ldap(_server(source.ldap, source.ask.timeout), source.ask.at_once)
            self._ldaps[source] = ldap
            ask: Ask = LdapQuestion(ldap, source.ldap, source.separator)
            where = Place(source.ldap.url)
            place: Callable[[Address], Place] = lambda address: where  # noqa: E731
        else:
            ask, place = partial(self._ask_hop, source), partial(self._place, source)
        return Asker(
            ask,
            source.ask,
            clock=self._clock,
            place=place,
            told=partial(self._tell_absence, source),
            took=lambda seconds: self._metrics.observe("recipient_question_seconds", seconds, (source.name,)),
        )

    def _end(self, source: Source) -> None:
        asker = self._askers.pop(source)
        task = asyncio.get_running_loop().create_task(asker.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        if (ldap := self._ldaps.pop(source, None)) is not None:
            ldap.close()

    def _outbound(self, source: Source, domain: str) -> Outbound | None:
        if source.connector is None:
            return choose(self._outbounds, domain)
        return next((one for one in self._outbounds if one.name == source.connector), None)

    def _place(self, source: Source, address: Address) -> Place:
        outbound = self._outbound(source, address.domain)
        if outbound is None:
            return Place("")
        # Of subdomains that a wildcard takes there may be any number: they are one place.
        part = self._pattern(address.domain) or address.domain
        return Place(outbound.name, part if uses_mx(outbound) else "")

    async def _ask_hop(self, source: Source, address: Address) -> Finding:
        outbound = self._outbound(source, address.domain)
        if outbound is None or outbound.deliver is not Deliver.SMTP:
            return Finding(Answer.UNSURE, "no connector that speaks SMTP leads there", away=True)
        destination = address.domain if uses_mx(outbound) else ""
        terms = source.ask
        question = Question(outbound, destination, address)
        return await self._probes.ask(question, source.sender, at_once=terms.at_once, patience=terms.timeout)

    def _tell_absence(self, source: Source, absence: Absence | None, place: Place) -> None:
        if absence is None:
            self._log.tell("info", "recipient_source_back", source=source.name, place=_named(place))
            return
        level: Level = "warning"
        self._log.tell(level, "recipient_source_away", source=source.name, place=_named(place), why=absence.why)


def _named(place: Place) -> str:
    return f"{place.name} {place.part}".strip() or "no connector"


def _ways(outbounds: tuple[Outbound, ...]) -> tuple[object, ...]:
    """What decides which server is asked; contexts are new at each reload and don't count."""
    return tuple((one.name, one.recipient_domains, one.smart_hosts, one.port, one.folder) for one in outbounds)


def _server(terms: LdapTerms, timeout: float) -> LdapServer:
    file = terms.password_file
    return LdapServer(
        url=terms.url,
        starttls=terms.starttls,
        trusted_ca=terms.trusted_ca,
        bind_dn=terms.bind_dn,
        password=lambda: "" if file is None else secret_in(file),
        timeout=timeout,
    )
