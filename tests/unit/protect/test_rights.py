"""Rights in the stage `protect`: who gets a wrapped mail, what is in it, what is kept, and what waits."""

from __future__ import annotations

import email
import email.policy
import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.message import EmailMessage

import pytest

from gateway.mail.envelope import PORTAL, Client
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Joined, Message
from gateway.mail.plan import Left, Plan
from gateway.mail.reply import PROTECTION_AWAY, Refused
from gateway.mail.terms import Otherwise, Protection, Smime, Terms
from gateway.observe.metrics import Metrics
from gateway.protect import rights_step
from gateway.protect import stage as module
from gateway.protect.decrypted import Decrypting
from gateway.protect.rights import Wrapping, WrapTerms
from gateway.protect.stage import Protecting, Unprotected, check
from gateway.protect.workroom import Workroom, whole
from gateway.rights.branding import Branding
from gateway.rights.opening import OpenedMessage, open_rpmsg
from gateway.rights.terms import RightsTerms
from gateway.storage.rights_model import KeptRights
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.protection import LETTER, SECRET, FakeMeans, letter
from tests.fakes.rights import FakeTenant, nobody

OTTO, ANNA, BLIND = "otto@partner.example", "anna@partner.example", "bert@partner.example"
URL = "https://portal.corp.example"
TRACE = (
    b"Authentication-Results: gw.corp.example;\r\n\tdkim=pass\r\n"
    b"Received: from a (192.0.2.7)\r\n\tby gw.corp.example with ESMTP\r\n\tid Q1; Thu, 1 Jan 2026 00:00:00 +0000\r\n"
)
FIELDS = (
    b"From: =?utf-8?q?Ida_M=C3=BCller?= <ida@corp.example>\r\nTo: Otto <otto@partner.example>, anna@partner.example\r\n"
    b"Subject: plans of autumn\r\nMessage-ID: <1@corp.example>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
    b"References: <0@x.example>\r\n <00@x.example>\r\nX-Label: inside-alone\r\nBcc: bert@partner.example\r\n"
)
ORIGINAL = FIELDS + b"Content-Type: text/plain\r\n\r\n" + SECRET + b"\r\nno end of line"


class House:
    """The stage with rights. `terms` None: no portal; `broken`: keeping fails."""

    def __init__(self) -> None:
        self.means = FakeMeans(OTTO)
        self.tenant = FakeTenant()
        self.clock = FakeClock()
        self.branding = Branding(name="Corp")
        self.rights = RightsTerms()
        self.url: str | None = URL
        self.kept: list[tuple[KeptRights, bytes | None]] = []
        self.broken = False
        self.told: list[tuple[str, str, dict[str, object]]] = []
        self.executor = ThreadPoolExecutor(1)
        work = Workroom(self.executor)
        self.wrapping = Wrapping(self._terms, self.tenant, self._leave, work, clock=self.clock, chance=FakeChance())
        self.metrics = Metrics()
        self.stage = Protecting(
            self.means,
            work,
            decrypting=Decrypting(lambda address, connector: False, work, is_his=lambda address, fingerprint: False),
            is_sure=lambda mail: True,
            is_ours=lambda mail: True,
            notice=lambda mail, lost: None,
            tell=lambda level, event, **facts: self.told.append((level, event, facts)),
            count=self.metrics.count,
            wrapping=self.wrapping,
        )

    def _terms(self) -> WrapTerms | None:
        if self.url is None:
            return None
        return WrapTerms(
            url=self.url,
            branding=self.branding,
            rights=self.rights,
            hostnames=("gw.corp.example",),
            authserv_id="gw.corp.example",
        )

    async def _leave(self, message: KeptRights, copy: bytes | None) -> Left:
        if self.broken:
            raise OSError(SECRET)
        self.kept.append((message, copy))
        return Left("rights", message.work.bytes)

    async def run(self, *recipients: str, octets: bytes = TRACE + ORIGINAL, template: str | None = None) -> Plan:
        copy = letter(*recipients, octets=octets, smime=None)
        assert copy.terms.wanted is not None
        wanted = replace(copy.terms.wanted, template=template)
        return await self.stage(Plan(copies=(replace(copy, terms=replace(copy.terms, wanted=wanted)),)))

    def open(self, rpmsg: bytes | None, principal: str | None = None) -> OpenedMessage:
        assert rpmsg is not None
        return open_rpmsg(rpmsg, self.tenant, principal=principal, now=self.clock.now(), is_revoked=nobody)


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.executor.shutdown()


