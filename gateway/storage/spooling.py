"""The spool as everybody but storage sees it, whichever engine keeps it.

Leaves out: what only one engine has, such as where a file lies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.mail.delivery import Delivery
from gateway.mail.mail import Mail
from gateway.mail.message import Content, Message
from gateway.mail.plan import Left
from gateway.observe.events import Event, Found
from gateway.storage.record import Prepared

# A state that only `counts` knows: what an officer has to release is nothing that waits to leave.
QUARANTINED: Final = "quarantined"


class Receiving(Protocol):
    """Takes the octets of one message as they come. Ends with `finish` or `abandon`."""

    def write(self, octets: bytes) -> bool:
        """Take them into memory. True: memory holds as much as it may; call `flush` before the next write."""

    async def flush(self) -> None:
        """Make room. Raises StorageFull, StorageBroken, OSError."""

    async def finish(self) -> Message:
        """The whole message; what is not in memory is durable. Raises StorageFull, StorageBroken, OSError."""

    async def abandon(self) -> None:
        """Forget everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """What a spool that others share asks of the runner which delivers from it. All but `sending` on the loop.

    `sending` gives the ids that are on the wire, from any thread; `give_back` returns what of `ids` only waits in
    memory, and answers with those that are on the wire; `look` looks for what is due; `wake` also asks destinations
    again that were not reached; `changed` hears that certificates were brought in or removed, True: maybe a while ago.
    """

    sending: Callable[[], Collection[str]]
    give_back: Callable[[Iterable[str] | None], Awaitable[Collection[str]]]
    look: Callable[[], None]
    wake: Callable[[], None]
    changed: Callable[[bool], None] = lambda late: None


class Spooling(Protocol):
    """One spool. Made, then `open`ed on the loop, then used on that loop alone.

    Calls raise StorageFull, StorageBroken; nothing was stored then.
    """

    name: str

    @property
    def is_shared(self) -> bool:
        """Whether other processes see the same deliveries: what one answers of the whole queue holds for all."""

    async def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises StorageBroken, OSError."""

    def attend(self, hands: Hands) -> None:
        """This runner delivers from it."""

    def close(self) -> None:
        """Write what was asked for, give back all leases, close. Blocks."""

    # -- taking mail --------------------------------------------------------------------------------------------------

    def begin(self, id_: str) -> Receiving:
        """Room for the octets of message `id_`."""

    async def forget_content(self, id_: str) -> None:
        """Forget the octets of a message that were finished and are not to be accepted. Raises OSError."""

    def check_room(self, size: int) -> None:
        """Raises StorageFull, StorageBroken where `size` octets more are not to be taken now."""

    def new_record(self, message: str, events: Sequence[Event], found: Found | None = None) -> Prepared:
        """A record with a uid of its own."""

    def new_left(self, message: str, left: Left) -> Prepared:
        """Likewise, of what it leaves elsewhere."""

    async def accept(self, mail: Mail, deliveries: Sequence[Delivery], records: Sequence[Prepared]) -> None:
        """Take responsibility: durable on return, and the deliveries are leased to the caller."""

    async def note(self, records: Sequence[Prepared]) -> None:
        """Store records that go with no message."""

    async def unload(self) -> None:
        """Bring everything into the database, for whoever reads that itself. Raises StorageFull, StorageBroken."""

    async def shelved(self) -> set[str]:
        """The messages whose octets are not in the database."""

    # -- records that are on their way to the trace -------------------------------------------------------------------

    async def records(self, after: int = 0, limit: int = 1000) -> list[Prepared]:
        """What a former process left to be moved, oldest first, from behind the uid `after` on."""

    def forget_records(self, uids: Sequence[int]) -> None:
        """They are in the trace now."""

    # -- the queue (gateway.delivery.queue.Queue) ---------------------------------------------------------------------

    async def due(self, now: float, limit: int, busy: Collection[tuple[str, str]]) -> list[Delivery]:
        """See Queue."""

    async def next_due(self) -> float | None:
        """See Queue."""

    def may_send(self, delivery: Delivery) -> bool:
        """See Queue."""

    async def content(self, delivery: Delivery) -> Content:
        """See Queue."""

    async def done(self, delivery: Delivery, events: Sequence[Event]) -> None:
        """See Queue."""

    async def postpone(self, delivery: Delivery, events: Sequence[Event]) -> None:
        """See Queue."""

    async def unlease(self, delivery: Delivery) -> None:
        """See Queue."""

    # -- administration -----------------------------------------------------------------------------------------------

    def is_leased(self, id_: str) -> bool:
        """Whether this process has it in hand."""

    async def sending_elsewhere(self) -> set[str]:
        """Ids that other processes have on the wire, as they last said, without what they gave back since."""

    async def deliveries(self, ids: Sequence[str] | None = None, limit: int = 10_000) -> list[Delivery]:
        """All deliveries, oldest first, or those of `ids`, which may name messages (Q) or deliveries (Q.1)."""

    def recalled(self, deliveries: Sequence[Delivery]) -> AbstractAsyncContextManager[set[str]]:
        """A block in which nobody is given these to deliver; inside, `change` and `drop` reach those that only waited.

        Whoever else shares the spool is asked to let go of them. The value: ids that somebody has in hand all the same,
        since they are on the wire or he did not answer.
        """

    async def change(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Store state and next_attempt of those that nobody has in hand; the ids of these."""

    async def amend(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Like `change`, for all that may change of a delivery: its destination, created, attempts and terms too."""

    async def drop(self, deliveries: Sequence[Delivery], events: Callable[[Delivery], Event]) -> list[str]:
        """Forget those that nobody has in hand; the ids of these."""

    def woken(self) -> None:
        """An administrator has changed the queue: whoever shares the spool looks into it, and asks again where nobody
        was reached.
        """

    async def head(self, message: str) -> bytes:
        """The beginning of a message's octets, long enough to hold its header section. Raises SealBroken, OSError."""

    async def counts(self) -> tuple[dict[str, int], float | None]:
        """Deliveries by state, and when the oldest of them was taken (seconds since 1970). What is in quarantine has a
        state of its own here, QUARANTINED, and makes nothing old.

        Where the spool is shared, what any process has on the wire counts as `sending`; else as `ready`.
        """
