"""The stage `protect`: every copy that a rule marked gets its protection, waits for it, or does not leave (DESIGN 15).

What may come later waits, sealed: all recipients, and the client is told to come again; some, and the others get
theirs. What can't be had at all is refused in the session, or told to a sender of whom we are sure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from gateway.mail.envelope import Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Joined
from gateway.mail.plan import Left, Plan
from gateway.mail.reply import PROTECTION_AWAY, Refused, unprotectable
from gateway.mail.terms import Protection, Smime, Wanted
from gateway.observe.events import PROTECTED, RULED
from gateway.protect.decrypted import Decrypting
from gateway.protect.ladder import Group, Judged, Missed, judge
from gateway.protect.means import Means
from gateway.protect.notice import Lost
from gateway.protect.reasons import (
    ENCRYPTED_BY_SENDER,
    NO_PORTAL,
    SEALING_FAILED,
    SENDER_NOT_OURS,
    TOO_MANY_COPIES,
    Lack,
)
from gateway.protect.rights import Wrapping
from gateway.protect.rights_step import RightsStep
from gateway.protect.sealing import Sealing, as_it_is, sealed
from gateway.protect.told import Protected, Step
from gateway.protect.unsealed import Unsealing
from gateway.protect.visible import authors, visible, who
from gateway.protect.workroom import Workroom, whole
from gateway.rights.wrapper.proof import Proof
from gateway.smime.certificate import Identity

MOST = 64 << 20  # Octets of encrypted copies that are made of one message at once. One is, however long it is.

_STEPS = {Smime.ENCRYPT: Step.ENCRYPTED, Smime.SIGN: Step.SIGNED, Smime.BOTH: Step.BOTH}


class Unprotected(RuntimeError):
    """A copy was about to leave without the protection that a rule wants. A fault of ours, which stops everything."""


@dataclass(slots=True)
class _Made:
    """What has come of a plan so far. `again`: it waited, so that nothing new is told where it still does."""

    again: bool = False

    size: int = 0  # Of what was encrypted or wrapped, in octets: each blind recipient has a copy of his own.
    copies: list[Mail] = field(default_factory=list)
    told: list[Protected] = field(default_factory=list)
    lost: list[tuple[Mail, Lost]] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)


class Protecting:
    """Carries out what rules want. `is_sure` says whether the sender of a mail is known to be who it says: ours, or
    authenticated; `is_ours`, whether it comes from our side. `notice` makes the notice to the sender of a mail about
    those who never get it.

    Mail from elsewhere is never signed by an identity of ours, whatever its From says: that would vouch for a forgery.
    """

    def __init__(
        self,
        means: Means,
        workroom: Workroom,
        *,
        decrypting: Decrypting,
        unsealing: Unsealing | None = None,
        is_sure: Callable[[Mail], bool],
        is_ours: Callable[[Mail], bool],
        notice: Callable[[Mail, Sequence[Lost]], Mail | None],
        tell: Callable[..., None],
        count: Callable[[str, tuple[str, ...]], None],
        wrapping: Wrapping | None = None,
    ) -> None:
        """`wrapping` None: there are no rights, and whoever should get them waits; likewise `unsealing`."""
        self._means = means
        self._work = workroom
        self._sealing = Sealing(means, workroom)
        self._decrypting = decrypting
        self._unsealing = unsealing
        self._is_sure = is_sure
        self._is_ours = is_ours
        self._notice = notice
        self._tell = tell
        self._count = count
        self._rights = RightsStep(wrapping, self._fail)

    async def __call__(self, plan: Plan) -> Plan:
        """The plan with its copies protected, waiting or held. Raises Refused where nobody gets the message, or nobody
        gets it now; what reading a content raises.
        """
        if not any(_concerns(copy) for copy in plan.copies):
            return plan
        made = _Made()
        for copy in plan.copies:
            await self._take(copy, made)
        going = any(_goes_on(copy) for copy in made.copies)
        if not going and any(one.step is Step.WAITS for one in made.told):
            self._tell_alone(plan.copies[0].id, self._counted(made))
            raise Refused(PROTECTION_AWAY)
        if made.lost and not made.copies:
            self._tell_alone(plan.copies[0].id, self._counted(made))
            ruled = () if plan.decided is None else ((RULED, plan.decided),)
            told = (*ruled, *plan.told, *_traced(made.told))
            raise Refused(unprotectable(made.lost[0][1].rule), told=told)
        notices = self._notices(made, sure=False)
        return await self._finished(plan, made, notices)

    async def again(self, mail: Mail) -> Plan:
        """The same for one stored copy that waits. What still can't be had waits on; who never gets it is in no copy,
        and its sender is told: the message was taken, so that somebody has to be.
        """
        made = _Made(again=True)
        await self._take(mail, made)
        return await self._finished(Plan(copies=(mail,)), made, self._notices(made, sure=True))

    async def sealed(self, mail: Mail) -> Mail | None:
        """A mail of the gateway's own, encrypted for all of its recipients; None where that can't be done now."""
        recipients = mail.envelope.recipients
        try:
            found = [self._means.recipient(one.address) for one in recipients]
            certificates = [one for one in found if not isinstance(one, Lack)]
            if len(certificates) < len(recipients):
                return None
            async with self._work.room(mail.message.size):
                octets = await self._sealing.encrypt(await whole(mail.message.content), certificates)
        except Exception as error:  # noqa: BLE001 - whatever failed: whoever asks says it without what is protected
            self._fail(mail, error)
            return None
        made = sealed(mail, octets, recipients)
        return made if _is_smime(made) else None

    # -- one copy -----------------------------------------------------------------------------------------------------

    async def _take(self, copy: Mail, made: _Made) -> None:
        wanted = copy.terms.wanted
        if copy.terms.quarantine is not None:  # Held, sealed, as it is; what is wanted is asked for at its release.
            made.copies.append(copy)
        elif copy.terms.remove_rights and self._unsealing is not None:
            copies, told = await self._unsealing(copy)
            made.told += told
            for one in copies:
                await self._take(one, made)
        elif wanted is not None:
            async with self._work.room(copy.message.size):
                await self._protect(copy, wanted, made)
        elif copy.opened is not None and copy.terms.protection is Protection.NONE:
            copies, told = await self._decrypting(copy)
            made.copies += copies
            made.told += told
        else:
            made.copies.append(copy)

    async def _protect(self, copy: Mail, wanted: Wanted, made: _Made) -> None:
        recipients = copy.envelope.recipients
        encrypts = wanted.encrypts
        try:
            if encrypts and await self._sealing.is_encrypted(copy):
                made.copies.append(as_it_is(copy, recipients))
                made.told += [_told(one, Step.AS_IT_CAME, wanted, ENCRYPTED_BY_SENDER) for one in recipients]
                return
            # What waited here has no client any more; that it came from our side was written down.
            ours = copy.terms.sign if made.again else self._is_ours(copy)
            identity = await self._identity(copy, wanted, ours=ours)
            lack = identity if isinstance(identity, Lack) else None
            signs_alone = wanted.smime is Smime.SIGN and lack is None  # Everybody gets the same, named or not.
            named = frozenset[str]() if signs_alone else visible(copy.message)
            judged = judge(wanted, recipients, named, self._means.recipient, lack)
            octets = b""
            if judged.groups:
                octets = await whole(copy.message.content)
                if isinstance(identity, Identity):
                    octets = await self._sealing.sign(octets, identity)
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - whatever failed, it waits: a fault of ours bounces nothing
            self._fail(copy, error)
            judged, octets = Judged(waiting=tuple(Missed(one, SEALING_FAILED) for one in recipients)), b""
            named = frozenset[str]()
        waiting = list(judged.waiting)
        for group in judged.groups:
            if made.size and made.size + len(octets) > MOST:
                waiting += [Missed(one, TOO_MANY_COPIES) for one in group.recipients]
            else:
                waiting += await self._seal(copy, group, octets, wanted, made)
        given = await self._rights(copy, judged.rights, named, wanted, made.size, MOST)
        made.copies += given.copies
        made.left += given.left
        made.told += given.told
        made.size += given.size
        self._leave_waiting(copy, wanted, [*waiting, *given.waiting], made)
        for missed in judged.refused:
            made.told.append(_told(missed.recipient, Step.REFUSED, wanted, missed.reason))
            made.lost.append((copy, Lost(missed.recipient, wanted.rule, missed.reason)))

    async def _identity(self, copy: Mail, wanted: Wanted, *, ours: bool) -> Identity | Lack | None:
        """Who signs; None where nobody has to."""
        if wanted.smime not in (Smime.SIGN, Smime.BOTH):
            return None
        if not ours:
            return Lack(SENDER_NOT_OURS)
        return await self._means.signer(authors(copy.message, copy.envelope.sender))

    async def _seal(self, copy: Mail, group: Group, octets: bytes, wanted: Wanted, made: _Made) -> tuple[Missed, ...]:
        """Add the copy of one group; those that wait instead."""
        if group.certificates:
            try:
                octets = await self._sealing.encrypt(octets, group.certificates)
            except Exception as error:  # noqa: BLE001 - as above
                self._fail(copy, error)
                return tuple(Missed(one, SEALING_FAILED) for one in group.recipients)
        made.copies.append(sealed(copy, octets, group.recipients))
        made.size += len(octets) if group.certificates else 0
        certificates: list[str | None] = [one.fingerprint for one in group.certificates]
        certificates = certificates or [None] * len(group.recipients)
        step = _STEPS[wanted.smime or Smime.ENCRYPT]
        made.told += [
            Protected(recipient=one.address.text, step=step, rule=wanted.rule, certificate=fingerprint)
            for one, fingerprint in zip(group.recipients, certificates, strict=True)
        ]
        return ()

    @staticmethod
    def _leave_waiting(copy: Mail, wanted: Wanted, waiting: Sequence[Missed], made: _Made) -> None:
        if not waiting:
            return
        reasons = dict.fromkeys(missed.reason for missed in waiting)
        envelope = replace(copy.envelope, recipients=tuple(missed.recipient for missed in waiting))
        terms = replace(copy.terms, reason="; ".join(reasons))
        made.copies.append(replace(copy, envelope=envelope, terms=terms))
        made.told += [_told(missed.recipient, Step.WAITS, wanted, missed.reason) for missed in waiting]

    # -- the end ------------------------------------------------------------------------------------------------------

    def _notices(self, made: _Made, *, sure: bool) -> list[Mail]:
        """What senders hear of those who never get it; strangers hear nothing, for their address may be forged."""
        by_copy: dict[int, tuple[Mail, list[Lost]]] = {}
        for copy, lost in made.lost:
            by_copy.setdefault(id(copy), (copy, []))[1].append(lost)
        found = [self._notice(copy, lost) for copy, lost in by_copy.values() if sure or self._is_sure(copy)]
        return [one for one in found if one is not None]

    async def _finished(self, plan: Plan, made: _Made, notices: Sequence[Mail]) -> Plan:
        facts = self._counted(made)
        done = Plan(  # `replace` takes three times that.
            copies=tuple(made.copies),
            notices=(*plan.notices, *notices),
            decided=plan.decided,
            told=(*plan.told, *_traced(made.told)),
            left=(*plan.left, *made.left),
            logged={**(plan.logged or {}), **facts},
            touched=plan.touched or bool(made.told),
        )
        lost = [one.recipient for _, one in made.lost]
        await self._work.run(made.size, partial(check, plan, done, lost))
        if NO_PORTAL in str(facts.get("reasons", "")):  # Somebody should act, although the message is taken.
            self._tell_alone(plan.copies[0].id, facts)
        return done

    def _counted(self, made: _Made) -> dict[str, object]:
        """What the log may know: numbers and reasons, nobody's address. Counted for the metrics."""
        told = [one for one in made.told if one.step is not Step.WAITS or not made.again]
        if not told:
            return {}
        steps: dict[str, int] = {}
        for one in told:
            self._count("protected_total", (f"{one.step}",))
            steps[f"{one.step}"] = steps.get(f"{one.step}", 0) + 1
        reasons = sorted({one.reason for one in told if one.reason is not None})
        return {"steps": steps, **({"reasons": reasons} if reasons else {})}

    def _tell_alone(self, id_: str, facts: dict[str, object]) -> None:
        """A line of its own, for a message that is not taken: else they stand on the line that says so."""
        if facts:
            level = "warning" if NO_PORTAL in str(facts.get("reasons", "")) else "info"
            self._tell(level, "protected", id=id_, **facts)

    def _fail(self, copy: Mail, error: Exception) -> None:
        """What the libraries say may hold content: its kind alone is told."""
        self._tell("error", "sealing_failed", id=copy.id, error=type(error).__name__)


