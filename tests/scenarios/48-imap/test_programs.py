"""What swaks sends, the programs read that people have."""

from __future__ import annotations

import mailbox
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.scenarios.peers.mail_programs import curl, mbsync, mutt
from tests.scenarios.peers.mailroom import Mailroom, marks
from tests.scenarios.peers.swaks import swaks

TUID = re.compile(rb"(?m)^X-TUID: .*\n")  # mbsync's own mark.
TEXT = "Good morning, Obsidianlark."


def letters(room: Mailroom, address: str, count: int = 3) -> list[bytes]:
    """Messages from swaks, as they lie in the mailbox."""
    for number in range(count):
        sent = swaks(
            room.gateway.port, "--to", address, "--header", f"X-Mark: {number}",
            "--header", f"Subject: Letter {number}", "--body", TEXT,
        )  # fmt: skip
        assert sent.code == 0, sent.text
        room.arrived(number + 1, address)
    found = room.arrived(count, address)
    assert marks(found) == [str(number) for number in range(count)]
    assert all(TEXT.encode() in one for one in found)
    return found


def with_lf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n")


def test_imaplib_and_curl_read_the_same_octets(room: Mailroom, somebody: Callable[..., str]) -> None:
    address = somebody()
    stored = letters(room, address)
    reader = room.reader(address)
    assert curl(reader, "INBOX;UID=1") == stored[0]
    assert b"3 EXISTS" in curl(reader, "", "--request", "EXAMINE INBOX")
    assert b"* SEARCH 2\r\n" == curl(reader, "INBOX?SUBJECT%20%22Letter%201%22")
    assert curl(reader, "INBOX;UID=3;SECTION=TEXT").strip() == TEXT.encode()
    assert curl(reader, "INBOX;UID=3;SECTION=HEADER.FIELDS%20(Subject)") == b"Subject: Letter 2\r\n\r\n"
    assert b'"Archive"' in curl(reader, "") or b" Archive" in curl(reader, "")
    # And curl puts one there.
    letter = room.gateway.folder / "letter.eml"
    letter.write_bytes(b"Subject: from curl\r\n\r\nObsidianlark\r\n")
    curl(reader, "Drafts", "--upload-file", str(letter))
    assert room.arrived(1, address, "Drafts") == [letter.read_bytes()]


def test_mbsync_brings_a_maildir_and_the_mailbox_to_the_same_state(
    room: Mailroom, somebody: Callable[..., str], tmp_path: Path
) -> None:
    address = somebody()
    stored = letters(room, address)
    reader, folder = room.reader(address), tmp_path / "sync"
    inbox = mbsync(reader, folder)
    maildir = mailbox.Maildir(str(inbox), create=False)
    came = (TUID.sub(b"", maildir.get_bytes(key)) for key in maildir.keys())
    assert sorted(came) == sorted(with_lf(one) for one in stored)
    assert {one.name for one in folder.iterdir()} >= {"INBOX", "Drafts", "Sent", "Archive"}

    # Somebody reads one there, throws one away, writes one; somebody flags one here.
    named = {maildir.get_bytes(key).split(b"X-Mark: ")[1][:1]: key for key in maildir.keys()}
    read = maildir[named[b"0"]]
    read.set_flags("S")
    read.set_subdir("cur")
    maildir[named[b"0"]] = read
    gone = next(path for path in inbox.rglob(f"{named[b'1']}*"))
    gone.rename(inbox / "cur" / (gone.name.partition(":")[0] + ":2,ST"))
    maildir.add(b"Subject: mine\nX-Mark: 9\n\nObsidianlark\n")
    with room.session(address) as session:
        session.select()
        session.does("uid", "STORE", "3", "+FLAGS", "(\\Flagged $Forwarded)")
    mbsync(reader, folder)
    with room.session(address) as session:
        assert session.select() == 3
        assert session.flags() == {1: {"\\Seen"}, 3: {"\\Flagged", "$Forwarded"}, 4: set()}
        assert marks(session.all()) == ["0", "2", "9"]
    here = mailbox.Maildir(str(inbox), create=False)
    assert sorted(one.get_flags().replace("P", "") for one in here) == ["", "F", "S"]


def test_mutt_copies_everything_and_throws_one_away(
    room: Mailroom, somebody: Callable[..., str], tmp_path: Path
) -> None:
    address = somebody()
    stored = letters(room, address)
    kept = tmp_path / "kept.mbox"
    mutt(room.reader(address), tmp_path, f"<tag-pattern>~A<enter><tag-prefix><copy-message>{kept}<enter><quit>")
    with closing(mailbox.mbox(str(kept), create=False)) as box:
        subjects = [one["Subject"] for one in box]
    assert subjects == ["Letter 0", "Letter 1", "Letter 2"]
    mutt(room.reader(address), tmp_path, "<delete-pattern>~s 'Letter 1'<enter><sync-mailbox><quit>".replace("'", '"'))
    assert marks(room.arrived(2, address)) == ["0", "2"]
    assert len(stored) == 3
    mutt(room.reader(address), tmp_path, "<tag-pattern>~A<enter><tag-prefix><save-message>=Archive<enter><quit>")
