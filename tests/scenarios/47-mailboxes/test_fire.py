"""Everything at once: policies change places while mail comes in and is read; disks are full; mailboxes come and go."""

from __future__ import annotations

import imaplib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.scenarios.peers.imap import Refused, Session
from tests.scenarios.peers.mailroom import BERT, IDA, PASSWORD, Mailroom, marks, open_mailroom
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.reading import Reading
from tests.scenarios.peers.stream import Stream, mark_of
from tests.scenarios.peers.tiny_disk import fill, tiny_disk

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def room(make_room: Callable[..., Mailroom]) -> Mailroom:
    room = make_room().start()
    room.create(IDA)
    for vault in ("root-a", "root-b"):
        room.does("key", "create", f"{vault}/second", "--type", "aes-256")
    room.does("policy", "create", "second", "--root", "root-a/second", "--root", "root-b/second")
    return room


def insists(room: Mailroom, *arguments: str) -> None:
    """Say it again where somebody else, the roller, was first: that is what the answer asks for."""
    for _ in range(5):
        done = room.gateway.run(*arguments)
        if done.returncode == 0:
            return
        assert "say it again" in done.stderr, done.stderr
    raise AssertionError(f"{arguments}: {done.stderr}")


def test_two_policies_change_places_while_mail_comes_in_and_is_read(room: Mailroom) -> None:
    """Assign, roll, rotate, refresh and replace, again and again, on one mailbox."""
    room.write("0")
    room.arrived(1)
    with Stream(room.gateway.port, 2, recipient=IDA) as stream, Reading(room) as reading:
        stream.until_taken(3)
        insists(room, "mailbox", "assign", IDA, "second")
        insists(room, "mailbox", "roll", IDA)
        room.does("key", "rotate", "root-a/second")
        room.does("policy", "refresh", "second")
        insists(room, "mailbox", "assign", IDA, "default", "--roll")
        room.does("key", "create", "root-b/next", "--type", "aes-256")
        room.does("policy", "replace", "default", "--root", "root-b/mail=root-b/next")
        room.does("key", "disable", "root-b/mail", "--yes")
        stream.until_taken(5)
        reading.until_looked(3)
    assert (stream.refused, stream.lost, reading.faults) == ({}, [], [])
    found = room.arrived(1 + len(stream.taken), seconds=60)
    assert sorted(mark_of(one) for one in found[1:]) == sorted(stream.taken)
    until(lambda: room.mailbox(IDA)["rolling"] is False, "the last roll to end", 60)
    room.does("mailbox", "verify", IDA)
    assert "Traceback" not in room.gateway.log


# -- people and mailboxes that come and go ----------------------------------------------------------------------------


def validity(room: Mailroom, address: str) -> int:
    with room.session(address) as session:
        return session.status("INBOX", "UIDVALIDITY")["UIDVALIDITY"]


def test_a_mailbox_made_again_has_nothing_of_the_one_before(room: Mailroom, tmp_path: Path) -> None:
    zoe, out = "zoe@corp.example", tmp_path / "out"
    room.create(zoe)
    room.write("former", zoe)
    room.arrived(1, zoe)
    room.does("mailbox", "export", zoe, "--to", str(out))
    before = validity(room, zoe)
    chunks = set(room.chunks())
    with room.session(zoe) as stays:
        stays.select()
        room.does("mailbox", "remove", zoe, "--yes")
        room.does("mailbox", "create", zoe)  # The account is there still, and keeps its password.
        assert validity(room, zoe) > before
        # Who has the old one open reads nothing of the new one, and what is gone only until he is told.
        room.write("latter", zoe)
        assert marks(room.arrived(1, zoe)) == ["latter"]
        until(lambda: nothing_of(stays, b"latter"), "the session in the old mailbox to end", 30)
    assert "empty folder" in room.refuses("mailbox", "export", zoe, "--to", str(out))
    assert [path.name for path in out.rglob("*.eml")] == ["0000000001,.eml"]
    rows = room.query("SELECT count(*) FROM mailbox_contents WHERE mailbox NOT IN (SELECT id FROM mailboxes)")
    assert rows == [(0,)]
    assert chunks - {name for (blobs,) in room.query("SELECT blobs FROM mailbox_contents") for name in names_in(blobs)}


def names_in(blobs: bytes) -> list[str]:
    return [blobs[at : at + 16].hex() for at in range(0, len(blobs), 16)]


def nothing_of(session: Session, word: bytes) -> bool:
    """Whether a session is refused; what it is given meanwhile must not have `word` in it."""
    try:
        found = session.octets("1:*")
        assert not any(word in octets for octets in found.values())
        return not found
    except (Refused, imaplib.IMAP4.error):
        return True


