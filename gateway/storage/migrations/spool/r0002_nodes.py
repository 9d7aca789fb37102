"""On PostgreSQL: a queue that several processes share. SQLite's spools stay as they are.

Gateways of the revision before do not share one, so none may serve while this is done.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "spool_0002"
down_revision = "spool_0001"


def upgrade() -> None:
    """Add who has what in hand, and a place for large content."""
    if op.get_context().dialect.name != "postgresql":
        return
    # Deliveries of Q are a range of the key, which is one only where letters are compared by their codes.
    for table, column in (("messages", "id"), ("deliveries", "id"), ("deliveries", "message")):
        op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE text COLLATE "C"')
    op.add_column("deliveries", sa.Column("node", sa.Text, nullable=True))
    op.add_column("deliveries", sa.Column("epoch", sa.BigInteger, nullable=False, server_default=sa.text("0")))
    op.add_column("deliveries", sa.Column("wanted", sa.Text, nullable=True))
    # What is in hand stands in no index of what is due: most mail leaves without ever being there.
    op.drop_index("deliveries_due", "deliveries")
    due = sa.text("node IS NULL AND state <> 'held'")
    op.create_index("deliveries_due", "deliveries", ["next_attempt", "id"], postgresql_where=due)
    op.create_index("deliveries_node", "deliveries", ["node"], postgresql_where=sa.text("node IS NOT NULL"))
    op.create_index("deliveries_wanted", "deliveries", ["wanted"], postgresql_where=sa.text("wanted IS NOT NULL"))
    op.create_table(
        "nodes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("sending", sa.Text, nullable=False),
    )
    op.create_table(
        "message_segments",
        sa.Column("name", sa.Text(collation="C"), primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("made", sa.BigInteger, nullable=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )
    op.create_index("message_segments_made", "message_segments", ["made"])
    # Sealed octets can't be compressed; trying costs more than all else.
    for table, column in (("messages", "content"), ("deliveries", "sealed"), ("message_segments", "octets")):
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTERNAL")
    # A queue is nearly empty and ever new: what is dead in it has to go early, whatever the number of living rows.
    for table in ("messages", "deliveries"):
        op.execute(f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor=0.02, autovacuum_vacuum_threshold=1000)")
