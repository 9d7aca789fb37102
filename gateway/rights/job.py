"""What is to be sealed for whom, and what came of it. Values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from gateway.rights.template import Template

MAX_READERS: Final = 100  # In one file; the licence has an element for each of them and each right.


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`owner`: the sender's address, or "" for mail from nobody. `readers`: 1 to 100 addresses. `issued`, `expires`:
    seconds since 1970; a licence counts in minutes, and both are rounded down. `url`: of the portal. `body`: text and
    HTML of the inner file, for readers that know nothing of the original inside.

    Raises ValueError for a number of readers out of bounds.
    """

    owner: str
    readers: tuple[str, ...]
    template: Template
    issued: float
    expires: float | None
    url: str
    body: tuple[str | None, str | None] = field(default=(None, None), repr=False)

    def __post_init__(self) -> None:
        if not 1 <= len(self.readers) <= MAX_READERS:
            raise ValueError(f"{len(self.readers)} readers of one sealed message; right would be 1 to {MAX_READERS}")


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """`rpmsg`: the file's octets. `work` names the message. Digests are SHA-256 in hexadecimal: `content_sha256` of the
    encrypted stream, which may be told; `original_sha256` of the plain message, which may not.
    """

    rpmsg: bytes = field(repr=False)
    work: UUID
    content_sha256: str
    original_sha256: str = field(repr=False)