def test_mail_for_an_account_that_is_disabled_or_gone_lies_there_until_it_is_back(room: Mailroom) -> None:
    """The mailbox is whose address it is; an account only says who may read it."""
    yves = "yves@corp.example"
    room.create(yves)
    room.does("user", "disable", yves)
    room.write("disabled", yves)
    room.gateway.drained()
    assert (room.mailbox(yves)["messages"], entered(room, yves)) == (1, False)
    room.does("user", "enable", yves)
    assert marks(room.arrived(1, yves)) == ["disabled"]
    room.does("user", "remove", yves)
    room.write("removed", yves)
    room.gateway.drained()
    assert (room.mailbox(yves)["messages"], entered(room, yves)) == (2, False)
    room.does("user", "add", yves, "--address", yves, "--password-stdin", stdin=PASSWORD + "\n")
    assert marks(room.arrived(2, yves)) == ["disabled", "removed"]


def entered(room: Mailroom, address: str) -> bool:
    try:
        room.session(address).close()
    except Refused:
        return False
    return True


def test_a_mailbox_is_full_to_the_octet(room: Mailroom) -> None:
    xena = "xena@corp.example"
    room.create(xena, "--quota", "1000")
    with room.session(xena) as session:
        session.append(b"x" * 600)
        session.append(b"x" * 400)
        for octets in (b"x", b"x" * 1001):
            with pytest.raises(Refused, match="OVERQUOTA"):
                session.append(octets)
        session.select()
        with pytest.raises(Refused, match="OVERQUOTA"):
            session.does("uid", "COPY", "2", "Archive")
        session.does("uid", "MOVE", "2", "Archive")  # It takes no more room than before.
        room.does("mailbox", "quota", xena, "500")
        assert len(session.all()) == 1
        with pytest.raises(Refused, match="OVERQUOTA"):
            session.append(b"x")
        room.does("mailbox", "quota", xena, "1001")
        session.append(b"x")
        session.select()
        session.does("uid", "STORE", "1:*", "+FLAGS", "(\\Deleted)")
        session.does("expunge")
        assert room.mailbox(xena)["used"] == 400
    refused: list[str] = []
    room.does("mailbox", "quota", xena, "1000")

    def put() -> None:
        with room.session(xena) as session:
            try:
                session.append(b"x" * 250)
            except Refused as error:
                refused.append(str(error))

    threads = [threading.Thread(target=put) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(refused) == 4 and all("OVERQUOTA" in said for said in refused)
    assert room.mailbox(xena)["used"] == 900


def test_names_lead_to_one_mailbox_and_never_in_a_circle(room: Mailroom) -> None:
    one, two = "wanda@corp.example", "walt@corp.example"
    room.create(one)
    room.create(two)
    room.does("mailbox", "alias", "add", one, "sales@corp.example")
    for taken in ("sales@corp.example", one):
        room.refuses("mailbox", "alias", "add", two, taken)
    room.refuses("mailbox", "alias", "add", two, "*@corp.example")
    room.does("mailbox", "catch-all", "corp.example", "sales@corp.example")
    room.write("once", one, "sales@corp.example", "wanda+x@corp.example", "nobody-at-all@corp.example")
    room.gateway.drained()
    (octets,) = room.arrived(1, one)
    assert octets.count(b"Delivered-To: ") == 4
    room.does("mailbox", "catch-all", "corp.example", two)
    room.does("mailbox", "remove", two, "--yes")
    assert room.post(b"Subject: x\r\n\r\nx", "nobody-at-all@corp.example").startswith("550 5.1.1")


# -- a gateway that tries again after a quarter of an hour alone -------------------------------------------------------


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailroom]:
    template = (HERE / "gateway.toml").read_text().replace("first = 1\nlongest = 1", "first = 900\nlongest = 3600")
    assert "first = 900" in template
    with ExitStack() as stack:
        room = stack.enter_context(open_mailroom(tmp_path_factory.mktemp("patient") / "gw", template)).start()
        for vault in ("root-a", "root-b"):
            room.does("key", "create", f"{vault}/berts", "--type", "aes-256")
        room.does("policy", "create", "berts", "--root", "root-a/berts", "--root", "root-b/berts")
        room.create(BERT, "--policy", "berts")
        room.create(IDA)
        yield room


def berts(room: Mailroom, verb: str) -> None:
    for vault in ("root-a", "root-b"):
        room.does("key", verb, f"{vault}/berts", *(["--yes"] if verb == "disable" else []))


def test_mail_that_waited_for_a_policy_is_tried_as_soon_as_it_is_open(patient: Mailroom) -> None:
    """By its owners' command, whether the gateway serves then or not; nobody retries by hand."""
    room = patient
    berts(room, "disable")
    room.closed(BERT)
    id_ = room.write("served", BERT)
    assert room.gateway.tried(id_)["state"] == "waiting"
    room.does("key", "enable", "root-a/berts")
    assert marks(room.arrived(1, BERT, seconds=40)) == ["served"]
    until(lambda: "open again" in str(room.gateway.events(id_)), "the trace to say why it was tried")
    berts(room, "disable")
    room.closed(BERT)
    id_ = room.write("stopped", BERT)
    assert room.gateway.tried(id_)["state"] == "waiting"
    assert room.gateway.stop() == 0
    berts(room, "enable")
    room.start()
    assert marks(room.arrived(2, BERT, seconds=40)) == ["served", "stopped"]


