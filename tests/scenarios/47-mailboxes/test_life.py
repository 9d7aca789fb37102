"""The life of policies, by the command line, while mail comes in and is read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.mail_programs import program
from tests.scenarios.peers.mailroom import BERT, IDA, Mailroom, changed, marks, shown
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.reading import Reading
from tests.scenarios.peers.stream import Stream, mark_of

CLEO, DORA, EVA = "cleo@corp.example", "dora@corp.example", "eva@corp.example"
WRAPPED = (
    "SELECT id, key_version, policy, policy_version, wrapped, next_key_version, next_policy, next_wrapped "
    "FROM mailboxes"
)


def wrapped(room: Mailroom) -> dict[int, tuple[object, ...]]:
    """Each mailbox's keys."""
    return {row[0]: row for row in room.query(WRAPPED)}


def contents(room: Mailroom) -> dict[bytes, tuple[object, ...]]:
    """Each content's key version, map and blobs."""
    return {row[0]: row for row in room.query("SELECT id, key_version, map, blobs FROM mailbox_contents")}


@pytest.fixture(scope="module")
def ida(room: Mailroom) -> str:
    """A mailbox under the default policy with mail in it, large and small."""
    room.create(IDA)
    room.write("large", text=b"a line of a large message\r\n" * 60_000)
    for mark in range(4):
        room.write(mark)
    room.arrived(5)
    return IDA


def test_two_roots_in_one_vault_are_refused_unless_forced(room: Mailroom) -> None:
    """Row k01."""
    room.does("key", "create", "root-a/second", "--type", "aes-256")
    one_vault = ("policy", "create", "one-vault", "--root", "root-a/mail", "--root", "root-a/second")
    assert "root-a" in room.refuses(*one_vault)
    assert [one["name"] for one in room.gateway.json("policy", "list")] == ["default"]
    room.does(*one_vault, "--force")
    assert {one["name"] for one in room.gateway.json("policy", "list")} == {"default", "one-vault"}
    room.refuses("policy", "create", "no-such-root", "--root", "root-a/mail", "--root", "root-b/none")
    room.refuses("policy", "create", "default", "--root", "root-a/mail", "--root", "root-b/mail")
    room.refuses("mailbox", "create", "zoe@corp.example", "--policy", "none-such")


def test_refresh_and_replace_touch_one_row_and_nobody_notices(room: Mailroom, ida: str) -> None:
    """Row k07, and replace under load."""
    with Stream(room.gateway.port, 2, recipient=IDA) as stream, Reading(room) as reading:
        stream.until_taken(10)
        reading.until_looked()
        policies, keys, stored = room.rows("mailbox_policies")["mailbox_policies"], wrapped(room), contents(room)
        room.does("key", "rotate", "root-a/mail")
        room.does("policy", "refresh", "default")
        after = room.rows("mailbox_policies")["mailbox_policies"]
        assert len(changed(policies, after)) == 1
        room.does("key", "create", "root-b/next", "--type", "aes-256")
        room.does("policy", "replace", "default", "--root", "root-b/mail=root-b/next")
        last = room.rows("mailbox_policies")["mailbox_policies"]
        assert changed(after, last) == changed(policies, after)
        assert wrapped(room) == keys
        assert contents(room).items() >= stored.items()
        room.does("key", "disable", "root-b/mail", "--yes")
        stream.until_taken(10)
        reading.until_looked(5)
    assert (stream.refused, stream.lost, reading.faults) == ({}, [], [])
    assert "policy_denied" not in room.gateway.log and "does_not_open" not in room.gateway.log
    found = room.arrived(5 + len(stream.taken))
    assert sorted(mark_of(one) for one in found[5:]) == sorted(stream.taken)
    told = shown(room.policy())
    assert "root-b/next" in told
    assert [one["key"] for one in room.policy()["roots"]] == ["root-a/mail", "root-b/next"]
    room.does("key", "enable", "root-b/mail")


def test_one_root_that_is_denied_is_warned_of_and_nothing_more(room: Mailroom, ida: str) -> None:
    """Row k05."""
    room.does("key", "disable", "root-a/mail", "--yes")
    try:
        before = room.count()
        room.write("k05")
        assert marks(room.arrived(before + 1))[-1] == "k05"
        assert "root-a/mail" in shown(room.policy())
        until(lambda: any("root-a/mail" in text for text in room.warnings()), "status to warn of the root", 60)
    finally:
        room.does("key", "enable", "root-a/mail")


