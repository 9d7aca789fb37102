"""STORE, COPY, MOVE, EXPUNGE: what changes is told to who asked, to who waits, and to nobody twice."""

from __future__ import annotations

import threading

import pytest

from gateway.imap import desk
from gateway.imap.opened import Opened
from tests.fakes.clock import FakeClock
from tests.fakes.imap import Client, ImapRoom, tagged, untagged

ONE, TWO, THREE = b"Subject: 1\r\n\r\n1", b"Subject: 2\r\n\r\n22", b"Subject: 3\r\n\r\n333"


@pytest.fixture
async def inbox(room: ImapRoom, client: Client) -> Client:
    """Three messages, and INBOX open."""
    await room.put(ONE, TWO, THREE)
    await client.ask("SELECT INBOX")
    return client


async def test_flags_and_keywords_are_set_added_and_taken(inbox: Client) -> None:
    said = untagged(await inbox.ask("STORE 1:2 +FLAGS (\\Flagged $Work)"))
    assert said == [
        b"FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Work)",
        b"1 FETCH (FLAGS (\\Flagged $Work))",
        b"2 FETCH (FLAGS (\\Flagged $Work))",
    ]
    assert untagged(await inbox.ask("UID STORE 2 -FLAGS $work")) == [b"2 FETCH (FLAGS (\\Flagged) UID 2)"]
    assert untagged(await inbox.ask("STORE 1 FLAGS (\\seen \\Recent)")) == [b"1 FETCH (FLAGS (\\Seen))"]
    assert untagged(await inbox.ask("STORE 1 FLAGS ()")) == [b"1 FETCH (FLAGS ())"]
    assert untagged(await inbox.ask("STORE 3 +FLAGS.SILENT \\Deleted")) == []
    assert untagged(await inbox.ask("FETCH 3 FLAGS")) == [b"3 FETCH (FLAGS (\\Deleted))"]
    said_on_open = untagged(await inbox.ask("SELECT INBOX"))
    assert (
        b"OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Work \\*)] Flags that stay" in said_on_open
    )
    assert b"OK [UNSEEN 1] The first that was not read" in said_on_open


NONSENSE = [
    "1 FLAGS",
    "1 +FLAGS (\\Nonsense)",
    "1 *FLAGS (x)",
    "1 +FLAGS (x",
    "9 FLAGS (x)",
    "1 +FLAGS (" + "k" * 70 + ")",
    "1 (UNCHANGEDSINCE 9223372036854775808) +FLAGS (x)",
]


async def test_flags_that_make_no_sense_are_bad(inbox: Client) -> None:
    for arguments in NONSENSE:
        assert tagged(await inbox.ask(f"STORE {arguments}")).startswith(b"BAD ")


async def test_a_folder_has_so_many_keywords_and_no_more(inbox: Client) -> None:
    many = " ".join(f"k{number}" for number in range(55))
    assert tagged(await inbox.ask(f"STORE 1 +FLAGS ({many})")).startswith(b"OK ")
    assert tagged(await inbox.ask("STORE 1 +FLAGS (another)")).startswith(b"NO [LIMIT] ")
    assert b"\\*" not in await inbox.ask("SELECT INBOX")


async def test_what_has_changed_since_is_left_and_named(room: ImapRoom, inbox: Client) -> None:
    other = Client(room.server())
    await other.log_in()
    await other.ask("SELECT INBOX")
    await other.ask("STORE 2 +FLAGS (\\Answered)")
    said = await inbox.ask("STORE 1:3 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\\Deleted)")
    assert tagged(said) == b"OK [MODIFIED 2] Some had changed"
    assert untagged(said) == [
        b"1 FETCH (UID 1 MODSEQ (4))",
        b"3 FETCH (UID 3 MODSEQ (4))",
        b"2 FETCH (FLAGS (\\Answered) MODSEQ (3))",
    ]


async def test_copies_have_new_uids_and_their_flags(inbox: Client) -> None:
    await inbox.ask("STORE 2 +FLAGS (\\Flagged $Work)")
    assert tagged(await inbox.ask("COPY 2:3 Archive")).startswith(b"OK [COPYUID 1793700000 2:3 1:2] ")
    assert tagged(await inbox.ask("COPY 1 Nowhere")).startswith(b"NO [TRYCREATE] ")
    assert tagged(await inbox.ask("UID COPY 99 Archive")) == b"OK Nothing to copy"
    said = await inbox.ask("COPY 1 INBOX")
    assert untagged(said) == [b"4 EXISTS", b"4 FETCH (FLAGS ())"][:1]
    await inbox.ask("SELECT Archive")
    said = await inbox.ask("UID FETCH 1:* (FLAGS BODY.PEEK[TEXT])")
    assert b"UID 1 FLAGS (\\Flagged $Work) BODY[TEXT] {2}\r\n22)" in said
    assert b"UID 2 FLAGS () BODY[TEXT] {3}\r\n333)" in said


