"""Sections of a message."""

from __future__ import annotations

import pytest

from gateway.mailboxes.head import Head, Section, UnknownEncoding, What
from gateway.mailboxes.head.section import MAX_PATH

# The example of RFC 3501 6.4.5, as one message.
INNER = (
    b"Subject: four\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\n--z\r\nA: 4.1\r\n\r\none\r\n"
    b"--z\r\nContent-Type: message/rfc822\r\n\r\nSubject: deep\r\n\r\ndeep text\r\n--z--"
)
SINGLE = b"Subject: three\r\n\r\nalone"
MESSAGE = (
    b"Subject: outer\r\nTo: a@x,\r\n b@x\r\nReceived: here\r\nnonsense\r\ntO: c@x\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n"
    b"--x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=\r\n=C3=9Fe\r\n"
    b"--x\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\nAwQ=\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\n" + SINGLE + b"\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\n" + INNER + b"\r\n"
    b"--x\r\nContent-Transfer-Encoding: x-odd\r\n\r\n?\r\n--x--\r\n"
)
HEAD = Head.of(MESSAGE)


def asked(section: Section, octets: bytes = MESSAGE) -> bytes | None:
    need = section.need(Head.of(octets))
    return None if need is None else section.answer(need, octets[need.start : need.end])


def section(text: str, **more: object) -> Section:
    """`1.2.HEADER` as a section."""
    path: list[int] = []
    words = text.split(".") if text else []
    while words and words[0].isdigit():
        path.append(int(words.pop(0)))
    return Section(path=tuple(path), what=What(".".join(words)), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", MESSAGE),
        ("HEADER", MESSAGE[: HEAD.top]),
        ("TEXT", MESSAGE[HEAD.top :]),
        ("MIME", None),
        ("1", b"Gr=C3=BC=\r\n=C3=9Fe"),
        ("1.MIME", b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"),
        ("1.HEADER", None),
        ("1.TEXT", None),
        ("1.1", None),
        ("3", SINGLE),
        ("3.HEADER", b"Subject: three\r\n\r\n"),
        ("3.TEXT", b"alone"),
        ("3.1", b"alone"),
        ("3.1.MIME", b"Subject: three\r\n\r\n"),
        ("3.1.1", None),
        ("3.2", None),
        ("4.TEXT", INNER.partition(b"\r\n\r\n")[2] + b"\r\n"),
        ("4.1", b"one"),
        ("4.1.MIME", b"A: 4.1\r\n\r\n"),
        ("4.2.HEADER", b"Subject: deep\r\n\r\n"),
        ("4.2.1", b"deep text"),
        ("4.3", None),
        ("6", None),
        ("0", None),
    ],
)
def test_a_part_is_what_its_numbers_say(text: str, found: bytes | None) -> None:
    assert asked(section(text)) == found


def test_a_message_that_is_no_multipart_has_one_part() -> None:
    octets = b"Subject: a\r\n\r\nbody"
    assert asked(section("1"), octets) == asked(section("TEXT"), octets) == b"body"
    assert asked(section("1.MIME"), octets) == b"Subject: a\r\n\r\n"
    assert asked(section("2"), octets) is asked(section("1.1"), octets) is None


def test_a_path_may_be_of_any_length() -> None:
    assert asked(Section(path=(1,) * (MAX_PATH + 1))) is None


def test_fields_stand_as_they_came_with_the_empty_line() -> None:
    names = frozenset((b"TO", b"X-None"))
    assert asked(Section(what=What.FIELDS, names=names)) == b"To: a@x,\r\n b@x\r\ntO: c@x\r\n\r\n"
    assert asked(Section(what=What.FIELDS_NOT, names=names | {b"content-type"})) == (
        b"Subject: outer\r\nReceived: here\r\n\r\n"
    )
    assert asked(Section(what=What.FIELDS, names=frozenset((b"x-none",)))) == b"\r\n"
    assert asked(Section(path=(4, 2), what=What.FIELDS, names=frozenset((b"subject",)))) == b"Subject: deep\r\n\r\n"


def test_fields_of_a_message_without_an_empty_line() -> None:
    for octets, found in (
        (b"A: b\r\nTo: c", b"To: c"),
        (b"To: c\r\n d", b"To: c\r\n d"),
        (b"To: c\r\nA: b", b"To: c\r\n"),
    ):
        assert asked(Section(what=What.FIELDS, names=frozenset((b"to",))), octets) == found


@pytest.mark.parametrize(
    ("partial", "found"), [((0, 4), MESSAGE[:4]), ((3, 5), MESSAGE[3:8]), ((10**9, 4), b""), ((0, 10**9), MESSAGE)]
)
def test_a_partial_section_needs_no_more_than_itself(partial: tuple[int, int], found: bytes) -> None:
    one = Section(partial=partial)
    need = one.need(HEAD)
    assert need is not None
    assert need.end - need.start == len(found)
    assert asked(one) == found


def test_a_partial_list_of_fields_is_cut_from_the_list() -> None:
    assert asked(Section(what=What.FIELDS, names=frozenset((b"to",)), partial=(4, 3))) == b"a@x"


def test_binary_undoes_the_encoding() -> None:
    assert asked(section("1", binary=True)) == b"Gr\xc3\xbc\xc3\x9fe"
    assert asked(section("2", binary=True)) == bytes(range(5))
    assert asked(section("2", binary=True, partial=(1, 2))) == b"\x01\x02"
    assert asked(section("3", binary=True)) == SINGLE
    assert asked(section("", binary=True)) == MESSAGE


def test_binary_of_an_unknown_encoding_is_refused_by_name() -> None:
    assert asked(section("5")) == b"?"
    with pytest.raises(UnknownEncoding):
        asked(section("5", binary=True))
