"""Code mails and answers on the one way of a message: protected to those outside, whole, once, and lost by nobody."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.app.bundle import octets as octets_of
from gateway.app.portal_mail import FACE, RULE, STRICT, MailTerms, PortalMail
from gateway.app.reception import Reception
from gateway.app.terms import policy
from gateway.mail import reply as say
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery
from gateway.mail.envelope import Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Content, Held
from gateway.mail.plan import Plan
from gateway.mail.reply import Refused
from gateway.mail.terms import Otherwise, Quarantine, Smime, Terms, Wanted
from gateway.observe.metrics import Metrics
from gateway.pipeline import Pipeline
from gateway.portal.desk import Away, NotSent, Reply, ReplyFile, Session
from gateway.portal.drafts import MOST_AN_HOUR
from gateway.rights.branding import Branding
from gateway.rights.opening import OpenedMessage
from gateway.rights.right import Right
from gateway.rights.template import DO_NOT_FORWARD, ENCRYPT_ONLY
from gateway.storage.mover import Mover
from gateway.storage.sealer import KeysClosed
from gateway.storage.spool import Spool
from gateway.storage.writer import StorageFull
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.log import fake_log
from tests.fakes.settings import settings_in
from tests.fakes.spool import SpoolOf

PORTAL = "portal@corp.example"
BEN = "ben@partner.example"
ORIGINAL = (
    b"From: Ida <ida@corp.example>\r\nTo: Ben Blum <ben@partner.example>, cleo@other.example\r\n"
    b"Cc: otto@corp.example, portal@corp.example\r\nSubject: offer\r\nMessage-ID: <a@corp.example>\r\n\r\n"
    b"the plain words\r\n"
)
Rules = Callable[[Mail], Awaitable[Plan]]


class Way:
    """A pipeline whose stages are seen. `rules` may be set; `error` is raised where a message would be stored."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.rules: Rules | None = None
        self.error: Exception | None = None
        self.seen: list[Mail] = []  # By the rules.
        self.plans: list[Plan] = []
        self.octets: list[bytes] = []
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(
            admit=lambda mail: mail,
            authenticate=self._never,
            open=self._never,
            rules=self._ruled,
            route=lambda plan: (),
            spool=self._store,
        )

    async def _never(self, mail: Mail) -> Mail:
        assert mail.client is None, "an answer was neither signed nor sealed by anybody"
        return mail

    async def _ruled(self, mail: Mail) -> Plan:
        self.seen.append(mail)
        return Plan(copies=(mail,), touched=False) if self.rules is None else await self.rules(mail)

    async def _store(self, mail: Mail, plan: Plan, deliveries: object) -> None:
        self.begun.set()
        await self.go.wait()
        if self.error is not None:
            raise self.error
        self.plans.append(plan)
        self.octets.append(await octets_of(mail.message.content))


class Office:
    """The portal's mail with a real spool, whose content files can be counted."""

    def __init__(self, of: SpoolOf, spool: Spool, executor: ThreadPoolExecutor) -> None:
        self.of = of
        self.way = Way(spool)
        self.told: list[tuple[str, dict[str, object]]] = []
        self.full = False
        self.terms = MailTerms(
            hostname="gw.corp.example",
            address=parse_address(PORTAL),
            url="https://portal.corp.example",
            branding=Branding(name="Corp"),
            is_inside=lambda domain: domain == "corp.example",
            has_template=lambda name: name in (ENCRYPT_ONLY.name, DO_NOT_FORWARD.name),
        )
        ids = iter(f"Q{number}" for number in range(100))
        self.mail = PortalMail(
            terms=lambda: self.terms,
            pipeline=lambda: self.way.pipeline,
            spool=lambda: spool,
            ids=lambda: next(ids),
            executor=executor,
            clock=FakeClock(),
            chance=FakeChance("boundary"),
            tell=lambda level, event, **facts: self.told.append((event, facts)),
            check_room=self._check_room,
        )

    def _check_room(self, size: int) -> None:
        if self.full:
            raise StorageFull("the disk is full")

    async def reply(self, opened: OpenedMessage | None = None, principal: str = BEN, **changed: Any) -> str:
        usual: dict[str, Any] = {"text": "Yes, gladly."}
        session = Session("token", principal, UUID(int=1), 0.0, b"cookie", "192.0.2.9")
        return await self.mail.reply(session, opened or opened_by(principal), Reply(**(usual | changed)))

    @property
    def copies(self) -> dict[str, Mail]:
        """Of the one plan, by recipient."""
        [plan] = self.way.plans
        return {one.address.text: copy for copy in plan.copies for one in copy.envelope.recipients}

    @property
    def message(self) -> EmailMessage:
        """What was stored, as Python's email reads it."""
        [octets] = self.way.octets
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message


