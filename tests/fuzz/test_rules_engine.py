"""Any octets as a message, an attachment or a pattern: the engine judges in bounded time and never fails."""

from __future__ import annotations

import os
from time import monotonic, process_time

import pytest
import re2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.rules.filetype import filetype
from gateway.rules.matching.finder import Finder
from gateway.rules.matching.fold import plain
from gateway.rules.shapes.pattern import options
from gateway.rules.sight import Unread
from tests.fakes.judging import engine, facts, rule, work

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
WHEN: dict[str, object] = {
    "from": "a@b.example",
    "from_scope": "not_in_organization",
    "sender_domain_is": "example",
    "from_address_matches_patterns": "a.*b",
    "any_of_to_cc_header": "a@b.example",
    "subject_contains_words": ["x", "[y]", "größe"],
    "subject_matches_patterns": ["^x", r"\d+", "é"],
    "subject_or_body_contains_words": ["x", "two words", "***"],
    "subject_or_body_matches_patterns": [r"\bxx?", r"[a-f]{3}\s", "text|part"],
    "header_contains": {"name": "received", "words": "by"},
    "attachment_name_matches_patterns": ".",
    "attachment_extension_matches_words": "exe",
    "attachment_size_over": 3,
    "attachment_has_executable_content": True,
    "message_type_matches": ["signed", "encrypted"],
    "with_importance": "high",
    "message_contains_data_classifications": ["credit_card", "iban"],
    "sender_ip_ranges": "192.0.2.0/24",
}
PIECES = st.sampled_from(
    [
        *(b"From: a@b.example", b"To: <a@b.example>, ", b"Subject: x =?utf-8?q?=5By=5D?=", b"Subject: \xff\xfe", b""),
        *(b"Received: from x ([192.0.2.1]) by y", b"Importance: high", b"MIME-Version: 1.0", b"--b", b"--b--"),
        *(
            b"Content-Type: multipart/mixed; boundary=b",
            b"Content-Type: text/html",
            b"<p>te<b>xt</b>&#120;",
            b"TVqQAAMA",
        ),
        *(
            b"Content-Transfer-Encoding: base64",
            b"Content-Disposition: attachment; filename=a.exe",
            b"4111 1111 1111 1111",
        ),
        *(
            b"DE89 3704 0044 0532 0130 00",
            b"UEsDBBQAAAA=",
            b"0M8R4KGxGuE=",
            b"Content-Type: message/rfc822",
            b"#!/bin/sh",
        ),
    ]
)
MESSAGES = st.lists(PIECES | st.binary(max_size=30), max_size=40).map(b"\r\n".join)


def test_any_message_is_judged() -> None:
    rules = [rule(name, {name: value}) for name, value in WHEN.items()]
    compiled = engine(*rules, *(rule(f"not {name}", unless={name: value}) for name, value in WHEN.items()))
    end = monotonic() + SECONDS * 0.6

    @given(MESSAGES)
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    def run(octets: bytes) -> None:
        began = process_time()
        said = facts(octets or b"\r\n", hops=("192.0.2.7",))
        quick, slow = (compiled.judge(said, work("a@b.example"), explain=explain) for explain in (False, True))
        failed = [(name, type(error)) for name, error in quick.failures]
        assert failed == [(name, type(error)) for name, error in slow.failures]
        assert {kind for _, kind in failed} <= {Unread}  # Where parts lie too deep in each other.
        assert quick.matched == slow.matched
        assert process_time() - began < 5
        filetype(octets, ("a.js",))

    while monotonic() < end:
        run()


def test_any_pattern_is_found_as_it_is_by_itself() -> None:
    end = monotonic() + SECONDS * 0.4
    signs = st.sampled_from(
        [*"abcAZ09_-. ()[]{}|*+?^$\\,:é\u017f\u212a\n", "\\b", "\\d", "\\s", "\\W", "abc", "(?:", "[^", "{2}"]
    )

    @given(st.lists(signs, max_size=12).map("".join), st.text("abcAZ09_-. é\u017f\u212a\uff41\n", max_size=30))
    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    def run(pattern: str, text: str) -> None:
        try:
            alone = re2.compile(pattern, options())
        except re2.error:
            return
        right = any(alone.search(form) is not None for form in (text, plain(text)))
        assert bool(Finder([], [pattern]).hits(text)) is right, (pattern, text)

    while monotonic() < end:
        run()
