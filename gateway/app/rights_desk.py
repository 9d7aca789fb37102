"""Whoever wants to read a rights-managed message comes here: the portal, the command line, whoever drops a file.

Nothing is given before it stands in the licence log, and nothing that can't be written there is given. The message is
opened anew for each asking and kept by nobody; its content key lives no longer than that.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar
from uuid import UUID

from gateway.mail.message import Content
from gateway.rights.container.damaged import Damaged
from gateway.rights.container.envelope import Envelope
from gateway.rights.opening import OpenedMessage, inspect, open_rpmsg
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.right import Right
from gateway.rights.tenant import TenantKeys
from gateway.rights.terms import RightsTerms
from gateway.rights.use_licence import UseLicence, grant
from gateway.storage.blobs import BlobGone
from gateway.storage.licence_log import LicenceLog
from gateway.storage.rights import RightsStore
from gateway.storage.rights_model import CopyState, KeptMessage, LicenceEntry, folded
from gateway.world.clock import Clock

SAME: Final = 60.0  # Seconds in which the same asking is one reading: a page and its pictures are many requests.
REMEMBERED: Final = 10_000  # Readings.
# With these words nothing that the file says of itself is proved, or nobody could prove it.
_UNPROVED: Final = frozenset((Reason.DAMAGED, Reason.FORGED, Reason.NOT_OURS, Reason.KEY_AWAY, Reason.KEY_DENIED))

# Work, reader, right, address and face: what makes two askings the same.
Reading = tuple[UUID, str, str, str, str]
T = TypeVar("T", OpenedMessage, UseLicence, covariant=True)


class Give(Protocol[T]):
    """`open_rpmsg` or `grant`."""

    def __call__(
        self,
        octets: bytes | Envelope,
        tenant: TenantKeys,
        *,
        principal: str | None,
        now: float,
        is_revoked: Callable[[UUID, str], bool],
    ) -> T: ...


class NoCopy(LookupError):
    """There is no stored copy of that message here, so only the attached message.rpmsg opens it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Who asks, and for what. `principal`: the address that he has proved to have; None: a super user.

    `purpose` is the right that he needs; `client` the address of his machine, where he comes over the network; `by` the
    face that asks for him ("portal"), of a super user the account ("cli ida").
    """

    principal: str | None = field(repr=False)
    purpose: Right = Right.VIEW
    client: str | None = field(default=None, repr=False)
    by: str = "portal"


class RightsDesk:
    """Opens messages for those who may. Safe on one event loop; what takes long is done with `executor`."""

    def __init__(
        self,
        store: RightsStore,
        log: LicenceLog,
        tenant: TenantKeys,
        *,
        executor: Executor,
        clock: Clock,
        tell: Callable[..., None],
        count: Callable[[str, tuple[str, ...]], None],
    ) -> None:
        self._store = store
        self._log = log
        self._tenant = tenant
        self._executor = executor
        self._clock = clock
        self._tell = tell
        self._count = count
        self._readings: OrderedDict[Reading, float] = OrderedDict()

    def __repr__(self) -> str:
        return "RightsDesk()"

    async def open(self, what: bytes | UUID, asking: Asking) -> OpenedMessage:
        """The message in the file `what`, or the one of that work whose copy is stored here.

        Raises NotOpened, once that is in the log; NoCopy; StorageFull, StorageBroken, SealBroken, KeysClosed.
        """
        return await self._given(what, asking, open_rpmsg)

    async def licence(self, what: bytes | UUID, asking: Asking) -> UseLicence:
        """The licence alone: what he may do with it, for a reader that opens it itself. Raises as `open`."""
        return await self._given(what, asking, grant)

    async def _given(self, what: bytes | UUID, asking: Asking, give: Give[T]) -> T:
        octets: bytes | Envelope | None = None
        try:
            if isinstance(what, UUID):
                # Its row was read in this moment: for a file that a reader brings it is asked anew.
                kept, octets = await self._copy(what, asking)
                given = await self._asked(octets, asking, give, lambda work, reader: kept.is_revoked(reader))
            else:
                octets = what
                given = await self._asked(octets, asking, give, self._store.is_revoked)
        except NotOpened as refusal:
            work = what if isinstance(what, UUID) else await self._work_of(octets, refusal.reason)
            await self._write(asking, work, refusal.reason)
            raise
        await self._write(asking, given.work, None, given.rights)
        return given

    async def _copy(self, work: UUID, asking: Asking) -> tuple[KeptMessage, bytes | Envelope]:
        """What is kept of it, and the stored file. What the row tells already is refused here, in the order of the
        reader (rpmsg.md 6).
        """
        found = await self._store.with_copy(work)
        if found is None:
            raise NoCopy(f"no message of work {work} is known here")
        kept, content = found
        principal = asking.principal
        is_owner = principal is None or folded(principal) == folded(kept.sender)
        if not is_owner:
            if kept.expires is not None and kept.expires <= self._clock.now():
                raise NotOpened(Reason.EXPIRED)
            if principal is not None and kept.is_revoked(principal):
                raise NotOpened(Reason.REVOKED)
        if content is None:
            if kept.copy is CopyState.DESTROYED:
                raise NotOpened(Reason.EXPIRED)
            raise NoCopy(f"the message of work {work} was not stored")
        try:
            return kept, await self._whole(content)
        except BlobGone as error:  # As after a restore without it. Its readers still have the file.
            self._tell("error", "copy_gone", work=str(work), error=str(error))
            raise NoCopy(f"the stored copy of the message of work {work} is gone") from error

    async def _asked(
        self, octets: bytes | Envelope, asking: Asking, give: Give[T], is_revoked: Callable[[UUID, str], bool]
    ) -> T:
        now = self._clock.now()

        def run() -> T:
            return give(octets, self._tenant, principal=asking.principal, now=now, is_revoked=is_revoked)

        given = await asyncio.get_running_loop().run_in_executor(self._executor, run)
        if asking.purpose not in given.rights and Right.OWNER not in given.rights:
            raise NotOpened(Reason.NO_RIGHT)
        return given

    async def _whole(self, content: Content) -> bytes | Envelope:
        """What is large is inflated as it comes, so that it is in memory once."""
        if content.inline is not None:
            return content.inline
        envelope = Envelope(expected=content.size)
        try:
            async for block in content.blocks():
                await asyncio.get_running_loop().run_in_executor(self._executor, envelope.feed, block)
        except Damaged:
            raise NotOpened(Reason.DAMAGED) from None
        return envelope

    async def _work_of(self, octets: bytes | Envelope | None, reason: Reason) -> UUID | None:
        """Of a file that was refused, once its signature has proved whose it is; before that it may say anything."""
        if not isinstance(octets, bytes) or reason in _UNPROVED:
            return None
        try:
            return (await asyncio.get_running_loop().run_in_executor(self._executor, inspect, octets)).work
        except NotOpened:
            return None

    # -- telling ------------------------------------------------------------------------------------------------------

    async def _write(
        self, asking: Asking, work: UUID | None, reason: Reason | None, rights: frozenset[Right] = frozenset()
    ) -> None:
        """One line in the licence log, the metrics and the log; the last names nobody."""
        now = self._clock.now()
        reading = None if reason is not None or work is None or asking.principal is None else _reading(asking, work)
        if reading is not None and 0 <= now - self._readings.get(reading, float("-inf")) < SAME:
            return  # Part of a reading that stands there already.
        entry = LicenceEntry(
            time=now,
            work=work,
            principal=asking.principal,
            by=asking.by,
            purpose=asking.purpose.value,
            given=reason is None,
            reason=None if reason is None else reason.value,
            client=asking.client,
            rights=tuple(sorted(right.value for right in rights)),
        )
        await self._log.add(entry)
        if reading is not None:
            self._remember(reading, now)
        self._count("licences_total", ("given" if reason is None else reason.value,))
        facts = {"work": None if work is None else str(work), "purpose": asking.purpose.value, "by": asking.by}
        if reason is None:
            self._tell("info", "licence_given", **facts)
        else:
            self._tell("warning", "licence_refused", reason=reason.value, **facts)

    def _remember(self, reading: Reading, now: float) -> None:
        """Only now that it is on disk: another request meanwhile writes a line of its own."""
        self._readings[reading] = now
        self._readings.move_to_end(reading)
        while len(self._readings) > REMEMBERED:
            self._readings.popitem(last=False)


Notify = Callable[[OpenedMessage, str], Awaitable[None]]


class SuperUser:
    """Opening without being a reader, for discovery: who may is said by the terms, and an officer hears of each."""

    def __init__(self, desk: RightsDesk, *, terms: Callable[[], RightsTerms], notify: Notify | None) -> None:
        """`notify` tells the officer of what that account has opened; None where nothing can send mail."""
        self._desk = desk
        self._terms = terms
        self._notify = notify

    async def open(self, what: bytes | UUID, account: str, *, principal: str | None = None) -> OpenedMessage:
        """For `account` of this machine; with `principal` as that reader would see it. Raises as RightsDesk.open.

        Raises PermissionError, in words, where the account may not, or the officer can't be told.
        """
        terms = self._terms()
        if not terms.is_super_user(account):
            raise PermissionError(
                f"the account {account} may not open other people's messages; right would be its name in [rights] "
                "super_users"
            )
        if terms.notify_officer is not None and self._notify is None:
            raise PermissionError(
                "[rights] notify_officer is to hear of this, and nothing serves that could send mail; gateway serve "
                "starts it"
            )
        opened = await self._desk.open(what, Asking(principal=principal, by=f"cli {account}"))
        if terms.notify_officer is not None and self._notify is not None:
            await self._notify(opened, account)
        return opened


def _reading(asking: Asking, work: UUID) -> Reading:
    return (work, asking.principal or "", asking.purpose.value, asking.client or "", asking.by)
