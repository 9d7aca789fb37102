"""The entity of a message: which fields are its own, what it is for S/MIME, and where its signed octets end."""

from __future__ import annotations

import re
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smime.entity import SMALL, Form, canonical, clear_signed, entity_of, section_of, split

KIND = b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\r\n'
PARTS = (
    b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    b"--b\r\nContent-Type: application/pkcs7-signature\r\n\r\ny\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        (b"Content-Type: application/pkcs7-mime", Form.CMS),
        (b"content-TYPE:\r\n application/X-PKCS7-Mime", Form.CMS),
        (b"Content-Type: application/octet-stream;\r\n name=smime.p7m", Form.CMS),
        (
            b"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.p7m ; size=3",
            Form.CMS,
        ),
        (b"Content-Type: application/octet-stream; name=a.p7s", Form.OTHER),
        (b"Content-Type: application/octet-stream; name=a.p7mx", Form.OTHER),
        (b"Content-Type: application/octet-stream; title=.p7m", Form.OTHER),
        (b"Content-Type: text/plain; name=a.p7m", Form.OTHER),
        (KIND[:-2], Form.CLEAR),
        (b"Content-Type: multipart/signed; protocol=application/x-pkcs7-signature; boundary=b", Form.CLEAR),
        (b'Content-Type: multipart/signed; protocol="application/pgp-signature"; boundary=b', Form.OTHER),
        (b"Content-Type: multipart/signed; boundary=b", Form.OTHER),
        (b"X-Content-Type: application/pkcs7-mime", Form.OTHER),
        (b"Subject: application/pkcs7-mime", Form.OTHER),
    ],
)
def test_the_form_is_told_by_type_or_name(fields: bytes, form: Form) -> None:
    assert entity_of(fields + b"\r\n\r\nx\r\n").form is form


@pytest.mark.parametrize(
    ("message", "outer", "inner", "body"),
    [
        (b"A: 1\r\nContent-X: 2\r\n\r\nb", b"A: 1\r\n", b"Content-X: 2\r\n", b"b"),
        (b"Content-X: 2\r\n 3\r\n\t4\r\nA: 1\r\n\r\n\r\nb", b"A: 1\r\n", b"Content-X: 2\r\n 3\r\n\t4\r\n", b"\r\nb"),
        (b"\r\nContent-X: 2\r\n", b"", b"", b"Content-X: 2\r\n"),
        (b"A: 1", b"A: 1\r\n", b"", b""),
        (b"Content-X: 2", b"", b"Content-X: 2\r\n", b""),
        (b"A: 1\r\n Content-X: 2\r\n\r\n", b"A: 1\r\n Content-X: 2\r\n", b"", b""),
        (b"Contents: 1\r\n\r\n", b"Contents: 1\r\n", b"", b""),
        (b"", b"", b"", b""),
        (b"From x  Tue Nov  3\nA: 1\n\nb", b"From x  Tue Nov  3\nA: 1\r\n", b"", b"b"),
        (b"A: 1\r\nno field\r\nContent-X: 2\r\n\r\nb", b"A: 1\r\n", b"", b"no field\r\nContent-X: 2\r\n\r\nb"),
        (b" folded from nothing\r\n\r\n", b"", b"", b" folded from nothing\r\n\r\n"),
        (b"\r", b"", b"", b"\r"),
    ],
)
def test_fields_of_the_entity_are_taken_out_whole(message: bytes, outer: bytes, inner: bytes, body: bytes) -> None:
    parts = split(message)
    assert (parts.outer, parts.inner, message[parts.body :]) == (outer, inner, body)


def test_a_version_of_mime_stays_outside() -> None:
    assert split(b"mime-version : 1.0\r\n\r\n").has_version
    assert split(b"mime-version : 1.0\r\n\r\n").outer == b"mime-version : 1.0\r\n"
    assert not split(b"X-MIME-Version: 1.0\r\n\r\nMIME-Version: 1.0\r\n").has_version


def test_what_was_signed_ends_in_front_of_the_delimiter_s_line_end() -> None:
    parts = clear_signed(entity_of(KIND + b"\r\nfor old readers\r\n" + PARTS))
    assert parts is not None
    assert parts.signed == b"Content-Type: text/plain\r\n\r\nx"
    assert parts.signature.octets == b"Content-Type: application/pkcs7-signature\r\n\r\ny"
    assert parts.is_whole


def test_the_first_delimiter_may_stand_at_the_start() -> None:
    for front in (b"", b"\r\n"):
        parts = clear_signed(entity_of(KIND + b"\r\n" + front + PARTS))
        assert parts is not None
        assert parts.signed == b"Content-Type: text/plain\r\n\r\nx"


def test_a_delimiter_is_a_whole_line() -> None:
    inside = PARTS.replace(b"x\r\n", b"x\r\n--bb\r\n --b\r\n--b!\r\nx--b\r\n")
    parts = clear_signed(entity_of(KIND + b"\r\n" + inside))
    assert parts is not None
    assert parts.signed.endswith(b"\r\nx--b")


