"""Every SSLContext of the gateway, and the judgement of names in certificates (RFC 9525, RFC 8446, RFC 8460 4.3).

The handshake verifies chain and dates where the level asks for it; names are always judged here, never by OpenSSL.
Listeners that ask for client certificates: `asking`. Leaves out: revocation (CRL, OCSP), DANE.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.connectors.ciphers import iana_name
from gateway.connectors.model import TlsLevel
from gateway.mail.address import BadAddress, normal_domain

# Words of RFC 8460 4.3, as they stand in log, trace, queue and DSN.
STARTTLS_NOT_SUPPORTED: Final = "starttls-not-supported"
CERTIFICATE_EXPIRED: Final = "certificate-expired"
CERTIFICATE_HOST_MISMATCH: Final = "certificate-host-mismatch"
CERTIFICATE_NOT_TRUSTED: Final = "certificate-not-trusted"
VALIDATION_FAILURE: Final = "validation-failure"

MAX_NAMES: Final = 1000  # In one certificate; real ones have a hundred at most.

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
# X509_V_ERR_* of OpenSSL's x509_vfy.h. Whatever else goes wrong with a chain is "not trusted" (RFC 8460 4.3.1).
_VERIFY_REASONS = {
    10: CERTIFICATE_EXPIRED,  # X509_V_ERR_CERT_HAS_EXPIRED
    62: CERTIFICATE_HOST_MISMATCH,  # X509_V_ERR_HOSTNAME_MISMATCH
    64: CERTIFICATE_HOST_MISMATCH,  # X509_V_ERR_IP_ADDRESS_MISMATCH
}


class TlsFault(Exception):
    """TLS can't be had as it must be. `reason` is a word of RFC 8460 4.3."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(text or reason)
        self.reason = reason

    @property
    def about_certificate(self) -> bool:
        """Whether there is TLS, but its certificate fails."""
        return self.reason.startswith("certificate-")


def outbound_context(
    level: TlsLevel,
    *,
    trusted_ca: Path | None,
    minimum_tls: str,
    client_certificate: Path | None,
    client_key: Path | None,
    fips: bool = False,
) -> ssl.SSLContext:
    """The context of an outbound connector. `minimum_tls` is "1.2" or "1.3"; no `trusted_ca`: the system's CAs count.
    `fips`: approved suites and curves alone.

    Raises OSError (ssl.SSLError is one), naming the file that can't be used.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, fips=fips)
    context.check_hostname = False  # `judge` does it: RFC 9525, wildcards and literals as connectors.md wants them.
    context.hostname_checks_common_name = False
    context.minimum_version = _VERSIONS[minimum_tls]
    if level >= TlsLevel.CERTIFICATE_VALIDATION:
        context.verify_mode = ssl.CERT_REQUIRED
        if trusted_ca is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            # Whoever pins an intermediate or the partner's own certificate means that one, not the root above it.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            _load_trusted(context, trusted_ca)
    else:
        context.verify_mode = ssl.CERT_NONE
        if not fips:
            # Without a verified certificate an active attacker wins anyway; against all others an old suite beats none.
            context.set_ciphers("DEFAULT:@SECLEVEL=1")  # RFC 7435 3
    if client_certificate is not None:
        _load_own(context, client_certificate, client_key)
    return context


def server_context(certificate: Path, key: Path, minimum_tls: str, *, fips: bool = False) -> ssl.SSLContext:
    """The context of a listener: chain with our certificate first, and its key, both PEM. `fips`: as above.

    Raises OSError, naming the file that can't be used.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, fips=fips)
    context.minimum_version = _VERSIONS[minimum_tls]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_COMPRESSION
    _load_own(context, certificate, key)
    return context


def _context(protocol: int, *, fips: bool) -> ssl.SSLContext:
    if not fips:
        return ssl.SSLContext(protocol)
    from gateway.connectors.approved import approved_context

    return approved_context(protocol)


def _load_trusted(context: ssl.SSLContext, file: Path) -> None:
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError as error:
        raise OSError(f"{file} holds no CA certificate in PEM form") from error
    except OSError as error:
        raise OSError(error.errno, f"{file} can't be read: {error.strerror}") from error


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    named = str(certificate) if key is None else f"{certificate} and {key}"

    def locked() -> str:
        # Without this OpenSSL would ask on the terminal and wait for ever.
        raise OSError(f"the private key of {named} has a pass phrase; give it without")

    for file in (certificate, key):
        if file is not None:
            try:
                with file.open("rb"):
                    pass
            except OSError as error:
                raise OSError(error.errno, f"{file} can't be read: {error.strerror}") from error
    try:
        context.load_cert_chain(certificate, key, password=locked)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise OSError(f"the private key does not belong to the certificate: {named}") from error
        raise OSError(f"{named}: no certificate and private key in PEM form that can be used") from error


