"""Where the parts of a message begin and end."""

from __future__ import annotations

import email
from email.message import Message as Parsed
from pathlib import Path

import pytest

from gateway.mail.message import MAX_HEAD
from gateway.mail.mime.part import Flaw, Kind, Part, Walked
from gateway.mail.mime.walk import MAX_DEPTH, MAX_LINE, MAX_PARTS, Walk


def walked(octets: bytes, step: int = 0) -> Walked:
    walk = Walk()
    for start in range(0, len(octets), step or max(1, len(octets))):
        walk.feed(octets[start : start + (step or len(octets))])
    return walk.end()


def lines(*text: str) -> bytes:
    return "".join(f"{line}\r\n" for line in text).encode("latin-1")


def bodies(octets: bytes) -> list[tuple[str, bytes]]:
    """Type and body of each leaf, as the walk has them."""
    return [
        (f"{part.main.decode()}/{part.sub.decode()}", octets[part.body or part.end : part.end])
        for part in walked(octets).parts
        if part.kind is Kind.LEAF
    ]


MIXED = lines(
    "Content-Type: multipart/mixed; boundary=x",
    "",
    "preamble",
    "--x",
    "",
    "one",
    "--x  ",
    "Content-Type: text/html",
    "",
    "two",
    "",
    "--x--",
    "epilogue",
)


def test_a_message_without_mime_is_one_text() -> None:
    assert bodies(b"Subject: a\r\n\r\nb\r\n") == [("text/plain", b"b\r\n")]


def test_the_line_end_in_front_of_a_delimiter_is_the_delimiters() -> None:
    assert bodies(MIXED) == [("text/plain", b"one"), ("text/html", b"two\r\n")]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 64])
def test_how_the_octets_are_cut_makes_no_difference(step: int) -> None:
    assert walked(MIXED, step) == walked(MIXED)


def test_a_line_that_only_begins_like_a_delimiter_is_text() -> None:
    octets = MIXED.replace(b"one", b"--xy\r\none --x\r\n -- x\r\n--")
    assert bodies(octets)[0] == ("text/plain", b"--xy\r\none --x\r\n -- x\r\n--")


def test_behind_the_last_delimiter_no_part_begins() -> None:
    octets = MIXED + lines("--x", "", "three", "--x--")
    assert len(bodies(octets)) == 2


def test_an_outer_delimiter_ends_parts_that_nobody_ended() -> None:
    octets = lines(
        "Content-Type: multipart/mixed; boundary=o", "", "--o", "Content-Type: multipart/related; boundary=i", "",
        "--i", "", "inner", "--o", "", "outer", "--o--",
    )  # fmt: skip
    assert bodies(octets) == [("text/plain", b"inner"), ("text/plain", b"outer")]


def test_the_end_ends_all() -> None:
    octets = lines("Content-Type: multipart/mixed; boundary=o", "", "--o", "", "left open")
    assert bodies(octets) == [("text/plain", b"left open\r\n")]
    assert walked(octets).parts[1].is_last


def test_parts_of_a_digest_are_messages_by_default() -> None:
    octets = lines("Content-Type: multipart/digest; boundary=o", "", "--o", "", "Subject: in", "", "text", "--o--")
    kinds = [part.kind for part in walked(octets).parts]
    assert kinds == [Kind.MULTIPART, Kind.MESSAGE, Kind.LEAF]
    assert bodies(octets) == [("text/plain", b"text")]


def test_a_message_within_is_walked_through() -> None:
    octets = lines("Content-Type: message/rfc822", "", "Content-Type: text/html", "", "in")
    assert [part.is_message for part in walked(octets).parts] == [True, True]
    assert bodies(octets) == [("text/html", b"in\r\n")]


@pytest.mark.parametrize(
    "boundary",
    ['"a b"', '"a\\"b"', "=_x.y/z?", '"x" ; charset=utf-8', '"x "'],
)
def test_boundaries_as_people_write_them(boundary: str) -> None:
    plain = {'"a b"': "a b", '"a\\"b"': 'a"b', "=_x.y/z?": "=_x.y/z?"}.get(boundary, "x")
    octets = lines(
        f"Content-Type: Multipart/Mixed;\r\n\tBoundary={boundary}", "", f"--{plain}", "", "in", f"--{plain}--"
    )
    assert bodies(octets) == [("text/plain", b"in")]


@pytest.mark.parametrize(
    "field",
    [
        "Content-Type: multipart/mixed",
        "Content-Type: multipart/mixed; boundary=",
        "Content-Type: multipart/mixed; boundary=a; boundary=b",
        "Content-Type: multipart/mixed; boundary*0=a",
        f"Content-Type: multipart/mixed; boundary={'a' * 201}",
        "Content-Type: multipart",
        "Content-Type: text/plain\r\nContent-Type: text/html",
        "Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: base64",
        "no field",
        "Content-Type: text/plain\rX: y",
    ],
)
def test_a_head_about_which_readers_may_differ_is_not_sound(field: str) -> None:
    part = walked(lines(field, "", "--a", "", "b", "--a--")).parts[0]
    assert part.flaw is Flaw.HEAD
    assert part.kind is Kind.LEAF


