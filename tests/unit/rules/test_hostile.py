"""Messages made to break whoever reads them: judged and edited in bounded time, or refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.mail.reply import Refused
from tests.fakes.ruling import HEAD, FakeHands, mail, octets_of, rule_set, ruling

RULES = """
- name: all
  then:
    prepend_subject: "[EXT] "
    set_header: {name: X-A, value: "1"}
    remove_header: X-B
    add_to_recipients: olaf@corp.example
    apply_html_disclaimer: {text: "<p>end</p>", fallback: wrap}
"""
MIME = HEAD + "MIME-Version: 1.0\r\n"


def levels(count: int) -> bytes:
    inner = "Content-Type: text/plain\r\n\r\nhello\r\n"
    for level in range(count):
        inner = f"Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n{inner}--b{level}--\r\n"
    return (MIME + inner).encode()


def parts(count: int) -> bytes:
    head = MIME + "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    return (head + "--b\r\n\r\nx\r\n" * count + "--b--\r\n").encode()


MESSAGES = {
    "10,000 parts": parts(10_000),
    "20,000 parts": parts(20_000),
    "100 levels": levels(100),
    "a body of 10 MiB": MIME.encode() + b"Content-Type: text/html\r\n\r\n" + b"<p>a</p>\r\n" * (1 << 20),
    "one line of 10 MiB": MIME.encode() + b"Content-Type: text/html\r\n\r\n" + b"<" * (10 << 20),
    "fields beyond counting": (HEAD + "X-B: 1\r\n" * 20_000).encode() + b"\r\nhello\r\n",
    "many subjects": ("Subject: =?utf-8?q?a?=\r\n" * 5_000 + HEAD).encode() + b"\r\nhello\r\n",
    "a To without an end": b"To: " + b"a@b.example, (" * 15_000 + b"\r\n" + HEAD.encode() + b"\r\nhello\r\n",
    "nothing": b"",
    "an empty line": b"\r\n",
    "NULs": b"\0" * 10_000,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", MESSAGES)
async def test_it_is_edited_in_bounded_time(tmp_path: Path, name: str) -> None:
    stage = ruling(rule_set(tmp_path, RULES), FakeHands())
    started = time.process_time()
    made = await stage(mail(MESSAGES[name]))
    assert time.process_time() - started < 15
    (copy,) = made.copies
    assert b"[EXT]" in octets_of(copy)
    assert b"\r\nX-B:" not in octets_of(copy).partition(b"\r\n\r\n--=_")[0].partition(b"\r\n\r\n")[0]


@pytest.mark.timeout(120)
async def test_a_header_of_10_mib_is_refused_where_it_would_be_edited(tmp_path: Path) -> None:
    octets = HEAD.encode() + b"X-B: 1\r\n" * (10 * (1 << 20) // 8) + b"\r\nhello\r\n"
    hands = FakeHands()
    started = time.process_time()
    with pytest.raises(Refused) as refused:
        await ruling(rule_set(tmp_path, RULES), hands)(mail(octets))
    assert refused.value.reply.code == 552
    assert hands.failures == []
    assert time.process_time() - started < 15