async def read(mail: Mail) -> EmailMessage:
    """As a mail program has it (Python's, which is nobody of ours)."""
    octets = await whole(mail.message.content)
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def rpmsg_of(found: EmailMessage) -> bytes:
    (file,) = found.iter_attachments()
    assert (file.get_content_type(), file.get_filename()) == ("application/x-microsoft-rpmsg-message", "message.rpmsg")
    octets = file.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets


def people(mail: Mail) -> list[str]:
    return [one.address.text for one in mail.envelope.recipients]


def rows(plan: Plan) -> list[dict[str, object]]:
    return [row for event, facts in plan.told if event == "protected" for row in facts["recipients"]]  # type: ignore[attr-defined]


async def test_each_reader_gets_a_mail_with_a_link_of_his_own_and_nothing_of_the_content(house: House) -> None:
    plan = await house.run(OTTO, ANNA)
    assert [people(copy) for copy in plan.copies] == [[OTTO], [ANNA]]
    links = [link for kept, _ in house.kept for _, link in kept.readers]
    for copy, link, name in zip(plan.copies, links, (OTTO, ANNA), strict=True):
        octets = await whole(copy.message.content)
        assert SECRET not in octets and b"inside-alone" not in octets and b"bert" not in octets
        assert copy.message.head == octets[: len(copy.message.head)]
        found = await read(copy)
        assert found["From"] == "Ida Müller <ida@corp.example>"
        assert found["To"] == "Otto <otto@partner.example>, anna@partner.example"
        assert (found["Subject"], found["Message-ID"]) == ("plans of autumn", "<1@corp.example>")
        assert found["References"] == "<0@x.example> <00@x.example>"
        assert found["Content-Class"] == "rpmsg.message"
        assert "by gw.corp.example" in found["Received"]
        assert copy.terms == Terms(protection=Protection.RIGHTS)
        for kind in ("plain", "html"):
            said = found.get_body((kind,))
            assert said is not None
            text = said.get_content()
            assert "ida@corp.example" in text and name in text and "not protected" in text
            tokens = {word.split("/m/")[1][:43] for word in text.split() if "/m/" in word}
            assert [urlsafe_b64decode(one + "=") for one in tokens] == [link]


async def test_the_original_lies_inside_as_it_came_without_what_we_put_on_top(house: House) -> None:
    plan = await house.run(OTTO)
    opened = house.open(rpmsg_of(await read(plan.copies[0])), OTTO)
    assert opened.original == ORIGINAL
    assert (opened.owner, opened.readers, opened.template) == ("ida@corp.example", (OTTO,), "encrypt-only")
    assert opened.expires is None


async def test_what_is_kept_says_whose_links_they_are_before_the_plan_goes_on(house: House) -> None:
    house.rights = RightsTerms(expires_in_days=2)
    plan = await house.run(OTTO, ANNA, template="do-not-forward")
    ((kept, copy),) = house.kept
    assert copy == rpmsg_of(await read(plan.copies[0]))
    assert (kept.queue_id, kept.message_id, kept.sender) == ("Q1", "1@corp.example", "ida@corp.example")
    assert [address for address, _ in kept.readers] == [OTTO, ANNA]
    assert (kept.subject, kept.template, kept.shows_subject) == ("plans of autumn", "do-not-forward", True)
    assert kept.expires == house.clock.now() + 2 * 86400
    assert house.open(copy).work == kept.work
    assert len({link for _, link in kept.readers}) == 2
    assert rows(plan) == [
        {"recipient": one, "step": "rights", "rule": "Partners", "template": "do-not-forward", "work": str(kept.work)}
        for one in (OTTO, ANNA)
    ]
    assert house.metrics.snapshot()["protected_total"] == [[["rights"], 2.0]]


