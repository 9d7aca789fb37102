"""What rules say of one message, with the copies made: nothing is stored or sent (`gateway rule test` uses it too).

Large messages are read and judged on threads, a few at a time.
Leaves out: notices and refusals, which the stage makes of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol

from gateway.mail.envelope import Body, Client, Envelope
from gateway.mail.mail import Mail
from gateway.mail.message import Content, Message
from gateway.mail.reading import Reading, read
from gateway.mail.reply import Refused
from gateway.mail.terms import PLAIN
from gateway.rules.actions.disposition import refusal
from gateway.rules.copies import distinct, is_going, spared
from gateway.rules.engine import Engine
from gateway.rules.facts import Facts, Organisation
from gateway.rules.letterhead import Letterhead
from gateway.rules.model import Mode, OnError, RuleSet
from gateway.rules.outcome import Outcome
from gateway.rules.rewrite import Rewriter, Rewritten
from gateway.rules.verdict import Judged
from gateway.rules.work import DisclaimerWanted, Disposition, HeaderEdit, Work, merged, who

ON_THE_LOOP: Final = 64 * 1024  # Octets that are judged where we stand; more goes to a thread.
LARGE: Final = 2  # Messages that lie whole in memory for judging at one time; each may be as large as a listener takes.

TLS: Final = "route_message_outbound_require_tls"  # The one action for mail of the gateway's own (a30).
NOT_ADDED: Final = "The disclaimer that belongs into this message can't be put into it"

_Wish = tuple[tuple[HeaderEdit, ...], tuple[DisclaimerWanted, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingTerms:
    """What a reload replaces. `organisation` says who is inside; `hostname` signs notices, `contact` stands in them."""

    rules: RuleSet
    organisation: Organisation
    hostname: str
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class Engines:
    """`terms`, compiled: `all` judges what comes in, `own` the gateway's mail. `on_error`: of each rule by its name."""

    terms: RulingTerms
    all: Engine | None
    own: Engine | None
    on_error: Mapping[str, OnError]


def engines(terms: RulingTerms) -> Engines:
    """The engines for these rules. Takes a second with thousands of patterns."""
    rules = terms.rules
    own = tuple(
        [
            replace(rule, then=under)
            for rule in rules
            if rule.mode is Mode.ENFORCE and (under := tuple([one for one in rule.then if one.name == TLS]))
        ]
    )
    return Engines(
        terms=terms,
        all=Engine(rules) if any(rule.enabled for rule in rules) else None,  # Mail need not be read for the others.
        own=Engine(replace(rules, rules=own)) if own else None,
        on_error={rule.name: rule.on_error for rule in rules},
    )


class Helps(Protocol):
    """What deciding needs of others."""

    def is_trusted(self, client: Client | None, connector: str | None) -> bool:
        """Whether mail comes from our side: people who logged in, servers of ours."""

    def mark(self, text: str) -> str:
        """A word of letters and digits, made of `text` by a key of ours."""

    def failed(self, mail: Mail, rules: tuple[str, ...], error: Exception) -> None:
        """Note that a rule could not be judged or carried out. The error's words may quote content."""


@dataclass(frozen=True, slots=True)
class Decided:
    """All that the rules said of one message."""

    judged: Judged
    outcomes: tuple[Outcome, ...]


