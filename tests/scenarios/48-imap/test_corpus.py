"""Everything that others wrote lies in a mailbox as it came."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.peers.imap import Refused
from tests.scenarios.peers.mailroom import Mailroom
from tests.scenarios.peers.raw import Raw

TOP = re.compile(rb"(?:(?:Return-Path|Delivered-To|Received): [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*")


def with_cr_lf(octets: bytes) -> bytes:
    """As a client would send the file: each of its line ends is CR LF, and the last line has one too."""
    octets = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


@pytest.fixture(scope="module")
def delivered(room: Mailroom, somebody: Callable[..., str], mime_corpus: list[Path]) -> str:
    """The mailbox into which all of it was sent."""
    address = somebody()
    with Raw(room.gateway.port, seconds=60) as client:
        client.hello()
        for file in mime_corpus:
            client.send(
                b"MAIL FROM:<otto@partner.example> BODY=8BITMIME\r\nRCPT TO:<%b>\r\nDATA\r\n" % address.encode()
            )
            said = [client.reply() for _ in range(3)]
            assert said[2].startswith("354"), (file.name, said)
            client.send(re.sub(rb"(?m)^\.", b"..", with_cr_lf(file.read_bytes())))
            answer = client.ask(".")
            assert answer.startswith("250"), (file.name, answer)
    return address


def test_every_message_is_delivered_and_fetched_as_it_came(
    room: Mailroom, delivered: str, mime_corpus: list[Path]
) -> None:
    found = room.arrived(len(mime_corpus), delivered, seconds=60)
    assert len(found) == len(mime_corpus)
    missing = []
    for file in mime_corpus:
        sent = with_cr_lf(file.read_bytes())
        if not any(got.endswith(sent) and TOP.fullmatch(got[: -len(sent)]) for got in found):
            missing.append(file.name)
    assert missing == []
    assert all(got.startswith(b"Return-Path: <otto@partner.example>\r\nDelivered-To: ") for got in found)


def test_every_message_is_appended_and_fetched_as_it_came(
    room: Mailroom, somebody: Callable[..., str], mime_corpus: list[Path]
) -> None:
    """Octets that no SMTP client may send, too: bare CR and LF, and what has no line end."""
    address = somebody()
    wanted, refused = [], []
    files = [file for file in mime_corpus if b"\0" not in file.read_bytes()]  # Which no literal may hold.
    with room.session(address) as session:
        for file in files:
            octets = file.read_bytes()
            # imaplib makes CR LF of each line end before it sends; as it stands only `_command` would.
            session.imap.literal = octets
            kind, said = session.imap._simple_command("APPEND", '"INBOX"')  # type: ignore[attr-defined]
            if kind == "OK":
                wanted.append(octets)
            else:
                refused.append((file.name, said))
        assert refused == []
        found = session.all()
        assert found == wanted
        # Each part that is asked for alone, and a piece of it.
        whole = session.octets("1:*")
        assert session.octets("1:*", "BODY.PEEK[]<0.100>") == {uid: one[:100] for uid, one in whole.items()}
        heads, texts = session.octets("1:*", "BODY.PEEK[HEADER]"), session.octets("1:*", "BODY.PEEK[TEXT]")
        assert {uid: heads[uid] + texts[uid] for uid in whole} == whole
        for uid, line in session.lines("1:*", "RFC822.SIZE").items():
            assert b"RFC822.SIZE %d" % len(whole[uid]) in line, (uid, line)


def test_a_search_for_words_finds_what_a_program_finds(room: Mailroom, delivered: str, mime_corpus: list[Path]) -> None:
    found = room.arrived(len(mime_corpus), delivered, seconds=60)
    with room.session(delivered) as session:
        session.select()
        uids = session.uids()
        subject = re.compile(rb"(?im)^subject:[^\r\n]*\btest\b")
        wanted = {uid for uid, got in zip(uids, found, strict=True) if subject.search(head(got))}
        assert wanted <= set(session.uids("SUBJECT", "test"))
        assert session.uids("SUBJECT", '"no message has this subject"') == []
        with pytest.raises(Refused, match="BADCHARSET"):
            session.uids("CHARSET", "X-NONE", "TEXT", "x")


def head(octets: bytes) -> bytes:
    """Without what the gateway put on top."""
    top = TOP.match(octets)
    assert top is not None
    return octets[top.end() :].partition(b"\r\n\r\n")[0]
