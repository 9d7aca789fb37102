"""Rights-managed messages: what is known of each, the links of its readers, stored copies, and the licence log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "shared_0006"
down_revision = "shared_0005"

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the four tables."""
    op.create_table(
        "rights_messages",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("work", sa.Text, primary_key=True),
        sa.Column("message", _Long, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("created", _Long, nullable=False),
        sa.Column("expires", _Long, nullable=True),
        sa.Column("size", _Long, nullable=False),
        sa.Column("stored", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=True),
        sa.Column("copy", sa.LargeBinary, nullable=True),
    )
    for name in ("message", "queue", "created", "expires"):
        op.create_index(f"rights_messages_{name}", "rights_messages", ["organisation", name])
    op.create_table(
        "rights_links",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("link", sa.LargeBinary, primary_key=True),
        sa.Column("work", sa.Text, nullable=False),
        sa.Column("reader", sa.Integer, nullable=False),
    )
    op.create_table(
        "rights_pieces",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("start", _Long, primary_key=True, autoincrement=False),
        sa.Column("made", _Long, nullable=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "licence_log",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("time", _Long, primary_key=True, autoincrement=False),
        sa.Column("uid", _Long, primary_key=True, autoincrement=False),
        sa.Column("work", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("licence_log_work", "licence_log", ["organisation", "work", "time"])
