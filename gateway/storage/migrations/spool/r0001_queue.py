"""Messages, deliveries, and records on their way to the shared database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "spool_0001"
down_revision = None

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "messages",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("received", _Long, nullable=False),
        sa.Column("size", _Long, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("connector", sa.Text, nullable=False),
        sa.Column("destination", _Long, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("next_attempt", _Long, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created", _Long, nullable=False),
        sa.Column("size", _Long, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("deliveries_due", "deliveries", ["state", "next_attempt"], sqlite_where=sa.text("state <> 'new'"))
    if op.get_context().dialect.name == "sqlite":
        op.create_table(
            "records",
            sa.Column("seq", _Long, primary_key=True, autoincrement=False),
            sa.Column("message", sa.Text, nullable=False),
            sa.Column("kind", sa.Text, nullable=False),
            sa.Column("sealed", sa.LargeBinary, nullable=False),
        )
