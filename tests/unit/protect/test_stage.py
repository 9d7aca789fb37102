"""The stage `protect`: what leaves, what waits, what is refused; and that nothing leaves in clear."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mail.envelope import Body
from gateway.mail.mail import Mail
from gateway.mail.message import MAX_HEAD, Held, Message, Prefaced
from gateway.mail.plan import Plan
from gateway.mail.reply import PROTECTION_AWAY, Refused
from gateway.mail.terms import Otherwise, Protection, Quarantine, Smime, Terms
from gateway.observe.metrics import Metrics
from gateway.protect import stage as module
from gateway.protect.decrypted import Decrypting
from gateway.protect.notice import Lost, refusal_notice
from gateway.protect.reasons import SEALING_FAILED, SENDER_NOT_OURS, VAULT_AWAY, Lack
from gateway.protect.sealing import Sealing
from gateway.protect.stage import Protecting, Unprotected, check
from gateway.protect.workroom import LARGE, Workroom
from tests.fakes.protection import LETTER, SECRET, FakeMeans, identity_of, letter

OTTO, ANNA, BLIND, STRANGER = "otto@partner.example", "anna@partner.example", "bert@partner.example", "x@y.example"
SIGNER = identity_of("ida@corp.example")


class House:
    """The stage, with everything that a test turns; `sure`: whether the sender is known to be who it says; `ours`:
    whether mail comes from our side.
    """

    def __init__(self, *known: str, sure: bool = True) -> None:
        self.means = FakeMeans(*known)
        self.sure = sure
        self.ours = True
        self.told: list[tuple[str, str, dict[str, object]]] = []
        self.metrics = Metrics()
        self.executor = ThreadPoolExecutor(1)
        work = Workroom(self.executor)
        self.stage = Protecting(
            self.means,
            work,
            decrypting=Decrypting(lambda address, connector: False, work, is_his=lambda address, fingerprint: False),
            is_sure=lambda mail: self.sure,
            is_ours=lambda mail: self.ours,
            notice=self._notice,
            tell=lambda level, event, **facts: self.told.append((level, event, facts)),
            count=self.metrics.count,
        )

    @staticmethod
    def _notice(mail: Mail, lost: Sequence[Lost]) -> Mail | None:
        return refusal_notice(mail, lost, hostname="gw.corp.example", contact=None, now=1000.0, id="N1")

    async def run(self, *copies: Mail) -> Plan:
        return await self.stage(Plan(copies=copies))


@pytest.fixture
def house() -> House:
    return House(OTTO, ANNA, BLIND)


def octets(mail: Mail) -> bytes:
    held = mail.message.content.inline
    assert held is not None
    return held


def people(mail: Mail) -> list[str]:
    return [one.address.text for one in mail.envelope.recipients]


def traced(plan: Plan) -> list[tuple[object, ...]]:
    rows = [row for event, facts in plan.told if event == "protected" for row in facts["recipients"]]  # type: ignore[attr-defined]
    return [(row["recipient"], row["step"], row.get("reason")) for row in rows]


async def test_named_recipients_share_one_encrypted_copy_and_blind_ones_have_their_own(house: House) -> None:
    plan = await house.run(letter(OTTO, BLIND, ANNA))
    assert [people(copy) for copy in plan.copies] == [[OTTO, ANNA], [BLIND]]
    assert house.means.asked == [("encrypt", OTTO, ANNA), ("encrypt", BLIND)]
    for copy in plan.copies:
        assert SECRET not in octets(copy)
        assert copy.message.head == octets(copy)
        assert copy.envelope.body is Body.SEVEN_BIT
        assert copy.terms == Terms(protection=Protection.SMIME)
    assert traced(plan) == [(OTTO, "encrypted", None), (ANNA, "encrypted", None), (BLIND, "encrypted", None)]
    rows = plan.told[0][1]["recipients"]
    assert isinstance(rows, list)
    assert rows[0]["certificate"] == house.means.known[OTTO].fingerprint
    assert rows[0]["rule"] == "Partners"
    assert house.metrics.snapshot()["protected_total"] == [[["encrypted"], 3.0]]
    assert plan.logged == {"steps": {"encrypted": 3}}
    assert house.told == []  # Its numbers stand on the line that says the message was taken.


async def test_what_the_rules_decided_besides_stays(house: House) -> None:
    copy = letter(OTTO)
    copy = replace(copy, terms=replace(copy.terms, require_tls=True, connector="out"))
    plan = await house.run(copy)
    assert plan.copies[0].terms == Terms(require_tls=True, connector="out", protection=Protection.SMIME)


async def test_a_header_beyond_ascii_keeps_its_body_type(house: House) -> None:
    copy = letter(OTTO, octets="Subject: größer\r\n".encode() + LETTER)
    assert (await house.run(copy)).copies[0].envelope.body is Body.EIGHT_BIT_MIME


async def test_a_body_that_is_signed_with_eight_bits_says_so(house: House) -> None:
    """What lies in a foreign signature stays as it is; told as seven bits, a next hop without 8BITMIME would get it."""
    house.means.signing = SIGNER
    copy = letter(OTTO, octets=LETTER + b"gr\xc3\xb6\xc3\x9fer\r\n", smime=Smime.SIGN)
    assert (await house.run(copy)).copies[0].envelope.body is Body.EIGHT_BIT_MIME


async def test_a_copy_that_no_rule_marked_goes_on_as_it_is(house: House) -> None:
    copy = letter(OTTO, wanted=False)
    plan = await house.run(copy)
    assert plan.copies == (copy,)
    assert plan.told == ()


async def test_a_signed_copy_names_its_signer(house: House) -> None:
    house.means.signing = SIGNER
    plan = await house.run(letter(OTTO, STRANGER, smime=Smime.SIGN))
    assert house.means.asked == [("sign", "ida@corp.example")]
    assert [one.text for one in house.means.authors] == ["ida@corp.example"]
    assert people(plan.copies[0]) == [OTTO, STRANGER]
    assert traced(plan) == [(OTTO, "signed", None), (STRANGER, "signed", None)]


@pytest.mark.parametrize("smime", [Smime.SIGN, Smime.BOTH])
async def test_what_comes_from_elsewhere_is_never_signed_in_our_name(house: House, smime: Smime) -> None:
    """A stranger writes `From: ida@corp.example`, and a rule has mail signed: her signature would prove his words."""
    house.means.signing = SIGNER
    house.ours = False
    with pytest.raises(Refused) as refused:
        await house.run(letter(OTTO, smime=smime))
    assert refused.value.reply.enhanced == "5.7.5"
    assert house.means.asked == []
    waits = letter(OTTO, smime=smime, otherwise=Otherwise.DEFER, client=None)
    assert [one.terms.reason for one in (await house.stage.again(waits)).copies] == [SENDER_NOT_OURS]
    waits = replace(waits, terms=replace(waits.terms, sign=True))
    (copy,) = (await house.stage.again(waits)).copies
    assert copy.terms.protection is Protection.SMIME
    assert house.means.asked[0] == ("sign", "ida@corp.example")


async def test_both_signs_once_and_encrypts_what_is_signed(house: House) -> None:
    house.means.signing = SIGNER
    plan = await house.run(letter(OTTO, BLIND, smime=Smime.BOTH))
    assert house.means.asked == [("sign", "ida@corp.example"), ("encrypt", OTTO), ("encrypt", BLIND)]
    assert b"X-Sealed: by ida@corp.example\r\nX-Sealed: for otto" in octets(plan.copies[0])
    assert traced(plan)[0] == (OTTO, "signed-and-encrypted", None)


async def test_one_without_a_certificate_is_refused_and_a_sender_of_ours_is_told(house: House) -> None:
    plan = await house.run(letter(OTTO, STRANGER))
    assert [people(copy) for copy in plan.copies] == [[OTTO]]
    (notice,) = plan.notices
    assert people(notice) == ["ida@corp.example"]
    assert notice.id == "Q1"
    assert notice.envelope.sender is None
    text = octets(notice)
    assert b"Final-Recipient: rfc822; x@y.example" in text
    assert b"Status: 5.7.5" in text
    assert b"Partners" in text
    assert SECRET not in text
    assert traced(plan)[-1] == (STRANGER, "refused", "no-certificate")


async def test_a_sender_of_whom_we_are_not_sure_is_told_nothing(house: House) -> None:
    house.sure = False
    plan = await house.run(letter(OTTO, STRANGER))
    assert plan.notices == ()
    assert traced(plan)[-1] == (STRANGER, "refused", "no-certificate")


async def test_a_null_sender_gets_no_notice(house: House) -> None:
    assert (await house.run(letter(OTTO, STRANGER, sender=None))).notices == ()


async def test_a_message_that_nobody_can_get_is_refused_by_the_name_of_the_rule(house: House) -> None:
    with pytest.raises(Refused) as refused:
        await house.run(letter(STRANGER))
    assert (refused.value.reply.code, refused.value.reply.enhanced) == (550, "5.7.5")
    assert '"Partners"' in refused.value.reply.text


@pytest.mark.parametrize("otherwise", [Otherwise.DEFER, Otherwise.RIGHTS])
async def test_where_all_have_to_wait_the_client_keeps_the_message(house: House, otherwise: Otherwise) -> None:
    with pytest.raises(Refused) as refused:
        await house.run(letter(STRANGER, otherwise=otherwise))
    assert refused.value.reply == PROTECTION_AWAY


async def test_where_some_have_to_wait_their_copy_stays_as_it_is_and_keeps_what_is_wanted(house: House) -> None:
    copy = letter(OTTO, STRANGER, otherwise=Otherwise.DEFER)
    plan = await house.run(copy)
    assert [people(one) for one in plan.copies] == [[OTTO], [STRANGER]]
    waiting = plan.copies[1]
    assert waiting.message is copy.message
    assert waiting.terms == replace(copy.terms, reason="no-certificate")
    assert traced(plan)[-1] == (STRANGER, "waits", "no-certificate")


async def test_a_copy_beside_one_that_goes_on_waits_alone(house: House) -> None:
    plan = await house.run(letter(STRANGER, otherwise=Otherwise.DEFER), letter(OTTO, wanted=False))
    assert [(people(one), one.terms.wanted is None) for one in plan.copies] == [([STRANGER], False), ([OTTO], True)]


async def test_a_vault_that_is_away_is_a_passing_reason_whatever_the_rule_says(house: House) -> None:
    house.means.signing = Lack(VAULT_AWAY, passing=True)
    with pytest.raises(Refused) as refused:
        await house.run(letter(OTTO, smime=Smime.BOTH, otherwise=Otherwise.REJECT))
    assert refused.value.reply == PROTECTION_AWAY


async def test_held_mail_is_left_as_it_is_until_its_release(house: House) -> None:
    copy = letter(OTTO)
    copy = replace(copy, terms=replace(copy.terms, quarantine=Quarantine(rules=("r",))))
    assert (await house.run(copy)).copies == (copy,)


async def test_what_waited_is_protected_once_it_can_be(house: House) -> None:
    plan = await house.stage.again(letter(OTTO, otherwise=Otherwise.DEFER, client=None))
    assert plan.copies[0].terms == Terms(protection=Protection.SMIME)


async def test_what_still_cannot_be_had_waits_on_and_raises_nothing(house: House) -> None:
    copy = letter(OTTO, STRANGER, otherwise=Otherwise.DEFER, client=None)
    plan = await house.stage.again(copy)
    assert [people(one) for one in plan.copies] == [[OTTO], [STRANGER]]
    house.told.clear()
    plan = await house.stage.again(plan.copies[1])
    assert [one.terms.reason for one in plan.copies] == ["no-certificate"]
    assert house.told == []  # It is tried again and again, and the log has said so.


async def test_who_never_gets_what_waited_is_in_no_copy_and_the_sender_is_told(house: House) -> None:
    house.sure = False
    plan = await house.stage.again(letter(STRANGER, client=None))
    assert plan.copies == ()
    assert len(plan.notices) == 1


@pytest.mark.parametrize("header", [b"application/pkcs7-mime", b"application/x-pkcs7-mime"])
async def test_what_the_sender_encrypted_goes_on_as_it_came(house: House, header: bytes) -> None:
    text = LETTER.replace(b"text/plain", header + b"; smime-type=enveloped-data").replace(SECRET, b"really enveloped")
    plan = await house.run(letter(OTTO, STRANGER, octets=text))
    assert octets(plan.copies[0]) == text
    assert plan.copies[0].terms == Terms(protection=Protection.SMIME)
    assert traced(plan)[1] == (STRANGER, "as-it-came", "encrypted-by-sender")


async def test_a_header_that_only_says_so_does_not_let_clear_text_out(house: House) -> None:
    text = LETTER.replace(b"text/plain", b"application/pkcs7-mime; smime-type=enveloped-data")
    plan = await house.run(letter(OTTO, octets=text))
    assert SECRET not in octets(plan.copies[0])


async def test_a_large_message_is_read_from_where_it_lies(house: House) -> None:
    text = LETTER + b"0123456789abcde\n" * (LARGE // 16)
    mail = letter(OTTO)
    mail = replace(mail, message=Message(text[:MAX_HEAD], Prefaced(b"", Held(text))), preface=b"X-Ours: 1\r\n")
    plan = await house.run(mail)
    assert plan.copies[0].message.size > LARGE
    assert plan.copies[0].preface == b"X-Ours: 1\r\n"
    assert SECRET not in octets(plan.copies[0])


async def test_a_header_section_longer_than_its_views_is_sealed_too(house: House) -> None:
    plan = await house.run(letter(OTTO, octets=b"X: " + b"x" * MAX_HEAD + b"\r\n" + LETTER))
    assert plan.copies[0].terms.protection is Protection.SMIME
    assert SECRET not in octets(plan.copies[0])


@pytest.mark.parametrize("broken", ["recipient", "encrypt", "is_encrypted", "signer", "sign"])
async def test_a_fault_of_ours_bounces_nothing_and_shows_nothing(house: House, broken: str) -> None:
    house.means.broken.add(broken)
    house.means.signing = SIGNER
    text = LETTER.replace(b"text/plain", b"application/pkcs7-mime")
    with pytest.raises(Refused) as refused:
        await house.run(letter(OTTO, octets=text, smime=Smime.BOTH))
    assert refused.value.reply == PROTECTION_AWAY
    assert ("error", "sealing_failed", {"id": "Q1", "error": "ValueError"}) in house.told
    assert SECRET.decode() not in repr(house.told)
    waits = letter(OTTO, octets=text, smime=Smime.BOTH)
    plan = await house.stage.again(replace(waits, terms=replace(waits.terms, sign=True)))
    assert [one.terms.reason for one in plan.copies] == [SEALING_FAILED]


async def test_a_stage_that_forgets_to_seal_is_stopped(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "sealed", lambda mail, octets, recipients: replace(mail, terms=Terms()))
    with pytest.raises(Unprotected):
        await house.run(letter(OTTO))


async def test_a_seal_that_changes_nothing_is_stopped(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def encrypt(self: Sealing, octets: bytes, certificates: object) -> bytes:
        return octets

    monkeypatch.setattr(Sealing, "encrypt", encrypt)
    with pytest.raises(Unprotected):
        await house.run(letter(OTTO))


def test_a_recipient_who_is_forgotten_or_doubled_is_found() -> None:
    before = Plan(copies=(letter(OTTO), letter(ANNA, wanted=False)))
    check(before, before, ())
    with pytest.raises(Unprotected):
        check(before, Plan(copies=before.copies[1:]), ())
    with pytest.raises(Unprotected):
        check(before, Plan(copies=(*before.copies, before.copies[0])), ())


PEOPLE = (OTTO, ANNA, BLIND, STRANGER, "e@z.example")


@st.composite
def copies(draw: st.DrawFn) -> Mail:
    some = draw(st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True))
    smime = draw(st.sampled_from([None, *Smime]))
    kind = draw(st.sampled_from([b"text/plain", b"application/pkcs7-mime", b"multipart/signed"]))
    mail = letter(
        *some,
        octets=LETTER.replace(b"text/plain", kind),
        smime=smime,
        otherwise=draw(st.sampled_from(Otherwise)),
        wanted=draw(st.booleans()),
        sender=draw(st.sampled_from([None, "ida@corp.example"])),
    )
    if draw(st.integers(0, 5)) == 0:
        mail = replace(mail, terms=replace(mail.terms, quarantine=Quarantine(rules=("r",))))
    return mail


@settings(deadline=None)
@given(
    plan=st.lists(copies(), min_size=1, max_size=4),
    known=st.sets(st.sampled_from(PEOPLE)),
    lacks=st.dictionaries(st.sampled_from(PEOPLE), st.booleans()),
    signing=st.sampled_from([SIGNER, Lack("no-signing-identity"), Lack(VAULT_AWAY, passing=True)]),
    broken=st.sets(st.sampled_from(["recipient", "encrypt", "is_encrypted", "signer", "sign"]), max_size=2),
    sure=st.booleans(),
)
async def test_nothing_leaves_in_clear_that_a_rule_wants_protected_and_nobody_is_forgotten(
    plan: list[Mail], known: set[str], lacks: dict[str, bool], signing: object, broken: set[str], sure: bool
) -> None:
    house = House(sure=sure)
    house.means.known = {one: CERTIFICATES[one] for one in known}
    house.means.lacks = {one: Lack("lack", passing) for one, passing in lacks.items()}
    house.means.signing = signing  # type: ignore[assignment]
    house.means.broken = broken
    wanting = {(one, copy.terms.wanted) for copy in plan if copy.terms.wanted for one in people(copy)}
    try:
        done = await house.run(*plan)
    except Refused as refused:
        assert refused.reply.code in (451, 550)
        return
    finally:
        house.executor.shutdown()
    for copy in done.copies:
        leaves = copy.terms.wanted is None and copy.terms.quarantine is None
        if leaves and SECRET in octets(copy):
            signed = copy.terms.protection is Protection.SMIME and b"X-Sealed: by" in octets(copy)
            assert signed or any(copy is one for one in plan)
    refused_ones = [str(row[0]) for row in traced(done) if row[1] == "refused"]
    came = sorted(one for copy in plan for one in people(copy))
    assert came == sorted([one for copy in done.copies for one in people(copy)] + refused_ones)
    assert wanting or all(copy in plan for copy in done.copies)


CERTIFICATES = FakeMeans(*PEOPLE).known


async def test_blind_recipients_of_a_large_message_get_their_copies_a_few_at_a_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a copy of his own: a hundred of them would fill the memory by one message."""
    monkeypatch.setattr(module, "MOST", 5 * len(LETTER) // 2)
    blind = [f"{number}@partner.example" for number in range(5)]
    house.means.known |= {one: identity_of(one).certificate for one in blind}
    plan = await house.run(letter(*blind))
    rounds = [[people(copy) for copy in plan.copies if copy.terms.wanted is None]]
    while waits := [copy for copy in plan.copies if copy.terms.wanted is not None]:
        (one,) = waits
        assert one.terms.reason == "too-many-copies"
        plan = await house.stage.again(replace(one, client=None))
        rounds.append([people(copy) for copy in plan.copies if copy.terms.wanted is None])
    assert rounds == [[blind[0:1], blind[1:2]], [blind[2:3], blind[3:4]], [blind[4:5]]]
    monkeypatch.setattr(module, "MOST", 1)
    assert len((await house.run(letter(*blind))).copies) == 2  # One is made, however long it is.


async def test_a_mail_of_our_own_is_encrypted_where_it_can_be_and_else_not_made(house: House) -> None:
    report = letter(OTTO, wanted=False, client=None)
    made = await house.stage.sealed(report)
    assert made is not None
    assert SECRET not in octets(made)
    assert made.terms == Terms(protection=Protection.SMIME)
    assert await house.stage.sealed(letter(OTTO, STRANGER, wanted=False, client=None)) is None
    house.means.broken.add("encrypt")
    assert await house.stage.sealed(report) is None
    assert SECRET.decode() not in repr(house.told)


async def test_a_seal_that_changes_nothing_is_no_seal(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.means, "encrypt", lambda octets, certificates: octets)
    assert await house.stage.sealed(letter(OTTO, wanted=False, client=None)) is None
