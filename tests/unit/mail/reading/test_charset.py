"""Charsets as they are named, and as the octets look."""

from __future__ import annotations

import codecs

import pytest

from gateway.mail.reading import Flaw, read
from gateway.mail.reading.charset import readings
from gateway.mail.reading.codec import CODECS, codec_of


@pytest.mark.parametrize(
    ("octets", "name", "text"),
    [
        (b"plain", None, "plain"),
        ("Grüße".encode(), b"utf-8", "Grüße"),
        ("Grüße".encode(), b' "UTF8" ', "Grüße"),
        ("Grüße".encode(), None, "Grüße"),
        ("Grüße".encode("latin-1"), None, "Grüße"),
        ("Grüße".encode("latin-1"), b"us-ascii", "Grüße"),
        ("Grüße".encode("latin-1"), b"utf-8", "Grüße"),  # Said to be UTF-8, and is not.
        ("Grüße".encode(), b"iso-8859-1", "Grüße"),  # The other way round.
        ("10 €".encode("cp1252"), b"iso-8859-1", "10 €"),
        ("Grüße".encode("utf-16"), b"utf-16", "Grüße"),
        ("Grüße".encode("utf-16-be"), b"utf-16", "Grüße"),
        ("Gruesse".encode("utf-16-be"), b"x-bad", "Gruesse"),
        ("Gruesse".encode("utf-16-le"), None, "Gruesse"),
        (codecs.BOM_UTF8 + "Grüße".encode(), b"iso-8859-1", "Grüße"),
        (b"+AGE-b", b"utf-7", "ab"),
        ("日本".encode("iso2022_jp"), b"ISO-2022-JP", "日本"),
        ("日本".encode("iso2022_jp"), None, "日本"),
        ("日本".encode("cp932"), b"Shift_JIS", "日本"),
        ("日本語のメール".encode("cp932"), b"utf-8", "日本語のメール"),
        ("汉字".encode("gb18030"), b"gb2312", "汉字"),
        ("漢字".encode("big5"), b"BIG5", "漢字"),
        ("한국어".encode("euc_kr"), b"ks_c_5601-1987", "한국어"),
        ("Привет".encode("koi8-r"), b"KOI8-R", "Привет"),
        ("Привет".encode("koi8-r"), None, "Привет"),
        ("Привет".encode("cp1251"), b"x-nothing", "Привет"),
        ("汉字".encode("hz"), b"hz-gb-2312", "汉字"),
    ],
)
def test_what_a_reader_sees_is_among_the_readings(octets: bytes, name: bytes | None, text: str) -> None:
    assert text in readings(octets, name)


@pytest.mark.parametrize(
    "name",
    [b"unicode_escape", b"raw_unicode_escape", b"idna", b"punycode", b"rot13", b"zlib", b"hex", b"base64", b"bz2",
     b"undefined", b"mbcs", b"oem", b"uu", b"quopri", b"string_escape", b"../utf-8", b"", b"\xff\xfe"],
)  # fmt: skip
def test_what_is_no_charset_is_never_used(name: bytes) -> None:
    assert codec_of(name) is None
    assert readings(b"\\x41 \\u0041", name) == ("\\x41 \\u0041",)


def test_every_codec_that_is_named_exists_and_makes_text() -> None:
    for codec in set(CODECS.values()):
        assert codecs.lookup(codec)._is_text_encoding, codec


@pytest.mark.parametrize("octets", [b"+2AA-", b"+2AA-\x80", b"\xd8\x00" * 3, b"\x00\xd8" * 3, b"\xed\xa0\x80"])
@pytest.mark.parametrize("name", [b"utf-7", b"utf-16", b"utf-16le", b"utf-8", b"utf-32", b"gb18030", None])
def test_no_half_of_a_letter_is_left(octets: bytes, name: bytes | None) -> None:
    for text in readings(octets, name):
        text.encode("utf-8")


def test_a_doubtful_charset_is_a_flaw() -> None:
    reading = read(b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n" + "Grüße".encode())
    assert [text.text for text in reading.texts] == ["GrÃ¼ÃŸe", "Grüße"]
    assert Flaw.CHARSET in reading.flaws


def test_what_html_says_of_its_charset_counts_where_the_header_says_nothing() -> None:
    body = "<meta charset='koi8-r'><p>Привет".encode("koi8-r")
    assert any("Привет" in text.text for text in read(b"Content-Type: text/html\r\n\r\n" + body).texts)


def test_every_charset_is_told() -> None:
    head = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=KOI8-R\r\n\r\nx\r\n"
    )
    assert read(head + b'--b\r\nContent-Type: text/html; charset="x-Odd"\r\n\r\nx').charsets == ("koi8-r", "x-odd")
