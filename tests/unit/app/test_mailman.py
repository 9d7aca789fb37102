"""Final delivery: whose mailbox, what lies there afterwards, and what stands in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway.app.address_book import AddressBook
from gateway.app.book_terms import BookTerms
from gateway.app.mailman import MOST_READ, FinalDelivery
from gateway.app.policy_names import PolicyNames
from gateway.delivery.outcome import Result, Verdict
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import KeySealer
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.message import Content, Held
from gateway.mailboxes.faults import KeyBroken, MailboxClosed, PolicyAway, PolicyDenied, PolicyPurged
from gateway.storage.blobs import BlobsAway
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.mailboxes import FakeMailboxes, make_mailbox, make_policy

OCTETS = b"Subject: Offer\r\n\r\nwords\r\n"
IDA = make_mailbox(1, "ida@corp.example", policy=7)
BO = make_mailbox(2, "bo@corp.example")


class House:
    """A mailman between fakes."""

    def __init__(self, boxes: FakeMailboxes, executor: ThreadPoolExecutor) -> None:
        self.boxes = boxes
        self.clock = FakeClock()
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.catch_all: dict[str, str] = {}
        self.book = AddressBook(boxes, terms=lambda: BookTerms(catch_all=self.catch_all), clock=self.clock)
        self.mailman = FinalDelivery(
            book=self.book,
            policies=PolicyNames(boxes, self.clock),
            store=boxes,
            keys=boxes,
            contents=boxes,
            sealer=KeySealer(DomainKeys({("token", 1): b"k" * 32}), FakeChance()),
            head_of=lambda octets: b"head of %d" % len(octets),
            executor=executor,
            clock=self.clock,
            tell=lambda level, event, **facts: self.told.append((level, event, facts)),
        )

    async def deliver(
        self, *names: str, content: Content | None = None, sender: str | None = "me@x.example", id_: str = "Q1.1"
    ) -> tuple[Result, ...]:
        held = content or Held(OCTETS)
        targets = tuple(Target(address=parse_address(name)) for name in names)
        delivery = Delivery(
            id=id_,
            message=id_.partition(".")[0],
            connector="mailboxes",
            destination="",
            sender=None if sender is None else parse_address(sender),
            targets=targets,
            size=held.size,
            created=0.0,
            next_attempt=0.0,
        )
        return await self.mailman.deliver(delivery, targets, held)

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [facts for _, name, facts in self.told if name == event]


@pytest.fixture
def executor() -> Any:
    with ThreadPoolExecutor(1) as threads:
        yield threads


@pytest.fixture
def house(executor: ThreadPoolExecutor) -> House:
    return House(FakeMailboxes(IDA, BO), executor)


@dataclass(frozen=True)
class Unread:
    """Content whose octets can't be read."""

    error: Exception
    size: int = len(OCTETS)
    inline: bytes | None = None

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        raise self.error
        yield b""


@dataclass(frozen=True)
class Long:
    """Content that is not in memory."""

    octets: bytes
    said: int | None = None
    inline: bytes | None = None

    @property
    def size(self) -> int:
        return self.said or len(self.octets)

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        yield self.octets[:10]
        yield self.octets[10:]


async def test_the_message_lies_there_octet_for_octet_under_the_lines_of_final_delivery(house: House) -> None:
    (result,) = await house.deliver("ida@corp.example")
    assert result.verdict is Verdict.SENT and result.enhanced == "2.1.5"
    assert house.boxes.messages == {1: [b"Return-Path: <me@x.example>\r\nDelivered-To: ida@corp.example\r\n" + OCTETS]}
    assert house.boxes.heads == [b"head of %d" % len(house.boxes.messages[1][0])]


async def test_the_trace_learns_mailbox_folder_and_policy(house: House) -> None:
    ida, bo = await house.deliver("ida@corp.example", "bo@corp.example")
    assert ida.placed is not None and bo.placed is not None
    assert (ida.placed.mailbox, ida.placed.folder, ida.placed.policy) == ("ida@corp.example", "INBOX", "house")
    assert (bo.placed.mailbox, bo.placed.policy) == ("bo@corp.example", None)