def test_a_mailbox_both_of_whose_roots_deny_is_closed_and_its_mail_waits(room: Mailroom, ida: str) -> None:
    """Row k06; a mailbox under another policy goes on."""
    for vault in ("root-a", "root-b"):
        room.does("key", "create", f"{vault}/berts", "--type", "aes-256")
    room.does("policy", "create", "berts", "--root", "root-a/berts", "--root", "root-b/berts")
    room.create(BERT, "--policy", "berts")
    room.write("before", BERT)
    room.arrived(1, BERT)
    before = room.count()
    for vault, hangs in (("root-a", "read by root-b/berts alone"), ("root-b", "root-a/berts, does not answer already")):
        assert hangs in room.gateway.run("key", "disable", f"{vault}/berts", "--yes").stderr
    said = room.closed(BERT)
    assert "berts" in said
    id_ = room.write("meanwhile", BERT, IDA)
    assert marks(room.arrived(before + 1))[-1] == "meanwhile"
    row = until(
        lambda: [one for one in room.gateway.queue(id_) if one["attempts"] and one["state"] == "waiting"],
        "the mail for a closed mailbox to wait",
    )[0]
    waits = [one for one in row["recipients"] if one["address"] == BERT]
    assert [one["status"] for one in waits] == ["waiting"], row
    assert waits[0]["enhanced"].startswith("4."), row
    assert "closed" in waits[0]["reason"]
    assert room.mailbox(BERT)["open"] is False
    room.refuses("mailbox", "verify", BERT)
    for vault in ("root-a", "root-b"):
        room.does("key", "enable", f"{vault}/berts")
    room.opens(BERT)
    room.gateway.retry_all()
    assert marks(room.arrived(2, BERT)) == ["before", "meanwhile"]
    room.gateway.drained()


def test_another_policy_is_one_row_and_readable_all_along(room: Mailroom, ida: str) -> None:
    """Row k11."""
    with Reading(room) as reading:
        reading.until_looked()
        keys, stored, chunks = wrapped(room), contents(room), room.chunks()
        room.does("mailbox", "assign", IDA, "berts")
        after = wrapped(room)
        assert len(changed(keys, after)) == 1
        assert contents(room) == stored
        assert room.chunks() == chunks
        reading.until_looked(5)
    assert reading.faults == []
    assert room.mailbox(IDA)["policy"] == "berts"
    for vault in ("root-a", "root-b"):
        room.does("key", "disable", f"{vault}/berts", "--yes")
    room.closed()
    for vault in ("root-a", "root-b"):
        room.does("key", "enable", f"{vault}/berts")
    room.opens()
    room.does("mailbox", "assign", IDA, "default")
    room.opens()


def test_a_roll_writes_no_chunk_and_nobody_notices(room: Mailroom, ida: str) -> None:
    chunks = room.chunks()
    version = room.mailbox(IDA)["key_version"]
    with Stream(room.gateway.port, 1, recipient=IDA) as stream, Reading(room) as reading:
        stream.until_taken(3)
        room.does("mailbox", "roll", IDA)
        stream.until_taken(3)
        reading.until_looked(5)
    assert (stream.refused, stream.lost, reading.faults) == ({}, [], [])
    rolled(room, IDA, version + 1)
    assert room.chunks().items() >= chunks.items()
    assert len(room.opens()) == room.count()
    room.does("mailbox", "verify", IDA)


def rolled(room: Mailroom, address: str, version: int) -> None:
    """Wait until everything of a mailbox lies under that version of its key, and no other is kept."""

    def look() -> bool:
        told = room.mailbox(address)
        return (told["key_version"], told["rolling"], told["left"]) == (version, False, 0)

    until(look, f"all of {address} to lie under version {version} of its key", 60)


