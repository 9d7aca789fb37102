"""Any octets as a message that is read: nothing fails, and whatever is offered can be used."""

from __future__ import annotations

import os
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.mail.reading import read
from gateway.rules.text import literal, normalise

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
LINES = st.sampled_from(
    [
        b"", b"", b"", b"--a", b"--b", b"--a--", b"--b--", b"--ab", b"--", b" folded", b"text", b"\xe4", b"From x",
        b"Subject: =?utf-8?q?=C3?= =?utf-8?b?qQ==?=", b"Subject: =?x?b?", b"Subject: \xe4=?=",
        b"Content-Type: multipart/mixed; boundary=a", b"Content-Type: multipart/mixed;boundary*0=b;boundary*1=",
        b"Content-Type: multipart/digest; boundary=\"b\"", b"Content-Type: message/rfc822", b"Content-Type: text",
        b"Content-Type: text/html; charset=utf-16", b"Content-Type: text/plain; charset=utf-7; delsp=yes",
        b"Content-Type: text/rtf", b"Content-Type: text/calendar", b"Content-Type: text/enriched",
        b"Content-Type: application/ms-tnef; name=winmail.dat", b"Content-Type: application/x; name=a.eml",
        b"Content-Type: application/pkcs7-mime", b"Content-Disposition: attachment; filename*0*=x'y'%41; filename*1=b",
        b"name=\"a.exe\"", b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Transfer-Encoding: x-uuencode", b"begin 644 a.exe", b"#0V%T", b"end", b"=ybegin name=a", b"=yend",
        b"TVqQ=TVo=", b"=41=\xe4=", b"eJ8+IgEAAgACkAYADgAAAA==", b"<p hidden>x<!-- <style>.a{display:none}", b"<a b='>",
        b"+2AA-", b"\x1b$B", b"&#55296;&notit;", b"\xff\xfe\x00\xd8", b"{\\rtf1\\u-10179 \\'e4", b"Auto-Submitted: a",
    ]
)  # fmt: skip
MESSAGES = st.builds(
    lambda lines, end: end.join(lines),
    st.lists(LINES | st.binary(max_size=20), max_size=30),
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
)


def check(octets: bytes, limit: int) -> None:
    reading = read(octets, text_limit=limit)
    for text in reading.texts:
        text.text.encode()
        normalise(text.text)
        literal(text.text)
    for subject in reading.subjects:
        subject.encode()
    for field in reading.fields:
        assert field.texts
        field.text.encode()
    for attachment in reading.attachments:
        assert attachment.size == len(attachment.octets()) >= 0
        assert attachment.name in (*attachment.names, "")
    assert reading.kinds is not None
    assert all(charset == charset.lower() for charset in reading.charsets)
    assert reading.flaws == reading.flaws
    assert "\\x" not in repr(reading)


def test_any_octets_are_read() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(octets=MESSAGES | st.binary(max_size=200), limit=st.integers(0, 300) | st.just(1 << 20))
    def play(octets: bytes, limit: int) -> None:
        check(octets, limit)

    while monotonic() < end:
        play()
