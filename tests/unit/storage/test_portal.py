"""What the portal remembers, on both engines: each try counts before it is judged, across processes and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import pytest
from sqlalchemy import select, update

from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.storage.portal import Judged, KeptCode, KeptCount, KeptSession, Place, PortalStore
from gateway.storage.sealer import SealBroken
from gateway.storage.sharing import SharedStore
from gateway.storage.tables import portal_codes, portal_counts, portal_sessions
from tests.fakes.chance import FakeChance

KEYS = {("portal", 1): b"p" * 32, ("token", 1): b"k" * 32}
LINK, BROWSER, COOKIE = b"l" * 32, b"b" * 32, b"c" * 32
CODE = KeptCode("ABCD", b"s" * 16, b"d" * 32, 100.0, 1000.0, 5)
SESSION = KeptSession(LINK, "ida@firm.example", "ab" * 16, 2000.0)
TRIES = Place("try link", LINK)


def opened(shared: SharedStore, seed: str = "seed") -> PortalStore:
    return PortalStore(shared, KeySealer(DomainKeys(KEYS), FakeChance(seed)))


@pytest.fixture
def store(shared: SharedStore) -> PortalStore:
    return opened(shared)


async def put(store: PortalStore, code: KeptCode | None, *, counts: Mapping[Place, KeptCount] | None = None) -> None:
    await store.judge(LINK, BROWSER, tuple(counts or ()), lambda before, known: Judged(counts or {}, code))


async def test_a_code_comes_back_for_its_link_and_browser_alone(store: PortalStore) -> None:
    await put(store, CODE)
    assert await store.code(LINK, BROWSER) == CODE
    assert await store.code(LINK, b"x" * 32) is None
    assert await store.code(b"x" * 32, BROWSER) is None
    await put(store, None)
    assert await store.code(LINK, BROWSER) is None


async def test_a_session_comes_back_by_its_cookie_until_it_ends(store: PortalStore) -> None:
    digest = sha256(COOKIE).digest()
    await store.judge(LINK, BROWSER, (), lambda code, counts: Judged(begins=(digest, SESSION)))
    assert await store.session(COOKIE, 1999.9) == SESSION
    assert await store.session(COOKIE, 2000.0) is None
    assert await store.session(b"x" * 32, 1000.0) is None
    await store.end_session(COOKIE)
    assert await store.session(COOKIE, 1000.0) is None


async def test_many_tries_at_once_are_judged_one_after_the_other(store: PortalStore, shared: SharedStore) -> None:
    """Forty requests in parallel, by two processes, never see the same number of tries."""
    await put(store, replace(CODE, tries_left=100))
    both = (store, opened(shared, "other"))
    seen: list[tuple[int, float]] = []

    def judge(code: KeptCode | None, counts: Mapping[Place, KeptCount]) -> Judged:
        assert code is not None
        number = counts[TRIES].number
        seen.append((code.tries_left, number))
        fewer = replace(code, tries_left=code.tries_left - 1)
        return Judged({TRIES: KeptCount(number + 1, 5.0, 0.0)}, fewer)

    async with asyncio.TaskGroup() as tasks:
        for number in range(40):
            tasks.create_task(both[number % 2].judge(LINK, BROWSER, (TRIES,), judge))
    assert sorted(seen) == sorted((100 - place, float(place)) for place in range(40))


async def test_counts_outlive_the_process(store: PortalStore, shared: SharedStore) -> None:
    await put(store, None, counts={TRIES: KeptCount(2.5, 10.25, 99.0)})
    found: list[Mapping[Place, KeptCount]] = []

    def judge(code: KeptCode | None, counts: Mapping[Place, KeptCount]) -> Judged:
        found.append(counts)
        return Judged()

    again = opened(shared, "after a restart")
    await again.judge(LINK, BROWSER, (TRIES, Place("try network", b"n")), judge)
    assert found == [{TRIES: KeptCount(2.5, 10.25, 99.0), Place("try network", b"n"): KeptCount()}]


async def test_what_a_judge_raises_changes_nothing(store: PortalStore) -> None:
    await put(store, CODE)

    def judge(code: KeptCode | None, counts: Mapping[Place, KeptCount]) -> Judged:
        raise LookupError("no")

    with pytest.raises(LookupError):
        await store.judge(LINK, BROWSER, (TRIES,), judge)
    assert await store.code(LINK, BROWSER) == CODE


async def test_a_look_changes_nothing(store: PortalStore, shared: SharedStore) -> None:
    await put(store, CODE)
    before = await shared.call(lambda connection: connection.execute(select(portal_codes)).all(), read=True)
    await store.code(LINK, BROWSER)
    await store.session(COOKIE, 5.0)
    assert await shared.call(lambda connection: connection.execute(select(portal_codes)).all(), read=True) == before


async def test_what_has_ended_is_swept_and_what_still_counts_is_not(store: PortalStore, shared: SharedStore) -> None:
    digest = sha256(COOKIE).digest()
    counts = {TRIES: KeptCount(2.0, 100.0, 0.0), Place("try network", b"n"): KeptCount(1.0, 100.0, 5000.0)}

    def judge(code: KeptCode | None, known: Mapping[Place, KeptCount]) -> Judged:
        return Judged(counts, CODE, (digest, SESSION))

    await store.judge(LINK, BROWSER, tuple(counts), judge)
    leaks = {"try link": 60.0, "try network": 60.0}
    assert await store.sweep(219.0, leaks) == 0
    assert await store.sweep(220.0, leaks) == 1, "two tries, one a minute"
    assert await store.sweep(1000.0, leaks) == 1
    assert await store.code(LINK, BROWSER) is None
    assert await store.session(COOKIE, 1000.0) == SESSION
    assert await store.sweep(5000.0, leaks) == 2
    assert await shared.call(lambda connection: connection.execute(select(portal_counts)).all(), read=True) == []


async def test_the_tables_tell_nothing_without_the_keys(store: PortalStore, shared: SharedStore) -> None:
    digest = sha256(COOKIE).digest()
    await store.judge(LINK, BROWSER, (TRIES,), lambda code, counts: Judged(code=CODE, begins=(digest, SESSION)))

    def rows() -> str:
        tables = (portal_codes, portal_sessions, portal_counts)
        return repr(shared.run(lambda connection: [connection.execute(select(one)).all() for one in tables]))

    written = await asyncio.to_thread(rows)
    for secret in ("ida", "firm", "ABCD", "ab" * 16, repr(LINK)[2:-1], repr(COOKIE)[2:-1], digest.hex()):
        assert secret not in written


async def test_a_row_in_anothers_place_does_not_open(store: PortalStore, shared: SharedStore) -> None:
    """Who may write the database but has no key puts the row of a code that he knows where another's stood."""
    await put(store, CODE)
    before = await shared.call(lambda connection: connection.execute(select(portal_codes)).one(), read=True)
    await store.judge(LINK, b"x" * 32, (), lambda code, counts: Judged(code=CODE))
    change = update(portal_codes).where(portal_codes.c.token != before.token).values(sealed=before.sealed)
    await shared.call(lambda connection: connection.execute(change))
    with pytest.raises(SealBroken):
        await store.code(LINK, b"x" * 32)
    assert await store.code(LINK, BROWSER) == CODE
