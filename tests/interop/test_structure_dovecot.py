"""Dovecot's ENVELOPE, BODYSTRUCTURE and sections of every message of the corpus, beside ours (RFC 3501 7.4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from gateway.mailboxes.head import Head, Section, What
from gateway.mailboxes.head.head import Place
from gateway.mailboxes.head.part import Kind
from tests.imap_values import Value, joined, parsed
from tests.scenarios.peers.dovecot_imap import DovecotServer

pytestmark = pytest.mark.scenario

# Where ours differs from Dovecot's, and why: name of the message, and of what is said of it.
MISSING = "Dovecot puts words such as MISSING_DOMAIN where nothing stands, which clients show; ours is empty"
COLON = "an encoded word with a colon in it is a name to us, as its writer meant it, and the name of a group to Dovecot"
BARE = (
    "a type without subtype is empty to Dovecot; ours is what gateway.mail.reading takes it for, since clients need one"
)
NAMES = (
    "two addresses run together: Dovecot takes the first, ours the one in angle brackets and shows all words in front"
)
BLANKS = "words in angle brackets that are no address: Dovecot ends at the first blank, ours shows them all"
DIFFERENCES = {
    ("mk-feedback-report.txt.eml", "BODY"): BLANKS,
    ("mk-feedback-report.txt.eml", "BODYSTRUCTURE"): BLANKS,
    ("mk-issue358.txt.eml", "ENVELOPE"): NAMES,
    ("mk-missing-subtype.txt.eml", "BODY"): BARE,
    ("mk-missing-subtype.txt.eml", "BODYSTRUCTURE"): BARE,
    ("mk-stack-overflow.txt.eml", "ENVELOPE"): COLON,
    ("tb-bare-text-type.eml", "BODY"): BARE,
    ("tb-bare-text-type.eml", "BODYSTRUCTURE"): BARE,
    ("tb-format2-style-attr.eml", "ENVELOPE"): MISSING,
    ("tb-untyped_text_with_cte_and_charset.eml", "BODY"): BARE,
    ("tb-untyped_text_with_cte_and_charset.eml", "BODYSTRUCTURE"): BARE,
}
EMPTY = "a part without body: the empty line behind its fields is the delimiter's to Dovecot, ours shows it"
MOST_SECTIONS = 12  # Of one message.


def _files(corpus: Path) -> list[Path]:
    return sorted((corpus / "mime").glob("*.eml"))


def _with_crlf(path: Path) -> bytes:
    """As it comes by SMTP: Dovecot reckons with CR LF whatever lies in a Maildir, we with what is there."""
    return path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[tuple[DovecotServer, list[Path]]]:
    files = _files(request.getfixturevalue("corpus"))
    with DovecotServer() as found:
        box = found.maildir("ida")
        for number, path in enumerate(files):
            (box / "cur" / f"{1_700_000_000 + number}.{number}.x:2,S").write_bytes(_with_crlf(path))
        found.settle("ida")
        yield found, files


def _said(answer: Sequence[object]) -> dict[str, Value]:
    """Each item's value by its name."""
    (tree,) = parsed(joined(answer))
    assert isinstance(tree, list)
    return {str(name, "ascii"): value for name, value in zip(tree[::2], tree[1::2], strict=True)}  # type: ignore[arg-type]


def test_envelope_and_structure_are_dovecots(server: tuple[DovecotServer, list[Path]]) -> None:
    found, files = server
    session = found.connect("ida")
    session.select(readonly=True)
    differ: dict[tuple[str, str], tuple[Value, Value]] = {}
    for number, path in enumerate(files, 1):
        _, answer = session.fetch(str(number), "(ENVELOPE BODY BODYSTRUCTURE)")
        theirs = _said(answer)
        head = Head.of(_with_crlf(path))
        ours_of = {"ENVELOPE": head.envelope, "BODY": head.body, "BODYSTRUCTURE": head.body_structure}
        for what, octets in ours_of.items():
            (ours,) = parsed(octets)
            if ours != theirs[what]:
                differ[path.name, what] = (ours, theirs[what])
    session.logout()
    assert len(files) > 100
    assert {key: pair for key, pair in differ.items() if key not in DIFFERENCES} == {}
    assert set(differ) == set(DIFFERENCES), "these differ no more"


def _paths(places: tuple[Place, ...]) -> Iterator[tuple[tuple[int, ...], bool]]:
    """The numbers of every part, and whether it is a message."""

    def inside(place: Place, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], bool]]:
        if place.kind is Kind.MULTIPART:
            for number, inner in enumerate(place.inner, 1):
                yield from of(places[inner], (*path, number))
        else:
            yield from of(place, (*path, 1))

    def of(place: Place, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], bool]]:
        yield path, place.kind is Kind.MESSAGE
        if place.kind is Kind.MULTIPART:
            yield from inside(place, path)
        elif place.kind is Kind.MESSAGE and len(path) < 20:
            yield from inside(places[place.inner[0]], path)

    yield from inside(places[0], ())


def test_sections_are_dovecots(server: tuple[DovecotServer, list[Path]]) -> None:
    found, files = server
    session = found.connect("ida")
    session.select(readonly=True)
    compared = empty = 0
    for number, path in enumerate(files, 1):
        octets = _with_crlf(path)
        head = Head.of(octets)
        sections = [Section(what=what) for what in (What.HEADER, What.TEXT)]
        for numbers, is_message in list(_paths(head.places))[:MOST_SECTIONS]:
            sections += [Section(path=numbers), Section(path=numbers, what=What.MIME)]
            if is_message:
                sections += [Section(path=numbers, what=what) for what in (What.HEADER, What.TEXT)]
        names = [".".join([*map(str, one.path), *([one.what.value] if one.what.value else [])]) for one in sections]
        _, answer = session.fetch(str(number), "(" + " ".join(f"BODY.PEEK[{name}]" for name in names) + ")")
        theirs = _said(answer)
        for section, name in zip(sections, names, strict=True):
            need = section.need(head)
            assert need is not None, (path.name, name)
            ours = section.answer(need, octets[need.start : need.end]).replace(b"\x00", b"\x80")
            their = theirs[f"BODY[{name}]"] or b""
            if ours != their and EMPTY and section.what in (What.MIME, What.HEADER):
                their = their + b"\r\n" if isinstance(their, bytes) else their
                empty += 1
            assert ours == their, (path.name, name)
            compared += 1
    session.logout()
    assert compared > 1000
    assert 0 < empty < 20
