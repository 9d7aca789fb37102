"""DNS as it is handed in: what the gateway asks, and the ways in which there is no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

MAX_TEXTS = 100  # TXT records at one name. Some large domains have fifty.
MAX_TEXT = 8192  # Octets of one. Whoever takes less sees that there was more.


class NameFault(Exception):
    """No usable answer."""


class NoSuchName(NameFault):
    """The name does not exist (NXDOMAIN). Lasting."""


class NamesUnavailable(NameFault):
    """SERVFAIL, time-out, no resolver: passing. Ask again later."""


@dataclass(frozen=True, slots=True)
class Mx:
    """One MX record. A null MX (RFC 7505) has host ""."""

    preference: int
    host: str


class Names(Protocol):
    """Handed to whoever asks DNS. Names are A-labels without a trailing dot; answers are cached by their TTL.

    An empty answer means: the name exists and has no such record. Raises NoSuchName or NamesUnavailable.
    """

    async def mx(self, domain: str) -> tuple[Mx, ...]:
        """The MX records, lowest preference first."""

    async def addresses(self, host: str) -> tuple[str, ...]:
        """IPv6 and IPv4 addresses in text. One family failing does not spoil the other's answer."""

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """The TXT records, the strings of each joined; at most MAX_TEXTS, each cut at MAX_TEXT octets."""

    def txt_at_hand(self, name: str) -> tuple[bytes, ...] | None:
        """The same, where it is known without asking; None where it is not, or where `txt` would raise."""
