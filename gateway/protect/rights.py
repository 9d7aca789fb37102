"""Rights on the ladder: one message sealed for its readers, and a wrapped mail for each of them (DESIGN 14).

Readers whom the message names share a sealed file, a hundred at most; each other one has a file of his own, since
whoever opens one can list its readers. What readers need is stored in one commit with the mails, so that no link leads
nowhere.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol
from uuid import UUID

from gateway.mail.envelope import PORTAL, Body, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Content, Held, Joined, Message
from gateway.mail.plan import Left
from gateway.mail.reading.header import field_texts
from gateway.mail.terms import Protection, Wanted
from gateway.protect.reasons import (
    NO_PORTAL,
    TEMPLATE_UNKNOWN,
    TENANT_KEY_AWAY,
    TENANT_KEY_DENIED,
    TOO_MANY_COPIES,
    Lack,
)
from gateway.protect.visible import authors, who
from gateway.protect.workroom import Workroom
from gateway.rights.branding import Branding
from gateway.rights.job import Job
from gateway.rights.sealing import Forms, sealing, shares
from gateway.rights.template import ENCRYPT_ONLY, Template
from gateway.rights.tenant import TenantAway, TenantDenied, TenantKeys
from gateway.rights.terms import RightsTerms
from gateway.rights.wrapper.letter import Letter
from gateway.rights.wrapper.outside import outside, without_trace
from gateway.rights.wrapper.sender import sender_of
from gateway.rights.wrapper.wrapped import MARK_OCTETS, Wrapper
from gateway.storage.rights_model import LINK_OCTETS, KeptRights
from gateway.world.chance import Chance
from gateway.world.clock import Clock

READERS_ON_LOOP: Final = 8  # Each letter takes a quarter of a millisecond.
LONGEST_SUBJECT: Final = 500  # Letters that are kept for pages and lists.
LONGEST_ID: Final = 998  # Likewise of the Message-ID, by which a message is found again; RFC 5322 2.1.1.


class Leave(Protocol):
    """What is to be stored with a message that is about to leave; None instead of a copy: by setting none is kept."""

    async def __call__(self, message: KeptRights, copy: bytes | None) -> Left:
        """Raises what storing raises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrapTerms:
    """`url` is the portal's, without a slash at its end. `hostnames` (ours first) and `authserv_id` name us in trace
    fields.
    """

    url: str
    branding: Branding
    rights: RightsTerms
    hostnames: tuple[str, ...]
    authserv_id: str


@dataclass(frozen=True, slots=True)
class Wrapped:
    """The copies of one sealed message, whose readers are the recipients in them; `left` has to be stored with them, or
    their links lead nowhere. `size`: octets of what they share.
    """

    work: UUID
    template: str
    copies: tuple[Mail, ...] = field(repr=False)
    left: Left = field(repr=False)
    size: int


