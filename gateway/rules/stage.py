"""The stage `rules` of the pipeline: what the administrator wants done with a message (DESIGN, The one way).

It has the rules decide, and makes a plan of it: the copies that go on, notices, or a refusal in the session. Mail that
the gateway makes itself passes, but for rules that demand TLS. A report about a message that has to be protected is
protected like it: held to TLS, and encrypted, or without what only the message itself shows.
Leaves out: protecting what is marked (`gateway.protect`), and holding what is held (the queue).
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from gateway.mail.envelope import PORTAL, Recipient
from gateway.mail.mail import Mail
from gateway.mail.plan import Plan
from gateway.mail.reply import RULE_FAILED, Refused, Reply
from gateway.observe.events import RULED
from gateway.rules.actions.disposition import refusal
from gateway.rules.decide import Decided, Deciding, Engines, Helps, RulingTerms
from gateway.rules.letterhead import Letterhead
from gateway.rules.notices import TELLING, About, Writer
from gateway.rules.outcome import Outcome, rows
from gateway.rules.values import ReportItem
from gateway.rules.work import Disposition
from gateway.world.batch import Batch
from gateway.world.clock import Clock


class Hands(Helps, Protocol):
    """What the stage needs of others besides; `app` joins it."""

    def refused(self, mail: Mail, recipients: tuple[Recipient, ...], reply: Reply) -> Mail | None:
        """The report (RFC 3464) to the sender of `mail` about recipients that a rule refused; None: nobody is told."""

    def sealed(self, mail: Mail) -> Awaitable[Mail | None]:
        """A mail of the gateway's own, encrypted for its recipient; None where that can't be done now."""

    def submit(self, mail: Mail) -> Awaitable[str]:
        """Take a mail of the gateway's own about a message that is not taken. Raises as the pipeline does."""

    def tell(self, level: str, event: str, **facts: object) -> None:
        """Write a line of the log."""

    def count(self, name: str, labels: tuple[str, ...]) -> None:
        """Add one to a metric."""

    def observe(self, name: str, value: float) -> None:
        """Put one value into a histogram."""


@dataclass(frozen=True, slots=True)
class _Care:
    """What a report about one message needs: TLS; encryption, where it has one of the items `telling`."""

    over_tls: bool
    telling: frozenset[ReportItem]


def _care(mail: Mail, outcomes: tuple[Outcome, ...]) -> _Care:
    """The strictest of what any fork needs: a report tells of the whole message."""
    telling: frozenset[ReportItem] = frozenset()
    if mail.opened is not None and mail.opened.was_encrypted:
        telling = frozenset((ReportItem.ID_MATCH,))  # The original is attached as it came, encrypted.
    if mail.client is not None and mail.client.listener == PORTAL:  # Protected whatever the rules want.
        telling = TELLING
    for one in outcomes:
        if one.work.wanted is not None and one.work.wanted.encrypts:
            telling = TELLING
    return _Care(any(one.work.require_tls for one in outcomes), telling)


class Ruling:
    """Judges mail. `use` replaces the rules, all at once; what is under way ends under the old ones."""

    def __init__(self, made: Engines, *, clock: Clock, hands: Hands) -> None:
        self._clock = clock
        self._hands = hands
        self._decide = Deciding(hands)
        self._engines = made
        self._batch = Batch()

    def use(self, made: Engines) -> None:
        """Go by these from now on. `engines` makes them, on a thread: thousands of patterns take a second."""
        self._engines = made

    @property
    def is_on(self) -> bool:
        """Whether there is any rule at all."""
        return self._engines.all is not None

    async def __call__(self, mail: Mail) -> Plan:
        """The copies that go on, and the notices. Raises Refused where a rule refuses or defers all of it."""
        made = self._engines
        engine = made.own if mail.client is None else made.all
        if engine is None:
            return Plan(copies=(mail,), touched=False)
        await self._batch.turn()
        began = self._clock.monotonic()
        try:
            decided = await self._decide(mail, made, engine)
        finally:
            self._hands.observe("rules_seconds", self._clock.monotonic() - began)
        if not decided.judged.verdicts and len(decided.outcomes) == 1 and decided.outcomes[0].mail is mail:
            return Plan(copies=(mail,), touched=False)
        return await self._plan(mail, made.terms, decided)

    # -- the plan -----------------------------------------------------------------------------------------------------

    async def _plan(self, mail: Mail, terms: RulingTerms, decided: Decided) -> Plan:
        outcomes = decided.outcomes
        facts = self._counted(decided)
        rules = decided.judged.rows()
        deferred = next((one.work for one in outcomes if one.work.disposition is Disposition.DEFER), None)
        if deferred is not None:
            # Of a message that is not taken nothing can wait here: the client keeps all of it.
            self._tell(mail, facts)
            raise Refused(deferred.reply or RULE_FAILED)
        copies = tuple([one.mail for one in outcomes if one.mail is not None])
        refused = [one.work for one in outcomes if one.work.disposition is Disposition.REJECT]
        notices = await self._notices(mail, terms, outcomes)
        if refused and not copies:
            self._tell(mail, facts)
            for notice in notices:
                await self._hands.submit(notice)
            because: dict[str, object] = {"rules": rules, "outcomes": rows(outcomes)}
            raise Refused(refused[0].reply or refusal("", "5.7.1"), told=((RULED, because),))
        for work in refused:
            told = self._hands.refused(mail, work.recipients, work.reply or refusal("", "5.7.1"))
            if told is not None:
                notices.append(told)
        under = [copy for notice in notices for copy in (await self(notice)).copies]
        touched = len(copies) != 1 or copies[0] is not mail or bool(under)
        return Plan(
            copies=copies,
            notices=tuple(under),
            decided={"rules": rules, "outcomes": rows(outcomes)} if rules else None,
            logged=facts,
            touched=touched,
        )

    async def _notices(self, mail: Mail, terms: RulingTerms, outcomes: tuple[Outcome, ...]) -> list[Mail]:
        if not any(one.work.notices for one in outcomes):
            return []
        about = About(mail=mail, values=Letterhead(mail.message).values)
        writer = Writer(
            hostname=terms.hostname,
            contact=terms.contact,
            now=mail.received,
            boundary=lambda text: f"=_{mail.id}_{self._hands.mark(f'notice {text}')}",
        )
        care = _care(mail, outcomes)
        made: list[Mail] = []
        for one in outcomes:
            for wanted in one.work.notices:
                notice = writer.notice(wanted, one.work, about, len(made) + 1)
                if notice is not None and wanted.to is not None:
                    if care.telling & frozenset(wanted.content):
                        bare = partial(writer.notice, wanted, one.work, about, len(made) + 1, care.telling)
                        notice = await self._hands.sealed(notice) or bare()
                    if notice is not None and care.over_tls:
                        notice = replace(notice, terms=replace(notice.terms, require_tls=True))
                if notice is not None:
                    made.append(notice)
        return made

    def _counted(self, decided: Decided) -> dict[str, object] | None:
        """What the log may know. Names of rules are the administrator's; what they found is content, and stands in the
        sealed trace alone.
        """
        names = list(dict.fromkeys(name for one in decided.outcomes for name in one.rules))
        for name in names:
            self._hands.count("rules_matched_total", (name,))
        if not names:
            return None
        return {"rules": names, "dispositions": sorted({f"{one.work.disposition}" for one in decided.outcomes})}

    def _tell(self, mail: Mail, facts: dict[str, object] | None) -> None:
        """A line of its own, for a message that is not taken: else they stand on the line that says so."""
        if facts is not None:
            self._hands.tell("info", "ruled", id=mail.id, **facts)