async def test_a_null_sender_has_an_empty_return_path(house: House) -> None:
    await house.deliver("ida@corp.example", sender=None)
    assert house.boxes.messages[1][0].startswith(b"Return-Path: <>\r\n")


async def test_several_addresses_of_one_mailbox_get_the_message_once(house: House) -> None:
    house.boxes.names["sales@corp.example"] = IDA
    results = await house.deliver("Ida+news@corp.example", "sales@corp.example", "bo@corp.example")
    assert [one.verdict for one in results] == [Verdict.SENT] * 3
    assert [one.address.text for one in results] == ["Ida+news@corp.example", "sales@corp.example", "bo@corp.example"]
    assert len(house.boxes.messages[1]) == len(house.boxes.messages[2]) == 1
    head = b"Return-Path: <me@x.example>\r\nDelivered-To: Ida+news@corp.example\r\nDelivered-To: sales@corp.example\r\n"
    assert house.boxes.messages[1][0] == head + OCTETS


async def test_what_is_brought_again_is_not_delivered_again(house: House) -> None:
    house.boxes.lost = 1
    (first,) = await house.deliver("ida@corp.example")
    (second,) = await house.deliver("ida@corp.example")
    assert (first.verdict, second.verdict) == (Verdict.LATER, Verdict.SENT)
    assert len(house.boxes.messages[1]) == 1
    await house.deliver("ida@corp.example", id_="Q1.2")
    assert len(house.boxes.messages[1]) == 2, "another delivery of the message is a message of its own"


async def test_an_unknown_address_fails_for_good_and_the_others_get_theirs(house: House) -> None:
    nobody, bo = await house.deliver("nobody@corp.example", "bo@corp.example")
    assert (nobody.verdict, nobody.enhanced) == (Verdict.NEVER, "5.1.1")
    assert nobody.reply == "550 5.1.1 There is no such mailbox here"
    assert bo.verdict is Verdict.SENT


async def test_mail_for_postmaster_waits_until_somebody_gives_him_a_mailbox(house: House) -> None:
    (result,) = await house.deliver("Postmaster@corp.example")
    assert (result.verdict, result.enhanced) == (Verdict.LATER, "4.2.1")
    assert "gateway mailbox alias add" in house.logged("mailbox_missing")[0]["why"]
    house.boxes.names["postmaster@corp.example"] = IDA
    (result,) = await house.deliver("Postmaster@corp.example")
    assert result.verdict is Verdict.SENT


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (PolicyDenied("both roots deny"), "450 4.2.1 The mailbox is closed: the keys of its encryption policy are"),
        (PolicyAway("no vault answers"), "451 4.7.5 The mailbox is closed: its keys can't be had now"),
        (PolicyPurged("it is destroyed"), "450 4.2.1 The mailbox is closed: its encryption policy was destroyed"),
        (KeyBroken("it is another's"), "451 4.7.5 The mailbox is closed: its key does not open"),
        (MailboxClosed("for a reason to come"), "451 4.2.1 The mailbox is closed"),
        (StorageFull("the disk is full"), "452 4.3.1 There is no room for mailboxes"),
        (BlobsAway("the bucket is away"), "451 4.3.0 Mailboxes can't be written now"),
        (SealBroken("the row was changed"), "451 4.3.0 What is kept of the mailbox is damaged"),
        (OSError(5, "Input/output error"), "451 4.3.0 Contents of mailboxes can't be written now"),
        (RuntimeError("secret words"), "451 4.3.0 A fault in the gateway; see its log"),
    ],
)
async def test_what_stands_in_the_way_of_one_mailbox_lets_its_mail_wait_and_holds_no_other_up(
    house: House, error: Exception, reply: str
) -> None:
    house.boxes.raises[1] = error
    ida, bo = await house.deliver("ida@corp.example", "bo@corp.example")
    assert ida.verdict is Verdict.LATER and ida.reply.startswith(reply)
    assert ida.enhanced == reply.split()[1]
    assert ida.placed is not None and ida.placed.folder is None and ida.placed.policy == "house"
    assert bo.verdict is Verdict.SENT
    _, event, facts = house.told[0]
    assert facts["mailbox"] == "ida@corp.example" and facts["delivery"] == "Q1.1"
    assert (event == "mailbox_closed") is isinstance(error, MailboxClosed)
    assert "secret words" not in str(house.told) + ida.reply + str(ida.reason)
    house.boxes.raises.clear()
    (ida,) = await house.deliver("ida@corp.example")
    assert ida.verdict is Verdict.SENT and len(house.boxes.messages[1]) == 1


