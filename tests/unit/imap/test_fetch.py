"""FETCH: octets as they came, only what is asked for opened, and messages that are damaged told by name."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.imap import fetching
from gateway.imap.memory import AccountMemory
from gateway.mailboxes.faults import KeyBroken, PolicyDenied
from gateway.storage.mailboxes.model import DELETED, FlagChange, Folder, WrappedKey
from tests.fakes.imap import Client, ImapRoom, tagged, untagged

ONE = b"From: Ida <ida@corp.example>\r\nTo: otto@partner.example\r\nSubject: One\r\n\r\nThe first.\r\n"
TWO = b"From: otto@partner.example\r\nSubject: Two\r\n\r\nThe second.\r\n"
MIXED = (
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\ntext\r\n--b\r\n'
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(b"\x00\x01binary").replace(b"\n", b"\r\n")
    + b"--b--\r\n"
)


async def opened(room: ImapRoom, client: Client, *messages: bytes, **facts: Any) -> None:
    await room.put(*messages, **facts)
    assert tagged(await client.ask("SELECT INBOX")).startswith(b"OK [READ-WRITE] ")
    room.blobs.looked.clear()


async def test_the_whole_message_comes_as_it_was_put(room: ImapRoom, client: Client) -> None:
    odd = b"no header\nbare lines\xff\r\rand\n\n" + bytes(range(1, 256))
    await opened(room, client, ONE, odd)
    said = await client.ask("FETCH 1:2 BODY.PEEK[]")
    assert said.startswith(b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\n" % (len(ONE), ONE))
    assert b"* 2 FETCH (BODY[] {%d}\r\n%b)\r\n" % (len(odd), odd) in said


async def test_flags_and_uids_open_nothing(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE, TWO)
    asked = room.keys.asked
    said = await client.ask("FETCH 1:* (FLAGS UID INTERNALDATE RFC822.SIZE MODSEQ)")
    assert untagged(said)[1].startswith(
        b'2 FETCH (FLAGS () UID 2 INTERNALDATE " 1-Jan-1970 00:00:00 +0000" RFC822.SIZE %d MODSEQ (' % len(TWO)
    )
    assert room.keys.asked == asked
    assert room.blobs.looked == []


async def test_envelope_and_structure_open_no_chunk(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE, MIXED)
    said = await client.ask("FETCH 1:2 (ENVELOPE BODY BODYSTRUCTURE)")
    assert b'ENVELOPE (NIL "One" (("Ida" NIL "ida" "corp.example"))' in said
    assert b'"mixed" ("boundary" "b")' in said
    assert room.blobs.looked == []


async def test_the_form_of_a_message_without_a_kept_head_is_read(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE, with_head=False)
    said = await client.ask("FETCH 1 (ENVELOPE BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert b'ENVELOPE (NIL "One" ' in said
    assert b"BODY[HEADER.FIELDS (SUBJECT)] {16}\r\nSubject: One\r\n\r\n" in said


SECTIONS = [
    ("BODY.PEEK[HEADER]", MIXED[: MIXED.index(b"\r\n\r\n") + 4]),
    ("BODY.PEEK[1]", b"text"),
    ("BODY.PEEK[1.MIME]", b"Content-Type: text/plain\r\n\r\n"),
    ("BODY.PEEK[TEXT]<2.1>", b"b"),
    ("BODY.PEEK[]<4.8>", MIXED[4:12]),
    ("BODY.PEEK[]<100000.8>", b""),
    ("BINARY.PEEK[2]<2.3>", b"bin"),
    ("RFC822.HEADER", MIXED[: MIXED.index(b"\r\n\r\n") + 4]),
]


async def test_a_section_is_what_stands_there(room: ImapRoom, client: Client) -> None:
    await opened(room, client, MIXED)
    for item, answer in SECTIONS:
        name = re.sub(rb"<(\d+)\.\d+>", rb"<\1>", item.encode().replace(b".PEEK", b""))
        said = await client.ask(f"FETCH 1 ({item} UID)")
        assert said.startswith(b"* 1 FETCH (%b {%d}\r\n%b UID 1)\r\n" % (name, len(answer), answer))


async def test_binary_is_decoded_and_told_by_size(room: ImapRoom, client: Client) -> None:
    await opened(room, client, MIXED, ONE.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: x-odd\r\n\r\n"))
    said = await client.ask("FETCH 1 (BINARY[2] BINARY.SIZE[2] BODY.PEEK[9])")
    assert b"BINARY[2] ~{8}\r\n\x00\x01binary BINARY.SIZE[2] 8 BODY[9] NIL FLAGS (\\Seen))" in said
    assert tagged(await client.ask("FETCH 2 BINARY.PEEK[1]")).startswith(b"NO [UNKNOWN-CTE] ")


async def test_of_a_large_message_only_what_is_asked_for_is_opened(room: ImapRoom, client: Client) -> None:
    large = ONE + bytes(range(256)) * 12000
    await opened(room, client, large)
    at = 2_500_000
    said = await client.ask(f"FETCH 1 (BODY.PEEK[]<{at}.7> BODY.PEEK[HEADER])")
    assert large[at : at + 7].replace(b"\x00", b"\x80") in said
    assert len(set(room.blobs.looked)) == 2
    room.blobs.looked.clear()
    said = await client.ask("FETCH 1 BODY.PEEK[]")
    assert large.replace(b"\x00", b"\x80") in said  # RFC 3501 9: a literal holds no NUL.
    assert len(room.blobs.looked) == 3


async def test_parts_of_a_large_message_count_with_all_their_octets(
    room: ImapRoom, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: one message of some MiB, and a hundred long parts of it in one FETCH, would be gigabytes in memory."""
    takes: list[int] = []
    take = AccountMemory.take

    async def spied(memory: AccountMemory, octets: int) -> int:
        takes.append(octets)
        return await take(memory, octets)

    monkeypatch.setattr(AccountMemory, "take", spied)
    monkeypatch.setattr(fetching, "MOST", 16 << 20)
    large = ONE + b"x" * (3 << 19)
    await opened(room, client, large)
    often = " ".join(f"BODY.PEEK[]<{start}.2000000>" for start in range(10))
    assert tagged(await client.ask(f"FETCH 1 ({often})")).startswith(b"NO [LIMIT] That asks for too many parts")
    assert room.blobs.looked == []
    assert takes == []
    await client.ask("FETCH 1 (BODY.PEEK[TEXT] BODY.PEEK[]<10.2000000>)")
    await client.ask("FETCH 1 BODY.PEEK[1]<0.1000>")
    short = " ".join(f"BODY.PEEK[HEADER.FIELDS (SUBJECT X-{number})]" for number in range(10))
    assert tagged(await client.ask(f"FETCH 1 ({short})")).startswith(b"OK")
    text, top = 3 << 19, len(ONE) - len("The first.\r\n")
    assert takes == [2 * (text + 12 + len(large) - 10), 2 * 1000, 2 * 10 * top]


