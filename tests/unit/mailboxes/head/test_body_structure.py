"""BODY and BODYSTRUCTURE."""

from __future__ import annotations

import pytest

from gateway.mailboxes.head import Head
from tests.imap_values import Value, parsed

TEXT: list[Value] = [b"text", b"plain", [b"charset", b"us-ascii"], None, None, b"7bit"]


def structure(octets: bytes) -> Value:
    """BODYSTRUCTURE, after BODY was found to be the same without extension data."""
    head = Head.of(octets)
    (extended,) = parsed(head.body_structure)
    (plain,) = parsed(head.body)
    assert plain == _without_extension(extended)
    return extended


def _without_extension(value: Value) -> Value:
    assert isinstance(value, list)
    if isinstance(value[0], list):
        end = next(place for place, one in enumerate(value) if not isinstance(one, list))
        return [*map(_without_extension, value[:end]), value[end]]
    if [str(one).lower() for one in value[:2]] == ["b'message'", "b'rfc822'"]:
        return [*value[:8], _without_extension(value[8]), value[9]]
    return value[:8] if value[0] == b"text" else value[:7]


def test_a_plain_message_is_a_text_in_ascii() -> None:
    assert structure(b"Subject: a\r\n\r\nb\r\n") == [*TEXT, 3, 1, None, None, None, None]


def test_all_that_is_said_of_a_part_is_told() -> None:
    octets = (
        b"Content-Type: Image/PNG; name=a.png\r\nContent-Transfer-Encoding: BASE64\r\nContent-ID: <1@x>\r\n"
        b"Content-Description: A  picture\r\nContent-MD5: abc==\r\nContent-Language: en, de-AT (German)\r\n"
        b'Content-Location: http://x/\r\nContent-Disposition: inline; filename="a.png"; size=3\r\n\r\nYWJj'
    )
    assert structure(octets) == [
        b"Image", b"PNG", [b"name", b"a.png"], b"<1@x>", b"A  picture", b"BASE64", 4, b"abc==",
        [b"inline", [b"filename", b"a.png", b"size", b"3"]], [b"en", b"de-AT"], b"http://x/",
    ]  # fmt: skip


def test_a_multipart_has_its_parts_in_front() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=x\r\nContent-Language: de\r\n\r\n"
        b"--x\r\n\r\na\r\n--x\r\nContent-Type: application/pdf\r\n\r\nb\r\n--x--\r\n"
    )
    assert structure(octets) == [
        [*TEXT, 1, 0, None, None, None, None],
        [b"application", b"pdf", None, None, None, b"7bit", 1, None, None, None, None],
        b"mixed", [b"boundary", b"x"], None, [b"de"], None,
    ]  # fmt: skip


def test_a_multipart_without_parts_has_one_that_is_empty() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing"
    assert structure(octets) == [
        [*TEXT, 0, 0, None, None, None, None], b"mixed", [b"boundary", b"x"], None, None, None,
    ]  # fmt: skip


def test_an_attached_message_has_its_envelope_structure_and_lines() -> None:
    inner = b"Subject: inner\r\n\r\nb\r\nc\r\n"
    octets = b"Content-Type: message/rfc822; name=a\r\n\r\n" + inner
    envelope: Value = [None, b"inner", *[None] * 8]
    assert structure(octets) == [
        b"message", b"rfc822", [b"name", b"a"], None, None, b"7bit", len(inner), envelope,
        [*TEXT, 6, 2, None, None, None, None], 4, None, None, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize("value", [b"", b"text/", b"@", b"text/plain x", b'"text/html"'])
def test_a_type_that_cannot_be_read_is_a_plain_text(value: bytes) -> None:
    assert structure(b"Content-Type: " + value + b"\r\n\r\nb") == [*TEXT, 1, 0, None, None, None, None]


def test_an_encoding_that_is_no_word_is_none() -> None:
    octets = b"Content-Type: a/b\r\nContent-Transfer-Encoding: very odd\r\n\r\n"
    assert structure(octets) == [b"a", b"b", None, None, None, b"7bit", 0, None, None, None, None]


def test_what_is_not_looked_into_is_called_octets() -> None:
    octets = b"Content-Type: message/rfc822; name=a\r\n\r\n" * 120
    assert b'"application" "octet-stream" ("name" "a")' in Head.of(octets).body
