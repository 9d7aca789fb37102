"""What the portal's process writes itself: the mails with a code or a door, and a reader's answer (DESIGN 22, 23; m08).

An answer goes the one way of a message: rules judge it as mail of its reader, and then whoever is outside has it
protected under the original's template, whatever the rules say; it never leaves in clear. It counts as sent once it is
on disk. Leaves out: reading; `gateway.app.portal_desk` opens the message and says who answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from gateway.mail.address import Address, parse_address
from gateway.mail.envelope import PORTAL, Body, Client, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Message
from gateway.mail.mime.encode import Encoding, encoder
from gateway.mail.plan import Plan
from gateway.mail.reading import read
from gateway.mail.reply import Refused
from gateway.mail.terms import Wanted
from gateway.pipeline import Pipeline
from gateway.portal.compose import (
    Letter,
    NobodyToAnswer,
    addressees,
    may_quote,
    name_of,
    quoted,
    subject_of,
    thread_of,
)
from gateway.portal.desk import Away, NotSent, Reply, Session
from gateway.portal.drafts import Drafts
from gateway.rights.branding import Branding
from gateway.rights.code_mail import CodeMail, DoorMail, code_mail, door_mail
from gateway.rights.opening import OpenedMessage
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.spooling import Receiving, Spooling
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.chance import Chance
from gateway.world.clock import Clock

T = TypeVar("T")

FACE: Final = PORTAL  # As listener and user in log and trace: who it was stands in the envelope.
RULE: Final = "answer from the portal"  # In the trace, as what wanted the protection.
STRICT: Final = "do-not-forward"  # Where the original's template is none of ours any more.


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTerms:
    """`address` is the portal's own, `url` that of its pages without a slash at the end. `is_inside` says whether the
    mailboxes of a domain are ours, `has_template` whether there is a template of that name.
    """

    hostname: str
    address: Address
    url: str
    branding: Branding
    is_inside: Callable[[str], bool]
    has_template: Callable[[str], bool]


class PortalMail:
    """Writes and sends. `terms`, `pipeline` and `spool` give those of the moment."""

    def __init__(
        self,
        *,
        terms: Callable[[], MailTerms],
        pipeline: Callable[[], Pipeline],
        spool: Callable[[], Spooling],
        ids: Callable[[], str],
        executor: Executor,
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
        check_room: Callable[[int], None] = lambda size: None,
    ) -> None:
        """`ids` makes queue ids; `executor` reads what is long. `check_room` raises where nothing can be taken now."""
        self._terms = terms
        self._pipeline = pipeline
        self._spool = spool
        self._ids = ids
        self._executor = executor
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._check_room = check_room
        self._drafts = Drafts(clock)

    async def code(self, to: str, code: str, reference: str, ends: float, language: str) -> None:
        """Send a code to whom the link belongs. `ends`: seconds since 1970.

        Raises Away; NotSent (`nobody`) where `to` is the portal itself, which would send codes to itself for ever.
        """
        terms = self._terms()
        address = _addressee(terms, to)
        about = CodeMail(
            id=self._ids(),
            author=terms.address,
            to=address,
            code=code,
            reference=reference,
            now=self._clock.now(),
            ends=ends,
        )
        mail = code_mail(about, replace(terms.branding, language=language))
        await self._taken(lambda: self._pipeline().accept(mail))

    async def door(self, to: str, path: str, ends: float, language: str) -> None:
        """Send a door, which is opened at `path` of our pages and counts until `ends`. Raises as `code` does."""
        terms = self._terms()
        about = DoorMail(
            id=self._ids(),
            author=terms.address,
            to=_addressee(terms, to),
            link=terms.url + path,
            now=self._clock.now(),
            ends=ends,
        )
        mail = door_mail(about, replace(terms.branding, language=language))
        await self._taken(lambda: self._pipeline().accept(mail))

    async def reply(self, session: Session, opened: OpenedMessage, reply: Reply) -> str:
        """Send the answer of the session's reader to the message, which was opened for his right to answer it; the
        queue id, once it is on disk.

        Raises Away where it may succeed later, and NotSent: `nobody`, `refused` (by a rule), `slowed`.
        """
        principal, client = session.principal, session.client
        draft = reply.draft or self._chance.octets(16).hex()  # Who leaves it out sends no more than others.
        key = (str(opened.work), parse_address(principal).who, draft)
        return await self._drafts.once(key, lambda: self._reply(opened, principal, reply, client))

    async def _reply(self, opened: OpenedMessage, principal: str, reply: Reply, client: str) -> str:
        terms = self._terms()
        try:
            letter = await self._apart(lambda: self._letter(terms, opened, principal, reply))
        except NobodyToAnswer as error:
            raise NotSent("nobody") from error
        size = len(letter.text) + sum(one.content.size for one in reply.files) // 3 * 4

        async def take() -> str:
            self._check_room(size)
            return await self._send(terms, letter, reply, client, _template(terms, opened))

        id_ = await self._taken(take)
        self._tell("info", "portal_reply", id=id_, recipients=len(letter.addressees.addresses), files=len(reply.files))
        return id_

    # -- the message --------------------------------------------------------------------------------------------------

    def _letter(self, terms: MailTerms, opened: OpenedMessage, principal: str, reply: Reply) -> Letter:
        original = read(opened.original)
        text = reply.text
        if reply.quotes and may_quote(opened.rights):
            text = f"{text.rstrip()}\n\n{quoted(original)}"
        return Letter(
            id=self._ids(),
            now=self._clock.now(),
            hostname=terms.hostname,
            portal=terms.address,
            reader=parse_address(principal),
            reader_name=name_of(original, principal),
            addressees=addressees(
                original, reader=principal, portal=terms.address.text, owner=opened.owner, to_all=reply.to_all
            ),
            subject=subject_of(original, reply.subject),
            thread=thread_of(original),
            text=text,
            files=tuple((one.name, one.content_type) for one in reply.files),
            boundary=f"=_{self._chance.octets(18).hex()}",
        )

    async def _send(self, terms: MailTerms, letter: Letter, reply: Reply, client: str, template: str) -> str:
        incoming = self._spool().begin(letter.id)
        kept = False
        try:
            message = await self._written(incoming, letter, reply)
            pipeline = self._pipeline()
            way = replace(
                pipeline,
                authenticate=None,  # Nobody has signed it, and nothing in it is sealed: it is ours, and new.
                open=None,
                rules=Protecting(pipeline.rules, terms, letter, template),
            )
            try:
                await way.accept(self._mail(letter, message, client))
                kept = True
            except asyncio.CancelledError:
                kept = True  # The commit may be on its way; if it is not, the next start clears up.
                raise
        finally:
            if not kept:
                await incoming.abandon()
        return letter.id

    async def _written(self, incoming: Receiving, letter: Letter, reply: Reply) -> Message:
        """The whole message in the spool; of its files a piece at a time is in memory."""
        incoming.write(letter.head())
        for number, file in enumerate(reply.files):
            incoming.write(letter.before(number))
            encode = encoder(Encoding.BASE64)
            async for block in file.content.blocks():
                await self._put(incoming, await self._apart(partial(encode.feed, block)))
            await self._put(incoming, encode.end())
        await self._put(incoming, letter.end())
        return await incoming.finish()

    @staticmethod
    async def _put(incoming: Receiving, octets: bytes) -> None:
        if incoming.write(octets):
            await incoming.flush()

    def _mail(self, letter: Letter, message: Message, client: str) -> Mail:
        """As rules see it: from its reader, who was let in as such."""
        recipients = tuple(Recipient(one) for one in letter.addressees.addresses)
        international = letter.is_international
        envelope = Envelope(
            sender=letter.reader,
            recipients=recipients,
            body=Body.EIGHT_BIT_MIME if international else Body.SEVEN_BIT,
            smtputf8=international,
            ret="HDRS",  # What could not be delivered does not go back to where it was not sent in clear.
        )
        who = Client(address=client, port=0, helo=FACE, esmtp=False, listener=FACE, tls=None, user=FACE)
        return Mail(id=letter.id, received=letter.now, envelope=envelope, message=message, client=who)

    # -- the way ------------------------------------------------------------------------------------------------------

    async def _taken(self, take: Callable[[], Awaitable[str]]) -> str:
        try:
            return await take()
        except Refused as refused:
            if refused.reply.code < 500:
                raise Away from refused
            raise NotSent("refused") from refused
        except (StorageBroken, StorageFull, KeysClosed, SealBroken, OSError) as error:
            raise Away from error

    async def _apart(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _addressee(terms: MailTerms, to: str) -> Address:
    address = parse_address(to)
    if address.who == terms.address.who:
        raise NotSent("nobody")
    return address


def _template(terms: MailTerms, opened: OpenedMessage) -> str:
    return opened.template if opened.template is not None and terms.has_template(opened.template) else STRICT


class Protecting:
    """The stage `rules` for an answer: what the administrator's rules say, and protection for all outside.

    Also whoever a rule adds is outside or inside. Where a rule wants encryption itself, that is how it is done.
    """

    def __init__(
        self,
        rules: Callable[[Mail], Awaitable[Plan]] | None,
        terms: MailTerms,
        letter: Letter,
        template: str,
    ) -> None:
        self._rules = rules
        self._terms = terms
        self._letter = letter
        self._wanted = Wanted(rule=RULE, template=template)

    async def __call__(self, mail: Mail) -> Plan:
        """The plan of `rules`, its copies divided. Raises as `rules` does."""
        plan = Plan(copies=(mail,), touched=False) if self._rules is None else await self._rules(mail)
        copies = tuple(one for copy in plan.copies for one in self._divided(copy))
        touched = plan.touched or len(copies) != len(plan.copies) or any(copy.terms.waits for copy in copies)
        return replace(plan, copies=copies, notices=self._notices(plan), touched=touched)

    def _notices(self, plan: Plan) -> tuple[Mail, ...]:
        """Those to the reader name the subject in clear: where that is hidden outside, he hears nothing."""
        if not self._terms.branding.hide_subject:
            return plan.notices
        reader = self._letter.reader.who
        return tuple(one for one in plan.notices if all(to.address.who != reader for to in one.envelope.recipients))

    def _divided(self, copy: Mail) -> list[Mail]:
        inside = tuple(one for one in copy.envelope.recipients if self._terms.is_inside(one.address.domain))
        outside = tuple(one for one in copy.envelope.recipients if not self._terms.is_inside(one.address.domain))
        made: list[Mail] = []
        if inside:
            sender = self._terms.address if self._terms.branding.hide_subject else self._letter.reader
            made.append(_for(copy, inside, sender))
        if outside:
            wanted = copy.terms.wanted
            if wanted is None or not wanted.encrypts:
                wanted = self._wanted
            # Its sender is ours, so that it is aligned by SPF too; what came back to the reader would lack protection.
            one = _for(copy, outside, self._terms.address)
            made.append(replace(one, terms=replace(copy.terms, wanted=wanted, sign=True)))
        return made


def _for(copy: Mail, recipients: tuple[Recipient, ...], sender: Address) -> Mail:
    return replace(copy, envelope=replace(copy.envelope, recipients=recipients, sender=sender))
