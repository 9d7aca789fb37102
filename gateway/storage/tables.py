"""The tables, as code sees them: those of the shared database and those of each worker's spool.

The migrations make them; a test compares the two. Times are milliseconds since 1970. On SQLite the two kinds lie in
files of their own, on PostgreSQL in one database; a table whose `info` names one engine is missing on the other.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text, text

# 64 bits everywhere; SQLite knows one INTEGER only, and its row ids must be called so.
_Long = BigInteger().with_variant(Integer(), "sqlite")

ONLY_SQLITE = {"engine": "sqlite"}
ONLY_POSTGRESQL = {"engine": "postgresql"}

SHARED = MetaData()
SPOOL = MetaData()

meta = Table(
    "meta",
    SHARED,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

domain_keys = Table(
    "domain_keys",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("vault", Text, nullable=False),
    Column("root", Text, nullable=False),
    Column("root_version", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created", _Long, nullable=False),
)

# One row for each record that a spool handed over: the events of one moment, sealed together. `uid` is the record's
# number, so that a record which the mover brings twice is stored once. `tokens` are the record's search
# tokens, 8 octets each, so that erasing it finds its rows in trace_tokens without opening it.
trace_events = Table(
    "trace_events",
    SHARED,
    Column("message", Text, primary_key=True),
    Column("uid", _Long, primary_key=True, autoincrement=False),
    Column("time", _Long, nullable=False),
    Column("tokens", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("trace_events_time", "time"),
    sqlite_with_rowid=False,
)

trace_tokens = Table(
    "trace_tokens",
    SHARED,
    Column("token", _Long, primary_key=True, autoincrement=False),
    Column("time", _Long, primary_key=True, autoincrement=False),
    Column("message", Text, primary_key=True),
    sqlite_with_rowid=False,  # The key is the whole row: one tree instead of two.
)

# Tokens that are not in trace_tokens yet. They are random, so each one that is put in alone makes a page of that tree
# to be written anew; thousands at once share pages. Rows are appended here and carried over together.
trace_pending = Table(
    "trace_pending",
    SHARED,
    Column("seq", _Long, primary_key=True),
    Column("message", Text, nullable=False),
    Column("time", _Long, nullable=False),
    Column("tokens", LargeBinary, nullable=False),
    info=ONLY_SQLITE,
)

# People who may log in. Found by a blind token of the name; all else is sealed, bound to `id`: the table tells how many
# there are and nothing of them.
accounts = Table(
    "accounts",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("token", _Long, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# The key-access log, a chain of hashes over its lines: `first` to `last` are the numbers of a batch's lines, `time` is
# that of its last, `before` and `after` are the hashes around it. Rows are added, and removed from the front; none is
# changed.
key_log = Table(
    "key_log",
    SHARED,
    Column("first", _Long, primary_key=True, autoincrement=False),
    Column("last", _Long, nullable=False),
    Column("time", _Long, nullable=False),
    Column("before", LargeBinary, nullable=False),
    Column("after", LargeBinary, nullable=False),
    Column("lines", LargeBinary, nullable=False),
)

# What a vault signed about the chain: `head`, it had come to `line`; `start`, what comes up to `line` was removed.
key_log_heads = Table(
    "key_log_heads",
    SHARED,
    Column("kind", Text, primary_key=True),
    Column("line", _Long, primary_key=True, autoincrement=False),
    Column("statement", LargeBinary, nullable=False),
    Column("vault", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

# What is known of the keys with which mail is signed (DKIM). Found by a blind token of domain and selector; all else is
# sealed, bound to `id`. The private keys lie in the vaults.
dkim_keys = Table(
    "dkim_keys",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("token", _Long, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

# Certificates for S/MIME, and the private keys of those that are ours. Found by a blind token of the fingerprint; all
# else is sealed, bound to that token, the private key apart from the rest. `edition` changes with every writing.
certificates = Table(
    "certificates",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("token", _Long, primary_key=True, autoincrement=False),
    Column("edition", _Long, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("private", LargeBinary, nullable=True),
)

# For whom a certificate is used: blind tokens of addresses and domains. `certificate` is its token above.
certificate_names = Table(
    "certificate_names",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("name", _Long, primary_key=True, autoincrement=False),
    Column("certificate", _Long, primary_key=True, autoincrement=False),
    Index("certificate_names_certificate", "organisation", "certificate"),
)

# Rights-managed messages that we sent: what the portal and the command line know of each. `message` is a blind token of
# the Message-ID. `key` is the content key of the stored copy, sealed: whoever empties it destroys the copy, which lies
# in `copy` where it is small, else as a blob (`stored`: none, row or blob).
rights_messages = Table(
    "rights_messages",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("work", Text, primary_key=True),
    Column("message", _Long, nullable=False),
    Column("queue", Text, nullable=False),
    Column("created", _Long, nullable=False),
    Column("expires", _Long, nullable=True),
    Column("size", _Long, nullable=False),
    Column("stored", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=True),
    Column("copy", LargeBinary, nullable=True),
    Index("rights_messages_message", "organisation", "message"),
    Index("rights_messages_queue", "organisation", "queue"),
    Index("rights_messages_created", "organisation", "created"),
    Index("rights_messages_expires", "organisation", "expires"),
)

# The recipients' links to the portal, by the SHA-256 of each. `reader` is its place among the message's readers.
rights_links = Table(
    "rights_links",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("link", LargeBinary, primary_key=True),
    Column("work", Text, nullable=False),
    Column("reader", Integer, nullable=False),
)

# Large copies where there is no store for blobs: in the pieces in which they came, from `start` on.
rights_pieces = Table(
    "rights_pieces",
    SHARED,
    Column("name", Text, primary_key=True),
    Column("start", _Long, primary_key=True, autoincrement=False),
    Column("made", _Long, nullable=False),
    Column("octets", LargeBinary, nullable=False),
)

# The licence log: a row for each use licence that was given or refused. `uid` tells rows of one millisecond apart.
licence_log = Table(
    "licence_log",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("time", _Long, primary_key=True, autoincrement=False),
    Column("uid", _Long, primary_key=True, autoincrement=False),
    Column("work", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("licence_log_work", "organisation", "work", "time"),
)

# One-time codes of the portal that still count, found by a blind token of link and browser; what is kept of a code is
# sealed, bound to that token. `ends`: from when on the row may go.
portal_codes = Table(
    "portal_codes",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("token", _Long, primary_key=True, autoincrement=False),
    Column("ends", _Long, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("portal_codes_ends", "ends"),
)

# Browsers that may read a message, found by a blind token of their cookie's digest; who reads what is sealed.
portal_sessions = Table(
    "portal_sessions",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("token", _Long, primary_key=True, autoincrement=False),
    Column("ends", _Long, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("portal_sessions_ends", "ends"),
)

# How often codes were asked for and mistyped, by blind tokens of link, recipient, message and network: `number` in
# thousandths as it was at `at`; nobody may try before `until`.
portal_counts = Table(
    "portal_counts",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("token", _Long, primary_key=True, autoincrement=False),
    Column("number", _Long, nullable=False),
    Column("at", _Long, nullable=False),
    Column("until", _Long, nullable=False),
)

# Mailboxes. `id` is drawn, so that no other mailbox ever has it; `account` is a blind token of whose it is; the address
# is sealed. A wrapped key is bound to its mailbox and version by what wraps it, and lies here as it is; the columns
# that begin with `next` are filled while the contents are being wrapped anew. `uid_validity` is the greatest that was
# given to a folder.
mailboxes = Table(
    "mailboxes",
    SHARED,
    Column("id", _Long, primary_key=True, autoincrement=False),
    Column("organisation", Text, nullable=False),
    Column("account", _Long, nullable=False),
    Column("state", Text, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("policy", _Long, nullable=True),
    Column("policy_version", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("next_key_version", Integer, nullable=True),
    Column("next_policy", _Long, nullable=True),
    Column("next_policy_version", Integer, nullable=True),
    Column("next_wrapped", LargeBinary, nullable=True),
    Column("quota", _Long, nullable=True),
    Column("used", _Long, nullable=False),
    Column("messages", _Long, nullable=False),
    Column("uid_validity", _Long, nullable=False),
    Column("created", _Long, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("mailboxes_account", "organisation", "account"),
    Index("mailboxes_policy", "policy"),
)

# The addresses, aliases and catch-alls by which mail reaches a mailbox, found by a blind token; the name is sealed.
mailbox_names = Table(
    "mailbox_names",
    SHARED,
    Column("organisation", Text, primary_key=True),
    Column("token", _Long, primary_key=True, autoincrement=False),
    Column("mailbox", _Long, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("mailbox_names_mailbox", "mailbox"),
)

# Folders, found by a blind token of mailbox and name; a folder without one is being emptied. What was expunged up to
# `forgotten` (a modseq) is no longer told. Name, special use, subscription and keywords are sealed.
mailbox_folders = Table(
    "mailbox_folders",
    SHARED,
    Column("id", _Long, primary_key=True, autoincrement=False),
    Column("mailbox", _Long, nullable=False),
    Column("token", _Long, nullable=True),
    Column("uid_validity", _Long, nullable=False),
    Column("uid_next", _Long, nullable=False),
    Column("modseq", _Long, nullable=False),
    Column("forgotten", _Long, nullable=False),
    Column("messages", _Long, nullable=False),
    Column("unseen", _Long, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("mailbox_folders_name", "mailbox", "token", unique=True),
    Index("mailbox_folders_gone", "id", sqlite_where=text("token IS NULL"), postgresql_where=text("token IS NULL")),
)

# Messages in folders. Several may share a content. `date` (IMAP's internal date) is in milliseconds like all times.
mailbox_messages = Table(
    "mailbox_messages",
    SHARED,
    Column("folder", _Long, primary_key=True, autoincrement=False),
    Column("uid", _Long, primary_key=True, autoincrement=False),
    Column("modseq", _Long, nullable=False),
    Column("flags", _Long, nullable=False),
    Column("date", _Long, nullable=False),
    Column("size", _Long, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("mailbox_messages_modseq", "folder", "modseq"),
    sqlite_with_rowid=False,
)

# UIDs that are gone, by the modseq at which they went.
mailbox_expunged = Table(
    "mailbox_expunged",
    SHARED,
    Column("folder", _Long, primary_key=True, autoincrement=False),
    Column("modseq", _Long, primary_key=True, autoincrement=False),
    Column("uid", _Long, primary_key=True, autoincrement=False),
    Column("time", _Long, nullable=False),
    sqlite_with_rowid=False,
)

# What messages say. `refs` counts the messages that share it; `blobs` are names of 16 octets, one after the other; map
# and head are sealed under version `key_version` of the mailbox's key.
mailbox_contents = Table(
    "mailbox_contents",
    SHARED,
    Column("id", LargeBinary, primary_key=True),
    Column("mailbox", _Long, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("refs", _Long, nullable=False),
    Column("size", _Long, nullable=False),
    Column("created", _Long, nullable=False),
    Column("blobs", LargeBinary, nullable=False),
    Column("map", LargeBinary, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Index("mailbox_contents_key", "mailbox", "key_version"),
)

# What came already, by a blind token of its delivery: it is not added again.
mailbox_arrivals = Table(
    "mailbox_arrivals",
    SHARED,
    Column("mailbox", _Long, primary_key=True, autoincrement=False),
    Column("token", LargeBinary, primary_key=True),
    Column("folder", _Long, nullable=False),
    Column("uid", _Long, nullable=False),
    Column("time", _Long, nullable=False),
    sqlite_with_rowid=False,
)

# Names of blobs that no content has: `intended` are being written, or were when a process ended; `garbage` go.
mailbox_blobs = Table(
    "mailbox_blobs",
    SHARED,
    Column("name", LargeBinary, primary_key=True),
    Column("state", Text, nullable=False),
    Column("since", _Long, nullable=False),
    sqlite_with_rowid=False,
)

# Data encryption policies, found by a blind token of the name; name, wrapped copies of the key and all else are sealed,
# bound to `id`. `edition` changes with every writing.
mailbox_policies = Table(
    "mailbox_policies",
    SHARED,
    Column("id", _Long, primary_key=True, autoincrement=False),
    Column("organisation", Text, nullable=False),
    Column("token", _Long, nullable=False),
    Column("edition", _Long, nullable=False),
    Column("is_default", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("mailbox_policies_name", "organisation", "token", unique=True),
)

# `content` is null where the octets lie in a file beside the database.
messages = Table(
    "messages",
    SPOOL,
    Column("id", Text, primary_key=True),
    Column("received", _Long, nullable=False),
    Column("size", _Long, nullable=False),
    Column("content", LargeBinary, nullable=True),
    sqlite_with_rowid=False,  # One tree instead of two: each page of them is written for every message.
)

# `destination` is a blind token: whom we send to is not readable beside the sealed columns.
deliveries = Table(
    "deliveries",
    SPOOL,
    Column("id", Text, primary_key=True),
    Column("message", Text, nullable=False),
    Column("connector", Text, nullable=False),
    Column("destination", _Long, nullable=False),
    Column("state", Text, nullable=False),
    Column("next_attempt", _Long, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created", _Long, nullable=False),
    Column("size", _Long, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    # Of what waits or is held; what was just accepted has the state `new`, leaves at once, and needs no index.
    Index("deliveries_due", "state", "next_attempt", sqlite_where=text("state <> 'new'")),
    sqlite_with_rowid=False,
)

# What a message leaves elsewhere, until the mover has carried it to the shared database. The spool gives the numbers:
# microseconds since 1970 at its start, then one more for each.
records = Table(
    "records",
    SPOOL,
    Column("seq", _Long, primary_key=True, autoincrement=False),
    Column("message", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    info=ONLY_SQLITE,
)

# The processes that share a queue. `seen` is when one last said that it lives, by the database's clock; `sending` are
# the deliveries that it had on the wire then, a space between two. On PostgreSQL deliveries have three columns more:
# `node`, whose process has it in hand, `epoch`, how often it was taken in hand, and `wanted`, who asks for it.
nodes = Table(
    "nodes",
    SPOOL,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("seen", _Long, nullable=False),
    Column("sending", Text, nullable=False),
    info=ONLY_POSTGRESQL,
)

# Content that is too large for `messages`, in the pieces in which it came, from `start` on. `node` wrote it; `made` is
# by the database's clock. What no message knows was never accepted.
message_segments = Table(
    "message_segments",
    SPOOL,
    Column("name", Text, primary_key=True),
    Column("start", _Long, primary_key=True, autoincrement=False),
    Column("node", Text, nullable=False),
    Column("made", _Long, nullable=False),
    Column("octets", LargeBinary, nullable=False),
    info=ONLY_POSTGRESQL,
)


def of(kind: MetaData, engine: str) -> list[Table]:
    """The tables of SHARED or SPOOL that are there on `engine`, SQLAlchemy's name of it (`sqlite`, `postgresql`)."""
    return [table for table in kind.sorted_tables if table.info.get("engine", engine) == engine]