async def test_the_sender_learns_neither_policy_nor_vault_nor_what_an_alias_means(house: House) -> None:
    house.boxes.names["secret-project@corp.example"] = IDA
    house.boxes.raises[1] = PolicyDenied("the roots vault-a/mail and vault-b/mail deny", policy="house")
    (result,) = await house.deliver("secret-project@corp.example")
    shown = f"{result.reply} {result.reason}"
    assert "ida" not in shown and "vault-a" not in shown and "house" not in shown
    assert house.logged("mailbox_closed")[0]["why"] == "the roots vault-a/mail and vault-b/mail deny"


async def test_a_full_mailbox_lets_mail_wait_and_one_that_never_fits_fails(house: House) -> None:
    house.boxes.names["ida@corp.example"] = replace(IDA, quota=120)
    assert (await house.deliver("ida@corp.example"))[0].verdict is Verdict.SENT
    (full,) = await house.deliver("ida@corp.example", id_="Q2.1")
    assert (full.verdict, full.reply) == (Verdict.LATER, "452 4.2.2 The mailbox is full")
    assert len(house.boxes.abandoned) == 1, "what was written for it is garbage at once"
    (never,) = await house.deliver("ida@corp.example", content=Held(b"x" * 200), id_="Q3.1")
    assert (never.verdict, never.enhanced) == (Verdict.NEVER, "5.2.3")


async def test_a_key_that_changed_meanwhile_is_asked_for_anew(house: House) -> None:
    await house.deliver("ida@corp.example")
    house.boxes.names["ida@corp.example"] = make_mailbox(1, "ida@corp.example", version=2)
    (result,) = await house.deliver("ida@corp.example", id_="Q2.1")
    assert result.verdict is Verdict.SENT and len(house.boxes.messages[1]) == 2


async def test_a_mailbox_that_was_removed_meanwhile_is_unknown(house: House) -> None:
    await house.deliver("ida@corp.example")
    del house.boxes.names["ida@corp.example"]
    (result,) = await house.deliver("ida@corp.example", id_="Q2.1")
    assert (result.verdict, result.enhanced) == (Verdict.NEVER, "5.1.1")


async def test_a_mailbox_under_another_policy_by_now_is_not_closed_by_its_former_one(house: House) -> None:
    await house.deliver("ida@corp.example")
    keys: Callable[[Any], Any] = house.boxes.key

    async def denied(mailbox: Any) -> Any:
        if mailbox.policy == 7:
            raise PolicyDenied("both roots deny")
        return await keys(mailbox)

    house.boxes.key = denied  # type: ignore[method-assign]
    house.boxes.names["ida@corp.example"] = make_mailbox(1, "ida@corp.example")
    (result,) = await house.deliver("ida@corp.example", id_="Q2.1")
    assert result.verdict is Verdict.SENT


