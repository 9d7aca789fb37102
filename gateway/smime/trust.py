"""Whether a certificate is believed: a path to an anchor of ours (RFC 5280 6.1), dates, purposes, strength (RFC 8550).

Path building and validation are OpenSSL's, by pyOpenSSL, as for client certificates: no network, no waiting, and one
way through what a message brings along, that never turns back. It knows every algorithm that certificates are signed
with, path lengths, and name constraints of mail addresses too (RFC 5280 4.2.1.10, RFC 9549). What OpenSSL leaves to the
application is judged here: how much may be brought, purposes, key sizes, hashes.

A certificate that an administrator imported is believed as it stands; its dates and its usage still count. Leaves out:
revocation (CRL, OCSP), certificate policies, fetching issuers that a certificate names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

from gateway.smime.certificate import (
    CERTIFICATE_EXPIRED,
    CERTIFICATE_KEY_WEAK,
    CERTIFICATE_NOT_FOR_ENCRYPTION,
    CERTIFICATE_NOT_FOR_MAIL,
    CERTIFICATE_NOT_FOR_SIGNING,
    CERTIFICATE_NOT_TRUSTED,
    CERTIFICATE_NOT_YET_VALID,
    CERTIFICATE_SIGNATURE_WEAK,
    RSA_BITS,
    Certificate,
    Purpose,
    of,
)

MAX_PATH: Final = 10  # Certificates from an anchor to a person. Real ones have two to four.
MAX_BROUGHT: Final = 20  # Of what a message brings along, those that can concern its signer.
FRESH: Final = 600.0  # Seconds for which a verdict holds, if no date ends it before.
REMEMBERED: Final = 2048  # Verdicts, all forgotten at once: a flood of new certificates must not cost memory.

_BROKEN_HASHES = frozenset({"md2", "md4", "md5"})  # Anybody makes a second certificate with the same signature.
_HAS_EXPIRED, _NOT_YET_VALID = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID
_TOLD = {
    CERTIFICATE_EXPIRED: "it has expired",
    CERTIFICATE_NOT_YET_VALID: "it is not valid yet",
    CERTIFICATE_NOT_FOR_MAIL: "its extended key usage does not name mail",
    CERTIFICATE_NOT_FOR_ENCRYPTION: "nothing may be encrypted for its key",
    CERTIFICATE_NOT_FOR_SIGNING: "its key may not sign messages",
    CERTIFICATE_KEY_WEAK: "its key is so short that others may know it",
}
_ByName = dict[bytes, list[Certificate]]


class Untrusted(Exception):
    """`reason` is one of the constants of `certificate`; the text is for people, and holds names at most."""

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason

    @property
    def is_weak(self) -> bool:
        """Whether all else is well: there is a path to an anchor, whose algorithms no longer prove anything."""
        return self.reason in (CERTIFICATE_KEY_WEAK, CERTIFICATE_SIGNATURE_WEAK)


@dataclass(frozen=True, slots=True)
class Trusted:
    """`path`: from the certificate to an anchor; the certificate alone where an administrator imported it.
    `until`: when it ends, in seconds since 1970.
    """

    path: tuple[Certificate, ...]
    until: float

    @property
    def anchor(self) -> Certificate:
        """What is believed."""
        return self.path[-1]


@dataclass(frozen=True, slots=True)
class _Verdict:
    since: float
    until: float
    trusted: Trusted | None
    reason: str = ""
    words: str = field(default="", repr=False)


class Trust:
    """Which authorities count, and what was judged by them. A change makes a new one. Safe in any thread."""

    def __init__(
        self,
        anchors: Iterable[Certificate] = (),
        *,
        imported: Iterable[Certificate] = (),
        intermediates: Iterable[Certificate] = (),
    ) -> None:
        """`imported`: certificates that are believed as they stand. `intermediates`: what leads to anchors, beside that
        which a message brings along.
        """
        self.anchors = tuple(anchors)
        self._imported = frozenset(imported)
        self._intermediates = _by_subject(intermediates)
        self._roots: dict[bytes, list[tuple[Certificate, crypto.X509]]] = {}
        for one in self.anchors:
            self._roots.setdefault(_name(one.x509.subject), []).append((one, crypto.X509.from_cryptography(one.x509)))
        self._verdicts: dict[bytes, _Verdict] = {}

    def __repr__(self) -> str:
        return f"Trust({len(self.anchors)} anchors, {len(self._imported)} imported)"

    def judge(
        self, certificate: Certificate, brought: Sequence[Certificate] = (), *, now: float, purpose: Purpose
    ) -> Trusted:
        """Return if `certificate` may be used for `purpose` at `now` (seconds since 1970), else raise Untrusted.

        `brought`: other certificates that came with it, in any order; they are believed in nothing. A weakness is
        raised only where there is no graver fault. Takes some 0.3 ms for a new certificate.
        """
        above = self._above(certificate, brought)
        key = sha256(b"".join((purpose.encode(), certificate.der, *(one.der for one in above)))).digest()
        verdict = self._verdicts.get(key)
        if verdict is None or not verdict.since <= now < verdict.until:
            verdict = self._verdict(certificate, above, now, purpose)
            if len(self._verdicts) >= REMEMBERED:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        if verdict.trusted is None:
            raise Untrusted(verdict.reason, verdict.words)
        return verdict.trusted

    def _verdict(self, certificate: Certificate, above: list[Certificate], now: float, purpose: Purpose) -> _Verdict:
        try:
            trusted = self._judge(certificate, above, now, purpose)
        except Untrusted as fault:
            # A certificate that begins within that time is believed a moment later, not in ten minutes.
            return _Verdict(now, now + FRESH / 60, None, fault.reason, str(fault))
        except Exception as error:  # noqa: BLE001 - whatever a hostile certificate sets off, it is not trusted
            words = f"it can't be judged ({type(error).__name__})"
            return _Verdict(now, now + FRESH, None, CERTIFICATE_NOT_TRUSTED, words)
        finally:
            _forget_errors()
        return _Verdict(now, min(trusted.until, now + FRESH), trusted)

    def _judge(self, certificate: Certificate, above: list[Certificate], now: float, purpose: Purpose) -> Trusted:
        reason = certificate.reason(purpose, now)
        if reason is not None and reason != CERTIFICATE_KEY_WEAK:
            raise Untrusted(reason, _TOLD[reason])
        if certificate in self._imported:
            path: tuple[Certificate, ...] = (certificate,)
        else:
            path = self._path(certificate, above, now)
        if reason is not None:
            raise Untrusted(reason, _TOLD[reason])
        for one in path[:-1]:  # Nobody asks how an anchor was signed: it is trusted as it stands.
            _check_strength(one)
        return Trusted(path, min(one.not_after for one in path))

    def _above(self, certificate: Certificate, brought: Sequence[Certificate]) -> list[Certificate]:
        """What can stand between it and an anchor, by its name, the nearest first; at most MAX_BROUGHT."""
        if certificate in self._imported or not (brought or self._intermediates):
            return []
        there = _by_subject(brought)
        found: list[Certificate] = []
        wanted = [_name(certificate.x509.issuer)]
        seen: set[bytes] = set()
        while wanted:
            name = wanted.pop(0)
            if name in seen:
                continue
            seen.add(name)
            for one in (*self._intermediates.get(name, ()), *there.get(name, ())):
                if one != certificate and one not in found:
                    found.append(one)
                    wanted.append(_name(one.x509.issuer))
                if len(found) >= MAX_BROUGHT:
                    return found
        return found

    def _path(self, leaf: Certificate, above: list[Certificate], now: float) -> tuple[Certificate, ...]:
        """From the certificate to an anchor. Raises Untrusted."""
        for one in (leaf, *above):  # Before any signature is verified: it is the size of a key that costs.
            _check_cost(one)
        store = crypto.X509Store()
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # Whoever names an intermediate means that one.
        store.set_time(datetime.fromtimestamp(now, UTC))  # A store keeps the first time that it is given.
        names = {_name(name) for one in (leaf, *above) for name in (one.x509.subject, one.x509.issuer)}
        for root in self._reached(names):
            store.add_cert(root)
        others = [crypto.X509.from_cryptography(one.x509) for one in above]
        try:
            context = crypto.X509StoreContext(store, crypto.X509.from_cryptography(leaf.x509), others)
            path = tuple(of(one.to_cryptography()) for one in context.get_verified_chain())
        except crypto.X509StoreContextError as error:
            code, depth, message = error.errors
            where = "the certificate" if depth == 0 else f"certificate {depth} above it"
            reasons = {_HAS_EXPIRED: CERTIFICATE_EXPIRED, _NOT_YET_VALID: CERTIFICATE_NOT_YET_VALID}
            # The error holds the certificate, so it is not chained.
            raise Untrusted(reasons.get(code, CERTIFICATE_NOT_TRUSTED), f"{where}: {message}") from None
        if len(path) > MAX_PATH:
            raise Untrusted(CERTIFICATE_NOT_TRUSTED, f"a path of {len(path)} certificates; {MAX_PATH} are the most")
        for one in path[1:-1]:
            _check_issuer(one)
        return path

    def _reached(self, names: set[bytes]) -> list[crypto.X509]:
        """Anchors that can stand at the end: those of these names, and those above them."""
        found: list[crypto.X509] = []
        wanted, seen = list(names), set[bytes]()
        while wanted:
            name = wanted.pop()
            if name in seen:
                continue
            seen.add(name)
            for one, root in self._roots.get(name, ()):
                found.append(root)
                wanted.append(_name(one.x509.issuer))
        return found


def _by_subject(certificates: Iterable[Certificate]) -> _ByName:
    found: _ByName = {}
    for one in certificates:
        found.setdefault(_name(one.x509.subject), []).append(one)
    return found


def _name(name: x509.Name) -> bytes:
    """Two names that count as one (RFC 5280 7.1: case and space) are alike in this; OpenSSL tells for certain."""
    return "\0".join(f"{one.oid.dotted_string}={' '.join(str(one.value).split()).casefold()}" for one in name).encode(
        "utf-8", "surrogatepass"
    )


def _check_cost(one: Certificate) -> None:
    kind, _, bits = one.algorithm.rpartition("-")
    if kind.startswith("rsa") and int(bits) > RSA_BITS[1]:
        raise Untrusted(CERTIFICATE_NOT_TRUSTED, f"an RSA key of {bits} bits; {RSA_BITS[1]} are the most")


def _check_issuer(one: Certificate) -> None:
    """An intermediate that names purposes must name mail (RFC 5280 4.2.1.12), as all implementations have it."""
    try:
        purposes = one.x509.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not {ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}.intersection(purposes):
        raise Untrusted(CERTIFICATE_NOT_FOR_MAIL, f"its issuer {one.subject} does not issue certificates for mail")


def _check_strength(one: Certificate) -> None:
    """RFC 8550 4.3: how it was signed, and how long the key is that signs."""
    digest = one.signed_with.partition(" ")[0]
    if digest in _BROKEN_HASHES:
        raise Untrusted(CERTIFICATE_NOT_TRUSTED, f"{one.subject} is signed with {digest}")
    if digest == "sha1":
        raise Untrusted(CERTIFICATE_SIGNATURE_WEAK, f"{one.subject} is signed with SHA-1")
    kind, _, bits = one.algorithm.rpartition("-")
    if kind.startswith("rsa") and int(bits) < RSA_BITS[0]:
        raise Untrusted(CERTIFICATE_KEY_WEAK, f"{one.subject} has an RSA key of {bits} bits")


def _forget_errors() -> None:
    """Empty OpenSSL's list of errors: what is left there would be taken for an error of the next connection's read."""
    try:
        crypto.load_certificate(crypto.FILETYPE_ASN1, b"")
    except crypto.Error:
        return