def test_an_encoded_multipart_is_not_looked_into() -> None:
    octets = lines("Content-Type: multipart/mixed; boundary=a", "Content-Transfer-Encoding: base64", "", "--a", "", "b")
    assert [part.flaw for part in walked(octets).parts] == [Flaw.ENCODED]


def test_parts_too_deep_in_each_other_are_left_alone() -> None:
    octets = b"Content-Type: message/rfc822\r\n\r\n" * (MAX_DEPTH + 1) + b"\r\ntext\r\n"
    parts = walked(octets).parts
    assert len(parts) == MAX_DEPTH
    assert [part.flaw for part in parts] == [None] * (MAX_DEPTH - 1) + [Flaw.DEEP]


def test_too_many_parts_are_not_counted_to_the_end() -> None:
    octets = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n\r\n\r\n" * (MAX_PARTS + 1)
    found = walked(octets)
    assert found.flaw is Flaw.MANY
    assert len(found.parts) == MAX_PARTS


@pytest.mark.parametrize("step", [0, 1000, 4096])
def test_a_header_section_that_does_not_end_is_left_alone(step: int) -> None:
    octets = b"Content-Type: text/plain\r\n" + b"X: y\r\n" * (MAX_HEAD // 6) + b"\r\nbody\r\n"
    assert [part.flaw for part in walked(octets, step).parts] == [Flaw.LONG_HEAD]
    assert [part.flaw for part in walked(octets[: MAX_HEAD - 100] + b"\r\n\r\nb", step).parts] != [Flaw.LONG_HEAD]


def test_a_boundary_that_is_used_twice_is_told() -> None:
    octets = lines(
        "Content-Type: multipart/mixed; boundary=a", "", "--a", "Content-Type: multipart/mixed; boundary=a", ""
    )
    assert walked(octets).flaw is Flaw.BOUNDARY


@pytest.mark.parametrize("octets", [b"a: b\r\n\r\nc\rd\r\n", b"a: b\r\n\r\nc\nd\r\n", b"a: b\r\n\r\nc\r"])
@pytest.mark.parametrize("step", [0, 1])
def test_bare_line_ends_are_told(octets: bytes, step: int) -> None:
    assert walked(octets, step).flaw is Flaw.LINES


@pytest.mark.parametrize("step", [0, 300])
def test_a_line_too_long_for_a_delimiter_is_text(step: int) -> None:
    octets = MIXED.replace(b"--x  ", b"--x" + b" " * MAX_LINE)
    assert len(bodies(octets)) == 1
    assert walked(octets, step) == walked(octets)


def test_octets_beyond_ascii_are_found_where_they_are() -> None:
    def beyond(octets: bytes) -> list[tuple[bool, bool]]:
        return [(part.head_beyond, part.beyond) for part in walked(octets).parts]

    assert beyond(MIXED) == [(False, False)] * 3
    assert beyond(MIXED.replace(b"two", b"\xe4")) == [(False, False), (False, False), (False, True)]
    assert beyond(MIXED.replace(b"preamble", b"\xe4"))[0] == (False, True)
    assert beyond(MIXED.replace(b"epilogue", b"\xe4"))[0] == (False, True)
    assert beyond(MIXED.replace(b"text/html", b"text/html; name=\xe4"))[2] == (True, False)
    assert not walked(MIXED.replace(b"two", b"\xe4")).is_seven_bit


def test_the_corpus_reads_as_another_reader_has_it(mime_corpus: list[Path]) -> None:
    """Python's email package judges; where it calls a message defective, or we call it broken, they may differ."""
    alike = 0
    for file in mime_corpus:
        octets = crlf(file.read_bytes())
        parsed = email.message_from_bytes(octets)
        found = walked(octets)
        if found.flaw or any(part.flaw for part in found.parts) or any(part.defects for part in parsed.walk()):
            continue
        ours = [octets[p.body or p.end : p.end] for p in found.parts if p.kind is Kind.LEAF and not _reports(p)]
        theirs = [_body(p) for p in parsed.walk() if not p.is_multipart() and not _beneath_report(parsed, p)]
        assert ours == theirs, file.name
        alike += 1
    assert alike > 120


def _reports(part: Part) -> bool:
    return part.main == b"message"  # Python makes messages of message/delivery-status and others; they are leaves here.


def _beneath_report(parsed: Parsed, one: Parsed) -> bool:
    return any(
        one in above.walk()
        for above in parsed.walk()
        if above.get_content_maintype() == "message" and above.get_content_subtype() not in ("rfc822", "news")
    )


def _body(part: Parsed) -> bytes:
    payload = part._payload  # type: ignore[attr-defined]
    return payload.encode("ascii", "surrogateescape") if isinstance(payload, str) else b""


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def mime_corpus(corpus: Path) -> list[Path]:
    return sorted((corpus / "mime").glob("*"))
