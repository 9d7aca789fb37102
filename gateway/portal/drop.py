"""Files that readers put on the portal: a message.rpmsg opens for whom it names, although no copy of it is stored here.

A file that is whole and ours lies in the room, sealed as its content is anyway, until it is read or its time ends.
Its handle serves as a link's token does. Whether the address that was typed is a reader's, nobody learns who does not
read the mail of that address: page and time are the same. Leaves out: keeping a file over a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final
from uuid import UUID

from gateway.mail.address import BadAddress, parse_address
from gateway.mail.message import Content
from gateway.portal.desk import TOKEN_OCTETS, NotSent, Room
from gateway.portal.security import spelled, token_octets
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.tenant import TenantKeys
from gateway.rights.unlocking import proved, unlock
from gateway.world.chance import Chance
from gateway.world.clock import Clock

MINUTES: Final = 30.0  # That a file lies here; a code counts half as long. Whoever has typed it reads on.
MOST_FILES: Final = 200
MOST_OCTETS: Final = 2 << 30  # Of all files together, on the disk of a spool.
READ_AT_ONCE: Final = 2  # Files that lie whole in memory to be judged.
SWEEP: Final = 60.0  # Seconds between two looks for files whose time has ended.

# Only a reader can meet these: a code is sent to him, and the page tells him when he has typed it.
_OF_READERS: Final = frozenset((Reason.EXPIRED, Reason.NO_RIGHT))


@dataclass(slots=True)
class Dropped:
    """One file. `typed`: the normal address that was typed. `whose`: the same, where the message names it as one of its
    readers; else None. `digest`: SHA-256 of the handle's octets. `ends`: seconds since 1970.
    """

    digest: bytes = field(repr=False)
    typed: str = field(repr=False)
    whose: str | None = field(repr=False)
    work: UUID
    content: Content = field(repr=False)
    ends: float


class Drops:
    """The files that lie here now. Made, used and closed on one event loop."""

    def __init__(
        self,
        room: Room,
        tenant: TenantKeys,
        *,
        executor: Executor,
        clock: Clock,
        chance: Chance,
        tell: Callable[..., None],
        minutes: float = MINUTES,
    ) -> None:
        """`tenant` is asked in threads of `executor`. `tell` writes a line of the log and hears of no reader."""
        self._room = room
        self._tenant = tenant
        self._executor = executor
        self._clock = clock
        self._chance = chance
        self._tell = tell
        self._seconds = minutes * 60.0
        self._dropped: dict[bytes, Dropped] = {}  # By SHA-256 of the handle: it can't be told from a dump of memory.
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    def __repr__(self) -> str:
        return f"Drops({len(self._dropped)} files)"

    async def take(self, content: Content, address: str, client: str) -> str:
        """Keep a file for whoever reads the mail of `address`; its handle, as a token is spelled. The content is ours
        from now on. `client` is the IP address that it comes from.

        Raises NotSent: `address` (it is none), `damaged` (also forged, or of others), `slowed` (too many lie here);
        NotOpened where the tenant key is away; SealBroken, OSError.
        """
        kept = False
        try:
            asked = _normal(address)
            self._check_room(content.size)
            work, whose = await self._judged(content, asked)
            self._check_room(content.size)  # Others came meanwhile.
            handle = self._chance.octets(TOKEN_OCTETS)
            digest = sha256(handle).digest()
            self._dropped[digest] = Dropped(digest, asked, whose, work, content, self._clock.now() + self._seconds)
            kept = True
        finally:
            if not kept:
                await self._room.forget(content)
        self._tell("info", "rpmsg_dropped", work=str(work), size=content.size, client=client)
        return spelled(handle)

    def find(self, token: str) -> Dropped | None:
        """What lies here under that handle."""
        handle = token_octets(token)
        found = None if handle is None else self._dropped.get(sha256(handle).digest())
        return None if found is None or found.ends <= self._clock.now() else found

    async def reader(self, dropped: Dropped) -> str | None:
        """Who may have a code for it; None: whoever put it here named nobody whom the message names."""
        return dropped.whose

    async def octets(self, dropped: Dropped) -> bytes:
        """The file. Raises SealBroken, OSError."""
        return await _whole(dropped.content)

    def keep(self, dropped: Dropped, until: float) -> None:
        """Somebody has typed the code: it stays until then (seconds since 1970)."""
        dropped.ends = max(dropped.ends, until)

    async def sweep(self) -> int:
        """Forget what has ended; how many files that were."""
        now = self._clock.now()
        return await self._forget([key for key, one in self._dropped.items() if one.ends <= now])

    async def run(self) -> None:
        """Sweep, for ever."""
        while True:
            await self._clock.sleep(SWEEP)
            await self.sweep()

    async def close(self) -> None:
        """Forget all of them."""
        await self._forget(list(self._dropped))

    async def _forget(self, keys: list[bytes]) -> int:
        for key in keys:
            await self._room.forget(self._dropped.pop(key).content)
        return len(keys)

    def _check_room(self, size: int) -> None:
        octets = sum(one.content.size for one in self._dropped.values())
        if len(self._dropped) >= MOST_FILES or octets + size > MOST_OCTETS:
            self._tell("warning", "rpmsg_refused", reason="full")
            raise NotSent("slowed")

    async def _judged(self, content: Content, asked: str) -> tuple[UUID, str | None]:
        """Whose message it is, and whether `asked` may have a code for it. Both take as long for who is no reader."""
        now = self._clock.now()
        async with self._reading:
            octets = await _whole(content)
            try:
                return await asyncio.get_running_loop().run_in_executor(
                    self._executor,
                    lambda: (proved(octets, self._tenant).work, _reader(octets, self._tenant, asked, now)),
                )
            except NotOpened as error:
                if error.reason in (Reason.KEY_AWAY, Reason.KEY_DENIED):
                    raise
                self._tell("warning", "rpmsg_refused", reason=error.reason.value)
                raise NotSent("damaged") from error


def _normal(address: str) -> str:
    """As `Address.who` has it. Raises NotSent."""
    try:
        found = parse_address(address.strip())
    except BadAddress as error:
        raise NotSent("address") from error
    if not found.domain:
        raise NotSent("address")
    return found.who


def _reader(octets: bytes, tenant: TenantKeys, asked: str, now: float) -> str | None:
    """`asked`, where the licence names him, which can be seen with the tenant key alone. What was revoked counts no
    less: he gets a code, and then hears that it was. Raises NotOpened. Blocks.
    """
    try:
        unlock(octets, tenant, principal=asked, now=now, is_revoked=lambda work, principal: False)
    except NotOpened as error:
        if error.reason is Reason.NOT_A_READER:
            return None
        if error.reason in _OF_READERS:
            return asked
        raise
    return asked


async def _whole(content: Content) -> bytes:
    if content.inline is not None:
        return content.inline
    whole = bytearray()
    async for block in content.blocks():
        whole += block
    return bytes(whole)
