"""Several people, or one with several programs, in the same mailbox at once."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.scenarios.peers.imap import RawImap, Refused
from tests.scenarios.peers.mailroom import Mailroom, marks


def letter(mark: object) -> bytes:
    return f"Subject: mark {mark}\r\nX-Mark: {mark}\r\n\r\nObsidianlark\r\n".encode()


def test_who_idles_hears_of_mail_and_of_what_others_do(room: Mailroom, somebody: Callable[..., str]) -> None:
    address = somebody()
    with room.raw() as idle, room.session(address) as other:
        idle.line()
        assert idle.ask(f'LOGIN {address} "{room.reader().password}"')[0] == "OK"
        assert idle.ask("SELECT INBOX")[0] == "OK"
        idle.send(b"i1 IDLE\r\n")
        assert (idle.line() or b"").startswith(b"+ ")
        room.write(1, address)
        assert hears(idle, b"1 EXISTS")
        other.select()
        other.does("store", "1", "+FLAGS", "(\\Flagged)")
        assert hears(idle, b"\\Flagged")
        other.does("store", "1", "+FLAGS", "(\\Deleted)")
        other.does("expunge")
        assert hears(idle, b"1 EXPUNGE")
        idle.send(b"DONE\r\n")
        assert idle.until(b"i1")[0] == "OK"
        assert idle.ask("LOGOUT")[0] == "OK"


def hears(idle: RawImap, word: bytes) -> bool:
    """Whether a line with that word comes; what else comes on the way is not looked at."""
    while (line := idle.line()) is not None:
        if word in line:
            return True
    return False


def test_two_sessions_see_the_same_mailbox(room: Mailroom, somebody: Callable[..., str]) -> None:
    address = somebody()
    with room.session(address) as one, room.session(address) as two:
        for mark in range(5):
            one.append(letter(mark))
        assert one.select() == two.select() == 5
        one.does("uid", "STORE", "2:3", "+FLAGS", "(\\Seen \\Deleted)")
        two.does("noop")
        assert two.flags() == {1: set(), 2: {"\\Seen", "\\Deleted"}, 3: {"\\Seen", "\\Deleted"}, 4: set(), 5: set()}
        one.does("expunge")
        # Who has not heard of it keeps his numbers until he asks for something that may tell him.
        assert marks(list(two.octets("4:5").values())) == ["3", "4"]
        two.does("noop")
        assert two.uids() == one.uids() == [1, 4, 5]
        assert marks([two.octets("5")[5]]) == ["4"]
        assert two.status("INBOX", "MESSAGES", "UNSEEN", "UIDNEXT") == {"MESSAGES": 3, "UNSEEN": 3, "UIDNEXT": 6}


def test_copies_moves_and_folders(room: Mailroom, somebody: Callable[..., str]) -> None:
    address = somebody()
    with room.session(address) as session:
        for mark in range(3):
            session.append(letter(mark), flags="(\\Seen)")
        assert re.fullmatch(rb"\d+ 3", session.code("APPENDUID") or b"")
        session.does("create", "Projects/2026")
        session.does("create", '"Entw&APw-rfe"')
        session.select()
        before = len(room.chunks())
        garbage = len(room.query("SELECT name FROM mailbox_blobs WHERE state = 'garbage'"))
        session.does("uid", "COPY", "1:2", "Projects/2026")
        assert re.fullmatch(rb"\d+ 1:2 1:2", session.code("COPYUID") or b"")
        assert len(room.chunks()) == before, "a copy stores no content again"
        session.does("uid", "MOVE", "3", "Archive")
        assert session.uids() == [1, 2]
        assert marks(session.all("Archive")) == ["2"]
        session.does("rename", "Projects", "Old")
        names = [line.decode() for line in session.does("list", '""', "*")]
        assert any("Old/2026" in name for name in names) and any("Entw&APw-rfe" in name for name in names)
        assert [name for name in names if "\\Sent" in name] and [name for name in names if "\\Trash" in name]
        session.select()
        session.does("store", "1:2", "+FLAGS", "(\\Deleted)")
        session.does("expunge")
        assert marks(session.all("Old/2026")) == ["0", "1"], "a copy outlives its original"
        assert session.flags() == {1: {"\\Seen"}, 2: {"\\Seen"}}
        session.does("select", "INBOX")
        session.does("delete", "Old/2026")
        try:
            session.select("Old/2026")
        except Refused as refused:
            assert "NO" in str(refused)
        else:
            raise AssertionError("a folder that was deleted can be selected")
    # Both contents are on the list of what is deleted a day later, when no backup looks for it any more.
    assert len(room.query("SELECT name FROM mailbox_blobs WHERE state = 'garbage'")) - garbage == 2


def test_who_reads_only_changes_nothing(room: Mailroom, somebody: Callable[..., str]) -> None:
    address = somebody()
    room.write(1, address)
    room.arrived(1, address)
    with room.session(address) as session:
        session.select(read_only=True)
        session.octets("1", "BODY[]")
        assert session.flags() == {1: set()}
        try:
            session.does("uid", "STORE", "1", "+FLAGS", "(\\Seen)")
        except (Refused, session.imap.error):
            pass
        else:
            raise AssertionError("a flag was set in a folder that was opened for reading only")
        session.select()
        session.octets("1", "BODY[]")
        assert session.flags() == {1: {"\\Seen"}}


def test_what_somebody_knows_of_a_mailbox_holds_over_a_restart(room: Mailroom, somebody: Callable[..., str]) -> None:
    address = somebody()
    with room.session(address) as session:
        for mark in range(3):
            session.append(letter(mark), flags="(\\Answered $Label1)")
        session.select()
        validity = session.code("UIDVALIDITY")
        session.does("uid", "STORE", "2", "+FLAGS", "(\\Deleted)")
        session.does("expunge")
        before = session.all()
    assert room.gateway.stop() == 0
    room.start()
    with room.session(address) as session:
        assert session.select() == 2
        assert session.code("UIDVALIDITY") == validity
        assert session.uids() == [1, 3]
        assert session.flags() == {1: {"\\Answered", "$Label1"}, 3: {"\\Answered", "$Label1"}}
        assert session.all() == before
        assert session.status("INBOX", "UIDNEXT") == {"UIDNEXT": 4}
