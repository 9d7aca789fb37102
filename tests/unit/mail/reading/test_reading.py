"""A message read: what of it is bounded, and that it is read once."""

from __future__ import annotations

from base64 import encodebytes
from time import process_time

import pytest

from gateway.mail.reading import Flaw, MessageKind, read
from gateway.mail.reading.reading import MAX_LEVELS, TEXT_LIMIT

BEFORE = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"


def test_text_is_read_to_its_limit() -> None:
    assert TEXT_LIMIT == 12 << 20  # 10 MB have to be read (semantics r39).
    reading = read(b"\r\n" + b"x" * 100, text_limit=100)
    assert len(reading.texts[0].text) == 100
    assert Flaw.CUT not in reading.flaws
    reading = read(b"\r\n" + b"x" * 101, text_limit=100)
    assert len(reading.texts[0].text) == 100
    assert Flaw.CUT in reading.flaws


def test_the_text_of_a_file_may_be_longer_than_is_read() -> None:
    reading = read(b"Content-Disposition: attachment; filename=a.csv\r\n\r\n" + b"x" * 101, text_limit=100)
    assert len(reading.texts[0].text) == 100
    assert Flaw.CUT not in reading.flaws


def test_the_limit_counts_all_texts_and_shown_ones_come_first() -> None:
    octets = BEFORE + b"Content-Disposition: attachment\r\n\r\n" + b"x" * 200 + b"\r\n--b\r\n\r\nthe body\r\n--b--"
    reading = read(octets, text_limit=100)
    assert [text.text for text in reading.texts] == ["the body", "x" * 92]


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable", b"7bit"])
def test_the_limit_counts_decoded_octets(encoding: bytes) -> None:
    body = encodebytes(b"y" * 300) if encoding == b"base64" else b"y" * 300
    reading = read(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body, text_limit=100)
    assert [text.text for text in reading.texts] == ["y" * 100]


def test_views_are_made_once() -> None:
    reading = read(BEFORE + b"Content-Type: x/y; name=a\r\n\r\nx\r\n--b--")
    assert reading.attachments is reading.attachments
    assert reading.texts is reading.texts
    assert reading.fields is reading.fields


def test_files_that_are_messages_are_opened_some_levels_deep() -> None:
    octets = b"Subject: innermost\r\n\r\nsecret"
    for _ in range(MAX_LEVELS + 1):
        octets = b"Content-Type: application/x; name=a.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encodebytes(
            octets
        )
    assert len(read(octets).attachments) == MAX_LEVELS + 1
    assert not any(text.text == "secret" for text in read(octets).texts)


def test_text_of_flowed_lines_is_joined_where_its_blanks_go() -> None:
    head = b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\n"
    assert read(head + b"sec \r\nret\r\n").texts[0].text == "secret\r\n"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data", MessageKind.ENCRYPTED),
        (b"Content-Type: application/x-pkcs7-mime; smime-type=authEnveloped-data", MessageKind.ENCRYPTED),
        (b"Content-Type: multipart/encrypted; boundary=x", MessageKind.ENCRYPTED),
        (b"Content-Type: application/pkcs7-mime; smime-type=signed-data", MessageKind.SIGNED),
        (b"Content-Type: multipart/signed; boundary=x", MessageKind.SIGNED),
        (b"Content-Type: text/calendar", MessageKind.CALENDARING),
        (b"Content-Class: urn:content-classes:calendarmessage", MessageKind.CALENDARING),
        (b"Content-Type: message/disposition-notification", MessageKind.READ_RECEIPT),
        (b"Auto-Submitted: auto-replied", MessageKind.OOF),
        (b"Auto-Submitted: auto-replied (on holiday); x=y", MessageKind.OOF),
        (b"Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All", MessageKind.OOF),
        (b"Auto-Submitted: auto-forwarded", MessageKind.AUTO_FORWARD),
        (b"X-MS-Exchange-Inbox-Rules-Loop: a@x.example", MessageKind.AUTO_FORWARD),
        (b"Content-Type: application/x; name=message.rpmsg", MessageKind.PERMISSION_CONTROLLED),
        (b"Content-Type: application/x-microsoft-rpmsg-message", MessageKind.PERMISSION_CONTROLLED),
        (b"Message-Context: voice-message", MessageKind.VOICEMAIL),
        (b"X-MS-Exchange-Organization-Approval-Initiator: a@x.example", MessageKind.APPROVAL_REQUEST),
    ],
)
def test_what_kind_of_message_it_is(head: bytes, kind: MessageKind) -> None:
    assert read(head + b"\r\n\r\nx").kinds == {kind}


def test_an_opaque_message_is_known_by_its_content_alone() -> None:
    enveloped = encodebytes(bytes.fromhex("308006092a864886f70d010703a0803080"))
    signed = encodebytes(bytes.fromhex("308006092a864886f70d010702a0803080"))
    head = b"Content-Type: application/octet-stream; name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert read(head + enveloped).kinds == {MessageKind.ENCRYPTED}
    assert read(head + signed).kinds == {MessageKind.SIGNED}


def test_pgp_in_a_text_is_known() -> None:
    assert read(b"\r\n-----BEGIN PGP MESSAGE-----\r\n").kinds == {MessageKind.ENCRYPTED}
    assert read(b"\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\n").kinds == {MessageKind.SIGNED}


def test_an_ordinary_message_and_one_that_carries_another_are_of_no_kind() -> None:
    assert read(b"Subject: x\r\n\r\nx").kinds == frozenset()
    inner = b"Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/encrypted; boundary=c\r\n\r\nx"
    assert read(BEFORE + inner + b"\r\n--b--").kinds == frozenset()
    report = b"Auto-Submitted: auto-replied\r\nContent-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--"
    assert read(report).kinds == frozenset()


def test_files_that_are_messages_are_read_up_to_a_hundred_in_all() -> None:
    """Parts that nothing ends hold all that stands behind them, so that each file is read in each before it."""
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    reading = read(head + (b"--b\r\nContent-Disposition: attachment; filename=a.eml\r\n\r\n" + head) * 200)
    began = process_time()
    texts, files = reading.texts, reading.attachments
    assert len(files) >= 200 and texts is not None
    assert Flaw.MANY in reading.flaws
    assert process_time() - began < 10  # A tenth of that on a free machine; without a bound it would never end.


def test_what_lies_in_files_in_each_other_shares_one_bound() -> None:
    inner = b"X: 1\r\n\r\nx"
    for number in range(4):
        head = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n" % number
        part = b"--b%d\r\nContent-Type: application/x; name=a.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n" % number
        inner = head + (part + encodebytes(inner) + b"\r\n") * 6 + b"--b%d--\r\n" % number
    reading = read(inner)
    began = process_time()
    assert reading.texts is not None
    assert process_time() - began < 10
    assert reading._room == [0]


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\nthe sec\0ret",
        b"\r\nthe sec\x01\x1bret",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\nthe sec=00ret",
        b"Content-Type: text/plain; charset=utf-7\r\n\r\nthe sec+AAE-ret",
        b"Content-Type: text/plain; charset=utf-8\r\n\r\nthe sec\0ret\xe2\x80\x8b",
        b"Content-Type: text/html\r\n\r\nthe sec\0ret",
        b"Content-Type: text/rtf\r\n\r\n{\\rtf1 the sec\\'01ret}",
        b"Content-Type: text/calendar\r\n\r\nthe sec\0ret",
    ],
)
def test_a_word_that_is_cut_by_what_nobody_sees_is_whole(octets: bytes) -> None:
    assert any("the secret" in text.text for text in read(octets).texts)
