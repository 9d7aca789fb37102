"""Parts of messages, sound and broken, as any reader may find them (RFC 2046)."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gateway.mail.reading import Flaw, read, structure
from gateway.mail.reading.structure import MAX_DEPTH, MAX_PARTS


def multipart(*parts: bytes, boundary: bytes = b"b1", end: bytes = b"\r\n") -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=" + boundary + end + end
    return head + b"".join([b"--" + boundary + end + part + end for part in parts]) + b"--" + boundary + b"--" + end


def found(octets: bytes) -> list[str]:
    return [text.text.strip() for text in read(octets).texts]


TEXT = b"Content-Type: text/plain\r\n\r\n"


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_parts_are_read_in_order(end: bytes) -> None:
    octets = multipart(TEXT + b"one", b"\r\ntwo", TEXT + b"three")
    assert found(octets.replace(b"\r\n", end)) == ["one", "two", "three"]
    assert [text.where for text in read(octets).texts] == ["part 1", "part 2", "part 3"]
    assert not read(octets).flaws


def test_an_inner_boundary_may_begin_like_the_outer_one_and_the_other_way_round() -> None:
    for outer, inner in ((b"b12", b"b1"), (b"b1", b"b12")):
        octets = multipart(multipart(TEXT + b"one", TEXT + b"two", boundary=inner), TEXT + b"three", boundary=outer)
        assert found(octets) == ["one", "two", "three"]


def test_an_outer_boundary_ends_an_inner_multipart_that_was_not_closed() -> None:
    inner = multipart(TEXT + b"one", boundary=b"in").removesuffix(b"--in--\r\n")
    assert found(multipart(inner, TEXT + b"two")) == ["one", "two"]


def test_a_multipart_without_its_end_is_read() -> None:
    assert found(multipart(TEXT + b"one", TEXT + b"two").removesuffix(b"--b1--\r\n")) == ["one", "two"]


def test_parts_behind_the_end_are_read() -> None:
    reading = read(multipart(TEXT + b"one") + b"--b1\r\n" + TEXT + b"late\r\n--b1--\r\n")
    assert "late" in [text.text.strip() for text in reading.texts]
    octets = multipart(TEXT + b"one") + b"--other\r\nContent-Type: text/plain\r\n\r\nlate"
    assert "late" in found(octets)
    assert Flaw.BEYOND in read(octets).flaws


def test_parts_in_front_of_the_first_boundary_are_read() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=b1\r\n\r\n--old\r\nContent-Type: text/plain\r\n\r\nearly\r\n"
    octets += b"--b1\r\n\r\none\r\n--b1--"
    assert found(octets) == ["early", "one"]


@pytest.mark.parametrize("told", [b"", b"; boundary=", b"; boundary=other", b'; boundary="x" (y'])
def test_a_multipart_is_read_whose_boundary_nobody_tells(told: bytes) -> None:
    octets = (
        b"Content-Type: multipart/mixed" + told + b"\r\n\r\n--b1\r\nContent-Type: text/plain\r\n\r\nsecret\r\n--b1--"
    )
    reading = read(octets)
    assert any(text.text.startswith("secret") for text in reading.texts)
    assert Flaw.BOUNDARY in reading.flaws


def test_a_multipart_is_read_whose_boundary_is_empty() -> None:
    octets = (
        b'Content-Type: multipart/mixed; boundary=""\r\n\r\n--\r\nContent-Type: text/plain\r\n\r\nsecret\r\n----\r\n'
    )
    assert any(text.text.startswith("secret") for text in read(octets).texts)


@pytest.mark.parametrize("told", [b"multipart", b"multipart/", b"Multipart /", b"multipart/ (mixed)"])
def test_a_multipart_is_one_whatever_its_subtype(told: bytes) -> None:
    octets = multipart(TEXT + b"one", TEXT + b"two").replace(b"multipart/mixed", told)
    assert found(octets) == ["one", "two"]


def test_a_multipart_without_any_part_is_text() -> None:
    assert found(b"Content-Type: multipart/mixed; boundary=b\r\n\r\nsecret") == ["secret"]


def test_a_line_that_begins_with_a_boundary_may_be_one() -> None:
    octets = multipart(TEXT + b"one\r\n--b1 junk\r\nContent-Type: application/x; name=a.exe\r\n\r\nMZ")
    assert [one.name for one in read(octets).attachments] == ["a.exe"]


def test_what_looks_like_parts_in_a_plain_message_is_text() -> None:
    octets = TEXT + b"see\r\n--b1\r\nContent-Type: application/x; name=a.exe\r\n\r\nMZ"
    assert read(octets).attachments == ()


@pytest.mark.parametrize("swapped", [False, True])
def test_both_of_two_types_are_followed(swapped: bool) -> None:
    types = [b"Content-Type: multipart/mixed; boundary=b1\r\n", b"Content-Type: text/plain\r\n"]
    octets = b"".join(types[::-1] if swapped else types)
    octets += b"\r\n--b1\r\nContent-Type: text/html\r\n\r\nse<b>cret\r\n--b1--"
    assert "secret" in found(octets)
    assert any("--b1" in text for text in found(octets))
    assert Flaw.TYPES in read(octets).flaws


def test_both_of_two_encodings_are_followed() -> None:
    head = b"Content-Type: application/x; name=a\r\nContent-Transfer-Encoding: 7bit\r\n"
    head += b"Content-Transfer-Encoding: base64\r\n"
    assert {one.octets() for one in read(head + b"\r\nTVo=").attachments} == {b"TVo=", b"MZ"}


def test_both_of_two_boundaries_are_followed() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=x; boundary=y\r\n\r\n--x\r\n\r\none\r\n--y\r\n\r\ntwo\r\n--x--"
    assert found(octets) == ["one", "two"]


def test_text_that_is_said_to_be_base64_and_is_not_is_offered_as_it_stands() -> None:
    reading = read(b"Content-Transfer-Encoding: base64\r\n\r\nThis is no base64, but a (secret) text.")
    assert any("secret" in text.text for text in reading.texts)
    assert Flaw.ENCODING in reading.flaws


def test_an_unknown_encoding_leaves_octets_as_they_are() -> None:
    reading = read(b"Content-Transfer-Encoding: x-odd\r\n\r\nsecret")
    assert [text.text for text in reading.texts] == ["secret"]
    assert Flaw.ENCODING in reading.flaws


@pytest.mark.parametrize("encoding", [b"7bit", b"base64", b"quoted-printable"])
def test_a_message_in_a_message_is_read_in_any_encoding(encoding: bytes) -> None:
    inner = b"Subject: inside =?utf-8?q?=C3=A9?=\r\n" + multipart(
        TEXT + b"secret", b"Content-Type: image/x; name=i.gif\r\n\r\nGIF"
    )
    body = {
        b"7bit": inner,
        b"base64": b64encode(inner),
        b"quoted-printable": inner.replace(b"=", b"=3D"),
    }[encoding]
    head = b"Content-Type: message/rfc822; name=in.eml\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n"
    reading = read(multipart(TEXT + b"one", head + body, boundary=b"out"))
    texts = {text.where: text.text.strip() for text in reading.texts}
    assert texts["part 2.1.1"] == "secret"
    assert texts["subject of part 2"] == "inside é"
    assert [(one.name, one.within) for one in reading.attachments] == [("in.eml", 0), ("i.gif", 1)]


def test_an_encoded_multipart_is_read() -> None:
    inner = b"--b1\r\nContent-Type: text/plain\r\n\r\nsecret\r\n--b1--"
    head = b"Content-Type: multipart/mixed; boundary=b1\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert "secret" in found(head + b64encode(inner))


def test_a_digest_holds_messages() -> None:
    octets = b"Content-Type: multipart/digest; boundary=b1\r\n\r\n--b1\r\n\r\nSubject: s\r\n\r\nsecret\r\n--b1--"
    assert found(octets) == ["secret", "s"]


def nested(levels: int) -> bytes:
    octets = TEXT + b"innermost"
    for level in range(levels):
        octets = multipart(octets, boundary=b"b%d." % level)
    return octets


def test_parts_lie_100_deep() -> None:
    reading = read(nested(MAX_DEPTH - 1))
    assert [text.text for text in reading.texts] == ["innermost"]
    assert Flaw.DEEP not in reading.flaws


def test_what_lies_deeper_is_text() -> None:
    reading = read(nested(MAX_DEPTH))
    assert any("innermost" in text.text and "Content-Type" in text.text for text in reading.texts)
    assert Flaw.DEEP in reading.flaws


def test_messages_lie_100_deep() -> None:
    def wrapped(levels: int) -> bytes:
        return b"Content-Type: message/rfc822\r\n\r\n" * levels + b"Subject: s\r\n\r\ninnermost"

    assert any(text.text == "innermost" for text in read(wrapped(MAX_DEPTH - 1)).texts)
    assert Flaw.DEEP in read(wrapped(MAX_DEPTH)).flaws


def test_10_000_parts_are_read_and_one_more_is_part_of_the_last() -> None:
    parts = MAX_PARTS - 1  # The message is one itself.
    reading = read(multipart(*[b"\r\nx"] * parts))
    assert len(reading.texts) == parts
    assert Flaw.MANY not in reading.flaws
    reading = read(multipart(*[b"\r\nx"] * parts, b"\r\nlast"))
    assert len(reading.texts) == parts
    assert "last" in reading.texts[-1].text
    assert Flaw.MANY in reading.flaws


def test_messages_that_have_to_be_decoded_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    head = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    body = b64encode(b"Subject: s\r\n\r\nsecret")
    monkeypatch.setattr(structure, "MAX_DECODED", len(body))
    assert any(text.text == "secret" for text in read(head + body).texts)
    monkeypatch.setattr(structure, "MAX_DECODED", len(body) - 1)
    assert Flaw.CUT in read(head + body).flaws


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece",
    [
        b"--b\r\n",
        b"--b",
        b"\n--bx",
        b"--b--\r\n",
        b"--b\r\n\r\n",
        b"--c\r\nContent-Type: x\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"a:\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
        b"Content-Type: message/rfc822\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"begin 644 a\n",
        b"=ybegin name=a\n",
        b"=ybegin ",
        b"=?a?b?",
        b" ",
        b"(",
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        b"-----BEGIN PGP ",
    ],
)
def test_hostile_repetition_takes_bounded_time(piece: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    for octets in (piece * (1_000_000 // len(piece)), head + piece * (1_000_000 // len(piece)) + b"\r\n\xe4"):
        reading = read(octets)
        assert reading.texts is not None
        assert reading.attachments is not None
        assert reading.kinds is not None
        assert reading.subject is not None
