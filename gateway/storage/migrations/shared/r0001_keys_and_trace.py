"""Domain keys and the trace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "shared_0001"
down_revision = None

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "meta",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "domain_keys",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("purpose", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("vault", sa.Text, nullable=False),
        sa.Column("root", sa.Text, nullable=False),
        sa.Column("root_version", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created", _Long, nullable=False),
    )
    op.create_table(
        "trace_events",
        sa.Column("message", sa.Text, primary_key=True),
        sa.Column("uid", _Long, primary_key=True, autoincrement=False),
        sa.Column("time", _Long, nullable=False),
        sa.Column("tokens", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("trace_events_time", "trace_events", ["time"])
    op.create_table(
        "trace_tokens",
        sa.Column("token", _Long, primary_key=True, autoincrement=False),
        sa.Column("time", _Long, primary_key=True, autoincrement=False),
        sa.Column("message", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "postgresql":
        # Ids are compared by their codes, which is quicker than by the rules of any language. Sealed octets can't be
        # compressed; trying costs more than all else.
        for table in ("trace_events", "trace_tokens"):
            op.execute(f'ALTER TABLE {table} ALTER COLUMN message TYPE text COLLATE "C"')
        op.execute("ALTER TABLE trace_events ALTER COLUMN sealed SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE trace_events ALTER COLUMN tokens SET STORAGE EXTERNAL")
    if op.get_context().dialect.name == "sqlite":
        op.create_table(
            "trace_pending",
            sa.Column("seq", _Long, primary_key=True),
            sa.Column("message", sa.Text, nullable=False),
            sa.Column("time", _Long, nullable=False),
            sa.Column("tokens", sa.LargeBinary, nullable=False),
        )
