"""What is closed, damaged, full or nonsense concerns nobody else."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.scenarios.peers.imap import RawImap, Refused, Session
from tests.scenarios.peers.mailroom import PASSWORD, Mailroom, marks
from tests.scenarios.peers.ports import answers, until

LARGE = b"Obsidianlark, once more and once more after that, to the end of it.\r\n" * 20_000  # Two chunks.


def letter(mark: object, text: bytes = b"Obsidianlark\r\n") -> bytes:
    return f"Subject: mark {mark}\r\nX-Mark: {mark}\r\n\r\n".encode() + text


@contextmanager
def second_policy(room: Mailroom) -> Iterator[str]:
    """A policy whose roots are disabled at the end."""
    for vault in ("root-a", "root-b"):
        room.does("key", "create", f"{vault}/apart", "--type", "aes-256")
    room.does("policy", "create", "apart", "--root", "root-a/apart", "--root", "root-b/apart")
    yield "apart"


def test_a_mailbox_whose_keys_are_denied_says_so_and_others_go_on(room: Mailroom, somebody: Callable[..., str]) -> None:
    with second_policy(room) as policy:
        closes, stays = somebody("--policy", policy), somebody()
        for address in (closes, stays):
            room.write(1, address)
            room.arrived(1, address)
        with room.session(closes) as open_one, room.session(stays) as other:
            open_one.select()
            other.select()
            for vault in ("root-a", "root-b"):
                room.does("key", "disable", f"{vault}/apart", "--yes")
            # Who is in it hears it, at once, and keeps his connection.
            until(lambda: says_unavailable(open_one), "a session in it to hear that it is closed", 10)
            assert len(other.all()) == 1
        said = room.closed(closes)
        assert "apart" in said and "root" in said
        assert "mailbox_closed" in room.gateway.log or "policy_denied" in room.gateway.log
        waits = room.write(2, closes)
        room.write(2, stays)
        assert marks(room.arrived(2, stays)) == ["1", "2"]
        row = room.gateway.tried(waits)
        assert row["state"] == "waiting"
        for vault in ("root-a", "root-b"):
            room.does("key", "enable", f"{vault}/apart")
        assert marks(room.opens(closes))[:1] == ["1"]
        room.gateway.retry_all()
        assert marks(room.arrived(2, closes)) == ["1", "2"]


def says_unavailable(session: Session) -> bool:
    try:
        session.octets("1:*")
    except Refused as refused:
        assert "UNAVAILABLE" in str(refused), refused
        return True
    return False


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def damaged(room: Mailroom, somebody: Callable[..., str]) -> tuple[str, dict[str, list[str]]]:
    """A mailbox with small messages and a large one, and the blobs of each mark."""
    address = somebody()
    blobs: dict[str, list[str]] = {}
    known = set(room.chunks())
    with room.session(address) as session:
        for mark in ("a", "b", "large", "c", "d", "e"):
            session.append(letter(mark, LARGE if mark == "large" else b"Obsidianlark\r\n"))
            blobs[mark] = sorted(set(room.chunks()) - known)
            known = set(room.chunks())
    assert {mark: len(names) for mark, names in blobs.items()} == {
        "a": 1, "b": 1, "large": 2, "c": 1, "d": 1, "e": 1,
    }  # fmt: skip
    return address, blobs


SMALL = ("flipped", "swapped", "missing", "truncated", "duplicated", "empty", "longer")


@pytest.mark.parametrize(
    ("harm", "mark"), [*((one, "b") for one in SMALL), *((one, "large") for one in ("flipped", "swapped", "missing"))]
)
def test_a_damaged_message_says_so_by_name_and_the_others_read_on(
    room: Mailroom, damaged: tuple[str, dict[str, list[str]]], harm: str, mark: str
) -> None:
    address, blobs = damaged
    places = {path.name: path for path in room.blobs.rglob("*") if path.is_file()}
    hurt, other = places[blobs[mark][0]], places[blobs[mark][1] if mark == "large" else blobs["c"][0]]
    before = {path: path.read_bytes() for path in (hurt, other)}
    try:
        match harm:
            case "flipped":
                octets = bytearray(before[hurt])
                octets[len(octets) // 2] ^= 1
                hurt.write_bytes(octets)
            case "swapped":
                hurt.write_bytes(before[other])
                other.write_bytes(before[hurt])
            case "missing":
                hurt.unlink()
            case "truncated":
                hurt.write_bytes(before[hurt][:-1])
            case "duplicated":
                hurt.write_bytes(before[other])
            case "empty":
                hurt.write_bytes(b"")
            case "longer":
                hurt.write_bytes(before[hurt] + b"x")
        broken = {mark, "c"} if harm == "swapped" and mark == "b" else {mark}
        read_around(room, address, broken)
    finally:
        for path, octets in before.items():
            path.write_bytes(octets)
    with room.session(address) as session:
        assert marks(session.all()) == ["a", "b", "large", "c", "d", "e"]


def read_around(room: Mailroom, address: str, broken: set[str]) -> None:
    """Everything but the broken ones is read, in one FETCH and each by itself; what is broken is told by its number."""
    order = ["a", "b", "large", "c", "d", "e"]
    numbers = {uid for uid, mark in enumerate(order, 1) if mark in broken}
    with room.raw() as raw:
        raw.line()
        assert raw.ask(f'LOGIN {address} "{PASSWORD}"')[0] == "OK"
        assert raw.ask("SELECT INBOX")[0] == "OK"
        kind, lines = raw.ask("UID FETCH 1:* (UID BODY.PEEK[])")
        assert kind == "NO", lines[-1]
        found = [line[8:].decode() for line in lines if line.startswith(b"X-Mark: ")]
        assert found == [mark for mark in order if mark not in broken]
        told = lines[-1].decode()
        assert all(str(number) in told for number in numbers), told
        for uid, mark in enumerate(order, 1):
            assert raw.ask(f"UID FETCH {uid} (BODY.PEEK[])")[0] == ("NO" if mark in broken else "OK"), mark
        # What needs no content is told of the broken ones too.
        kind, lines = raw.ask("UID FETCH 1:* (FLAGS RFC822.SIZE INTERNALDATE)")
        assert (kind, len(lines)) == ("OK", len(order) + 1)
        assert raw.ask("NOOP")[0] == "OK"
    said = room.gateway.run("mailbox", "verify", address)
    assert said.returncode == 1, said.stdout
    assert "Traceback" not in said.stderr


def test_rows_that_were_swapped_or_copied_are_found(room: Mailroom, somebody: Callable[..., str]) -> None:
    """What somebody does who can write to the database."""
    one, two = somebody(), somebody()
    for address, count in ((one, 2), (two, 1)):
        with room.session(address) as session:
            for mark in range(count):
                session.append(letter(f"{address}-{mark}"))
    table = {row[0]: row for row in room.query("SELECT id, map, blobs FROM mailbox_contents ORDER BY created")}
    first, second, third = list(table)[-3:]
    for other in (second, third):  # Of the same mailbox, and of another one.
        room.change("UPDATE mailbox_contents SET map = ?, blobs = ? WHERE id = ?", *table[other][1:], first)
        try:
            with room.session(one) as session:
                session.select()
                for uids, kind in (("1", "NO"), ("2", "OK")):
                    said = session.imap.uid("FETCH", uids, "(BODY.PEEK[])")
                    assert said[0] == kind, (uids, said)
        finally:
            room.change("UPDATE mailbox_contents SET map = ?, blobs = ? WHERE id = ?", *table[first][1:], first)
    with room.session(one) as session:
        assert len(session.all()) == 2


# -- quota ------------------------------------------------------------------------------------------------------------


def test_a_mailbox_that_is_full_says_so_to_everybody(room: Mailroom, somebody: Callable[..., str]) -> None:
    address = somebody("--quota", "100000")
    with room.session(address) as session:
        session.append(letter(1, b"x" * 76 + b"\r\n" * 500))
        with pytest.raises(Refused, match="OVERQUOTA"):
            session.append(letter(2, (b"x" * 76 + b"\r\n") * 1500))
        assert len(session.all()) == 1
    said = room.post(letter(3, (b"x" * 76 + b"\r\n") * 1500), address)
    if said.startswith("250"):  # Taken, and then told by a notice.
        room.gateway.drained()
    else:
        assert said.startswith(("452 4.2.2", "552 5.2.2")), said
    assert room.count(address) == 1
    room.does("mailbox", "quota", address, "1000000")
    room.write(4, address)
    assert marks(room.arrived(2, address)) == ["1", "4"]


def test_nobody_else_gets_in(room: Mailroom, somebody: Callable[..., str]) -> None:
    address, other = somebody(), somebody()
    room.write(1, other)
    room.arrived(1, other)
    with room.session(address) as session:
        for name in (f"user/{other}", other, f"../{other}/INBOX", "#shared/INBOX"):
            with pytest.raises((Refused, session.imap.error)):
                session.select(name)
        assert session.select() == 0
    for password in ("", "wrong", PASSWORD + "x", "\0"):
        with pytest.raises((Refused, ValueError)):
            Session(room.port, room.ca, address, password)
    with pytest.raises(Refused):
        Session(room.port, room.ca, "nobody@corp.example", PASSWORD)
    with room.raw() as raw:  # Without a log-in.
        raw.line()
        for command in ("SELECT INBOX", 'LIST "" *', "FETCH 1 BODY[]", "IDLE", "UID SEARCH ALL", "APPEND INBOX {3}"):
            kind, _ = raw.ask(command)
            assert kind in ("BAD", "NO"), command


# -- nonsense ---------------------------------------------------------------------------------------------------------

NONSENSE = (
    b"\r\n" * 50,
    b"\0" * 1000 + b"\r\n",
    b"\xff" * 5000 + b"\r\n",
    b"a1 " + b"x" * 300_000 + b"\r\n",
    b"x" * 2_000_000,
    b"a1 LOGIN {99999999999}\r\n",
    b"a1 LOGIN {18446744073709551617}\r\n",
    b"a1 LOGIN {-1}\r\n",
    b"a1 LOGIN {3+}\r\nabc {3+}\r\nabc\r\n",
    b"a1 SEARCH " + b"(" * 5000 + b"\r\n",
    b"a1 SEARCH " + b"NOT " * 5000 + b"ALL\r\n",
    b"a1 FETCH 1:* (" + b"BODY[" * 3000 + b"\r\n",
    b"a1 FETCH " + b"1," * 50_000 + b"1 FLAGS\r\n",
    b"a1 FETCH 4294967296 FLAGS\r\n",
    b"a1 FETCH 0 FLAGS\r\n",
    b"a1 FETCH 1:4294967295 (BODY[1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16]<0.18446744073709551616>)\r\n",
    b"a1 STORE 1 FLAGS (" + b"k " * 20_000 + b")\r\n",
    b'a1 SELECT "' + b"x/" * 20_000 + b'"\r\n',
    b'a1 CREATE "&&&-"\r\n',
    b'a1 LIST "" "' + b"*%" * 5000 + b'"\r\n',
    b"a1 APPEND INBOX (" + b"\\Seen " * 10_000 + b") {5}\r\n",
    b"a1 APPEND INBOX {999999999999+}\r\n",
    b"a1 AUTHENTICATE PLAIN " + b"=" * 20_000 + b"\r\n",
    b"a1 IDLE\r\n" + b"x" * 200_000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"EHLO x\r\nMAIL FROM:<a@b>\r\n",
    b"* OK\r\n+ x\r\n",
    b"a1 UID\r\na2 UID FETCH\r\na3 FETCH 1 BODY[HEADER.FIELDS ()]\r\n",
)


@pytest.mark.parametrize("inside", [False, True])
def test_any_octets_get_bad_or_a_closed_connection(room: Mailroom, somebody: Callable[..., str], inside: bool) -> None:
    address = somebody()
    room.write(1, address)
    room.arrived(1, address)
    chance = random.Random(7788)
    octets = [*NONSENSE, *(chance.randbytes(chance.randrange(1, 4000)) + b"\r\n" for _ in range(12))]
    slowest = 0.0
    for one in octets:
        with room.raw() as raw:
            assert (raw.line() or b"").startswith(b"* OK")
            if inside:
                assert raw.ask(f'LOGIN {address} "{PASSWORD}"')[0] == "OK"
                assert raw.ask("SELECT INBOX")[0] == "OK"
            started = time.monotonic()
            said = spoken(raw, one)
            slowest = max(slowest, time.monotonic() - started)
        assert b"Traceback" not in said and b"Error:" not in said, (one[:60], said[:300])
        assert not said or any(word in said for word in (b"BAD", b"NO", b"BYE", b"OK", b"+")), one[:60]
    assert slowest < 10, "one of them kept the server busy"
    assert answers(room.port)
    assert marks(room.arrived(1, address)) == ["1"], "and nothing is changed"
    assert "Obsidianlark" not in room.gateway.log


def spoken(raw: RawImap, octets: bytes) -> bytes:
    """What is said to octets, until the connection is closed or a NOOP behind them is answered."""
    try:
        raw.send(octets)
        raw.send(b"\r\nDONE\r\nend1 LOGOUT\r\n")
    except OSError:
        pass  # Closed in the middle.
    return raw.rest(3.0)
