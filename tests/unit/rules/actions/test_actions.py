"""Each action, from its YAML to what leaves. Rows of the semantics stand in the names: a01 and so on."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.mail.envelope import Body, Client
from gateway.mail.plan import Plan
from gateway.mail.reply import Refused
from gateway.mail.terms import PLAIN as PLAIN_TERMS
from gateway.mail.terms import Otherwise, Quarantine, Smime, Terms, Wanted
from gateway.rules.actions import ACTIONS
from gateway.rules.fault import BadRules
from tests.fakes.ruling import HEAD, PLAIN, FakeHands, addresses, mail, octets_of, rule_set, ruling

OUTSIDE = Client(address="198.51.100.1", port=25, helo="x", esmtp=True, listener="relay", tls=None)
OTTO, OLGA = "otto@partner.example", "olga@partner.example"


async def plan(folder: Path, yaml: str, *to: str, octets: bytes = PLAIN, hands: FakeHands | None = None) -> Plan:
    return await ruling(rule_set(folder, yaml), hands or FakeHands())(mail(octets, *to))


def then(*actions: str) -> str:
    """Rules without conditions that do these, one after the other."""
    return "".join(f"- {{name: r{number}, then: {{{action}}}}}\n" for number, action in enumerate(actions))


def wanted(
    rule: str, smime: Smime | None = None, otherwise: Otherwise = Otherwise.REJECT, template: str | None = None
) -> Terms:
    return Terms(wanted=Wanted(rule=rule, smime=smime, otherwise=otherwise, template=template))


RIGHTS, DEFER = Otherwise.RIGHTS, Otherwise.DEFER
TERMS = [
    (then("apply_smime: encrypt"), wanted("r0", Smime.ENCRYPT)),
    (then("apply_smime: sign"), wanted("r0", Smime.SIGN)),
    (then("apply_smime: both, smime_otherwise: rights"), wanted("r0", Smime.BOTH, RIGHTS)),
    (then("apply_smime: encrypt, smime_otherwise: defer"), wanted("r0", Smime.ENCRYPT, Otherwise.DEFER)),
    (then("apply_ome: true"), wanted("r0", None, RIGHTS, "encrypt-only")),
    (then("apply_rights_protection_template: do-not-forward"), wanted("r0", None, RIGHTS, "do-not-forward")),
    # What a rule wanted no later one makes less.
    (then("apply_smime: encrypt", "apply_smime: sign"), wanted("r1", Smime.BOTH)),
    (then("apply_smime: sign", "apply_smime: encrypt, smime_otherwise: defer"), wanted("r1", Smime.BOTH, DEFER)),
    (then("apply_smime: encrypt, smime_otherwise: defer", "apply_smime: sign"), wanted("r1", Smime.BOTH, DEFER)),
    (then("apply_smime: encrypt", "apply_ome: true"), wanted("r0", Smime.ENCRYPT, RIGHTS, "encrypt-only")),
    (then("apply_smime: sign", "apply_ome: true"), wanted("r0", Smime.BOTH, RIGHTS, "encrypt-only")),
    (then("apply_ome: true", "apply_smime: sign"), wanted("r1", Smime.BOTH, RIGHTS, "encrypt-only")),
    (then("apply_rights_protection_template: do-not-forward", "apply_ome: true"),
     wanted("r1", None, RIGHTS, "do-not-forward")),
    (then("route_message_outbound_require_tls: true"), Terms(require_tls=True)),
    (then("remove_ome: true"), Terms(remove_rights=True)),
    (then("route_message_outbound_connector: partners"), Terms(connector="partners")),
    (then("quarantine: true"), Terms(quarantine=Quarantine(rules=("r0",)))),
    (then("quarantine: true, set_audit_severity: high"), Terms(quarantine=Quarantine(rules=("r0",), severity="high"))),
    # a17: the terms of rules before and behind hold when it is released.
    (then("apply_smime: encrypt", "quarantine: true", "route_message_outbound_require_tls: true"),
     Terms(wanted=Wanted(rule="r0", smime=Smime.ENCRYPT), require_tls=True, quarantine=Quarantine(rules=("r1",)))),
    (then("set_audit_severity: low"), PLAIN_TERMS),
]  # fmt: skip


@pytest.mark.parametrize(("yaml", "terms"), TERMS)
async def test_terms_under_which_a_copy_leaves(tmp_path: Path, yaml: str, terms: Terms) -> None:
    made = await plan(tmp_path, yaml)
    assert [copy.terms for copy in made.copies] == [terms]
    assert octets_of(made.copies[0]) == PLAIN
    assert made.touched is (terms != PLAIN_TERMS)


SUBJECT = b"Subject: Offer"
EDITS = [
    ('prepend_subject: "[EXT] "', SUBJECT, b"Subject: [EXT] Offer"),
    ('set_header: {name: X-A, value: "1"}', b"From: ", b"X-A: 1\r\nFrom: "),
    ("set_header_name: Subject, set_header_value: Other", SUBJECT, b"Subject: Other"),
    ("remove_header: subject", SUBJECT + b"\r\n", b""),
    ("add_to_recipients: boss@corp.example", b"partner.example\r\n", b"partner.example, <boss@corp.example>\r\n"),
    ("copy_to: boss@corp.example", b"From: ", b"Cc: <boss@corp.example>\r\nFrom: "),
    ("blind_copy_to: boss@corp.example", b"", b""),
    ("redirect_message_to: boss@corp.example", b"", b""),
]


@pytest.mark.parametrize(("action", "old", "new"), EDITS)
async def test_edits_touch_what_they_mean_and_no_other_octet(
    tmp_path: Path, action: str, old: bytes, new: bytes
) -> None:
    made = await plan(tmp_path, then(action))
    assert octets_of(made.copies[0]) == PLAIN.replace(old, new, 1)


RECIPIENTS = [
    ("add_to_recipients: [boss@corp.example, OTTO@partner.example]", [OTTO, "boss@corp.example"]),
    ("copy_to: [boss@corp.example, boss@corp.example]", [OTTO, "boss@corp.example"]),
    ("blind_copy_to: boss@corp.example", [OTTO, "boss@corp.example"]),
    ("redirect_message_to: [boss@corp.example, x@else.example]", ["boss@corp.example", "x@else.example"]),
]


@pytest.mark.parametrize(("action", "who"), RECIPIENTS)
async def test_a08_a09_a10_who_gets_it(tmp_path: Path, action: str, who: list[str]) -> None:
    made = await plan(tmp_path, then(action))
    assert [addresses(copy) for copy in made.copies] == [who]


async def test_a08_a09_nothing_in_the_header_names_them(tmp_path: Path) -> None:
    for action in ("redirect_message_to", "blind_copy_to"):
        made = await plan(tmp_path, then(f"{action}: spy@corp.example"))
        assert b"spy" not in octets_of(made.copies[0])


async def test_a10_an_international_address_asks_for_smtputf8(tmp_path: Path) -> None:
    made = await plan(tmp_path, then("add_to_recipients: jörg@corp.example"))
    assert made.copies[0].envelope.smtputf8
    assert made.copies[0].envelope.body is Body.EIGHT_BIT_MIME
    assert "jörg@corp.example".encode() in octets_of(made.copies[0])


async def test_nobody_gets_two_copies_and_the_stricter_terms_win(tmp_path: Path) -> None:
    yaml = """
    - {name: a, when: {sent_to: otto@partner.example}, then: {blind_copy_to: archive@corp.example}}
    - name: b
      when: {sent_to: olga@partner.example}
      then: {apply_smime: encrypt, blind_copy_to: archive@corp.example}
    - {name: c, when: {sent_to: otto@partner.example}, then: {blind_copy_to: olga@partner.example}}
    """
    made = await plan(tmp_path, yaml, OTTO, OLGA)
    assert sorted(map(addresses, made.copies)) == [[OLGA, "archive@corp.example"], [OTTO]]


async def test_a01_in_order_until_one_stops(tmp_path: Path) -> None:
    yaml = then(
        'prepend_subject: "[A] "', 'prepend_subject: "[B] ", stop_rule_processing: true', 'prepend_subject: "[C] "'
    )
    assert b"\r\nSubject: [B] [A] Offer\r\n" in octets_of((await plan(tmp_path, yaml)).copies[0])


async def test_a02_a_later_condition_sees_what_was_set(tmp_path: Path) -> None:
    yaml = """
    - {name: a, then: {set_header: {name: X-A, value: yes sir}, prepend_subject: "[EXT] ", copy_to: boss@corp.example}}
    - {name: b, when: {header_contains: {name: x-a, words: yes}}, then: {set_header: {name: X-B, value: b}}}
    - {name: c, when: {subject_contains_words: "[EXT]"}, then: {set_header: {name: X-C, value: c}}}
    - {name: d, when: {any_of_cc_header: boss@corp.example}, then: {remove_header: X-A}}
    - {name: e, when: {header_contains: {name: X-A, words: yes}}, then: {delete_message: true}}
    """
    copy = (await plan(tmp_path, yaml)).copies[0]
    head = octets_of(copy).partition(b"\r\n\r\n")[0]
    assert b"X-B: b" in head
    assert b"X-C: c" in head
    assert b"X-A" not in head


@pytest.mark.parametrize(
    "subject",
    ["[EXT] Offer", "Re: [EXT] Offer", "AW: Re: [ext]  Offer", "=?utf-8?q?Re=3A_=5BEXT=5D_x?=", "Re: [EXT]"],
)
async def test_a03_a_reply_has_the_mark_once(tmp_path: Path, subject: str) -> None:
    octets = PLAIN.replace(b"Offer", subject.encode())
    made = await plan(tmp_path, then('prepend_subject: "[EXT] "'), octets=octets)
    assert octets_of(made.copies[0]) == octets


@pytest.mark.parametrize(
    ("action", "reply"),
    [
        ("reject_message: {text: Not by mail, code: 5.7.905}", "550 5.7.905 Not by mail"),
        ("reject_message: Nö", "550 5.7.1 N?"),
        ("reject_message_reason_text: No, reject_message_enhanced_status_code: 5.7.1", "550 5.7.1 No"),
        ("notify_sender: {mode: reject_message, text: No}", "550 5.7.1 No"),
        (
            "notify_sender: reject_unless_explicit_override",
            "550 5.7.1 A rule of the organisation does not let this message pass",
        ),
    ],
)
async def test_a04_a_refusal_is_answered_in_the_session(tmp_path: Path, action: str, reply: str) -> None:
    hands = FakeHands()
    with pytest.raises(Refused) as refused:
        await plan(tmp_path, then(action), hands=hands)
    answer = refused.value.reply
    assert f"{answer.code} {answer.enhanced} {answer.text}" == reply
    assert hands.told == [("ruled", {"id": "Q", "rules": ["r0"], "dispositions": ["reject"]})]


async def test_a_long_refusal_is_answered_in_lines_that_clients_read(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        await plan(tmp_path, then(f'reject_message: "{"word " * 200}"'))
    assert max(map(len, refused.value.reply.wire.split(b"\r\n"))) < 512
    assert refused.value.reply.wire.count(b"word") == 200


@pytest.mark.parametrize(
    "action",
    [
        "reject_message: {text: x, code: 5.7.899}",  # a05
        'set_header: {name: X-A, value: "1\\r\\nBcc: x@y.example"}',  # a16
        'apply_html_disclaimer: "%%Department%%"',  # attributes come later
        'apply_html_disclaimer: "%%nonsense%%"',
        'notify_sender: {mode: notify_only, text: "%%nonsense%%"}',
        "set_header: {name: Content-Type, value: text/html}",
        "remove_header: Received",  # By which a loop is found out.
        "moderate_message_by_user: boss@corp.example",
    ],
)
def test_a05_a16_what_can_not_be_is_refused_at_load(tmp_path: Path, action: str) -> None:
    with pytest.raises(BadRules):
        rule_set(tmp_path, then(action))


async def test_a06_one_of_two_is_refused_and_the_sender_is_told(tmp_path: Path) -> None:
    yaml = "- {name: a, when: {sent_to: olga@partner.example}, then: {reject_message: {text: No, code: 5.7.905}}}"
    hands = FakeHands()
    made = await plan(tmp_path, yaml, OTTO, OLGA, hands=hands)
    assert [addresses(copy) for copy in made.copies] == [[OTTO]]
    assert [(to, reply.enhanced) for to, reply in hands.reports] == [((OLGA,), "5.7.905")]
    assert [addresses(notice) for notice in made.notices] == [["ida@corp.example"]]
    hands.is_sure = False
    assert (await plan(tmp_path, yaml, OTTO, OLGA, hands=hands)).notices == ()


async def test_a07_deleted_is_taken_and_goes_to_nobody(tmp_path: Path) -> None:
    made = await plan(tmp_path, then("delete_message: true"))
    assert made.copies == ()
    assert made.decided is not None
    assert made.decided["outcomes"][0]["disposition"] == "delete"  # type: ignore[index]


async def test_postmaster_and_abuse_of_ours_are_always_taken(tmp_path: Path) -> None:
    yaml = then("reject_message: No", "delete_message: true", "notify_sender: reject_message")
    made = await plan(
        tmp_path, yaml, "Postmaster@corp.example", "abuse@corp.example", OTTO, "abuse@partner.example", "postmaster"
    )
    assert [addresses(copy) for copy in made.copies] == [
        ["Postmaster@corp.example", "abuse@corp.example", "postmaster"]
    ]


async def test_a17_rules_behind_quarantine_only_make_terms_stricter(tmp_path: Path) -> None:
    yaml = then("quarantine: true", 'prepend_subject: "[EXT] ", reject_message: No, blind_copy_to: x@else.example')
    made = await plan(tmp_path, yaml)
    assert [(addresses(copy), octets_of(copy)) for copy in made.copies] == [([OTTO], PLAIN)]


MODES = [
    ("reject_unless_explicit_override", "Offer", None),
    ("reject_unless_explicit_override", "Offer override", "explicit"),
    ("reject_unless_explicit_override", "Override: Offer", "explicit"),
    ("reject_unless_explicit_override", "overridden", None),
    ("reject_unless_silent_override", "override", "explicit"),
    ("reject_unless_false_positive_override", "override", None),
    ("reject_unless_false_positive_override", "False positive", "false_positive"),
    ("reject_message", "override", None),
]


@pytest.mark.parametrize(("mode", "subject", "override"), MODES)
async def test_a22_an_override_is_delivered_and_traced(
    tmp_path: Path, mode: str, subject: str, override: str | None
) -> None:
    yaml, octets = then(f"notify_sender: {mode}"), PLAIN.replace(b"Offer", subject.encode())
    if override is None:
        with pytest.raises(Refused):
            await plan(tmp_path, yaml, octets=octets)
        return
    made = await plan(tmp_path, yaml, octets=octets)
    assert made.decided is not None
    assert made.decided["outcomes"][0]["override"] == override  # type: ignore[index]


async def test_a22_fields_of_mail_programs_override_from_our_side_alone(tmp_path: Path) -> None:
    field = b"X-Ms-Exchange-Organization-Dlp-SenderOverrideJustification: yes\r\n"
    stage = ruling(rule_set(tmp_path, then("notify_sender: reject_unless_explicit_override")), FakeHands())
    assert (await stage(mail(field + PLAIN))).copies
    with pytest.raises(Refused):
        await stage(mail(field + PLAIN, client=OUTSIDE))


EVERY = {
    "apply_smime": "encrypt",
    "apply_ome": "true",
    "apply_rights_protection_template": "encrypt-only",
    "remove_ome": "true",
    "route_message_outbound_require_tls": "true",
    "route_message_outbound_connector": "out",
    "reject_message": "No",
    "delete_message": "true",
    "redirect_message_to": "x@else.example",
    "add_to_recipients": "x@else.example",
    "copy_to": "x@else.example",
    "blind_copy_to": "x@else.example",
    "prepend_subject": "x",
    "set_header": "{name: X-A, value: x}",
    "remove_header": "Subject",
    "apply_html_disclaimer": "x",
    "quarantine": "true",
    "notify_sender": "reject_message",
    "generate_incident_report": "{to: x@else.example, content: [sender]}",
    "set_audit_severity": "high",
    "stop_rule_processing": "true",
}


@pytest.mark.parametrize("mode", ["audit", "audit_and_notify"])
@pytest.mark.parametrize("action", EVERY)
async def test_a23_audited_rules_leave_every_octet(tmp_path: Path, action: str, mode: str) -> None:
    yaml = f"- {{name: a, mode: {mode}, then: {{{action}: {EVERY[action]}}}}}"
    made = await plan(tmp_path, yaml, "postmaster@corp.example", OTTO)
    assert [(addresses(copy), octets_of(copy), copy.terms) for copy in made.copies] == [
        (["postmaster@corp.example", OTTO], PLAIN, PLAIN_TERMS)
    ]
    assert made.decided is not None
    outcome = made.decided["outcomes"][0]  # type: ignore[index]
    does = action in ("generate_incident_report", "set_audit_severity") or (
        action == "notify_sender" and mode == "audit_and_notify"
    )
    assert outcome["actions"] == ([action] if does else [])
    assert outcome.get("audited", []) == ([] if does else [action])
    assert len(made.notices) == (does and action != "set_audit_severity")


def test_every_action_of_the_table_is_tried_above() -> None:
    assert EVERY.keys() == ACTIONS.keys()


def test_what_protects_defers_by_default() -> None:
    assert {name for name, kind in ACTIONS.items() if not kind.protects} == {
        *("redirect_message_to", "stop_rule_processing", "add_to_recipients", "copy_to", "blind_copy_to"),
        *("prepend_subject", "set_header", "remove_header", "apply_html_disclaimer", "generate_incident_report"),
        *("set_audit_severity", "remove_ome"),
    }


async def test_a32_many_rules_and_recipients_make_as_many_copies_as_outcomes(tmp_path: Path) -> None:
    rules = "".join(
        f"- {{name: r{n}, when: {{recipient_domain_is: d{n % 3}.example}}, "
        f"then: {{set_header: {{name: X-{n % 2}, value: x}}}}}}\n"
        for n in range(60)
    )
    to = [f"u{n}@d{n % 5}.example" for n in range(100)]
    made = await plan(tmp_path, rules, *to)
    assert sorted(len(copy.envelope.recipients) for copy in made.copies) == [20, 20, 20, 40]
    assert len({id(copy.message) for copy in made.copies}) <= 4


async def test_a24_out_of_its_dates_nothing_is_done(tmp_path: Path) -> None:
    yaml = """
    - {name: a, activation_date: 2100-01-01, then: {delete_message: true}}
    - {name: b, expiry_date: 2001-01-01, then: {delete_message: true}}
    - {name: c, enabled: false, then: {delete_message: true}}
    """
    made = await plan(tmp_path, yaml)
    assert made == Plan(copies=made.copies, touched=False)
    assert octets_of(made.copies[0]) == PLAIN


def test_heads_are_as_the_tests_think() -> None:
    assert PLAIN.startswith(HEAD.encode())