def opened_by(principal: str = BEN, **changed: Any) -> OpenedMessage:
    usual = OpenedMessage(
        original=ORIGINAL,
        rights=ENCRYPT_ONLY.rights,
        owner="ida@corp.example",
        principal=principal,
        template=ENCRYPT_ONLY.name,
        issued=0.0,
        expires=None,
        work=UUID(int=1),
        is_built=False,
        readers=(principal,),
    )
    return replace(usual, **changed)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    of = SpoolOf(tmp_path / "0")
    with ThreadPoolExecutor(2) as executor:
        yield Office(of, await of.open(), executor)
    await of.close()


# -- whom it reaches, and how ------------------------------------------------------------------------------------------


async def test_an_answer_to_the_sender_inside_goes_as_the_rules_say(office: Office) -> None:
    assert await office.reply() == "Q0"
    copy = office.copies["ida@corp.example"]
    assert len(office.copies) == 1
    assert copy.terms.wanted is None
    assert office.message["From"].addresses[0].addr_spec == PORTAL
    assert office.message["From"].addresses[0].display_name == "Ben Blum"
    assert office.message["Reply-To"].addresses[0].addr_spec == BEN
    assert office.message["Subject"] == "Re: offer"
    assert office.message["In-Reply-To"] == "<a@corp.example>"


async def test_those_outside_have_it_protected_like_the_original(office: Office) -> None:
    await office.reply(to_all=True)
    assert sorted(office.copies) == ["cleo@other.example", "ida@corp.example", "otto@corp.example"]
    outside, inside = office.copies["cleo@other.example"], office.copies["otto@corp.example"]
    assert outside.terms.wanted == Wanted(rule=RULE, template=ENCRYPT_ONLY.name)
    assert outside.terms.sign, "what waits is signed in our name when it leaves"
    assert outside.envelope.sender is not None and outside.envelope.sender.text == PORTAL
    assert inside.terms.wanted is None
    assert inside.envelope.sender is not None and inside.envelope.sender.text == BEN
    assert inside is office.copies["ida@corp.example"], "those inside share one copy"


async def test_a_strict_template_stays_and_an_unknown_one_becomes_strict(office: Office) -> None:
    for template in (DO_NOT_FORWARD.name, "gone-from-the-settings", None):
        await office.reply(opened_by(template=template), to_all=True)
        wanted = office.copies["cleo@other.example"].terms.wanted
        assert wanted is not None and wanted.template == STRICT == DO_NOT_FORWARD.name
        office.way.plans.clear()


async def test_a_rule_that_encrypts_keeps_its_way_and_one_that_only_signs_does_not(office: Office) -> None:
    smime = Wanted(rule="r", smime=Smime.ENCRYPT, otherwise=Otherwise.RIGHTS, template=ENCRYPT_ONLY.name)
    for wanted, expected in ((smime, smime), (Wanted(rule="r", smime=Smime.SIGN), None)):

        async def rules(mail: Mail, wanted: Wanted = wanted) -> Plan:
            return Plan(copies=(replace(mail, terms=Terms(wanted=wanted)),))

        office.way.rules = rules
        await office.reply(to_all=True)
        assert office.copies["cleo@other.example"].terms.wanted == (
            expected or Wanted(rule=RULE, template="encrypt-only")
        )
        assert office.copies["ida@corp.example"].terms.wanted == wanted
        office.way.plans.clear()


