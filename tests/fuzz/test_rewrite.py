"""Any lines as a message that rules edit: nothing fails, attachments stay, and what was put in can be read."""

from __future__ import annotations

import os
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.mail.address import parse_address
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.mail.reading import read
from gateway.rules.header_edit import header_edits
from gateway.rules.letterhead import Letterhead
from gateway.rules.rewrite import Rewriter
from gateway.rules.values import Fallback, Location
from gateway.rules.work import DisclaimerWanted, PrependSubject, RemoveField, SetField, ShowAddresses

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
LINES = st.sampled_from(
    [
        b"", b"", b"", b"--a", b"--b", b"--a--", b"--b--", b"--a ", b"--", b" folded", b"text", b"\xe4", b"=41=\xe4",
        b"Subject: x", b"Subject: =?utf-8?q?=C3?=", b"To: a@b.example", b'To: "open', b"From: <x@y.example>", b".",
        b"MIME-Version: 1.0", b"Content-Type: multipart/mixed; boundary=a",
        b"Content-Type: multipart/alternative;boundary=b",
        b"Content-Type: multipart/signed; boundary=a", b"Content-Type: multipart/related; boundary=b",
        b"Content-Type: message/rfc822", b"Content-Type: text/html; charset=utf-8", b"Content-Type: text/html",
        b"Content-Type: text/plain; charset=utf-16", b"Content-Type: text/plain; charset=iso-2022-jp",
        b"Content-Type: image/png",
        b"Content-Disposition: attachment; filename=a.txt", b"Content-Transfer-Encoding: 8bit",
        b"Content-Transfer-Encoding: quoted-printable", b"Content-Transfer-Encoding: base64",
        b"aGVsbG8=", b"=", b"=3D=20",
        b"<html><body bgcolor='>'>", b"</body></html>", b"<!-- ", b"-->", b"<script>", b"</script>",
        b"<pre>", b"x" * 120,
    ]
)  # fmt: skip
MESSAGES = st.builds(
    lambda lines, end: b"\r\n".join(lines) + end,
    st.lists(LINES | st.binary(max_size=20).filter(lambda one: b"\r" not in one and b"\n" not in one), max_size=40),
    st.sampled_from([b"\r\n", b"", b"\r\n\r\n"]),
)
EDITS = (
    PrependSubject("[EXTERNÉ] "),
    SetField("X-Tag", "value \r\n injected"),
    RemoveField("From"),
    ShowAddresses("to", (parse_address("officer@corp.example"),)),
    ShowAddresses("cc", (parse_address("officer@corp.example"),)),
)


def check(octets: bytes, location: Location, fallback: Fallback) -> None:
    message = Message(octets[:MAX_HEAD], Held(octets))
    values = Letterhead(message).tokens(None)
    rewriter = Rewriter(message, octets, values=values, mark=lambda text: "1234", boundary="=_edge")
    section = message.header_section()
    body = octets[len(section) :]
    edited = rewriter.rewrite(EDITS, ()).message.content.inline
    assert edited is not None
    assert edited.endswith(body)
    assert all(one.end <= len(section) for one in header_edits(section, EDITS))
    wanted = DisclaimerWanted(rule="r", html="<p>Seen by all für €</p>", location=location, fallback=fallback)
    done = rewriter.rewrite((), (wanted,))
    made = done.message.content.inline
    assert made is not None
    if done.unfit is None:
        assert any("Seen by all für €" in " ".join(text.text.split()) for text in read(made).texts)
    elif done.rejecting is None and fallback is Fallback.WRAP:
        assert octets in made
    else:
        assert made == octets


@pytest.mark.timeout(SECONDS + 120)
def test_any_lines_are_edited_or_left_alone() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=500, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(MESSAGES, st.sampled_from(Location), st.sampled_from(Fallback))
    def some(octets: bytes, location: Location, fallback: Fallback) -> None:
        check(octets, location, fallback)

    while True:
        some()
        if monotonic() > end:
            return
