"""Any octets as a form with files, any words as an answer (RFC 7578, RFC 5322): what is taken is whole and ours."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import os
from collections.abc import AsyncIterator
from itertools import pairwise
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.mail.address import parse_address
from gateway.portal.compose import Addressees, Letter, Thread
from gateway.portal.form import BadForm, FormLimits, read_form
from gateway.portal.people import Person
from tests.fakes.clock import FakeClock
from tests.fakes.portal_room import FakeRoom

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10")) / 3
LIMITS = FormLimits(octets=3000, text=500, files=3)
PIECES = st.sampled_from(
    [
        b"--x\r\n",
        b"--x--\r\n",
        b"--x",
        b"\r\n",
        b"\r",
        b"\n",
        b"\r\n\r\n",
        b"--",
        b"Content-Disposition: form-data",
        b'Content-Disposition: form-data; name="csrf"\r\n\r\n',
        b'Content-Disposition: form-data; name="f"; filename="a.txt"\r\n',
        b'Content-Disposition: form-data; name="f"; filename=""\r\n',
        b"Content-Type: text/plain\r\n\r\n",
        b"; name=",
        b'"',
        b"\\",
        b": ",
        b"A" * 600,
        b"z" * 3001,
    ]
)
OCTETS = st.lists(PIECES | st.binary(max_size=40), max_size=40).map(b"".join)
WORDS = st.text(max_size=300) | st.sampled_from(
    [
        "a\r\nBcc: eve@evil.example",
        '"',
        "\\",
        "=?utf-8?Q?=0D=0AX:_y?=",
        "\ud800",
        "<eve@evil.example>",
        "--=_0",
        "..",
        "(",
    ]
)
NOW = 1_793_700_000.0
TOLERANT = email.policy.default.clone(raise_on_defect=False)


async def taken(octets: bytes, cuts: list[int]) -> tuple[object, ...]:
    """What the form is, read in pieces; its word where it is none. Nothing may be left of one that is refused."""
    room = FakeRoom()

    async def blocks() -> AsyncIterator[bytes]:
        places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
        for start, end in pairwise(places):
            yield octets[start:end]

    try:
        form = await read_form(
            blocks(), "multipart/form-data; boundary=x", LIMITS, room=room, clock=FakeClock(), admit=lambda fields: None
        )
    except BadForm as error:
        assert room.is_empty
        return ("bad", error.wrong)
    assert len(form.files) <= LIMITS.files
    assert sum(one.content.size for one in form.files) <= LIMITS.octets
    assert len(room.lying) == len(form.files) and not room.unfinished
    files = tuple((one.of, one.name, one.content_type, one.content.inline) for one in form.files)
    return ("form", tuple(form.fields.items()), files)


def test_forms_are_the_same_however_they_are_cut() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(OCTETS, st.lists(st.integers(0, 10_000), max_size=8))
    def play(octets: bytes, cuts: list[int]) -> None:
        assert asyncio.run(taken(octets, cuts)) == asyncio.run(taken(octets, []))

    while monotonic() < end:
        play()


def test_files_come_through_whatever_is_in_them() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(OCTETS, st.lists(st.integers(0, 10_000), max_size=8))
    def play(octets: bytes, cuts: list[int]) -> None:
        if b"\r\n--x" in b"\r\n" + octets or len(octets) > LIMITS.octets:
            return
        head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
        kind, _, files = asyncio.run(taken(head + octets + b"\r\n--x--\r\n", cuts))
        assert (kind, files) == ("form", (("f", "a", "", octets),))

    while monotonic() < end:
        play()


def test_no_word_of_an_answer_becomes_a_field_an_address_or_a_part() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(WORDS, WORDS, WORDS, WORDS, WORDS, WORDS, st.binary(max_size=200))
    def play(reader: str, other: str, subject: str, text: str, name: str, kind: str, octets: bytes) -> None:
        letter = Letter(
            id="Q1",
            now=NOW,
            hostname="gw.corp.example",
            portal=parse_address("portal@corp.example"),
            reader=parse_address("ben@partner.example"),
            reader_name=reader,
            addressees=Addressees((Person(other, "ida@corp.example"),), (Person(reader, "otto@corp.example"),)),
            subject=subject,
            thread=Thread("<a@x>", ("<a@x>",)),
            text=text,
            files=((name, kind),),
            boundary="=_0123456789abcdef",
        )
        coded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        whole = letter.head() + letter.before(0) + coded + letter.end()
        assert whole.replace(b"\r\n", b"").translate(None, b"\r\n") == whole.replace(b"\r\n", b"")
        assert all(len(line) <= 998 for line in whole.split(b"\r\n"))
        message = email.message_from_bytes(whole, policy=TOLERANT)
        assert [field.lower() for field in message.keys()] == [
            *("received", "date", "from", "reply-to", "to", "cc", "subject", "message-id", "in-reply-to", "references"),
            *("mime-version", "content-type"),
        ]
        for field, address in (
            ("From", "portal@corp.example"),
            ("To", "ida@corp.example"),
            ("Cc", "otto@corp.example"),
        ):
            assert [one.addr_spec for one in message[field].addresses] == [address]
        said, file = message.iter_parts()
        assert [key.lower() for key in file.keys()] == [
            "content-type",
            "content-transfer-encoding",
            "content-disposition",
        ]
        assert file.get_payload(decode=True) == octets
        shown = file.get_filename() or "/"
        assert "/" not in shown and "\\" not in shown
        assert said.get_content_type() == "text/plain"

    while monotonic() < end:
        play()
