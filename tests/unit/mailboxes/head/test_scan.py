"""The parts of a message as IMAP counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.mailboxes.head.part import Kind, Part
from gateway.mailboxes.head.scan import MAX_DEPTH, MAX_PARTS, MAX_SECTION, Scan


def scanned(octets: bytes, step: int = 0) -> Part:
    scan = Scan()
    for start in range(0, len(octets), step or max(1, len(octets))):
        scan.feed(octets[start : start + (step or len(octets))])
    return scan.end()


def lines(*text: str, end: str = "\r\n") -> bytes:
    return "".join(f"{line}{end}" for line in text).encode("latin-1")


def bodies(octets: bytes, step: int = 0) -> list[tuple[int, bytes, int]]:
    """Depth, body and number of lines of each leaf."""
    found: list[tuple[int, bytes, int]] = []

    def look(part: Part, depth: int) -> None:
        if part.kind is Kind.LEAF:
            found.append((depth, octets[part.body : part.end], part.lines))
        for one in part.inner:
            look(one, depth + 1)

    look(scanned(octets, step), 0)
    return found


MIXED = ["Content-Type: multipart/mixed; boundary=x", "", "preamble", "--x", "", "one", "--x  ", "A: b", "", "two", ""]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_the_line_end_in_front_of_a_delimiter_is_the_delimiters(end: str) -> None:
    octets = lines(*MIXED, "--x--", "epilogue", end=end)
    assert bodies(octets) == [(1, b"one", 0), (1, b"two" + end.encode(), 1)]


def test_a_message_without_mime_is_one_text() -> None:
    assert bodies(b"Subject: a\r\n\r\nb\r\nc") == [(0, b"b\r\nc", 1)]


@pytest.mark.parametrize("octets", [b"", b"a", b"\r\n", b"\n", b"\r", b"A: b", b"A: b\r\n", b"--", b"\r\n--"])
def test_a_message_may_end_anywhere(octets: bytes) -> None:
    root = scanned(octets)
    assert root.end == len(octets)
    assert root == scanned(octets, 1)


def test_a_delimiter_ends_a_header_section_as_well() -> None:
    octets = lines("Content-Type: multipart/mixed; boundary=x", "", "--x", "A: b", "--x", "--x--")
    root = scanned(octets)
    assert [octets[part.start : part.body] for part in root.inner] == [b"A: b", b""]
    assert root.inner[0].body == root.inner[0].end


def test_a_delimiter_right_behind_a_header_section_leaves_an_empty_body() -> None:
    octets = lines("Content-Type: multipart/mixed; boundary=x", "", "--x", "A: b", "", "--x--")
    (part,) = scanned(octets).inner
    assert octets[part.start : part.end] == b"A: b\r\n\r\n"
    assert part.body == part.end


def test_an_outer_delimiter_ends_what_is_inside() -> None:
    octets = lines(
        "Content-Type: multipart/mixed; boundary=x", "", "--x", "Content-Type: multipart/mixed; boundary=y", "",
        "--y", "", "inner", "--x", "", "outer", "--y", "--x--",
    )  # fmt: skip
    assert bodies(octets) == [(2, b"inner", 0), (1, b"outer\r\n--y", 1)]


@pytest.mark.parametrize(("outer", "inner"), [("x", "xy"), ("xy", "x")])
def test_of_two_boundaries_the_longer_is_meant(outer: str, inner: str) -> None:
    octets = lines(
        f"Content-Type: multipart/mixed; boundary={outer}", "", f"--{outer}",
        f"Content-Type: multipart/mixed; boundary={inner}", "",
        f"--{inner}", "", "inner", f"--{inner}--", f"--{outer}", "", "outer", f"--{outer}--",
    )  # fmt: skip
    assert bodies(octets) == [(2, b"inner", 0), (1, b"outer", 0)]


def test_a_line_that_begins_as_a_delimiter_is_one() -> None:
    octets = lines("Content-Type: multipart/mixed; boundary=x", "", "--x and more", "", "one", "--x--and more")
    assert bodies(octets) == [(1, b"one", 0)]


def test_a_multipart_without_boundary_has_no_parts() -> None:
    root = scanned(lines("Content-Type: multipart/mixed", "", "--x", "", "one", "--x--"))
    assert (root.kind, root.inner) == (Kind.MULTIPART, [])


def test_parts_of_a_digest_are_messages() -> None:
    octets = lines("Content-Type: multipart/digest; boundary=x", "", "--x", "", "Subject: a", "", "b", "--x--")
    (part,) = scanned(octets).inner
    assert part.kind is Kind.MESSAGE
    assert octets[part.inner[0].body : part.inner[0].end] == b"b"
    assert part.lines == 2


def test_a_message_in_a_message_ends_with_it() -> None:
    octets = lines("Content-Type: message/rfc822", "", "Content-Type: multipart/mixed; boundary=x", "", "--x", "", "a")
    root = scanned(octets)
    assert root.inner[0].end == root.inner[0].inner[0].end == len(octets)


def test_a_message_that_ends_before_its_header_section_is_empty() -> None:
    octets = lines("Content-Type: multipart/mixed; boundary=x", "", "--x", "Content-Type: message/rfc822", "--x--")
    (part,) = scanned(octets).inner
    assert (part.kind, part.body, part.end) == (Kind.MESSAGE, part.inner[0].end, part.inner[0].start)


def test_parts_too_deep_in_each_other_are_not_looked_into() -> None:
    octets = b"Content-Type: message/rfc822\r\n\r\n" * (MAX_DEPTH + 20)
    depth, part = 1, scanned(octets)
    while part.inner:
        depth, part = depth + 1, part.inner[0]
    assert depth == MAX_DEPTH
    assert part.kind is Kind.LEAF


def test_too_many_parts_are_text_of_the_last() -> None:
    root = scanned(b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\na\r\n" * (MAX_PARTS + 5))
    assert len(root.inner) == MAX_PARTS - 1
    assert root.inner[-1].lines > 5


def test_a_long_header_section_is_read_in_part_and_ends_where_it_does() -> None:
    octets = b"Subject: a\r\n" + b"X: y\r\n" * (MAX_SECTION // 6) + b"To: b\r\n\r\nbody"
    for step in (0, 1000):
        root = scanned(octets, step)
        assert octets[root.body :] == b"body"
        assert set(root.fields) == {b"subject"}


def test_a_delimiters_line_of_any_length_may_come_in_pieces() -> None:
    octets = lines("Content-Type: multipart/mixed; boundary=x", "", "--x" + "y" * 3000, "", "one", "--x--" + "z" * 3000)
    assert bodies(octets, 100) == bodies(octets) == [(1, b"one", 0)]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 11])
def test_where_octets_are_cut_makes_no_difference(step: int) -> None:
    for end in ("\r\n", "\n"):
        inner = [
            "--x",
            "Content-Type: message/rfc822",
            "",
            *MIXED[:1],
            "--x",
            "",
            "",
            "--",
            "",
            "-x",
            "--x--",
            "",
            "--x",
        ]
        octets = lines(*MIXED, *inner, "--x", "", "--x--", "-", end=end)
        assert scanned(octets, step) == scanned(octets)


def test_where_the_corpus_is_cut_makes_no_difference(corpus: Path) -> None:
    files = [path for path in sorted((corpus / "mime").glob("*.eml")) if path.stat().st_size < 6000]
    assert files
    for path in files:
        octets = path.read_bytes()
        assert scanned(octets, 13) == scanned(octets), path.name
