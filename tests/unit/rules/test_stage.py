"""The stage: what is told to whom, what waits, what goes on although something failed."""

from __future__ import annotations

import email
import email.policy
import textwrap
from collections.abc import AsyncIterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest

from gateway.mail.edited import Edited
from gateway.mail.envelope import PORTAL
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.opened import Layer, LayerKind, Opened
from gateway.mail.plan import Plan
from gateway.mail.reply import RULE_FAILED, Refused
from gateway.mail.terms import Protection, Terms
from gateway.rules.decide import ON_THE_LOOP
from gateway.rules.rewrite import Rewriter
from tests.fakes.ruling import HEAD, PLAIN, FakeHands, addresses, mail, octets_of, rule_set, ruling

REPORT = """
- name: Reported
  when: {subject_contains_words: offer}
  then:
    set_audit_severity: high
    generate_incident_report:
      to: officer@corp.example
      content: [sender, recipients, subject, cc, bcc, severity, override, rule_detections, id_match, false_positive,
                attach_original_mail]
"""


class Slow:
    """Content that is not at hand. `fails`: reading raises."""

    def __init__(self, octets: bytes, *, fails: bool = False) -> None:
        self._octets = octets
        self._fails = fails
        self.reads = 0

    @property
    def size(self) -> int:
        return len(self._octets)

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncIterator[bytes]:
        self.reads += 1
        if self._fails:
            raise OSError("the disk is gone")
        for start in range(0, len(self._octets), 1 << 20):
            yield self._octets[start : start + (1 << 20)]


async def judged(folder: Path, yaml: str, one: Mail, hands: FakeHands | None = None) -> Plan:
    return await ruling(rule_set(folder, yaml), hands or FakeHands())(one)


def read(one: Mail) -> EmailMessage:
    octets = octets_of(one)
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    parsed = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


async def whole(message: Message) -> bytes:
    return b"".join([block async for block in message.content.blocks()])


async def test_a_message_that_no_rule_concerns_is_the_very_same(tmp_path: Path) -> None:
    one, hands = mail(), FakeHands()
    made = await judged(
        tmp_path, "- {name: a, when: {subject_contains_words: nothing}, then: {delete_message: true}}", one, hands
    )
    assert made.copies[0] is one
    assert (made.decided, made.touched, made.notices) == (None, False, ())
    assert hands.told == []
    assert hands.observed == ["rules_seconds"]


GUARDED = """
- name: Secret
  when: {subject_contains_words: offer}
  then: {%s}
- name: Reported
  when: {subject_or_body_contains_words: [hello, secret]}
  then: {%s generate_incident_report: {to: officer@corp.example, content: [subject, id_match, attach_original_mail]}}
"""


@pytest.mark.parametrize(
    "how",
    [
        "apply_smime: encrypt",
        "apply_smime: both",
        "apply_ome: true",
        "apply_rights_protection_template: do-not-forward",
    ],
)
@pytest.mark.parametrize("more", ["", "quarantine: true, ", "reject_message: no, "])
async def test_a_report_about_what_has_to_be_protected_shows_nothing_of_it(tmp_path: Path, how: str, more: str) -> None:
    hands = FakeHands()
    try:
        notices = (await judged(tmp_path, GUARDED % (how, more), mail(), hands)).notices
    except Refused:
        notices = tuple(hands.submitted)
    (notice,) = notices
    assert notice.terms == Terms()
    octets = octets_of(notice)
    assert b"hello" not in octets
    assert b"message/rfc822" not in octets
    text = read(notice).get_content()
    assert "The message itself is not attached: it is protected, and no certificate is known for officer@co" in text
    assert "What was found is not shown" in text
    assert "Subject:    Offer" in text


@pytest.mark.parametrize("more", ["", "reject_message: no, "])
async def test_a_report_about_an_answer_from_the_portal_shows_nothing_of_it(tmp_path: Path, more: str) -> None:
    """No rule says that it has to be protected: the portal does, once they have judged it."""
    hands, one = FakeHands(), mail()
    assert one.client is not None
    answer = replace(one, client=replace(one.client, listener=PORTAL, user=PORTAL))
    for judges, shows in ((one, True), (answer, False)):
        hands.submitted.clear()
        try:
            notices = (await judged(tmp_path, GUARDED % ("set_audit_severity: low", more), judges, hands)).notices
        except Refused:
            notices = tuple(hands.submitted)
        (notice,) = notices
        assert (b"message/rfc822" in octets_of(notice)) is shows
        assert (b"hello" in octets_of(notice)) is shows


