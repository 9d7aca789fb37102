"""What `[security] fips = true` refuses in settings and in what they name: everything that FIPS 140 does not approve.

TLS itself is held to NIST SP 800-52r2 where contexts are made (`gateway.connectors.approved`), passwords where they are
hashed. Leaves out: what other libraries compute (LDAP, PostgreSQL, S3), of which it can only warn; certificates of
others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.app.inventory_links import ldap_sources
from gateway.connectors import pem
from gateway.keys import fips
from gateway.keys.providers.file.sheet import Kind
from gateway.keys.providers.file.vault import facts
from gateway.keys.vault import KeyFault
from gateway.settings.fault import Fault, shown
from gateway.settings.load import Loaded

RSA_BITS: Final = 2048
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)  # FIPS 186-5, SP 800-186.
_DIGESTS: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512, hashes.SHA3_256, hashes.SHA3_384, hashes.SHA3_512)


def judge_fips(loaded: Loaded) -> Iterator[Fault]:
    """Faults and warnings; none where fips is off. Reads vaults' heads and our own certificates."""
    if not loaded.settings.security.fips:
        return
    yield from _modules(loaded)
    yield from _vaults(loaded)
    yield from _listeners(loaded)
    yield from _outbounds(loaded)
    yield from _elsewhere(loaded)


def _modules(loaded: Loaded) -> Iterator[Fault]:
    unvalidated = [one for one in fips.modules() if not one.fips]
    if unvalidated:
        names = " and ".join(f"{one.name} ({one.does})" for one in unvalidated)
        found = f"true with {names}, of which no FIPS provider is active"
        right = (
            "a validated module in FIPS mode; as it stands approved algorithms alone are used, but not in such a one"
        )
        yield loaded.warning("security.fips", found, right)


def _vaults(loaded: Loaded) -> Iterator[Fault]:
    for number, section in enumerate(loaded.settings.vaults):
        if section.provider != "file":
            continue
        try:
            head = facts(loaded.resolve(section.path)).head
        except KeyFault:
            continue  # Told where vaults are judged.
        key = f"vaults[{number}]"
        if head is None:
            yield loaded.fault(
                f"{key}.path", "keys in clear (format 1)", f"to seal them: gateway key protector add {section.name}"
            )
            continue
        for one in head.protectors:
            if one.kind is Kind.PASSPHRASE and "Argon2" in str(one.terms.get("derived_by", "")):
                right = "one by PBKDF2: add it anew while fips is on (gateway key protector add), then remove this one"
                yield loaded.fault(f"{key}.path", f"protector {shown(one.name)}, a passphrase by Argon2id", right)
            elif one.kind is Kind.SHARES:
                found = f"protector {shown(one.name)}, a recovery key in shares (SLIP-39)"
                right = (
                    "a recovery certificate, or a whole recovery key: splitting is no mechanism of FIPS 140. What the "
                    "shares give together is used by approved ones alone"
                )
                yield loaded.warning(f"{key}.path", found, right)


def _listeners(loaded: Loaded) -> Iterator[Fault]:
    for number, listener in enumerate(loaded.settings.listeners):
        if listener.tls == "none":
            continue
        key = f"listeners[{number}]"
        named = [(f"{key}.certificate", listener.certificate)]
        named += [
            (f"{key}.certificates[{place}].certificate", one.certificate)
            for place, one in enumerate(listener.certificates)
        ]
        for place, text in named:
            if text is not None:
                yield from _certificate(loaded, place, text)


def _outbounds(loaded: Loaded) -> Iterator[Fault]:
    for number, outbound in enumerate(loaded.settings.connectors.outbound):
        if not outbound.enabled or outbound.deliver != "smtp":
            continue
        key = f"connectors.outbound[{number}]"
        if outbound.client_certificate is not None:
            yield from _certificate(loaded, f"{key}.client_certificate", outbound.client_certificate)
        if outbound.tls_settings == "opportunistic":
            found = f"{shown(outbound.tls_settings)}: a host that speaks no approved TLS gets its mail in clear"
            yield loaded.warning(f"{key}.tls_settings", found, '"encryption_only" or more, so that such mail waits')


def _certificate(loaded: Loaded, key: str, text: str) -> Iterator[Fault]:
    try:
        certificate = pem.certificates(loaded.resolve(text))[0]
    except pem.PemFault:
        return  # Told where certificates are judged.
    if (why := unapproved(certificate)) is not None:
        right = f"RSA from {RSA_BITS} bits or a curve P-256, P-384, P-521, signed with SHA-2"
        yield loaded.fault(key, f"a certificate with {why}", right)


def unapproved(certificate: x509.Certificate) -> str | None:
    """What of its key or signature FIPS 140 does not approve for TLS; None: nothing."""
    public = certificate.public_key()
    match public:
        case rsa.RSAPublicKey():
            if public.key_size < RSA_BITS:
                return f"an RSA key of {public.key_size} bits"
        case ec.EllipticCurvePublicKey():
            if not isinstance(public.curve, _CURVES):
                return f"a key on the curve {public.curve.name}"
        case _:
            return f"a key of a kind that SP 800-52r2 does not have ({type(public).__name__.removesuffix('PublicKey')})"
    digest = certificate.signature_hash_algorithm
    if digest is None or not isinstance(digest, _DIGESTS):
        return f"a signature by {'no known digest' if digest is None else digest.name}"
    return None


def _elsewhere(loaded: Loaded) -> Iterator[Fault]:
    """What other libraries compute, with modules of their own."""
    settings = loaded.settings
    others: list[tuple[str, str]] = []
    if loaded.is_shared:
        others.append(("storage.url", "PostgreSQL, whose TLS is that of libpq and its own OpenSSL"))
    if (settings.storage.blobs or "").startswith("s3://"):
        others.append(("storage.blobs", "S3, whose TLS is that of the library obstore (rustls)"))
    if "://" in (settings.mailboxes.blobs or ""):
        others.append(("mailboxes.blobs", "S3 or Azure, whose TLS is that of the library obstore (rustls)"))
    if any(ldap_sources(loaded)):
        others.append(("recipient_sources", "LDAP, whose TLS is that of OpenLDAP's library"))
    for key, found in others:
        yield loaded.warning(key, found, "to know that fips does not reach there")
