"""The connector by which those come who have logged in: they need none of the settings', and reach every domain."""

from __future__ import annotations

from typing import Final

from gateway.connectors.model import Domains, Inbound
from gateway.mail.address import Address

AUTHENTICATED: Final = Inbound(
    name="authenticated",
    on_premises=True,
    sender_domains=Domains(("*",)),
    networks=(),
    restrict_to_networks=False,
    require_tls=True,
    minimum_tls=None,
    accepted_senders=None,
    recipient_domains=None,
)


def is_complete(accepted: Domains, recipient: Address) -> bool:
    """Whether the recipient's domain is complete (RFC 6409 4.2): it has a dot, is a literal, or is one of ours.

    A program that writes `otto@partner` means a name that its own machine would complete, and ours would not.
    """
    domain = recipient.domain
    return not domain or "." in domain or domain.startswith("[") or accepted.closeness(domain) is not None
