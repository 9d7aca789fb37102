"""`[portal]` as values of what goes by it: pages, mail address, files of the certificate, TLS of the door."""

from __future__ import annotations

import ssl
from typing import Final

from gateway.connectors.networks import network
from gateway.connectors.own_names import OwnFiles
from gateway.connectors.patterns import accepted
from gateway.connectors.tls import server_context
from gateway.mail.address import Address, parse_address
from gateway.portal.terms import PortalTerms
from gateway.settings.load import Loaded
from gateway.settings.portal import Portal

LOCAL: Final = "portal"  # Of the portal's address, where the settings give none.


def portal_terms(portal: Portal, address: Address) -> PortalTerms:
    """What the pages go by; `address` is the portal's own. The section was judged; raises ValueError otherwise."""
    return PortalTerms(
        url=portal.url.rstrip("/"),
        address=address.text,
        language=portal.language,
        max_upload=portal.max_upload,
        session=portal.session_minutes * 60.0,
        proxies=tuple(network(text) for text in portal.proxies),
    )


def portal_address(loaded: Loaded, portal: Portal) -> Address | None:
    """Its mail address; None where nothing gives one. Raises BadAddress."""
    if portal.address is not None:
        return parse_address(portal.address)
    home = next((one for one in accepted(loaded).patterns if "*" not in one), None)
    return None if home is None else parse_address(f"{LOCAL}@{home}")


def portal_files(loaded: Loaded) -> OwnFiles | None:
    """Where its certificate and key lie; None without a portal, or where nothing names any."""
    portal = loaded.settings.portal
    if portal is None:
        return None
    certificate, key = portal.certificate, portal.key
    if certificate is None:
        first = next((one for one in loaded.settings.listeners if one.certificate is not None), None)
        if first is None or first.certificate is None:
            return None
        certificate, key = first.certificate, key or first.key
    return OwnFiles(loaded.resolve(certificate), loaded.resolve(key or certificate))


def portal_context(loaded: Loaded) -> ssl.SSLContext:
    """The TLS of its door. Reads certificate and key; raises OSError, naming the one at fault."""
    portal, files = loaded.settings.portal, portal_files(loaded)
    if portal is None or files is None:
        raise OSError("the portal has no certificate")
    return server_context(files.certificate, files.key, portal.minimum_tls, fips=loaded.settings.security.fips)