@pytest.mark.parametrize("error", [SealBroken("flipped"), OSError(5, "Input/output error"), KeysClosed("away")])
async def test_octets_that_cannot_be_read_are_no_fault_of_any_mailbox(house: House, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        await house.deliver("ida@corp.example", "bo@corp.example", content=Unread(error))
    assert caught.value is error
    assert house.boxes.messages == {}


async def test_while_the_gateways_own_keys_are_closed_nothing_is_tried(house: House) -> None:
    house.boxes.broken = KeysClosed("the vault main is away")
    with pytest.raises(KeysClosed):
        await house.deliver("ida@corp.example")


async def test_a_database_that_fails_lets_all_wait(house: House) -> None:
    house.boxes.broken = StorageBroken("locked")
    results = await house.deliver("ida@corp.example", "bo@corp.example")
    assert {one.reply for one in results} == {"451 4.3.0 Mailboxes can't be written now"}


async def test_a_policy_that_closes_while_the_message_is_read_from_afar_takes_it_no_more(house: House) -> None:
    """How long it takes has no end, and a key may be used only for as long as it is given out."""

    class Closing(Long):
        async def blocks(self) -> AsyncGenerator[bytes, None]:
            house.boxes.raises[IDA.id] = PolicyDenied("the policy is denied", policy="house", mailbox=IDA.address)
            yield self.octets

    (result,) = await house.deliver("ida@corp.example", content=Closing(OCTETS))
    assert (result.verdict, result.enhanced) == (Verdict.LATER, "4.2.1")
    assert house.boxes.messages == {}


async def test_what_policies_are_called_is_asked_once_for_many_messages(house: House) -> None:
    await asyncio.gather(*(house.deliver("ida@corp.example", id_=f"Q{number}.1") for number in range(20)))
    house.boxes.rows = []  # As where its row is not there yet.
    await house.clock.advance(60.0)
    for number in range(20, 40):
        (result,) = await house.deliver("ida@corp.example", id_=f"Q{number}.1")
        assert result.placed is not None and result.placed.policy is None
    assert house.boxes.looked == 2
    house.boxes.rows = [make_policy(7, "house")]
    await house.clock.advance(2.0)
    (result,) = await house.deliver("ida@corp.example", id_="Q99.1")
    assert result.placed is not None and result.placed.policy == "house"


async def test_a_long_message_is_read_for_its_head_and_a_very_long_one_is_not(house: House) -> None:
    await house.deliver("ida@corp.example", content=Long(OCTETS))
    assert house.boxes.messages[1][0].endswith(OCTETS)
    await house.deliver("ida@corp.example", content=Long(OCTETS, said=MOST_READ), id_="Q2.1")
    assert house.boxes.heads[0] is not None and house.boxes.heads[1] is None


async def test_many_mailboxes_of_one_delivery_are_written_at_the_same_time(house: House) -> None:
    more = [make_mailbox(10 + number, f"m{number}@corp.example") for number in range(40)]
    house.boxes.names |= {one.address: one for one in more}
    results = await house.deliver(*(one.address for one in more))
    assert {one.verdict for one in results} == {Verdict.SENT}
    assert 1 < house.boxes.most <= 16
    assert len(house.boxes.asked) == 1, "the addresses are one question to the database"


class Far:
    """Content that counts how often it is read."""

    inline: bytes | None = None

    def __init__(self, octets: bytes, said: int | None = None, error: Exception | None = None) -> None:
        self.octets = octets
        self.size = said or len(octets)
        self.error = error
        self.reads = 0

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        self.reads += 1
        await asyncio.sleep(0)
        yield self.octets[:10]
        if self.error is not None:
            raise self.error
        yield self.octets[10:]


async def test_what_lies_far_is_read_once_for_all_mailboxes_their_heads_and_their_chunks(house: House) -> None:
    far = Far(OCTETS)
    results = await house.deliver("ida@corp.example", "bo@corp.example", content=far)
    assert [one.verdict for one in results] == [Verdict.SENT] * 2
    assert far.reads == 1
    for number, name in ((1, "ida"), (2, "bo")):
        lines = f"Return-Path: <me@x.example>\r\nDelivered-To: {name}@corp.example\r\n".encode()
        assert house.boxes.messages[number] == [lines + OCTETS]
    assert len(house.boxes.heads) == 2 and None not in house.boxes.heads


async def test_what_is_too_long_is_never_held_whole(house: House) -> None:
    far = Far(OCTETS, said=MOST_READ + 1)
    await house.deliver("ida@corp.example", "bo@corp.example", content=far)
    assert far.reads == 2
    assert house.boxes.heads == [None, None]


async def test_room_for_large_messages_is_given_back_whatever_became_of_them(house: House) -> None:
    for number in range(4):
        with pytest.raises(SealBroken):
            await house.deliver(
                "ida@corp.example", "bo@corp.example", content=Far(OCTETS, error=SealBroken("x")), id_=f"Q{number}.1"
            )
    fars = [Far(OCTETS) for _ in range(6)]
    await asyncio.gather(
        *(house.deliver("ida@corp.example", content=far, id_=f"R{number}.1") for number, far in enumerate(fars))
    )
    assert [far.reads for far in fars] == [1] * 6
    assert len(house.boxes.messages[1]) == 6
