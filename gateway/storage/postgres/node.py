"""This process as one of those that share a queue: its signs of life, its watch over the others, its ear for them.

One thread with one connection. A node that was silent for DEAD seconds loses its leases to whoever notices first.
"""

from __future__ import annotations

import os
import queue
import select
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Final

import psycopg

from gateway.storage.postgres.batch import CHANNEL
from gateway.storage.postgres.connection import Connection
from gateway.storage.postgres.leases import BEAT, DEAD, Leases
from gateway.storage.postgres.meaning import meaning
from gateway.storage.writer import StorageBroken, StorageFull

STRAYS: Final = 6  # Beats between two looks for leases that nobody here knows of.
ORPHANS: Final = 720  # Beats between two looks for segments of messages that were never accepted.
ORPHAN_AGE: Final = 86_400_000  # Milliseconds; a session that still sends lasts two hours at most.

# The database's clock, so that those of the nodes need not agree.
_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_BEAT: Final = f"UPDATE nodes SET seen = {_NOW}, sending = %s WHERE id = %s"  # noqa: S608
_SIGN_IN: Final = f"INSERT INTO nodes(id, host, seen, sending) VALUES (%s, %s, {_NOW}, '') ON CONFLICT DO NOTHING"  # noqa: S608
_OTHERS: Final = f"SELECT id, host, seen, {_NOW} - seen FROM nodes WHERE id <> %s"  # noqa: S608
# Only while it is as it was seen; one that is leasing just now lives.
_BURY: Final = "DELETE FROM nodes WHERE id IN (SELECT id FROM nodes WHERE id = %s AND seen = %s FOR UPDATE SKIP LOCKED)"
_INHERIT: Final = "UPDATE deliveries SET node = NULL, wanted = NULL WHERE node = %s"
_UNWANT: Final = "UPDATE deliveries SET wanted = NULL WHERE wanted = %s"
_CLEAR: Final = (
    "DELETE FROM message_segments s WHERE s.node = %s AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = s.name)"
)
# What could not be given back is inherited as if we had died; for that we have to be known.
_SIGN_OUT: Final = "DELETE FROM nodes WHERE id = %s AND NOT EXISTS (SELECT 1 FROM deliveries WHERE node = %s)"
_MINE: Final = "SELECT id, epoch FROM deliveries WHERE node = %s"
_STRAY: Final = (
    "UPDATE deliveries d SET node = NULL, wanted = NULL FROM unnest(%s::text[], %s::bigint[]) AS s(id, epoch)"
    " WHERE d.id = s.id AND d.epoch = s.epoch AND d.node = %s"
)
_ORPHANS: Final = (
    f"DELETE FROM message_segments s WHERE s.made < {_NOW} - {ORPHAN_AGE}"  # noqa: S608
    " AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = s.name)"
)