async def test_many_messages_come_in_order_and_all_memory_comes_back(
    room: ImapRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "ROWS", 20)
    monkeypatch.setattr(fetching, "OCTETS", 50_000)
    server = room.server()
    client = Client(server)
    await client.log_in()
    await opened(room, client, *[b"Subject: %d\r\n\r\n" % number + b"x" * 9000 for number in range(70)])
    said = await client.ask("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[TEXT])")
    assert [int(number) for number in re.findall(rb"Subject: (\d+)\r\n\r\n", said)] == list(range(70))
    assert server._memory.free == server._memory._whole


async def test_reading_marks_as_read_and_says_so(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE, TWO)
    assert b" FLAGS (\\Seen))" in await client.ask("FETCH 1 BODY[TEXT]")
    assert b"FLAGS" not in await client.ask("FETCH 1 BODY[TEXT]")
    assert b"* 2 FETCH (FLAGS (\\Seen) BODY[]" in await client.ask("FETCH 1:2 (FLAGS BODY[])")
    folder = await room.store.folder(room.ida.id)
    assert folder is not None
    assert folder.unseen == 0


async def test_reading_in_an_examined_folder_marks_nothing(room: ImapRoom, client: Client) -> None:
    await room.put(ONE)
    assert tagged(await client.ask("EXAMINE INBOX")).startswith(b"OK [READ-ONLY] ")
    assert b"FLAGS" not in await client.ask("FETCH 1 BODY[]")
    assert tagged(await client.ask("STORE 1 +FLAGS (\\Seen)")).startswith(b"NO [READ-ONLY] ")
    assert tagged(await client.ask("EXPUNGE")).startswith(b"NO [READ-ONLY] ")
    assert tagged(await client.ask("MOVE 1 Trash")).startswith(b"NO [READ-ONLY] ")


async def test_only_what_changed_since_is_told(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE, TWO)
    await client.ask("STORE 2 +FLAGS (\\Flagged)")
    said = untagged(await client.ask("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 2)"))
    assert said == [b"2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ (3))"]


