"""What is kept of a rights-managed message, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from gateway.mail.address import BadAddress, parse_address

LINK_OCTETS = 32  # Of chance in a reader's link, base64url in its address: 256 bits, and nothing that names anybody.


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRights:
    """A message that is about to leave. Times are seconds since 1970; `expires` None: it never ends.

    `work` is the GUID of its publishing licence, `readers` are the addresses of its recipients with the link that each
    gets, `template` is a name, `shows_subject` says whether pages may show the subject.
    """

    work: UUID
    message_id: str
    queue_id: str
    sender: str
    readers: tuple[tuple[str, bytes], ...] = field(repr=False)
    subject: str = field(repr=False)
    template: str
    created: float
    expires: float | None = None
    shows_subject: bool = True

    def __post_init__(self) -> None:
        if any(len(link) != LINK_OCTETS for _, link in self.readers):
            raise ValueError(f"a link has {LINK_OCTETS} octets")


class CopyState(StrEnum):
    """What there is of the stored copy."""

    NONE = "none"  # It was never stored.
    KEPT = "kept"
    DESTROYED = "destroyed"  # Its content key is gone, and with it whatever octets of it may still lie somewhere.


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """A message as it is known later. `revoked` is when it was revoked for all, `revoked_readers` for single ones.

    `size`: octets of the stored copy, 0 where there is none.
    """

    work: UUID
    message_id: str
    queue_id: str
    sender: str
    readers: tuple[str, ...] = field(repr=False)
    subject: str = field(repr=False)
    template: str
    created: float
    expires: float | None
    shows_subject: bool
    revoked: float | None = None
    revoked_readers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    copy: CopyState = CopyState.NONE
    size: int = 0

    def is_revoked(self, reader: str) -> bool:
        """Whether that reader may open it no longer, whatever its expiry."""
        return self.revoked is not None or folded(reader) in self.revoked_readers

    def revoked_at(self, reader: str) -> float | None:
        """When it was revoked for that reader: for him alone, or for all."""
        times = [time for time in (self.revoked, self.revoked_readers.get(folded(reader))) if time is not None]
        return min(times, default=None)

    def is_reader(self, address: str) -> bool:
        """Whether it was sent to that address."""
        return folded(address) in {folded(one) for one in self.readers}


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link stands for: the message, and which of its readers got it."""

    message: KeptMessage
    reader: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceEntry:
    """One use licence that was given or refused. `time`: seconds since 1970.

    `work` is None where what was asked for is no message that could be read; `principal` None: a super user, then `by`
    names the account. `purpose` is the right that was asked for, `rights` are those that were given, `reason` is a word
    of `gateway.rights.opening.Reason` where none were. `client` is the address that asked, where one did.
    """

    time: float
    work: UUID | None
    principal: str | None = field(repr=False)
    by: str = ""
    purpose: str
    given: bool
    reason: str | None = None
    client: str | None = field(default=None, repr=False)
    rights: tuple[str, ...] = ()


def folded(address: str) -> str:
    """The form in which readers are compared, however their addresses are written: see `Address.who`."""
    try:
        return parse_address(address.strip()).who
    except BadAddress:  # A foreign licence may name anybody.
        return address.strip().casefold()
