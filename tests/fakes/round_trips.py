"""What goes over a connection to PostgreSQL, as libpq's own trace tells: how often somebody waits, how many octets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection

from gateway.storage.postgres.shared import PostgresShared

# Time, side, length, kind; lines between these are those of statements.
_LINE = re.compile(rb"^[\d-]{10} [\d:.]+\t[FB]\t(\d+)\t(\w+)", re.MULTILINE)
_WAITS = (b"Sync", b"Query")  # Messages behind which the client waits for an answer.


@dataclass
class Trips:
    """`count` round trips; `octets` that were sent and received. Known when the block has ended."""

    count: int = 0
    octets: int = 0


@contextmanager
def round_trips(shared: PostgresShared, folder: Path) -> Iterator[Trips]:
    """Those of a block. Every round trip of PostgresShared ends with one of _WAITS, in pipeline mode too."""

    def session(connection: Connection) -> psycopg.Connection[Any]:
        found: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        return found

    with trips_of(shared.run(session, read=True), folder) as found:
        yield found


@contextmanager
def trips_of(session: psycopg.Connection[Any], folder: Path) -> Iterator[Trips]:
    """Those of a connection, which nobody uses just when the block begins and ends."""
    found = Trips()
    file = folder / "trace"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        session.pgconn.trace(descriptor)
        try:
            yield found
        finally:
            session.pgconn.untrace()
        for length, kind in _LINE.findall(file.read_bytes()):
            found.count += kind in _WAITS
            found.octets += 1 + int(length)
    finally:
        os.close(descriptor)
