"""What the first gateways left behind starts, and its mail is read; then it moves under today's keys."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app import keyring
from gateway.app.console import Console
from gateway.app.database import open_shared
from gateway.app.migrate import migrate
from gateway.app.places import Places
from gateway.keys import domain, rotation
from gateway.keys.domain import DKIM, SPOOL
from gateway.keys.rotation import RootName
from gateway.keys.vault import VaultBroken
from gateway.mail.message import Held, Message
from gateway.settings.load import Loaded, loaded
from gateway.storage.spool_rows import encode_delivery
from tests.fakes import first_installation as first
from tests.fakes.chance import FakeChance
from tests.fakes.spool import delivery_of, mail_of

SETTINGS = """\
[server]
workers = 1
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
"""
OCTETS = b"Subject: from the first gateway\r\n\r\nwords\r\n"


@pytest.fixture
def old(tmp_path: Path) -> Loaded:
    """An installation with one message in its queue, whose every key and record the code of then would have made."""
    chance = FakeChance("first")
    root = first.write_vault(tmp_path / "vault", chance)
    path = tmp_path / "gateway.toml"
    path.write_text(SETTINGS)
    migrate(path)
    settings = loaded(path)
    places = Places.of(settings)
    secrets = first.write_keys(places.shared, root, chance)
    mail = mail_of("Q1", Message(OCTETS, Held(OCTETS)))
    delivery = delivery_of(mail)
    content = first.sealed(secrets[SPOOL], SPOOL, "content Q1", OCTETS, chance)
    row = first.sealed(secrets[SPOOL], SPOOL, "delivery Q1.1", encode_delivery(delivery), chance)
    with closing(sqlite3.connect(places.spool(0) / "spool.db")) as db, db:
        db.execute("INSERT INTO messages VALUES ('Q1', 1793000000000, ?, ?)", (len(OCTETS), content))
        db.execute(
            "INSERT INTO deliveries VALUES ('Q1.1', 'Q1', 'out', 7, 'waiting', 1793000000000, 1, 1793000000000, ?, ?)",
            (len(OCTETS), row),
        )
    return settings


def listed(settings: Loaded) -> list[tuple[str, str]]:
    rows = Console.open(settings.path).ask("queue.list")
    return [(row["id"], row["recipients"][0]["address"]) for row in rows]


def test_it_starts_and_its_queue_is_read(old: Loaded) -> None:
    migrate(old.path)
    assert listed(old) == [("Q1.1", "otto@partner.example")]
    with closing(open_shared(old)) as shared:
        rows = {row.purpose: row for row in shared.keys()}
        assert rows[SPOOL].wrapped[:1] == b"\1"  # As it was: nothing was written anew without need.
        assert rows[DKIM].wrapped[:1] == b"\2"  # What is new is wrapped as today.


def test_its_vault_is_sealed_and_its_keys_move_under_a_new_root(old: Loaded, tmp_path: Path) -> None:
    secret = tmp_path / "service-secret"
    secret.touch(mode=0o600)
    secret.write_text("0123456789abcdef" * 4 + "\n")
    old.path.write_text(
        SETTINGS + '[[vaults]]\nname = "main"\nprovider = "file"\npath = "vault"\nsecret_file = "service-secret"\n'
    )
    migrate(old.path)
    settings = loaded(old.path)
    assert listed(settings) == [("Q1.1", "otto@partner.example")]
    with closing(open_shared(settings)) as shared:
        held = keyring.vaults(settings)
        before = domain.load(shared, held)
        moved = rotation.rotate_root(shared, held, RootName("main", "default"))
        assert moved == len(domain.PURPOSES)
        assert {row.wrapped[:1] for row in shared.keys()} == {b"\2"}
        assert before.secret(SPOOL, 1) == domain.load(shared, keyring.vaults(settings)).secret(SPOOL, 1)
    assert listed(settings) == [("Q1.1", "otto@partner.example")]


def test_a_flipped_bit_in_an_old_wrapping_is_told_with_the_record_s_name(old: Loaded) -> None:
    with closing(sqlite3.connect(Places.of(old).shared)) as db, db:
        (octets,) = db.execute("SELECT wrapped FROM domain_keys WHERE purpose = 'spool'").fetchone()
        flipped = octets[:-1] + bytes([octets[-1] ^ 1])
        db.execute("UPDATE domain_keys SET wrapped = ? WHERE purpose = 'spool'", (flipped,))
    with pytest.raises(VaultBroken, match=r"the domain key 'spool' \(version 1\) can't be had"):
        migrate(old.path)