async def test_where_a_certificate_is_known_such_a_report_is_whole_and_encrypted(tmp_path: Path) -> None:
    hands = FakeHands()
    hands.sealing = True
    made = await judged(tmp_path, GUARDED % ("apply_smime: encrypt", ""), mail(), hands)
    (notice,) = made.notices
    assert notice.terms == Terms(protection=Protection.SMIME)
    assert octets_of(notice).endswith(b"sealed\r\n")


async def test_what_another_recipient_needs_counts_for_a_report_too(tmp_path: Path) -> None:
    yaml = GUARDED.replace("Secret\n  when: {", "Secret\n  when: {sent_to: otto@partner.example, ").replace(
        "Reported\n  when: {", "Reported\n  when: {sent_to: ida@corp.example, "
    )
    made = await judged(
        tmp_path, yaml % ("apply_smime: encrypt", ""), mail(PLAIN, "otto@partner.example", "ida@corp.example")
    )
    assert len(made.copies) == 2
    (notice,) = made.notices
    assert b"hello" not in octets_of(notice)


@pytest.mark.parametrize("own", ["", "- {name: All, then: {route_message_outbound_require_tls: true}}"])
@pytest.mark.parametrize("sealing", [False, True])
async def test_a_report_about_what_leaves_over_tls_alone_leaves_so_too(tmp_path: Path, own: str, sealing: bool) -> None:
    """With a rule of the gateway's own mail and without: such a rule never takes away what the report has."""
    yaml = GUARDED % ("route_message_outbound_require_tls: true, apply_smime: encrypt", "") + textwrap.dedent(own)
    hands = FakeHands()
    hands.sealing = sealing
    (notice,) = (await judged(tmp_path, yaml, mail(), hands)).notices
    assert notice.terms == Terms(require_tls=True, protection=Protection.SMIME if sealing else Protection.NONE)


async def test_a_rule_for_others_leaves_a_sealed_report_as_it_is(tmp_path: Path) -> None:
    yaml = GUARDED % ("apply_smime: encrypt", "") + textwrap.dedent("""
    - {name: Others, when: {sent_to: x@y.example}, then: {route_message_outbound_require_tls: true}}
    """)
    hands = FakeHands()
    hands.sealing = True
    (notice,) = (await judged(tmp_path, yaml, mail(), hands)).notices
    assert notice.terms == Terms(protection=Protection.SMIME)


async def test_a_report_does_not_show_what_was_found_in_a_message_that_came_encrypted(tmp_path: Path) -> None:
    inside = (HEAD + "\r\nsecret\r\n").encode()
    opened = Opened(layers=(Layer(kind=LayerKind.ENVELOPED, ok=True),), octets=inside)
    (notice,) = (await judged(tmp_path, GUARDED % ("set_audit_severity: low", ""), mail(opened=opened))).notices
    octets = octets_of(notice)
    assert b"secret" not in octets
    assert b"message/rfc822" in octets  # As it came.


async def test_a_report_about_what_is_only_signed_is_whole(tmp_path: Path) -> None:
    (notice,) = (await judged(tmp_path, GUARDED % ("apply_smime: sign", ""), mail())).notices
    assert b"message/rfc822" in octets_of(notice)


async def test_what_was_decided_has_the_form_of_rule_test(tmp_path: Path) -> None:
    hands = FakeHands()
    yaml = """
    - {name: a, when: {subject_contains_words: offer}, then: {apply_smime: encrypt}}
    - {name: b, when: {subject_contains_words: other}, then: {apply_smime: encrypt}}
    """
    made = await judged(tmp_path, yaml, mail(), hands)
    assert made.decided == {
        "rules": [
            {
                "name": "a",
                "mode": "enforce",
                "recipients": {
                    "otto@partner.example": {
                        "matched": True,
                        "because": [{"condition": "subject_contains_words", "found": ["offer"], "where": "subject"}],
                        "unless": [],
                    }
                },
            }
        ],
        "outcomes": [
            {
                "recipients": ["otto@partner.example"],
                "disposition": "deliver",
                "reply": None,
                "protection": "smime",
                "template": None,
                "require_tls": False,
                "connector": None,
                "message": None,
                "actions": ["apply_smime"],
                "smime": "encrypt",
                "smime_otherwise": "reject",
            }
        ],
    }
    assert hands.counted == [("rules_matched_total", ("a",))]
    assert "ffer" not in repr(hands.told)  # Names of rules alone go to the log.
    assert "because" not in repr(made)