async def test_nothing_that_a_plan_has_is_lost(house: House) -> None:
    copy = letter(OTTO, octets=TRACE + ORIGINAL, smime=None)
    notice = letter("ida@corp.example", wanted=False)
    before = Plan(
        copies=(copy,),
        notices=(notice,),
        decided={"rules": []},
        told=(("ruled", {}),),
        left=(Left("other", b"x"),),
        logged={"rules": 1},
        touched=True,
    )
    after = await house.stage(before)
    assert after.notices == (notice,) and after.decided == {"rules": []} and after.touched
    assert after.told[0] == ("ruled", {}) and len(after.told) == 2
    assert after.left[0] == Left("other", b"x") and len(after.left) == 2
    assert after.logged == {"rules": 1, "steps": {"rights": 1}}


async def test_blind_readers_have_a_file_of_their_own_that_names_nobody_else(house: House) -> None:
    """Semantics a09: whoever opens a file can list its readers."""
    plan = await house.run(OTTO, BLIND, ANNA)
    assert [people(copy) for copy in plan.copies] == [[OTTO], [ANNA], [BLIND]]
    files = [rpmsg_of(await read(copy)) for copy in plan.copies]
    assert files[0] == files[1] != files[2]
    assert house.open(files[0]).readers == (OTTO, ANNA)
    assert house.open(files[2]).readers == (BLIND,)
    assert BLIND.encode() not in await whole(plan.copies[0].message.content)


async def test_copies_of_one_sealed_file_share_its_octets(house: House) -> None:
    """DESIGN 14: a hundred copies of 10 MiB are stored once."""
    names = [f"r{number}@partner.example" for number in range(101)]
    text = ORIGINAL.replace(b"To: ", b"To: " + b",\r\n ".join(one.encode() for one in names) + b",\r\n ")
    plan = await house.run(*names, octets=text)
    assert len(plan.copies) == 101 and [len(kept.readers) for kept, _ in house.kept] == [100, 1]
    contents = [copy.message.content for copy in plan.copies[:100]]
    assert all(isinstance(one, Joined) for one in contents)
    assert len({id(one.parts[1]) for one in contents if isinstance(one, Joined)}) == 1
    assert len(plan.contents()) == 100 + 2 + 1  # Heads, what they share, its end; and the last one, whole.
    assert isinstance(plan.copies[100].message.content, Held)
    assert house.tenant.signed == 3  # Two licences, one certificate of ours.


async def test_one_person_who_is_named_twice_has_one_link(house: House) -> None:
    plan = await house.run(OTTO, "Otto@partner.example")
    assert [people(copy) for copy in plan.copies] == [[OTTO, "Otto@partner.example"]]
    assert [len(kept.readers) for kept, _ in house.kept] == [1]


async def test_who_has_a_certificate_gets_s_mime_and_the_others_rights(house: House) -> None:
    """Semantics a27."""
    plan = await house.stage(Plan(copies=(letter(OTTO, ANNA, otherwise=Otherwise.RIGHTS),)))
    assert [(people(copy), copy.terms.protection) for copy in plan.copies] == [
        ([OTTO], Protection.SMIME),
        ([ANNA], Protection.RIGHTS),
    ]
    assert [(row["step"], row.get("reason")) for row in rows(plan)] == [
        ("encrypted", None),
        ("rights", "no-certificate"),
    ]
    assert house.open(rpmsg_of(await read(plan.copies[1])), ANNA).original == LETTER


