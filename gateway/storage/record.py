"""Records: what a message leaves elsewhere, written with it in one commit of the spool and moved on (DESIGN 4).

One kind is the trace: events and what a message can be found by. Others are made by the stores that take them in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.observe.events import Event, Found

TRACE = "trace"
RIGHTS = "rights"  # `gateway.storage.rights_rows` says what is in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`uid` is unique among the records of a message, so that moving a record twice leaves it there once."""

    message: str
    uid: int
    events: Sequence[Event]
    found: Found | None = None


class Prepared:
    """A record as it lies in both databases: sealed once, moved as it is. `time` in milliseconds since 1970.

    `tokens`, by which it is found, are made when they are asked for: nobody needs them before the record is moved, and
    then the client has had its reply.
    """

    __slots__ = ("_make", "_tokens", "kind", "message", "sealed", "time", "uid")

    def __init__(
        self,
        message: str,
        uid: int,
        time: int,
        tokens: bytes | Callable[[], bytes],
        sealed: bytes,
        kind: str = TRACE,
    ) -> None:
        self.kind = kind
        self.message = message
        self.uid = uid
        self.time = time
        self.sealed = sealed
        self._make = None if isinstance(tokens, bytes) else tokens
        self._tokens = tokens if isinstance(tokens, bytes) else b""

    def __repr__(self) -> str:
        return f"Prepared({self.message!r}, {self.uid})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prepared) and (self.message, self.uid, self.sealed) == (
            other.message,
            other.uid,
            other.sealed,
        )

    def __hash__(self) -> int:
        return hash((self.message, self.uid))

    @property
    def tokens(self) -> bytes:
        """Packed."""
        if (make := self._make) is not None:
            self._tokens = make()
            self._make = None
        return self._tokens


class Keeper(Protocol):
    """Whoever keeps records in the end decides how they are sealed and found."""

    def prepare(self, record: Record) -> Prepared:
        """`record`, sealed."""

    def recover(self, message: str, uid: int, sealed: bytes) -> Prepared:
        """A record that was found in a spool. Raises SealBroken."""
