"""What is kept beside a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.mail.reading.transfer import Encoding
from gateway.mailboxes.head import BadHead, Head, HeadReader
from gateway.mailboxes.head.head import VERSION
from gateway.mailboxes.head.part import Kind
from tests.imap_values import parsed

MESSAGE = (
    b"From: ida@corp.example\r\nSubject: a\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: b\r\nContent-Transfer-Encoding: x-odd\r\n\r\nc\r\n--x--\r\n"
)


def test_a_head_is_read_as_it_was_written() -> None:
    head = Head.of(MESSAGE)
    octets = head.to_octets()
    assert octets[0] == VERSION
    assert Head.from_octets(octets) == head
    assert (head.size, MESSAGE[head.top - 2 : head.top + 3]) == (len(MESSAGE), b"\r\n--x")


def test_places_name_each_part() -> None:
    places = Head.of(MESSAGE).places
    assert [(place.kind, place.encoding, place.inner) for place in places] == [
        (Kind.MULTIPART, Encoding.NONE, (1, 2)),
        (Kind.LEAF, Encoding.BASE64, ()),
        (Kind.MESSAGE, Encoding.NONE, (3,)),
        (Kind.LEAF, None, ()),
    ]
    assert [MESSAGE[place.body : place.end] for place in places if place.kind is Kind.LEAF] == [b"YQ==", b"c"]


def test_a_message_in_pieces_has_the_same_head() -> None:
    reader = HeadReader()
    for start in range(0, len(MESSAGE), 5):
        reader.feed(MESSAGE[start : start + 5])
    assert reader.end() == Head.of(MESSAGE)


def test_an_empty_message_has_a_head() -> None:
    head = Head.of(b"")
    assert (head.size, head.top, len(head.places)) == (0, 0, 1)


def test_what_is_no_head_is_refused() -> None:
    octets = Head.of(MESSAGE).to_octets()
    for broken in (
        b"",
        octets[:10],
        octets[:-1],
        octets + b"x",
        bytes([VERSION + 1]) + octets[1:],
        b"\x01" + bytes(40),
    ):
        with pytest.raises(BadHead):
            Head.from_octets(broken)


def test_a_table_that_makes_no_sense_is_refused() -> None:
    octets = Head.of(MESSAGE).to_octets()
    table = len(octets) - 4 * 30
    for place, octet in ((0, 9), (1, 9), (30 + 5, 7)):  # A kind, an encoding, and what a part lies in.
        changed = bytearray(octets)
        changed[table + place] = octet
        head = Head.from_octets(bytes(changed))
        with pytest.raises(BadHead):
            assert head.places


def test_every_message_of_the_corpus_is_told_in_good_imap(corpus: Path) -> None:
    for path in sorted((corpus / "mime").glob("*.eml")):
        octets = path.read_bytes()
        head = Head.of(octets)
        assert Head.from_octets(head.to_octets()) == head
        for told in (head.envelope, head.body, head.body_structure):
            assert len(parsed(told)) == 1, path.name
        for place in head.places:
            assert 0 <= place.start <= place.body <= place.end <= len(octets), path.name