class CantWrap(Exception):
    """Rights can't be had now; `lack` says why."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.reason)
        self.lack = lack


@dataclass(frozen=True, slots=True)
class _Reader:
    """One person, by as many recipients as name him."""

    address: str
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class _Made:
    work: UUID
    rpmsg: bytes = field(repr=False)
    heads: tuple[bytes, ...] = field(repr=False)
    wrapper: Wrapper = field(repr=False)


class Wrapping:
    """Of one process. `terms` gives those of the moment, None where there is no portal."""

    def __init__(
        self,
        terms: Callable[[], WrapTerms | None],
        tenant: TenantKeys,
        leave: Leave,
        workroom: Workroom,
        *,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._terms = terms
        self._tenant = tenant
        self._leave = leave
        self._work = workroom
        self._clock = clock
        self._chance = chance
        self._forms = Forms()

    def lack(self, wanted: Wanted) -> Lack | None:
        """What stands in the way as far as the settings tell; None where nothing does."""
        terms = self._terms()
        if terms is None:
            return Lack(NO_PORTAL)
        return None if self._template(terms, wanted) is not None else Lack(TEMPLATE_UNKNOWN)

    @staticmethod
    def _template(terms: WrapTerms, wanted: Wanted) -> Template | None:
        return terms.rights.templates.find(wanted.template or ENCRYPT_ONLY.name)

    def shares(
        self, recipients: Sequence[Recipient], named: frozenset[str], wanted: Wanted
    ) -> list[tuple[Recipient, ...]]:
        """The recipients in groups that share a sealed file; nobody whom the message does not name is beside others."""
        if len(recipients) == 1:
            return [tuple(recipients)]
        terms = self._terms()
        template = None if terms is None else self._template(terms, wanted)
        together: dict[str, tuple[Recipient, ...]] = {}
        alone: dict[str, tuple[Recipient, ...]] = {}
        for one in recipients:
            name = who(one.address)
            kind = together if name in named else alone
            kind[name] = (*kind.get(name, ()), one)
        groups: list[tuple[Recipient, ...]] = []
        for share in shares(list(together), template or ENCRYPT_ONLY):
            groups.append(tuple(one for name in share for one in together[name]))
        return [*groups, *alone.values()]

    async def wrap(
        self, copy: Mail, recipients: Sequence[Recipient], wanted: Wanted, octets: bytes, *, room: int | None = None
    ) -> Wrapped:
        """A mail for each of these recipients, whose message (`octets`) is sealed once for all of them.

        `room`: octets that it may take, None: any number. Raises CantWrap; what storing raises, KeysClosed among it.
        """
        terms = self._terms()
        template = None if terms is None else self._template(terms, wanted)
        if terms is None or template is None:
            raise CantWrap(self.lack(wanted) or Lack(NO_PORTAL))
        if room is not None and len(octets) * 4 // 3 > room:
            raise CantWrap(Lack(TOO_MANY_COPIES))
        readers = _readers(recipients, terms.hostnames[0])
        links = [self._chance.octets(LINK_OCTETS) for _ in readers]
        written = authors(copy.message, copy.envelope.sender)
        owner = written[0].text if written else ""
        now = self._clock.now()
        job = Job(
            owner=owner,
            readers=tuple([one.address for one in readers]),
            template=template,
            issued=now,
            expires=terms.rights.expires(now),
            url=terms.url,
        )
        mark = self._chance.octets(MARK_OCTETS).hex()
        work = self._made(copy, octets, job, terms, links, mark)
        try:
            # With a thread beside it the loop would wait for each of the many short calls, and they for the loop.
            slow = len(readers) > READERS_ON_LOOP or not self._tenant.is_local
            made = await self._work.seal(len(octets), work, slow=slow)
        except TenantAway as error:
            raise CantWrap(Lack(TENANT_KEY_AWAY, passing=True)) from error
        except TenantDenied as error:
            raise CantWrap(Lack(TENANT_KEY_DENIED)) from error
        kept = KeptRights(
            work=made.work,
            message_id=(copy.message.first(b"Message-ID") or b"").decode("ascii", "replace").strip("<> ")[:LONGEST_ID],
            queue_id=copy.id,
            sender=owner,
            readers=tuple([(one.address, link) for one, link in zip(readers, links, strict=True)]),
            subject=_subject(copy.message),
            template=template.name,
            created=now,
            expires=job.expires,
            shows_subject=not terms.branding.hide_subject,
        )
        left = await self._leave(kept, made.rpmsg if terms.rights.keep_copies else None)
        copies = tuple(_copies(copy, readers, made))
        return Wrapped(made.work, template.name, copies, left, made.wrapper.size)

    def _made(
        self, copy: Mail, octets: bytes, job: Job, terms: WrapTerms, links: Sequence[bytes], mark: str
    ) -> Generator[None, None, _Made]:
        """All that takes long, in steps."""
        original = without_trace(octets, terms.hostnames, terms.authserv_id)
        sealed = yield from sealing(original, job, self._tenant, self._chance, self._forms)
        yield
        branding = terms.branding
        wrapper = Wrapper.made(sealed.rpmsg, branding, mark)
        yield
        fields = outside(copy.message, branding.wording.subject if branding.hide_subject else None)
        is_answer = copy.client is not None and copy.client.listener == PORTAL
        sender = sender_of(copy.message, copy.envelope.sender, is_answer=is_answer)
        yield
        heads = []
        for reader, link in zip(job.readers, links, strict=True):
            letter = Letter(
                sender=sender,
                recipient=reader,
                url=terms.url,
                link=link_of(terms.url, link),
                expires=job.expires,
                is_stored=terms.rights.keep_copies,
                branding=branding,
            )
            heads.append(wrapper.head(fields, letter))
        return _Made(sealed.work, sealed.rpmsg, tuple(heads), wrapper)


def link_of(url: str, link: bytes) -> str:
    """A reader's address on the portal at `url`: 256 bits of chance, and nothing that names anybody."""
    return f"{url}/m/{urlsafe_b64encode(link).rstrip(b'=').decode()}"


def _readers(recipients: Sequence[Recipient], home: str) -> list[_Reader]:
    """Each person once: two links for one address would tell him nothing."""
    found: dict[str, list[Recipient]] = {}
    for one in recipients:
        found.setdefault(who(one.address), []).append(one)
    return [_Reader(_address(ones[0], home), tuple(ones)) for ones in found.values()]


def _address(one: Recipient, home: str) -> str:
    return one.address.text if one.address.domain else f"{one.address.text}@{home}"  # A bare postmaster is ours.


def _subject(message: Message) -> str:
    raw = message.first(b"Subject")
    return "" if raw is None else field_texts(raw)[0][:LONGEST_SUBJECT]


def _copies(copy: Mail, readers: Sequence[_Reader], made: _Made) -> list[Mail]:
    """A mail for each; where there are several they have the shared octets in common, as one object."""
    pieces, tail = made.wrapper.pieces, made.wrapper.tail
    behind = (Held(b"".join(pieces)), Held(tail)) if len(readers) > 1 else ()
    terms = copy.terms.having(Protection.RIGHTS)
    found = []
    for reader, head in zip(readers, made.heads, strict=True):
        content: Content
        if behind:
            content = Joined((Held(head), *behind))
        else:
            content = Held(b"".join((head, *pieces, tail)))
        message = Message(head[:MAX_HEAD], content)
        body = Body.SEVEN_BIT if head.isascii() else Body.EIGHT_BIT_MIME
        found.append(copy.as_copy(copy.envelope.around(reader.recipients, body), message, terms))
    return found
