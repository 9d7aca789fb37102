"""Certificates for S/MIME, and the private keys of those that are ours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "shared_0005"
down_revision = "shared_0004"

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables of certificates and of the names by which they are found."""
    op.create_table(
        "certificates",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("token", _Long, primary_key=True, autoincrement=False),
        sa.Column("edition", _Long, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("private", sa.LargeBinary, nullable=True),
    )
    op.create_table(
        "certificate_names",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("name", _Long, primary_key=True, autoincrement=False),
        sa.Column("certificate", _Long, primary_key=True, autoincrement=False),
    )
    op.create_index("certificate_names_certificate", "certificate_names", ["organisation", "certificate"])
