"""Every message of the corpus through an engine that uses all conditions, and hostile ones that are made here."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import pytest

from gateway.rules.conditions import CONDITIONS, attachment_rows
from gateway.rules.model import OnError, Rule, RuleSet
from gateway.rules.sight import Unread
from tests.fakes.judging import engine, facts, judge, letter, matching, rule, work
from tests.fakes.ruling import FakeHands, mail, octets_of, ruling

CASES = Path(__file__).parent.parent / "mail" / "reading" / "cases"
TO = ("otto@partner.example", "olga@corp.example")

# A value for each condition, which some messages have and others have not.
EACH: dict[str, object] = {
    "from": ["ida@corp.example", "user@example.com"],
    "from_scope": "not_in_organization",
    "sender_domain_is": ["example.com", "com"],
    "from_address_contains_words": ["bob", "info"],
    "from_address_matches_patterns": [r"^[a-m].*@", r"\d"],
    "sender_ip_ranges": "192.0.2.0/24",
    "sent_to": "otto@partner.example",
    "sent_to_scope": "not_in_organization",
    "recipient_domain_is": "partner.example",
    "recipient_address_matches_patterns": "^otto",
    "any_of_to_header": ["otto@partner.example", "bob@example.com"],
    "any_of_cc_header": "bob@example.com",
    "any_of_to_cc_header": "bob@example.com",
    "subject_contains_words": ["test", "re", "[secure]"],
    "subject_matches_patterns": [r"^re:", r"\s\d+", "^$"],
    "subject_or_body_contains_words": ["the", "hello world", "c++", "größe"],
    "subject_or_body_matches_patterns": [r"\d{3}-\d{2}-\d{4}", r"\bhttp://\S+", "the (?:end|start)"],
    "header_contains": {"name": "Received", "words": ["from", "esmtp"]},
    "header_matches": [{"name": "Message-ID", "patterns": r"@\w+"}, {"name": "X-Mailer", "patterns": "."}],
    "attachment_name_matches_patterns": [r"\.(?:exe|pdf|txt)$", "^.{40}"],
    "attachment_extension_matches_words": ["exe", "pdf", "txt", "jpg"],
    "attachment_size_over": "1KB",
    "attachment_has_executable_content": True,
    "message_size_over": "4KB",
    "message_type_matches": ["signed", "encrypted", "calendaring", "read_receipt", "oof"],
    "with_importance": "high",
    "has_classification": "secret",
    "message_contains_data_classifications": ["credit_card", "iban"],
    "authentication_results": {"dkim": "pass"},
}


def every() -> tuple[Rule, ...]:
    conditions = [rule(name, {name: value}, on_error=OnError.DEFER) for name, value in EACH.items()]
    exceptions = [rule(f"not {name}", unless={name: value}, on_error=OnError.DEFER) for name, value in EACH.items()]
    return (*conditions, *exceptions)


def messages(corpus: Path) -> list[Path]:
    return sorted(path for path in (corpus / "mime").rglob("*") if path.is_file() and path.suffix != ".md")


def test_all_conditions_are_asked() -> None:
    assert set(EACH) == set(CONDITIONS)


def test_no_message_is_too_odd_for_any_condition(corpus: Path) -> None:
    compiled = engine(*every())
    matched: set[str] = set()
    found = messages(corpus)
    for path in found:
        octets = path.read_bytes()
        judged = compiled.judge(facts(octets), work(*TO))
        assert judged.failures == (), path.name
        hit = set(judged.matched)
        for name in EACH:  # Of each condition and its exception one holds, or both where they fork.
            assert name in hit or f"not {name}" in hit, (path.name, name)
        explained = compiled.judge(facts(octets), work(*TO), explain=True)
        assert explained.matched == judged.matched, path.name
        attachment_rows(judged.view)
        matched |= hit
    assert found
    assert len(matched) >= 20  # A condition that nothing fits proves little.


async def test_octets_stay_where_no_action_changes_them(corpus: Path) -> None:
    stage = ruling(RuleSet(rules=every()), FakeHands())
    for path in messages(corpus):
        octets = path.read_bytes()
        plan = await stage(mail(octets, *TO))
        assert sum(len(one.envelope.recipients) for one in plan.copies) == len(TO), path.name
        assert all(octets_of(one) == octets for one in plan.copies), path.name


@pytest.mark.parametrize(
    ("case", "name", "value"),
    [
        ("mime-01", "attachment_has_executable_content", True),
        ("mime-02", "subject_or_body_contains_words", "amber lantern"),
        ("mime-03", "attachment_has_executable_content", True),
        ("mime-06", "attachment_has_executable_content", True),
        ("mime-11", "attachment_has_executable_content", True),
        ("mime-13", "subject_or_body_contains_words", "amber lantern"),
        ("mime-15", "subject_or_body_contains_words", "lantern"),
        ("mime-17", "subject_contains_words", "confidential"),
        ("name-01", "attachment_extension_matches_words", "exe"),
        ("name-02", "attachment_name_matches_patterns", r"^quarterly-report\.exe$"),
        ("name-03", "attachment_name_matches_patterns", r"^testfile\.pdf$"),
        ("name-07", "attachment_name_matches_patterns", r"\.[a-z0-9]{3,4}\.[a-z0-9]{3,4}$"),
        ("smtp-08", "subject_contains_words", "grüße"),
        ("subj-01", "subject_contains_words", "[secure]"),
    ],
)
def test_messages_on_which_others_failed(case: str, name: str, value: object) -> None:
    octets = (CASES / f"{case}.eml").read_bytes()
    assert matching(name, value, message=octets)
    assert matching(name, value, message=octets.replace(b"\r\n", b"\n"))


def parts(count: int) -> bytes:
    one = b"--b\r\nContent-Type: text/plain\r\n\r\nwords of a part\r\n"
    return letter(
        one * count + b"--b--\r\n", headers='MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n'
    )


def nested(levels: int) -> bytes:
    body = b"the innermost text\r\n"
    for level in range(levels):
        body = (
            f'Content-Type: multipart/mixed; boundary="b{level}"\r\n\r\n--b{level}\r\n'.encode()
            + (body if level else b"\r\n" + body)
            + f"\r\n--b{level}--\r\n".encode()
        )
    return b"From: x@y.example\r\nMIME-Version: 1.0\r\n" + body


HOSTILE = {
    "10,000 parts": parts(10_000),
    "100 levels": nested(100),
    "a header of 10 MiB": b"From: x@y.example\r\n" + b"X-Long: " + b"word " * (2 << 20) + b"\r\n\r\ntext\r\n",
    "a header of a million fields": b"X: y\r\n" * (1 << 20) + b"\r\ntext\r\n",
    "addresses of 10 MiB": b"From: " + b"a@b.example, " * (800_000) + b"\r\nTo: " + b"<" * (1 << 20) + b"\r\n\r\n",
    "digits": letter("4111 1111 " * 100_000),
    "nothing": b"",
    "NUL": bytes(100_000),
    "one line": b"x" * (10 << 20),
}


UNREAD = {"10,000 parts", "100 levels", "a header of 10 MiB", "a header of a million fields", "addresses of 10 MiB"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_are_judged_in_bounded_time(name: str) -> None:
    octets = HOSTILE[name]
    began = process_time()
    judged = judge(*every(), to=TO, message=octets or b"\r\n")
    # Not all of it is read: whether a rule holds can't be said then, unless what was read says that it does.
    assert all(isinstance(error, Unread) for _, error in judged.failures)
    assert bool(judged.failures) is (name in UNREAD)
    assert process_time() - began < 20  # A shared machine; each takes well under three seconds.
