"""The key-access log on both engines: it holds together, and whatever is done to its tables is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import Connection, delete, insert, update

from gateway.keys.access_log import GENESIS, batch_of, line_of, use_body
from gateway.storage.key_log import KeyLogStore
from gateway.storage.key_log_rows import Batch, HeadRow
from gateway.storage.postgres.shared import PostgresShared
from gateway.storage.shared import Shared
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import key_log, key_log_heads
from gateway.storage.writer import StorageBroken
from tests.fakes.key_log import KeyLog, flipped, use

T = TypeVar("T")

DAY = 86_400.0


@pytest.fixture
def log(shared: SharedStore) -> KeyLog:
    """13 lines: batches of 3, 4 and 2, a head over them, which is line 10, and a batch of 3."""
    log = KeyLog(shared)
    log.write(3, 4, 2)
    log.sign()
    log.write(3)
    return log


def make(*numbers: int) -> Callable[[int, bytes | None], Batch]:
    return lambda first, before: batch_of(first, before or GENESIS, [use_body(use(one)) for one in numbers])


# -- the chain ---------------------------------------------------------------------------------------------------------


def test_what_was_written_proves_to_be_whole(log: KeyLog) -> None:
    report = log.verify()
    assert report.findings == [] and report.notes == []
    assert (report.first, report.last, report.heads, report.signed) == (1, 13, 1, 9)
    assert [(one.first, one.last) for one in log.batches()] == [(1, 3), (4, 7), (8, 9), (10, 10), (11, 13)]


def test_batches_come_in_pages_and_end_where_asked(log: KeyLog) -> None:
    assert [one.first for one in log.store.batches(0, 2)] == [1, 4]
    assert [one.first for one in log.store.batches(4, 2)] == [8, 10]
    assert log.store.end_of_batch(7) == log.batches()[1].after
    assert (
        log.store.end_of_batch(6) is None and log.store.end_of_batch(99) is None and log.store.end_of_batch(0) is None
    )


def test_many_writers_add_to_one_chain(shared: SharedStore, engine: str, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    others: list[SharedStore] = [shared]
    for _ in range(3):
        if engine == "sqlite":
            others.append(Shared(tmp_path / "shared.db"))
        else:
            others.append(PostgresShared(shared._database))  # type: ignore[attr-defined]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda one: [KeyLogStore(one).append(make(*range(5))) for _ in range(10)], others))
    for other in others[1:]:
        other.close()
    log = KeyLog(shared)
    report = log.verify()
    assert report.findings == [] and report.last == 4 * 10 * 5


def test_what_was_stored_though_it_failed_is_not_stored_twice(shared: SharedStore) -> None:
    class Lossy:
        """Stores, and says that it did not: a connection lost at the commit."""

        fails = True

        def run(self, run: Callable[[Connection], T], *, read: bool = False) -> T:
            done = shared.run(run, read=read)
            if self.fails and not read:
                raise StorageBroken("the connection was lost")
            return done

    lossy = Lossy()
    store = KeyLogStore(lossy)
    with pytest.raises(StorageBroken):
        store.append(make(1, 2))
    found = store.again()
    assert found is not None and found.last == 2
    assert store.again() is None
    lossy.fails = False
    store.append(make(3))
    assert [(one.first, one.last) for one in store.batches(0, 9)] == [(1, 2), (3, 3)]


def test_what_was_not_stored_is_known_not_to_be(shared: SharedStore) -> None:
    store = KeyLogStore(shared)

    def fail(first: int, before: bytes | None) -> Batch:
        raise StorageBroken("no")

    with pytest.raises(StorageBroken):
        store.append(fail)
    assert store.again() is None
    assert store.tip() is None


# -- spoiling ----------------------------------------------------------------------------------------------------------


def test_a_changed_octet_of_a_line_is_found_with_its_line(log: KeyLog) -> None:
    lines = log.lines(4)
    lines[2] = lines[2].replace(b'"outcome":"done"', b'"outcome":"gone"')
    log.rewrite(4, lines)
    assert log.found() == [("changed", 6, 6)]


def test_a_flipped_bit_anywhere_in_a_row_is_found(log: KeyLog) -> None:
    batch = log.batches()[1]
    for place in range(0, len(batch.lines), 3):
        log.set(4, lines=flipped(batch.lines, place))
        assert log.found(), f"octet {place} of lines"
    log.set(4, lines=batch.lines)
    for column in ("before", "after"):
        for place in range(0, 32, 5):
            log.set(4, **{column: flipped(getattr(batch, column), place)})
            assert log.found(), f"octet {place} of {column}"
        log.set(4, **{column: getattr(batch, column)})
    for column in ("last", "time"):
        log.set(4, **{column: getattr(batch, column) ^ 1})
        assert log.found(), column
        log.set(4, **{column: getattr(batch, column)})
    assert log.found() == []


def test_a_removed_line_is_found(log: KeyLog) -> None:
    lines = log.lines(4)
    log.rewrite(4, [*lines[:1], *lines[2:]])
    assert log.found() == [("removed", 5, 5)]


def test_removed_batches_are_found(log: KeyLog) -> None:
    log.drop(4, 8)
    assert ("removed", 4, 9) in log.found()


def test_lines_removed_from_the_front_are_found(log: KeyLog) -> None:
    log.drop(1)
    report = log.verify()
    assert [(one.what.value, one.first, one.last) for one in report.findings] == [("removed", 1, 3)]
    assert "no signed statement" in report.findings[0].text


def test_an_inserted_line_is_found(log: KeyLog) -> None:
    lines = log.lines(4)
    false = line_of(5, use_body(use(77)))
    log.rewrite(4, [lines[0], lines[1], false, *lines[2:]], hints=[b"abcd"] * 5)
    assert log.found() == [("inserted", 5, 5)]


def test_an_inserted_batch_is_found(log: KeyLog) -> None:
    batch = log.batches()[0]
    log.add(replace(batch, first=2))
    assert ("inserted", 2, 3) in log.found()
    log.drop(2)
    log.add(replace(batch, first=-5))
    assert log.found()


def test_swapped_lines_are_found(log: KeyLog) -> None:
    lines = log.lines(4)
    log.rewrite(4, [lines[0], lines[2], lines[1], lines[3]])
    assert log.found() == [("swapped", 5, 6)]


def test_swapped_batches_are_found(log: KeyLog) -> None:
    log.write(3)
    batches = log.batches()
    one, other = batches[0], batches[-1]
    assert one.last - one.first == other.last - other.first
    log.set(one.first, lines=other.lines, before=other.before, after=other.after, time=other.time)
    log.set(other.first, lines=one.lines, before=one.before, after=one.after, time=one.time)
    whats = {(what, first) for what, first, _ in log.found()}
    assert ("removed", 1) in whats and ("removed", other.first) in whats


def test_lines_cut_off_at_the_end_are_found_by_the_head_outside(log: KeyLog) -> None:
    log.sign()
    log.drop(11, 14)
    log.shared.run(lambda c: c.execute(delete(key_log_heads).where(key_log_heads.c.line > 9)))
    assert log.found(outside=False) == []
    assert log.found() == [("cut_off", 11, 13)]


def test_lines_cut_off_are_found_by_heads_that_were_left(log: KeyLog) -> None:
    log.drop(8, 10, 11)
    assert log.found(outside=False) == [("cut_off", 8, 9)]


def test_lines_cut_off_within_the_last_batch_are_found(log: KeyLog) -> None:
    log.sign()
    lines = log.lines(11)
    log.drop(14)
    log.rewrite(11, lines[:2])
    log.set(11, last=12)
    assert ("cut_off", 13, 13) in log.found()


def test_an_older_copy_of_the_whole_database_is_found(log: KeyLog) -> None:
    old, heads = log.batches(), log.store.heads()
    log.write(5)
    log.sign()

    def put_back(connection: Connection) -> None:
        connection.execute(delete(key_log).where(key_log.c.first > old[-1].first))
        connection.execute(delete(key_log_heads).where(key_log_heads.c.line > heads[-1].line))

    log.shared.run(put_back)
    assert log.found(outside=False) == []
    assert log.found() == [("cut_off", 14, 18)]
    # And it is still found once the log has gone on.
    log.write(30)
    assert [what for what, _, _ in log.found()] == ["changed"]


def test_an_emptied_log_is_found(log: KeyLog) -> None:
    log.shared.run(lambda c: c.execute(delete(key_log)))
    log.shared.run(lambda c: c.execute(delete(key_log_heads)))
    assert log.found() == [("cut_off", 1, 9)]


def test_a_chain_reckoned_anew_is_found_by_the_heads(log: KeyLog) -> None:
    log.write(4)
    log.sign()
    lines = log.lines(11)
    lines[1] = lines[1].replace(b'"outcome":"done"', b'"outcome":"gone"')
    log.reckon_anew(11, lines)
    found = log.verify(outside=False).findings
    assert [(one.what.value, one.first, one.last) for one in found] == [("changed", 10, 17)]
    assert "another hash" in found[0].text


def test_lines_that_begin_another_chain_are_found_before_any_head_covers_them(log: KeyLog) -> None:
    one = log.batches()[-1]
    log.drop(one.first)
    log.add(batch_of(one.first, b"\1" * 32, [use_body(use(number)) for number in range(3)]))
    assert log.found() == [("changed", one.first, one.first)]


def test_forged_heads_are_found(log: KeyLog) -> None:
    row = log.store.heads()[0]
    forged = [
        replace(row, signature=flipped(row.signature, 5)),
        replace(row, statement=row.statement.replace(b'"line":9', b'"line":8'), line=8),
        replace(row, line=13),
        replace(row, kind="start"),
        replace(row, statement=b"[]"),
        replace(row, key="dkim.corp.example.s1"),
        replace(row, version=2),
    ]
    for one in forged:
        put(log, one)
        kinds = {what for what, _, _ in log.found()}
        assert kinds & {"forged", "unproven"}, one
    put(log, row)
    assert log.found() == []


def put(log: KeyLog, row: HeadRow) -> None:
    def replace_all(connection: Connection) -> None:
        connection.execute(delete(key_log_heads))
        values = {name: getattr(row, name) for name in key_log_heads.columns.keys()}
        connection.execute(insert(key_log_heads).values(values))

    log.shared.run(replace_all)


def test_a_head_of_another_vaults_key_is_no_proof(log: KeyLog, shared: SharedStore) -> None:
    """Who may write the database signs heads with a key of his own that has the same name."""
    stranger = KeyLog(shared)
    stranger.vault._chance._seed = "stranger"  # type: ignore[attr-defined]
    stranger.vault.rotate("access-log")
    signed = stranger.vault.sign("access-log", log.store.heads()[0].statement)
    put(log, replace(log.store.heads()[0], signature=signed.octets))
    assert ("forged", 9, 9) in log.found()


def test_a_batch_that_claims_a_great_many_lines_costs_nothing(log: KeyLog) -> None:
    log.set(4, last=1 << 60)
    assert ("changed", 4, 1 << 60) in log.found()


# -- removing what is old ----------------------------------------------------------------------------------------------


async def test_old_lines_go_by_whole_batches_and_the_rest_proves_to_be_whole(shared: SharedStore) -> None:
    log = KeyLog(shared, days=10)
    log.write(3, 4)
    log.sign()
    await log.clock.advance(11 * DAY)
    log.write(5)
    log.heads.look()
    assert "key_log_removed" in log.sink.events()
    assert [one.first for one in log.batches()] == [9]
    log.write(1)
    report = log.verify()
    assert report.findings == [] and (report.first, report.last) == (9, 16)
    assert "lines up to 8 were removed" in report.notes[0]
    told = next(facts for _, event, facts in log.sink.lines if event == "key_log_removed")
    assert told["lines"] == 8
    assert b"key log without lines up to 8" in b"".join(log.lines(14))
    # A second time, from where the first one ended.
    await log.clock.advance(11 * DAY)
    log.write(2)
    log.heads.look()
    assert log.verify().findings == []
    assert log.batches()[0].first > 9
    assert [row.kind for row in log.store.heads()].count("start") == 1


async def test_the_newest_batch_stays_however_old_it_is(shared: SharedStore) -> None:
    log = KeyLog(shared, days=1)
    log.write(3)
    await log.clock.advance(5 * DAY)
    log.heads.look()
    assert len(log.batches()) >= 1
    assert log.verify().findings == []


async def test_young_lines_that_say_they_are_old_are_not_removed(shared: SharedStore) -> None:
    """Who may write the database makes lines look old, so that the gateway itself removes them, and signs for it."""
    log = KeyLog(shared, days=10)
    log.write(3, 4, 5)
    log.sign()
    log.shared.run(lambda c: c.execute(update(key_log).values(time=5)))
    log.heads.look()
    assert len(log.batches()) == 4
    assert log.heads.contradicted is not None
    assert "key_log_contradicted" in log.sink.events()


async def test_a_start_that_nobody_signed_does_not_hide_what_was_removed(shared: SharedStore) -> None:
    log = KeyLog(shared)
    log.write(3, 4)
    log.sign()
    head = log.store.heads()[0]
    false = replace(head, kind="start", line=3, statement=head.statement.replace(b"head", b"start"))
    log.drop(1)
    log.shared.run(
        lambda c: c.execute(insert(key_log_heads).values({n: getattr(false, n) for n in key_log_heads.columns.keys()}))
    )
    assert {("removed", 1, 3), ("forged", 3, 3)} <= set(log.found())


def test_an_empty_log_is_whole(shared: SharedStore) -> None:
    log = KeyLog(shared)
    assert log.store.before(10**15) is None and log.store.newest_head() is None and log.store.tip() is None
    report = log.verify()
    assert report.findings == [] and (report.first, report.last) == (0, 0)