NONSENSE = [
    "1 BODY[",
    "1 (BODY[1.])",
    "1 BODY[MIME]",
    "1 BODY[HEADER.FIELDS ()]",
    "1 NONSENSE",
    "1 (FLAGS",
    "0 FLAGS",
    "1 BINARY[HEADER]",
    "1 BINARY.SIZE[1]<1.2>",
    "1 BODY[]<5.0>",
    "5 FLAGS",
    "1 ()",
    "1 FLAGS (CHANGEDSINCE 9223372036854775808)",
]


async def test_what_makes_no_sense_is_bad(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE)
    for arguments in NONSENSE:
        assert tagged(await client.ask(f"FETCH {arguments}")).startswith(b"BAD ")


async def test_a_damaged_message_is_named_and_the_others_are_read(room: ImapRoom, client: Client) -> None:
    await room.put(ONE, TWO, MIXED)
    names = list(room.blobs.kept)
    room.blobs.kept[names[1]] = room.blobs.kept[names[1]][:-1] + b"\x00"
    await client.ask("SELECT INBOX")
    said = await client.ask("FETCH 1:3 BODY.PEEK[]")
    assert ONE in said
    assert MIXED in said
    assert b"* 2 FETCH" not in said
    assert tagged(said).startswith(b"NO [CORRUPTION] Damaged, by UID: message 2: chunk 1 of 1 flipped")
    [facts] = [facts for _, event, facts in room.told if event == "message_damaged"]
    assert (facts["uid"], facts["damage"], facts["mailbox"]) == (2, "flipped", "ida@corp.example")
    assert b"The second" not in repr(room.told).encode()
    assert tagged(await client.ask("FETCH 1:3 (FLAGS ENVELOPE)")).startswith(b"OK ")


@pytest.mark.parametrize("harm", ["flipped", "truncated", "unknown"])
async def test_a_damaged_head_is_read_anew_from_the_message_and_mended(
    room: ImapRoom, client: Client, harm: str
) -> None:
    await room.put(ONE, MIXED, TWO)
    await client.ask("SELECT INBOX")
    wanted = "FETCH 1:3 (FLAGS ENVELOPE BODYSTRUCTURE)"
    sound = untagged(await client.ask(wanted))
    [(_, row)] = await room.store.fetch((await inbox(room)).id, [2])
    head = {
        "flipped": row.head[:-1] + bytes([row.head[-1] ^ 1]),
        "truncated": row.head[:5],
        "unknown": b"\x63" + row.head[1:],
    }
    await room.store.rewrap([(row, replace(row, head=head[harm]))])
    said = await client.ask(wanted)
    assert (untagged(said), tagged(said)) == (sound, b"OK Fetched")
    [facts] = [facts for _, event, facts in room.told if event == "message_head_read_anew"]
    assert (facts["uid"], facts["part"], facts["damage"]) == (2, "head", harm)
    assert untagged(await client.ask(wanted)) == sound
    again = [event for _, event, _ in room.told if event == "message_head_read_anew"]
    assert len(again) == (2 if harm == "unknown" else 1)  # A newer gateway's is not written over.


async def test_a_damaged_head_of_a_damaged_message_is_a_damaged_message(room: ImapRoom, client: Client) -> None:
    await room.put(ONE, TWO)
    [(_, row)] = await room.store.fetch((await inbox(room)).id, [2])
    await room.store.rewrap([(row, replace(row, head=row.head[:5]))])
    del room.blobs.kept[row.blobs[0]]
    await client.ask("SELECT INBOX")
    said = await client.ask("FETCH 1:2 ENVELOPE")
    assert tagged(said).startswith(b"NO [CORRUPTION] Damaged, by UID: message 2: chunk 1 of 1 missing")
    assert b"* 1 FETCH" in said
    assert [event for _, event, _ in room.told if event.startswith("message_")] == ["message_damaged"]


async def inbox(room: ImapRoom) -> Folder:
    found = await room.store.folder(room.ida.id)
    assert found is not None
    return found


async def test_a_mailbox_that_is_closed_says_so_and_marks_nothing(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE)
    room.keys.closed = PolicyDenied("both root keys are disabled", policy="house").of("ida@corp.example")
    said = await client.ask("FETCH 1 BODY[]")
    assert tagged(said) == (b"NO [UNAVAILABLE] The mailbox ida@corp.example is closed: both root keys are disabled")
    assert tagged(await client.ask("FETCH 1 FLAGS")).startswith(b"OK ")
    assert tagged(await client.ask("SELECT INBOX")).startswith(b"NO [UNAVAILABLE] ")
    assert tagged(await client.ask("FETCH 1 FLAGS")).startswith(b"BAD ")
    assert tagged(await client.ask('LIST "" "*"')).startswith(b"OK ")
    room.keys.closed = None
    await client.ask("SELECT INBOX")
    assert b"FLAGS ()" in await client.ask("FETCH 1 FLAGS")
    [facts] = [facts for _, event, facts in room.told if event == "mailbox_closed"][:1]
    assert facts["policy"] == "house"


