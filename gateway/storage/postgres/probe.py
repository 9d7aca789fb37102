"""One look at a PostgreSQL server for `gateway check`: does it let us in, does it keep what it is given, what is there.

Changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import psycopg

from gateway.storage import revisions
from gateway.storage.postgres.connection import Database
from gateway.storage.postgres.form import ENGINE, KINDS, Form, State, form_of
from gateway.storage.postgres.meaning import meaning

_FACTS: Final = (
    "SELECT current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',"
    " has_schema_privilege(current_schema(), 'CREATE'), current_user"
)
_MAY: Final = "SELECT has_table_privilege(%s, 'SELECT') AND has_table_privilege(%s, 'INSERT, UPDATE, DELETE')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`fault` says, for people, why the gateway can't work with it. `is_durable`: it writes to its disk before it says
    so, as far as its settings tell.
    """

    version: int
    is_durable: bool
    state: State
    fault: str | None


def probe(database: Database) -> Probe:
    """Connect and look. Blocks for some seconds at most; raises StorageBroken where there is no connection."""
    db = database.connect("check")
    try:
        version = db.info.server_version // 10_000
        durable, may_make, user = db.execute(_FACTS).fetchone() or (False, False, "")
        form = form_of(db, database.shown)
        fault = form.fault or _fault(database.shown, form, bool(may_make), user)
        if fault is None and form.state is State.CURRENT:
            lacking = [name for name in sorted(revisions.tables(KINDS, ENGINE)) if not _may(db, name)]
            if lacking:
                told = ", ".join(lacking[:3])
                fault = f"{database.shown} does not let {user} write its tables ({told}); {user} must own them"
        return Probe(version=version, is_durable=bool(durable), state=form.state, fault=fault)
    except psycopg.Error as error:
        raise meaning(database.shown, error) from error
    finally:
        db.close()


def _may(db: psycopg.Connection[tuple[object, ...]], name: str) -> bool:
    row = db.execute(_MAY, (name, name)).fetchone()
    return row is not None and bool(row[0])


def _fault(where: str, form: Form, may_make: bool, user: str) -> str | None:
    if form.state is not State.CURRENT and not may_make:
        return f"{where} does not let {user} make tables; right would be ALTER DATABASE ... OWNER TO {user}"
    return None