class Deciding:
    """Asks an engine, and makes what its rules want."""

    def __init__(self, helps: Helps) -> None:
        self._helps = helps
        self._large = asyncio.Semaphore(LARGE)

    async def __call__(self, mail: Mail, engines: Engines, engine: Engine, *, explain: bool = False) -> Decided:
        """What the rules of `engine`, one of `engines`, say of `mail`. `explain`: of all rules, not only of those that
        match. Raises Refused where an edit can't be made.
        """
        held = mail.message.content.inline
        opened = None if mail.opened is None else mail.opened.octets
        if (held is not None and len(opened or held) <= ON_THE_LOOP) or not (engine.reads or explain):
            judged = self._judge(engines.terms, engine, mail, held if opened is None else opened, explain)
            return Decided(judged, await self._outcomes(mail, engines, judged, held))
        async with self._large:
            octets: bytes | Exception | None = held if opened is None else opened
            if octets is None:
                octets = await _loaded(mail.message.content)
            judged = await asyncio.to_thread(self._judge, engines.terms, engine, mail, octets, explain)
            whole = octets if opened is None else held
            at_hand = whole if isinstance(whole, bytes) else None
            return Decided(judged, await self._outcomes(mail, engines, judged, at_hand))

    def _judge(
        self, terms: RulingTerms, engine: Engine, mail: Mail, octets: bytes | Exception | None, explain: bool
    ) -> Judged:
        envelope = mail.envelope
        facts = Facts(
            sender=envelope.sender,
            organisation=terms.organisation,
            read=partial(_read, octets, mail),
            size=len(mail.preface) + mail.message.size,
            now=mail.received,
            client=None if mail.client is None else mail.client.address,
            trusted=self._helps.is_trusted(mail.client, mail.connector),
            authentication=mail.authentication,
            opened=mail.opened,
        )
        work = Work(envelope.recipients, spared(envelope.recipients, terms.organisation.is_ours))
        judged = engine.judge(facts, work, explain=explain)
        for name, error in judged.failures:
            self._helps.failed(mail, (name,), error)
        return judged

    # -- copies -------------------------------------------------------------------------------------------------------

    async def _outcomes(
        self, mail: Mail, engines: Engines, judged: Judged, octets: bytes | None
    ) -> tuple[Outcome, ...]:
        """What becomes of each fork. `octets` is the whole message, where it is at hand."""
        if not judged.verdicts and not judged.failures:  # No rule concerns it, as most mail.
            return (Outcome(judged.works[0], mail),)
        works = distinct(merged(judged.works))
        if not any(is_going(work) and (work.edits or work.disclaimers) for work in works):
            return tuple([Outcome(work, _copy(mail, work, mail.message) if is_going(work) else None) for work in works])
        values, boundary = {}, ""
        if any(work.disclaimers for work in works):
            values = Letterhead(mail.message).tokens(mail.envelope.sender)
            boundary = f"=_{mail.id}_{self._helps.mark(f'wrapper {mail.id}')}"
            if octets is None:
                loaded = await _loaded(mail.message.content)
                octets = loaded if isinstance(loaded, bytes) else None
        rewriter = Rewriter(mail.message, octets, values=values, mark=self._helps.mark, boundary=boundary)
        make = partial(self._made, mail, engines, works, rewriter)
        return make() if mail.message.size <= ON_THE_LOOP else await asyncio.to_thread(make)

    def _made(self, mail: Mail, engines: Engines, works: tuple[Work, ...], rewriter: Rewriter) -> tuple[Outcome, ...]:
        outcomes: list[Outcome] = []
        known: dict[_Wish, Rewritten] = {}  # Forks whose edits are the same share one message.
        for work in works:
            if not is_going(work):
                outcomes.append(Outcome(work))
                continue
            wish = (work.edits, work.disclaimers)
            try:
                if (done := known.get(wish)) is None:
                    done = known[wish] = rewriter.rewrite(*wish)
            except Refused:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is: on_error decides, as with any other error of a rule
                self._unwritten(mail, engines, work, error)
                outcomes.append(Outcome(work, _copy(mail, work, mail.message) if is_going(work) else None))
                continue
            if done.unfit is not None:
                work.warnings += (f"no disclaimer could be put in: {done.unfit}",)
            for fork in _forks(work, done):
                outcomes.append(
                    Outcome(fork, _copy(mail, fork, done.message, done.eight_bit) if is_going(fork) else None)
                )
        return tuple(outcomes)

    def _unwritten(self, mail: Mail, engines: Engines, work: Work, error: Exception) -> None:
        """An edit failed. A fault of ours must not bounce mail, nor let pass what it must not."""
        self._helps.failed(mail, work.rules, error)
        work.warnings += ("the message could not be edited",)
        if any(engines.on_error.get(name) is OnError.DEFER for name in work.rules):
            work.defer(work.rules[-1])


def _forks(work: Work, done: Rewritten) -> tuple[Work, ...]:
    """The fork; where a disclaimer's fallback rejects, those who are spared stand in one of their own."""
    if done.rejecting is None:
        return (work,)
    kept = [one for one in work.recipients if who(one.address) in work.spared]
    rest = [one for one in work.recipients if who(one.address) not in work.spared]
    forks = (work.fork(kept),) if kept else ()
    if not rest:
        return forks
    refused = work.fork(rest)
    refused.reply = refusal(NOT_ADDED, "5.7.1")
    refused.disposition = Disposition.REJECT
    return (*forks, refused)


def _copy(mail: Mail, work: Work, message: Message, eight_bit: bool = False) -> Mail:
    """The mail for this fork; the very same where nothing is other than it came."""
    envelope, terms = mail.envelope, work.terms
    if mail.terms is not PLAIN:  # A mail of the gateway's own, which has terms already: they are never made less.
        terms = replace(mail.terms, require_tls=mail.terms.require_tls or terms.require_tls)
    if message is mail.message and terms == mail.terms and work.recipients == envelope.recipients:
        return mail
    international = any(not one.address.is_ascii for one in work.recipients)
    own = Envelope(
        sender=envelope.sender,
        recipients=work.recipients,
        body=Body.EIGHT_BIT_MIME if eight_bit or international else envelope.body,
        smtputf8=envelope.smtputf8 or international,
        ret=envelope.ret,
        envid=envelope.envid,
    )
    return mail.as_copy(own, message, terms, opened=mail.opened)


def _read(octets: bytes | Exception | None, mail: Mail) -> Reading:
    if isinstance(octets, Exception):
        raise octets
    return read(mail.message.head if octets is None else octets)


async def _loaded(content: Content) -> bytes | Exception:
    """All of it, or why it can't be had: then each rule that needs it says what becomes of the message."""
    if content.inline is not None:
        return content.inline
    pieces = []
    blocks = content.blocks()
    try:
        async for block in blocks:
            pieces.append(block)
    except Exception as error:
        return error
    finally:
        if isinstance(blocks, AsyncGenerator):
            await blocks.aclose()
    return b"".join(pieces)
