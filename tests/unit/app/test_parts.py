"""The parts of a gateway on PostgreSQL: made ready once by many, opened as one node among others, asked offline."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from gateway.app.console import Console, ConsoleFault
from gateway.app.database import database, open_shared
from gateway.app.keyring import make_keys, open_sealer
from gateway.app.migrate import migrate
from gateway.app.parts import Stores, open_stores
from gateway.keys.vault import KeyFault
from gateway.settings.load import Loaded, loaded
from gateway.storage.keyrows import KeyRow
from gateway.storage.migrate import MigrationFault
from gateway.storage.postgres.connection import Database
from gateway.storage.writer import StorageBroken
from gateway.world.chance import SystemChance
from gateway.world.clock import SystemClock
from tests.fakes.clear_vault import create
from tests.fakes.settings import PLAIN
from tests.fakes.spool import delivery_of, event_of, mail_of, message_of


class Node:
    """A folder of its own with settings and vault, on a database that others may use too."""

    def __init__(self, folder: Path, url: str, vault: Path | None = None) -> None:
        folder.mkdir()
        self.path = folder / "gateway.toml"
        self.path.write_text(f'{PLAIN}\n[storage]\nurl = "{url}"\n')
        if vault is None:
            create(folder / "vault", ("default",), SystemChance())
        else:
            shutil.copytree(vault, folder / "vault")

    @property
    def settings(self) -> Loaded:
        return loaded(self.path)

    async def open(self) -> Stores:
        return await open_stores(
            self.settings, [], clock=SystemClock(), chance=SystemChance(), tell=lambda *_, **__: None, observe=_nothing
        )

    async def put(self, id_: str) -> None:
        """Accept a message and end."""
        stores = await self.open()
        try:
            (spool,) = stores.spools
            mail = mail_of(id_, await message_of(spool, id_, b"Subject: x\r\n\r\nx\r\n"))
            await spool.accept(mail, [delivery_of(mail)], [spool.new_record(id_, [event_of(id_)])])
        finally:
            await asyncio.to_thread(stores.close)

    def ask(self, command: str, **arguments: object) -> object:
        return Console.open(self.path).ask(command, **arguments)


def _nothing(works: int, seconds: float) -> None:
    pass


@pytest.fixture
def node(tmp_path: Path, empty_postgres: str) -> Node:
    return Node(tmp_path / "a", empty_postgres)


def test_migrating_makes_tables_and_keys_and_a_second_time_changes_nothing(node: Node) -> None:
    first, again = migrate(node.path), migrate(node.path)
    assert [line.rpartition(": ")[2] for line in first + again] == ["made", "ready", "up to date", "ready"]
    assert not (node.path.parent / "data").exists()


def test_a_node_with_another_vault_is_refused_and_adds_no_key(node: Node, tmp_path: Path, empty_postgres: str) -> None:
    migrate(node.path)
    shared = open_shared(node.settings)
    # As after an update that brings a new purpose.
    shared.run(lambda db: db.exec_driver_sql("DELETE FROM domain_keys WHERE purpose = 'accounts'"))
    before = shared.keys()
    other = Node(tmp_path / "b", empty_postgres)
    with pytest.raises(KeyFault, match=r"the vaults of this machine do not open .* copy the vault"):
        migrate(other.path)
    assert shared.keys() == before
    with pytest.raises(KeyFault, match="copy the vault"):
        open_sealer(other.settings, shared, SystemChance())
    shared.close()


def test_a_node_that_comes_second_with_another_vault_is_refused(
    node: Node, tmp_path: Path, empty_postgres: str
) -> None:
    """Both looked before either wrote: the first one's keys stay, and the second is told at once."""
    from gateway.storage.postgres.migrate import migrate as migrate_tables

    migrate_tables(Database.at(empty_postgres))
    other = Node(tmp_path / "b", empty_postgres)
    first, second = open_shared(node.settings), open_shared(other.settings)
    real = second.keys
    answers: list[list[KeyRow]] = [[], []]  # What it saw before the first one wrote.
    second.keys = lambda: answers.pop() if answers else real()  # type: ignore[method-assign]
    make_keys(node.settings, first, SystemChance(), SystemClock())
    with pytest.raises(KeyFault, match="copy the vault"):
        make_keys(other.settings, second, SystemChance(), SystemClock())
    assert {row.purpose for row in first.keys()} == {row.purpose for row in real()}
    first.close()
    second.close()


async def test_what_one_node_took_the_others_have(node: Node, tmp_path: Path, empty_postgres: str) -> None:
    migrate(node.path)
    await node.put("Q1")
    other = Node(tmp_path / "b", empty_postgres, vault=node.path.parent / "vault")
    stores = await other.open()
    try:
        (spool,) = stores.spools
        assert [delivery.id for delivery in await spool.due(1_793_700_000.0, 10, ())] == ["Q1.1"]
        [(message, story)] = await stores.traces.find(id="Q1.1")
        assert (message, [event.event for event in story]) == ("Q1", [event_of("Q1").event])
        assert not stores.mover.is_full
    finally:
        await asyncio.to_thread(stores.close)


