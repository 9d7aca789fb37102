"""A key-access log with lines in it, and every way to spoil it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, update

from gateway.keys.access_heads import Heads, ensure_signer, public_key
from gateway.keys.access_log import kept, next_hash, opened
from gateway.keys.access_verify import Report, Verifier
from gateway.keys.access_writer import AccessLog
from gateway.keys.recorded import Recorded
from gateway.keys.uses import Operation, Outcome, Use
from gateway.storage.key_log import FRONT, KeyLogStore, Transactions
from gateway.storage.key_log_rows import Batch
from gateway.storage.tables import key_log
from tests.fakes.clock import FakeClock
from tests.fakes.heads import FakePlace
from tests.fakes.log import fake_log
from tests.fakes.vault import FakeVault


def use(number: int = 1, *, time: float = 1_793_700_000.0, operation: Operation = Operation.SIGN) -> Use:
    """A use like those of a relay that signs."""
    about = f"message 4XYZ{number:06}"
    return Use(time + number / 1000, "worker-0", "main", "dkim.corp.example.s1", 1, operation, about, Outcome.DONE)


class KeyLog:
    """A log on `shared`, written by one process that signs with a vault of its own. Blocks."""

    def __init__(self, shared: Transactions, *, days: float = 400, clock: FakeClock | None = None) -> None:
        self.shared = shared
        self.store = KeyLogStore(shared)
        self.clock = clock or FakeClock()
        self.vault = FakeVault(clock=self.clock)
        assert ensure_signer([self.vault]) is self.vault
        self.place = FakePlace()
        self.log, self.sink = fake_log()
        self.writer = AccessLog(self.store, who="worker-0", clock=self.clock, tell=self.log.tell)
        recorded = Recorded(self.vault, self.writer, who="worker-0", clock=self.clock)
        self.heads = Heads(self.store, {"main": recorded}, self.place, clock=self.clock, tell=self.log.tell, days=days)
        self.writer.keep_heads(self.heads)
        self._next = 1

    def write(self, *counts: int) -> None:
        """A batch of so many lines, for each count."""
        for count in counts:
            for _ in range(count):
                self.writer.record(use(self._next, time=self.clock.now()))
                self._next += 1
            assert self.writer.flush()

    def sign(self) -> None:
        """A head over what there is, and the line that tells of its signature."""
        self.heads.look(last=True)
        assert self.writer.flush()

    def verify(self, *, outside: bool = True) -> Report:
        """What `gateway key log verify` would find."""
        verifier = Verifier(self.store.heads(), lambda *names: public_key({"main": self.vault}, *names))
        known = self.place.head if outside else None
        if known is not None:
            verifier.watch([known])
        for batch in self.store.batches(FRONT, 1_000_000):
            verifier.feed(batch)
        if known is not None:
            verifier.known("the vault's folder", known)
        return verifier.finish()

    def found(self, *, outside: bool = True) -> list[tuple[str, int, int]]:
        """What was done to it, and the lines."""
        return [(one.what.value, one.first, one.last) for one in self.verify(outside=outside).findings]

    # -- spoiling -----------------------------------------------------------------------------------------------------

    def batches(self) -> list[Batch]:
        """All of them."""
        return self.store.batches(FRONT, 1_000_000)

    def set(self, first: int, **columns: object) -> None:
        """Write over columns of the row that begins with that line."""
        self.shared.run(lambda c: c.execute(update(key_log).where(key_log.c.first == first).values(columns)))

    def drop(self, *firsts: int) -> None:
        """Remove the rows that begin with those lines."""
        self.shared.run(lambda c: c.execute(delete(key_log).where(key_log.c.first.in_(firsts))))

    def add(self, batch: Batch) -> None:
        """Add a row."""
        values = {name: getattr(batch, name) for name in key_log.columns.keys()}
        self.shared.run(lambda c: c.execute(insert(key_log).values(values)))

    def rewrite(self, first: int, lines: Sequence[bytes], *, hints: Sequence[bytes] | None = None) -> None:
        """Other lines in that row; the beginnings of the hashes stay as they are where none are given."""
        batch = next(one for one in self.batches() if one.first == first)
        old = opened(batch.lines)[1]
        self.set(first, lines=kept(lines, old[: len(lines)] if hints is None else hints))

    def lines(self, first: int) -> list[bytes]:
        """The lines of the row that begins with that one."""
        return opened(next(one for one in self.batches() if one.first == first).lines)[0]

    def reckon_anew(self, first: int, lines: Sequence[bytes]) -> None:
        """Other lines in that row, and all hashes from there on as they must be: what a clever forger does."""
        batches = self.batches()
        hash_ = next(one.before for one in batches if one.first == first)
        for batch in batches:
            if batch.first < first:
                continue
            mine = list(lines) if batch.first == first else opened(batch.lines)[0]
            before, hints = hash_, []
            for line in mine:
                hash_ = next_hash(hash_, line)
                hints.append(hash_[:4])
            self.set(batch.first, before=before, after=hash_, lines=kept(mine, hints))


def flipped(octets: bytes, place: int) -> bytes:
    """With one bit another."""
    return octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]
