"""The trace: what happened to each message, sealed, and blind tokens by which it is found.

The file tells when something happened to which queue id, and how often two messages share an unnamed sender, recipient
or domain; nothing more without the keys. Leaves out: searching by anything but whole addresses, domains and ids.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from gateway.mail.address import BadAddress, normal_domain
from gateway.observe.events import Event, Found
from gateway.storage import trace_index
from gateway.storage.record import Prepared, Record
from gateway.storage.sealer import Sealer
from gateway.storage.shared import Shared
from gateway.storage.spool_rows import decode_record, encode_record

PURPOSE: Final = "trace"
ERASE_BATCH: Final = 2000  # Records erased in one transaction: some 20 ms in which the mover waits.

_SENDER: Final = "trace sender"
_SENDER_DOMAIN: Final = "trace sender domain"
_RECIPIENT: Final = "trace recipient"
_RECIPIENT_DOMAIN: Final = "trace recipient domain"
_MESSAGE_ID: Final = "trace message-id"
_NULL_SENDER: Final = "<>"

_PUT_EVENTS: Final = "INSERT OR IGNORE INTO trace_events(message, uid, time, tokens, sealed) VALUES (?, ?, ?, ?, ?)"
# A message began with its earliest record.
_NEWEST: Final = (
    "SELECT e.message FROM trace_events e WHERE e.time >= ? AND NOT EXISTS (SELECT 1 FROM trace_events o"
    " WHERE o.message = e.message AND (o.time < e.time OR (o.time = e.time AND o.uid < e.uid)))"
    " ORDER BY e.time DESC, e.message DESC LIMIT ?"
)
_STORY: Final = "SELECT uid, sealed FROM trace_events WHERE message = ? ORDER BY time, uid"
_OLD: Final = "SELECT message, uid, time, tokens FROM trace_events WHERE time < ? ORDER BY time LIMIT ?"


class TraceStore:
    """Keeps records and finds them again. Calls raise StorageFull, StorageBroken, SealBroken."""

    def __init__(self, shared: Shared, sealer: Sealer) -> None:
        self._shared = shared
        self._sealer = sealer

    def prepare(self, record: Record) -> Prepared:
        """`record` as it will lie in both databases."""
        message, uid = record.message, record.uid
        time = int(record.events[0].time * 1000) if record.events else 0
        tokens = b"" if record.found is None else trace_index.pack(self._tokens(record.found))
        return Prepared(
            message, uid, time, tokens, self._sealer.seal(PURPOSE, f"{message}/{uid}", encode_record(record))
        )

    def recover(self, message: str, uid: int, sealed: bytes) -> Prepared:
        """A record that a former process left in a spool. Raises SealBroken."""
        record = decode_record(self._sealer.open(PURPOSE, f"{message}/{uid}", sealed), uid)
        time = int(record.events[0].time * 1000) if record.events else 0
        tokens = b"" if record.found is None else trace_index.pack(self._tokens(record.found))
        return Prepared(message, uid, time, tokens, sealed)

    async def put(self, records: Sequence[Prepared]) -> None:
        """Store `records` in one transaction; `sync` brings it to disk. One that is there already changes nothing."""
        if records:
            await self._shared.write(lambda db: _put(db, records))

    async def sync(self) -> None:
        """What was put before is on disk when this returns. Raises OSError."""
        await self._shared.sync()

    async def find(
        self,
        id: str | None = None,
        message_id: str | None = None,
        sender: str | None = None,
        recipient: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> list[tuple[str, list[Event]]]:
        """Messages to which everything that was asked applies, newest first, each with its events in order of time.

        `id` is a queue id (Q), a delivery's (Q.1) or a session's; addresses are whole (any case; `<>` is the null
        sender) or domains (`@corp.example`, `corp.example`); `since` in seconds since 1970 is when a message came.
        """
        tokens = self._asked(message_id, sender, recipient)
        since_ms = -(1 << 63) if since is None else int(since * 1000)

        def find(db: sqlite3.Connection) -> list[tuple[str, list[Event]]]:
            names = _names(db, id, tokens, since_ms, limit)
            return [(name, self._story(db, name)) for name in names]

        return await self._shared.read(find)

    async def erase(self, before: float, limit: int = ERASE_BATCH) -> int:
        """Erase at most `limit` records of before `before` (seconds since 1970), oldest first; how many there were.

        Ask again while it answers `limit`.
        """
        return await self._shared.write(lambda db: _erase(db, int(before * 1000), limit))

    # -- on the thread of the shared database -------------------------------------------------------

    def _tokens(self, found: Found) -> list[int]:
        token = self._sealer.token
        address, domain = _normal(found.sender or _NULL_SENDER)
        tokens = [token(_SENDER, address)]
        if domain:
            tokens.append(token(_SENDER_DOMAIN, domain))
        if found.message_id:
            tokens.append(token(_MESSAGE_ID, found.message_id))
        for recipient in found.recipients:
            address, domain = _normal(recipient)
            tokens.append(token(_RECIPIENT, address))
            if domain:
                tokens.append(token(_RECIPIENT_DOMAIN, domain))
        return tokens if len(found.recipients) == 1 else list(dict.fromkeys(tokens))

    def _asked(self, message_id: str | None, sender: str | None, recipient: str | None) -> list[int]:
        token = self._sealer.token
        # The rarest first: it is what the index is walked by.
        tokens = [] if message_id is None else [token(_MESSAGE_ID, message_id)]
        for text, whole, domain in (
            (recipient, _RECIPIENT, _RECIPIENT_DOMAIN),
            (sender, _SENDER, _SENDER_DOMAIN),
        ):
            if text is not None:
                value, is_domain = _asked_address(text)
                tokens.append(token(domain if is_domain else whole, value))
        return tokens

    def _story(self, db: sqlite3.Connection, message: str) -> list[Event]:
        events: list[Event] = []
        for uid, sealed in db.execute(_STORY, (message,)):
            plain = self._sealer.open(PURPOSE, f"{message}/{uid}", bytes(sealed))
            events += decode_record(plain, uid).events
        return sorted(events, key=lambda event: event.time)  # Stable: what came at once stays as it was told.


def _put(db: sqlite3.Connection, records: Sequence[Prepared]) -> None:
    db.executemany(_PUT_EVENTS, [(r.message, r.uid, r.time, r.tokens, r.sealed) for r in records])
    trace_index.append(db, [(r.message, r.time, r.tokens) for r in records if r.tokens])


@lru_cache(maxsize=4096)
def _normal(address: str) -> tuple[str, str]:
    """`address` as it is compared, and its domain: lower case, A-labels."""
    local, at, domain = address.lower().rpartition("@")
    if not at:
        return domain, ""
    if not domain.isascii():
        try:
            domain = normal_domain(domain)
        except BadAddress:
            pass  # As it came: it is still found by the same text.
    return f"{local}@{domain}", domain


def _asked_address(text: str) -> tuple[str, bool]:
    """What a person asked for, as it is compared, and whether it is a domain."""
    text = text.strip()
    if text.lower() in ("postmaster", _NULL_SENDER) or text == "":
        return text.lower() or _NULL_SENDER, False
    if "@" in text.removeprefix("@"):
        return _normal(text)[0], False
    return _normal(f"@{text.removeprefix('@')}")[1], True


def _names(db: sqlite3.Connection, id_: str | None, tokens: list[int], since: int, limit: int) -> list[str]:
    """The queue ids of what was asked for, newest first."""
    if id_ is not None:
        return _named(db, id_, tokens, since)
    if tokens:
        return trace_index.look_up(db, tokens, since, limit)
    return [row[0] for row in db.execute(_NEWEST, (since, limit))]


def _named(db: sqlite3.Connection, id_: str, tokens: list[int], since: int) -> list[str]:
    """The message of that id, where it is there and the rest applies to it too."""
    message, _, place = id_.rpartition(".")
    for name in (id_, message) if place.isdigit() else (id_,):
        began = db.execute("SELECT min(time) FROM trace_events WHERE message=?", (name,)).fetchone()[0]
        if began is None:
            continue
        return [name] if began >= since and trace_index.has(db, name, tokens) else []
    return []


def _erase(db: sqlite3.Connection, before: int, limit: int) -> int:
    rows = db.execute(_OLD, (before, limit)).fetchall()
    if not rows:
        return 0
    trace_index.drop(db, ((message, time, tokens) for message, _, time, tokens in rows))
    db.executemany(
        "DELETE FROM trace_events WHERE message=? AND uid=?", [(message, uid) for message, uid, _, _ in rows]
    )
    return len(rows)
