"""Copies of one message in one stored content: each comes out of the spool as it went in, small or large."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.app.bundle import bundled, octets
from gateway.delivery.route import route
from gateway.mail.delivery import Delivery
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.mail.plan import Plan
from gateway.mail.terms import Quarantine, Terms
from gateway.storage.spooling import Spooling
from tests.fakes.postgres_spool import PostgresSpoolOf
from tests.fakes.spool import SpoolOf, mail_of, message_of
from tests.fakes.terms import outbound

LARGE = b"0123456789ABCDE\n" * 200_000  # 3.2 MB: several segments.
SMALL = b"Subject: small\r\n\r\nx\r\n"
OTHER = b"Subject: other\r\n\r\nyy\r\n"

Of = SpoolOf | PostgresSpoolOf


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def of(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Of]:
    of: Of = SpoolOf(tmp_path / "0") if engine == "sqlite" else PostgresSpoolOf(request.getfixturevalue("postgres"))
    yield of
    await of.close()


async def accepted(spool: Spooling, mail: Mail, plan: Plan) -> tuple[Delivery, ...]:
    """Store it as the reception does."""
    deliveries = route(plan, (outbound("world"),), home="", now=mail.received)
    message = await bundled(mail, plan, spool)
    await spool.accept(replace(mail, message=message), deliveries, [])
    return deliveries


async def out(spool: Spooling, delivery: Delivery) -> bytes:
    return await octets(await spool.content(delivery))


@pytest.mark.parametrize("first", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("second", [OTHER, LARGE[::-1]], ids=["small", "large"])
async def test_each_copy_comes_out_as_it_went_in_after_a_restart(of: Of, first: bytes, second: bytes) -> None:
    spool = await of.open()
    mail = mail_of("Q1", await message_of(spool, "Q1", first), "a@x.example")
    changed = replace(mail_of("Q1", Message(second, Held(second)), "b@x.example"), preface=b"X-A: 1\r\n")
    held = replace(mail_of("Q1", changed.message, "c@x.example"), terms=Terms(quarantine=Quarantine(rules=("x",))))
    deliveries = await accepted(spool, mail, Plan(copies=(mail, changed, held)))
    for delivery in deliveries:
        await spool.unlease(delivery)
    spool = await of.reopen()
    assert [await out(spool, one) for one in await spool.deliveries()] == [first, b"X-A: 1\r\n" + second, second]


@pytest.mark.parametrize("first", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("second", [OTHER, LARGE[::-1]], ids=["small", "large"])
async def test_a_copy_that_takes_the_place_of_what_came_leaves_nothing_of_that(
    of: Of, first: bytes, second: bytes
) -> None:
    spool = await of.open()
    mail = mail_of("Q1", await message_of(spool, "Q1", first), "a@x.example")
    changed = replace(mail, message=Message(second, Held(second)))
    (delivery,) = await accepted(spool, mail, Plan(copies=(changed,)))
    assert await out(spool, delivery) == second
    if isinstance(of, SpoolOf):
        assert of.contents == (["Q1"] if len(second) > 131_072 else [])
    await spool.done(delivery, [])
    if isinstance(of, SpoolOf):
        assert of.contents == []


async def test_what_comes_and_leaves_unchanged_stays_where_it_lies(of: Of) -> None:
    spool = await of.open()
    mail = mail_of("Q1", await message_of(spool, "Q1", LARGE), "a@x.example")
    copy = replace(mail, terms=Terms(require_tls=True))
    assert await bundled(mail, Plan(copies=(copy,)), spool) is mail.message
