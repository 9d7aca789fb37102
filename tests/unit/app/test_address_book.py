"""Whose mailbox an address means."""

from __future__ import annotations

import asyncio

import pytest

from gateway.app.address_book import FRESH, AddressBook
from gateway.app.book_terms import BookTerms
from gateway.mail.address import parse_address
from gateway.storage.mailboxes.model import Mailbox
from gateway.storage.writer import StorageBroken
from tests.fakes.clock import FakeClock
from tests.fakes.mailboxes import FakeMailboxes, make_mailbox

IDA = make_mailbox(1, "ida@corp.example")
BO = make_mailbox(2, "bo@corp.example")


class Shelf:
    """A book over fakes."""

    def __init__(self, separator: str | None = "+") -> None:
        self.rows = FakeMailboxes(IDA, BO)
        self.clock = FakeClock()
        self.terms = BookTerms(separator=separator, catch_all={"sub.example": "bo@corp.example"})
        self.book = AddressBook(self.rows, terms=lambda: self.terms, clock=self.clock)

    async def find(self, text: str) -> Mailbox | None:
        return await self.book.find(parse_address(text))


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("ida@corp.example", IDA),
        ("IDA@Corp.Example", IDA),
        ('"ida"@corp.example', IDA),
        ("ida+news@corp.example", IDA),
        ("ida+a+b@corp.example", IDA),
        ("ida-news@corp.example", None),
        ("+ida@corp.example", None),
        ('"ida+x y"@corp.example', None),
        ("anybody@sub.example", BO),
        ("anybody@corp.example", None),
    ],
)
async def test_an_address_means_a_mailbox(text: str, mailbox: Mailbox | None) -> None:
    assert await Shelf().find(text) == mailbox


async def test_an_address_of_its_own_is_nearer_than_the_detail_and_that_nearer_than_the_catch_all() -> None:
    shelf = Shelf()
    shelf.rows.names["*@corp.example"] = BO
    assert await shelf.find("nobody@corp.example") == BO
    assert await shelf.find("ida+news@corp.example") == IDA
    shelf.book.forget()
    shelf.rows.names["ida+news@corp.example"] = BO
    assert await shelf.find("ida+news@corp.example") == BO


async def test_without_a_separator_there_are_no_details() -> None:
    assert await Shelf(separator=None).find("ida+news@corp.example") is None


async def test_what_is_there_is_remembered_for_a_moment_and_what_is_not_is_asked_each_time() -> None:
    shelf = Shelf()
    address = parse_address("ida@corp.example")
    assert shelf.book.recall(address) is None
    await shelf.book.find(address)
    assert shelf.book.recall(address) == IDA
    await shelf.clock.advance(FRESH)
    assert shelf.book.recall(address) is None
    assert await shelf.find("new@corp.example") is None
    shelf.rows.names["new@corp.example"] = BO
    assert await shelf.find("new@corp.example") == BO


async def test_an_answer_that_was_under_way_when_mailboxes_changed_is_not_remembered() -> None:
    shelf = Shelf()
    address = parse_address("ida@corp.example")
    question = asyncio.create_task(shelf.book.find(address))
    await asyncio.sleep(0)
    shelf.book.forget()
    assert await question == IDA
    assert shelf.book.recall(address) is None


async def test_questions_of_one_moment_are_asked_together() -> None:
    shelf = Shelf()
    found = await asyncio.gather(*(shelf.find(f"{name}@corp.example") for name in ("ida", "bo", "ida", "nobody")))
    assert found == [IDA, BO, IDA, None]
    assert len(shelf.rows.asked) == 1


async def test_a_database_that_fails_is_told_to_all_who_asked_and_asked_again_by_the_next() -> None:
    shelf = Shelf()
    shelf.rows.broken = StorageBroken("locked")
    found = await asyncio.gather(shelf.find("ida@corp.example"), shelf.find("bo@corp.example"), return_exceptions=True)
    assert [type(one) for one in found] == [StorageBroken, StorageBroken]
    shelf.rows.broken = None
    assert await shelf.find("ida@corp.example") == IDA


async def test_whoever_goes_while_he_waits_takes_no_answer_from_the_others() -> None:
    shelf = Shelf()
    first = asyncio.create_task(shelf.find("ida@corp.example"))
    second = asyncio.create_task(shelf.find("ida@corp.example"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == IDA
