"""Rows of the inventory for what is spoken: TLS in and out, the control socket, metrics, sources of recipients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.app import face
from gateway.app.face_certificate import face_files
from gateway.app.inventory_row import Ground, Row, Validation, file_mode
from gateway.app.places import Places
from gateway.connectors import pem
from gateway.settings import schema
from gateway.settings.load import Loaded

NOT_ENCRYPTED: Final = "none: not encrypted"
SESSION: Final = "128 or 256 bits in each session"
_OUT: Final = {
    "opportunistic": "where the host offers it, else in clear",
    "encryption_only": "demanded; the certificate is not judged",
    "certificate_validation": "demanded, with a certificate of a trusted CA",
    "domain_validation": "demanded, with a certificate of a trusted CA for the host's name",
}


def listeners(ground: Ground) -> Iterator[Row]:
    """TLS in, for each listener."""
    loaded = ground.loaded
    for listener in loaded.settings.listeners:
        what = "mail and log-ins of people" if listener.kind == "submission" else "mail that comes"
        if listener.tls == "none" or listener.certificate is None:
            yield Row("SMTP in", listener.listen, f"{what}; not encrypted", None, None, NOT_ENCRYPTED, None)
            continue
        length, words = _own(loaded, listener.certificate)
        offered = "STARTTLS offered" if listener.tls == "starttls" else "TLS at once"
        private = loaded.resolve(listener.key or listener.certificate)
        yield Row(
            "SMTP in (TLS)",
            listener.listen,
            f"{what}; {offered}, inbound connectors say who must use it",
            _versions(loaded, listener.minimum_tls),
            f"{SESSION}; {length}",
            f"private key in {private}, {file_mode(private)}; {words}",
            ground.tls,
        )


def portal(ground: Ground) -> Iterator[Row]:
    """TLS of the recipients' portal, and what opens a message there."""
    loaded, section, files = ground.loaded, ground.loaded.settings.portal, face_files(ground.loaded, face.PORTAL)
    if section is None or files is None:
        return
    length, words = _own(loaded, str(files.certificate))
    yield Row(
        "Portal (TLS)",
        section.listen,
        f"protected messages as their readers see them at {section.url}, after a one-time code by mail",
        _versions(loaded, section.minimum_tls),
        f"{SESSION}; {length}",
        f"private key in {files.key}, {file_mode(files.key)}; {words}",
        ground.tls,
    )


def imap(ground: Ground) -> Iterator[Row]:
    """TLS of mailbox access."""
    loaded, section, files = ground.loaded, ground.loaded.settings.imap, face_files(ground.loaded, face.IMAP)
    if section is None or files is None:
        return
    length, words = _own(loaded, str(files.certificate))
    yield Row(
        "IMAP (TLS)",
        section.listen,
        "mailboxes as their owners read them, after a log-in with a password; TLS at once",
        _versions(loaded, section.minimum_tls),
        f"{SESSION}; {length}",
        f"private key in {files.key}, {file_mode(files.key)}; {words}",
        ground.tls,
    )


def outbounds(ground: Ground) -> Iterator[Row]:
    """TLS out, for each outbound connector; and folders."""
    for outbound in ground.loaded.settings.connectors.outbound:
        if not outbound.enabled:
            continue
        domains = ", ".join(outbound.recipient_domains)
        if outbound.deliver == "folder" and outbound.folder is not None:
            yield Row(
                "Folder out",
                str(ground.loaded.resolve(outbound.folder)),
                f"connector {outbound.name}: whole messages for {domains} as files, in clear",
                None,
                None,
                NOT_ENCRYPTED,
                None,
            )
        elif outbound.deliver == "smtp":
            yield _smtp_out(ground, outbound, domains)


def _smtp_out(ground: Ground, outbound: schema.Outbound, domains: str) -> Row:
    hosts = ", ".join(outbound.smart_hosts) if outbound.smart_hosts else "the hosts of the MX records"
    keys = "keys of each session alone (ephemeral)"
    if outbound.client_certificate is not None:
        private = ground.loaded.resolve(outbound.client_key or outbound.client_certificate)
        keys += f"; our client certificate's key in {private}, {file_mode(private)}"
    return Row(
        "SMTP out (TLS)",
        hosts,
        f"connector {outbound.name}: mail for {domains}; TLS {_OUT[outbound.tls_settings]}",
        _versions(ground.loaded, outbound.minimum_tls),
        SESSION,
        keys,
        ground.tls,
    )


def sources(ground: Ground) -> Iterator[Row]:
    """Directories that are asked for recipients over the wire."""
    for name, source in ldap_sources(ground.loaded):
        host = urlsplit(source.url or "").hostname or ""
        here = host in ("localhost", "::1") or host.startswith("127.")
        clear = (source.url or "").startswith("ldap://") and (here or source.allow_clear)
        yield Row(
            "Recipients (LDAP)",
            source.url or "",
            f"{name}: addresses of recipients that are asked about{', not encrypted' if clear else ''}",
            None if clear else "TLS",
            None if clear else SESSION,
            NOT_ENCRYPTED if clear else "keys of each session alone (ephemeral)",
            None if clear else Validation(None, "OpenLDAP's library, which the fips switch does not reach"),
        )


def ldap_sources(loaded: Loaded) -> Iterator[tuple[str, schema.RecipientSource]]:
    """Every source of recipients that asks LDAP, wherever it stands in the settings, with a name for people."""
    settings = loaded.settings
    named: list[tuple[str, object]] = [(one.name, one) for one in settings.recipient_sources]
    for domain in settings.accepted_domains:
        if not isinstance(domain, str):
            named.append((domain.name, domain.recipient_verification))
    named += [(f"connector {one.name}", one.recipient_verification) for one in settings.connectors.inbound]
    for name, source in named:
        if isinstance(source, schema.RecipientSource) and source.by == "ldap":
            yield name, source


def control_socket(ground: Ground) -> Iterator[Row]:
    """By which the command line reaches the gateway."""
    where = str(Places.of(ground.loaded).control)
    what = "commands and answers, passwords that are set among them; not encrypted, and does not leave the machine"
    yield Row("Control socket", where, what, None, None, "none: file mode 0600 of the gateway's user", None)


def metrics(ground: Ground) -> Iterator[Row]:
    """Figures, which hold no content."""
    section = ground.loaded.settings.metrics
    if section is not None:
        what = "figures by HTTP, not encrypted; no content, no addresses"
        yield Row("Metrics", section.listen, what, None, None, NOT_ENCRYPTED, None)


def _versions(loaded: Loaded, minimum: str) -> str:
    versions = "TLS 1.3" if minimum == "1.3" else "TLS 1.2 and 1.3"
    if loaded.settings.security.fips:
        return f"{versions}, AES suites of NIST SP 800-52r2, P-256"
    return f"{versions}, suites that OpenSSL offers by default"


def _own(loaded: Loaded, text: str) -> tuple[str, str]:
    """Length of our certificate's key, and until when it is valid."""
    try:
        certificate = pem.certificates(loaded.resolve(text))[0]
    except pem.PemFault as fault:
        return "the certificate's is not known", f"its certificate can't be read: {fault.found}"
    public, ends = certificate.public_key(), certificate.not_valid_after_utc
    if isinstance(public, rsa.RSAPublicKey):
        length = f"RSA {public.key_size} bits"
    elif isinstance(public, ec.EllipticCurvePublicKey):
        length = f"EC {public.curve.name}, {public.key_size} bits"
    else:
        length = type(public).__name__.removesuffix("PublicKey")
    return f"certificate {length}", f"certificate ends {ends:%Y-%m-%d}"