# -- notices ----------------------------------------------------------------------------------------------------------


async def test_a21_a_report_holds_what_was_asked_for_and_the_original(tmp_path: Path) -> None:
    made = await judged(tmp_path, REPORT, mail(PLAIN, "otto@partner.example", "hidden@else.example"))
    (notice,) = made.notices
    assert addresses(notice) == ["officer@corp.example"]
    assert (notice.envelope.sender, notice.client, notice.id) == (None, None, "Q")
    report = read(notice)
    assert report["Auto-Submitted"] == "auto-generated"
    assert report["Subject"] == "Incident report (high): Reported"
    text, original = report.iter_parts()
    said = text.get_content()
    for line in (
        "Sender:     ida@corp.example; From Ida Berg <ida@corp.example>",
        "Recipients: otto@partner.example",
        "Bcc:        hidden@else.example",
        "Subject:    Offer",
        "Severity:   high",
        "- subject_contains_words in subject: offer",
    ):
        assert line in said.splitlines(), line
    assert original.get_content_type() == "message/rfc822"
    assert PLAIN in octets_of(notice)


async def test_a21_a_report_about_held_or_refused_mail_goes_as_well(tmp_path: Path) -> None:
    held = await judged(tmp_path, REPORT.replace("set_audit", "quarantine: true\n    set_audit"), mail())
    assert held.copies[0].terms.quarantine is not None
    assert len(held.notices) == 1
    hands = FakeHands()
    with pytest.raises(Refused):
        await judged(tmp_path, REPORT.replace("set_audit", "reject_message: No\n    set_audit"), mail(), hands)
    assert [addresses(notice) for notice in hands.submitted] == [["officer@corp.example"]]
    hands.fails = Refused(RULE_FAILED)  # What can't be reported is not refused for good either.
    with pytest.raises(Refused) as refused:
        await judged(tmp_path, REPORT.replace("set_audit", "reject_message: No\n    set_audit"), mail(), hands)
    assert refused.value.reply is RULE_FAILED


async def test_do_not_audit_lets_no_report_go(tmp_path: Path) -> None:
    made = await judged(tmp_path, REPORT.replace("high", "do_not_audit"), mail())
    assert made.notices == ()


async def test_a_report_about_large_mail_reads_it_where_it_lies(tmp_path: Path) -> None:
    octets = PLAIN + b"x" * 300_000
    made = await judged(tmp_path, REPORT, mail(octets, content=Slow(octets)))
    content = made.notices[0].message.content
    assert isinstance(content, Edited)
    got = await whole(made.notices[0].message)
    assert octets in got
    assert len(got) == content.size


NOTIFY = """
- name: Told
  then: {notify_sender: {mode: notify_only, text: "You wrote %%Subject%% to %%To%% <b>"}}
"""


async def test_the_sender_is_told(tmp_path: Path) -> None:
    made = await judged(tmp_path, NOTIFY, mail(HEAD.replace("Offer", "Pl\u00e4ne").encode() + b"\r\n"))
    (notice,) = made.notices
    assert addresses(notice) == ["ida@corp.example"]
    assert notice.envelope.recipients[0].notify == "NEVER"
    told = read(notice)
    assert told["Auto-Submitted"] == "auto-replied"
    assert "You wrote Pläne to otto@partner.example" in told.get_content()
    assert "help@corp.example" in told.get_content()


@pytest.mark.parametrize("field", [b"Auto-Submitted: auto-replied\r\n", b"auto-submitted: AUTO-generated (x)\r\n"])
async def test_a31_nobody_is_told_in_answer_to_a_notice(tmp_path: Path, field: bytes) -> None:
    assert (await judged(tmp_path, NOTIFY, mail(field + PLAIN))).notices == ()
    assert (await judged(tmp_path, NOTIFY, mail(sender=None))).notices == ()
    assert len((await judged(tmp_path, NOTIFY, mail(b"Auto-Submitted: no\r\n" + PLAIN))).notices) == 1