def check(before: Plan, after: Plan, lost: Sequence[Recipient]) -> None:
    """Raises Unprotected where a copy could leave without what a rule wanted for it, or a recipient was forgotten.

    It looks at what went in and came out alone, so that a fault in what lies between is found all the same.
    """
    (was, was_plain), (now, now_plain) = _counted(before), _counted(after)
    if now_plain and any(number > was_plain.get(one, 0) for one, number in now_plain.items()):
        raise Unprotected("a copy would leave without the protection that a rule wants")
    for one in lost:
        now[id(one)] = now.get(id(one), 0) + 1
    if was != now:
        raise Unprotected("a recipient is in too many copies, or in none")
    came = {id(copy) for copy in before.copies}
    proof = Proof()
    for copy in after.copies:
        if id(copy) in came:
            continue
        if copy.terms.protection is Protection.SMIME and not _is_smime(copy):
            raise Unprotected("a copy says that it is protected, and is no S/MIME")
        if copy.terms.protection is Protection.RIGHTS and not _is_rights(copy, proof):
            raise Unprotected("a copy says that it is protected, and is no wrapped mail for one reader")


def _counted(plan: Plan) -> tuple[dict[int, int], dict[int, int]]:
    """How often each recipient is in a copy, and in one that may leave as it is."""
    found: dict[int, int] = {}  # A Counter takes four times as long for the one recipient that most have.
    plain: dict[int, int] = {}
    for copy in plan.copies:
        for counted in (found, plain) if _is_plain(copy) else (found,):
            for one in copy.envelope.recipients:
                counted[id(one)] = counted.get(id(one), 0) + 1
    return found, plain