async def test_whoever_a_rule_adds_is_outside_or_inside_too(office: Office) -> None:
    """Attack: none; a rule that sends copies to an archive outside must not carry an answer out in clear."""

    async def rules(mail: Mail) -> Plan:
        archive = Recipient(parse_address("archive@cloud.example"))
        envelope = replace(mail.envelope, recipients=(*mail.envelope.recipients, archive))
        return Plan(copies=(replace(mail, envelope=envelope, terms=Terms(require_tls=True)),))

    office.way.rules = rules
    await office.reply()
    copy = office.copies["archive@cloud.example"]
    assert copy.terms.wanted is not None and copy.terms.wanted.encrypts
    assert copy.terms.require_tls


async def test_what_a_rule_holds_is_protected_when_it_is_released(office: Office) -> None:
    async def rules(mail: Mail) -> Plan:
        return Plan(copies=(replace(mail, terms=Terms(quarantine=Quarantine(rules=("r",)))),))

    office.way.rules = rules
    await office.reply(to_all=True)
    held = office.copies["cleo@other.example"].terms
    assert held.quarantine is not None and held.wanted is not None
    assert office.copies["ida@corp.example"].terms.quarantine is not None


async def test_rules_see_an_answer_as_mail_of_its_reader(office: Office) -> None:
    await office.reply()
    [mail] = office.way.seen
    assert mail.envelope.sender is not None and mail.envelope.sender.text == BEN
    assert mail.client is not None
    assert (mail.client.address, mail.client.listener, mail.client.user) == ("192.0.2.9", FACE, FACE)


async def test_where_subjects_are_hidden_no_report_of_ours_tells_them_outside(office: Office) -> None:
    office.terms = replace(office.terms, branding=Branding(name="Corp", hide_subject=True))
    await office.reply()
    sender = office.copies["ida@corp.example"].envelope.sender
    assert sender is not None and sender.text == PORTAL


async def test_where_subjects_are_hidden_reports_reach_officers_alone(office: Office) -> None:
    def notice(mail: Mail, to: str) -> Mail:
        return replace(mail, client=None, envelope=replace(mail.envelope, recipients=(Recipient(parse_address(to)),)))

    async def rules(mail: Mail) -> Plan:
        return Plan(copies=(mail,), notices=(notice(mail, BEN.upper()), notice(mail, "officer@corp.example")))

    office.way.rules = rules
    for hides, count in ((False, 2), (True, 1)):
        office.terms = replace(office.terms, branding=Branding(name="Corp", hide_subject=hides))
        office.way.plans.clear()
        await office.reply()
        notices = office.way.plans[0].notices
        assert len(notices) == count
        assert notices[-1].envelope.recipients[0].address.text == "officer@corp.example"


async def test_the_way_without_rules_protects_all_the_same(office: Office) -> None:
    pipeline = replace(office.way.pipeline, rules=None)
    office.way.__class__ = type("W", (Way,), {"pipeline": property(lambda self: pipeline)})
    await office.reply(to_all=True)
    assert office.copies["cleo@other.example"].terms.wanted is not None


async def test_a_message_that_names_nobody_is_not_answered(office: Office) -> None:
    with pytest.raises(NotSent) as caught:
        await office.reply(opened_by(original=b"From: ben@partner.example\r\n\r\n"))
    assert caught.value.reason == "nobody"
    assert office.of.contents == []


# -- the octets --------------------------------------------------------------------------------------------------------


