"""Values of rules: what each shape takes, what it makes of it, and what it says of all else."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

import pytest

from gateway.mail.address import parse_address
from gateway.mail.terms import Otherwise, Smime
from gateway.rules import shapes
from gateway.rules.dates import DATE
from gateway.rules.flaw import BadValue
from gateway.rules.shapes.shape import MAX_VALUES
from gateway.rules.tree import read_tree
from gateway.rules.values import (
    HeaderField,
    HeaderWords,
    IncidentReport,
    NotifyMode,
    Rejection,
    ReportItem,
    SenderNotice,
    WantedData,
    WantedResult,
    WantedSmime,
)

SCOPE = shapes.choice("in_organization", "not_in_organization", later={"external_partner": "groups"})


def numbers(cases: Sequence[object]) -> list[str]:
    """Names of tests that are the same in every process: a shape's own words hold addresses in memory."""
    return [str(number) for number, _ in enumerate(cases)]


GOOD: list[tuple[Any, Any, Any]] = [
    (shapes.WORDS, "cat", ("cat",)),
    (shapes.WORDS, ["a", "[secure]", "a", 2024, True], ("a", "[secure]", "2024", "true")),
    (shapes.WORDS, ["x" * 128], ("x" * 128,)),
    (shapes.PATTERNS, [r"^RE:", r"\d{3}-\d{2}"], (r"^RE:", r"\d{3}-\d{2}")),
    (shapes.ADDRESSES, ["Ida@Corp.Example"], (parse_address("Ida@Corp.Example"),)),
    (shapes.DOMAINS, ["Partner.Example.", "müller.example"], ("partner.example", "xn--mller-kva.example")),
    (shapes.SIZE, "10MB", 10 << 20),
    (shapes.SIZE, "1.5 kb", 1536),
    (shapes.SIZE, 12, 12),
    (shapes.SIZE, "1TB", 1 << 40),
    (shapes.SIZE, "7B", 7),
    (shapes.FLAG, True, True),
    (shapes.SWITCH, False, False),
    (shapes.Number(1, 9), 9, 9),
    (shapes.TEXT(5), "five5", "five5"),
    (shapes.TEXT(5, lines=True), "a\nb", "a\nb"),
    (SCOPE, "in_organization", "in_organization"),
    (shapes.member(Smime), "both", Smime.BOTH),
    (shapes.HEADER_WORDS, {"name": "X-Tag", "words": "a"}, (HeaderWords("x-tag", ("a",)),)),
    (shapes.HEADER_PATTERNS, [{"name": "X", "patterns": [".*"]}], None),
    (shapes.DATA_TYPES, ["iban"], (WantedData(name="iban"),)),
    (shapes.DATA_TYPES, {"name": "iban", "min_count": 2}, (WantedData(name="iban", min_count=2),)),
    (shapes.AUTHENTICATION, {"dkim": ["pass", "none"]}, (WantedResult("dkim", ("pass", "none")),)),
    (shapes.SMIME, "encrypt", WantedSmime(Smime.ENCRYPT)),
    (shapes.SMIME, {"what": "sign", "otherwise": "defer"}, WantedSmime(Smime.SIGN, Otherwise.DEFER)),
    (shapes.REJECT, "No", Rejection("No")),
    (shapes.REJECT, {"text": "No", "code": "5.7.905"}, Rejection("No", "5.7.905")),
    (shapes.SET_HEADER, {"name": "X-A", "value": 1}, HeaderField("X-A", "1")),
    (shapes.NOTIFY, "notify_only", SenderNotice(NotifyMode.NOTIFY_ONLY)),
    (
        shapes.REPORT,
        {"to": "o@corp.example", "content": ["sender", "bcc"]},
        IncidentReport(parse_address("o@corp.example"), (ReportItem.SENDER, ReportItem.BCC)),
    ),
    (DATE, "2026-12-01", 1796083200.0),
    (DATE, "2026-12-01T01:00:00+01:00", 1796083200.0),
    (DATE, "2026-12-01 00:00", 1796083200.0),
]


@pytest.mark.parametrize(("shape", "value", "made"), GOOD, ids=numbers(GOOD))
def test_what_is_right_becomes_a_value_that_can_be_hashed(shape: Any, value: Any, made: Any) -> None:
    read = shape.read(value)
    assert made is None or read == made
    hash(read)


