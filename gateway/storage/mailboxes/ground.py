"""What the parts of the store stand on: the shared database, the sealer, and how values become columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import Connection

from gateway.storage.mailboxes.driver import Driver
from gateway.storage.sealer import SealBroken, Sealer
from gateway.storage.sharing import SharedStore
from gateway.storage.together import Together
from gateway.world.chance import Chance
from gateway.world.clock import Clock

T = TypeVar("T")

PURPOSE: Final = "mailboxes"
ORGANISATION: Final = "default"
MARK: Final = b"\x01"
_ID_OCTETS: Final = 6


class Ground:
    """One shared database, one sealer. What is written at the same moment shares one commit."""

    def __init__(self, shared: SharedStore, sealer: Sealer, *, chance: Chance, clock: Clock) -> None:
        self._shared = shared
        self._sealer = sealer
        self._chance = chance
        self._clock = clock
        self._together = Together(shared)

    def new_id(self) -> int:
        """An id for a mailbox, a folder or a policy: drawn, so that what is bound to it fits no other, ever."""
        return 1 + (int.from_bytes(self._chance.octets(_ID_OCTETS), "big") >> 1)  # 47 bits: JSON and SQLite like them.

    async def _write(self, run: Callable[[Driver], T], *, order: int = 0) -> T:
        """The result of `run`, which may run twice, the first time undone. Grouped with others, in this `order`."""
        return await self._together.do(lambda connection: run(Driver(connection)), order=order)

    async def _alone(self, run: Callable[[Driver], T]) -> T:
        """The result of `run`, in a transaction of its own: for what takes long."""
        return await self._shared.call(lambda connection: run(Driver(connection)))

    async def _read(self, run: Callable[[Driver], T]) -> T:
        """The result of `run`, which only reads."""

        def read(connection: Connection) -> T:
            return run(Driver(connection))

        return await self._shared.call(read, read=True)

    def _now(self) -> int:
        """Milliseconds since 1970."""
        return int(self._clock.now() * 1000)

    def _token(self, kind: str, value: str) -> int:
        return self._sealer.token(f"mailboxes {kind}", value)

    def _sealed(self, kind: str, number: int, facts: object) -> bytes:
        return self._sealer.seal(PURPOSE, f"{kind} {number}", MARK + orjson.dumps(facts))

    def _opened(self, kind: str, number: int, sealed: bytes) -> Any:
        plain = self._sealer.open(PURPOSE, f"{kind} {number}", sealed)
        if plain[:1] != MARK:
            raise SealBroken(f"the {PURPOSE} {kind} {number} has an unknown version mark: a newer gateway wrote it")
        return orjson.loads(plain[1:])
