"""Mailboxes: folders, messages, contents, the names of blobs, and data encryption policies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "shared_0008"
down_revision = "shared_0007"

_Long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the nine tables."""
    _mailboxes()
    _messages()
    _policies()


def _mailboxes() -> None:
    op.create_table(
        "mailboxes",
        sa.Column("id", _Long, primary_key=True, autoincrement=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("account", _Long, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("key_version", sa.Integer, nullable=False),
        sa.Column("policy", _Long, nullable=True),
        sa.Column("policy_version", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("next_key_version", sa.Integer, nullable=True),
        sa.Column("next_policy", _Long, nullable=True),
        sa.Column("next_policy_version", sa.Integer, nullable=True),
        sa.Column("next_wrapped", sa.LargeBinary, nullable=True),
        sa.Column("quota", _Long, nullable=True),
        sa.Column("used", _Long, nullable=False),
        sa.Column("messages", _Long, nullable=False),
        sa.Column("uid_validity", _Long, nullable=False),
        sa.Column("created", _Long, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("mailboxes_account", "mailboxes", ["organisation", "account"])
    op.create_index("mailboxes_policy", "mailboxes", ["policy"])
    op.create_table(
        "mailbox_names",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("token", _Long, primary_key=True, autoincrement=False),
        sa.Column("mailbox", _Long, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("mailbox_names_mailbox", "mailbox_names", ["mailbox"])
    op.create_table(
        "mailbox_folders",
        sa.Column("id", _Long, primary_key=True, autoincrement=False),
        sa.Column("mailbox", _Long, nullable=False),
        sa.Column("token", _Long, nullable=True),
        sa.Column("uid_validity", _Long, nullable=False),
        sa.Column("uid_next", _Long, nullable=False),
        sa.Column("modseq", _Long, nullable=False),
        sa.Column("forgotten", _Long, nullable=False),
        sa.Column("messages", _Long, nullable=False),
        sa.Column("unseen", _Long, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("mailbox_folders_name", "mailbox_folders", ["mailbox", "token"], unique=True)
    gone = sa.text("token IS NULL")
    op.create_index("mailbox_folders_gone", "mailbox_folders", ["id"], sqlite_where=gone, postgresql_where=gone)


def _messages() -> None:
    op.create_table(
        "mailbox_messages",
        sa.Column("folder", _Long, primary_key=True, autoincrement=False),
        sa.Column("uid", _Long, primary_key=True, autoincrement=False),
        sa.Column("modseq", _Long, nullable=False),
        sa.Column("flags", _Long, nullable=False),
        sa.Column("date", _Long, nullable=False),
        sa.Column("size", _Long, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("mailbox_messages_modseq", "mailbox_messages", ["folder", "modseq"])
    op.create_table(
        "mailbox_expunged",
        sa.Column("folder", _Long, primary_key=True, autoincrement=False),
        sa.Column("modseq", _Long, primary_key=True, autoincrement=False),
        sa.Column("uid", _Long, primary_key=True, autoincrement=False),
        sa.Column("time", _Long, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mailbox_contents",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("mailbox", _Long, nullable=False),
        sa.Column("key_version", sa.Integer, nullable=False),
        sa.Column("refs", _Long, nullable=False),
        sa.Column("size", _Long, nullable=False),
        sa.Column("created", _Long, nullable=False),
        sa.Column("blobs", sa.LargeBinary, nullable=False),
        sa.Column("map", sa.LargeBinary, nullable=False),
        sa.Column("head", sa.LargeBinary, nullable=False),
    )
    op.create_index("mailbox_contents_key", "mailbox_contents", ["mailbox", "key_version"])
    op.create_table(
        "mailbox_arrivals",
        sa.Column("mailbox", _Long, primary_key=True, autoincrement=False),
        sa.Column("token", sa.LargeBinary, primary_key=True),
        sa.Column("folder", _Long, nullable=False),
        sa.Column("uid", _Long, nullable=False),
        sa.Column("time", _Long, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "mailbox_blobs",
        sa.Column("name", sa.LargeBinary, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", _Long, nullable=False),
        sqlite_with_rowid=False,
    )


def _policies() -> None:
    op.create_table(
        "mailbox_policies",
        sa.Column("id", _Long, primary_key=True, autoincrement=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("token", _Long, nullable=False),
        sa.Column("edition", _Long, nullable=False),
        sa.Column("is_default", sa.Integer, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_index("mailbox_policies_name", "mailbox_policies", ["organisation", "token"], unique=True)
