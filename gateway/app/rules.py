"""Transport rules, joined for one worker: read from their folder, compiled, asked for each message, swapped whole."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final, cast

from gateway.app.rule_files import load_rules
from gateway.app.terms import Policy
from gateway.connectors import patterns
from gateway.connectors.model import Domains, TlsLevel
from gateway.connectors.outbound import choose
from gateway.delivery.dsn import build
from gateway.delivery.kind import Kind
from gateway.mail.delivery import Delivery, Status, Target
from gateway.mail.envelope import Client, Recipient
from gateway.mail.mail import Mail
from gateway.mail.plan import Plan
from gateway.mail.reply import RULE_FAILED, Refused, Reply
from gateway.observe.log import Level, Log
from gateway.observe.metrics import Metrics
from gateway.rules.decide import Engines, RulingTerms, engines
from gateway.rules.facts import Organisation
from gateway.rules.fault import BadRules
from gateway.rules.model import NO_RULES, RuleSet
from gateway.rules.outcome import spoken
from gateway.rules.stage import Ruling
from gateway.settings.load import Loaded
from gateway.settings.schema import AcceptedDomain
from gateway.storage.sealer import Sealer
from gateway.world.clock import Clock

PURPOSE: Final = "rules"
_WORD: Final = (1 << 64) - 1  # Tokens are signed, as databases have numbers.


def internal(loaded: Loaded) -> Callable[[str], bool]:
    """Whether a domain is inside: the nearest of `accepted_domains` is no external_relay."""
    every = patterns.accepted(loaded).patterns
    outside = tuple(
        one
        for entry in loaded.settings.accepted_domains
        if isinstance(entry, AcceptedDomain)
        and entry.external_relay
        and (one := patterns.pattern(entry.name, everything=False)) is not None
    )
    ours, others = Domains(tuple(one for one in every if one not in outside)), Domains(outside)

    def is_ours(domain: str) -> bool:
        near, other = ours.closeness(domain), others.closeness(domain)
        return near is not None and (other is None or near > other)

    return is_ours


class TransportRules:
    """`settings`, `policy` give those of the moment; `submit` takes a mail of the gateway's own under its queue id;
    `sealed` encrypts one.
    """

    def __init__(
        self,
        sealer: Sealer,
        *,
        settings: Callable[[], Loaded],
        policy: Callable[[], Policy],
        is_ours: Callable[[Client | None, str | None], bool],
        is_sure: Callable[[Mail], bool],
        submit: Callable[[Mail], Awaitable[str]],
        sealed: Callable[[Mail], Awaitable[Mail | None]],
        ids: Callable[[], str],
        clock: Clock,
        log: Log,
        metrics: Metrics,
    ) -> None:
        self._sealer = sealer
        self._policy = policy
        self._is_ours = is_ours
        self._is_sure = is_sure
        self._submit = submit
        self._sealed = sealed
        self._ids = ids
        self._log = log
        self._metrics = metrics
        self._broken = False
        made: Engines
        try:
            made = self.compiled(settings(), policy())
        except (BadRules, OSError) as error:
            # The supervisor hands over what it has judged, so that this is a fault of ours, or of another version that
            # was installed meanwhile. Until a reload mail waits: nobody knows what the rules would have protected.
            log.tell("error", "rules_unreadable", faults=str(error))
            self._broken = True
            made = self._engines(NO_RULES, settings(), policy())
        self._ruling = Ruling(made, clock=clock, hands=self)

    # -- life ---------------------------------------------------------------------------------------------------------

    @property
    def stage(self) -> Callable[[Mail], Awaitable[Plan]] | None:
        """The stage `rules`, None where there is no rule."""
        if self._broken:
            return self._wait
        return self._ruling if self._ruling.is_on else None

    def compiled(self, loaded: Loaded, policy: Policy) -> Engines:
        """The rules of these settings, for `use`. Raises BadRules, OSError. Blocks: thousands of words take time."""
        return self._engines(load_rules(loaded), loaded, policy)

    def use(self, made: Engines) -> None:
        """Go by these from now on."""
        self._ruling.use(made)
        self._broken = False

    def _engines(self, rules: RuleSet, loaded: Loaded, policy: Policy) -> Engines:
        organisation = Organisation(is_ours=internal(loaded), is_partner=self._is_partner, is_hop=self._is_hop)
        terms = RulingTerms(rules=rules, organisation=organisation, hostname=policy.hostname, contact=policy.contact)
        return engines(terms)

    async def _wait(self, mail: Mail) -> Plan:
        raise Refused(RULE_FAILED)

    def _is_partner(self, domain: str) -> bool:
        """Mail for it leaves under TLS that is demanded."""
        outbound = choose(self._policy().outbounds, domain)
        return outbound is not None and outbound.tls.level > TlsLevel.OPPORTUNISTIC

    def _is_hop(self, address: IPv4Address | IPv6Address) -> bool:
        """A server of ours in front of us, whose Received fields are believed."""
        return any(one.on_premises and any(address in net for net in one.networks) for one in self._policy().inbounds)

    # -- hands of the stage -------------------------------------------------------------------------------------------

    def is_trusted(self, client: Client | None, connector: str | None) -> bool:
        """See `Helps`."""
        return self._is_ours(client, connector)

    def mark(self, text: str) -> str:
        """See `Helps`. Of the key that makes blind tokens, which is never rotated. Raises KeysClosed."""
        return f"{self._sealer.token(PURPOSE, text) & _WORD:016x}"

    def failed(self, mail: Mail, rules: tuple[str, ...], error: Exception) -> None:
        """See `Helps`."""
        self._log.tell("error", "rule_failed", id=mail.id, rules=list(rules), error=type(error).__name__)

    def refused(self, mail: Mail, recipients: tuple[Recipient, ...], reply: Reply) -> Mail | None:
        """See `Hands`. Only a sender who is ours or whose domain has signed: anybody else may be forged (a06)."""
        sender = mail.envelope.sender
        if sender is None or not self._is_sure(mail):
            return None
        targets = tuple(
            Target(
                address=one.address,
                status=Status.FAILED,
                reason=" ".join(reply.text.split()),
                enhanced=reply.enhanced,
                reply=spoken(reply),
                notify=one.notify,
                orcpt=one.orcpt,
            )
            for one in recipients
        )
        wishing = tuple(target for target in targets if target.wants(Kind.FAILURE))
        if not wishing:
            return None
        delivery = Delivery(
            id=f"{mail.id}.0",
            message=mail.id,
            connector="",
            destination="",
            sender=sender,
            targets=wishing,
            size=mail.message.size,
            created=mail.received,
            next_attempt=mail.received,
            ret="HDRS",
            envid=mail.envelope.envid,
        )
        policy = self._policy()
        made = build(
            delivery,
            wishing,
            head=mail.preface + mail.message.head,
            hostname=policy.hostname,
            contact=policy.contact,
            now=mail.received,
            id=self._ids(),
        )
        return _under(made, mail.id)

    def sealed(self, mail: Mail) -> Awaitable[Mail | None]:
        """See `Hands`."""
        return self._sealed(mail)

    def submit(self, mail: Mail) -> Awaitable[str]:
        """See `Hands`."""
        return self._submit(_under(mail, self._ids()))

    def tell(self, level: str, event: str, **facts: object) -> None:
        """See `Hands`."""
        self._log.tell(cast(Level, level), event, **facts)

    def count(self, name: str, labels: tuple[str, ...]) -> None:
        """See `Hands`."""
        self._metrics.count(name, labels)

    def observe(self, name: str, value: float) -> None:
        """See `Hands`."""
        self._metrics.observe(name, value)


def _under(mail: Mail, id_: str) -> Mail:
    return Mail(id=id_, received=mail.received, envelope=mail.envelope, message=mail.message, terms=mail.terms)
