"""What a message says: words and patterns, on what its reader sees."""

from __future__ import annotations

import pytest

from tests.fakes.judging import findings, letter, matching

HTML = "MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n"


@pytest.mark.parametrize(
    ("words", "subject", "hits"),
    [
        ("cat", "concatenate", False),  # r01
        ("cat", "(CAT), dog", True),  # r02
        ("cat", "cats", False),
        ("müller", "Herr =?utf-8?q?mu=CC=88ller?=", True),  # r04
        ("MÜLLER", "Herr =?utf-8?q?m=C3=BCller?=", True),
        ("straße", "STRASSE", True),
        ("[secure]", "=?utf-8?q?=5Bsecure=5D?= plans", True),
        ("[secure]", "secure plans", False),
        ("secure", "[SECURE] plans", True),
        ("[secure]", "Re:[Secure]plans", True),
        ("c++", "C++, Java", True),
        ("***", "read *** this", True),
        ("***", "read ** this", False),
        (["dog", "cat"], "the cat", True),  # r07
        ("strictly private", "strictly   private!", True),
        ("strictly private", "private, strictly", False),
        ("机密", "=?utf-8?b?6L+Z5piv5py65a+G5paH5Lu2?=", True),
        ("confidential", "=?utf-8?q?confi?= =?utf-8?q?dential?=", True),
    ],
)
def test_words_in_the_subject(words: object, subject: str, hits: bool) -> None:
    message = letter(subject=subject)
    assert bool(matching("subject_contains_words", words, message=message)) is hits
    assert bool(matching("subject_or_body_contains_words", words, message=message)) is hits


@pytest.mark.parametrize(
    ("patterns", "subject", "hits"),
    [
        ("^RE:", "re: x", True),  # r05
        ("^RE:", "aw: re: x", False),
        ("x$", "re: X", True),
        (["^a", "re"], "re: x", True),
        (r"\bgrün", "=?utf-8?q?alles_gr=C3=BCn?=", True),
        (r"^12-34$", "=?utf-8?q?=EF=BC=91=EF=BC=92-=EF=BC=93=EF=BC=94?=", True),  # Digits of full width.
        ("^$", "", True),
    ],
)
def test_patterns_in_the_subject(patterns: object, subject: str, hits: bool) -> None:
    message = letter(subject=subject)
    assert bool(matching("subject_matches_patterns", patterns, message=message)) is hits


def test_what_the_body_says_is_no_subject() -> None:
    message = letter("private")
    assert not matching("subject_contains_words", "private", message=message)
    assert not matching("subject_matches_patterns", "private", message=message)
    assert matching("subject_or_body_contains_words", "private", message=message)


@pytest.mark.parametrize(
    ("words", "body", "headers", "hits"),
    [
        ("strictly private", "strictly\r\n private", "", True),  # r03
        ("strictly private", "strictly\u00a0\u2003private", "Content-Type: text/plain; charset=utf-8\r\n", True),
        ("lantern", "<p>l<b>an</b>t&#101;rn</p>", HTML, True),
        ("amber lantern", "<p>amber</p><p>lantern</p>", HTML, True),
        ("lantern", "<p>lan\u200btern</p>", HTML, True),
        ("lantern", "<p>lanterns</p>", HTML, False),
        ("lantern", '<p style="display:none">lantern</p>', HTML, True),
        ("lantern", "<!-- lantern --><p>x</p>", HTML, False),
    ],
)
def test_words_in_the_text(words: object, body: str, headers: str, hits: bool) -> None:
    message = letter(body, headers=headers)
    assert bool(matching("subject_or_body_contains_words", words, message=message)) is hits


@pytest.mark.parametrize(
    ("patterns", "body", "hits"),
    [
        (r"\d{3}-\d{2}-\d{4}", "<p>No. 0<b>78-0</b>5<i>-1120</i></p>", True),  # r06
        (r"\d{3}-\d{2}-\d{4}", "<p>No. 078</p><p>-05-1120</p>", False),
        ([r"never", r"amber\s+lan"], "<td>amber</td><td>lantern</td>", True),
    ],
)
def test_patterns_in_the_text(patterns: object, body: str, hits: bool) -> None:
    message = letter(body, headers=HTML)
    assert bool(matching("subject_or_body_matches_patterns", patterns, message=message)) is hits


def test_what_is_told_is_what_was_found_and_where() -> None:
    message = letter("Number 4711, and 0815.", subject="lantern")
    assert findings("subject_or_body_matches_patterns", [r"\d{4}", "lan"], message=message) == [
        (("lan",), "subject"),
        (("4711", "0815"), "body"),
    ]
    assert findings("subject_contains_words", ["x", "Lantern"], message=message) == [(("Lantern",), "subject")]


def test_what_is_hidden_is_told_to_be() -> None:
    message = letter('<p>hello</p><p style="display:none">lantern</p>', headers=HTML)
    ((_, where),) = findings("subject_or_body_contains_words", "lantern", message=message)
    assert where is not None and where.endswith("hidden")


def test_two_subjects_are_both_read() -> None:
    message = letter(headers="Subject: lantern\r\n")
    assert matching("subject_contains_words", "news", message=message)
    assert matching("subject_contains_words", "lantern", message=message)
