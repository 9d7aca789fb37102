"""What an attachment is, by its octets."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.filetype import extension, filetype
from gateway.rules.zip_directory import entries

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)


def zipped(*names: str, encrypted: str = "") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    octets = bytearray(stream.getvalue())
    for mark, place, size in ((b"PK\x01\x02", 8, 46), (b"PK\x03\x04", 6, 30)):
        at = octets.find(mark)
        while encrypted and at >= 0:
            if octets[at + size : at + size + len(encrypted)] == encrypted.encode():
                octets[at + place] |= 1
            at = octets.find(mark, at + 1)
    return bytes(octets)


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"MZ\x90\x00\x03" + bytes(60), "application/x-dosexec"),
        (b"\x7fELF\x02\x01\x01" + bytes(9), "application/x-executable"),
        (b"\xcf\xfa\xed\xfe\x07\x00\x00\x01", "application/x-mach-binary"),
        (b"\xfe\xed\xfa\xce" + bytes(8), "application/x-mach-binary"),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x34", "application/x-java-applet"),
        (b"#!/bin/sh\nrm -rf /\n", "text/x-shellscript"),
        (b"\xef\xbb\xbf#! /usr/bin/env python3\n", "text/x-shellscript"),
        (b"@ECHO OFF\r\ndel *.*\r\n", "text/x-script"),
        (b"#@~^DgAAAA==\\ko$K6,JCV^GJqAQAAA==^#~@", "text/x-script"),
        (b'<?xml version="1.0"?><job id="a"><script language="JScript">x</script></job>', "text/x-script"),
        (b"<html><head><hta:application id=x></head></html>", "text/x-script"),
        (b"[Desktop Entry]\nType=Application\nExec=sh -c id\n", "text/x-script"),
        (
            b"L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F" + bytes(40),
            "application/x-ms-shortcut",
        ),
        (OLE + b"\x84\x10\x0c\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F", "application/x-msi"),
        (OLE + "_VBA_PROJECT".encode("utf-16-le"), "application/x-ole-storage"),
        (zipped("META-INF/MANIFEST.MF", "a/B.class"), "application/java-archive"),
        (
            zipped("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"),
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (
            zipped("[Content_Types].xml", "xl/workbook.xml", "xl/macrosheets/sheet1.xml"),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        ),
        (b"ITSF\x03\x00\x00\x00", "application/vnd.ms-htmlhelp"),
    ],
)
def test_programs(octets: bytes, kind: str) -> None:
    made = filetype(octets, ("report.pdf",), "application/pdf")
    assert (made.type, made.executable) == (kind, True)


@pytest.mark.parametrize(
    ("octets", "declared", "kind"),
    [
        (b"MZ is where the letter begins, and it goes on as a text that is longer than a header", "", "text/plain"),
        (b"just text", "text/csv", "text/csv"),
        (b"just text", "application/pdf", "text/plain"),
        (b"<!DOCTYPE html><p>x", "", "text/html"),
        (b"%PDF-1.4\n", "", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n\x00", "", "image/png"),
        (zipped("a.exe"), "", "application/zip"),
        (
            zipped("[Content_Types].xml", "word/document.xml"),
            "",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ),
        (zipped("META-INF/MANIFEST.MF", "a.txt"), "", "application/zip"),
        (OLE, "application/msword", "application/x-ole-storage"),
        (b"\x00\x01\x02", "application/x-own", "application/x-own"),
        (b"\x00\x01\x02", "", "application/octet-stream"),
        (b"", "", "text/plain"),
    ],
)
def test_what_is_no_program(octets: bytes, declared: str, kind: str) -> None:
    made = filetype(octets, ("a.bin",), declared)
    assert (made.type, made.executable, made.password_protected) == (kind, False, False)


@pytest.mark.parametrize("name", ["a.bat", "A.CMD", "run.ps1", "x.js", "x.vbs", "x.hta. ", "x.wsf", "x.reg"])
def test_a_text_that_a_system_runs_by_its_name(name: str) -> None:
    assert filetype(b"echo hello", (name,)).executable
    assert filetype(b"echo hello", ("harmless.txt", name)).executable
    assert not filetype(b"%PDF-1.4", (name,)).executable


def test_the_test_file_of_scanners() -> None:
    assert filetype(b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD", ("a.txt",)).executable


@pytest.mark.parametrize(
    "octets",
    [
        zipped("a.txt", "b.txt", encrypted="b.txt"),  # r28: one member is enough.
        OLE + "EncryptedPackage".encode("utf-16-le"),
        b"%PDF-1.7\ntrailer << /Encrypt 5 0 R >>",
        b"7z\xbc\xaf\x27\x1c" + bytes(20) + b"\x06\xf1\x07\x01",
    ],
)
def test_what_a_password_protects(octets: bytes) -> None:
    assert filetype(octets).password_protected


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("a.exe", "exe"),
        ("a.EXE ", "exe"),
        ("a.exe...", "exe"),
        (".exe", "exe"),
        ("exe", ""),
        ("a.b.c", "c"),
        ("c:\\x.y\\a.txt", "txt"),
        ("a.txt:b.exe", "txt"),
        ("", ""),
        ("...", ""),
    ],
)
def test_extensions(name: str, right: str) -> None:
    assert extension(name) == right


def test_an_archive_behind_other_octets_and_one_cut_off_are_read() -> None:
    whole = zipped("META-INF/MANIFEST.MF", "a.class")
    names = [entry.name for entry in entries(b"MZ something in front" + whole)]
    assert names == ["META-INF/MANIFEST.MF", "a.class"]
    assert [entry.name for entry in entries(whole[: whole.find(b"PK\x01\x02")])] == names


@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", b"MZ", OLE, b"7z\xbc\xaf\x27\x1c", b"\xff\xfe"]))
def test_any_octets_are_something(octets: bytes, front: bytes) -> None:
    assert filetype(front + octets, ("a.txt",), "text/plain").type


@given(st.binary(max_size=300))
def test_any_octets_have_a_directory_or_none(octets: bytes) -> None:
    entries(zipped("a") + octets)
    entries(octets + b"PK\x05\x06" + octets)
