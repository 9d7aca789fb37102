"""What `gateway check` says of a database: of PostgreSQL address, password file, TLS, and the server itself; of SQLite
what lies on the disk.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.app.check import check
from gateway.app.database_check import judge_database
from gateway.app.migrate import migrate
from gateway.settings.fault import Fault
from gateway.settings.load import read
from gateway.world.chance import SystemChance
from tests.fakes.clear_vault import create
from tests.fakes.settings import PLAIN
from tests.postgres import Cluster


def judged(folder: Path, section: str, *, ask: bool = False) -> list[Fault]:
    """The faults of `[storage]` with these lines in it."""
    path = folder / "gateway.toml"
    path.write_text(f"{PLAIN}\n[storage]\n{section}\n")
    loaded = read(path).loaded
    assert loaded is not None
    return list(judge_database(loaded, ask=ask))


def told(faults: list[Fault]) -> list[tuple[str, str]]:
    return [(fault.key, fault.severity) for fault in faults]


def test_an_address_on_this_machine_or_one_that_is_verified_is_right(tmp_path: Path) -> None:
    for url in (
        "postgresql:///mail",
        "postgresql:///mail?host=/run/postgresql",
        "postgresql://gw@localhost/mail",
        "postgresql://gw@127.0.0.1,[::1]/mail",
        "postgresql://gw@db.corp.example/mail?sslmode=verify-full&sslrootcert=ca.pem",
        "postgresql:///?service=mail",
    ):
        assert judged(tmp_path, f'url = "{url}"') == []


@pytest.mark.parametrize(
    "url", ["postgresql://gw@db.corp.example/mail", "postgres://gw@127.0.0.1,db/mail?sslmode=require"]
)
def test_a_server_elsewhere_that_nobody_verifies_is_warned_of(tmp_path: Path, url: str) -> None:
    (fault,) = judged(tmp_path, f'url = "{url}"')
    assert (fault.key, fault.severity) == ("storage.url", "warning")
    assert "sslmode=verify-full" in fault.right


def test_a_password_in_the_address_is_warned_of_and_not_shown(tmp_path: Path) -> None:
    (fault,) = judged(tmp_path, 'url = "postgresql://gw:geheim@localhost/mail"')
    assert (fault.key, fault.severity) == ("storage.url", "warning")
    assert "password_file" in fault.right
    assert "geheim" not in str(fault)


def test_an_address_that_is_none_is_named_and_not_shown(tmp_path: Path) -> None:
    (fault,) = judged(tmp_path, 'url = "postgresql://gw:geheim@x@h/mail"', ask=True)
    assert (fault.key, fault.severity) == ("storage.url", "error")
    assert "%40" in fault.found
    assert "geheim" not in str(fault)


def test_another_kind_of_database_is_refused_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(PLAIN + '[storage]\nurl = "mysql://gw:geheim@h/mail"\n')
    faults = [fault for fault in check(path, ask=False) if fault.key == "storage.url"]
    assert [fault.severity for fault in faults] == ["error"]
    assert "postgresql://USER@HOST/DATABASE" in faults[0].right
    assert "geheim" not in str(faults)


def test_a_password_file_is_there_private_and_not_empty(tmp_path: Path) -> None:
    lines = 'url = "postgresql://gw@localhost/mail"\npassword_file = "password"'
    file = tmp_path / "password"
    assert told(judged(tmp_path, lines)) == [("storage.password_file", "error")]
    file.touch(0o600)
    assert told(judged(tmp_path, lines)) == [("storage.password_file", "error")]
    file.write_text("geheim\n")
    assert judged(tmp_path, lines) == []
    file.chmod(0o644)
    (fault,) = judged(tmp_path, lines)
    assert fault.severity == "warning"
    assert "chmod 600" in fault.right
    assert "geheim" not in str(fault)


def test_a_folder_of_blobs_has_to_be_one_that_all_mount(tmp_path: Path) -> None:
    (fault,) = judged(tmp_path, 'url = "postgresql:///mail"\nblobs = "blobs"')
    assert (fault.key, fault.severity) == ("storage.blobs", "warning")
    assert judged(tmp_path, 'url = "postgresql:///mail"\nblobs = "s3://bucket/mail"') == []


def test_what_is_for_postgresql_alone_is_told_beside_sqlite(tmp_path: Path) -> None:
    assert judged(tmp_path, 'url = "sqlite:data"') == []
    faults = judged(tmp_path, 'url = "sqlite:data"\npassword_file = "x"\nfolder = "run"')
    assert told(faults) == [("storage.password_file", "warning"), ("storage.folder", "warning")]


# -- the server -------------------------------------------------------------------------------------------------------


def asked(folder: Path, url: str) -> list[Fault]:
    """The faults, but for the one that servers of tests don't wait for their disk, which must be there."""
    faults = judged(folder, f'url = "{url}"', ask=True)
    durable = [fault for fault in faults if "fsync" in fault.right]
    assert [fault.severity for fault in durable] == ["warning"]
    return [fault for fault in faults if fault not in durable]


