"""Every sample in rules/ does what its comment says, and leaves alone what it does not mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.app.first_rules import secure
from gateway.app.rule_test import Question, answer, rule_test
from gateway.mail.address import parse_address
from gateway.mail.message import Held, Message
from gateway.rules.facts import Organisation
from gateway.rules.load import load
from gateway.rules.model import RuleSet
from gateway.rules.review import review

FOLDER = Path(__file__).parents[3] / "rules"
NOW = 1_796_000_000.0
IDA, OLAF, OTTO = "ida@corp.example", "olaf@corp.example", "otto@partner.example"
CARDS = b"4111 1111 1111 1111 and 5500 0000 0000 0004, both Visa or Mastercard credit card numbers"
IBAN = b"Please pay to the account IBAN DE89 3704 0044 0532 0130 00"
NUMBERS = b"customers K-00000018, customer number K-00000026 and the client K-00000034"
PROGRAM = (
    b"--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=bill.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nf0VMRgIBAQAAAAAAAAAAAAIAPgABAAAA\r\n--x--\r\n"
)
NAMED = (
    b"--x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=bill.pdf.IMG\r\n\r\nhello\r\n"
    b"--x--\r\n"
)
MIXED = b"Content-Type: multipart/mixed; boundary=x\r\n"


def mail(body: bytes = b"Hello", fields: bytes = b"", subject: bytes = b"Offer", sender: str = IDA) -> bytes:
    return b"From: %s\r\nTo: %s\r\nSubject: %s\r\n%s\r\n%s\r\n" % (
        sender.encode(), OTTO.encode(), subject, fields, body
    )  # fmt: skip


FILE = b"Content-Type: application/octet-stream\r\n"


def rules() -> RuleSet:
    return load(FOLDER)


async def judged(
    octets: bytes, *recipients: str, sender: str = IDA, internal: bool = True, client: str = "203.0.113.7"
) -> dict[str, Any]:
    """The rules that match, by name, and what becomes of each recipient."""
    question = Question(
        message=Message(octets, Held(octets)),
        sender=parse_address(sender),
        recipients=tuple(map(parse_address, recipients or (OTTO,))),
        client=client,
        internal=internal,
    )
    organisation = Organisation(is_ours=lambda domain: domain == "corp.example")
    said = answer(await rule_test(question, rules(), organisation, NOW), None)
    matched = {rule["name"] for rule in said["rules"] if any(one["matched"] for one in rule["recipients"].values())}
    return {"matched": matched, "outcomes": said["outcomes"]}


HARMLESS = {"A footer for outsiders", "Inner names stay inside"}  # What any mail to outsiders gets.
CASES: list[tuple[str, str, bytes, dict[str, Any], str, list[str]]] = [
    # file, rule, message, how it comes, what becomes of it, actions
    (
        "10-secure", "Mail tagged [secure] is protected",
        mail(subject=b"=?utf-8?q?Offer_=5Bsecure=5D?="), {}, "deliver", ["apply_smime"],
    ),
    ("20-partner-smime", "Partners get S/MIME", mail(), {}, "deliver", ["apply_smime"]),
    (
        "30-tls-or-not-at-all", "Health data over TLS", mail(), {"recipients": ["ward@sub.clinic.example"]},
        "deliver", ["route_message_outbound_require_tls"],
    ),
    (
        "35-by-another-way", "Large mail leaves by its own way", mail((b"x" * 70 + b"\r\n") * 380_000, FILE), {},
        "deliver", ["route_message_outbound_connector"],
    ),
    (
        "40-payment-cards", "Card numbers stay inside", mail(CARDS), {}, "quarantine",
        ["set_audit_severity", "generate_incident_report", "quarantine"],
    ),
    (
        "44-customer-numbers", "Customer numbers need a second look", mail(NUMBERS), {}, "reject", ["notify_sender"],
    ),
    (
        "50-programs", "No programs from outside", mail(PROGRAM, MIXED, sender=OTTO),
        {"internal": False, "sender": OTTO, "recipients": [IDA]}, "reject", ["reject_message"],
    ),
    (
        "50-programs", "No names of programs from outside", mail(NAMED, MIXED, sender=OTTO),
        {"internal": False, "sender": OTTO, "recipients": [IDA]}, "reject", ["reject_message"],
    ),
    (
        "55-false-colours", "Who claims to be us is held", mail(),
        {"internal": False, "sender": "bounce@elsewhere.example", "recipients": [OLAF]},
        "quarantine", ["quarantine", "set_audit_severity"],
    ),
    (
        "60-from-outside", "Mark what comes from outside", mail(sender=OTTO),
        {"internal": False, "sender": OTTO, "recipients": [IDA]}, "deliver", ["prepend_subject", "set_header"],
    ),
    ("70-disclaimer", "A footer for outsiders", mail(), {}, "deliver", ["apply_html_disclaimer"]),
    (
        "80-archive", "Sales mail is archived", mail(sender="sales+eu@corp.example"), {}, "deliver", ["blind_copy_to"],
    ),
    (
        "85-away", "Nobody outside learns who is away",
        mail(fields=b"Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n"), {},
        "delete", ["delete_message", "stop_rule_processing"],
    ),
    ("90-inner-names", "Inner names stay inside", mail(fields=b"X-Originating-IP: 10.1.1.1\r\n"), {}, "deliver", []),
    (
        "90-inner-names", "Inner programs stay inside", mail(fields=b"X-Mailer: Corp-Internal 3\r\n"), {},
        "deliver", ["remove_header"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("file", "rule", "octets", "how", "disposition", "actions"), CASES, ids=lambda value: str(value)[:40]
)
async def test_a_sample_does_what_it_says(
    file: str, rule: str, octets: bytes, how: dict[str, Any], disposition: str, actions: list[str]
) -> None:
    assert {Path(one.file).stem for one in rules() if one.name == rule} == {file}
    found = await judged(octets, *how.get("recipients", ()), **{key: how[key] for key in how if key != "recipients"})
    assert rule in found["matched"]
    assert disposition in [one["disposition"] for one in found["outcomes"]]
    done = {action for one in found["outcomes"] for action in one["actions"]}
    assert set(actions) <= done


async def test_a_letter_between_colleagues_concerns_no_rule() -> None:
    found = await judged(mail(CARDS, subject=b"[secure]"), OLAF)
    assert found["matched"] == set()
    (outcome,) = found["outcomes"]
    assert (outcome["disposition"], outcome["actions"]) == ("deliver", [])


async def test_a_letter_to_a_stranger_gets_the_footer_and_no_more() -> None:
    found = await judged(mail(), "otto@elsewhere.example")
    assert found["matched"] == HARMLESS


async def test_bank_accounts_are_watched_and_mail_goes_on_as_it_came() -> None:
    found = await judged(mail(IBAN), "otto@elsewhere.example")
    assert "Bank accounts leave encrypted" in found["matched"]
    (outcome,) = found["outcomes"]
    assert (outcome["disposition"], outcome["protection"]) == ("deliver", "none")


async def test_who_insists_sends_customer_numbers_all_the_same() -> None:
    found = await judged(mail(NUMBERS, subject=b"Offer override"), "otto@elsewhere.example")
    assert [one["disposition"] for one in found["outcomes"]] == ["deliver"]


async def test_what_a_service_of_ours_sends_from_outside_is_no_false_colour() -> None:
    found = await judged(mail(), OLAF, internal=False, sender="x@elsewhere.example", client="192.0.2.3")
    assert "Who claims to be us is held" not in found["matched"]


def test_every_file_has_a_case_and_a_line_in_the_readme() -> None:
    files = {path.stem for path in FOLDER.glob("*.yaml")}
    assert files == {case[0] for case in CASES} | {"42-bank-accounts"}
    said = (FOLDER / "README.md").read_text("utf-8")
    assert [name for name in sorted(files) if f"({name}.yaml)" not in said] == []
    assert len(files) >= 12


def test_nothing_in_them_is_warned_of() -> None:
    assert review(rules(), NOW) == () and rules().warnings == ()


@pytest.mark.parametrize("portal", [True, False])
def test_what_init_writes_loads_and_is_on_where_there_is_a_portal(tmp_path: Path, portal: bool) -> None:
    (tmp_path / "10-secure.yaml").write_text(secure(portal))
    (rule,) = load(tmp_path)
    assert rule.enabled is portal and [one.name for one in rule.then] == ["apply_ome"]
