"""Any octets, in any pieces, on an IMAP connection: responses that make sense, or its end; nothing is left over."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.storage.migrate import migrate_shared
from gateway.storage.shared import Shared
from tests.fakes.imap import Client, ImapRoom

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
LINE = re.compile(rb"(\*|\+|[\x21-\x7e]+)( [^\r\n]*)?")
# Words that only a program's inside would say.
INSIDE = re.compile(rb"Traceback|Error\b|Exception|object at|NoneType|\.py|asyncio|pymap|gateway")
MESSAGE = b"From: ida@corp.example\r\nSubject: words\r\n\r\nSome words.\r\n"

COMMANDS = [
    b"SELECT INBOX",
    b"EXAMINE Sent",
    b"FETCH 1:* (FLAGS UID)",
    b"UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)] ENVELOPE BODYSTRUCTURE)",
    b"FETCH 1 BODY[1.2.MIME]<0.5>",
    b"FETCH * BINARY[1]",
    b"STORE 1 +FLAGS (\\Deleted x)",
    b"UID STORE 1:5 (UNCHANGEDSINCE 3) FLAGS.SILENT ()",
    b"SEARCH OR (NOT SEEN) SUBJECT words",
    b"SEARCH RETURN (ALL) CHARSET UTF-8 BODY {5+}\r\nwords",
    b'UID SEARCH UID 1:* HEADER x ""',
    b"COPY 1:* Archive",
    b"UID MOVE 1 Trash",
    b"EXPUNGE",
    b'APPEND Sent (\\Seen) " 3-Nov-2026 10:12:00 +0200" {5+}\r\nwords',
    b"APPEND Sent {5}",
    b"APPEND INBOX {9000+}\r\n" + b"x" * 9000,
    b"CREATE A/B",
    b"DELETE A/B",
    b"RENAME A &Jjo-",
    b'LIST "" "*%*"',
    b'LIST (SPECIAL-USE) "" (a b*) RETURN (CHILDREN)',
    b'LSUB "" *',
    b"STATUS INBOX (MESSAGES UIDNEXT)",
    b"SUBSCRIBE Sent",
    b"IDLE",
    b"NOOP",
    b"CLOSE",
    b"UNSELECT",
    b"GETQUOTAROOT INBOX",
    b"ENABLE CONDSTORE",
    b"NAMESPACE",
    b'ID ("name" "x")',
    b"LOGOUT",
    b"AUTHENTICATE PLAIN AA==",
    b"LOGIN ida falsch",
]
PIECES = [
    b"\r\n",
    b"\n",
    b"(",
    b")",
    b'"',
    b"\\",
    b"{3}",
    b"{3+}\r\n",
    b"~{2+}\r\n",
    b"\0",
    b"*",
    b"%",
    b"[",
    b"]<",
    b"&",
    b"DONE\r\n",
]
OCTETS = st.one_of(
    st.lists(st.sampled_from(COMMANDS), max_size=12).map(
        lambda some: b"".join(b"t%d %b\r\n" % one for one in enumerate(some))
    ),
    st.lists(st.sampled_from(COMMANDS + PIECES) | st.binary(max_size=10), max_size=25).map(b" ".join),
    st.binary(max_size=300),
)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared database, to be copied for each example."""
    path = tmp_path_factory.mktemp("imap") / "first.db"
    migrate_shared(path)
    return path


async def talk(
    migrated: Path, executor: ThreadPoolExecutor, octets: bytes, cuts: list[int], *, logged_in: bool
) -> None:
    path = migrated.with_name("shared.db")
    shutil.copy(migrated, path)
    shared = Shared(path)
    try:
        await talk_with(ImapRoom(shared, executor), octets, cuts, logged_in=logged_in)
    finally:
        shared.close()


async def talk_with(room: ImapRoom, octets: bytes, cuts: list[int], *, logged_in: bool) -> None:
    await room.make()
    await room.put(MESSAGE)
    server = room.server(max_bad_commands=1000)
    client = Client(server)
    await client.until(b"* OK")
    if logged_in:
        await client.log_in()
        await client.ask("SELECT INBOX")
    places = sorted({cut % (len(octets) + 1) for cut in cuts})
    for a, b in zip([0, *places], [*places, len(octets)], strict=True):
        client.feed(octets[a:b])
        await asyncio.sleep(0)
    # In step again, whatever was open: the end of a literal, of a line, of IDLE; then a command.
    client.feed(b"\r\n" + b"y" * 9000 + b"\r\nDONE\r\n\r\nz1 NOOP\r\n\r\nz2 NOOP\r\n")
    async with asyncio.timeout(20):
        while not client.transport.closed and not re.search(rb"(\A|\n)z2 [^\n]*\n", bytes(client.transport.said)):
            await asyncio.sleep(0.001)
    check(bytes(client.transport.said), octets)
    assert not [facts for level, event, facts in room.told if level == "error"], room.told
    client.hang_up()
    await server.close(5)
    assert len(server) == 0
    assert server._memory.free == server._memory._whole
    assert "geheim" not in repr(room.told)


def check(said: bytes, octets: bytes) -> None:
    """Lines that make sense, literals taken out; no word of the program's inside but what the client said, as a tag."""
    at = 0
    while at < len(said):
        end = said.index(b"\r\n", at)
        line = said[at:end]
        at = end + 2
        while (literal := re.search(rb"\{(\d+)\}\Z", line)) is not None:
            at += int(literal[1])
            end = said.index(b"\r\n", at)
            line = said[at:end]
            at = end + 2
        else:
            assert LINE.fullmatch(line) or b")" in line, line
        assert all(word in octets for word in INSIDE.findall(line)), line


def test_any_octets_are_answered_or_end_the_connection(migrated: Path) -> None:
    end = monotonic() + SECONDS
    with ThreadPoolExecutor(2) as executor, asyncio.Runner() as runner:

        @settings(
            max_examples=50,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        )
        @given(OCTETS, st.lists(st.integers(0, 10_000), max_size=6), st.booleans())
        def play(octets: bytes, cuts: list[int], logged_in: bool) -> None:
            if monotonic() < end + 30:  # Shrinking what was found has its time too.
                runner.run(talk(migrated, executor, octets, cuts, logged_in=logged_in))

        while monotonic() < end:
            play()
