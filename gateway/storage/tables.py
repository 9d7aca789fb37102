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