BAD: list[tuple[Any, Any, str, str]] = [
    (shapes.WORDS, [" a"], '" a"', "no blank in front or behind"),
    (shapes.WORDS, ["x" * 129], "129 letters", "at most 128 letters"),
    (shapes.WORDS, ["\u200b"], "no letter can be seen", "a reader sees"),
    (shapes.WORDS, ["a\nb"], '"a\\nb"', "on one line"),
    (shapes.WORDS, [], "an empty list", "one value at least"),
    (shapes.WORDS, [["a"]], "a list of 1", "a word or phrase"),
    (shapes.WORDS, ["a"] * (MAX_VALUES + 1), "10001 values", "at most 10000"),
    (shapes.WORDS, None, "nothing", "a word or phrase"),
    (shapes.ADDRESSES, "Ida <ida@corp.example>", '"Ida <ida@corp.example>"', '"ida@corp.example"'),
    (shapes.ADDRESSES, "corp.example", '"corp.example"', "recipient_domain_is"),
    (shapes.ADDRESSES, "a@x.example, b@x.example", "a@x.example, b", "each address by itself"),
    (shapes.ADDRESSES, "postmaster", '"postmaster"', "postmaster@ and the domain"),
    (shapes.DOMAINS, "*.x.example", '"*.x.example"', '"x.example"; it stands for its subdomains too'),
    (shapes.DOMAINS, "ida@x.example", '"ida@x.example"', '"x.example"'),
    (shapes.DOMAINS, "a b", '"a b"', "a domain, such as"),
    (shapes.NETWORKS, "192.0.2.1/24", '"192.0.2.1/24"', "192.0.2.0/24"),
    (shapes.NETWORKS, "192.0.2.9-192.0.2.1", "192.0.2.9-192.0.2.1", "from the lower address"),
    (shapes.NETWORKS, "host", '"host"', "192.0.2.0/24"),
    (shapes.SIZE, "10 MiB", '"10 MiB"', "10MB"),
    (shapes.SIZE, "1.5", '"1.5"', "a whole number of octets"),
    (shapes.SIZE, "2000TB", '"2000TB"', "at most 1024TB"),
    (shapes.FLAG, False, "false", "under `unless`"),
    (shapes.FLAG, "true", '"true"', "without quotes"),
    (shapes.SWITCH, "yes", '"yes"', "true or false"),
    (shapes.Number(1, 9), 10, "10", "from 1 to 9"),
    (shapes.Number(1, 9), "3", '"3"', "without quotes"),
    (shapes.TEXT(5), "six666", "6 letters", "at most 5"),
    (shapes.TEXT(50), "a\r\nBcc: evil@x.example", "control character", "on one line"),
    (SCOPE, "InOrganization", '"InOrganization"', "`in_organization`"),
    (SCOPE, "ExternalPartner", '"ExternalPartner"', "comes later, with groups"),
    (SCOPE, "in_organisation", '"in_organisation"', "`in_organization`"),
    (shapes.HEADER_WORDS, {"name": "X-Tag:", "words": "a"}, '"X-Tag:"', '"X-Tag", the name alone'),
    (shapes.HEADER_WORDS, {"name": "X"}, "no `words`", "{name: X-Tag, words: [a]}"),
    (shapes.HEADER_WORDS, {"name": "X", "word": "a", "words": "a"}, 'the unknown key "word"', "`words`"),
    (shapes.HEADER_WORDS, "X-Tag", '"X-Tag"', "{name: X-Tag, words: [a]}"),
    (shapes.DATA_TYPES, "Credit Card", '"Credit Card"', "`credit_card`"),
    (shapes.DATA_TYPES, {"name": "iban", "min_count": 3, "max_count": 2}, "max_count 2 below min_count 3", "higher"),
    (shapes.DATA_TYPES, {"name": "iban", "min_confidence": 90, "max_confidence": 80}, "below min_confidence", "higher"),
    (shapes.AUTHENTICATION, {"spf": "pass"}, "the key `spf`", "comes later"),
    (shapes.AUTHENTICATION, {}, "an empty table", "{dkim: pass}"),
    (shapes.SMIME, {"otherwise": "reject"}, "no `what`", "apply_smime: encrypt"),
    (shapes.REJECT, {"text": "No", "code": "5.7.899"}, '"5.7.899"', "5.7.1, or 5.7.900 to 5.7.999"),
    (shapes.REJECT, {"text": "No", "code": "5.7.1000"}, '"5.7.1000"', "5.7.900 to 5.7.999"),
    (shapes.SET_HEADER, {"name": "X-A", "value": "a\r\nBcc: x"}, "control character", "on one line"),
    (shapes.SET_HEADER, {"name": "X A", "value": "a"}, '"X A"', "such as X-Tag"),
    (shapes.SET_HEADER, {"name": "Content-Type", "value": "a"}, '"Content-Type"', "another field"),
    (shapes.REMOVE_HEADER, "MIME-Version", '"MIME-Version"', "another field"),
    (shapes.CONNECTOR, " a", '" a"', "the name of an outbound connector"),
    (DATE, "31.12.2026", '"31.12.2026"', "2026-12-31"),
    (DATE, "2026-02-30", '"2026-02-30"', "2026-12-31"),
]


