"""What waits for a closed mailbox is found in the queue by its policy, and tried; other mail keeps its time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.app.address_book import AddressBook
from gateway.app.book_terms import BookTerms
from gateway.app.closed_mail import ClosedMail
from gateway.app.refusal import refusal_of
from gateway.mail.address import parse_address
from gateway.mail.delivery import State, Target
from gateway.mailboxes.faults import KeyBroken, MailboxClosed, PolicyAway, PolicyDenied, PolicyPurged
from gateway.observe.events import RETRIED
from gateway.storage.mailboxes.model import Mailbox, MailboxState, WrappedKey
from tests.fakes.spool import put
from tests.unit.app.test_commands import NOW, Asked


class Rows:
    """Mailboxes by their address, under a policy each."""

    def __init__(self, **policies: int | None) -> None:
        self.policies = {f"{name}@corp.example": policy for name, policy in policies.items()}

    async def find_many(self, names: Sequence[str]) -> Mapping[str, Mailbox]:
        return {name: _mailbox(name, self.policies[name]) for name in names if name in self.policies}


def _mailbox(address: str, policy: int | None) -> Mailbox:
    return Mailbox(
        id=1,
        address=address,
        account=address,
        policy=policy,
        key=WrappedKey(version=1, policy=policy, policy_version=1, octets=b"wrapped"),
        next_key=None,
        quota=None,
        used=0,
        messages=0,
        created=NOW,
        state=MailboxState.READY,
    )


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    made = Asked(tmp_path)
    await made.open()
    yield made
    await made.close()


async def waits(asked: Asked, name: str, address: str, reason: str | None, state: State = State.WAITING) -> None:
    """A message that waits for hours."""
    (delivery,) = await put(asked.spools[0], name, lease=True)
    target = Target(address=parse_address(f"{address}@corp.example"), reason=reason)
    later = replace(delivery, state=state, next_attempt=NOW + 9000, targets=(target,), attempts=3)
    await asked.spools[0].postpone(later, [])


def mail(asked: Asked, **policies: int | None) -> ClosedMail:
    book = AddressBook(Rows(**policies), terms=lambda: BookTerms(catch_all={}), clock=asked.clock)
    return ClosedMail(asked.commands, book)


def reason(error: Exception) -> str:
    """What the queue keeps of it."""
    return refusal_of(error, None, 10).words


FAULTS = (PolicyDenied, PolicyAway, PolicyPurged, KeyBroken, MailboxClosed)


async def test_mail_for_a_policy_that_is_open_again_is_tried_and_nothing_else(asked: Asked) -> None:
    closed = reason(PolicyDenied("x"))
    await waits(asked, "Q1", "ida", closed)
    await waits(asked, "Q2", "bert", closed)
    await waits(asked, "Q3", "ida", "the mailbox is full")
    await waits(asked, "Q4", "ida", closed, State.HELD)
    await waits(asked, "Q5", "ida+garden", closed)
    await waits(asked, "Q6", "gone", closed)
    found = mail(asked, ida=7, bert=8)
    assert await found.policies() == {7, 8}
    await found.hasten({7})
    assert ("Q1", RETRIED) in asked.events() and ("Q2", RETRIED) not in asked.events()
    rows = await asked.commands.answer("queue.list", {})
    soon = {row["id"] for row in rows if row["recipients"][0]["next_attempt"] == "2026-11-03T10:01:40.000Z"}
    assert soon == {"Q1.1", "Q5.1"}
    assert (asked.woken, [row["attempts"] for row in rows]) == (1, [3] * 6)
    await found.hasten({7})
    assert asked.woken == 1  # It is on its way.


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_closed_the_mailbox_its_mail_is_found(asked: Asked, fault: type[MailboxClosed]) -> None:
    await waits(asked, "Q1", "ida", reason(fault("x")))
    assert await mail(asked, ida=7).policies() == {7}


async def test_a_mailbox_under_no_policy_waits_for_none(asked: Asked) -> None:
    await waits(asked, "Q1", "ida", reason(PolicyAway("x")))
    assert await mail(asked, ida=None).policies() == set()
