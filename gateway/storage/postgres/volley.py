"""Prepared statements sent all at once, as one transaction and one round trip, and the answers read in one go.

Between two syncs of a pipeline the server makes one transaction of all statements, and commits it at the second, so
neither BEGIN nor COMMIT is sent. What psycopg does for a statement costs more than the statement, so this speaks to
libpq itself. Leaves out: statements that depend on another's answer.
"""

from __future__ import annotations

import re
import select
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from gateway.storage.postgres.connection import Connection

Row = tuple[bytes | None, ...]

_PLACE = re.compile(r"%[bs]")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement under the name by which a session prepares it. `oids` are the types of its places (%b, %s)."""

    name: str
    query: str
    oids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Shot:
    """One use of a statement. `values` are in the server's binary form."""

    name: str
    values: tuple[bytes, ...]


def prepare(db: Connection, statements: Sequence[Statement]) -> None:
    """Have the session know them, under names of ours. Blocks; raises psycopg.Error."""
    for one in statements:
        numbers = count(1)
        query = _PLACE.sub(lambda _, numbers=numbers: f"${next(numbers)}", one.query)  # type: ignore[misc]
        result = db.pgconn.prepare(_name(one.name), query.encode(), one.oids)
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)


def fire(db: Connection, shots: Sequence[Shot]) -> dict[str, list[Row]]:
    """Run them as one transaction: the rows that each was answered, by its name, once all is committed.

    Blocks. Raises the psycopg.Error of the first that failed, and then nothing was stored; or the one by which the
    connection was lost, and then nobody knows.
    """
    connection = db.pgconn
    connection.enter_pipeline_mode()
    for shot in shots:
        formats = [1] * len(shot.values)
        connection.send_query_prepared(_name(shot.name), shot.values, param_formats=formats, result_format=1)
    connection.pipeline_sync()
    flush(connection)
    error: psycopg.Error | None = None
    answers: dict[str, list[Row]] = {}
    for shot in shots:
        while (result := _next(connection)) is not None:
            if result.status == ExecStatus.TUPLES_OK:
                answers[shot.name] = _rows(result)
            elif result.status not in (ExecStatus.COMMAND_OK, ExecStatus.PIPELINE_ABORTED):
                error = error or error_from_result(result)
    # A commit that fails is told in the place of the sync.
    while (result := _next(connection)) is None or result.status != ExecStatus.PIPELINE_SYNC:
        if connection.status != ConnStatus.OK:
            raise psycopg.OperationalError("the connection is lost")
        if result is not None and result.status != ExecStatus.COMMAND_OK:
            error = error or error_from_result(result)
    connection.exit_pipeline_mode()
    if error is not None:
        raise error
    return answers


def flush(connection: PGconn) -> None:
    """Send all that libpq has taken. psycopg 3.3 tries once in pipeline mode, and then waits for an answer for ever."""
    if not connection.flush():
        return
    poll = select.poll()
    poll.register(connection.socket, select.POLLIN | select.POLLOUT)
    while connection.flush():
        for _, happened in poll.poll():
            if happened & ~select.POLLOUT:
                connection.consume_input()  # A server that waits for us to read does not read either.


def _next(connection: PGconn) -> PGresult | None:
    """The next result; None behind the last of a statement. Waits without holding the interpreter."""
    if connection.is_busy():
        poll = select.poll()
        poll.register(connection.socket, select.POLLIN)
        while connection.is_busy():
            poll.poll()
            connection.consume_input()
    return connection.get_result()


def _rows(result: PGresult) -> list[Row]:
    columns = range(result.nfields)
    return [tuple([result.get_value(row, column) for column in columns]) for row in range(result.ntuples)]


def _name(name: str) -> bytes:
    return b"gateway_" + name.encode()
