"""What is known of DKIM keys; the private ones lie in the vaults."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "shared_0004"
down_revision = "shared_0003"

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table of DKIM keys."""
    op.create_table(
        "dkim_keys",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("token", _Long, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