class Pieces:
    """Content in pieces. `broken`: it can't be read to its end."""

    inline = None

    def __init__(self, *pieces: bytes, broken: bool = False) -> None:
        self.pieces = pieces
        self.broken = broken

    @property
    def size(self) -> int:
        return sum(map(len, self.pieces))

    async def blocks(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece
        if self.broken:
            raise OSError("gone")


def file(name: str, content: Content) -> ReplyFile:
    return ReplyFile(name, "application/pdf", content)


async def test_files_arrive_octet_for_octet_and_lie_sealed_meanwhile(office: Office) -> None:
    pieces = [bytes([number]) * 100_001 for number in range(5)]
    await office.reply(files=(file("a.pdf", Pieces(*pieces)), file("b.pdf", Held(b"x"))))
    _, *files = office.message.iter_parts()
    assert [one.get_payload(decode=True) for one in files] == [b"".join(pieces), b"x"]
    assert office.of.contents == ["Q0"]
    assert b"JVBER" not in office.of.octets() and b"gladly" not in office.of.octets()


async def test_the_original_is_quoted_where_it_may_be_copied_out(office: Office) -> None:
    await office.reply(quotes=True)
    assert "> the plain words" in str(office.message.get_content())
    office.way.octets.clear()
    await office.reply(opened_by(rights=DO_NOT_FORWARD.rights), quotes=True)
    assert "plain words" not in str(office.message.get_content())
    office.way.octets.clear()
    await office.reply(opened_by(rights=frozenset((Right.OWNER,))), quotes=True)
    assert "> the plain words" in str(office.message.get_content())


# -- what fails --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (Refused(say.PROTECTION_AWAY), Away),
        (Refused(say.INTERNAL), Away),
        (Refused(say.NO_ROUTE), NotSent),
        (StorageFull("full"), Away),
        (KeysClosed("closed"), Away),
        (OSError("gone"), Away),
        (RuntimeError("a fault of ours"), RuntimeError),
    ],
)
async def test_an_answer_that_is_not_taken_leaves_nothing(
    office: Office, error: Exception, what: type[Exception]
) -> None:
    office.way.error = error
    with pytest.raises(what):
        await office.reply(files=(file("a", Held(b"x" * 500_000)),))
    assert office.of.contents == []
    assert office.told == []


async def test_a_file_that_can_not_be_read_again_leaves_nothing(office: Office) -> None:
    with pytest.raises(Away):
        await office.reply(files=(file("a", Pieces(b"x" * 2_000_000, broken=True)),))
    assert office.of.contents == []
    assert office.way.seen == []


async def test_a_full_disk_is_told_before_anything_is_written(office: Office) -> None:
    office.full = True
    with pytest.raises(Away):
        await office.reply()
    assert office.way.seen == []


async def test_a_browser_that_is_gone_takes_nothing_back(office: Office) -> None:
    """The commit may be on its way: what lies there is the answer, or is cleared at the next start."""
    office.way.go.clear()
    task = asyncio.ensure_future(office.reply(files=(file("a", Held(b"x" * 500_000)),)))
    await office.way.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert office.of.contents == ["Q0"]