class Node:
    """`hear` is called on the thread with each word of another node: a verb and who said it, or whom it is for."""

    def __init__(
        self,
        id_: str,
        host: str,
        *,
        connect: Callable[[], Connection],
        where: str,
        leases: Leases,
        monotonic: Callable[[], float],
        hear: Callable[[str, str], None],
        tell: Callable[..., None],
    ) -> None:
        self.id = id_
        self.sending: Callable[[], Collection[str]] = tuple
        self._host = host
        self._connect = connect
        self._where = where
        self._leases = leases
        self._monotonic = monotonic
        self._hear = hear
        self._tell = tell
        self._db: Connection | None = None
        self._silent: dict[str, tuple[int, float]] = {}  # Others: what they said last, and since when we know it.
        self._last_beat: float | None = None  # The last that arrived,
        self._last_try: float | None = None  # and the last that we tried to give.
        self._strays: dict[str, int] = {}  # What nobody here knew of at the last look.
        self._beats = 0
        self._opened: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="node", daemon=True)
        self._ear, self._mouth = os.pipe()
        self._asked: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()
        self._away = False

    def start(self) -> None:
        """Sign in. Blocks; raises StorageBroken."""
        self._thread.start()
        if (error := self._opened.get()) is not None:
            raise error

    def hurry(self) -> threading.Event:
        """Give a sign of life now; the event is set when that was tried."""
        done = threading.Event()
        self._ask(done)
        return done

    def close(self) -> None:
        """Sign out; to be called when all leases were given back. Blocks."""
        if self._thread.ident is not None and self._thread.is_alive():
            self._ask(None)
            self._thread.join()
        if self._ear >= 0:
            os.close(self._ear)
            os.close(self._mouth)
            self._ear = self._mouth = -1

    def _ask(self, done: threading.Event | None) -> None:
        self._asked.put(done)
        os.write(self._mouth, b"x")

    # -- on the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._db = self._sign_in()
        except BaseException as error:  # noqa: BLE001 - whatever it is, whoever started us has to hear of it
            self._opened.put(error)
            return
        self._opened.put(None)
        goes_on = True
        while goes_on:
            waiting = self._listen()
            asked: list[threading.Event | None] = []
            while not self._asked.empty():
                asked.append(self._asked.get())
            if None in asked:
                goes_on = False
            elif asked or not waiting:
                self._turn()
            for done in asked:
                if done is not None:
                    done.set()
        self._sign_out()

    def _listen(self) -> bool:
        """Wait until the next beat is due, somebody here asks, or another node says something.

        Whether the beat is still to be waited for.
        """
        db = self._db
        until = self._next_beat()
        if (seconds := until - self._monotonic()) <= 0:
            return False
        poll = select.poll()  # Not select(): a process with many clients has numbers that it does not know.
        poll.register(self._ear, select.POLLIN)
        try:
            if db is not None:
                poll.register(db.fileno(), select.POLLIN)
        except psycopg.Error:  # The connection is closed.
            self._lose(None)
            return True
        ready = {number for number, _ in poll.poll(min(seconds, BEAT) * 1000)}
        if self._ear in ready:
            os.read(self._ear, 4096)
            return True
        if ready and db is not None:
            self._take_words(db)
            return True
        return False

    def _next_beat(self) -> float:
        return self._monotonic() if self._last_try is None else self._last_try + BEAT

    def _turn(self) -> None:
        """A sign of life, and what goes with it."""
        began = self._last_try = self._monotonic()
        try:
            if self._db is None:
                self._db = self._sign_in()
            else:
                self._beat(self._db, began)
            self._take_words(self._db)
        except (StorageBroken, StorageFull) as error:
            self._lose(error)
        except psycopg.Error as error:
            self._lose(meaning(self._where, error))
        except Exception as error:  # noqa: BLE001 - a node whose thread ends gives no sign of life any more
            self._tell("error", "node_fault", node=self.id, error=type(error).__name__)
            self._lose(None)

    def _sign_in(self) -> Connection:
        """Connect, listen, say that we live."""
        began = self._last_try = self._monotonic()
        db = self._connect()
        try:
            db.execute(f"LISTEN {CHANNEL}".encode())
            if self._last_beat is None:  # Later the beat tells whether we were taken for dead meanwhile.
                db.execute(_SIGN_IN.encode(), (self.id, self._host))
            self._beat(db, began)
        except psycopg.Error as error:
            db.close()
            raise meaning(self._where, error) from error
        except BaseException:
            db.close()
            raise
        if self._away:
            self._away = False
            self._tell("info", "node_back", node=self.id)
            self._hear("look", "")  # What was said meanwhile was not heard.
            self._hear("missed", "")
        return db

    def _beat(self, db: Connection, began: float) -> None:
        sending = " ".join(self.sending())
        if db.execute(_BEAT.encode(), (sending, self.id)).rowcount == 0:
            lost = self._leases.lose_all()
            # Before we sign in again: what is leased afterwards counts.
            self._tell("error", "node_was_taken_for_dead", node=self.id, deliveries=lost)
            db.execute(_SIGN_IN.encode(), (self.id, self._host))
        self._leases.refresh(began)
        others = db.execute(_OTHERS.encode(), (self.id,)).fetchall()
        for node, host, seen in self._dead(others, began):
            self._bury(db, node, host, seen)
        self._last_beat = began
        self._beats += 1
        if self._beats % STRAYS == 0:
            self._find_strays(db)
        if self._beats % ORPHANS == 0:
            db.execute(_ORPHANS.encode())

    # -- the others ---------------------------------------------------------------------------------------------------

    def _dead(self, others: list[tuple[Any, ...]], now: float) -> list[tuple[str, str, int]]:
        """Those that have said nothing for DEAD seconds in which we could have heard them.

        Where the database was away for everybody, nobody could say anything, and nobody is dead for that.
        """
        if self._last_beat is not None and now - self._last_beat > 2 * BEAT:
            self._silent.clear()
        known, self._silent = self._silent, {}
        dead = []
        for node, host, seen, age in others:
            said, since = known.get(node, (None, now))
            if said != seen:
                since = now
            self._silent[node] = (seen, since)
            if now - since >= DEAD and age >= DEAD * 1000:
                dead.append((node, host, seen))
        return dead

    def _bury(self, db: Connection, node: str, host: str, seen: int) -> None:
        """Take over what a dead node had."""
        with db.transaction():
            if db.execute(_BURY.encode(), (node, seen)).rowcount == 0:
                return
            inherited = db.execute(_INHERIT.encode(), (node,)).rowcount
            db.execute(_UNWANT.encode(), (node,))
            db.execute(_CLEAR.encode(), (node,))
            db.execute(b"SELECT pg_notify(%s, %s)", (CHANNEL, f"look {self.id}"))
        self._silent.pop(node, None)
        self._tell("warning", "node_dead", node=node, host=host, deliveries=inherited)
        self._hear("look", "")

    def _find_strays(self, db: Connection) -> None:
        """Give back what is leased to us and nobody here knows of: its commit was lost to us, or its caller was gone.

        What was not known at two looks in a row is meant; at one alone it may just have been leased.
        """
        held = self._leases.all()
        mine = db.execute(_MINE.encode(), (self.id,)).fetchall()
        unknown = {id_: epoch for id_, epoch in mine if held.get(id_) != epoch and self._leases.epoch(id_) != epoch}
        strays = {id_: epoch for id_, epoch in unknown.items() if self._strays.get(id_) == epoch}
        self._strays = unknown
        if strays:
            db.execute(_STRAY.encode(), (list(strays), list(strays.values()), self.id))
            db.execute(b"SELECT pg_notify(%s, %s)", (CHANNEL, f"look {self.id}"))
            self._tell("warning", "leases_given_back", deliveries=len(strays))
            self._hear("look", "")

    def _take_words(self, db: Connection) -> None:
        try:
            for word in db.notifies(timeout=0):
                verb, _, who = word.payload.partition(" ")
                self._hear(verb, who)
        except psycopg.Error as error:
            self._lose(meaning(self._where, error))

    # -- the connection -----------------------------------------------------------------------------------------------

    def _lose(self, error: Exception | None) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(psycopg.Error):
                db.close()
        if not self._away:
            self._away = True
            self._tell("error", "node_away", node=self.id, error=None if error is None else str(error))

    def _sign_out(self) -> None:
        db, self._db = self._db, None
        if db is None:
            return
        with suppress(psycopg.Error):
            db.execute(_SIGN_OUT.encode(), (self.id, self.id))
        with suppress(psycopg.Error):
            db.close()
