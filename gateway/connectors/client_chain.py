"""Client certificates judged by us: chain, dates, purpose, key sizes (RFC 5280 6.1, RFC 8446 4.4.2.2).

Path building and validation are OpenSSL's, by pyOpenSSL: it takes one way through what the client sent and never turns
back, so that no heap of certificates that issue each other costs more than its number. What OpenSSL leaves to the
application is judged here: how much may be sent, purposes, key sizes, hashes. Names: `certificate_terms`.

A purpose that is named must be clientAuth or anyExtendedKeyUsage (RFC 5280 4.2.1.12), in intermediates too, as all
implementations have it. Leaves out: revocation (CRL, OCSP).
"""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from gateway.connectors import pem
from gateway.connectors.tls import CERTIFICATE_EXPIRED, CERTIFICATE_NOT_TRUSTED, TlsFault

MAX_CERTIFICATES: Final = 10  # A real chain has two to five; each may cost one verification of a signature.
MAX_OCTETS: Final = 32 * 1024  # Of the whole chain. A certificate with a hundred names has six KiB.
RSA_BITS: Final = (2048, 8192)  # Shorter ones are broken, longer ones cost milliseconds to verify.
EC_BITS: Final = 256
FRESH: Final = 3600.0  # Seconds for which a judgement holds, if the dates do not end it before.
_REMEMBERED: Final = 128  # Chains, all forgotten at once: a flood of new ones must not cost memory.

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512, hashes.SHA3_256, hashes.SHA3_384, hashes.SHA3_512)
_Anchors = dict[str, list[tuple[str, crypto.X509]]]  # By subject; each with its issuer.
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_HAS_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Holds while `since` <= now < `until`. `reason` is None where the chain is good."""

    since: float
    until: float
    reason: str | None = None
    words: str = ""


class Trust:
    """Which authorities count, and what was judged by them. Used by one thread."""

    def __init__(self, file: Path | None) -> None:
        """`file`: PEM with trusted certificates; None: the system's. Raises PemFault, OSError."""
        self.anchors: tuple[bytes, ...] = ()  # Those of the file, in DER.
        self._pinned = file is not None
        self._folder: str | None = None
        self._verdicts: dict[tuple[tuple[bytes, ...], bool], _Verdict] = {}
        if file is not None:
            certificates = pem.certificates(file)
            self.anchors = tuple(pem.der(one) for one in certificates)
            self._by_subject = _by_subject(certificates)
            return
        paths = ssl.get_default_verify_paths()  # Python's OpenSSL knows where the system keeps them.
        self._folder = paths.capath or None
        self._by_subject = _by_subject(_bundle(Path(paths.cafile)) if paths.cafile else ())

    def _store(self, now: float, shown: Sequence[x509.Certificate]) -> crypto.X509Store:
        """What is trusted, as far as it can concern what was `shown`: to fill in all of a system's takes milliseconds.

        A new one each time: a store keeps the first time that it is given, whatever it is told later.
        """
        store = crypto.X509Store()
        wanted = [_plain(name) for one in shown for name in (one.subject, one.issuer)]
        seen: set[str] = set()
        while wanted:
            name = wanted.pop()
            if name in seen:
                continue
            seen.add(name)
            for issuer, one in self._by_subject.get(name, ()):
                store.add_cert(one)
                wanted.append(issuer)  # An intermediate in the file leads to a root in it.
        if self._folder is not None:
            store.load_locations(None, self._folder)  # Read as it is needed.
        if self._pinned:
            # Whoever pins an intermediate or the partner's own certificate means that one, not the root above it.
            store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        store.set_time(datetime.fromtimestamp(now, UTC))
        return store

    def judge(self, chain: tuple[bytes, ...], now: float, *, server_too: bool = False) -> None:
        """Return if the client's chain (DER, its own certificate first) is good at `now`, else raise TlsFault.

        `server_too`: a certificate made out for servers alone will do.
        """
        key = (chain, server_too)
        verdict = self._verdicts.get(key)
        if verdict is None or not verdict.since <= now < verdict.until:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            verdict = self._verdicts[key] = self._verdict(chain, now, server_too)
        if verdict.reason is not None:
            raise TlsFault(verdict.reason, verdict.words)

    def _verdict(self, chain: tuple[bytes, ...], now: float, server_too: bool) -> _Verdict:
        try:
            until = self._judge(chain, now, server_too)
        except TlsFault as fault:
            return _Verdict(now, now + FRESH / 60, fault.reason, str(fault))
        except Exception as error:  # noqa: BLE001 - whatever a hostile certificate sets off, it is not trusted
            words = f"the certificate can't be read ({type(error).__name__})"
            return _Verdict(now, now + FRESH, CERTIFICATE_NOT_TRUSTED, words)
        finally:
            _forget_errors()
        return _Verdict(now, min(until, now + FRESH))

    def _judge(self, chain: tuple[bytes, ...], now: float, server_too: bool) -> float:
        """Until when the chain holds. Raises TlsFault, and what reading a bad certificate raises."""
        if not chain:
            raise _untrusted("the client showed no certificate")
        if len(chain) > MAX_CERTIFICATES:
            raise _untrusted(f"the chain has {len(chain)} certificates, more than {MAX_CERTIFICATES}")
        if (size := sum(map(len, chain))) > MAX_OCTETS:
            raise _untrusted(f"the chain has {size} octets, more than {MAX_OCTETS}")
        shown = [x509.load_der_x509_certificate(der) for der in chain]
        for certificate in shown:  # Before any signature is verified: it is the size of the key that costs.
            _check_key(certificate)
        verified = self._validated(shown, now)
        for certificate in verified[:-1]:  # Nobody asks how an anchor was signed: it is trusted as it stands.
            _check_hash(certificate)
        for certificate in verified[:-1] or verified:
            _check_purposes(certificate, server_too)
        _check_usage(verified[0])
        return min(one.not_valid_after_utc.timestamp() for one in verified)

    def _validated(self, shown: list[x509.Certificate], now: float) -> list[x509.Certificate]:
        """The path from the client's certificate to an anchor (RFC 5280 6.1). Raises TlsFault."""
        leaf, *others = [crypto.X509.from_cryptography(one) for one in shown]
        try:
            path = crypto.X509StoreContext(self._store(now, shown), leaf, others).get_verified_chain()
        except crypto.X509StoreContextError as error:
            code, depth, message = error.errors
            where = "the certificate" if depth == 0 else f"certificate {depth} above it"
            reason = CERTIFICATE_EXPIRED if code == _HAS_EXPIRED else CERTIFICATE_NOT_TRUSTED
            raise TlsFault(reason, f"{where}: {message}") from None  # The error holds the certificate.
        found = [one.to_cryptography() for one in path]
        for certificate in found:
            _check_key(certificate)
        return found


