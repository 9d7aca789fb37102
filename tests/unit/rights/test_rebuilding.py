"""A message out of a foreign file: Python's email package is the judge of what was written."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from gateway.rights.container.inner import MESSAGE, Inner, InnerAttachment
from gateway.rights.opening import open_rpmsg
from gateway.rights.template import ENCRYPT_ONLY, template
from tests.fakes.rights import NOW, READER, FakeTenant, foreign, job, nobody


def built(inner: Inner, **changed: Any) -> EmailMessage:
    a_job = job(*changed.pop("readers", (READER,)), **changed)
    opened = open_rpmsg(foreign(inner, a_job=a_job), FakeTenant(), principal=None, now=NOW, is_revoked=nobody)
    assert opened.is_built
    octets = opened.original
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) < 998
    assert octets.count(b"\n") == octets.count(b"\r\n")
    found = message_from_bytes(octets, policy=default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def test_a_text_alone_is_a_text() -> None:
    found = built(Inner("Some text\r\n\u00e4\U0001f512", None, (), None))
    assert found.get_content_type() == "text/plain"
    assert found.get_content().rstrip("\n") == "Some text\r\n\u00e4\U0001f512"
    assert (found["From"], found["To"]) == ("ida@corp.example", READER)
    assert found["Date"] == "Tue, 03 Nov 2026 08:12:00 +0000"
    assert found["Subject"] == "Encrypt-Only"


def test_text_and_html_are_alternatives_and_attachments_stand_beside() -> None:
    large = bytes(range(256)) * 2000
    files = (InnerAttachment("r\u00e9sum\u00e9 \u05e9.pdf", "pic@x", large), InnerAttachment("b.txt", None, b""))
    found = built(Inner("text", "<p>html</p>", files, None))
    assert found.get_content_type() == "multipart/mixed"
    body = found.get_body(("html",))
    assert body is not None
    assert body.get_content().strip() == "<p>html</p>"
    one, other = found.iter_attachments()
    assert (one.get_filename(), one["Content-ID"], one.get_content()) == (
        "r\u00e9sum\u00e9 \u05e9.pdf",
        "<pic@x>",
        large,
    )
    assert (other.get_filename(), other.get_content()) == ("b.txt", b"")


def test_nothing_at_all_is_said_to_be_nothing() -> None:
    assert "no text" in built(Inner(None, None, (), None)).get_content()


def test_a_name_can_not_write_fields_or_paths() -> None:
    names = ["a\r\nBcc: eve@x.example", "../../etc/passwd", "a\\b\x00c", "\u202egpj.exe", "", 'x"; y="', "n" * 300]
    files = tuple(InnerAttachment(name, "a\r\nX: y", b"x") for name in names)
    found = built(Inner("text", None, files, None))
    assert found["Bcc"] is None
    got = [one.get_filename() for one in found.iter_attachments()]
    assert got == ["a__Bcc: eve@x.example", ".._.._etc_passwd", "a_b_c", "_gpj.exe", "attachment", 'x"; y="', "n" * 200]
    assert all(one["Content-ID"] is None and one["X"] is None for one in found.iter_attachments())


@pytest.mark.parametrize("odd", ['"a\r\nb"@x.example', "J\u00f6rg@b\u00fccher.example", "a b@x.example", "<a@b>", ""])
def test_addresses_that_no_field_can_hold_are_left_out(odd: str) -> None:
    found = built(Inner("text", None, (), None), owner=odd, readers=(READER, odd))
    assert (found["From"], found["To"]) == ("unknown@rights.invalid", READER)


def test_a_long_title_is_folded() -> None:
    title = "\u00dc\U0001f512" * 30
    own = template("own", ENCRYPT_ONLY.rights, title, "Own.")
    assert built(Inner("text", None, (), None), template=own)["Subject"] == title


def test_an_item_of_outlook_is_named_and_not_shown() -> None:
    from gateway.rights import rebuilding

    lost = InnerAttachment("Meeting", None, b"", MESSAGE)
    part = rebuilding._attachment(lost)
    read = message_from_bytes(part, policy=default)
    assert isinstance(read, EmailMessage)
    assert read.get_filename() == "Meeting.txt"
    assert "can't be shown" in read.get_content()
