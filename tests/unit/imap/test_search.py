"""SEARCH: by flags, dates and sizes without opening anything; by words only in what those have left."""

from __future__ import annotations

import asyncio

import pytest

from gateway.imap import searching
from gateway.imap.memory import Memory
from gateway.mailboxes.faults import PolicyDenied
from tests.fakes.imap import Client, ImapRoom, comes, tagged, untagged

DAY = 86400.0
MESSAGES = (
    b"From: Ida <ida@corp.example>\r\nSubject: The first\r\nDate: Mon, 2 Nov 2026 23:00:00 -0500\r\n\r\nApples.\r\n",
    b"From: otto@partner.example\r\nTo: ida@corp.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nPears and \xc3\x84PFEL.\r\n" + b"x" * 500,
    b"From: eve@elsewhere.example\r\nSubject: none\r\nX-Odd: value\r\n\r\nNothing.\r\n",
)


@pytest.fixture
async def inbox(room: ImapRoom, client: Client) -> Client:
    """Three messages of three days."""
    for number, octets in enumerate(MESSAGES):
        await room.put(octets, date=20000 * DAY + number * DAY + 3600, flags=(0, 1, 4)[number])
    await client.ask("SELECT INBOX")
    await client.ask("STORE 3 +FLAGS.SILENT ($Work)")
    room.blobs.looked.clear()
    return client


async def found(client: Client, keys: str | bytes, *literals: bytes) -> bytes:
    command = b"SEARCH " + (keys.encode() if isinstance(keys, str) else keys)
    said = await client.ask(command, *literals)
    assert tagged(said).startswith(b"OK "), said
    return untagged(said)[0].removeprefix(b"SEARCH").strip()


CHEAP = [
    ("ALL", b"1 2 3"),
    ("SEEN", b"2"),
    ("UNSEEN", b"1 3"),
    ("NOT SEEN FLAGGED", b"3"),
    ("OR SEEN FLAGGED", b"2 3"),
    ("KEYWORD $work", b"3"),
    ("UNKEYWORD $Work", b"1 2"),
    ("KEYWORD unknown", b""),
    ("2:*", b"2 3"),
    ("NOT UID 2", b"1 3"),
    ("(1,3 (NOT 3))", b"1"),
    ("ON 5-Oct-2024", b"2"),
    ("SINCE 5-Oct-2024", b"2 3"),
    ("BEFORE 5-Oct-2024", b"1"),
    ("LARGER 300", b"2"),
    ("SMALLER 90", b"3"),
    ("NEW", b""),
    ("OLD", b"1 2 3"),
    ("NOT (OR NEW RECENT)", b"1 2 3"),
]


async def test_flags_dates_and_sizes_open_nothing(room: ImapRoom, inbox: Client) -> None:
    for keys, numbers in CHEAP:
        assert await found(inbox, keys) == numbers
        assert room.blobs.looked == []


WORDS = [
    (b"SUBJECT first", b"1"),
    (b'FROM "IDA"', b"1"),
    (b"TO ida@corp.example", b"2"),
    (b"BODY apples", b"1"),
    ('SUBJECT "GRÜSSE"'.encode(), b"2"),
    ('CHARSET UTF-8 BODY "äpfel"'.encode(), b"2"),
    (b"HEADER X-Odd val", b"3"),
    (b'HEADER X-Odd ""', b"3"),
    (b"NOT TEXT apples", b"2 3"),
    (b"SENTON 2-Nov-2026", b"1"),
    (b"SENTBEFORE 3-Nov-2026", b"1"),
    (b"OR BODY pears SUBJECT none", b"2 3"),
    (b"UNSEEN BODY nothing", b"3"),
]


async def test_words_are_found_in_what_messages_say(inbox: Client) -> None:
    for keys, numbers in WORDS:
        assert await found(inbox, keys) == numbers


async def test_words_come_as_literals_too(inbox: Client) -> None:
    word = "grüße".encode()
    assert await found(inbox, b"CHARSET UTF-8 SUBJECT {%d}" % len(word), word + b"\r\n") == b"2"


async def test_only_what_is_left_is_opened(room: ImapRoom, inbox: Client) -> None:
    assert await found(inbox, "SEEN BODY pears") == b"2"
    assert len(room.blobs.looked) == 1


async def test_results_may_be_told_in_short(inbox: Client) -> None:
    said = await inbox.ask("UID SEARCH RETURN (MIN MAX COUNT ALL) UNDELETED")
    assert untagged(said) == [b'ESEARCH (TAG "a4") UID MIN 1 MAX 3 COUNT 3 ALL 1:3']
    assert untagged(await inbox.ask("SEARCH RETURN () DELETED")) == [b'ESEARCH (TAG "a5")']
    assert untagged(await inbox.ask("SEARCH RETURN (COUNT) DELETED")) == [b'ESEARCH (TAG "a6") COUNT 0']


