"""People who may log in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "shared_0002"
down_revision = "shared_0001"

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table of accounts."""
    op.create_table(
        "accounts",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("token", _Long, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