async def test_a_key_that_was_rolled_meanwhile_is_asked_for_anew(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE, TWO)
    await client.ask("FETCH 1 BODY.PEEK[]")
    before = await room.store.get(room.ida.id)
    assert before is not None
    new = WrappedKey(version=2, policy=None, policy_version=0, octets=b"wrapped")
    assert await room.store.assign(before, before.key, new)
    rolled = await room.store.get(room.ida.id)
    assert rolled is not None
    key = await room.keys.key(rolled)
    rows = await room.store.contents_under_older(room.ida.id, 2)
    await room.store.rewrap([(row, room.contents.rewrap(row, key.at(1), key)) for row in rows])
    said = await client.ask("FETCH 1:2 BODY.PEEK[]")
    assert ONE in said
    assert TWO in said
    assert tagged(said).startswith(b"OK ")


async def test_a_key_that_stays_broken_is_told(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE)
    room.keys.closed = KeyBroken("the key of the mailbox does not open where it stands")
    said = tagged(await client.ask("FETCH 1 BODY.PEEK[]"))
    assert said.startswith(b"NO [CORRUPTION] The key of the mailbox does not open where it stands")


async def test_blobs_that_are_away_are_a_passing_fault(room: ImapRoom, client: Client) -> None:
    await opened(room, client, ONE)
    room.blobs.away = True
    assert tagged(await client.ask("FETCH 1 BODY.PEEK[]")).startswith(b"NO [UNAVAILABLE] ")
    room.blobs.away = False
    assert ONE in await client.ask("FETCH 1 BODY.PEEK[]")


async def test_what_another_has_expunged_is_left_out_and_told_when_it_may_be(
    room: ImapRoom, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "ROWS", 1)
    await opened(room, client, ONE, TWO)
    folder = await room.store.folder(room.ida.id)
    assert folder is not None
    await room.store.set_flags(folder.id, [1], FlagChange.ADD, DELETED)
    await room.store.expunge(folder.id)
    said = await client.ask("FETCH 1:2 BODY.PEEK[]")
    assert b"EXPUNGE\r\n" not in said
    assert b"* 2 FETCH" in said
    assert tagged(said).startswith(b"OK [EXPUNGEISSUED] ")
    assert untagged(await client.ask("NOOP")) == [b"1 EXPUNGE"]
    assert b"* 1 FETCH (BODY[] {%d}\r\n%b" % (len(TWO), TWO) in await client.ask("FETCH 1 BODY.PEEK[]")


async def test_every_message_of_the_corpus_comes_back_as_it_was_put_in(
    room: ImapRoom, client: Client, corpus: Path
) -> None:
    messages = [path.read_bytes() for path in sorted((corpus / "mime").iterdir()) if path.suffix == ".eml"]
    assert len(messages) > 100
    messages = messages[::3]  # A scenario has all of them.
    for some in (messages[:40], messages[40:]):
        many = b"".join(b" {%d+}\r\n%b" % (len(octets), octets) for octets in some)
        assert tagged(await client.ask(b"APPEND Archive" + many)).startswith(b"OK [APPENDUID ")
    await client.ask("SELECT Archive")
    said = await client.ask("FETCH 1:* BODY.PEEK[]")
    assert tagged(said).startswith(b"OK ")
    at = 0
    for number, octets in enumerate(messages, 1):
        shown = b"* %d FETCH (BODY[] {%d}\r\n%b)\r\n" % (number, len(octets), octets.replace(b"\0", b"\x80"))
        assert said[at : at + len(shown)] == shown
        at += len(shown)


async def test_a_large_message_asked_for_again_and_again_is_refused_before_it_is_opened(
    room: ImapRoom, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST", 3 * len(ONE))
    await opened(room, client, ONE)
    often = " ".join(f"BODY.PEEK[]<0.{length}>" for length in range(100, 105))
    assert tagged(await client.ask(f"FETCH 1 ({often})")).startswith(b"NO [LIMIT] That asks for too many parts")
    assert room.blobs.looked == []
    assert tagged(await client.ask("FETCH 1 (BODY.PEEK[]<0.5> BODY.PEEK[HEADER] BODY.PEEK[TEXT])")).startswith(b"OK")
