"""What one gateway does with mailboxes is so at the other at once."""

from __future__ import annotations

import json
from pathlib import Path

from tests.scenarios.peers.imap import RawImap
from tests.scenarios.peers.mailroom import BERT, IDA, PASSWORD, Mailroom, changed, marks
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.reading import Reading
from tests.scenarios.peers.stream import Stream, mark_of

CLEO, DORA, EVA = "cleo@corp.example", "dora@corp.example", "eva@corp.example"
LARGE = b"a line of a large message\r\n" * 60_000
Rooms = tuple[Mailroom, Mailroom]


def idling(room: Mailroom, address: str) -> RawImap:
    """Somebody who has said IDLE in his inbox."""
    raw = room.raw()
    raw.line()
    assert raw.ask(f'LOGIN {address} "{PASSWORD}"')[0] == "OK"
    assert raw.ask("SELECT INBOX")[0] == "OK"
    raw.send(b"i1 IDLE\r\n")
    assert (raw.line() or b"").startswith(b"+ ")
    return raw


def hears(raw: RawImap, word: bytes) -> bool:
    """Whether a line with that word comes; what else comes on the way is not looked at."""
    while (line := raw.line()) is not None:
        if word in line:
            return True
    return False


def wrapped(room: Mailroom) -> dict[int, tuple[object, ...]]:
    """Each mailbox's key, and under which policy it lies."""
    return {row[0]: row for row in room.query("SELECT id, policy, wrapped FROM mailboxes")}


def test_mail_that_one_takes_is_read_at_the_other_by_who_idles_there(rooms: Rooms) -> None:
    first, second = rooms
    first.create(IDA)
    with idling(second, IDA) as at_second, idling(first, IDA) as at_first:
        first.write("one")
        assert hears(at_second, b"1 EXISTS") and hears(at_first, b"1 EXISTS")
        second.write("two", text=LARGE)
        assert hears(at_first, b"2 EXISTS") and hears(at_second, b"2 EXISTS")
        with second.session() as session:
            session.select()
            session.does("uid", "STORE", "1", "+FLAGS", "(\\Flagged)")
        assert hears(at_first, b"\\Flagged")
    assert marks(second.arrived(2)) == ["one", "two"]
    assert first.arrived(2) == second.arrived(2)
    assert first.arrived(2)[1].endswith(LARGE)


def test_commands_of_either_reach_both_while_mail_comes_and_is_read(rooms: Rooms) -> None:
    first, second = rooms
    before = first.count()
    with (
        Stream(first.gateway.port, 1, recipient=IDA) as to_first,
        Stream(second.gateway.port, 1, recipient=IDA) as to_second,
        Reading(second) as reading,
    ):
        to_first.until_taken(3)
        reading.until_looked()
        policies = first.rows("mailbox_policies")["mailbox_policies"]
        first.does("key", "rotate", "root-a/mail")
        second.does("policy", "refresh", "default")
        assert [one["key_version"] for one in first.policy()["keys"] if one["key"] == "root-a/mail"] == [2]
        first.does("key", "create", "root-b/next", "--type", "aes-256")
        first.does("policy", "replace", "default", "--root", "root-b/mail=root-b/next")
        second.does("key", "disable", "root-b/mail", "--yes")
        assert len(changed(policies, first.rows("mailbox_policies")["mailbox_policies"])) == 1
        to_second.until_taken(3)
        for vault in ("root-a", "root-b"):
            first.does("key", "create", f"{vault}/other", "--type", "aes-256")
        second.does("policy", "create", "other", "--root", "root-a/other", "--root", "root-b/other")
        keys = wrapped(second)
        first.does("mailbox", "assign", IDA, "other")
        assert len(changed(keys, wrapped(second))) == 1
        reading.until_looked()
        version = second.mailbox(IDA)["key_version"]
        second.does("mailbox", "roll", IDA)
        to_first.until_taken(3)
        to_second.until_taken(3)

        def rolled() -> bool:
            told = first.mailbox(IDA)
            return (told["key_version"], told["rolling"], told["left"]) == (version + 1, False, 0)

        until(rolled, "all to lie under the next key", 60)
        reading.until_looked()
    assert (to_first.refused, to_first.lost, to_second.refused, to_second.lost) == ({}, [], {}, [])
    assert reading.faults == []
    taken = len(to_first.taken) + len(to_second.taken)
    found = [mark_of(one) for one in second.arrived(before + taken)[before:]]
    assert sorted(found) == sorted(to_first.taken + to_second.taken), "each is there exactly once"
    for room in rooms:
        room.does("mailbox", "verify", IDA)
        room.gateway.drained()
    second.does("key", "enable", "root-b/mail")


