"""Parameters by every reading (RFC 2045 5.1, RFC 2231)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reading import read
from gateway.mail.reading.parameter import MAX_FIRST, MAX_LAST, Parameters
from gateway.mail.reading.unseen import without_unseen


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (b"; filename=a.exe", ["a.exe"]),
        (b'; filename="my file.exe"', ["my file.exe"]),
        (b"; filename=my file.exe", ["my file.exe", "my"]),
        (b'; filename="never closed.exe', ["never closed.exe"]),
        (b"; filename*=utf-8''invoice%2Eexe", ["invoice.exe"]),
        (b"; filename*=utf-8'en'caf%C3%A9.exe; filename=\"cafe.txt\"", ["café.exe", "cafe.txt"]),
        (b'; filename*1=".exe"; filename*0="a"', ["a.exe"]),
        (b"; filename*0*=utf-8''a%2D; filename*1=\"%41\"", ["a-%41"]),
        (b'; filename="=?utf-8?q?a=2Eexe?="', ["a.exe"]),
        (b'; filename="a%2Eexe"', ["a%2Eexe", "a.exe"]),
        (b'; filename="C:\\temp\\a.exe"', ["C:tempa.exe", "C:\\temp\\a.exe"]),
        (b'; filename="a\\"b.exe"', ['a"b.exe', 'a\\"b.exe']),
        (b"; filename='a.exe'", ["'a.exe'", "a.exe"]),
        (b"; filename=(x)a.exe", ["a.exe", "(x)a.exe"]),
        (b"; filename=a.txt; filename=b.exe", ["a.txt", "b.exe"]),
        (b"; FileName = a.exe", ["a.exe"]),
        (b'; filename="a" .exe', ["a", "a.exe"]),
        ('; filename="a\u202etxt.exe"'.encode(), ["atxt.exe", "a\u202etxt.exe"]),
        (b'; x="filename=b.exe"; filename="a.exe"', ["a.exe"]),
        (b"; filename*=caf%C3%A9.exe", ["café.exe"]),
        (b"; filename=caf\xe9.exe", ["café.exe"]),
        (b'; filename="a.exe\0.txt"', ["a.exe.txt", "a.exe"]),
        (b"; filename*=utf-8''a.exe%00.txt", ["a.exe.txt", "a.exe"]),
        (b"; size=3 filename=a.exe", ["a.exe"]),
        (b'; name="b.txt" filename="a.exe"', ["a.exe"]),
    ],
)
def test_every_name_that_a_reader_may_take(value: bytes, names: list[str]) -> None:
    found = Parameters(value).texts(b"filename")
    assert found[0] == names[0]
    assert set(names) <= set(found)


def test_a_boundary_in_pieces_is_joined() -> None:
    assert Parameters(b'; boundary*0="b"; boundary*1="1"').octets(b"boundary") == [b"b1"]


def test_readings_are_few_and_the_last_is_among_them() -> None:
    value = b"".join([b"; filename=f%d.exe" % number for number in range(1000)])
    found = Parameters(value).texts(b"filename")
    assert len(found) == MAX_FIRST + MAX_LAST
    assert found[0] == "f0.exe"
    assert found[-1] == "f999.exe"


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=80), st.integers(1, 20)
)
def test_what_a_writer_puts_in_pieces_is_read(name: str, size: int) -> None:
    coded = [f"%{octet:02X}" for octet in name.encode()]
    pieces = ["".join(coded[at : at + size]) for at in range(0, len(coded), size)]
    value = "; ".join([f"filename*{place}*={'' if place else 'utf-8'}{piece}" for place, piece in enumerate(pieces)])
    value = value.replace("filename*0*=utf-8", "filename*0*=utf-8''")
    head = f"Content-Type: application/x\r\nContent-Disposition: attachment; {value}\r\n\r\nx"
    (attachment,) = read(head.encode()).attachments
    seen = without_unseen(name)
    assert attachment.names[0] == (seen if seen.strip() else name)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", [b"a=b ", b'a="b" ', b"; a", b'"', b"\\", b'="', b"a*0*=b; "])
def test_hostile_parameters_take_bounded_time(piece: bytes) -> None:
    octets = b"Content-Type: multipart/mixed; " + piece * (1_000_000 // len(piece)) + b"\r\n\r\nx"
    reading = read(octets)
    assert reading.attachments is not None
    assert reading.texts is not None
