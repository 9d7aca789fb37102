"""Fields of the header: these conditions look at the message and do not fork."""

from __future__ import annotations

import pytest

from tests.fakes.judging import findings, letter, matching

ADDRESSED = letter(headers="Cc: Olga <olga@corp.example>, list: a@else.example, b@else.example;\r\n")
TAGGED = letter(
    headers="X-Tag: one\r\nX-Tag: =?utf-8?q?gr=C3=BCne?=\r\n =?utf-8?q?_wiese?=\r\nx-tag: three\r\n"
    "X-Classification: A/B Secret\r\n"
)


@pytest.mark.parametrize(
    ("name", "value", "hits"),
    [
        ("any_of_to_header", "otto@partner.example", True),
        ("any_of_to_header", "olga@corp.example", False),
        ("any_of_cc_header", "olga@corp.example", True),
        ("any_of_cc_header", ["nobody@corp.example", "B@else.example"], True),
        ("any_of_cc_header", "otto@partner.example", False),
        ("any_of_to_cc_header", "otto@partner.example", True),
        ("any_of_to_cc_header", "olga@corp.example", True),
        ("any_of_to_cc_header", "ida@corp.example", False),
    ],
)
def test_the_header_names_one_of_these(name: str, value: object, hits: bool) -> None:
    everyone = ("otto@partner.example", "olga@corp.example")
    assert matching(name, value, message=ADDRESSED, to=everyone) == (everyone if hits else ())


def test_one_in_bcc_alone_is_not_named() -> None:  # r13
    assert not matching("any_of_to_header", "secret@else.example", to=("secret@else.example", "otto@partner.example"))
    with_bcc = letter(headers="Bcc: secret@else.example\r\n")
    assert not matching("any_of_to_cc_header", "secret@else.example", message=with_bcc)


@pytest.mark.parametrize(
    ("name", "value", "hits"),
    [
        ("header_contains", {"name": "X-Tag", "words": "three"}, True),  # r21
        ("header_contains", {"name": "x-TAG", "words": ["nine", "one"]}, True),
        ("header_contains", {"name": "X-Tag", "words": "grüne wiese"}, True),  # r22
        ("header_contains", {"name": "X-Tag", "words": "thre"}, False),
        ("header_contains", {"name": "X-Other", "words": "three"}, False),
        ("header_contains", [{"name": "X-Other", "words": "x"}, {"name": "Subject", "words": "news"}], True),
        ("header_matches", {"name": "X-Tag", "patterns": "^T.R"}, True),
        ("header_matches", {"name": "X-Tag", "patterns": ["^x$", "wiese$"]}, True),
        ("header_matches", {"name": "X-Tag", "patterns": "one.*three"}, False),
        ("header_matches", {"name": "X-Missing", "patterns": ".*"}, False),
        ("has_classification", "secret", True),
        ("has_classification", ["A/B Secret"], True),
        ("has_classification", "public", False),
    ],
)
def test_any_field_of_that_name(name: str, value: object, hits: bool) -> None:
    assert bool(matching(name, value, message=TAGGED)) is hits


@pytest.mark.parametrize(
    ("headers", "importance"),
    [
        ("", "normal"),
        ("Importance: High\r\n", "high"),
        ("Importance: low\r\nX-Priority: 1\r\n", "low"),
        ("X-Priority: 1 (Highest)\r\n", "high"),
        ("X-Priority: 2\r\n", "high"),
        ("X-Priority: 3\r\n", "normal"),
        ("X-Priority: 5 (Lowest)\r\n", "low"),
        ("Importance: very\r\nX-MSMail-Priority: High\r\n", "high"),
    ],
)
def test_importance(headers: str, importance: str) -> None:
    for one in ("low", "normal", "high"):
        assert bool(matching("with_importance", one, message=letter(headers=headers))) is (one == importance)


def test_what_is_told_is_the_word_and_the_field() -> None:
    assert findings("header_contains", {"name": "X-Tag", "words": ["three", "one", "x"]}, message=TAGGED) == [
        (("one", "three"), "x-tag")
    ]
    assert findings("header_matches", {"name": "X-Tag", "patterns": "w.e"}, message=TAGGED) == [(("wie",), "x-tag")]
    assert findings("any_of_cc_header", "olga@corp.example", message=ADDRESSED) == [(("olga@corp.example",), "Cc")]