NONSENSE = ["", "NONSENSE", "SUBJECT", "OR SEEN", "9", "ON 31-Feb-2026", "KEYWORD \\Seen", "(SEEN", "LARGER x"]


async def test_keys_that_make_no_sense_are_bad(inbox: Client) -> None:
    for keys in NONSENSE:
        assert tagged(await inbox.ask(f"SEARCH {keys}")).startswith(b"BAD ")


async def test_other_charsets_are_refused_with_those_that_are_known(inbox: Client) -> None:
    said = tagged(await inbox.ask("SEARCH CHARSET ISO-8859-1 SUBJECT x"))
    assert said.startswith(b"NO [BADCHARSET (US-ASCII UTF-8)] ")
    assert tagged(await inbox.ask("SEARCH CHARSET hex SUBJECT x")).startswith(b"NO [BADCHARSET ")


async def test_keys_too_deep_inside_of_each_other_are_refused(inbox: Client) -> None:
    assert tagged(await inbox.ask("SEARCH " + "(" * 100 + "ALL" + ")" * 100)).startswith(b"BAD ")
    assert tagged(await inbox.ask("SEARCH " + "OR SEEN " * 70 + "ALL")).startswith(b"NO [LIMIT] ")
    assert tagged(await inbox.ask("SEARCH " + "OR SEEN " * 5000 + "ALL")).startswith(b"BAD ")
    assert tagged(await inbox.ask("SEARCH SUBJECT " + "x" * 1001)).startswith(b"NO [LIMIT] ")


async def test_a_search_that_would_open_too_much_is_refused(room: ImapRoom) -> None:
    await room.put(*[b"Subject: x\r\n\r\n" + b"y" * 1000 for _ in range(3)])
    client = Client(room.server(max_search=2048))
    await client.log_in()
    await client.ask("SELECT INBOX")
    assert tagged(await client.ask("SEARCH BODY y")).startswith(b"NO [LIMIT] ")
    assert untagged(await client.ask("SEARCH 1:2 BODY y")) == [b"SEARCH 1 2"]
    assert tagged(await client.ask("SEARCH ALL")).startswith(b"OK ")


async def test_a_header_counts_with_all_its_octets(room: ImapRoom) -> None:
    await room.put(b"X-Long: " + b"x" * (3 << 19) + b"\r\nSubject: found\r\n\r\ntext", MESSAGES[0])
    client = Client(room.server(max_search=5 << 18))
    await client.log_in()
    await client.ask("SELECT INBOX")
    assert tagged(await client.ask("SEARCH 1 SUBJECT found")).startswith(b"NO [LIMIT] ")
    assert await found(client, "2 SUBJECT first") == b"2"


@pytest.mark.parametrize("command", ["SEARCH TEXT apples", "SEARCH SUBJECT first", "FETCH 1 BODY.PEEK[]"])
async def test_a_policy_that_closes_while_somebody_waits_for_memory_is_closed_to_them(
    room: ImapRoom, command: str
) -> None:
    """How long one waits has no end, and a key may be used only for as long as it is given out."""
    server = room.server()
    server._memory = Memory(100)
    occupied = await server._memory.of("others").take(100)
    client = Client(server)
    await client.log_in()
    await room.put(*MESSAGES)
    await client.ask("SELECT INBOX")
    room.blobs.looked.clear()
    asked = asyncio.ensure_future(client.ask(command))
    await comes(lambda: bool(server._memory._waiting))
    room.keys.closed = PolicyDenied("the policy is denied", policy="house", mailbox="ida@corp.example")
    server._memory.of("others").give(occupied)
    assert tagged(await asked).startswith(b"NO [UNAVAILABLE] ")
    assert room.blobs.looked == []
    assert server._memory.free == 100


async def test_messages_that_are_damaged_are_told_and_the_others_found(room: ImapRoom, inbox: Client) -> None:
    names = list(room.blobs.kept)
    room.blobs.kept[names[1]] = b"\x01" + b"\x00" * 100
    said = await inbox.ask("SEARCH BODY e")
    assert untagged(said) == [b"SEARCH 1"]
    assert tagged(said).startswith(b"NO [CORRUPTION] 1 messages are damaged")


async def test_a_closed_mailbox_is_searched_by_flags_alone(room: ImapRoom, inbox: Client) -> None:
    room.keys.closed = PolicyDenied("both root keys are disabled")
    assert tagged(await inbox.ask("SEARCH BODY e")).startswith(b"NO [UNAVAILABLE] ")
    assert await found(inbox, "SEEN") == b"2"


async def test_a_large_message_is_searched_from_its_beginning(
    room: ImapRoom, inbox: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MAX_MESSAGE", 2 << 20)
    monkeypatch.setattr(searching, "OCTETS", 1 << 20)
    await room.put(b"Subject: large\r\n\r\nbegin\r\n" + b"filling\r\n" * 250_000 + b"end\r\n")
    await inbox.ask("NOOP")
    assert await found(inbox, "BODY begin") == b"4"
    assert await found(inbox, "4 SUBJECT large") == b"4"