def _bundle(file: Path) -> list[x509.Certificate]:
    """The certificates of the system's file; one that can't be read is no reason to trust none. Raises OSError."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)  # Old roots have odd serial numbers.
        for block in _BLOCK.findall(file.read_bytes()):
            try:
                found.append(x509.load_pem_x509_certificate(block))
            except ValueError:
                continue
    return found


def _by_subject(anchors: Iterable[x509.Certificate]) -> _Anchors:
    found: _Anchors = {}
    for one in anchors:
        entry = (_plain(one.issuer), crypto.X509.from_cryptography(one))
        found.setdefault(_plain(one.subject), []).append(entry)
    return found


def _plain(name: x509.Name) -> str:
    """Two names that count as one (RFC 5280 7.1: case and space) are alike in this; OpenSSL tells for certain."""
    return "\0".join(f"{one.oid.dotted_string}={' '.join(str(one.value).split()).casefold()}" for one in name)


def _untrusted(words: str) -> TlsFault:
    return TlsFault(CERTIFICATE_NOT_TRUSTED, words)


def _check_key(certificate: x509.Certificate) -> None:
    """RFC 9325 4.2, 4.5: RSA of 2,048 bits, curves of 256."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if not RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
            raise _untrusted(f"an RSA key of {key.key_size} bits; {RSA_BITS[0]} to {RSA_BITS[1]} are taken")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.key_size < EC_BITS:
            raise _untrusted(f"an elliptic curve key of {key.curve.key_size} bits; {EC_BITS} are the least")
    elif not isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        raise _untrusted("a key that is neither RSA nor on an elliptic curve")


def _check_hash(certificate: x509.Certificate) -> None:
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None:  # Ed25519, Ed448: the hash belongs to the signature.
        return
    if not isinstance(algorithm, _HASHES):
        raise _untrusted(f"a signature made with {algorithm.name}")


def _check_purposes(certificate: x509.Certificate, server_too: bool) -> None:
    try:
        purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    allowed = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if server_too:
        allowed.add(ExtendedKeyUsageOID.SERVER_AUTH)
    if not allowed.intersection(purposes):
        also = " (allow_server_certificate takes it)" if ExtendedKeyUsageOID.SERVER_AUTH in purposes else ""
        raise _untrusted(f"a certificate whose purposes are not those of a client{also}")


def _check_usage(certificate: x509.Certificate) -> None:
    """RFC 8446 4.4.2.2: the key signs the handshake."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.digital_signature:
        raise _untrusted("a certificate whose key may not sign (keyUsage)")


def _forget_errors() -> None:
    """Empty OpenSSL's list of errors: what is left there would be taken for an error of the next connection's read."""
    try:
        crypto.load_certificate(crypto.FILETYPE_ASN1, b"")
    except crypto.Error:
        return