def test_a_policy_that_is_denied_at_one_is_closed_at_both(rooms: Rooms) -> None:
    first, second = rooms
    for vault in ("root-a", "root-b"):
        first.does("key", "create", f"{vault}/berts", "--type", "aes-256")
    first.does("policy", "create", "berts", "--root", "root-a/berts", "--root", "root-b/berts")
    second.create(BERT, "--policy", "berts")
    first.write("before", BERT)
    second.arrived(1, BERT)
    for vault in ("root-a", "root-b"):
        first.does("key", "disable", f"{vault}/berts", "--yes")
    for room in rooms:
        assert "berts" in room.closed(BERT)
    written = ["before"]

    def waits() -> bool:
        """Whether the next mail does. A worker that has not heard of it yet delivers one more."""
        written.append(f"meanwhile {len(written)}")
        id_ = second.write(written[-1], BERT)

        def fate() -> str | None:
            rows = first.gateway.queue(id_)
            return "gone" if not rows else "waits" if rows[0]["attempts"] else None

        return until(fate, "the mail to be tried") == "waits"

    until(waits, "every worker to have heard of it")
    for vault in ("root-a", "root-b"):
        second.does("key", "enable", f"{vault}/berts")
    for room in rooms:
        room.opens(BERT)
    first.gateway.retry_all()
    assert marks(second.arrived(len(written), BERT)) == written


def test_a_purge_by_one_is_final_for_both_and_leaves_a_certificate(rooms: Rooms, tmp_path: Path) -> None:
    first, second = rooms
    for vault in ("root-a", "root-b"):
        first.does("key", "create", f"{vault}/doomed", "--type", "aes-256")
    certs = first.gateway.folder / "certs"
    first.does(
        "policy", "create", "doomed", "--root", "root-a/doomed", "--root", "root-b/doomed",
        "--custodian", str(certs / "custodian.pub.pem"),
    )  # fmt: skip
    first.create(CLEO, "--policy", "doomed")
    second.write("last words", CLEO)
    for room in rooms:
        assert marks(room.arrived(1, CLEO)) == ["last words"]
    order = tmp_path / "order.json"
    signed = ("policy", "order", "doomed", "--out", str(order), "--key", str(certs / "custodian.pem"))
    assert first.gateway.run(*signed, config=False).returncode == 0
    assert "root" in second.refuses("policy", "purge", "doomed", "--order", str(order), "--grace", "0")
    for vault in ("root-a", "root-b"):
        first.does("key", "disable", f"{vault}/doomed", "--yes")
    second.does("policy", "purge", "doomed", "--order", str(order), "--grace", "0", "--reason", "the end")
    for room in rooms:
        assert room.policy("doomed")["state"] == "purged"
    for vault in ("root-a", "root-b"):
        second.does("key", "enable", f"{vault}/doomed")
    for room in rooms:
        assert "doomed" in room.closed(CLEO)
        assert room.post(b"Subject: x\r\n\r\nx\r\n", CLEO).startswith("5")
    certificate = tmp_path / "certificate"
    first.does("policy", "certificate", "doomed", "--out", str(certificate))
    told = json.loads(certificate.read_text())
    assert told["mailboxes"] == {"count": 1, "addresses": [CLEO]}
    first.opens()


def test_what_one_exports_the_other_imports(rooms: Rooms, tmp_path: Path) -> None:
    first, second = rooms
    first.create(DORA)
    second.create(EVA)
    for mark in range(3):
        first.write(mark, DORA, text=LARGE if mark == 1 else b"x\r\n")
        first.arrived(mark + 1, DORA)
    out = tmp_path / "out"
    first.does("mailbox", "export", DORA, "--to", str(out))
    second.does("mailbox", "import", EVA, str(out))
    assert marks(first.opens(EVA)) == ["0", "1", "2"]
    assert first.opens(EVA) == second.arrived(3, DORA)
    second.does("mailbox", "import", EVA, str(out))
    assert first.count(EVA) == 3, "what is there already is not imported again"
    first.does("mailbox", "remove", DORA, "--yes")
    assert DORA not in [one["address"] for one in second.gateway.json("mailbox", "list")]
    until(lambda: second.post(b"Subject: x\r\n\r\nx\r\n", DORA).startswith("550"), "mail to be refused", 20)
    assert len(second.opens(EVA)) == 3


def test_no_word_of_it_stands_in_the_database_or_a_log(rooms: Rooms) -> None:
    for room in rooms:
        assert "Traceback" not in room.gateway.log
        assert "a line of a large message" not in room.gateway.log
    for (octets,) in rooms[0].query("SELECT head FROM mailbox_contents UNION ALL SELECT map FROM mailbox_contents"):
        assert b"X-Mark" not in octets and b"mark" not in octets
