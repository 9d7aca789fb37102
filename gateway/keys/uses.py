"""Uses of a vault's keys, as the access log tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Operation(StrEnum):
    """What was asked of the vault."""

    WRAP = "wrap"
    UNWRAP = "unwrap"
    DECRYPT = "decrypt"
    SIGN = "sign"
    CREATE = "create"
    ROTATE = "rotate"
    ENABLE = "enable"
    DISABLE = "disable"
    DELETE = "delete"
    RECOVER = "recover"
    PURGE = "purge"


class Outcome(StrEnum):
    """What came of it."""

    DONE = "done"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Use:
    """One use. `time`: seconds since 1970; `version` is None where none was reached; `about`: for what, no content."""

    time: float
    who: str  # The process: "worker-0", "cli ida" (the account), with PostgreSQL the node's host in front.
    vault: str
    key: str
    version: int | None
    operation: Operation
    about: str
    outcome: Outcome


class Recorder(Protocol):
    """Keeps uses. Never blocks and never raises; may be called in any thread."""

    def record(self, use: Use) -> None:
        """Have it in the access log within a second."""