async def test_no_keys_are_made_beside_mail_that_is_sealed_under_others(node: Node) -> None:
    migrate(node.path)
    await node.put("Q1")
    shared = open_shared(node.settings)
    shared.run(lambda db: db.exec_driver_sql("DELETE FROM domain_keys"))
    with pytest.raises(MigrationFault, match=r"holds no keys of the queue, but 1 sealed message"):
        await asyncio.to_thread(migrate, node.path)
    assert await asyncio.to_thread(shared.keys) == []
    shared.close()


async def test_a_start_that_fails_leaves_nothing_open(node: Node, cluster: object, empty_postgres: str) -> None:
    from tests.postgres import Cluster

    assert isinstance(cluster, Cluster)
    with pytest.raises(StorageBroken, match="gateway migrate"):
        await node.open()
    name = empty_postgres.rpartition("/")[2]
    assert cluster.run(
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND backend_type = 'client backend'"
    ) == [(0,)]


# -- the command line while nothing serves ----------------------------------------------------------------------------


def test_before_the_first_start_there_is_no_mail(node: Node) -> None:
    assert node.ask("queue.list") == []
    assert node.ask("trace", id="Q1") == []
    assert node.ask("queue.retry", all=True) == {"changed": [], "missing": [], "sending": []}
    status = node.ask("status")
    assert isinstance(status, dict)
    assert [one["code"] for one in status["warnings"]] == ["not_running"]


async def test_commands_reach_what_lies_in_the_database(node: Node) -> None:
    await asyncio.to_thread(migrate, node.path)
    await node.put("Q1")

    def ask() -> None:
        rows = node.ask("queue.list")
        assert isinstance(rows, list)
        assert [(row["id"], row["state"]) for row in rows] == [("Q1.1", "ready")]
        assert node.ask("queue.hold", ids=["Q1.1", "Q9"]) == {"changed": ["Q1.1"], "missing": ["Q9"], "sending": []}
        status = node.ask("status")
        assert isinstance(status, dict)
        assert (status["queue"]["ready"], status["queue"]["held"]) == (0, 1)
        assert [one["code"] for one in status["warnings"]] == ["not_running", "vault_unsealed", "held"]
        stories = node.ask("trace", id="Q1")
        assert isinstance(stories, list)
        assert [event["event"] for event in stories[0]["events"]] == ["received", "held"]
        assert node.ask("queue.delete", ids=["Q1"]) == {"changed": ["Q1.1"], "missing": [], "sending": []}
        assert node.ask("queue.list") == []

    await asyncio.to_thread(ask)


async def test_status_counts_the_queue_where_a_vault_is_missing(node: Node) -> None:
    await asyncio.to_thread(migrate, node.path)
    await node.put("Q1")
    (node.path.parent / "vault").rename(node.path.parent / "elsewhere")
    status = await asyncio.to_thread(node.ask, "status")
    assert isinstance(status, dict)
    assert status["queue"]["ready"] == 1
    assert [one["code"] for one in status["warnings"]] == ["not_running", "vault_denied"]


def test_a_database_that_is_away_or_not_ours_is_told_in_words(node: Node, tmp_path: Path, empty_postgres: str) -> None:
    away = Node(tmp_path / "b", "postgresql://127.0.0.1:1/mail")
    with pytest.raises(ConsoleFault, match="can't be reached"):
        away.ask("queue.list")
    with pytest.raises(MigrationFault, match="can't be reached"):
        migrate(away.path)
    with Database.at(empty_postgres).connect("test") as db:
        db.execute("CREATE TABLE wiki(id int)")
    with pytest.raises(ConsoleFault, match=r"not the gateway's \(wiki\)"):
        node.ask("queue.list")


def test_an_older_database_is_not_migrated_in_passing(node: Node, empty_postgres: str) -> None:
    migrate(node.path)
    with Database.at(empty_postgres).connect("test") as db:
        db.execute("UPDATE alembic_version SET version_num = 'shared_0001' WHERE version_num LIKE 'shared%'")
    with pytest.raises(ConsoleFault, match=r"of an older version; say: gateway migrate"):
        node.ask("queue.list")


def test_an_address_that_is_none_is_not_shown(tmp_path: Path) -> None:
    bad = Node(tmp_path / "a", "postgresql://gw:geheim@x@h/mail")
    with pytest.raises(StorageBroken) as caught:
        database(bad.settings)
    assert "geheim" not in f"{caught.value}{caught.value.__cause__}"
    assert "geheim" not in repr(bad.settings.settings)