def test_what_lay_under_no_policy_is_encrypted_in_the_background(room: Mailroom) -> None:
    room.create(DORA, "--policy", "none")
    for mark in range(5):
        room.write(mark, DORA)
    room.arrived(5, DORA)
    assert room.mailbox(DORA)["policy"] is None
    version = room.mailbox(DORA)["key_version"]
    with Reading(room, DORA) as reading:
        room.does("mailbox", "assign", DORA, "default")
        assert room.mailbox(DORA)["policy"] == "default"
        rolled(room, DORA, version + 1)
        reading.until_looked()
    assert reading.faults == []
    assert sorted(marks(room.opens(DORA))) == ["0", "1", "2", "3", "4"]  # They come in no order of their own.


def test_a_wrapped_key_from_another_row_opens_nothing(room: Mailroom, ida: str) -> None:
    """Row k12: by somebody who can write to the database."""
    room.create(EVA)
    for mark in range(3):
        room.write(mark, EVA)
    room.arrived(3, EVA)
    room.does("policy", "create", "beside", "--root", "root-a/mail", "--root", "root-b/mail")
    rows = {one[0]: one for one in room.query("SELECT id, wrapped, key_version, policy, policy_version FROM mailboxes")}
    addresses = {}
    for address in (IDA, EVA):
        # By its messages: the address is sealed.
        (found,) = room.query("SELECT id FROM mailboxes WHERE messages = ?", room.mailbox(address)["messages"])
        addresses[address] = found[0]
    one, other = addresses[IDA], addresses[EVA]
    room.change("UPDATE mailboxes SET wrapped = ? WHERE id = ?", rows[other][1], one)
    try:
        room.gateway.ask("keys")
        assert "damaged" in room.closed(word="[CORRUPTION]")
        assert sorted(marks(room.opens(EVA))) == ["0", "1", "2"]
    finally:
        room.change("UPDATE mailboxes SET wrapped = ? WHERE id = ?", rows[one][1], one)
    room.opens()
    # And a policy's row.
    rows = room.query("SELECT id, sealed FROM mailbox_policies ORDER BY id")
    for (id_, _), (_, other_seal) in zip(rows, rows[1:] + rows[:1], strict=True):
        room.change("UPDATE mailbox_policies SET sealed = ? WHERE id = ?", other_seal, id_)
    try:
        room.gateway.ask("keys")
        room.closed(word="")
    finally:
        for id_, seal in rows:
            room.change("UPDATE mailbox_policies SET sealed = ? WHERE id = ?", seal, id_)
    room.opens()


# -- the end ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def doomed(room: Mailroom) -> str:
    """A policy with a custodian, and a mailbox under it with mail."""
    for vault in ("root-a", "root-b"):
        room.does("key", "create", f"{vault}/doomed", "--type", "aes-256")
    room.does(
        "policy", "create", "doomed", "--root", "root-a/doomed", "--root", "root-b/doomed",
        "--custodian", str(room.gateway.folder / "certs" / "custodian.pub.pem"),
    )  # fmt: skip
    room.create(CLEO, "--policy", "doomed")
    room.write("last words", CLEO)
    room.arrived(1, CLEO)
    return "doomed"


def order(room: Mailroom, policy: str, key: Path | None = None) -> Path:
    """The custodian's signed order, made on his machine."""
    file = room.gateway.folder / f"order-{policy}.json"
    file.unlink(missing_ok=True)
    signs = key or room.gateway.folder / "certs" / "custodian.pem"
    done = room.gateway.run("policy", "order", policy, "--out", str(file), "--key", str(signs), config=False)
    assert done.returncode == 0, done.stderr
    return file


def disable(room: Mailroom, *, back: bool = False) -> None:
    for vault in ("root-a", "root-b"):
        room.does("key", "enable" if back else "disable", f"{vault}/doomed", *([] if back else ["--yes"]))


def test_no_purge_without_the_custodian_and_both_roots_withdrawn(
    room: Mailroom, doomed: str, authority: Authority
) -> None:
    """Row k08."""
    good = order(room, doomed)
    assert "root" in room.refuses("policy", "purge", doomed, "--order", str(good), "--grace", "0")
    room.does("key", "disable", "root-a/doomed", "--yes")
    assert "root-b/doomed" in room.refuses("policy", "purge", doomed, "--order", str(good), "--grace", "0")
    room.does("key", "disable", "root-b/doomed", "--yes")
    strangers = order(room, doomed, authority.issue("stranger.example").key)
    assert "custodian" in room.refuses("policy", "purge", doomed, "--order", str(strangers), "--grace", "0")
    others = order(room, "default")
    assert "default" in room.refuses("policy", "purge", doomed, "--order", str(others), "--grace", "0")
    altered = json.loads(order(room, doomed).read_text())
    altered["order"]["policy"] = "default"
    changed_order = room.gateway.folder / "altered.json"
    changed_order.write_text(json.dumps(altered))
    room.refuses("policy", "purge", "default", "--order", str(changed_order), "--grace", "0")
    disable(room, back=True)
    assert marks(room.opens(CLEO)) == ["last words"]