def test_blanks_may_stand_behind_a_delimiter() -> None:
    parts = clear_signed(entity_of(KIND + b"\r\n" + PARTS.replace(b"--b\r\n", b"--b \t\r\n")))
    assert parts is not None
    assert parts.signed == b"Content-Type: text/plain\r\n\r\nx"


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (PARTS.removesuffix(b"--b--\r\n"), True),  # It was cut off behind the signature: all that counts is there.
        (PARTS.replace(b"--b--", b"--b\r\n\r\nmore\r\n--b--"), False),
        (PARTS + b"what stands behind belongs to nobody and is shown by nobody\r\n-- \r\nchecked\r\n", True),
        (b"for old readers\r\n-- \r\nthis is signed\r\n" + PARTS, True),
        (PARTS + b"--b\r\n\r\nmore\r\n--b--\r\n", False),  # Some readers go on behind the end,
        (PARTS + b"--c\r\nContent-Type: text/html\r\n\r\nmore\r\n--c--\r\n", False),  # or take any such line,
        (b"--c\r\nContent-Type: text/html\r\n\r\nmore\r\n" + PARTS, False),  # or begin in front of the first.
    ],
)
def test_a_third_part_is_told(body: bytes, whole: bool) -> None:
    parts = clear_signed(entity_of(KIND + b"\r\n" + body))
    assert parts is not None
    assert parts.is_whole is whole


@pytest.mark.parametrize("body", [b"", b"--b--\r\n", b"--b\r\n--b--\r\n", b"--b\r\nx\r\n", b"--b"])
def test_one_part_is_too_few(body: bytes) -> None:
    assert clear_signed(entity_of(KIND + b"\r\n" + body)) is None


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        (b"From: a@b\r\n" + KIND + b"Content-Transfer-Encoding: 7bit\r\n\r\nx", True),
        (b"From a@b at noon\r\n" + KIND + b"\r\nx", True),
        (b"\r\nx", True),
        (b"From: a@b\r\n" + KIND, True),
        (KIND + b"content-TYPE : text/plain\r\n\r\nx", False),
        (KIND + b"Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64\r\n\r\nx", False),
        (KIND + b"the body, to some\r\n\r\nx", False),
        (b"the body, to some\r\n" + KIND + b"\r\nx", False),
    ],
)
def test_an_entity_is_plain_where_all_readers_find_the_same(message: bytes, plain: bool) -> None:
    assert entity_of(message).is_plain is plain


def test_empty_parts_are_parts() -> None:
    parts = clear_signed(entity_of(KIND + b"\r\n--b\r\n--b\r\n--b--"))
    assert parts is not None
    assert (parts.signed, parts.signature.octets) == (b"", b"")


def test_lone_line_feeds_become_line_ends() -> None:
    assert canonical(b"a\nb\r\nc\n\n") == b"a\r\nb\r\nc\r\n\r\n"
    octets = b"a\r\nb\rc"
    assert canonical(octets) is octets


@given(st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\r\n"]), max_size=30).map(b"".join))
def test_line_ends_are_judged_alike_in_what_is_short_and_long(octets: bytes) -> None:
    filling = b"x" * (SMALL + 1)
    assert canonical(filling + octets) == filling + canonical(octets)
    assert (canonical(octets) is octets) == (re.search(rb"(?<!\r)\n", octets) is None)


def test_an_unknown_encoding_is_refused() -> None:
    for encoding in (b"uuencode", b"base64"):
        entity = entity_of(b"Content-Transfer-Encoding: " + encoding + b"\r\n\r\nA")
        with pytest.raises(ValueError, match=r"encoding|base64"):
            entity.decoded()
    assert entity_of(b"Content-Transfer-Encoding: Quoted-Printable\r\n\r\n=41").decoded() == b"A"


def test_a_header_section_of_10_mib_takes_no_time() -> None:
    message = b"X-Long: " + b"a\r\n " * (10 << 18) + b"\r\nContent-Type: application/pkcs7-mime\r\n\r\nx"
    assert entity_of(message).form is Form.CMS
    assert split(message).inner == b"Content-Type: application/pkcs7-mime\r\n"
    assert len(section_of(message)) == len(message) - 3


@pytest.mark.parametrize(
    "piece", [b" name=a", b" name=", b" boundary=", b' boundary="', b" protocol= ", b" smime-type "]
)
def test_a_long_type_takes_bounded_time(piece: bytes) -> None:
    """Each name in a field of 250 KiB was followed to the field's end: a minute in which the process served nobody."""
    for kind in (b"application/octet-stream; ", b"multipart/signed; "):
        began = process_time()
        entity_of(b"Content-Type: " + kind + piece * (250_000 // len(piece)) + b"\r\n\r\nx")
        assert process_time() - began < 3