async def test_what_is_to_be_signed_is_wrapped_unsigned_where_nobody_can_sign(house: House) -> None:
    plan = await house.stage(Plan(copies=(letter(OTTO, smime=Smime.BOTH, otherwise=Otherwise.RIGHTS),)))
    assert [copy.terms.protection for copy in plan.copies] == [Protection.RIGHTS]
    assert rows(plan)[0]["reason"] == "no-signing-identity"


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        ("url", "no-portal"),
        ("template", "template-unknown"),
        ("away", "tenant-key-away"),
        ("denied", "tenant-key-denied"),
        ("broken", "sealing-failed"),
    ],
)
async def test_what_cannot_be_wrapped_now_waits_and_never_leaves_in_clear(house: House, fail: str, reason: str) -> None:
    """Semantics a26."""
    if fail == "url":
        house.url = None
    elif fail == "template":
        pass
    elif fail == "broken":
        house.broken = True
    else:
        setattr(house.tenant, fail, True)
    template = "gone" if fail == "template" else None
    with pytest.raises(Refused) as refused:
        await house.run(OTTO, template=template)
    assert refused.value.reply == PROTECTION_AWAY
    assert SECRET not in repr(house.told).encode()
    (facts,) = [facts for _, event, facts in house.told if event == "protected"]
    assert facts["reasons"] == [reason]
    assert facts["steps"] == {"waits": 1}


async def test_some_wait_with_both_reasons_while_the_others_get_theirs(house: House) -> None:
    house.tenant.away = True
    plan = await house.stage(Plan(copies=(letter(OTTO, ANNA, otherwise=Otherwise.RIGHTS),)))
    assert [people(copy) for copy in plan.copies] == [[OTTO], [ANNA]]
    assert plan.copies[1].terms.reason == "no-certificate, tenant-key-away"
    assert plan.copies[1].terms.wanted is not None
    house.tenant.away = False
    plan = await house.stage.again(plan.copies[1])
    assert [copy.terms.protection for copy in plan.copies] == [Protection.RIGHTS]


async def test_what_is_too_much_at_once_waits_but_for_the_first(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 1000)
    plan = await house.run(OTTO, BLIND)
    assert [(people(copy), copy.terms.reason) for copy in plan.copies] == [([OTTO], None), ([BLIND], "too-many-copies")]
    assert len(house.kept) == 1


async def test_sealed_files_of_one_message_have_a_limit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights_step, "MOST_SHARES", 1)
    plan = await house.run(BLIND, "c@partner.example")
    assert [copy.terms.reason for copy in plan.copies] == [None, "too-many-copies"]


async def test_without_stored_copies_the_mail_says_that_its_file_is_needed(house: House) -> None:
    house.rights = RightsTerms(keep_copies=False)
    plan = await house.run(OTTO)
    assert [copy for _, copy in house.kept] == [None]
    said = (await read(plan.copies[0])).get_body(("plain",))
    assert said is not None and "Keep the attached file message.rpmsg" in said.get_content()


async def test_a_hidden_subject_is_inside_alone(house: House) -> None:
    """Semantics m17."""
    house.branding = Branding(name="Corp", hide_subject=True, language="de")
    plan = await house.run(OTTO)
    octets = await whole(plan.copies[0].message.content)
    found = await read(plan.copies[0])
    assert found["Subject"] == "Eine geschützte Nachricht für Sie"
    assert b"autumn" not in octets
    opened = house.open(rpmsg_of(found), OTTO)
    assert b"Subject: plans of autumn" in opened.original
    assert house.kept[0][0].shows_subject is False


async def test_an_answer_from_the_portal_is_told_by_its_reader_and_other_mail_by_its_from(house: House) -> None:
    octets = b'From: "otto@partner.example" <portal@corp.example>\r\nReply-To: <otto@partner.example>\r\n\r\ntext\r\n'
    copy = letter(ANNA, octets=octets, smime=None)
    for listener, told in ((PORTAL, "otto@partner.example has sent"), ("127.0.0.1:25", "portal@corp.example has sent")):
        client = Client(address="192.0.2.1", port=0, helo="h", esmtp=False, listener=listener, tls=None, user=None)
        plan = await house.stage(Plan(copies=(replace(copy, client=client),)))
        body = (await read(plan.copies[0])).get_body(("plain",))
        assert body is not None and told in body.get_content()


