"""Any octets as a message in a mailbox: what IMAP says of it is good IMAP, and its sections lie where they should."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import takewhile
from time import monotonic, process_time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.mailboxes.head import BadHead, Head, HeadReader, Needle, Searched, Section, UnknownEncoding, What
from gateway.mailboxes.head.part import Kind
from tests.imap_values import Value, parsed

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
LINES = st.sampled_from(
    [
        b"", b"", b"", b"--a", b"--b", b"--a--", b"--b--", b"--ab", b"--", b"-", b" folded", b"text", b"\xe4", b"\x00",
        b"Subject: =?utf-8?Q?=C3=BC?= \"x\\", b"Date: 3 Nov 2026", b"From: Ida <ida@x>, (c) b@y", b"To: G: a@x;, \"",
        b"Cc: <@r:a@b", b"Reply-To: =?a?q?b,c?= <d@e>", b"Message-ID: <\x00\xff>", b"In-Reply-To:",
        b"Content-Type: multipart/mixed; boundary=a", b"Content-Type: multipart/mixed;boundary=\"b\"",
        b"Content-Type: multipart/digest; boundary=a; x*1=b; x*0*=utf-8''c", b"Content-Type: message/rfc822",
        b"Content-Type: text/html; charset=utf-8; name=\"\xe4\"", b"Content-Type: text", b"Content-Type: ;", b"X",
        b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: x-odd", b"Content-Language: a, b,",
        b"Content-Disposition: attachment; filename*=''%", b"Content-ID: <a b>", b"Content-MD5: \r",
        b"Content-Location: \"",
    ]
)  # fmt: skip
MESSAGES = st.builds(
    lambda lines, end, last: end.join(lines) + last,
    st.lists(LINES | st.binary(max_size=20), max_size=40),
    st.sampled_from([b"\r\n", b"\r\n", b"\n"]),
    st.sampled_from([b"\r\n", b"", b"\n", b"\r"]),
)
PATHS = st.lists(st.integers(0, 3), max_size=4).map(tuple)


def check(octets: bytes, cuts: list[int], path: tuple[int, ...], what: What) -> None:
    head = Head.of(octets)
    reader = HeadReader()
    last = 0
    for cut in [*sorted(min(cut, len(octets)) for cut in cuts), len(octets)]:
        reader.feed(octets[last:cut])
        last = cut
    assert reader.end() == head
    assert Head.from_octets(head.to_octets()) == head
    (envelope,), (plain,), (extended,) = parsed(head.envelope), parsed(head.body), parsed(head.body_structure)
    assert isinstance(envelope, list)
    assert len(envelope) == 10
    assert isinstance(plain, list)
    assert isinstance(extended, list)
    assert leaves(plain) == leaves(extended)
    for place in head.places:
        assert 0 <= place.start <= place.body <= place.end <= head.size == len(octets)
        assert place.kind is Kind.MULTIPART or len(place.inner) <= 1
    for binary in (False, True):
        section = Section(path=path, what=What.ALL if binary else what, names=frozenset((b"to",)), binary=binary)
        need = section.need(head)
        if need is not None:
            try:
                whole = section.answer(need, octets[need.start : need.end])
            except UnknownEncoding:
                continue
            part = replace(section, partial=(2, 5))
            some = part.need(head)
            assert some is not None
            assert part.answer(some, octets[some.start : some.end]) == whole[2:7]


def leaves(value: list[Value]) -> int:
    """How many parts there are that hold no others."""
    inner = [one for one in takewhile(lambda one: isinstance(one, list), value) if isinstance(one, list)]
    return sum(map(leaves, inner)) if inner else 1


def test_any_octets_are_told_in_good_imap_and_alike_however_they_come() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        octets=MESSAGES | st.binary(max_size=200),
        cuts=st.lists(st.integers(0, 400), max_size=6),
        path=PATHS,
        what=st.sampled_from(What),
        text=st.text(max_size=5),
    )
    def play(octets: bytes, cuts: list[int], path: tuple[int, ...], what: What, text: str) -> None:
        check(octets, cuts, path, what)
        needle = Needle.of(text)
        searched = Searched(octets)
        assert searched.text(needle) >= searched.body(needle)
        searched.sent()

    while monotonic() < end:
        play()


@given(octets=st.binary(max_size=200) | st.binary(max_size=120).map(lambda tail: b"\x01" + bytes(32) + tail))
@settings(max_examples=300, deadline=None)
def test_any_octets_are_a_head_or_are_refused(octets: bytes) -> None:
    try:
        head = Head.from_octets(octets)
        assert head.places
        Section(path=(1, 1), what=What.MIME).need(head)
    except BadHead:
        pass


@pytest.mark.parametrize(
    "piece",
    [
        b"--a\r\n", b"--a", b"\r\n--", b"--a\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n", b"\n\r", b"\n-",
        b"a:\r\n ",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", b"To: a@b\r\n", b"\xe4", b"\r\n", b"\n", b"\r",
    ],
)  # fmt: skip
@pytest.mark.timeout(60)
def test_hostile_repetition_takes_bounded_time_and_memory(piece: bytes) -> None:
    top = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
    for octets in (piece * (2_000_000 // len(piece)), top + piece * (2_000_000 // len(piece)) + b"\r\n\xe4"):
        start = process_time()
        reader = HeadReader()
        for place in range(0, len(octets), 100_000):
            reader.feed(octets[place : place + 100_000])
        head = reader.end()
        assert process_time() - start < 5
        assert len(head.to_octets()) < 4 << 20
