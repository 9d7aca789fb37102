"""Connectors as values, made from settings once and never changed."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.connectors.certificate_terms import CertificateTerms


class TlsLevel(IntEnum):
    """What TLS a delivery must leave under; each demands all that the one before does."""

    OPPORTUNISTIC = 0
    ENCRYPTION_ONLY = 1
    CERTIFICATE_VALIDATION = 2
    DOMAIN_VALIDATION = 3


class Deliver(StrEnum):
    """By what means an outbound connector delivers."""

    SMTP = "smtp"
    FOLDER = "folder"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class Domains:
    """A list of domain patterns: `a.example`, `*.a.example` (subdomains alone), `*`. All lower case, A-labels."""

    patterns: tuple[str, ...]

    def closeness(self, domain: str) -> int | None:
        """How closely the best pattern names `domain` (more is closer), or None where none does."""
        best = -1
        for pattern in self.patterns:
            if pattern == domain:
                return 1 << 16
            if pattern == "*":
                best = max(best, 0)
            elif pattern.startswith("*.") and domain.endswith(pattern[1:]):
                best = max(best, len(pattern))
        return None if best < 0 else best


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsTerms:
    """The TLS terms of an outbound connector. `context` is ready to use; names are judged by us, not by it."""

    level: TlsLevel
    context: ssl.SSLContext
    domain: str | None = None
    allow_certificate_cn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """As whom we log in at a host, ASCII. The password stands in no repr, so in no log and no traceback."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """Where mail goes. `smart_hosts` are (host, port); empty with Deliver.SMTP means MX lookup.

    `login` is shown to each of them before any mail, under TLS alone. `deliver_decrypted`: whether mail that a key of
    ours opens goes on decrypted; None: as [smime] has it, for domains of ours alone.
    """

    name: str
    recipient_domains: Domains
    deliver: Deliver
    folder: Path | None
    smart_hosts: tuple[tuple[str, int], ...]
    port: int
    tls: TlsTerms
    source_address: str | None
    concurrency: int
    messages_per_minute: int | None
    messages_per_connection: int
    login: Login | None = None
    deliver_decrypted: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """Who may hand us mail. Empty `networks` means any address."""

    name: str
    on_premises: bool
    sender_domains: Domains
    networks: tuple[IPv4Network | IPv6Network, ...]
    restrict_to_networks: bool
    require_tls: bool
    minimum_tls: str | None
    accepted_senders: Domains | None
    recipient_domains: Domains | None
    certificate: CertificateTerms | None = None
