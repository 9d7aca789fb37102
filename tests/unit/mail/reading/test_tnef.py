"""winmail.dat: what lies in it counts (semantics r31)."""

from __future__ import annotations

from base64 import encodebytes
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reading import Flaw, Reading, files, read
from gateway.mail.reading import tnef as module
from gateway.mail.reading.tnef import SIGNATURE, tnef


def attribute(level: int, identifier: int, data: bytes) -> bytes:
    return bytes([level]) + pack("<I", identifier) + pack("<I", len(data)) + data + pack("<H", sum(data) & 0xFFFF)


def prop(tag: int, kind: int, value: bytes, name: bytes = b"") -> bytes:
    padded = value + bytes(-len(value) % 4)
    counted = pack("<II", 1, len(value)) if kind in (0x1E, 0x1F, 0x102, 0x0D) else b""
    return pack("<HH", kind, tag) + name + counted + padded


def properties(*props: bytes) -> bytes:
    return pack("<I", len(props)) + b"".join(props)


def wide(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\x00\x00"


NAMED = bytes(16) + pack("<II", 1, 6) + wide("ab") + b"\x00\x00"
BEGIN = attribute(2, 0x00069002, bytes(14))
FILE = (
    SIGNATURE
    + pack("<H", 1)
    + attribute(1, 0x00018004, b"a subject\x00")
    + attribute(
        1,
        0x00069003,
        properties(
            prop(0x0017, 3, pack("<I", 1)),
            prop(0x8001, 3, pack("<I", 1), NAMED),
            prop(0x1000, 0x1F, wide("the secret text")),
            prop(0x1013, 0x102, b"<p>the h<b>idd</b>en html"),
        ),
    )
    + BEGIN
    + attribute(2, 0x00018010, b"TOOL~1.EXE\x00")
    + attribute(2, 0x0006800F, b"MZ\x90")
    + attribute(
        2,
        0x00069005,
        properties(prop(0x3707, 0x1F, wide("tool of mine.exe")), prop(0x370E, 0x1E, b"application/x\x00")),
    )
    + BEGIN
    + attribute(2, 0x00069005, properties(prop(0x3707, 0x1E, b"b.pdf\x00"), prop(0x3701, 0x102, b"%PDF")))
)


def mail(octets: bytes, kind: bytes = b"application/ms-tnef; name=winmail.dat") -> Reading:
    return read(b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encodebytes(octets))


@pytest.mark.parametrize(
    "kind", [b"application/ms-tnef", b"application/octet-stream; name=WINMAIL.DAT", b"application/vnd.ms-tnef"]
)
def test_its_attachments_and_texts_count(kind: bytes) -> None:
    reading = mail(FILE, kind)
    _, tool, document = reading.attachments
    assert tool.names == ("tool of mine.exe", "TOOL~1.EXE")
    assert (tool.type, tool.octets(), tool.size, tool.within) == ("application/x", b"MZ\x90", 3, 1)
    assert (document.names, document.octets()) == (("b.pdf",), b"%PDF")
    texts = [text.text.strip() for text in reading.texts]
    assert texts == ["a subject", "the secret text", "the hidden html"]
    assert Flaw.TNEF not in reading.flaws


def test_a_message_in_it_is_opened() -> None:
    inner = prop(0x3701, 0x0D, bytes(16) + FILE)
    octets = (
        SIGNATURE + b"\x01\x00" + BEGIN + attribute(2, 0x00069005, properties(prop(0x3707, 0x1E, b"in\x00"), inner))
    )
    assert [(one.name, one.within) for one in mail(octets).attachments] == [
        ("winmail.dat", 0),
        ("in", 1),
        ("tool of mine.exe", 2),
        ("b.pdf", 2),
    ]


@pytest.mark.parametrize("size", [10, 40, 200, len(FILE) - 30, len(FILE) - 2])
def test_what_is_cut_off_is_read_as_far_as_it_goes(size: int) -> None:
    reading = mail(FILE[:size])
    assert reading.attachments
    assert reading.texts is not None


def test_what_is_none_is_a_flaw() -> None:
    reading = mail(b"nothing of the kind")
    assert [one.name for one in reading.attachments] == ["winmail.dat"]
    assert Flaw.TNEF in reading.flaws
    reading = mail(SIGNATURE + b"\x01\x00" + BEGIN[:1] + pack("<II", 0x6800F, 1 << 31) + b"MZ")
    assert [one.octets() for one in reading.attachments[1:]] == [b"MZ"]
    assert Flaw.TNEF in reading.flaws


def test_attachments_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ATTACHMENTS", 2)
    found = tnef(SIGNATURE + b"\x01\x00" + BEGIN * 3)
    assert found is not None
    assert len(found.files) == 2


def test_files_inside_are_counted_over_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_INSIDE", 2)
    monkeypatch.setattr("gateway.mail.reading.reading.MAX_INSIDE", 2)
    reading = mail(SIGNATURE + b"\x01\x00" + BEGIN * 2)
    assert (len(reading.attachments), Flaw.MANY in reading.flaws) == (3, False)
    reading = mail(SIGNATURE + b"\x01\x00" + BEGIN * 3)
    assert (len(reading.attachments), Flaw.MANY in reading.flaws) == (3, True)


def test_text_in_it_is_read_to_its_limit() -> None:
    octets = SIGNATURE + b"\x01\x00" + attribute(1, 0x0002800C, b"x" * (files.MAX_TEXT + 1))
    found = files.files_of(mail(octets).structure.leaves)
    assert sum(len(text.text) for text in found.texts) == files.MAX_TEXT


def test_messages_in_it_lie_some_levels_deep() -> None:
    octets = FILE
    for _ in range(module.MAX_LEVELS + 3):
        octets = (
            SIGNATURE
            + b"\x01\x00"
            + BEGIN
            + attribute(2, 0x00069005, properties(prop(0x3701, 0x0D, bytes(16) + octets)))
        )
    assert len(mail(octets).attachments) == module.MAX_LEVELS + 1


@given(st.binary(max_size=300), st.integers(0, len(FILE)), st.integers(0, 60))
def test_any_octets_are_read(octets: bytes, place: int, gap: int) -> None:
    for given_ in (octets, SIGNATURE + octets, FILE[:place] + octets + FILE[place + gap :]):
        for one in mail(given_).attachments:
            assert one.size == len(one.octets())
