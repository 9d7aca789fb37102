"""The section [portal] with all that it names: what is wrong with it, for `gateway check`, `serve` and `reload`.

Its place and its proxies are judged with those of the listeners (`gateway.app.check`).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from cryptography import x509

from gateway.app.face import PORTAL
from gateway.app.face_certificate import face_files
from gateway.app.own_certificates import judge_pair
from gateway.app.portal_terms import portal_address
from gateway.connectors import pem
from gateway.connectors.own_names import OwnFiles
from gateway.connectors.patterns import accepted_keys, read_accepted
from gateway.connectors.tls import normal_name
from gateway.mail.address import BadAddress
from gateway.settings.fault import Fault, shown
from gateway.settings.load import Loaded
from gateway.settings.portal import URL, Portal


def judge_portal(loaded: Loaded, now: float) -> Iterator[Fault]:
    """Faults and warnings of the section. Reads certificate and key."""
    portal = loaded.settings.portal
    if portal is None:
        return
    host = _host(portal.url)
    if host is None:
        yield loaded.fault("portal.url", f"{shown(portal.url)}, whose host or port can be none", URL)
    yield from _address(loaded, portal)
    yield from _drawing(loaded)
    files = face_files(loaded, PORTAL)
    if files is None:
        right = "the certificate's PEM file: the portal speaks TLS alone"
        yield loaded.fault("portal.certificate", "nothing, and no listener that has one", right)
        return
    if portal.certificate is not None:
        yield from judge_pair(loaded, "portal", portal.certificate, portal.key, now)
    elif portal.key is not None:
        right = "both, or neither"
        yield loaded.fault("portal.key", "a key without a certificate", right, beside=("portal.certificate",))
    if host is not None and not portal.proxies:  # Behind a proxy browsers see that one's.
        yield from _names(loaded, host, files)


def _address(loaded: Loaded, portal: Portal) -> Iterator[Fault]:
    right = 'an address of ours, such as "portal@corp.example"'
    try:
        found = portal_address(loaded, portal)
    except BadAddress:
        yield loaded.fault("portal.address", shown(portal.address or ""), right)
        return
    if found is None:
        nothing = "nothing, and no domain in accepted_domains"
        yield loaded.fault("portal.address", nothing, right, beside=accepted_keys(loaded))
    elif read_accepted(loaded, []).closeness(found.domain) is None:
        told = f"{found.text}, whose domain is none of accepted_domains"
        yield loaded.warning("portal.address", told, right, beside=accepted_keys(loaded))


def _drawing(loaded: Loaded) -> Iterator[Fault]:
    """A warning: readers who may look at a PDF and not have it are not shown it."""
    from gateway.portal.pdf_pages import lacking  # Where there is a portal alone: the supervisor keeps what it imports.

    if (why := lacking()) is not None:
        found = f"no way to draw PDF: {why}; who may read a message and save nothing of it sees none of its PDF"
        right = "a gateway with all its dependencies, on Linux for x86_64 or aarch64 with seccomp"
        yield loaded.warning("portal", found, right)


def _host(url: str) -> str | None:
    try:
        found = urlsplit(url)
        if found.port == 0 or found.username is not None:
            return None
        host = found.hostname
        return None if not host else normal_name(host)
    except ValueError:
        return None


def _names(loaded: Loaded, host: str, files: OwnFiles) -> Iterator[Fault]:
    """A warning: a browser warns its reader too, and who has been warned does not come."""
    try:
        certificate = pem.certificates(files.certificate)[0]
    except pem.PemFault:
        return  # Told already.
    if not _names_host(certificate, host):
        found = f"{files.certificate}, which does not name {host}"
        yield loaded.warning("portal.certificate", found, "one for the host of [portal] url; browsers warn of others")


def _names_host(certificate: x509.Certificate, host: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    try:
        return ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        known = {normal_name(name) for name in names.get_values_for_type(x509.DNSName)}
        return host in known or f"*.{host.partition('.')[2]}" in known
