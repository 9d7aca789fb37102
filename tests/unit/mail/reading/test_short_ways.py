"""Short ways come to what the long ones do: of messages that are made at random, and of those that others wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reading import Reading, header, read
from gateway.mail.reading import reading as reading_module
from gateway.rules import view as view_module
from gateway.rules.conditions.sender import marks_of
from gateway.rules.model import SenderLocation
from gateway.rules.view import View
from tests.fakes.judging import facts

FIELDS = st.sampled_from(
    [
        b"From: Ida <ida@corp.example>", b"from: a@b.example, c@d.example", b"From : x@y.example", b"FROM:\r\n <a@b.c>",
        b"Subject: x", b"Subject: =?utf-8?q?=C3=A9?=", b"subject:\r\n folded\r\n\ttwice", b"no field", b"From x", b" a",
        b"Content-Type: text/plain", b"content-type:\r\n\tTEXT/plain;\r\n charset=\"UTF-8\"; format=flowed",
        b"Content-Type: text/plain; charset=utf-16", b"Content-Type: text/plain; charset=us-ascii; name=a.exe",
        b"Content-Type: text/plain; charset=utf-8; delsp=yes", b"Content-Type: text/html", b"Content-Type: text",
        b"Content-Type: text/plain; charset=\"utf-8; format=flowed", b"Content-Type: text/plain;", b"Content-Type:",
        b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: message/rfc822", b"name=\"a.exe\"", b"=a: b",
        b"Content-Transfer-Encoding: 7bit", b"Content-Transfer-Encoding: 8BIT ", b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: x", b"Content-Disposition: attachment; filename=a", b"Content-Disposition: inline",
        b"Content-ID: <1>", b"X-Tag: a", b"x-tag: \xe4", b"Content-Language: de",
    ]
)  # fmt: skip
LINES = st.sampled_from(
    [
        b"", b"text", b"the begin of it", b"begin 644 a.eml", b"#0V%T", b"`", b"end", b"=ybegin line=1 name=a",
        b"caf\xc3\xa9", b"\x1b$B", b"a\x00b", b"vi\x08agra", b"--b", b"--b--", b"Content-Type: text/html", b"=yend",
        b"a\xc2\xa0b", b"a\xe2\x80\x8bb", b"\xef\xbb\xbfa", b"\xe4", b"\xc2\x85", b"+AOQ-", b"=41",
    ]
)  # fmt: skip
MESSAGES = st.builds(
    lambda fields, lines, end: end.join([*fields, b"", *lines]),
    st.lists(FIELDS, max_size=6),
    st.lists(LINES | st.binary(max_size=6), max_size=6),
    st.sampled_from([b"\r\n", b"\n", b"\r"]),
)


def said(reading: Reading) -> dict[str, object]:
    """All that it says, in the order in which rules ask."""
    view = View(facts(reads=lambda: reading), {}, {})
    return {
        "fields": [(field.name, field.raw, field.texts) for field in reading.fields],
        "values": [(name, view.values(name), view.readings(name)) for name in ("subject", "x-tag", "none")],
        "long": reading.is_head_long,
        "subjects": reading.subjects,
        "addresses": [view.addresses(name) for name in ("from", "to")],
        "marks": [set(marks_of(view, f"from {one}")) for one in SenderLocation],
        "early": reading.flaws,
        "texts": reading.texts,
        "attachments": [(one.names, one.type, one.where, one.octets()) for one in reading.attachments],
        "flaws": reading.flaws,
        "kinds": reading.kinds,
        "charsets": reading.charsets,
    }


def check(octets: bytes, limit: int = 1 << 20) -> bool:
    """Whether the message goes the short way; by the long one it says the same."""
    short = read(octets, text_limit=limit)
    found = said(short)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(header, "_ALL_USUAL", re.compile(rb"(?!)"))  # Fits nothing.
        patch.setattr(view_module, "_common_value", view_module._value)
        patch.setattr(reading_module, "plain_text", lambda octets, head, most: None)
        assert said(read(octets, text_limit=limit)) == found
    return short._plain is not None


@given(octets=MESSAGES, limit=st.integers(0, 30) | st.just(1 << 20))
def test_a_message_of_any_form_says_the_same_by_both(octets: bytes, limit: int) -> None:
    check(octets, limit)


def test_every_message_of_the_corpus_says_the_same_by_both(corpus: Path) -> None:
    short = 0
    for file in sorted((corpus / "mime").glob("*.eml")):
        octets = file.read_bytes()
        for one in (octets, octets.replace(b"\r\n", b"\n"), octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
            short += check(one)
    assert short > 20


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"", b"hello\r\n"),
        (b"", b"caf\xc3\xa9, 1\xc2\xa0kg, a\xe2\x80\x8bb\r\n"),
        (b"Content-Type: text/plain; charset=utf-8\r\n", b"caf\xc3\xa9\r\n"),
        (b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n", b"hello\r\n"),
        (b"Content-Type: Text/Plain;\r\n\tformat=flowed; charset=\"ISO-8859-15\"\r\n", b"from the beginning\r\n"),
    ],
)  # fmt: skip
def test_plain_messages_take_the_short_way(headers: bytes, body: bytes) -> None:
    assert check(b"From: a@b.example\r\n" + headers + b"\r\n" + body)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"", b""),
        (b"", b"caf\xe9\r\n"),
        (b"", b"\xef\xbb\xbfx\r\n"),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n", b"caf\xc3\xa9\r\n"),
        (b"", b"begin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n"),
        (b"Content-Type: text/plain; charset=utf-7\r\n", b"+ADw-\r\n"),
        (b"Content-Type: text/plain; name=a.exe\r\n", b"x\r\n"),
        (b"Content-Type: text/plain\r\nContent-Type: text/html\r\n", b"x\r\n"),
        (b"Content-Disposition: attachment\r\n", b"x\r\n"),
        (b"Content-Transfer-Encoding: base64\r\n", b"eHh4\r\n"),
        (b"no field\r\n", b"x\r\n"),
    ],
)
def test_others_do_not(headers: bytes, body: bytes) -> None:
    assert not check(b"From: a@b.example\r\n" + headers + b"\r\n" + body)