async def test_what_its_sender_encrypted_goes_on_as_it_came(house: House) -> None:
    text = LETTER.replace(b"text/plain", b"application/pkcs7-mime; smime-type=enveloped-data").replace(
        SECRET, b"really enveloped"
    )
    plan = await house.run(OTTO, octets=text)
    assert await whole(plan.copies[0].message.content) == text
    assert house.kept == []


async def test_a_letter_of_a_large_header_keeps_its_received_fields_in_front(house: House) -> None:
    copy = letter(OTTO, octets=ORIGINAL, smime=None)
    plan = await house.stage(Plan(copies=(replace(copy, preface=TRACE),)))
    assert plan.copies[0].preface == TRACE
    assert house.open(house.kept[0][1]).original == ORIGINAL


# -- the last look ----------------------------------------------------------------------------------------------------


def changed(copy: Mail, octets: bytes, *parts: bytes) -> Mail:
    content = Joined((Held(octets), *map(Held, parts))) if parts else Held(octets)
    return replace(copy, message=Message(octets, content))


async def test_the_last_look_finds_whatever_is_no_wrapped_mail_for_one(house: House) -> None:
    before = Plan(copies=(letter(OTTO, octets=ORIGINAL, smime=None),))
    plan = await house.stage(before)
    good = await whole(plan.copies[0].message.content)
    check(before, plan, ())
    blank = good.index(b"\r\n\r\n")
    wrong = [
        ORIGINAL,
        b"X-Label: inside-alone\r\n" + good,
        good + SECRET,
        good.replace(b"Content-Class: rpmsg.message\r\n", b""),
        good[: blank + 2] + SECRET + b"\r\n" + good[blank + 2 :],  # A line of the header section that is no field.
        good.replace(b"dugE", b"AAAA"),  # It begins as no rpmsg does.
        good.replace(b"text/html", b"text/calendar"),
        good.replace(b"\r\n--=_a", b"\r\n--=_a0000\r\nContent-Type: text/plain\r\n\r\nmore\r\n--=_a", 1),
        good.replace(b"application/x-microsoft-rpmsg-message", b"text/plain"),
        good[:-10],
    ]
    for number, octets in enumerate(wrong):
        assert octets != good
        with pytest.raises(Unprotected):
            check(before, replace(plan, copies=(changed(plan.copies[0], octets),)), ())
            pytest.fail(f"the {number}th passed")


async def test_the_last_look_sees_through_shared_octets(house: House) -> None:
    before = Plan(copies=(letter(OTTO, ANNA, octets=ORIGINAL, smime=None),))
    plan = await house.stage(before)
    check(before, plan, ())
    content = plan.copies[0].message.content
    assert isinstance(content, Joined)
    head, shared, tail = [await whole(part) for part in content.parts]
    for pieces in (
        (head, shared + SECRET, tail),
        (head, shared[:50] + b"!" + shared[50:], tail),
        (head, shared, tail + SECRET),
        (head + SECRET, shared, tail),
        (head, shared),
        (head, b"", shared, tail),
    ):
        with pytest.raises(Unprotected):
            check(before, replace(plan, copies=(changed(plan.copies[0], *pieces), plan.copies[1])), ())


async def test_the_last_look_lets_no_mail_go_to_two_people_by_one_link(house: House) -> None:
    before = Plan(copies=(letter(OTTO, ANNA, octets=ORIGINAL, smime=None),))
    plan = await house.stage(before)
    both = replace(plan.copies[0], envelope=before.copies[0].envelope)
    with pytest.raises(Unprotected):
        check(before, replace(plan, copies=(both,)), ())


async def test_mail_of_ten_mebibytes_is_wrapped_once_for_all(house: House) -> None:
    text = ORIGINAL + b"\r\n" + (hashlib.sha256(b"x").hexdigest().encode() + b"\r\n") * 160_000
    plan = await house.run(OTTO, ANNA, octets=text)
    assert len(plan.contents()) == 4
    assert sum(part.size for part in plan.contents()) < 1.45 * len(text)
    assert house.open(house.kept[0][1]).original == text