def judge(certificate_der: bytes | None, expected: str, *, allow_cn: bool) -> None:
    """Return if the certificate names `expected`, else raise TlsFault (RFC 9525 6: subjectAltName alone).

    `expected` is a host name, a wildcard `*.x.example` (any one first label), or an IP literal, which needs an
    iPAddress name; case, a trailing dot and the form of internationalised labels do not matter. With `allow_cn` a
    certificate without any dNSName is judged by its subject's CN, as old partners need it.
    """
    if not certificate_der:
        raise TlsFault(VALIDATION_FAILURE, "the host showed no certificate")
    try:
        dns_names, addresses, common_names = _names(certificate_der)
    except ValueError:
        raise TlsFault(VALIDATION_FAILURE, "the certificate can't be read") from None
    if (literal := _literal(expected)) is not None:
        if literal in addresses:
            return
    else:
        names = dns_names if dns_names or not allow_cn else common_names
        pattern = normal_name(expected)
        if pattern and any(_same(name, pattern) for name in names):
            return
    raise TlsFault(CERTIFICATE_HOST_MISMATCH, f"the certificate does not name {expected}")


def names_of(certificate_der: bytes, *, allow_cn: bool) -> tuple[str, ...]:
    """The host names and wildcards of a certificate, normal; none where it can't be read. CNs only without a SAN."""
    try:
        dns_names, _, common_names = _names(certificate_der)
    except ValueError:
        return ()
    return dns_names if dns_names or not allow_cn else common_names


@lru_cache(
    maxsize=256
)  # A few partners make up most handshakes, and reading a certificate takes as long as a delivery.
def _names(der: bytes) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """dNSNames, iPAddresses and CNs of a certificate, normal. Raises ValueError."""
    try:
        return _read_names(x509.load_der_x509_certificate(der))
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 - anything may come: odd kinds of names, types that ASN.1 has no place for
        raise ValueError(f"no certificate that can be read ({type(error).__name__})") from None


def _read_names(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns_names = san.get_values_for_type(x509.DNSName)
        addresses = tuple(str(address) for address in san.get_values_for_type(x509.IPAddress))
        if len(dns_names) + len(addresses) > MAX_NAMES:
            raise ValueError(f"the certificate has more than {MAX_NAMES} names")
    except x509.ExtensionNotFound:
        dns_names, addresses = [], ()
    except x509.DuplicateExtension as error:
        raise ValueError("an extension stands twice") from error
    common = (str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    return (
        tuple(name for name in map(normal_name, dns_names) if name),
        addresses,
        tuple(name for name in map(normal_name, common) if name),
    )


@lru_cache(maxsize=1024)
def normal_name(name: str) -> str:
    """A host name or `*.` pattern as names are compared: lower case, A-labels, no trailing dot; "" where it is none."""
    star, rest = ("*.", name[2:]) if name.startswith("*.") else ("", name)
    try:
        plain = normal_domain(rest)
    except BadAddress:
        return ""
    if "*" in plain or "\0" in plain or plain.startswith("["):
        return ""  # A star elsewhere, or for part of a label, is no wildcard (RFC 9525 6.3).
    return star + plain


def _same(name: str, expected: str) -> bool:
    """Whether the certificate's `name` is the expected one; on either side `*` stands for one whole first label."""
    if name == expected:
        return True
    if expected.startswith("*."):
        label, _, rest = name.partition(".")
        return bool(label) and rest == expected[2:]
    if name.startswith("*."):
        label, _, rest = expected.partition(".")
        return bool(label) and "." in rest and rest == name[2:]  # `*.example` of a CA is no name of anybody.
    return False


def _literal(text: str) -> str | None:
    """The address if `text` is one, with or without the brackets of RFC 5321 4.1.3."""
    plain = text.removeprefix("[").removesuffix("]")
    if plain[:5].lower() == "ipv6:":
        plain = plain[5:]
    try:
        return str(ipaddress.ip_address(plain))
    except ValueError:
        return None


def reason_of(error: BaseException) -> str:
    """The word of RFC 8460 4.3 for what went wrong in a handshake."""
    if isinstance(error, TlsFault):
        return error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY_REASONS.get(error.verify_code, CERTIFICATE_NOT_TRUSTED)
    return VALIDATION_FAILURE


def tls_facts(transport: asyncio.BaseTransport) -> tuple[str, str] | None:
    """Version (`TLSv1.3`) and cipher suite (IANA name) of a connection, or None in clear."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None or (cipher := tls.cipher()) is None:
        return None
    return tls.version() or "unknown", iana_name(cipher[0])


def peer_chain(transport: asyncio.BaseTransport) -> tuple[bytes, ...]:
    """What the client showed on a listener that asks for certificates, in DER, its own first; else empty."""
    # ssl's own object has no such method, and says nothing of a chain that it did not verify.
    ask = getattr(transport.get_extra_info("ssl_object"), "peer_chain", None)
    return () if ask is None else tuple(ask())


def peer_certificate(transport: asyncio.BaseTransport) -> bytes | None:
    """The certificate that the other side showed, in DER, verified or not."""
    tls = transport.get_extra_info("ssl_object")
    der: bytes | None = None if tls is None else tls.getpeercert(binary_form=True)
    return der