async def test_a30_mail_of_ours_is_judged_by_rules_that_demand_tls_alone(tmp_path: Path) -> None:
    yaml = """
    - {name: a, then: {delete_message: true, prepend_subject: x, apply_smime: encrypt}}
    """
    own = mail(client=None)
    assert (await judged(tmp_path, yaml, own)).copies == (own,)
    yaml += """
    - name: b
      when: {recipient_domain_is: partner.example}
      then: {route_message_outbound_require_tls: true, prepend_subject: x}
    """
    made = await judged(tmp_path, yaml, own)
    assert [(copy.terms, octets_of(copy)) for copy in made.copies] == [(Terms(require_tls=True), PLAIN)]


async def test_a30_notices_are_mail_of_ours_too(tmp_path: Path) -> None:
    yaml = (
        REPORT
        + "- {name: tls, when: {recipient_domain_is: corp.example}, then: {route_message_outbound_require_tls: true}}\n"
    )
    made = await judged(tmp_path, yaml, mail())
    assert [notice.terms for notice in made.notices] == [Terms(require_tls=True)]
    assert [copy.terms for copy in made.copies] == [Terms()]


# -- failures ---------------------------------------------------------------------------------------------------------

BODY_RULE = "- {{name: a, when: {{subject_or_body_contains_words: x}}, then: {{{}}}}}"


async def test_a25_content_that_can_not_be_read_defers_what_protects(tmp_path: Path) -> None:
    octets = PLAIN + b"x" * 300_000
    one, hands = mail(octets, content=Slow(octets, fails=True)), FakeHands()
    with pytest.raises(Refused) as refused:
        await judged(tmp_path, BODY_RULE.format("apply_smime: encrypt"), one, hands)
    assert refused.value.reply is RULE_FAILED
    assert [rules for rules, _ in hands.failures] == [("a",)]


async def test_a25_other_rules_are_passed_over_with_a_warning(tmp_path: Path) -> None:
    octets = PLAIN + b"x" * 300_000
    one, hands = mail(octets, content=Slow(octets, fails=True)), FakeHands()
    made = await judged(tmp_path, BODY_RULE.format("blind_copy_to: x@else.example"), one, hands)
    assert [addresses(copy) for copy in made.copies] == [["otto@partner.example"]]
    assert made.decided is not None
    assert made.decided["outcomes"][0]["warnings"] == ["a: the rule could not be judged"]  # type: ignore[index]


@pytest.mark.parametrize("defers", [True, False])
async def test_a25_an_edit_that_fails_is_an_error_of_its_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defers: bool
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Rewriter, "rewrite", broken)
    hands = FakeHands()
    yaml = f"- {{name: a, rule_error_action: {'defer' if defers else 'ignore'}, then: {{prepend_subject: x}}}}"
    if defers:
        with pytest.raises(Refused):
            await judged(tmp_path, yaml, mail(), hands)
    else:
        assert octets_of((await judged(tmp_path, yaml, mail(), hands)).copies[0]) == PLAIN
    assert [type(error) for _, error in hands.failures] == [ZeroDivisionError]


async def test_a_deferral_of_one_recipient_keeps_all_of_it_with_the_client(tmp_path: Path) -> None:
    octets = PLAIN + b"x" * 300_000
    yaml = BODY_RULE.format("reject_message: No").replace("when: {", "when: {sent_to: olga@partner.example, ")
    one = mail(octets, "otto@partner.example", "olga@partner.example", content=Slow(octets, fails=True))
    with pytest.raises(Refused) as refused:
        await judged(tmp_path, yaml, one)
    assert refused.value.reply.code == 451


async def test_a_header_section_without_an_end_in_sight_is_not_edited_in_part(tmp_path: Path) -> None:
    octets = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 900) for number in range(400)) + b"Secret: 1\r\n\r\nhello\r\n"
    with pytest.raises(Refused) as refused:
        await judged(tmp_path, "- {name: a, then: {remove_header: Secret}}", mail(octets))
    assert refused.value.reply.code == 552


# -- large and opened mail --------------------------------------------------------------------------------------------


