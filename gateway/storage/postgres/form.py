"""The form that a PostgreSQL database was found in: empty, of some revision, half migrated, somebody else's.

Told by plain queries, without Alembic, so that `gateway check` and every start may ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway.storage import revisions
from gateway.storage.postgres.connection import Connection

KINDS: Final = ("shared", "spool")
ENGINE: Final = "postgresql"
_VERSIONS: Final = "alembic_version"
_ENCODING: Final = "UTF8"
_FACTS: Final = "SELECT current_schema(), current_setting('server_encoding')"

# Tables in the schema that is ours to write, but for those that belong to an extension.
_TABLES: Final = (
    "SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace"
    " AND c.relkind IN ('r', 'p', 'f') AND NOT EXISTS"
    " (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')"
)
# In that schema and no other, whatever the search path has behind it.
_HAS_VERSIONS: Final = "SELECT to_regclass(quote_ident(current_schema()) || '.alembic_version') IS NOT NULL"


class State(Enum):
    """What there is to do."""

    EMPTY = "not migrated yet"
    OLDER = "of an older version"
    CURRENT = "of this version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """`fault` says, for people, why nothing may be done with it; else `state` holds."""

    state: State
    fault: str | None = None


def form_of(db: Connection, where: str) -> Form:
    """Look. `where` is `Database.shown`. Raises psycopg.Error."""
    schema, encoding = db.execute(_FACTS).fetchone() or (None, "")
    if encoding != _ENCODING:
        right = "CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        return Form(state=State.EMPTY, fault=f"{where} has the encoding {encoding}; right would be {right}")
    if schema is None:
        fault = f"{where} has no schema that the gateway may use; right would be: CREATE SCHEMA ... AUTHORIZATION ..."
        return Form(state=State.EMPTY, fault=fault)
    there = {name for (name,) in db.execute(_TABLES)}
    has_versions = db.execute(_HAS_VERSIONS).fetchone()
    heads: list[str] = []
    if has_versions is not None and has_versions[0]:
        heads = [found for (found,) in db.execute(f"SELECT version_num FROM {_VERSIONS}".encode())]  # noqa: S608
    return judge(where, heads, there - {_VERSIONS})


def judge(where: str, heads: list[str], there: set[str]) -> Form:
    """What these revisions and these tables (without Alembic's own) mean."""
    ours = revisions.tables(KINDS, ENGINE)
    if not heads:
        if mine := sorted(there & ours):
            fault = (
                f"{where} holds tables of the gateway ({', '.join(mine[:3])}) but no revision: it is half migrated. "
                "Restore it from a copy"
            )
            return Form(state=State.EMPTY, fault=fault)
        if there:
            return Form(state=State.EMPTY, fault=_foreign(where, sorted(there)))
        return Form(state=State.EMPTY)
    for found in heads:
        kind, _, number = found.partition("_")
        if kind not in KINDS or not number.isdigit():
            return Form(state=State.OLDER, fault=_foreign(where, sorted(there) or [f"revision {found!r}"]))
        if number > revisions.newest(kind).partition("_")[2]:
            return Form(state=State.OLDER, fault=revisions.unknown(where, found, kind))
    kinds = [found.partition("_")[0] for found in heads]
    if len(set(kinds)) < len(kinds):
        return Form(state=State.OLDER, fault=revisions.several(where, heads))
    if set(heads) != {revisions.newest(kind) for kind in KINDS}:
        return Form(state=State.OLDER)
    return Form(state=State.CURRENT, fault=revisions.missing(where, KINDS, ENGINE, there))


def _foreign(where: str, found: list[str]) -> str:
    return (
        f"{where} holds what is not the gateway's ({', '.join(found[:3])}); right would be a database of its own, or a "
        "schema of its own, which options=-csearch_path%3DSCHEMA in the address chooses"
    )
