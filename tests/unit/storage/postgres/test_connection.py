"""The way to PostgreSQL: addresses as people write them, the terms of a session, what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from gateway.storage.postgres.connection import IDLE_IN_TRANSACTION, LOCK, STATEMENT, BadAddress, Database
from gateway.storage.postgres.meaning import is_lost, meaning
from gateway.storage.writer import StorageBroken, StorageFull
from tests.fakes.settings import PLAIN, settings_in
from tests.postgres import Cluster

SECRET = "geheim"


def told(database: Database) -> str:
    """What is said where no connection can be made, causes and all."""
    with pytest.raises(StorageBroken) as caught:
        database.connect("test")
    return f"{caught.value} {caught.value.__cause__} {database!r}"


# -- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://gw@db.corp.example/mail", 'the database "mail" at db.corp.example'),
        ("postgres://gw@db.corp.example:5433/mail", 'the database "mail" at db.corp.example port 5433'),
        ("postgresql://gw:geheim@db.corp.example/mail", 'the database "mail" at db.corp.example'),
        ("postgresql://gw:g%40h%2Feim@[2001:db8::1]:5/mail", 'the database "mail" at 2001:db8::1 port 5'),
        ("postgresql://a,b:6/mail?sslmode=verify-full", 'the database "mail" at a,b'),
        ("postgresql:///mail?host=/run/postgresql", 'the database "mail" at /run/postgresql'),
        ("postgresql://gw@%2Frun%2Fpostgresql/mail", 'the database "mail" at /run/postgresql'),
        ("postgresql://gw@h", 'the database "gw" at h'),
        ("postgresql://?service=mail", "the database of the service mail"),
        ("postgresql://", "the database at libpq's default host"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    database = Database.at(url)
    assert database.shown.startswith(shown)
    for text in (repr(database), database.shown, str(database.get("password"))):
        assert "geheim" not in text
        assert "g@h" not in text
    assert database.has_password == (":g" in url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gw:geheim@x@db.corp.example/mail",
        "postgresql://gw:geheim/x@db.corp.example/mail",
        "postgresql://gw:ge/heim@db.corp.example/mail",
        "postgresql://gw:12/geheim@db.corp.example/mail",
        "postgresql://gw:12/geheim/mail",
        "postgresql://gw:geheim@h:geheim/mail",
        "postgresql://gw:%zzgeheim@h/mail",
        "postgresql://gw:geheim@[::1/mail",
        "postgresql://gw@h/mail?geheim=1",
        "postgresql://gw:geheim@h/mail?sslmode",
        "postgresql://gw:geheim\0@h/mail",
        "postgresql://gw:geheim@h/mail\ud800",
        "postgresql://gw:geheim@h%0Ax/mail",
        "mysql://gw:geheim@h/mail",
        "sqlite:geheim",
        "",
    ],
)
def test_an_address_that_is_none_is_refused_without_showing_any_of_it(url: str) -> None:
    with pytest.raises(BadAddress) as caught:
        Database.at(url)
    assert "geheim" not in f"{caught.value}"
    assert "heim" not in f"{caught.value}"
    assert caught.value.__cause__ is None


def test_what_the_address_says_wins_over_what_we_would_choose() -> None:
    ours = Database.at("postgresql://h/mail")
    theirs = Database.at("postgresql://h/mail?connect_timeout=3&sslmode=require")
    assert (ours.get("connect_timeout"), theirs.get("connect_timeout")) == ("10", "3")
    assert (ours.get("sslmode"), theirs.get("sslmode")) == (None, "require")
    assert ours.get("target_session_attrs") == "read-write"


def test_settings_name_address_and_password_file(tmp_path: Path) -> None:
    loaded = settings_in(tmp_path, PLAIN + '[storage]\nurl = "postgresql://gw@h/mail"\npassword_file = "pw"\n')
    assert Database.from_settings(loaded).password_file == tmp_path / "pw"
    assert loaded.is_shared
    assert loaded.storage == tmp_path / "data"


# -- terms ------------------------------------------------------------------------------------------------------------


def test_each_session_sets_what_a_250_rests_on_and_how_long_things_may_take(cluster: Cluster, postgres: str) -> None:
    assert cluster.run("SHOW synchronous_commit") == [("off",)]  # The server's default is weaker, on purpose.
    with Database.at(postgres).connect("test") as db:
        found = {
            name: (db.execute(f"SHOW {name}".encode()).fetchone() or ("",))[0]
            for name in (
                "synchronous_commit", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
                "default_transaction_isolation", "client_encoding", "application_name", "jit",
            )
        }  # fmt: skip
        assert db.autocommit
    assert found == {
        "synchronous_commit": "on",
        "statement_timeout": f"{STATEMENT // 1000}s",
        "lock_timeout": f"{LOCK // 1000}s",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION // 60_000}min",
        "default_transaction_isolation": "read committed",
        "client_encoding": "UTF8",
        "application_name": "gateway test",
        "jit": "off",
    }


@pytest.mark.parametrize(
    ("before", "after"), [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")]
)
def test_only_a_stronger_promise_of_the_server_is_left(
    cluster: Cluster, postgres: str, before: str, after: str
) -> None:
    cluster.run(f"ALTER DATABASE {postgres.rpartition('/')[2]} SET synchronous_commit = {before}")
    with Database.at(postgres).connect("test") as db:
        assert db.execute("SHOW synchronous_commit").fetchone() == (after,)


def test_an_engine_of_sqlalchemy_has_the_same_terms(postgres: str) -> None:
    engine = Database.at(postgres).engine("test", lock=7)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar_one() == "7ms"
    engine.dispose()


# -- passwords --------------------------------------------------------------------------------------------------------


@pytest.fixture
def clerk(cluster: Cluster, postgres: str) -> str:
    """The address of an account that needs the password SECRET."""
    cluster.run("DROP ROLE IF EXISTS clerk")
    cluster.run(f"CREATE ROLE clerk LOGIN PASSWORD '{SECRET}'")
    return cluster.url(postgres.rpartition("/")[2], user="clerk", tcp=True)


def test_the_password_is_read_from_its_file_for_each_connection(clerk: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    database = Database.at(clerk, password_file=file)
    with database.connect("test") as db:
        assert db.execute("SELECT current_user").fetchone() == ("clerk",)
    file.write_text("another")
    said = told(database)
    assert "password authentication failed" in said
    assert "is the password right?" in said
    assert "another" not in said


def test_libpqs_own_ways_to_a_password_work(clerk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    Database.at(clerk).connect("test").close()
    monkeypatch.delenv("PGPASSWORD")
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"*:*:*:clerk:{SECRET}\n")
    passfile.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    Database.at(clerk).connect("test").close()
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    assert "[storage] password_file" in told(Database.at(clerk))


@pytest.mark.parametrize(
    ("octets", "words"),
    [(None, "No such file"), (b"x" * 5000, "is longer than 4096 octets"), (b"\xff\xfe", "not UTF-8")],
    ids=["missing", "long", "binary"],
)
def test_a_password_file_that_is_none_is_named(clerk: str, tmp_path: Path, octets: bytes | None, words: str) -> None:
    file = tmp_path / "password"
    if octets is not None:
        file.write_bytes(octets)
    assert words in told(Database.at(clerk, password_file=file))


# -- no connection ----------------------------------------------------------------------------------------------------


def test_what_keeps_us_out_is_told_with_what_to_do(cluster: Cluster) -> None:
    assert 'database "nowhere" does not exist' in told(Database.at(cluster.url("nowhere")))
    assert 'role "nobody" does not exist' in told(Database.at(cluster.url("postgres", user="nobody")))
    assert "CREATE DATABASE" in told(Database.at(cluster.url("nowhere")))
    assert "does the server run" in told(Database.at("postgresql://127.0.0.1:1/x"))
    assert "is the folder of its socket right" in told(Database.at("postgresql:///x?host=/nowhere"))
    assert "the server has no TLS" in told(Database.at(cluster.url("postgres", tcp=True) + "?sslmode=require"))


def test_a_server_that_only_reads_is_refused(cluster: Cluster, postgres: str) -> None:
    cluster.run(f"ALTER DATABASE {postgres.rpartition('/')[2]} SET default_transaction_read_only = on")
    assert "stand-by" in told(Database.at(postgres))


def test_a_server_that_is_too_old_is_refused(postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.storage.postgres.connection.OLDEST", 99)
    assert "right would be 99 or newer" in told(Database.at(postgres))


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "kind", "words"),
    [
        ("53100", StorageFull, "the disk with DB is full"),
        ("53200", StorageBroken, "out of memory"),
        ("53300", StorageBroken, "max_connections"),
        ("57014", StorageBroken, "did not finish within"),
        ("55P03", StorageBroken, "a lock was not to be had"),
        ("25006", StorageBroken, "it only reads"),
        ("42P01", StorageBroken, "say: gateway migrate"),
        ("42703", StorageBroken, "say: gateway migrate"),
        ("42501", StorageBroken, "must own its tables"),
        ("22P02", StorageBroken, "DB: error 22P02"),
        ("XX000", StorageBroken, "XX000"),
    ],
)
def test_errors_mean_something_to_who_waits(state: str, kind: type[Exception], words: str) -> None:
    error = psycopg.errors.lookup(state)("words with confidential values")
    found = meaning("DB", error)
    assert type(found) is kind
    assert words in str(found)
    assert "confidential" not in str(found)
    assert not is_lost(error)


@pytest.mark.parametrize("state", ["08006", "08003", "57P01", "57P02", "57P05", "25P03"])
def test_a_lost_connection_is_known_as_such(state: str) -> None:
    class Told(psycopg.OperationalError):
        sqlstate = state

    assert is_lost(Told("x"))


def test_an_error_without_a_state_is_a_lost_connection_only_where_it_can_be() -> None:
    assert is_lost(psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly"))
    assert is_lost(psycopg.InterfaceError("the connection is closed"))
    assert not is_lost(psycopg.ProgrammingError("the query has 1 placeholder but 0 parameters were passed"))
    assert not is_lost(ValueError("x"))
    assert str(meaning("DB", psycopg.OperationalError("secret"))) == "DB: the connection was lost"
    assert str(meaning("DB", psycopg.DataError("secret"))) == "DB: DataError"


def test_a_full_disk_is_told_as_such(postgres: str) -> None:
    with Database.at(postgres).connect("test") as db:
        with pytest.raises(psycopg.Error) as caught:
            db.execute("DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$")
        assert isinstance(meaning("DB", caught.value), StorageFull)


def test_escapes_that_make_no_utf_8_are_told() -> None:
    with pytest.raises(BadAddress, match="libpq does not understand"):
        Database.at("postgresql://gw:x%db.corp.example@db.corp.example/mail")
