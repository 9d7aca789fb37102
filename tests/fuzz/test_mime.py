"""Any octets as a message: they are read in bounded time, and a copy of 7 bits says what the original says."""

from __future__ import annotations

import email
import os
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.mail.downgrade import Unconvertible, downgrade
from gateway.mail.mime.editor import Editor
from gateway.mail.mime.part import Kind, Walked
from gateway.mail.mime.walk import Walk

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
LINES = st.sampled_from(
    [
        b"", b"", b"", b"--a", b"--b", b"--a--", b"--b--", b"--a ", b"--ab", b"--", b"-", b" folded", b"text", b"\xe4",
        b"Gr\xc3\xbc\xc3\x9fe = ", b"=41\xe4=", b"Subject: x", b"Subject: \xe4", b"X", b"From x", b".", b" ",
        b"MIME-Version: 1.0", b"Content-Type: multipart/mixed; boundary=a", b"Content-Type: multipart/mixed;boundary=b",
        b"Content-Type: multipart/digest; boundary=\"b\"", b"Content-Type: multipart/signed; boundary=a",
        b"Content-Type: message/rfc822", b"Content-Type: text/html; charset=utf-8", b"Content-Type: image/png",
        b"Content-Type: text", b"Content-Transfer-Encoding: 8bit", b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Transfer-Encoding: base64", b"content-transfer-encoding: binary", b"x" * 120, b"\xff" * 80,
    ]
)  # fmt: skip
MESSAGES = st.builds(
    lambda lines, end: b"\r\n".join(lines) + end,
    st.lists(LINES | st.binary(max_size=20).filter(lambda one: b"\r" not in one and b"\n" not in one), max_size=40),
    st.sampled_from([b"\r\n", b"", b"\r\n\r\n"]),
)


def walked(octets: bytes, cuts: list[int]) -> Walked:
    walk = Walk()
    last = 0
    for cut in [*sorted(min(cut, len(octets)) for cut in cuts), len(octets)]:
        walk.feed(octets[last:cut])
        last = cut
    return walk.end()


def check(octets: bytes, cuts: list[int]) -> None:
    found = walked(octets, cuts)
    assert found == walked(octets, [])
    assert found.size == len(octets)
    assert found.is_seven_bit == octets.isascii()
    for part in found.parts:
        assert part.start <= (part.body or part.start) <= part.end <= len(octets)
        assert part.parent is None or found.parts[part.parent].kind is not Kind.LEAF
    try:
        edits = downgrade(found).edits
    except Unconvertible:
        assert not octets.isascii()
        return
    editor = Editor(edits)
    out = editor.feed(octets) + editor.end()
    assert out.isascii()
    if octets.isascii():
        assert out == octets
    else:
        assert decoded(out) == decoded(octets)
        assert all(len(line) < 1000 for line in out.split(b"\r\n"))


def decoded(octets: bytes) -> list[tuple[str, object]]:
    parsed = email.message_from_bytes(octets)
    return [(one.get_content_type(), one.get_payload(decode=True)) for one in parsed.walk() if not one.is_multipart()]


def test_any_octets_are_read_and_what_is_converted_says_the_same() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(octets=MESSAGES | st.binary(max_size=200), cuts=st.lists(st.integers(0, 400), max_size=6))
    def play(octets: bytes, cuts: list[int]) -> None:
        check(octets, cuts)

    while monotonic() < end:
        play()


@pytest.mark.parametrize(
    "piece",
    [
        b"--a\r\n", b"--\r\n", b"--a", b"\r\n--", b"--a\r\n\r\n", b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", b'Content-Type: x/y; boundary="', b"\\", b"(",
        b";", b"\xe4", b"\r\n", b"-", b"a:\r\n ",
    ],
)  # fmt: skip
@pytest.mark.timeout(60)
def test_hostile_repetition_takes_bounded_time(piece: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
    for octets in (piece * (2_000_000 // len(piece)), head + piece * (2_000_000 // len(piece)) + b"\r\n\xe4"):
        start = monotonic()
        found = walked(octets, list(range(0, len(octets), 100_000)))
        try:
            downgrade(found)
        except Unconvertible:
            pass
        assert monotonic() - start < 10
