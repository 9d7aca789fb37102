"""What counts as an attachment, by which names, and its octets."""

from __future__ import annotations

import binascii
from base64 import encodebytes
from collections.abc import Callable

import pytest

from gateway.mail.reading import Attachment, read

MZ = b"MZ\x90\0\3" + bytes(range(200))


def part(head: bytes, body: bytes = b"x") -> tuple[Attachment, ...]:
    return read(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + head + b"\r\n" + body + b"\r\n--b--"
    ).attachments


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (b"Content-Disposition: attachment\r\n", [()]),
        (b"Content-Disposition: ATTACHMENT; filename=a.txt\r\n", [("a.txt",)]),
        (b"Content-Type: text/plain; name=a.txt\r\n", [("a.txt",)]),
        (b"Content-Disposition: inline; filename=a.txt\r\n", [("a.txt",)]),
        (b"Content-Type: image/png\r\n", [()]),
        (b"Content-Type: text/plain\r\nContent-Disposition: inline\r\n", []),
        (b"Content-Type: text/plain\r\nContent-Disposition: quoted-printable\r\n", []),
        (b"Content-Type: message/delivery-status\r\n", []),
        (b"Content-Type: application/xhtml+xml\r\n", []),
        (b"", []),
        (b"Content-Type: x/y; name=a\r\nContent-Disposition: attachment; filename=b\r\n", [("b", "a")]),
        (b"Content-Disposition: filename=a.exe\r\n", [("a.exe",)]),
        (b"Content-Type: name=a.exe\r\n", [("a.exe",)]),
        (
            b"Content-Disposition: attachment; filename=a\r\nContent-Disposition: attachment; filename=b\r\n",
            [("a", "b")],
        ),
    ],
)
def test_what_counts_and_by_which_names(head: bytes, names: list[tuple[str, ...]]) -> None:
    assert [one.names for one in part(head)] == names


def test_it_says_where_it_is_shown() -> None:
    (inline,) = part(b"Content-Type: image/png; name=a\r\nContent-Disposition: inline\r\n")
    (other,) = part(b"Content-Type: image/png; name=a\r\nContent-Disposition: attachment\r\n")
    assert (inline.inline, other.inline) == (True, False)
    assert inline.type == "image/png"
    assert inline.where == "1"


def test_text_that_is_attached_is_an_attachment_and_is_read_behind_the_others() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Disposition: attachment\r\n\r\nfile"
    octets += b"\r\n--b\r\n\r\nbody\r\n--b--"
    reading = read(octets)
    assert [(text.where, text.text) for text in reading.texts] == [("part 2", "body"), ("attachment 1", "file")]
    assert len(reading.attachments) == 1


def test_its_size_is_told_without_padding_and_line_ends() -> None:
    (attachment,) = part(b"Content-Type: x/y\r\nContent-Transfer-Encoding: base64\r\n", b"TVq\r\nQTQ==\r\n\r\n")
    assert attachment.size == len(attachment.octets()) == 4


@pytest.mark.parametrize("begin", [b"begin 644 ", b"begin  644  ", b"begin 00644 "])
def test_a_uuencoded_file_in_a_text_is_an_attachment(begin: bytes) -> None:
    lines = b"".join([binascii.b2a_uu(b"MZ" + bytes(range(40))) for _ in range(3)])
    reading = read(b"Subject: x\r\n\r\nhello\n" + begin + b"tool.exe\n" + lines + b"`\nend\nbye\n")
    (attachment,) = reading.attachments
    assert attachment.names == ("tool.exe",)
    assert attachment.octets() == (b"MZ" + bytes(range(40))) * 3
    assert reading.texts[0].text.startswith("hello")


@pytest.mark.parametrize(
    "text", [b"begin 644 the sentence\r\nand so on it goes.", b"begin 644 words", b"we begin 644 x\r\n"]
)
def test_a_sentence_that_begins_is_no_file(text: bytes) -> None:
    assert read(b"\r\n" + text + b"\r\nThis is a text.\r\n").attachments == ()


def test_base64_between_begin_and_end_is_a_file() -> None:
    (attachment,) = read(b"\r\nbegin-base64 644 a.exe\r\nTVo=\r\n====\r\n").attachments
    assert (attachment.name, attachment.octets()) == ("a.exe", b"MZ")


def test_a_yenc_file_in_a_text_is_an_attachment() -> None:
    body = bytes((octet + 42) & 255 for octet in b"MZ secret")
    octets = b"\r\n=ybegin line=128 size=9 name=a b.exe\r\n" + body + b"\r\n=yend size=9\r\n"
    (attachment,) = read(octets).attachments
    assert (attachment.name, attachment.octets()) == ("a b.exe", b"MZ secret")


def test_a_file_that_is_a_message_by_its_name_is_read() -> None:
    inner = binascii.b2a_base64(b"Subject: inside\r\nContent-Type: application/x; name=a.exe\r\n\r\nMZ")
    octets = b"Content-Type: application/octet-stream; name=in.EML\r\nContent-Transfer-Encoding: base64\r\n\r\n" + inner
    reading = read(octets)
    assert [one.name for one in reading.attachments] == ["in.EML", "a.exe"]
    assert "inside" in [text.text for text in reading.texts]


def test_nothing_of_its_content_is_shown_to_whoever_prints_it() -> None:
    reading = read(b"Subject: secret\r\nContent-Type: application/x; name=secret\r\n\r\nsecret")
    assert "secret" not in repr(reading) + repr(reading.attachments) + repr(reading.fields) + repr(reading.texts)
    assert "secret" not in repr(reading.structure)


def test_a_file_in_a_text_that_is_encoded_is_an_attachment() -> None:
    inner = b"begin 644 tool.exe\n" + binascii.b2a_uu(b"MZ") + b"end\n"
    head = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    (attachment,) = read(head + binascii.b2a_base64(inner)).attachments
    assert (attachment.name, attachment.octets()) == ("tool.exe", b"MZ")


@pytest.mark.parametrize(
    "askew",
    [
        lambda letters: letters,
        lambda letters: b"=" + letters,
        lambda letters: letters[:2] + b"=" + letters[2:],  # To Python a lone sign is nothing.
        lambda letters: b"TQ==" + encodebytes(MZ[1:]),
    ],
)
def test_a_file_is_decoded_however_readers_take_padding_in_its_middle(askew: Callable[[bytes], bytes]) -> None:
    body = askew(encodebytes(MZ))
    head = b"Content-Type: application/x; name=a.exe\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    every = [one.octets() for one in read(head + body).attachments]
    assert MZ in every


def test_a_word_is_found_where_padding_counts_among_four_letters() -> None:
    """As Thunderbird has it: the third of these fours is two octets, an `r` and a zero, which nobody sees."""
    body = b"aSBz" + b"ZWM=" + b"cg=A" + b"ZXQ="
    texts = read(b"Content-Transfer-Encoding: base64\r\n\r\n" + body).texts
    assert "i secret" in [one.text for one in texts]


def test_padding_where_it_belongs_divides_nobody() -> None:
    for body in (b"TVo=", b"TQ==Wg==", b"TV o\r\n=", b"TVpN\r\nTVpN\r\n", b"TVo=--"):
        (one,) = read(b"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body).attachments
        assert one.octets().startswith(b"MZ")
