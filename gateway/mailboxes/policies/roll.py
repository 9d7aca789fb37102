"""Key rolls: every content's map of a mailbox wrapped under its new key, in batches, while it is read and delivered to.

The mailbox's row has both keys while a roll lasts, so that it goes on after a crash where it was: what is left to do is
what still lies under the old version. New contents lie under the new one from the first moment. Chunks are not touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway.mailboxes.contents.damage import Damaged
from gateway.mailboxes.faults import MailboxClosed
from gateway.mailboxes.policies.mailbox_keys import MailboxKey, MailboxKeys
from gateway.mailboxes.policies.store import KeyStore
from gateway.storage.mailboxes.faults import KeyChanged
from gateway.storage.mailboxes.model import ContentRow, Mailbox
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

BATCH: Final = 200  # Contents in one transaction: some milliseconds, which deliveries wait at most.
LATER: Final = 3600.0  # Seconds until a roll is tried again that damaged contents keep from its end.

Rewrap = Callable[[ContentRow, MailboxKey, MailboxKey], ContentRow]  # `Contents.rewrap`; raises Damaged.


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a roll is. `damaged` contents do not open, and keep the old key with them until they are removed."""

    done: int
    left: int
    damaged: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the old key is dropped."""
        return self.left == 0


class Roller:
    """Does rolls that were begun (`MailboxKeys.start_roll`, `assign`). One for a database: worker 0 has it."""

    def __init__(
        self,
        store: KeyStore,
        keys: MailboxKeys,
        rewrap: Rewrap,
        *,
        clock: Clock,
        tell: Callable[..., None],
        executor: Executor,
        per_second: float = 500.0,
    ) -> None:
        """`per_second`: contents at most, so that mail goes on beside it."""
        self._store = store
        self._keys = keys
        self._rewrap = rewrap
        self._clock = clock
        self._tell = tell
        self._executor = executor
        self._pause = BATCH / per_second
        self._waiting: set[int] = set()  # Mailboxes whose roll waits for their policy, and of which that was told.
        self._held_up: dict[int, float] = {}  # Mailboxes whose roll can't end, and when that was seen.

    async def work(self) -> int:
        """Go on with every roll that was begun; how many contents were wrapped anew. Raises nothing of theirs."""
        done = 0
        for mailbox in await self._store.rolling():
            if self._is_held_up(mailbox):
                continue
            try:
                progress = await self.roll(mailbox)
            except (MailboxClosed, KeyChanged) as fault:
                # A closed policy's roll goes on once it opens; its fault was told by the policy.
                if mailbox.id not in self._waiting:
                    self._waiting.add(mailbox.id)
                    self._tell("info", "mailbox_roll_waits", mailbox=mailbox.address, reason=str(fault))
                continue
            self._waiting.discard(mailbox.id)
            done += progress.done
        return done

    async def roll(self, mailbox: Mailbox, on_progress: Callable[[Progress], None] = lambda progress: None) -> Progress:
        """Go on with one mailbox's roll until it is over, or nothing but damaged contents is left.

        Raises MailboxClosed, KeyChanged, and what the store raises; what was done until then stays done.
        """
        done, damaged = 0, set[bytes]()
        while (version := _next_version(mailbox)) is not None:
            began = self._clock.monotonic()
            found = await self._store.contents_under_older(mailbox.id, version, limit=BATCH + len(damaged))
            rows = [row for row in found if row.id not in damaged]
            if not rows:
                break
            key = await self._keys.key(mailbox)  # For each batch: a policy that closes stops it.
            changes = await asyncio.get_running_loop().run_in_executor(self._executor, self._wrapped, rows, key)
            damaged |= {row.id for row in rows} - {before.id for before, _ in changes}
            done += await self._store.rewrap(changes)
            on_progress(Progress(done, await self._store.contents_left(mailbox.id, version), len(damaged)))
            await self._clock.sleep(max(0.0, self._pause - (self._clock.monotonic() - began)))
        return await self._ended(mailbox, done, len(damaged))

    def _wrapped(self, rows: Sequence[ContentRow], key: MailboxKey) -> list[tuple[ContentRow, ContentRow]]:
        """Each with what takes its place. One that is damaged is left out, and stays as it is: whoever reads it is
        told, and nothing of it is made worse.
        """
        changes = []
        for row in rows:
            with suppress(Damaged):
                changes.append((row, self._rewrap(row, key.at(row.key_version), key)))
        return changes

    async def _ended(self, mailbox: Mailbox, done: int, damaged: int) -> Progress:
        version = _next_version(mailbox)
        if version is None or await self._store.finish_roll(mailbox.id):
            self._held_up.pop(mailbox.id, None)
            self._tell("info", "mailbox_rolled", mailbox=mailbox.address, contents=done)
            return Progress(done, 0)
        left = await self._store.contents_left(mailbox.id, version)
        if left and damaged:
            self._held_up[mailbox.id] = self._clock.monotonic()
            self._tell("error", "mailbox_roll_held_up", mailbox=mailbox.address, left=left, damaged=damaged)
        return Progress(done, left, damaged)

    def _is_held_up(self, mailbox: Mailbox) -> bool:
        since = self._held_up.get(mailbox.id)
        return since is not None and self._clock.monotonic() - since < LATER


def _next_version(mailbox: Mailbox) -> int | None:
    return None if mailbox.next_key is None else mailbox.next_key.version


# What ends one round of the background, and is tried again in the next.
PASSING: Final = (StorageBroken, StorageFull, KeysClosed, SealBroken)
