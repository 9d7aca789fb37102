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
from gateway.portal.codes import Codes, Drawn, Link
from gateway.portal.desk import Reason, Refusal, SessionGiven
from gateway.rights.passcode import ALLOWED, DOOR_FROM, DOOR_LIFE, LIFE, TRIES, Counted
from gateway.storage.migrate import migrate_shared
from gateway.storage.portal import Judged, KeptCode, KeptCount, KeptDoor, Place, PortalStore
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
        self.doors: list[KeptDoor] = []

    async def is_door(self, whose: bytes, secret: bytes, now: float) -> bool:
        await asyncio.sleep(0)
        return any((one.whose, one.secret) == (whose, secret) and now < one.ends for one in self.doors)

    async def judge(self, link: bytes, browser: bytes, places: Sequence[Place], judge: Judge) -> Any:
        await asyncio.sleep(0)
        counts = {place: self.counts.get(place, KeptCount()) for place in places}
        judged = judge(self.codes.get((link, browser)), counts)
        self.codes[link, browser] = judged.code
        self.counts |= judged.counts
        self.doors += [] if judged.opens is None else [judged.opens]
        return judged.answer


class House:
    """A portal's codes, which can be started again on the same store. `folder`: of a real one."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.clock, self.starts, self.guesses = folder, FakeClock(), 0, 0
        self.doors: list[bytes] = []  # In the recipient's mailbox, whoever had them mailed.
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

    async def ask(self, at: Link, browser: bytes, client: str, *doors: bytes) -> Drawn:
        """Ask for a code, and put into the mailbox what is mailed."""
        drawn = await self.codes.ask(at, browser, client, doors)
        if drawn.door is not None:
            self.doors.append(drawn.door)
        return drawn

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
            judged += isinstance(said, Refusal) and said.reason is Reason.WRONG_CODE

    handfuls = guesses // TRIES // (AT_ONCE // TRIES)
    for handful in range(handfuls):
        if handful and handful % (handfuls // (RESTARTS + 1)) == 0:
            house.start()
        first = 1 + handful * (AT_ONCE // TRIES)
        await asyncio.gather(*(guess(first + one) for one in range(AT_ONCE // TRIES)))
        await house.clock.advance(STEP)
    allowed = ALLOWED[kind]
    # What is free, what was forgotten meanwhile, and the tries of one code each time that codes are sent again. What is
    # under way counts: codes that were asked for at once, before a try of them was wrong.
    most = allowed.free + (house.clock.now() - began) / allowed.leak * 2 + 12 * TRIES + AT_ONCE
    assert house.starts == RESTARTS + 1
    assert given == 0
    assert min(allowed.free, guesses // 2) <= judged <= most, f"{judged} of {guesses} were judged; {most:.0f} may be"
    return judged


# -- whoever is kept out -----------------------------------------------------------------------------------------------

LINK = link(1, "otto@x.example", 1)
OWNER, HOME = b"o" * 32, "203.0.113.9"
DAY = 86_400.0


async def besiege(house: House, seconds: float, at: Link = LINK) -> tuple[int, int]:
    """Ask and guess at every chance, from a new browser and network each time; tries that were judged, codes sent."""
    judged = sent = 0
    until = house.clock.now() + seconds
    while house.clock.now() < until:
        house.guesses += 1
        browser, source = house.guesses.to_bytes(32, "big"), anywhere(house.guesses)
        drawn = await house.ask(at, browser, source)
        sent += drawn.code is not None
        for turn in range(TRIES):
            said = await house.codes.attempt(at, browser, f"{turn:08}", source)
            assert isinstance(said, Refusal)
            judged += said.reason is Reason.WRONG_CODE
        await house.clock.advance(30)
    return judged, sent


@pytest.mark.parametrize("other", [False, True])
async def test_who_guesses_for_ever_keeps_no_recipient_out(other: bool) -> None:
    """The attack: whoever holds one forwarded link asks for codes and types wrong ones at every chance, so that its
    recipient could ask for none and none of his was judged; nor those of his other messages."""
    house = House(None)
    mine = link(2, "otto@x.example", 2) if other else LINK
    waited = 0
    for turn in range(30):
        await besiege(house, 870)
        browser = turn.to_bytes(1, "big") + OWNER[1:]
        drawn = await house.ask(mine, browser, HOME)
        if drawn.code is None and (drawn.asked.slowed_until or 0) - house.clock.now() > DOOR_FROM:
            waited += 1
            assert house.doors, "he waits, and no mail tells him how he gets in"
            drawn = await house.ask(mine, browser, HOME, house.doors[-1])
            assert drawn.code is not None, turn
        if drawn.code is not None:
            assert isinstance(await house.codes.attempt(mine, browser, drawn.code, HOME), SessionGiven)
    assert waited > (1 if other else 10), "the attack kept nobody waiting"
    assert len(house.doors) <= 8, "doors fill his mailbox"


async def test_a_code_that_was_sent_is_judged_however_many_others_were_wrong() -> None:
    """The attack: wrong codes of other browsers, typed between the mail to the recipient and his typing."""
    house = House(None)
    drawn = await house.ask(LINK, OWNER, HOME)
    assert drawn.code is not None
    await besiege(house, LIFE - 60)
    assert isinstance(await house.codes.attempt(LINK, OWNER, drawn.code, HOME), SessionGiven)


async def test_guesses_of_a_whole_day_are_some_hundred() -> None:
    house = House(None)
    judged, sent = await besiege(house, DAY)
    assert judged <= 200, judged
    assert sent <= 40, "codes fill his mailbox"


async def test_a_door_is_its_recipients_for_two_hours_and_has_a_bound_of_its_own() -> None:
    house, stranger = House(None), link(3, "eve@x.example", 1)
    await besiege(house, 1800)
    await besiege(house, 1800, stranger)
    mine, hers = house.doors
    assert (await house.ask(stranger, OWNER, HOME, mine)).code is None, "another's door"
    assert (await house.ask(LINK, OWNER, HOME, hers)).code is None, "another's door"
    assert (await house.ask(LINK, OWNER, HOME, b"x" * 32)).code is None, "no door"
    given = [await house.ask(LINK, OWNER, HOME, mine) for _ in range(10)]
    assert sum(one.code is not None for one in given) == ALLOWED[Counted.ASK_DOOR].free + 1
    assert all(one.door is None for one in given), "a door brings no other one"
    now = house.clock.now()
    assert await house.memory.is_door(LINK.whose, mine, now)
    assert not await house.memory.is_door(LINK.whose, mine, now + DOOR_LIFE)


async def test_the_real_store_keeps_doors_across_a_restart(tmp_path: Path, migrated: Path) -> None:
    shutil.copy(migrated, tmp_path / "shared.db")
    house = House(tmp_path)
    await besiege(house, 600)
    (door,) = house.doors
    house.start()
    assert (await house.ask(LINK, OWNER, HOME)).code is None
    asked = await house.ask(LINK, OWNER, HOME, door)
    assert asked.code is not None
    assert isinstance(await house.codes.attempt(LINK, OWNER, asked.code, HOME), SessionGiven)
    assert door not in (tmp_path / "shared.db").read_bytes()
    await house.clock.advance(DOOR_LIFE)
    await house.codes.sweep()
    assert (await house.ask(LINK, OWNER, HOME, door)).code is not None, "all is forgotten"
    house.close()