def test_a_purge_in_its_grace_is_taken_back(room: Mailroom, doomed: str) -> None:
    """Row k09."""
    disable(room)
    room.does("policy", "purge", doomed, "--order", str(order(room, doomed)), "--grace", "1", "--reason", "a test")
    assert room.policy(doomed)["state"] == "purging"
    until(lambda: any("doomed" in text for text in room.warnings()), "status to warn of the purge", 20)
    assert "doomed" in room.closed(CLEO)
    room.does("policy", "purge", doomed, "--cancel")
    assert room.policy(doomed)["state"] == "ready"
    disable(room, back=True)
    assert marks(room.opens(CLEO)) == ["last words"]


def test_a_purge_is_final_and_leaves_a_certificate_that_openssl_verifies(
    room: Mailroom, doomed: str, tmp_path: Path
) -> None:
    """Row k10; the mailboxes of other policies are as they were."""
    backup = tmp_path / "monday.backup"
    room.does("backup", str(backup), "--passphrase-stdin", stdin="correct horse battery\n")
    before = room.rows("mailbox_policies")["mailbox_policies"]
    keys = wrapped(room)
    disable(room)
    room.does(
        "policy", "purge", doomed, "--order", str(order(room, doomed)), "--grace", "0", "--reason", "the end",
        "--contact", "custodian@corp.example",
    )  # fmt: skip
    assert room.policy(doomed)["state"] == "purged"
    after = room.rows("mailbox_policies")["mailbox_policies"]
    (row,) = changed(before, after)
    told = room.policy(doomed)
    assert (told["keys"], told["roots"]) == ([], []), "no copy of its key is left"
    assert len(after[row][-1]) != len(before[row][-1])
    sealed = before[row][-1]
    lies = b"".join(path.read_bytes() for path in room.database.parent.glob("gateway.db*"))
    assert sealed[20:120] not in lies, "the row as it was is left in the database's files"

    # Nobody reads it any more, whatever comes back.
    disable(room, back=True)
    room.gateway.ask("keys")
    assert "doomed" in room.closed(CLEO)
    room.refuses("policy", "purge", doomed, "--cancel")
    room.refuses("policy", "refresh", doomed)
    room.refuses("mailbox", "assign", CLEO, "default")
    room.refuses("mailbox", "export", CLEO, "--to", str(tmp_path / "out"))
    assert changed(keys, wrapped(room)) == []
    room.opens()

    certificate = tmp_path / "certificate"
    told = room.does("policy", "certificate", doomed, "--out", str(certificate))
    text = json.loads(certificate.read_text())
    assert (text["policy"], text["reason"], text["contact"]) == ("doomed", "the end", "custodian@corp.example")
    assert {one["kind"] for one in text["destroyed_copies"]} == {"root_a", "root_b", "availability"}
    assert text["mailboxes"] == {"count": 1, "addresses": [CLEO]}
    assert text["backups"], "the backup of a moment ago is named"
    assert verifies(certificate)
    assert "openssl" in told
    certificate.write_bytes(certificate.read_bytes().replace(b"the end", b"the eve"))
    assert not verifies(certificate)


def verifies(certificate: Path) -> bool:
    """Whether openssl believes the signature."""
    command = [
        program("openssl", "openssl"), "dgst", "-sha256", "-verify", f"{certificate}.pem", "-signature",
        f"{certificate}.sig", str(certificate),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, timeout=30).returncode == 0


def test_no_key_stands_in_a_log(room: Mailroom, make_room: Callable[..., Mailroom]) -> None:
    log = room.gateway.log
    assert "Traceback" not in log
    for (octets,) in room.query("SELECT wrapped FROM mailboxes"):
        assert octets.hex() not in log
