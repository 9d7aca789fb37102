"""Attachments: names, sizes, and what their octets are."""

from __future__ import annotations

import base64

import pytest

from gateway.rules.conditions import attachment_rows
from tests.fakes.judging import engine, facts, findings, letter, matching, rule, work

ELF = b"\x7fELF\x02\x01\x01" + bytes(57)


def attached(*files: tuple[str, bytes], how: str = "attachment", kind: str = "application/octet-stream") -> bytes:
    """A message with a text and these files; a name is written as it stands in the header."""
    parts = ["Content-Type: text/plain\r\n\r\nsee attachment\r\n"]
    for name, octets in files:
        text = base64.encodebytes(octets).decode().replace("\n", "\r\n")
        head = f"Content-Type: {kind}\r\nContent-Disposition: {how}; {name}\r\nContent-Transfer-Encoding: base64\r\n"
        parts.append(f"{head}\r\n{text}")
    body = "".join(f"--b1\r\n{part}\r\n" for part in parts) + "--b1--\r\n"
    return letter(body, headers='MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b1"\r\n')


@pytest.mark.parametrize(
    ("value", "name", "hits"),
    [
        ("exe", 'filename="a.exe.txt"', False),  # r25
        ("exe", 'filename="A.EXE"', True),  # r26
        (".exe", 'filename="a.exe"', True),
        ("*.exe", 'filename="a.exe"', True),
        ("exe", 'filename="a.exe."', True),
        ("exe", 'filename="a.exe . "', True),
        ("exe", 'filename=".exe"', True),
        ("exe", 'filename="exe"', False),
        (["com", "exe"], "filename*=utf-8''invoice%2Eexe", True),
        ("exe", 'filename="a.exe:stream.txt"', True),
        ("exe", "filename*=utf-8''a%E2%80%AE%2Eexe", True),  # A mark of direction in the name.
        ("exe", "filename*=utf-8''a.%EF%BD%85xe", True),  # A letter of full width.
        ("gz", 'filename="a.tar.gz"', True),
        ("tar.gz", 'filename="a.tar.gz"', True),
        ("exe", 'filename="folder.exe/a.txt"', False),
    ],
)
def test_the_extension_is_one_of_these(value: object, name: str, hits: bool) -> None:
    assert bool(matching("attachment_extension_matches_words", value, message=attached((name, b"x")))) is hits


@pytest.mark.parametrize(
    ("value", "name", "hits"),
    [
        (r"\.exe\.txt$", 'filename="a.exe.txt"', True),  # r25
        (r"^invoice", "filename*0=inv; filename*1=oice.pdf", True),
        ([r"^x$", r"RE.*PORT"], 'filename="report.pdf"', True),
        (r"\.[a-z0-9]{3,4}\.[a-z0-9]{3,4}$", 'filename="Payment.PDF.html"', True),
        (r"^test", 'filename="=?utf-8?q?testfile=2Epdf?="', True),
        (r"^port", 'filename="report.pdf"', False),
    ],
)
def test_the_name_fits_a_pattern(value: object, name: str, hits: bool) -> None:
    assert bool(matching("attachment_name_matches_patterns", value, message=attached((name, b"x")))) is hits


def test_any_attachment_will_do_but_the_size_is_that_of_one() -> None:
    message = attached(('filename="a.txt"', bytes(700)), ('filename="b.exe"', bytes(600)))
    assert matching("attachment_extension_matches_words", "exe", message=message)
    assert matching("attachment_name_matches_patterns", "^b", message=message)
    assert matching("attachment_size_over", "699B", message=message)
    assert not matching("attachment_size_over", 700, message=message)
    assert findings("attachment_size_over", 650, message=message) == [(("700 B",), "a.txt")]


def test_the_size_is_counted_decoded() -> None:  # r23
    size = 7_400_000
    message = attached(('filename="a.bin"', bytes(size)))
    assert len(message) > 10_000_000
    assert not matching("attachment_size_over", "10MB", message=message)
    assert matching("attachment_size_over", size - 1, message=message)


@pytest.mark.parametrize(
    ("name", "octets", "hits"),
    [
        ('filename="x.txt"', ELF, True),  # r27
        ('filename="tool.exe"', b"only a text", False),
        ('filename="x.pdf"', b"%PDF-1.7 and so on", False),
        ('filename="run.ps1"', b"Get-Item .", True),
    ],
)
def test_executable_is_told_by_content(name: str, octets: bytes, hits: bool) -> None:
    assert bool(matching("attachment_has_executable_content", True, message=attached((name, octets)))) is hits


def test_an_inline_part_with_a_name_counts() -> None:  # r31
    assert matching(
        "attachment_has_executable_content", True, message=attached(('filename="x.png"', ELF), how="inline")
    )


def test_a_program_in_an_attached_message_counts() -> None:
    inner = attached(('filename="deep.bin"', ELF))
    outer = attached(('filename="mail.eml"', inner), kind="message/rfc822").replace(
        b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(inner).replace(b"\n", b"\r\n"),
        b"\r\n" + inner,
    )
    assert inner in outer
    assert matching("attachment_has_executable_content", True, message=outer)


def test_without_attachments_nothing_matches() -> None:
    for name, value in [
        ("attachment_extension_matches_words", "exe"),
        ("attachment_name_matches_patterns", ".*"),
        ("attachment_size_over", 0),
        ("attachment_has_executable_content", True),
    ]:
        assert not matching(name, value, message=letter("nothing here"))


def test_the_facts_are_those_of_the_contract() -> None:
    message = attached(('filename="invoice.exe"', b"MZ\x90\x00" + bytes(60)))
    judged = engine(rule()).judge(facts(message), work())
    assert attachment_rows(judged.view) == [
        {
            "name": "invoice.exe",
            "type": "application/x-dosexec",
            "size": 64,
            "executable": True,
            "password_protected": False,
        }
    ]
