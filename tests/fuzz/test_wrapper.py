"""Any octets as mail that may hold a message.rpmsg: it is found and decoded or left alone, in bounded time."""

from __future__ import annotations

import os
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.rights.logo import BadLogo, read_logo
from gateway.rights.wrapper.outside import SEVERAL, SINGLE, head_of, outside, without_trace
from gateway.rights.wrapper.proof import Proof
from gateway.rights.wrapper.sender import MOST, sender_of
from gateway.rights.wrapper.unwrapping import file_at, places, seen, unwrapped

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
ORIGINAL = b"From: ida@corp.example\r\nSubject: true\r\n\r\nwords\r\n"
LINES = st.sampled_from(
    [
        b"", b"", b"", b"--a", b"--=_m0", b"--a--", b"--=_m0--", b"text", b" folded", b"dugEYMQR44agDwAA", b"=",
        b"Content-Class: rpmsg.message", b"Content-Type: application/x-microsoft-rpmsg-message; name=message.rpmsg",
        b'Content-Disposition: attachment; filename="message.rpmsg"', b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable", b"Content-Transfer-Encoding: nonsense",
        b'Content-Type: multipart/mixed; boundary="=_m0"', b"Content-Type: multipart/mixed; boundary=a",
        b"Content-Type: message/rfc822", b"From: Ida <ida@corp.example>", b"From: =?utf-8?q?=ff?= <", b"To: a\nX: y",
        b"Subject: s", b"Received: from by (1)\r\n\tby gw.example with SMTP; x", b"X-Label: secret",
        b"Authentication-Results: gw.example; x=y", b"MIME-Version: 1.0", b"\xff" * 80,
    ]
)  # fmt: skip
MESSAGES = st.builds(
    lambda lines, end: b"\r\n".join(lines) + end,
    st.lists(LINES | st.binary(max_size=20), max_size=40),
    st.sampled_from([b"\r\n", b"", b"\r\n\r\n"]),
)


def test_any_message_is_looked_through_and_nothing_of_it_stands_outside_that_may_not() -> None:
    end = monotonic() + SECONDS / 2

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(MESSAGES)
    def run(octets: bytes) -> None:
        found = places(octets)
        for place in found:
            assert 0 <= place.start <= place.body <= place.end <= len(octets)
            file_at(octets, place)
        made = unwrapped(octets, [ORIGINAL] * len(found))
        assert (made is not None and b"words" in made) if found else made is None
        made = seen(octets, [ORIGINAL] * len(found))
        assert (made is not None and b"words" in made) if found else made is None
        message = head_of(octets)
        said = outside(message, None)
        names = {name.lower() for name, _ in head_of(said + b"\r\n").fields()}
        assert names <= SINGLE | SEVERAL and b"secret" not in said
        assert said.count(b"\r") == said.count(b"\n") == said.count(b"\r\n")
        assert octets.endswith(without_trace(octets, ("gw.example",), "gw.example"))
        assert len(sender_of(message, None).name) <= MOST
        assert not Proof().holds([octets])

    while monotonic() < end:
        run()


@pytest.mark.parametrize("start", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM"])
def test_any_octets_are_a_logo_or_refused(start: bytes) -> None:
    end = monotonic() + SECONDS / 20

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=200))
    def run(octets: bytes) -> None:
        try:
            logo = read_logo(start + octets)
        except BadLogo:
            return
        assert 0 < logo.width <= 170 and 0 < logo.height <= 70

    while monotonic() < end:
        run()