MANY = 300
LONG = (b"y" * 76 + b"\r\n") * 1200
MBOX = b"".join(
    b"From x Thu Nov 26 10:00:00 2026\nSubject: mark m%d\nX-Mark: m%d\n\n%b\n\n" % (number, number, b"y" * 7_500)
    for number in range(MANY)
)


def test_a_full_disk_of_contents_lets_mail_wait_and_says_so(patient: Mailroom, tmp_path: Path) -> None:
    room = patient
    room.write("before")
    room.arrived(1)
    source = tmp_path / "mail.mbox"
    source.write_bytes(MBOX)
    with tiny_disk(room.blobs, 16 << 20) as disk:
        ballast = fill(disk, 1500 << 10)
        said = room.refuses("mailbox", "import", IDA, str(source), "--folder", "Old")
        assert "full" in said
        done = room.count(folder="Old")
        assert 0 < done < MANY and done % 64 == 0, f"{done} messages: a batch is half"
        fill(disk)
        id_ = room.write("waits", text=b"z" * 70 + b"\r\n")
        row = room.gateway.tried(id_)
        assert (row["state"], row["recipients"][0]["enhanced"]) == ("waiting", "4.3.1"), row
        with room.session() as session:
            with pytest.raises(Refused, match="UNAVAILABLE"):
                session.append(b"Subject: x\r\n\r\nx\r\n")
            assert marks(session.all()) == ["before"]
            session.select()
            session.does("uid", "STORE", "1", "+FLAGS", "(\\Seen)")
        room.does("mailbox", "roll", IDA)  # It writes no chunk.
        until(lambda: room.mailbox(IDA)["rolling"] is False, "the roll to end", 60)
        ballast.unlink()
        room.does("mailbox", "import", IDA, str(source), "--folder", "Old")
        room.gateway.retry_all()
        assert marks(room.arrived(2)) == ["before", "waits"]
        with room.session() as session:
            session.append(b"Subject: mark x\r\nX-Mark: after\r\n\r\nx\r\n")
        assert marks(room.arrived(MANY, folder="Old")) == [f"m{number}" for number in range(MANY)]
        room.does("mailbox", "verify", IDA)
        pointed = {name for (blobs,) in room.query("SELECT blobs FROM mailbox_contents") for name in names_in(blobs)}
        assert pointed <= set(room.chunks())
        assert "Traceback" not in room.gateway.log


def until_refused(room: Mailroom) -> list[str]:
    """Marks of those that were still taken: the journals' files have room when the disk has none."""
    taken: list[str] = []
    while not (said := room.post(f"X-Mark: taken{len(taken):03}\r\n\r\n".encode() + LONG)).startswith("4"):
        assert said.startswith("250") and len(taken) < 500, said
        taken.append(f"taken{len(taken):03}")
    return taken


def test_a_full_disk_of_everything_stops_nothing_for_good(tmp_path: Path) -> None:
    url = 'url = "sqlite:data"'
    template = (HERE / "gateway.toml").read_text().replace(url, f"{url}\nmin_free = 0")
    with ExitStack() as stack:
        room = stack.enter_context(open_mailroom(tmp_path / "gw", template))
        disk = stack.enter_context(tiny_disk(room.gateway.folder / "data", 64 << 20))
        try:
            room.start()
            room.create(IDA)
            for mark in range(3):
                room.write(mark)
            room.arrived(3)
            workers = room.gateway.workers()
            ballast = fill(disk)
            taken = until_refused(room)
            with room.session() as session:
                with pytest.raises(Refused, match="UNAVAILABLE"):
                    session.append(b"Subject: x\r\n\r\n" + b"x" * 10_000)
                assert sorted(marks(session.all())[:3]) == ["0", "1", "2"]  # They come in no order of their own.
            done = room.gateway.run("mailbox", "roll", IDA)
            assert "Traceback" not in done.stderr
            assert done.returncode == 0 or "full" in done.stderr, done.stderr
            time.sleep(1)
            assert sorted(marks(room.opens())[:3]) == ["0", "1", "2"]
            ballast.unlink()
            room.write("after")
            assert sorted(marks(room.arrived(4 + len(taken), seconds=90))) == ["0", "1", "2", "after", *taken]
            insists(room, "mailbox", "roll", IDA)
            until(lambda: room.mailbox(IDA)["rolling"] is False, "the roll to end", 60)
            room.does("mailbox", "verify", IDA)
            assert room.gateway.workers() == workers, "a process has died of it"
            assert "Traceback" not in room.gateway.log
        finally:
            room.gateway.stop()


def test_no_word_of_a_message_and_no_password_is_told(room: Mailroom, patient: Mailroom) -> None:
    for one in (room, patient):
        told = "".join(
            str(one.gateway.json(*words))
            for words in (
                ("mailbox", "list"),
                ("mailbox", "show", IDA),
                ("policy", "list"),
                ("policy", "show", "default"),
                ("queue", "list"),
                ("trace", "--to", IDA),
                ("status",),
                ("user", "list"),
            )
        )
        for word in ("Good morning", "mark 0", "mark before", PASSWORD):
            assert word not in told + one.gateway.log, word
