"""What is signed arrives as it was signed: nothing on the way has a reason to touch it."""

from __future__ import annotations

from binascii import a2b_base64, a2b_qp

import pytest

from gateway.smime.transfer import LONGEST, steady
from tests.fakes.smime_messages import HEAD, opened, signed, told

PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
PARTS = (
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n' + PLAIN + b"%s\r\n--b\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: 7bit\r\n\r\n%s\r\n--b--\r\n"
)


def body(entity: bytes) -> bytes:
    return entity.partition(b"\r\n\r\n")[2]


def lines(entity: bytes) -> list[bytes]:
    return entity.split(b"\r\n")


@pytest.mark.parametrize(
    "text",
    [
        b"From here on\r\n",
        b"one\r\nFrom " + b"x" * 70 + b"\r\nFrom \r\nFrom: no\r\n",
        b"x" * (LONGEST + 1) + b"\r\n",
        b"a\r\n" * 400 + b"x" * (LONGEST + 1),
        b"From " + b"y" * 200_000,
    ],
)
def test_lines_that_somebody_would_change_are_encoded(text: bytes) -> None:
    """A mailbox file puts a ">" in front of From, and a long line is broken by some hosts (RFC 8551 3.1.2)."""
    made = steady(PLAIN + text)
    assert b"Content-Transfer-Encoding: quoted-printable\r\n" in made
    assert a2b_qp(body(made)) == text
    assert max(map(len, lines(made))) <= 76
    assert not any(line.startswith(b"From ") for line in lines(made))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"x" * LONGEST,
        (b"x" * LONGEST + b"\r\n") * 3,
        b"x" * LONGEST + b"\r\n" + b"y" * LONGEST + b"\r\n",
        b" From here\r\nfrom there\r\n>From\r\nFrom\r\n",
    ],
)
def test_all_else_stays_as_it_is(text: bytes) -> None:
    entity = PLAIN + text
    assert steady(entity) is entity


def test_only_the_part_that_needs_it_is_encoded() -> None:
    made = steady(PARTS % (b"plain", b"From a\r\nFrom b"))
    assert b"charset=utf-8\r\n\r\nplain\r\n--b\r\n" in made
    head, _, encoded = made.rpartition(b"\r\n\r\n")
    assert head.endswith(b"Content-Transfer-Encoding: base64")
    assert a2b_base64(encoded.partition(b"\r\n--b--")[0]) == b"From a\r\nFrom b"


def test_such_a_line_that_is_quoted_printable_already_is_mended() -> None:
    entity = PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
    text = b"a =3D b=\r\nFrom here=20\r\nFrom " + b"x" * 70 + b"=\r\ny\r\n"
    made = steady(entity + text)
    assert a2b_qp(body(made)) == a2b_qp(text)
    assert body(made).startswith(b"a =3D b=\r\n=46rom here=20\r\n=46rom xxx")
    assert max(map(len, lines(made))) <= 76


@pytest.mark.parametrize(
    "entity",
    [
        b'Content-Type: multipart/signed; boundary="b"\r\n\r\n--b\r\n' + PLAIN + b"From a\r\n--b--\r\n",
        b"Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"A" * 2000 + b"\r\n",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n\r\nFrom a\r\n",
    ],
    ids=["inside a signature", "encoded already", "in an encoding of its own"],
)
def test_what_may_not_be_encoded_stays(entity: bytes) -> None:
    assert steady(entity) == entity


def test_such_a_message_is_signed_as_it_is_sent() -> None:
    for opaque in (False, True):
        found = opened(signed(HEAD + b"\r\nFrom here\r\n", opaque=opaque))
        assert told(found) == ["good rsa@corp.example"]
        assert b"\r\n\r\n=46rom here\r\n" in (found.octets or b"")
