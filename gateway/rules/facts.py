"""What conditions may ask about a message, before any rule has touched it. Pure: whatever costs something is asked for
once, and only by rules that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from gateway.mail.address import Address
from gateway.mail.authentication import Authentication
from gateway.mail.opened import Opened
from gateway.mail.reading import Reading

IpAddress = IPv4Address | IPv6Address


def _nobody(_: object) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """Who is inside. `app` hands it in, made from the settings.

    `is_ours`: whether a domain (lower case, A-labels) is accepted and no external relay. `is_partner`: whether mail for
    it leaves under TLS that is demanded. `is_hop`: whether an address is a host in front of us that we trust, whose
    Received fields say who the client was (semantics r20).
    """

    is_ours: Callable[[str], bool]
    is_partner: Callable[[str], bool] = _nobody
    is_hop: Callable[[IpAddress], bool] = _nobody


@dataclass(slots=True, kw_only=True)  # Not frozen, which would take thrice as long to make; each message has one.
class Facts:
    """`sender` is the reverse path (None: null), `client` the address that connects, `trusted` whether the connection
    is authenticated or comes from our own servers; only such a one makes a sender internal. `size` is the whole
    message's, as sent, in octets; `now` seconds since 1970.

    `read` gives what the message says to its reader: of the decrypted message, where `opened` has one. It is called
    once at most.
    """

    sender: Address | None
    organisation: Organisation
    read: Callable[[], Reading] = field(repr=False)
    size: int
    now: float
    client: str | None = None
    trusted: bool = False
    authentication: Authentication | None = None
    opened: Opened | None = field(default=None, repr=False)

    def client_address(self) -> IpAddress | None:
        """The address that connects, an IPv4 one inside IPv6 (RFC 4291 2.5.5.2) as what it is; None where unknown."""
        return ip_of(self.client or "")


def ip_of(text: str) -> IpAddress | None:
    """An address of IP from text, None where it is none."""
    try:
        made = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return made.ipv4_mapped or made if isinstance(made, IPv6Address) else made
