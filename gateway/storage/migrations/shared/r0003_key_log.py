"""The key-access log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "shared_0003"
down_revision = "shared_0002"

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table of batches of lines, and that of what a vault signed about them."""
    op.create_table(
        "key_log",
        sa.Column("first", _Long, primary_key=True, autoincrement=False),
        sa.Column("last", _Long, nullable=False),
        sa.Column("time", _Long, nullable=False),
        sa.Column("before", sa.LargeBinary, nullable=False),
        sa.Column("after", sa.LargeBinary, nullable=False),
        sa.Column("lines", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "key_log_heads",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("line", _Long, primary_key=True, autoincrement=False),
        sa.Column("statement", sa.LargeBinary, nullable=False),
        sa.Column("vault", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
    )
    if op.get_context().dialect.name == "postgresql":  # The lines are compressed already.
        op.execute("ALTER TABLE key_log ALTER COLUMN lines SET STORAGE EXTERNAL")