async def test_a_browser_that_is_gone_while_files_are_written_leaves_nothing(office: Office) -> None:
    slow = Pieces(b"x" * 3_000_000)
    stuck = asyncio.Event()

    async def blocks() -> AsyncIterator[bytes]:
        yield slow.pieces[0]
        stuck.set()
        await asyncio.get_running_loop().create_future()

    slow.blocks = blocks  # type: ignore[method-assign]
    task = asyncio.ensure_future(office.reply(files=(file("a", slow),)))
    await stuck.wait()
    assert office.of.contents == ["Q0"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert office.of.contents == []


async def test_a_form_that_is_sent_twice_goes_out_once(office: Office) -> None:
    assert [await office.reply(draft="d"), await office.reply(draft="d")] == ["Q0", "Q0"]
    assert len(office.way.plans) == 1
    assert await office.reply(draft="e") == "Q1"


async def test_whoever_names_no_form_sends_no_more_than_others(office: Office) -> None:
    """Attack: without the hidden field each answer was as the first one."""
    assert await office.reply() != await office.reply(), "they are two answers"
    for _ in range(MOST_AN_HOUR - 2):
        await office.reply()
    with pytest.raises(NotSent) as caught:
        await office.reply()
    assert caught.value.reason == "slowed"


async def test_the_log_names_nobody(office: Office) -> None:
    await office.reply(to_all=True, subject="very secret")
    assert office.told == [("portal_reply", {"id": "Q0", "recipients": 3, "files": 0})]


# -- codes -------------------------------------------------------------------------------------------------------------


async def test_a_code_goes_to_its_reader_in_his_language_and_by_no_rule(office: Office) -> None:
    await office.mail.code(BEN, "12345678", "KX-7", 1_793_700_900.0, "de")
    [mail] = office.way.seen
    assert mail.client is None, "a mail of the gateway's own"
    assert mail.envelope.sender is None, "nobody answers it, and no report about it goes anywhere"
    assert [one.address.text for one in mail.envelope.recipients] == [BEN]
    assert office.message["Auto-Submitted"] == "auto-generated"
    assert office.copies[BEN].terms.wanted is None, "a code that is itself wrapped can't be read"
    assert "12345678" in str(office.message.get_body(("plain",)))
    assert office.told == []


async def test_a_door_goes_as_a_code_does_and_has_none(office: Office) -> None:
    await office.mail.door(BEN, "/m/A/door/B", 1_793_700_900.0, "de")
    [mail] = office.way.seen
    assert (mail.client, mail.envelope.sender) == (None, None)
    assert [one.address.text for one in mail.envelope.recipients] == [BEN]
    assert office.copies[BEN].terms.wanted is None
    assert "\nhttps://portal.corp.example/m/A/door/B\n" in str(office.message.get_body(("plain",)))
    assert office.told == []


async def test_the_portal_sends_itself_no_codes(office: Office) -> None:
    with pytest.raises(NotSent):
        await office.mail.code("Portal@Corp.Example", "12345678", "KX-7", 0.0, "en")
    with pytest.raises(NotSent):
        await office.mail.door("Portal@Corp.Example", "/m/A/door/B", 0.0, "en")
    assert office.way.seen == []


async def test_a_code_that_can_not_be_sent_now_is_told_as_such(office: Office) -> None:
    office.way.error = StorageFull("full")
    with pytest.raises(Away):
        await office.mail.code(BEN, "12345678", "KX-7", 0.0, "en")


async def test_with_the_key_away_the_copy_for_those_outside_waits_sealed(office: Office, tmp_path: Path) -> None:
    """The whole way as a worker has it, but for the stage that would seal: what is wanted is never sent without it."""
    offered: list[Delivery] = []

    def offer(queue: object, delivery: Delivery, content: Content) -> None:
        offered.append(delivery)

    log, _ = fake_log()
    spool = office.way.spool
    traces: Any = Nowhere()
    clock: Any = office.of.clock
    mover = Mover(traces, clock=clock, tell=lambda *_, **__: None)
    running = asyncio.ensure_future(mover.run())
    reception = Reception(
        policy(settings_in(tmp_path)),
        spool=spool,
        mover=mover,
        offer=offer,
        clock=clock,
        log=log,
        metrics=Metrics(),
    )
    office.way.__class__ = type("W", (Way,), {"pipeline": property(lambda self: reception.pipeline)})
    await office.reply(to_all=True, files=(file("a.pdf", Held(b"\xff" * 300_000)),))
    await clock.advance(1)
    running.cancel()
    found = {target.address.text: one for one in await spool.deliveries() for target in one.targets}
    assert found["cleo@other.example"].terms.wanted == Wanted(rule=RULE, template=ENCRYPT_ONLY.name)
    assert found["cleo@other.example"].terms.sign
    assert found["ida@corp.example"].terms.wanted is None
    assert [[target.address.text for target in one.targets] for one in offered] == [
        ["ida@corp.example", "otto@corp.example"]
    ], "nobody but those inside is sent anything"
    whole = await octets_of(await spool.content(found["cleo@other.example"]))
    assert email.message_from_bytes(whole).get_payload(1).get_payload(decode=True) == b"\xff" * 300_000  # type: ignore[union-attr]


class Nowhere:
    """Traces that are not looked at."""

    async def sync(self) -> None:
        pass

    async def put(self, records: object) -> None:
        pass
