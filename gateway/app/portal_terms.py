"""`[portal]` as values of what goes by it: pages and mail address."""

from __future__ import annotations

from typing import Final

from gateway.connectors.networks import network
from gateway.connectors.patterns import accepted
from gateway.mail.address import Address, parse_address
from gateway.portal.terms import PortalTerms
from gateway.rights.container.limits import sealed_octets
from gateway.settings.load import Loaded
from gateway.settings.portal import Portal

LOCAL: Final = "portal"  # Of the portal's address, where the settings give none.


def portal_terms(loaded: Loaded, portal: Portal, address: Address) -> PortalTerms:
    """What the pages go by; `address` is the portal's own. The section was judged; raises ValueError otherwise."""
    largest = max(listener.max_message_size for listener in loaded.settings.listeners)
    answer = portal.max_upload * 11 // 8  # As base64 (RFC 2045 6.8).
    return PortalTerms(
        url=portal.url.rstrip("/"),
        address=address.text,
        language=portal.language,
        max_upload=portal.max_upload,
        max_dropped=sealed_octets(max(largest, answer)),
        session=portal.session_minutes * 60.0,
        proxies=tuple(network(text) for text in portal.proxies),
    )


def portal_address(loaded: Loaded, portal: Portal) -> Address | None:
    """Its mail address; None where nothing gives one. Raises BadAddress."""
    if portal.address is not None:
        return parse_address(portal.address)
    home = next((one for one in accepted(loaded).patterns if "*" not in one), None)
    return None if home is None else parse_address(f"{LOCAL}@{home}")
