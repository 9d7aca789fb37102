"""Every message of the corpus with edits and disclaimers: nothing fails, and what was not meant stays as it was."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.mail.address import parse_address
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.mail.mime.walk import Walk
from gateway.mail.reading import read
from gateway.mail.reply import Refused
from gateway.rules.letterhead import Letterhead
from gateway.rules.rewrite import MARK, Rewriter
from gateway.rules.values import Fallback, Location
from gateway.rules.work import DisclaimerWanted, PrependSubject, RemoveField, SetField, ShowAddresses

EDITS = (
    PrependSubject("[EXTERNÉ] "),
    SetField("X-Tag", "ü" * 60),
    RemoveField("X-Mailer"),
    ShowAddresses("to", (parse_address("officer@corp.example"),)),
    ShowAddresses("cc", (parse_address("officer@corp.example"),)),
)
SAID = "Vertraulich & für Menschen €"
HTML = "<p>Vertraulich &amp; für Menschen €</p>"


def messages(corpus: Path) -> list[tuple[str, bytes]]:
    found = []
    for path in sorted((corpus / "mime").rglob("*")):
        if path.is_file() and path.suffix in (".eml", ".txt", ".msg", ""):
            found.append((path.name, re.sub(rb"\r\n|\r|\n", b"\r\n", path.read_bytes())))
    assert found
    return found


def rewriter(octets: bytes) -> Rewriter:
    message = Message(octets[:MAX_HEAD], Held(octets))
    values = Letterhead(message).tokens(None)
    return Rewriter(message, octets, values=values, mark=lambda text: "1234", boundary="=_edge")


def attachments(octets: bytes) -> list[bytes]:
    return [one.octets() for one in read(octets).attachments]


def test_header_edits_leave_the_body_and_can_be_read(corpus: Path) -> None:
    for name, octets in messages(corpus):
        try:
            done = rewriter(octets).rewrite(EDITS, ()).message
        except Refused:
            assert len(octets) >= MAX_HEAD, name
            continue
        made = done.content.inline
        assert made is not None
        before, after = Message(octets[:MAX_HEAD], Held(octets)), Message(made[:MAX_HEAD], Held(made))
        assert made.endswith(octets[len(before.header_section()) :]), name
        assert read(made).subject.startswith("[EXTERNÉ]"), name
        assert after.count(b"X-Mailer") == 0, name
        lines = after.header_section().split(b"\r\n")
        was = set(before.header_section().split(b"\r\n"))
        assert all(len(line) <= 998 or line in was or line.strip() in b"".join(was) for line in lines), name


@pytest.mark.parametrize("location", Location)
def test_disclaimers_are_seen_and_attachments_stay(corpus: Path, location: Location) -> None:
    wanted = DisclaimerWanted(rule="r", html=HTML, location=location, fallback=Fallback.IGNORE)
    taken = 0
    for name, octets in messages(corpus):
        try:
            done = rewriter(octets).rewrite((), (wanted,))
        except Refused:
            continue
        made = done.message.content.inline
        assert made is not None
        if done.unfit is not None:
            assert made == octets, name
            continue
        if b"x-gateway" in octets.lower():
            continue
        taken += 1
        said = " ".join(text.text for text in read(made).texts if not text.hidden)
        assert SAID in " ".join(said.split()), name
        assert attachments(made) == attachments(octets), name
        assert made.startswith(MARK.encode()), name
        walk = Walk()
        walk.feed(made)
        assert len(walk.end().parts) >= 1
        assert made.count(b"\r") == made.count(b"\n") == made.count(b"\r\n"), name
    assert taken > 50


def test_what_takes_none_is_wrapped_whole(corpus: Path) -> None:
    wanted = DisclaimerWanted(rule="r", html=HTML, fallback=Fallback.WRAP)
    for name, octets in messages(corpus):
        try:
            done = rewriter(octets).rewrite((), (wanted,))
        except Refused:
            continue
        if done.unfit is not None:
            made = done.message.content.inline
            assert made is not None
            assert b"\r\n\r\n" + octets + b"\r\n--=_edge--\r\n" in made, name


def test_foot_04_no_signed_or_encrypted_message_is_edited_inside(corpus: Path) -> None:
    wanted = DisclaimerWanted(rule="r", html=HTML, fallback=Fallback.IGNORE)
    seen = 0
    for path in sorted((corpus / "smime").rglob("*.eml")):
        octets = re.sub(rb"\r\n|\r|\n", b"\r\n", path.read_bytes())
        head = Message(octets[:MAX_HEAD], Held(octets)).header_section().lower()
        if b"multipart/signed" not in head and b"pkcs7-mime" not in head:
            continue
        seen += 1
        done = rewriter(octets).rewrite((), (wanted,))
        assert (done.message.content.inline, done.unfit is None) == (octets, False), path.name
    assert seen > 20
