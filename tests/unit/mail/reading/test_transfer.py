"""Transfer encodings, sound and broken."""

from __future__ import annotations

import base64
import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reading import transfer
from gateway.mail.reading.transfer import Encoding, decoded_blocks, decoded_size, encoding_of


def decoded(octets: bytes, encoding: Encoding) -> bytes:
    found = b"".join(decoded_blocks(b"<" + octets + b">", 1, 1 + len(octets), encoding))
    assert decoded_size(b"<" + octets + b">", 1, 1 + len(octets), encoding) == len(found)
    return found


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        (b"base64", Encoding.BASE64),
        (b"BASE64 (x)", Encoding.BASE64),
        (b'"base64"', Encoding.BASE64),
        (b"base 64", Encoding.BASE64),
        (b"base64;", Encoding.BASE64),
        (b"x-base64", Encoding.BASE64),
        (b"Quoted-Printable", Encoding.QUOTED),
        (b"quoted printable", Encoding.QUOTED),
        (b"8bit", Encoding.NONE),
        (b"binary", Encoding.NONE),
        (b"x-uuencode", Encoding.UUENCODE),
        (b"x-odd", None),
        (b"", Encoding.NONE),
    ],
)
def test_an_encoding_is_known_by_any_spelling(value: bytes, encoding: Encoding | None) -> None:
    assert encoding_of(value) is encoding


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"TVqQ", b"MZ\x90"),
        (b"TV\r\nqQ", b"MZ\x90"),
        (b"T!V*q Q", b"MZ\x90"),
        (b"TVo=", b"MZ"),
        (b"TVo", b"MZ"),
        (b"TVo=TVo=", b"MZMZ"),
        (b"TQ==TVo=", b"MMZ"),
        (b"TVqQT", b"MZ\x90"),
        (b"====", b""),
        (b"", b""),
        (b"\xff\x00", b""),
        (b"TVo==", b"MZ"),
        (b"T=VqQ", b"V\xa4"),
    ],
)
def test_base64_is_read_over_what_is_none(octets: bytes, found: bytes) -> None:
    assert decoded(octets, Encoding.BASE64) == found


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"a=3Db=3d", b"a=b="),
        (b"sec=\r\nret", b"secret"),
        (b"sec=\nret", b"secret"),
        (b"sec=  \r\nret", b"secret"),
        (b"sec=\rret secret", b"secret secret"),
        (b"a=ZZ", b"a=ZZ"),
        (b"end=", b"end"),
        (b"\xe4", b"\xe4"),
        (b"a =\t\r\nb", b"a b"),
    ],
)
def test_quoted_printable_keeps_what_quotes_nothing(octets: bytes, found: bytes) -> None:
    assert decoded(octets, Encoding.QUOTED) == found


def test_uuencode_is_read_also_where_lines_are_miscounted() -> None:
    line = binascii.b2a_uu(b"MZ secret")
    assert decoded(b"begin 644 a.exe\n" + line + b"`\nend\n", Encoding.UUENCODE) == b"MZ secret"
    assert decoded(line.rstrip(b"\n") + b"  \r\n", Encoding.UUENCODE).startswith(b"MZ secret")


def test_yenc_is_read() -> None:
    plain = bytes(range(256))
    coded = b""
    for octet in plain:
        octet = (octet + 42) & 255
        coded += bytes([61, (octet + 64) & 255]) if octet in (0, 10, 13, 61) else bytes([octet])
    assert decoded(b"=ybegin line=128 size=256 name=a\r\n" + coded + b"\r\n=yend size=256\r\n", Encoding.YENC) == plain


@given(st.binary(max_size=400), st.integers(4, 60))
def test_base64_is_the_same_in_blocks_of_any_size(octets: bytes, block: int) -> None:
    coded = base64.encodebytes(octets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "BLOCK", block)
        assert decoded(coded, Encoding.BASE64) == octets


@given(st.binary(max_size=400), st.integers(4, 60))
def test_quoted_printable_is_the_same_in_blocks_of_any_size(octets: bytes, block: int) -> None:
    octets = octets.replace(b"\r\n", b"\n")  # quopri has one kind of line end alone in what it writes.
    coded = quopri.encodestring(octets, quotetabs=True).replace(b"\r", b"=0D")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "BLOCK", block)
        assert decoded(coded, Encoding.QUOTED) == octets


@given(st.binary(max_size=200), st.sampled_from(Encoding))
def test_any_octets_are_decoded(octets: bytes, encoding: Encoding) -> None:
    decoded(octets, encoding)
