"""Heads: signed when due, kept outside the database, and never over a chain that contradicts what is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert

from gateway.keys.access_head import BadHead, Kind, check, from_told, head_of, statement
from gateway.keys.access_heads import EVERY_LINES, EVERY_SECONDS, ensure_signer, public_key, signer
from gateway.keys.head_place import FILE, HeadFile, read_head
from gateway.keys.vault import Denied, KeyFault, KeyType, Unavailable, VaultBroken, VaultKey
from gateway.storage.shared import Shared
from gateway.storage.tables import key_log, key_log_heads
from tests.fakes.key_log import KeyLog
from tests.fakes.migrated import put_shared
from tests.fakes.vault import FakeVault


@pytest.fixture
def log(tmp_path: Path) -> Iterator[KeyLog]:
    put_shared(tmp_path / "shared.db")
    shared = Shared(tmp_path / "shared.db")
    yield KeyLog(shared)
    shared.close()


# -- signing -----------------------------------------------------------------------------------------------------------


async def test_a_head_is_due_after_a_time_where_there_is_something_new(log: KeyLog) -> None:
    log.write(2)
    log.heads.look()
    assert log.writer.flush()
    assert [row.line for row in log.store.heads()] == [2]
    log.heads.look()
    await log.clock.advance(EVERY_SECONDS)
    log.heads.look()  # The line about the first signature alone is no reason.
    assert [row.line for row in log.store.heads()] == [2]
    log.write(1)
    log.heads.look()
    assert log.writer.flush()
    assert [row.line for row in log.store.heads()] == [2, 4]
    log.write(1)
    log.heads.look()
    assert [row.line for row in log.store.heads()] == [2, 4]


def test_a_head_is_due_after_many_lines(log: KeyLog) -> None:
    log.write(1)
    log.sign()
    log.write(4000, 4000)
    log.heads.look()
    assert len(log.store.heads()) == 1
    log.write(EVERY_LINES - 8000)
    log.heads.look()
    assert [row.line for row in log.store.heads()] == [1, EVERY_LINES + 2]


def test_a_head_is_told_in_the_log_and_kept_outside(log: KeyLog) -> None:
    log.write(3)
    log.sign()
    _, _, facts = next(line for line in log.sink.lines if line[1] == "key_log_head")
    assert facts["line"] == 3 and (facts["vault"], facts["key"], facts["version"]) == ("main", "access-log", 1)
    assert log.place.head is not None
    assert facts["hash"] == log.place.head.hash.hex() == log.store.end_of_batch(3).hex()  # type: ignore[union-attr]
    check(log.place.head, log.vault.public_key("access-log"))
    assert log.place.head.public_key == log.vault.public_key("access-log")
    assert from_told(facts) == log.place.head


def test_signing_is_a_line_of_the_log(log: KeyLog) -> None:
    log.write(3)
    log.sign()
    assert b'"operation":"sign","about":"key log up to line 3"' in log.lines(4)[0]


def test_a_clean_end_leaves_nothing_unsigned_but_the_signature(log: KeyLog) -> None:
    log.write(3)
    log.writer.close()
    report = log.verify()
    assert (report.signed, report.last, report.findings) == (3, 4, [])
    log.writer.close()
    assert log.verify().last == 4


@pytest.mark.parametrize("type_", [KeyType.ED25519, KeyType.EC_P256, KeyType.RSA_2048])
def test_each_type_of_key_signs(type_: KeyType) -> None:
    vault = FakeVault()
    vault.create("access-log", type_)
    octets = statement(Kind.HEAD, 5, b"\1" * 32, 1_793_700_000.0)
    made = vault.sign("access-log", octets)
    head = head_of(octets, "main", "access-log", made.version, made.octets)
    check(head, vault.public_key("access-log"))
    other = head_of(statement(Kind.HEAD, 6, b"\1" * 32, 5.0), "main", "access-log", 1, made.octets)
    with pytest.raises(BadHead, match="does not fit"):
        check(other, vault.public_key("access-log"))
    with pytest.raises(BadHead, match="can't be read"):
        check(head, b"no key")


def test_a_rotated_key_signs_anew_and_old_heads_still_prove(log: KeyLog) -> None:
    log.write(1)
    log.sign()
    log.vault.rotate("access-log")
    log.write(1)
    log.sign()
    assert [row.version for row in log.store.heads()] == [1, 2]
    assert log.verify().findings == []


def test_the_key_is_made_in_the_first_vault_that_can_sign_and_once() -> None:
    one, other = FakeVault("one"), FakeVault("other")
    assert ensure_signer([one, other]) is one
    assert ensure_signer([other, one]) is one
    assert [key.name for key in other.keys()] == ["default"]
    one.disable("access-log")
    assert signer([one, other]) is None and ensure_signer([one, other]) is None
    assert public_key({"one": one}, "one", "access-log", 2) is None
    assert public_key({"one": one}, "two", "access-log", 1) is None


@pytest.mark.parametrize("fault", [Unavailable, VaultBroken, Denied])
def test_a_vault_that_can_not_make_the_key_leaves_it_to_the_next(fault: type[KeyFault]) -> None:
    class Token(FakeVault):
        def create(self, key: str, type_: KeyType) -> VaultKey:
            raise fault("the token is write-protected")

    token, other = Token("token"), FakeVault("other")
    assert ensure_signer([token]) is None
    assert ensure_signer([token, other]) is other
    assert [key.name for key in other.keys()] == ["access-log", "default"]


def test_what_can_not_be_signed_names_the_whole_command(log: KeyLog) -> None:
    log.vault.disable("access-log")
    log.write(1)
    log.sign()
    assert "gateway key create VAULT/access-log --type ec-p256 makes one" in str(log.heads.unsigned)


async def test_a_vault_that_is_away_is_told_and_signs_later(log: KeyLog) -> None:
    log.write(3)
    log.vault.away = True
    log.heads.look()
    assert log.heads.unsigned == "the vault does not answer"
    log.heads.look()
    assert log.sink.events() == ["key_log_unsigned"]
    log.vault.away = False
    log.heads.look()
    assert log.heads.unsigned is None and len(log.store.heads()) == 1


def test_a_disabled_key_signs_nothing_and_the_log_goes_on(log: KeyLog) -> None:
    log.vault.disable("access-log")
    log.write(3)
    log.heads.look()
    assert "access-log" in str(log.heads.unsigned)
    log.write(3)
    assert log.verify().last == 6


def test_a_disk_that_refuses_the_head_is_told(log: KeyLog) -> None:
    log.place.away = True
    log.write(3)
    log.heads.look()
    assert "Input/output error" in str(log.heads.unsigned)


# -- contradictions ----------------------------------------------------------------------------------------------------


def test_nothing_is_signed_over_a_log_that_was_put_back(log: KeyLog) -> None:
    log.write(3)
    log.sign()
    log.write(5)
    log.sign()
    known = log.place.head
    log.shared.run(lambda c: c.execute(delete(key_log).where(key_log.c.first > 4)))
    log.shared.run(lambda c: c.execute(delete(key_log_heads).where(key_log_heads.c.line > 3)))
    log.write(20)
    log.heads.look(last=True)
    log.heads.look(last=True)
    assert log.place.head is known
    assert [row.line for row in log.store.heads()] == [3]
    assert "line 9" in str(log.heads.contradicted)
    assert log.sink.events().count("key_log_contradicted") == 1


def test_a_damaged_file_is_a_contradiction(log: KeyLog) -> None:
    log.write(3)
    log.place.damaged = True
    log.heads.look()
    assert log.store.heads() == [] and log.heads.contradicted is not None
    log.place.damaged = False
    log.heads.look()
    assert log.heads.contradicted is None and len(log.store.heads()) == 1


def test_a_forged_head_in_the_database_stops_signing(log: KeyLog) -> None:
    """Who may write the database adds a head far ahead, so that no real one would seem due any more."""
    log.write(3)
    log.sign()
    false = {
        "kind": "head",
        "line": 10**12,
        "statement": statement(Kind.HEAD, 10**12, b"\1" * 32, log.clock.now()),
        "vault": "main",
        "key": "access-log",
        "version": 99,
        "signature": b"x" * 64,
    }
    log.shared.run(lambda c: c.execute(insert(key_log_heads).values(false)))
    log.heads.look()
    assert "forged or damaged" in str(log.heads.contradicted)


def test_a_missing_file_is_told_and_made_again(log: KeyLog) -> None:
    log.write(3)
    log.sign()
    log.place.head = None
    log.heads.look()
    assert "key_log_head_missing" in log.sink.events()
    assert log.place.head is not None and log.place.head.line == 3


# -- the file ----------------------------------------------------------------------------------------------------------


def test_the_file_keeps_the_newest_head(log: KeyLog, tmp_path: Path) -> None:
    log.write(3)
    log.sign()
    old = log.place.head
    log.write(3)
    log.sign()
    new = log.place.head
    assert old is not None and new is not None
    place = HeadFile(tmp_path)
    assert place.read() is None
    place.keep(old)
    place.keep(new)
    place.keep(old)
    assert place.read() == new == read_head(tmp_path / FILE)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    aside = place.set_aside(12)
    assert place.read() is None and aside is not None and read_head(Path(aside)) == new
    assert place.set_aside(13) is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"[]",
        b'{"v":2}',
        b'{"v":1}',
        b"x" * 20_000,
        b'{"v":1,"statement":"{}","vault":"m","key":"k","version":1,"signature":""}',
        b'{"v":1,"statement":"x","vault":"m","key":"k","version":true,"signature":"===="}',
    ],
)
def test_a_damaged_file_is_told_with_its_name(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / FILE).write_bytes(octets)
    with pytest.raises(BadHead, match=FILE):
        HeadFile(tmp_path).read()


def test_a_flipped_bit_of_the_file_never_passes(log: KeyLog, tmp_path: Path) -> None:
    log.write(3)
    log.sign()
    assert log.place.head is not None
    place = HeadFile(tmp_path)
    place.keep(log.place.head)
    octets = (tmp_path / FILE).read_bytes()
    for at in range(len(octets)):
        (tmp_path / FILE).write_bytes(octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :])
        try:
            head = place.read()
        except BadHead:
            continue
        assert head is not None
        if (head.vault, head.key, head.version) != ("main", "access-log", 1) or head == log.place.head:
            continue  # No key of that name; or white space.
        with pytest.raises(BadHead):
            check(head, log.vault.public_key("access-log"))


def test_a_head_is_told_and_read_again(log: KeyLog) -> None:
    log.write(3)
    log.sign()
    assert log.place.head is not None
    assert from_told(json.loads(json.dumps(log.place.head.told()))) == log.place.head