async def test_what_is_moved_is_told_before_it_is_gone(inbox: Client) -> None:
    said = await inbox.ask("UID MOVE 1,3 Trash")
    assert untagged(said) == [b"OK [COPYUID 1793700000 1,3 1:2] Moved", b"3 EXPUNGE", b"1 EXPUNGE"]
    assert tagged(said) == b"OK Moved"
    assert untagged(await inbox.ask("FETCH 1:* UID")) == [b"1 FETCH (UID 2)"]
    assert tagged(await inbox.ask("UID MOVE 1 Trash")) == b"OK Nothing to move"


async def test_only_what_is_flagged_and_named_is_expunged(inbox: Client) -> None:
    await inbox.ask("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    assert untagged(await inbox.ask("UID EXPUNGE 2:3")) == [b"2 EXPUNGE"]
    assert untagged(await inbox.ask("EXPUNGE")) == [b"1 EXPUNGE"]
    assert untagged(await inbox.ask("FETCH 1:* UID")) == [b"1 FETCH (UID 3)"]


async def test_many_that_are_gone_are_told_where_nobody_else_waits_for_it(
    inbox: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    expunges = Opened.expunges

    def spied(opened: Opened) -> list[bytes]:
        threads.append(threading.get_ident())
        return expunges(opened)

    monkeypatch.setattr(Opened, "expunges", spied)
    monkeypatch.setattr(desk, "FEW", 1)
    await inbox.ask("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    threads.clear()
    assert untagged(await inbox.ask("EXPUNGE")) == [b"2 EXPUNGE", b"1 EXPUNGE"]
    assert threads
    assert threading.get_ident() not in threads


async def test_closing_expunges_in_silence_and_unselect_does_not(inbox: Client) -> None:
    await inbox.ask("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert await inbox.ask("UNSELECT") == b"a4 OK Closed\r\n"
    assert b"3 EXISTS" in untagged(await inbox.ask("SELECT INBOX"))
    assert await inbox.ask("CLOSE") == b"a6 OK Closed\r\n"
    assert b"2 EXISTS" in untagged(await inbox.ask("SELECT INBOX"))
    assert tagged(await inbox.ask("CHECK")).startswith(b"OK ")


async def test_another_session_hears_of_every_change_and_numbers_stay_in_step(room: ImapRoom, inbox: Client) -> None:
    other = Client(room.server())
    await other.log_in()
    await other.ask("SELECT INBOX")
    await other.ask("STORE 1 +FLAGS (\\Deleted $New)")
    await other.ask("EXPUNGE")
    await other.ask("STORE 2 +FLAGS ($New)")
    await room.put(ONE)
    assert isinstance(room.clock, FakeClock)
    await room.clock.advance(2)
    said = untagged(await inbox.ask("FETCH 2 (UID)"))  # By number: no expunge may be told now (RFC 3501 7.4.1).
    assert said == [
        b"2 FETCH (UID 2)",
        b"FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $New)",
        b"4 EXISTS",
        b"3 FETCH (FLAGS ($New))",
    ]
    assert untagged(await inbox.ask("NOOP")) == [b"1 EXPUNGE"]
    assert [line.split(b"UID ")[1] for line in untagged(await inbox.ask("FETCH 1:* (UID)"))] == [b"2)", b"3)", b"4)"]


async def test_who_was_away_too_long_looks_at_everything_anew(
    room: ImapRoom, inbox: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from gateway.storage.mailboxes.model import Changes

    whole = room.store.changes

    async def forgotten(folder: int, since: int) -> Changes:
        return replace(await whole(folder, since), complete=False, expunged=())

    monkeypatch.setattr(room.store, "changes", forgotten)
    other = Client(room.server())
    await other.log_in()
    await other.ask("SELECT INBOX")
    await other.ask("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await other.ask("EXPUNGE")
    assert untagged(await inbox.ask("NOOP")) == [b"2 EXPUNGE"]
