"""What an officer has to release: kept as it is, counted apart, and changed as a whole, on both engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.mail.delivery import HERE, PROTECT, QUARANTINE, Delivery, State
from gateway.mail.terms import Quarantine, Terms, Wanted
from gateway.observe.events import RELEASED
from gateway.storage.spooling import QUARANTINED, Spooling
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import SpoolOf, delivery_of, event_of, mail_of, message_of, put

NOW = 1_793_700_000.0
TERMS = Terms(quarantine=Quarantine(rules=("A",)), wanted=Wanted(rule="B", template="encrypt-only"))


@pytest.fixture
async def spool(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Spooling]:
    of = SpoolOf(tmp_path / "0") if engine == "sqlite" else PostgresSpoolOf(request.getfixturevalue("postgres"))
    yield await of.open()
    await of.close()


async def hold(spool: Spooling, id_: str) -> Delivery:
    mail = mail_of(id_, await message_of(spool, id_, b"Subject: x\r\n\r\nx\r\n"))
    made = delivery_of(mail, connector=HERE, destination=QUARANTINE)
    made = replace(made, state=State.HELD, terms=TERMS)
    await spool.accept(mail, [made], [spool.new_record(id_, [event_of(id_)])])
    await spool.unlease(made)
    return made


async def test_held_mail_is_never_given_out_and_counts_apart(spool: Spooling) -> None:
    await hold(spool, "Q1")
    assert await spool.due(NOW + 9_999_999, 10, ()) == []
    assert await spool.counts() == ({QUARANTINED: 1}, None)
    (delivery,) = await put(spool, "Q2")
    await spool.change([replace(delivery, state=State.HELD)], lambda d: event_of(d.message))
    assert await spool.counts() == ({QUARANTINED: 1, "held": 1}, NOW)


async def test_all_of_a_delivery_is_changed_at_once(spool: Spooling) -> None:
    made = await hold(spool, "Q1")
    new = replace(
        made,
        destination=PROTECT,
        state=State.READY,
        next_attempt=NOW + 5,
        created=NOW + 5,
        terms=replace(TERMS, quarantine=None),
    )
    async with spool.recalled([made]) as busy:
        assert busy == set()
        assert await spool.amend([new], lambda d: event_of(d.message, RELEASED)) == ["Q1.1"]
    (found,) = await spool.due(NOW + 5, 10, ())
    assert found == new


async def test_what_somebody_has_in_hand_is_not_changed(spool: Spooling) -> None:
    (delivery,) = await put(spool, "Q1")
    assert await spool.due(NOW, 1, ()) == [delivery]
    async with spool.recalled([delivery]) as busy:
        assert busy == {"Q1.1"}
        assert await spool.amend([replace(delivery, state=State.HELD)], lambda d: event_of(d.message)) == []
