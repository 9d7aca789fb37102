"""Files of a message as they are named, shown and served."""

from __future__ import annotations

import tracemalloc
from base64 import encodebytes
from io import BytesIO
from urllib.parse import unquote
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from gateway.mail.date import rfc5322_date
from gateway.portal.file_kind import FileKind, kind_of
from gateway.portal.file_name import MAX_NAME, disposition, distinct, safe_name
from gateway.portal.message_view import file_text, message_view
from gateway.portal.shown_file import MAX_TEXT, ShownFile, served_headers
from gateway.portal.zip_stream import zip_blocks

PNG = b"\x89PNG\r\n\x1a\n"


def file_of(kind: str, octets: bytes, name: str = "a") -> ShownFile:
    head = f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment\r\n'
    encoded = encodebytes(octets).replace(b"\n", b"\r\n")
    return message_view(f"{head}Content-Transfer-Encoding: base64\r\n\r\n".encode() + encoded).files[0]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("Bericht für März.pdf", "Bericht für März.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\evil.exe", "evil.exe"),
        ("a\r\nSet-Cookie: x", "a Set-Cookie_ x"),
        ('a"b<c>|d?*.txt', "a_b_c_d_.txt"),
        ("gepj.\u202eexe", "gepj.exe"),
        ("a\u200bb\ufeff.txt", "ab.txt"),
        ("CON.txt", "_CON.txt"),
        ("lpt1", "_lpt1"),
        ("...hidden. . ", "hidden"),
        ("-rf", "rf"),
        ("\u0645\u0644\u0641.pdf", "\u0645\u0644\u0641.pdf"),
        ("  ", "fallback"),
        ("..", "fallback"),
        ("///", "fallback"),
        ("\u202e", "fallback"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name([name], "fallback") == safe


def test_the_next_name_is_taken_where_one_says_nothing() -> None:
    assert safe_name(["..", "b.txt"], "fallback") == "b.txt"


def test_long_names_keep_their_ending() -> None:
    name = safe_name(["ä" * 300 + ".pdf"], "x")
    assert len(name.encode()) <= MAX_NAME
    assert name.endswith("ä.pdf")
    assert len(safe_name(["a." + "b" * 300], "x")) == MAX_NAME


def test_names_in_one_archive_differ_whatever_their_case() -> None:
    assert distinct(["a.txt", "A.txt", "a.txt", "a (2).txt", "b"]) == (
        "a.txt",
        "A (2).txt",
        "a (3).txt",
        "a (2) (2).txt",
        "b",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a.pdf", 'attachment; filename="a.pdf"'),
        ("Für.pdf", "attachment; filename=\"Fur.pdf\"; filename*=UTF-8''F%C3%BCr.pdf"),
        ("a b%41'.pdf", "attachment; filename=\"a b_41_.pdf\"; filename*=UTF-8''a%20b%2541%27.pdf"),
        ("\u0645", "attachment; filename=\"file\"; filename*=UTF-8''%D9%85"),
    ],
)
def test_the_field_says_the_name_in_both_forms(name: str, value: str) -> None:
    assert disposition(name) == value
    assert value.isascii()
    if "''" in value:
        assert unquote(value.rpartition("''")[2]) == name


@pytest.mark.parametrize(
    ("told", "name", "octets", "kind", "served"),
    [
        ("image/png", "a.png", PNG, FileKind.PICTURE, "image/png"),
        ("text/html", "a.html", PNG, FileKind.PICTURE, "image/png"),
        ("application/octet-stream", "a", b"\xff\xd8\xff\xe0", FileKind.PICTURE, "image/jpeg"),
        ("image/gif", "a", b"GIF89a", FileKind.PICTURE, "image/gif"),
        ("image/webp", "a", b"RIFF1234WEBP", FileKind.PICTURE, "image/webp"),
        ("image/svg+xml", "a.svg", b"<svg onload=alert(1)>", FileKind.OTHER, "application/octet-stream"),
        ("image/png", "a.png", b"<script>", FileKind.OTHER, "application/octet-stream"),
        ("text/html", "a.txt", b"<script>", FileKind.OTHER, "application/octet-stream"),
        ("application/xhtml+xml", "a.xhtml", b"<x>", FileKind.OTHER, "application/octet-stream"),
        ("text/plain", "a.html", b"<script>", FileKind.TEXT, "text/plain"),
        ("application/octet-stream", "a.log", b"line", FileKind.TEXT, "text/plain"),
        ("text/plain", "a.txt", b"a\x00b", FileKind.OTHER, "text/plain"),
        ("text/plain", "a.txt", b"BMW is a maker of cars", FileKind.TEXT, "text/plain"),
        ("application/pdf", "a.pdf", b"%PDF-1.7", FileKind.PDF, "application/pdf"),
        ("application/pdf", "a.pdf", b"<script>", FileKind.OTHER, "application/pdf"),
        ("application/zip", "a.zip", b"PK\x03\x04", FileKind.OTHER, "application/zip"),
        ("message/rfc822", "a.eml", b"Subject: x", FileKind.MESSAGE, "message/rfc822"),
    ],
)
def test_what_a_file_is_its_octets_say(told: str, name: str, octets: bytes, kind: FileKind, served: str) -> None:
    assert kind_of(told, name, octets, len(octets)) == (kind, served)


def test_nothing_but_pictures_and_pdf_is_opened_in_place() -> None:
    assert served_headers(file_of("text/plain", b"x", "a.txt"), inline=True)["Content-Disposition"].startswith(
        "attachment;"
    )
    assert (
        served_headers(file_of("text/html", b"<p>", "a.html"), inline=True)["Content-Type"]
        == "application/octet-stream"
    )
    picture = file_of("text/html", PNG, "a.html")
    assert served_headers(picture, inline=True) == {
        "Content-Type": "image/png",
        "Content-Disposition": 'inline; filename="a.html"',
        "Content-Length": "8",
        "X-Content-Type-Options": "nosniff",
    }
    assert served_headers(picture)["Content-Disposition"].startswith("attachment;")


def test_a_long_text_is_cut() -> None:
    assert file_text(file_of("text/plain", b"x" * MAX_TEXT, "a.txt")) == ("x" * MAX_TEXT, True)
    assert file_text(file_of("text/plain", b"x" * (MAX_TEXT + 1), "a.txt")) == ("x" * MAX_TEXT, False)


def test_an_archive_holds_every_file_octet_for_octet() -> None:
    octets = bytes(range(256)) * 2000
    parts = [("a.bin", octets), ("A.bin", b""), ("ä.txt", b"text")]
    files = [file_of("application/octet-stream", body, name) for name, body in parts]
    view = message_view(f"Date: {rfc5322_date(1_793_700_000)}\r\n\r\n".encode())
    archive = ZipFile(BytesIO(b"".join(zip_blocks(files, view.date))))
    assert archive.testzip() is None
    assert archive.namelist() == ["a.bin", "A (2).bin", "ä.txt"]
    assert [archive.read(name) for name in archive.namelist()] == [body for _, body in parts]
    assert {(info.date_time[0], info.compress_type) for info in archive.infolist()} == {(2026, ZIP_DEFLATED)}


def test_an_archive_needs_no_date() -> None:
    assert ZipFile(BytesIO(b"".join(zip_blocks([])))).namelist() == []


def test_a_large_file_never_lies_in_memory_twice() -> None:
    file = file_of("application/octet-stream", b"x" * (10 << 20))
    tracemalloc.start()
    try:
        assert sum(len(block) for block in zip_blocks([file])) > 0
        assert sum(map(len, file.blocks())) == 10 << 20
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