def test_a_database_of_this_version_is_right(tmp_path: Path, postgres: str) -> None:
    assert asked(tmp_path, postgres) == []


def test_one_that_was_not_migrated_yet_is_a_warning(tmp_path: Path, empty_postgres: str) -> None:
    (fault,) = asked(tmp_path, empty_postgres)
    assert fault.severity == "warning"
    assert "not migrated yet" in fault.found
    assert "gateway migrate" in fault.right


def test_one_that_is_another_programs_is_an_error(tmp_path: Path, cluster: Cluster, empty_postgres: str) -> None:
    with cluster.connect(empty_postgres.rpartition("/")[2]) as db:
        db.execute("CREATE TABLE wiki(id int)")
    (fault,) = asked(tmp_path, empty_postgres)
    assert fault.severity == "error"
    assert "(wiki)" in fault.found
    assert "older" in fault.right


def test_an_encoding_that_is_not_utf8_is_an_error(tmp_path: Path, cluster: Cluster) -> None:
    cluster.run("CREATE DATABASE latin ENCODING 'SQL_ASCII' TEMPLATE template0")
    try:
        (fault,) = asked(tmp_path, cluster.url("latin"))
    finally:
        cluster.drop(cluster.url("latin"))
    assert fault.severity == "error"
    assert "encoding SQL_ASCII" in fault.found


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere", 'database "nowhere" does not exist'), ("nowhere?port=1", "does the server run")]
)
def test_one_that_does_not_answer_is_an_error(tmp_path: Path, cluster: Cluster, name: str, words: str) -> None:
    (fault,) = judged(tmp_path, f'url = "{cluster.url(name)}"', ask=True)
    assert (fault.key, fault.severity) == ("storage.url", "error")
    assert words in fault.found


def test_whoever_uses_it_already_does_not_ask(tmp_path: Path) -> None:
    create(tmp_path / "vault", ("default",), SystemChance())
    path = tmp_path / "gateway.toml"
    path.write_text(PLAIN + '[storage]\nurl = "postgresql://127.0.0.1:1/mail"\n')
    assert [fault for fault in check(path, ask=False) if fault.severity == "error"] == []
    assert [fault.key for fault in check(path) if fault.severity == "error"] == ["storage.url"]


# -- SQLite -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder of a gateway that has served and has mail."""
    config = tmp_path / "gateway.toml"
    config.write_text(PLAIN.replace("[server]", "[server]\nworkers = 2"))
    create(tmp_path / "vault", ("default",), SystemChance())
    migrate(config)
    with closing(sqlite3.connect(tmp_path / "data/spool/0/spool.db")) as db:
        db.execute("INSERT INTO messages(id, received, size, content) VALUES ('Q1', 0, 1, x'00')")
        db.commit()
    return tmp_path


def told_of_files(folder: Path) -> list[Fault]:
    loaded = read(folder / "gateway.toml").loaded
    assert loaded is not None
    return list(judge_database(loaded, ask=True))


def test_what_served_before_is_right(served: Path) -> None:
    assert told_of_files(served) == []


def test_nothing_yet_is_right(tmp_path: Path) -> None:
    assert judged(tmp_path, 'url = "sqlite:data"', ask=True) == []
    assert not (tmp_path / "data").exists()


def test_a_database_of_a_newer_gateway_is_a_fault(served: Path) -> None:
    with closing(sqlite3.connect(served / "data/spool/1/spool.db")) as db:
        db.execute("UPDATE alembic_version SET version_num = 'spool_0999'")
        db.commit()
    (fault,) = told_of_files(served)
    assert (fault.key, fault.severity) == ("storage.url", "error")
    assert "spool/1/spool.db has revision 'spool_0999'" in fault.found and "newer gateway" in fault.found


def test_every_database_at_fault_is_named(served: Path) -> None:
    (served / "data/gateway.db").write_bytes(b"no database at all, but quite long. " * 100)
    (served / "data/spool/1/spool.db").write_bytes(b"neither is this. " * 300)
    assert ["not a SQLite database" in fault.found for fault in told_of_files(served)] == [True, True]


@pytest.mark.parametrize("empty", [False, True])
def test_mail_without_the_database_that_holds_its_keys_is_a_fault(empty: bool, served: Path) -> None:
    """Half of a restored backup: the spools are there, the shared database is not."""
    for path in (served / "data").glob("gateway.db*"):
        path.unlink()
    if empty:
        (served / "data/gateway.db").touch()
    (fault,) = told_of_files(served)
    assert "holds no keys" in fault.found and "1 sealed message(s)" in fault.found


def test_a_database_that_another_holds_is_no_fault(served: Path) -> None:
    with closing(sqlite3.connect(served / "data/gateway.db", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        assert told_of_files(served) == []