async def test_large_mail_is_edited_where_it_lies(tmp_path: Path) -> None:
    octets = PLAIN + b"line\r\n" * 300_000
    slow = Slow(octets)
    one = mail(octets, content=slow)
    made = await judged(
        tmp_path, '- {name: a, then: {prepend_subject: "[EXT] ", set_header: {name: X-A, value: "1"}}}', one
    )
    (copy,) = made.copies
    assert isinstance(copy.message.content, Edited)
    wanted = octets.replace(b"Subject: ", b"Subject: [EXT] ", 1).replace(b"From", b"X-A: 1\r\nFrom", 1)
    assert await whole(copy.message) == wanted
    assert copy.message.size == len(wanted)
    assert copy.message.head == wanted[: len(copy.message.head)]


async def test_large_mail_is_not_read_where_envelopes_decide(tmp_path: Path) -> None:
    octets = PLAIN + b"x" * 300_000
    slow = Slow(octets)
    await judged(tmp_path, "- {name: a, when: {recipient_domain_is: partner.example}, then: {apply_smime: encrypt}}",
                 mail(octets, content=slow))  # fmt: skip
    assert slow.reads == 0


async def test_a_disclaimer_in_large_mail(tmp_path: Path) -> None:
    head = HEAD.encode() + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n"
    octets = head + b"--b\r\nContent-Type: image/png\r\n\r\n" + b"line\r\n" * 300_000 + b"--b--\r\n"
    made = await judged(
        tmp_path, "- {name: a, then: {apply_html_disclaimer: <p>end</p>}}", mail(octets, content=Slow(octets))
    )
    got = await whole(made.copies[0].message)
    assert got.startswith(b"X-Gateway-Disclaimer: ")
    assert got.partition(b"\r\n")[2] == octets.replace(b"hello\r\n", b"hello\r\n\r\nend\r\n", 1)
    assert made.copies[0].message.size == len(got)


async def test_mail_that_takes_a_moment_is_judged_on_a_thread(tmp_path: Path) -> None:
    octets = PLAIN + b"words and words\r\n" * (ON_THE_LOOP // 16)
    yaml = "- {name: a, when: {subject_or_body_contains_words: words}, then: {prepend_subject: '[X] '}}"
    made = await judged(tmp_path, yaml, mail(octets))
    assert octets_of(made.copies[0]) == octets.replace(b"Offer", b"[X] Offer", 1)


async def test_rules_read_what_is_inside_and_leave_what_travels(tmp_path: Path) -> None:
    outer = HEAD.encode() + b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nMIIB\r\n"
    inside = HEAD.encode() + b"Content-Type: text/plain\r\n\r\nthe secret plan\r\n"
    opened = Opened(layers=(Layer(kind=LayerKind.ENVELOPED, ok=True),), octets=inside)
    yaml = """
    - name: a
      when: {subject_or_body_contains_words: secret plan}
      then: {prepend_subject: "[P] ", apply_html_disclaimer: {text: <p>end</p>, fallback: ignore}}
    """
    made = await judged(tmp_path, yaml, mail(outer, opened=opened))
    (copy,) = made.copies
    assert octets_of(copy) == outer.replace(b"Offer", b"[P] Offer")
    assert copy.opened is opened


async def test_a12_a_disclaimer_that_rejects_spares_postmaster(tmp_path: Path) -> None:
    octets = HEAD.encode() + b"Content-Type: application/pkcs7-mime\r\n\r\nMIIB\r\n"
    yaml = "- {name: a, then: {apply_html_disclaimer: {text: <p>end</p>, fallback: reject}}}"
    with pytest.raises(Refused) as refused:
        await judged(tmp_path, yaml, mail(octets))
    assert refused.value.reply.code == 550
    made = await judged(tmp_path, yaml, mail(octets, "otto@partner.example", "postmaster@corp.example"))
    assert [addresses(copy) for copy in made.copies] == [["postmaster@corp.example"]]


def test_held_content_is_what_the_tests_take_for_small() -> None:
    assert mail().message.content == Held(PLAIN)


async def test_the_log_knows_rules_by_name_and_what_became_of_the_copies(tmp_path: Path) -> None:
    rules = '- name: Known\n  when: {subject_contains_words: offer}\n  then: {set_header: {name: X-A, value: "1"}}\n'
    hands = FakeHands()
    made = await ruling(rule_set(tmp_path, rules), hands=hands)(mail())
    assert made.logged == {"rules": ["Known"], "dispositions": ["deliver"]}
    assert hands.told == []
