"""What MAIL and RCPT said, and who said it (RFC 5321 2.3.1). Values; nothing here does I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.mail.address import Address

# As listener and user, of what a reader answers on the portal. It is protected for all outside whatever rules say, and
# shown to nobody by reports about it; who he is stands in the envelope.
PORTAL: Final = "portal"


class Body(StrEnum):
    """The BODY parameter (RFC 6152)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT_MIME = "8BITMIME"


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT. `notify` and `orcpt` are the DSN parameters as they came (RFC 3461 4.1, 4.2).

    `unverified`: taken although whoever knows the recipients could not say whether this is one.
    """

    address: Address
    notify: str | None = None
    orcpt: str | None = None
    unverified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One transaction's sender and recipients. A null reverse path is None."""

    sender: Address | None
    recipients: tuple[Recipient, ...]
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None

    def around(self, recipients: tuple[Recipient, ...], body: Body) -> Envelope:
        """The same transaction for other octets and these of its recipients."""
        return Envelope(  # `replace` takes three times that.
            sender=self.sender,
            recipients=recipients,
            body=body,
            smtputf8=self.smtputf8,
            ret=self.ret,
            envid=self.envid,
        )


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a client showed in the TLS handshake, in DER: its certificate first, what it sent with it behind.

    `name` and `issuer` are for people: short, printable ASCII. Nothing of it is judged yet.
    """

    chain: tuple[bytes, ...] = field(repr=False)
    name: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS of one connection: version as `TLSv1.3`, cipher suite by its IANA name; what the client showed."""

    version: str
    cipher: str
    certificate: PeerCertificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who speaks to us. `address` is an IP address in text; `helo` is what it called itself.

    `user` is the name under which it has logged in (RFC 4954); `proxy` the address of the load balancer that connects
    for it, where one does.
    """

    address: str
    port: int
    helo: str
    esmtp: bool
    listener: str
    tls: Tls | None
    user: str | None = None
    proxy: str | None = None
