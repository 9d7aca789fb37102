"""Blobs of mailboxes in memory, with a switch for each way in which a store fails; and the list of their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gateway.storage.mailbox_blobs import BlobGone, BlobsAway, checked_name
from gateway.storage.writer import StorageFull
from tests.fakes.chance import FakeChance


class Crash(BaseException):
    """The process ends here."""


class Steps:
    """Counts what is done to stores; `crash_at` is the step before which the process ends."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.crash_at: int | None = None

    def step(self, name: str) -> None:
        if self.crash_at is not None and len(self.done) >= self.crash_at:
            raise Crash
        self.done.append(name)


class MemoryMailboxBlobs:
    """Fulfils `MailboxBlobs`. `is_local` says whether it is a disk's."""

    def __init__(self, steps: Steps | None = None, *, is_local: bool = False) -> None:
        self.kept: dict[str, bytes] = {}
        self.looked: list[str] = []
        self.steps = steps or Steps()
        self.is_local = is_local
        self.away = False
        self.full = False
        self.may_delete = True

    @property
    def local(self) -> MemoryMailboxBlobs | None:
        return self if self.is_local else None

    async def put(self, name: str, octets: bytes) -> None:
        self._judge()
        self.steps.step("put")
        if self.full:
            raise StorageFull("the disk is full")
        assert checked_name(name) not in self.kept
        self.kept[name] = octets

    async def get(self, name: str) -> bytes:
        self._judge()
        return self.look(name, 0)

    async def get_many(self, names: Sequence[str]) -> list[bytes | BlobGone]:
        self._judge()
        found: list[bytes | BlobGone] = []
        for name in names:
            try:
                found.append(self.look(name, 0))
            except BlobGone as fault:
                found.append(fault)
        return found

    def look(self, name: str, size: int) -> bytes:
        self._judge()
        self.looked.append(name)
        try:
            return self.kept[name]
        except KeyError:
            raise BlobGone(f"the blob {name} is gone") from None

    async def delete(self, names: Sequence[str]) -> list[str]:
        self._judge()
        self.steps.step("delete")
        if not self.may_delete:
            return []
        for name in names:
            self.kept.pop(name, None)
        return list(names)

    async def close(self) -> None:
        """Nothing is under way."""

    def _judge(self) -> None:
        if self.away:
            raise BlobsAway("the store is away")


class MemoryNames:
    """What storage knows of names, without a clock: what is intended or garbage is given as such at once."""

    def __init__(self, steps: Steps | None = None) -> None:
        self.states: dict[str, str] = {}
        self.steps = steps or Steps()
        self._chance = FakeChance("names")

    async def reserve(self, count: int) -> tuple[str, ...]:
        self.steps.step("reserve")
        names = tuple(self._chance.octets(16).hex() for _ in range(count))
        self.states |= dict.fromkeys(names, "intended")
        return names

    async def release(self, names: Iterable[str]) -> None:
        self.states |= dict.fromkeys(names, "garbage")

    def added(self, names: Iterable[str]) -> None:
        """A row with these was added."""
        for name in names:
            assert self.states.pop(name) == "intended"

    async def garbage(self, limit: int, before: float | None = None, *, gone: float | None = None) -> list[str]:
        self.steps.step("garbage")
        self.states = dict.fromkeys(self.states, "garbage")
        return list(self.states)[:limit]

    async def forget_garbage(self, names: Iterable[str]) -> None:
        self.steps.step("forget")
        for name in names:
            self.states.pop(name, None)
