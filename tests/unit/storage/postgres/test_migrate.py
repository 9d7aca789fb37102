"""Migrations on PostgreSQL: what they make is what the code expects; what they can't handle stays and is named."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
from sqlalchemy import MetaData

from gateway.storage.postgres.connection import Database
from gateway.storage.postgres.form import State, form_of, judge
from gateway.storage.postgres.migrate import migrate
from gateway.storage.postgres.probe import probe
from gateway.storage.revisions import KINDS, MigrationFault, newest, tables
from gateway.storage.tables import of
from gateway.storage.writer import StorageBroken
from tests.postgres import Cluster

# What the queue has on PostgreSQL beyond the columns that both engines know; see `gateway.storage.tables`.
_MORE = {"node", "epoch", "wanted"}


def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """The rows of the last of these statements."""
    rows: list[tuple[Any, ...]] = []
    with Database.at(url).connect("test") as db:
        for statement in statements:
            cursor = db.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
    return rows


def names(url: str) -> set[str]:
    return {name for (name,) in run(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_migrations_make_what_the_code_expects(postgres: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    here = MetaData()
    for metadata in KINDS.values():
        for table in of(metadata, "postgresql"):
            table.to_metadata(here)
    engine = Database.at(postgres).engine("test")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, here)
    engine.dispose()
    more = {change[3].name for change in found if change[0] == "remove_column"}
    # Indexes are the engine's own affair; tables and columns are not.
    others = [change for change in found if change[0] not in ("remove_column", "remove_index", "add_index")]
    assert (more, others) == (_MORE, [])
    assert names(postgres) == tables(tuple(KINDS), "postgresql") | {"alembic_version"}


def test_what_only_sqlite_needs_is_not_made(postgres: str) -> None:
    assert names(postgres) & {"trace_pending", "records"} == set()


def test_it_tells_whether_there_was_nothing_before(empty_postgres: str) -> None:
    database = Database.at(empty_postgres)
    assert [migrate(database), migrate(database)] == [True, False]


def test_a_fault_in_the_middle_leaves_an_empty_database(empty_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", fail)
        with pytest.raises(RuntimeError):
            migrate(Database.at(empty_postgres))
    assert names(empty_postgres) == set()
    assert migrate(Database.at(empty_postgres))


def test_two_nodes_that_migrate_at_once_take_turns(empty_postgres: str) -> None:
    made: list[bool] = []
    faults: list[Exception] = []

    def node() -> None:
        try:
            made.append(migrate(Database.at(empty_postgres)))
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=node) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    assert faults == []
    assert sorted(made) == [False, False, False, True]


def test_two_processes_that_migrate_at_once_both_succeed(empty_postgres: str) -> None:
    code = (
        "import sys; from gateway.storage.postgres.migrate import migrate;"
        "from gateway.storage.postgres.connection import Database; migrate(Database.at(sys.argv[1]))"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, empty_postgres]) for _ in range(2)]
    assert [one.wait(50) for one in both] == [0, 0]
    assert probe(Database.at(empty_postgres)).state is State.CURRENT


def test_an_older_database_is_brought_up(empty_postgres: str) -> None:
    database = Database.at(empty_postgres)
    migrate(database)
    # As a gateway left it whose newest revision of the accounts was the one before.
    run(
        empty_postgres,
        "DROP TABLE accounts, key_log, key_log_heads, dkim_keys, certificates, certificate_names",
        "DROP TABLE rights_messages, rights_links, rights_pieces, licence_log",
        "DROP TABLE portal_codes, portal_sessions, portal_counts",
        "DROP TABLE mailboxes, mailbox_names, mailbox_folders, mailbox_messages, mailbox_expunged, mailbox_contents",
        "DROP TABLE mailbox_arrivals, mailbox_blobs, mailbox_policies",
        "UPDATE alembic_version SET version_num='shared_0001' WHERE version_num LIKE 'shared%'",
    )
    assert probe(database).state is State.OLDER
    assert migrate(database) is False
    assert probe(database).state is State.CURRENT


_SET = "UPDATE alembic_version SET version_num='{}' WHERE version_num LIKE 'spool%'"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (_SET.format("spool_0999"), r"'spool_0999'.*newest is 'spool_\d{4}'.*newer gateway"),
        ("INSERT INTO alembic_version VALUES ('shared_0001')", r"several revisions at once"),
        ("DROP TABLE domain_keys", r"lacks domain_keys: it is half migrated"),
        ("DROP TABLE alembic_version", r"tables of the gateway \(accounts, .*no revision: it is half migrated"),
        ("DELETE FROM alembic_version", r"but no revision: it is half migrated"),
        (_SET.format("1a2b3c4d"), r"not the gateway's"),
        ("INSERT INTO alembic_version VALUES ('shared_')", r"not the gateway's"),
    ],
    ids=["newer", "several", "table gone", "versions gone", "versions empty", "another program's", "odd"],
)
def test_what_is_half_migrated_newer_or_foreign_is_named_and_kept(postgres: str, statement: str, words: str) -> None:
    run(postgres, statement)
    before = names(postgres)
    with pytest.raises(MigrationFault, match=words):
        migrate(Database.at(postgres))
    assert names(postgres) == before
    assert (probe(Database.at(postgres)).fault or "") != ""


def test_another_programs_database_is_named_and_kept(empty_postgres: str) -> None:
    run(empty_postgres, "CREATE TABLE wiki_pages(id int)")
    with pytest.raises(MigrationFault, match=r"holds what is not the gateway's \(wiki_pages\).*of its own"):
        migrate(Database.at(empty_postgres))
    assert names(empty_postgres) == {"wiki_pages"}


def test_a_schema_of_its_own_may_lie_beside_others(empty_postgres: str) -> None:
    run(
        empty_postgres,
        "CREATE TABLE wiki_pages(id int)",
        "CREATE TABLE alembic_version(version_num text)",
        "CREATE SCHEMA mail",
    )
    url = f"{empty_postgres}?options=-csearch_path%3Dmail"
    assert migrate(Database.at(url)) is True
    assert migrate(Database.at(url)) is False
    assert names(empty_postgres) == {"wiki_pages", "alembic_version"}
    assert run(empty_postgres, "SELECT count(*) FROM mail.domain_keys") == [(0,)]


def test_a_schema_that_is_missing_is_named(empty_postgres: str) -> None:
    with pytest.raises(MigrationFault, match="has no schema that the gateway may use"):
        migrate(Database.at(f"{empty_postgres}?options=-csearch_path%3Dnowhere"))


def test_missing_rights_are_told_with_what_gives_them(cluster: Cluster, empty_postgres: str) -> None:
    cluster.run("DROP ROLE IF EXISTS guest")
    cluster.run("CREATE ROLE guest LOGIN")
    run(empty_postgres, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    url = cluster.url(empty_postgres.rpartition("/")[2], user="guest")
    with pytest.raises(MigrationFault, match=r"permission denied for schema public\. .*ALTER DATABASE"):
        migrate(Database.at(url))
    assert "does not let guest make tables" in (probe(Database.at(url)).fault or "")
    migrate(Database.at(empty_postgres))
    run(empty_postgres, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO guest")
    assert "does not let guest write its tables" in (probe(Database.at(url)).fault or "")


def test_one_that_waits_for_too_long_says_for_what(empty_postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.storage.postgres.migrate._PATIENCE", 50)
    from gateway.storage.postgres.migrate import _LOCK

    with Database.at(empty_postgres).connect("other") as other:
        other.execute(f"SELECT pg_advisory_lock({_LOCK})".encode())
        with pytest.raises(MigrationFault, match="another node, or somebody's transaction, held it"):
            migrate(Database.at(empty_postgres))
    assert names(empty_postgres) == set()


def test_a_server_that_is_away_is_told(cluster: Cluster) -> None:
    with pytest.raises(StorageBroken, match="can't be reached"):
        migrate(Database.at(cluster.url("nowhere")))


def test_looking_does_not_load_alembic() -> None:
    code = (
        "import sys, gateway.storage.postgres.probe as p, gateway.storage.postgres.shared;"
        "from gateway.storage.postgres.form import judge; judge('x', ['shared_0001'], set());"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_database_of_this_version_has_no_fault(postgres: str) -> None:
    with Database.at(postgres).connect("test") as db:
        form = form_of(db, "x")
    assert (form.state, form.fault) == (State.CURRENT, None)


def test_only_one_kind_is_older_and_not_half_migrated() -> None:
    there = tables(("shared",), "postgresql")
    assert judge("x", [newest("shared")], there).state is State.OLDER
    assert judge("x", [newest("shared")], there).fault is None


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_an_encoding_that_can_not_hold_every_name_is_refused(cluster: Cluster, encoding: str) -> None:
    cluster.run(f"CREATE DATABASE odd ENCODING '{encoding}' TEMPLATE template0")
    try:
        with pytest.raises(MigrationFault, match=f"has the encoding {encoding}; .*ENCODING 'UTF8'"):
            migrate(Database.at(cluster.url("odd")))
    finally:
        cluster.drop(cluster.url("odd"))
