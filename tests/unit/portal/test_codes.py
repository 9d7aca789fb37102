"""Ten thousand guesses by every pattern, against the real store: what counts is kept there, whoever asks and how."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.portal.codes import Codes, Link
from gateway.portal.desk import Reason, Refusal, SessionGiven
from gateway.rights.passcode import ALLOWED, TRIES, Counted
from gateway.storage.migrate import migrate_shared
from gateway.storage.portal import Judged, KeptCode, KeptCount, Place, PortalStore
from gateway.storage.shared import Shared
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock

KEYS = {("portal", 1): b"p" * 32, ("token", 1): b"k" * 32}
GUESSES = 10_000
FEW = 250  # Over the real store.
AT_ONCE = 50  # Guesses in parallel.
RESTARTS = 4
Judge = Callable[[KeptCode | None, Mapping[Place, KeptCount]], Judged]
STEP = 5.0  # Seconds between such a handful: ten thousand guesses take a quarter of an hour.


def link(number: int, reader: str, work: int) -> Link:
    return Link(number.to_bytes(32, "big"), reader, UUID(int=work))


def anywhere(number: int) -> str:
    return f"198.{number % 199}.{number // 199}.1"


# Which link the guess goes to, from where it comes, and by what it is stopped.
PATTERNS: dict[str, tuple[Callable[[int], Link], Callable[[int], str], Counted]] = {
    "one link": (lambda n: link(1, "a@x.example", 1), anywhere, Counted.TRY_LINK),
    "one recipient": (lambda n: link(n, "a@x.example", n), anywhere, Counted.TRY_RECIPIENT),
    "one message": (lambda n: link(n, f"r{n}@x.example", 1), anywhere, Counted.TRY_MESSAGE),
    "one address": (lambda n: link(n, f"r{n}@x.example", n), lambda n: "198.51.100.7", Counted.TRY_NETWORK),
}


class Memory:
    """The store's contract in a dictionary: ten thousand commits take minutes."""

    def __init__(self) -> None:
        self.codes: dict[tuple[bytes, bytes], KeptCode | None] = {}
        self.counts: dict[Place, KeptCount] = {}

    async def judge(self, link: bytes, browser: bytes, places: Sequence[Place], judge: Judge) -> Any:
        await asyncio.sleep(0)
        counts = {place: self.counts.get(place, KeptCount()) for place in places}
        judged = judge(self.codes.get((link, browser)), counts)
        self.codes[link, browser] = judged.code
        self.counts |= judged.counts
        return judged.answer


class House:
    """A portal's codes, which can be started again on the same store. `folder`: of a real one."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.clock, self.starts = folder, FakeClock(), 0
        self.memory, self.shared = Memory(), None if folder is None else Shared(folder / "shared.db")
        self.start()

    def start(self) -> None:
        self.starts += 1
        store: Any = self.memory
        if self.folder is not None:
            self.close()
            self.shared = Shared(self.folder / "shared.db")
            store = PortalStore(self.shared, KeySealer(DomainKeys(KEYS), FakeChance(f"sealer {self.starts}")))
        self.codes = Codes(store, self.clock, FakeChance(f"codes {self.starts}"))

    def close(self) -> None:
        if self.shared is not None:
            self.shared.close()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("migrated") / "shared.db"
    migrate_shared(made)
    return made


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_ten_thousand_guesses_in_parallel_find_none(pattern: str) -> None:
    """The attack: a new browser for every five guesses, and many at once."""
    await attack(House(None), pattern, GUESSES)


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_the_real_store_counts_alike_in_parallel_and_across_restarts(
    tmp_path: Path, migrated: Path, pattern: str
) -> None:
    """A portal that is started again has forgotten nothing, so what holds for ten thousand there holds here."""
    shutil.copy(migrated, tmp_path / "shared.db")
    real = House(tmp_path)
    judged = await attack(real, pattern, FEW)
    real.close()
    assert judged == await attack(House(None), pattern, FEW)


async def attack(house: House, pattern: str, guesses: int) -> int:
    """How many of them were judged at all; none is right, and no more than may be."""
    began = house.clock.now()
    to, source, kind = PATTERNS[pattern]
    judged = given = 0

    async def guess(number: int) -> None:
        """A code asked for, and five numbers tried."""
        nonlocal judged, given
        browser = number.to_bytes(32, "big")
        await house.codes.ask(to(number), browser, source(number))
        for turn in range(TRIES):
            typed = f"{(number * TRIES + turn) * 9973 % 10**8:08}"
            said = await house.codes.attempt(to(number), browser, typed, source(number))
            given += isinstance(said, SessionGiven)
            judged += isinstance(said, Refusal) and said.reason is not Reason.SLOWED

    handfuls = guesses // TRIES // (AT_ONCE // TRIES)
    for handful in range(handfuls):
        if handful and handful % (handfuls // (RESTARTS + 1)) == 0:
            house.start()
        first = 1 + handful * (AT_ONCE // TRIES)
        await asyncio.gather(*(guess(first + one) for one in range(AT_ONCE // TRIES)))
        await house.clock.advance(STEP)
    allowed = ALLOWED[kind]
    # What is free, what was forgotten meanwhile, and one more each time that the door opens again.
    most = allowed.free + (house.clock.now() - began) / allowed.leak * 2 + 12
    assert house.starts == RESTARTS + 1
    assert given == 0
    assert min(allowed.free, guesses // 2) <= judged <= most, f"{judged} of {guesses} were judged; {most:.0f} may be"
    return judged