@pytest.mark.parametrize(("shape", "value", "found", "right"), BAD, ids=numbers(BAD))
def test_what_is_wrong_is_told_with_what_would_be_right(shape: Any, value: Any, found: str, right: str) -> None:
    with pytest.raises(BadValue) as bad:
        shape.read(value)
    assert found in bad.value.found
    assert right in bad.value.right


@pytest.mark.parametrize(
    ("pattern", "found", "right"),
    [
        ("a(?<=b)", "`(?<=` at character 2", "without look-ahead and look-behind"),
        ("a(?!b)", "`(?!` at character 2", "`unless`"),
        (r"(a)\1", r"`\1` at character 4", "without back-references"),
        ("(?P<x>a)(?P=x)", "`(?P=` at character 9", "without back-references"),
        ("a++", "`++` at character 2", "never runs away"),
        (r"a\Z", r"`\Z` at character 2", r"\z for the end"),
        (r"[(?=]\(?=(?<!a)", "`(?<!` at character 10", "look-behind"),
        ("a{2000}", "invalid repetition size at character 2", "at most 1000"),
        ("(a", "missing ) at character", "a ) for each ("),
        ("[a", "missing ]", r"\["),
        ("a\\", "trailing \\", r"\\"),
        ("*a", "no argument", "in front of it"),
        (r"\p{Klingon}", "at character 1", "RE2 knows"),
        ("((a{100}){100}){100}", "invalid repetition size", "at most 1000"),
        ("a" * 2001, "2001 letters", "better as words"),
        ("a\0b", '"a\\u0000b"', r"\x00"),
    ],
)
def test_a_pattern_that_re2_cannot_run_is_told_with_its_place(pattern: str, found: str, right: str) -> None:
    with pytest.raises(BadValue) as bad:
        shapes.PATTERNS.read(["fine", pattern])
    (flaw,) = bad.value.flaws
    assert flaw.place == "[1]"
    assert found in flaw.found
    assert right in flaw.right


def test_every_flaw_of_a_value_is_told_with_its_line_and_place() -> None:
    tree = read_tree('name: X-Tag\nwords:\n  - " a"\n  - fine\n  - "b "\nwrod: 1\n')
    with pytest.raises(BadValue) as bad:
        shapes.HEADER_WORDS.read(tree)
    assert [(one.line, one.place) for one in bad.value.flaws] == [(3, "words[0]"), (5, "words[2]"), (6, "")]


def test_networks_hold_what_lies_between_their_ends() -> None:
    first, second, third = shapes.NETWORKS.read(["192.0.2.4-192.0.2.6", "2001:db8::/32", "198.51.100.7"])
    assert first.holds(ip_address("192.0.2.4")) and first.holds(ip_address("192.0.2.6"))
    assert not first.holds(ip_address("192.0.2.7")) and not first.holds(ip_address("2001:db8::1"))
    assert first.holds(ip_address("::ffff:192.0.2.5"))
    assert second.holds(ip_address("2001:db8:1::")) and not second.holds(ip_address("2001:db9::"))
    assert third.holds(ip_address("198.51.100.7")) and not third.holds(ip_address("198.51.100.8"))
