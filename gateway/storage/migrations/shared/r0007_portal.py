"""What the portal remembers: one-time codes, sessions, and how often was tried."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "shared_0007"
down_revision = "shared_0006"

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of codes, sessions and counts."""
    for name in ("portal_codes", "portal_sessions"):
        op.create_table(
            name,
            sa.Column("organisation", sa.Text, primary_key=True),
            sa.Column("token", _Long, primary_key=True, autoincrement=False),
            sa.Column("ends", _Long, nullable=False),
            sa.Column("sealed", sa.LargeBinary, nullable=False),
        )
        op.create_index(f"{name}_ends", name, ["ends"])
    op.create_table(
        "portal_counts",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("token", _Long, primary_key=True, autoincrement=False),
        sa.Column("number", _Long, nullable=False),
        sa.Column("at", _Long, nullable=False),
        sa.Column("until", _Long, nullable=False),
    )
