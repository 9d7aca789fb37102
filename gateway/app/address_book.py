"""Whose mailbox an address means: the mailbox's own, an alias, one with a detail behind it (RFC 5233), a catch-all.

What was found is remembered for a moment, so that RCPT and delivery ask the database once. What is not there is asked
for each time: a mailbox that was made a moment ago takes mail at once. Whoever changes mailboxes has it `forget`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from gateway.app.book_terms import BookTerms
from gateway.mail.address import Address
from gateway.storage.mailboxes.model import Mailbox
from gateway.world.clock import Clock

FRESH: Final = 5.0  # Seconds that a mailbox is remembered; so long a change on another machine may not count here.
MOST: Final = 8192  # Addresses remembered.
MOST_ASKED: Final = 256  # Names in one question to the database.


class Rows(Protocol):
    """The part of the store that knows addresses."""

    async def find_many(self, names: Sequence[str]) -> Mapping[str, Mailbox]:
        """The mailboxes of those of `names` that belong to one: own addresses, aliases, `*@DOMAIN` for a catch-all."""


class AddressBook:
    """One process'. Everything runs on one event loop; whoever asks at the same moment shares a question."""

    def __init__(self, rows: Rows, *, terms: Callable[[], BookTerms], clock: Clock) -> None:
        """`terms` gives those of the moment."""
        self._rows = rows
        self._terms = terms
        self._clock = clock
        self._found: OrderedDict[str, tuple[float, Mailbox]] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[Mailbox | None]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._age = 0  # Counts what made us forget: an answer that was under way then is not remembered.

    def recall(self, address: Address) -> Mailbox | None:
        """The mailbox, where it was found a moment ago."""
        known = self._found.get(address.who)
        if known is None or known[0] <= self._clock.monotonic():
            return None
        return known[1]

    async def find(self, address: Address) -> Mailbox | None:
        """The mailbox that takes mail for `address`; None: there is none.

        Raises StorageBroken, KeysClosed, SealBroken.
        """
        if (known := self.recall(address)) is not None:
            return known
        names = self._names(address)
        age = self._age
        found = await asyncio.gather(*(self._row(name) for name in names))
        mailbox = next((one for one in found if one is not None), None)
        if mailbox is not None and age == self._age:
            self._found[address.who] = (self._clock.monotonic() + FRESH, mailbox)
            if len(self._found) > MOST:
                self._found.popitem(last=False)
        return mailbox

    def forget(self, address: Address | None = None) -> None:
        """Something about mailboxes has changed, or about the one that `address` means."""
        self._age += 1
        if address is None:
            self._found.clear()
        else:
            self._found.pop(address.who, None)

    def _names(self, address: Address) -> list[str]:
        """Under which names a mailbox for `address` may be kept; the first that is counts."""
        who = address.who
        local, _, domain = who.rpartition("@")
        terms = self._terms()
        names = [who]
        if terms.separator is not None and not local.startswith('"'):
            base = local.partition(terms.separator)[0]
            if base and base != local:
                names.append(f"{base}@{domain}")
        names.append(f"*@{domain}")
        if (taker := terms.catch_all.get(domain)) is not None:
            names.append(taker)
        return names

    def _row(self, name: str) -> asyncio.Future[Mailbox | None]:
        """Asked together with whatever else is wanted at this moment."""
        future = self._waiting.get(name)
        if future is None:
            future = self._waiting[name] = asyncio.get_running_loop().create_future()
            if self._asking is None or self._asking.done():
                self._asking = asyncio.get_running_loop().create_task(self._ask())
        return asyncio.shield(future)

    async def _ask(self) -> None:
        while self._waiting:
            asked = dict(list(self._waiting.items())[:MOST_ASKED])
            for name in asked:
                del self._waiting[name]
            try:
                found = await self._rows.find_many(list(asked))
            except BaseException as error:
                for future in asked.values():
                    if isinstance(error, Exception):
                        future.set_exception(error)
                        future.exception()  # Where nobody waits any more it is no matter of the log's.
                    else:
                        future.cancel()
                if not isinstance(error, Exception):
                    raise
                continue
            for name, future in asked.items():
                future.set_result(found.get(name))
