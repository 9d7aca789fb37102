"""Final delivery: mail that ends here is put into its mailboxes (RFC 5321 2.1, 4.4). It fulfils `delivery.mailman`.

A message lies once in each mailbox, however many of its addresses were named. On top of it stand Return-Path (RFC 5321
4.4) and one Delivered-To line for each of those addresses; below them every octet is as it came.

Leaves out: sorting into other folders than INBOX, replies on the mailbox's behalf (Sieve), loops that forwarding makes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.app.address_book import AddressBook
from gateway.app.mail_source import Source, SourceFault
from gateway.app.policy_names import PolicyNames
from gateway.app.refusal import Refusal, refusal_of, unknown
from gateway.delivery.courier import told
from gateway.delivery.outcome import Placed, Result, Verdict
from gateway.mail.delivery import Delivery, Target
from gateway.mail.message import Content, prefaced
from gateway.mailboxes.faults import MailboxClosed
from gateway.mailboxes.policies.mailbox_keys import MailboxKey
from gateway.storage.mailboxes.faults import BlobsCollected, KeyChanged, MailboxFault, NoMailbox
from gateway.storage.mailboxes.model import INBOX, ContentRow, Mailbox, NewMessage
from gateway.storage.sealer import KeysClosed, Sealer
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

AT_ONCE: Final = 16  # Mailboxes of one delivery that are written at the same time.
TRIES: Final = 3  # A mailbox whose key, name or blobs changed while the message was written is tried anew so often.
INLINE: Final = 64 << 10  # Octets of a message whose head is read on the event loop; it takes less than 1 ms.
MOST_READ: Final = 32 << 20  # Octets of a message whose head is read here; of a longer one, when somebody looks at it.
LARGE_AT_ONCE: Final = 2  # Messages beyond INLINE that are held whole in memory, in each process; heads are read of.
_TOKEN: Final = "mailbox delivery"  # noqa: S105 - what blind tokens of deliveries are made for


class Adding(Protocol):
    """The part of the store that takes messages."""

    async def add(self, mailbox: int, folder: int | None, messages: Sequence[NewMessage]) -> list[int]:
        """Their UIDs in a folder (None: INBOX), once they are on disk; of one whose token was there, the UID from then.

        Raises what `storage.mailboxes.faults` says.
        """


class Keys(Protocol):
    """Unwraps mailbox keys."""

    async def key(self, mailbox: Mailbox) -> MailboxKey:
        """The key under which new contents are sealed. Raises MailboxClosed."""


class Writing(Protocol):
    """Writes contents."""

    async def write(self, key: MailboxKey, content: Content, head: bytes | None = None) -> ContentRow:
        """The row of a content whose blobs are on disk. Raises StorageFull, StorageBroken."""

    async def abandon(self, row: ContentRow) -> None:
        """It is not going to be added."""


class FinalDelivery:
    """One process'. Everything runs on one event loop."""

    def __init__(
        self,
        *,
        book: AddressBook,
        policies: PolicyNames,
        store: Adding,
        keys: Keys,
        contents: Writing,
        sealer: Sealer,
        head_of: Callable[[bytes], bytes],
        executor: Executor,
        clock: Clock,
        tell: Callable[..., None],
    ) -> None:
        """`head_of` reads what a list of messages shows; `tell` writes a log line."""
        self._book = book
        self._policies = policies
        self._store = store
        self._keys = keys
        self._contents = contents
        self._sealer = sealer
        self._head_of = head_of
        self._executor = executor
        self._clock = clock
        self._tell = tell
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._room = asyncio.Semaphore(LARGE_AT_ONCE)

    async def deliver(self, delivery: Delivery, targets: tuple[Target, ...], content: Content) -> tuple[Result, ...]:
        """See `Mailman`."""
        found = await asyncio.gather(*(self._find(delivery, target) for target in targets))
        groups: dict[int, tuple[Mailbox, list[Target]]] = {}
        results: dict[str, Result] = {}
        for target, one in zip(targets, found, strict=True):
            if isinstance(one, Mailbox):
                groups.setdefault(one.id, (one, []))[1].append(target)
            else:
                results[target.address.text] = one.result(target, None)
        places = asyncio.Semaphore(AT_ONCE)
        source = Source(content, self._room, most=MOST_READ)

        async def put(mailbox: Mailbox, some: list[Target]) -> list[Result]:
            async with places:
                return await self._put(_Work(delivery, tuple(some), source), mailbox)

        # Whatever becomes of one mailbox, the others are seen to; what has to be told of the whole comes behind them.
        try:
            done = await asyncio.gather(*(put(*group) for group in groups.values()), return_exceptions=True)
        finally:
            source.forget()
        for some in done:
            if isinstance(some, SourceFault):
                raise some.cause from None
            if isinstance(some, BaseException):
                raise some
            results |= {result.address.text: result for result in some}
        return tuple(results[target.address.text] for target in targets)

    async def _find(self, delivery: Delivery, target: Target) -> Mailbox | Refusal:
        try:
            mailbox = await self._book.find(target.address)
        except KeysClosed:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours lets mail wait
            return self._told(delivery, refusal_of(error, None, delivery.size), None, error)
        return mailbox or self._told(delivery, unknown(target.address), None, None)

    async def _put(self, work: _Work, mailbox: Mailbox) -> list[Result]:
        """Into one mailbox, for those of its addresses that the delivery names. Raises KeysClosed, SourceFault."""
        left = TRIES
        while True:
            left -= 1
            try:
                policy = await self._add(work, mailbox)
            except (KeysClosed, SourceFault):
                raise
            except Exception as error:  # noqa: BLE001 - a fault of ours lets mail wait
                again = await self._again(work, mailbox, error) if left else None
                if isinstance(again, Mailbox):
                    mailbox = again
                    continue
                if again is not None:
                    return [again.result(target, None) for target in work.targets]
                refusal = self._refusal(work, error, mailbox)
                placed = Placed(mailbox=mailbox.address, policy=await self._policy(mailbox))
                return [refusal.result(target, placed) for target in work.targets]
            placed = Placed(mailbox=mailbox.address, folder=INBOX, policy=policy)
            return [_sent(target, placed) for target in work.targets]

    async def _again(self, work: _Work, mailbox: Mailbox, error: Exception) -> Mailbox | Refusal | None:
        """The mailbox as it is now, where it is worth another try; a refusal where there is none any more; else None.

        What was remembered of it may be some seconds old: its key was wrapped anew, or it was removed meanwhile.
        """
        if not isinstance(error, KeyChanged | NoMailbox | BlobsCollected | MailboxClosed):
            return None
        for target in work.targets:
            self._book.forget(target.address)
        found = await self._find(work.delivery, work.targets[0])
        is_same = isinstance(found, Mailbox) and (found.key, found.next_key) == (mailbox.key, mailbox.next_key)
        return None if is_same and isinstance(error, MailboxClosed) else found

    async def _add(self, work: _Work, mailbox: Mailbox) -> str | None:
        """Its policy's name, once the message is on disk."""
        policy = await self._policy(mailbox)
        await self._keys.key(mailbox)  # Nothing is kept in memory for a mailbox that is closed.
        await work.source.keep()
        content = prefaced(_lines(work), work.source)
        head = await self._head(content)
        # Asked for anew: both may have waited long for others, and meanwhile the policy may have closed.
        row = await self._contents.write(await self._keys.key(mailbox), content, head)
        message = NewMessage(content=row, date=self._clock.now(), token=self._token(work.delivery, mailbox))
        try:
            await self._store.add(mailbox.id, None, [message])
        except (MailboxFault, StorageFull):  # Nothing was added, and nothing will be: what was written is garbage.
            with suppress(StorageBroken, StorageFull, KeysClosed):
                await self._contents.abandon(row)
            raise
        return policy

    async def _head(self, content: Content) -> bytes | None:
        if content.size > MOST_READ:
            return None
        if (octets := content.inline) is not None and len(octets) <= INLINE:
            return self._head_of(octets)
        async with self._large:
            whole = octets if octets is not None else b"".join([block async for block in content.blocks()])
            return await asyncio.get_running_loop().run_in_executor(self._executor, self._head_of, whole)

    def _token(self, delivery: Delivery, mailbox: Mailbox) -> bytes:
        """Stands for this delivery in this mailbox. Two numbers of 64 bits: one alone might one day be another's."""
        name = f"{delivery.id} {mailbox.id}"
        numbers = (self._sealer.token(_TOKEN, f"{place} {name}") for place in (1, 2))
        return b"".join(number.to_bytes(8, signed=True) for number in numbers)

    async def _policy(self, mailbox: Mailbox) -> str | None:
        """For the trace alone: that it can't be told holds no mail up."""
        if mailbox.policy is None:
            return None
        try:
            return await self._policies.name(mailbox.policy)
        except Exception:  # noqa: BLE001 - whatever it is, the next step meets it too and says so
            return None

    def _refusal(self, work: _Work, error: Exception, mailbox: Mailbox) -> Refusal:
        size = len(_lines(work)) + work.source.size
        return self._told(work.delivery, refusal_of(error, mailbox, size), mailbox, error)

    def _told(self, delivery: Delivery, refusal: Refusal, mailbox: Mailbox | None, error: Exception | None) -> Refusal:
        """`refusal`, once the log knows the whole of it."""
        facts: dict[str, object] = {"id": delivery.message, "delivery": delivery.id, "reason": refusal.words}
        if mailbox is not None:
            facts["mailbox"] = mailbox.address
        if refusal.why or error is None:
            facts["why"] = refusal.why
        else:
            facts |= told(error)
        self._tell(refusal.level, refusal.event, **facts)
        return refusal


@dataclass(frozen=True, slots=True)
class _Work:
    """What goes into one mailbox, and for which of its addresses."""

    delivery: Delivery
    targets: tuple[Target, ...]
    source: Source


def _lines(work: _Work) -> bytes:
    """What final delivery puts on top (RFC 5321 4.4). The null sender's path is empty; RFC 6531 3.7.3 has the rest."""
    sender = work.delivery.sender
    lines = [f"Return-Path: <{'' if sender is None else sender.text}>"]
    lines += [f"Delivered-To: {target.address.text}" for target in work.targets]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _sent(target: Target, placed: Placed) -> Result:
    reply = "250 2.1.5 Delivered to the mailbox"
    return Result(address=target.address, verdict=Verdict.SENT, reply=reply, enhanced="2.1.5", placed=placed)