def _concerns(copy: Mail) -> bool:
    """Whether there is anything to do about a copy."""
    return copy.terms.wanted is not None or copy.opened is not None


def _is_plain(copy: Mail) -> bool:
    """Whether it may leave as it is, without protection."""
    return copy.terms.wanted is None and copy.terms.protection is Protection.NONE


def _is_smime(copy: Mail) -> bool:
    """By its own octets: a header section may be longer than what the views on it show."""
    held = copy.message.content.inline
    section = copy.message.header_section() if held is None else held[: held.find(b"\r\n\r\n") + 2]
    section = section.lower()
    return b"pkcs7-mime" in section or b"pkcs7-signature" in section


def _is_rights(copy: Mail, proof: Proof) -> bool:
    """Likewise; and the link in it is one person's."""
    content = copy.message.content
    parts = content.parts if isinstance(content, Joined) else (content,)
    pieces = [held for part in parts if (held := part.inline) is not None]
    people = {who(one.address) for one in copy.envelope.recipients}
    return len(people) == 1 and len(pieces) == len(parts) and proof.holds(pieces)


def _goes_on(copy: Mail) -> bool:
    """Whether something becomes of the copy without its protection being had: it leaves, or an officer decides."""
    return copy.terms.wanted is None or copy.terms.quarantine is not None


def _told(recipient: Recipient, step: Step, wanted: Wanted, reason: str | None = None) -> Protected:
    return Protected(recipient=recipient.address.text, step=step, rule=wanted.rule, reason=reason)


def _traced(told: Sequence[Protected]) -> tuple[tuple[str, dict[str, object]], ...]:
    return ((PROTECTED, {"recipients": [one.row() for one in told]}),) if told else ()
