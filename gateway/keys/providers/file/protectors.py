"""What seals the master key of a file vault: one function to make each kind of protector, and one to open it.

    secret                HKDF-SHA256 (RFC 5869) of a service's random secret
    passphrase            Argon2id (RFC 9106), or PBKDF2 (RFC 8018) where FIPS 140 is asked for
    recovery-certificate  RSA-OAEP with SHA-256 (RFC 8017 7.1), or ECDH with an ephemeral key (SP 800-56A) and HKDF
    recovery-key          HKDF of the 128 bits behind 48 digits
    recovery-shares       the same, the 128 bits split by SLIP-39

Each gives a key of its own (a salt or an ephemeral key is drawn for it) that seals the master key by AES-256-GCM, with
the vault's id and the protector's kind and name as associated data.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.keys import passphrase as phrase
from gateway.keys.providers.file import sheet
from gateway.keys.providers.file.sheet import MASTER_OCTETS, Kind, Protector
from gateway.keys.vault import Denied, VaultBroken
from gateway.world.chance import Chance

SHORTEST_SECRET: Final = 32  # Octets. It is drawn, not thought up: 256 bits in base64 have 44.
SEED_OCTETS: Final = 16  # Behind 48 digits, and behind shares.

_SALT: Final = 16
_NONCE: Final = bytes(12)  # Each key here seals once.
_SMALLEST_RSA: Final = 2048
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_OAEP: Final = padding.OAEP(padding.MGF1(SHA256()), SHA256(), label=None)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class DoesNotOpen(Exception):
    """It is not what the protector was made with. The text is empty, or begins with a comma or a full stop."""


def checked_secret(octets: bytes, where: str) -> bytes:
    """A service's secret without its line end. Raises Denied where there is none."""
    secret = octets.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise Denied(f"{where} is empty; right would be a secret such as openssl rand -base64 32 gives")
    return secret


def new_secret(chance: Chance) -> bytes:
    """A secret of 256 bits, one line of base64."""
    return base64.b64encode(chance.octets(32))


class NeedsPassphrase(Denied):
    """A private key that has a passphrase was given without one."""


# -- making ------------------------------------------------------------------------------------------------------------


def with_secret(id_: str, name: str, secret: bytes, master: bytes, *, now: float, chance: Chance) -> Protector:
    """Raises Denied for a secret that somebody could guess."""
    if len(secret) < SHORTEST_SECRET:
        raise Denied(
            f"the secret has {len(secret)} octets; right would be {SHORTEST_SECRET} or more that were drawn, not "
            "thought up: openssl rand -base64 32 (what people think up is a passphrase)"
        )
    return _derived(Kind.SECRET, id_, name, secret, master, {}, now, chance)


def with_passphrase(
    id_: str, name: str, passphrase: bytes, master: bytes, *, fips: bool, now: float, chance: Chance
) -> Protector:
    """Blocks for about a second."""
    return Protector(
        kind=Kind.PASSPHRASE,
        name=name,
        created=now,
        terms={"derived_by": phrase.derivation(fips=fips)},
        sealed=phrase.seal(passphrase, _context(id_, name), master, chance, fips=fips),
    )


def with_seed(
    kind: Kind, id_: str, name: str, seed: bytes, master: bytes, terms: Mapping[str, Any], *, now: float, chance: Chance
) -> Protector:
    """By the 128 bits behind a recovery key (`terms` empty) or behind shares."""
    if len(seed) != SEED_OCTETS:
        raise ValueError("a seed has 16 octets")
    return _derived(kind, id_, name, seed, master, terms, now, chance)


def with_certificate(id_: str, name: str, octets: bytes, master: bytes, *, now: float, chance: Chance) -> Protector:
    """By the public key of a certificate in PEM or DER. Raises Denied where it can't serve."""
    certificate = _certificate(octets, now)
    public = certificate.public_key()
    bound = sheet.bound(id_, Kind.CERTIFICATE, name)
    terms = {
        "subject": certificate.subject.rfc4514_string(),
        "sha256": certificate.fingerprint(SHA256()).hex(),
        "certificate": _text(certificate.public_bytes(serialization.Encoding.DER)),
    }
    if isinstance(public, rsa.RSAPublicKey):
        if public.key_size < _SMALLEST_RSA:
            raise Denied(f"the certificate's key has {public.key_size} bits; right would be {_SMALLEST_RSA} or more")
        key = chance.octets(32)
        terms |= {"way": "rsa-oaep-sha256", "wrapped": _text(public.encrypt(key, _OAEP))}
    elif isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, _CURVES):
        once = ec.generate_private_key(public.curve)
        key = _hkdf(once.exchange(ec.ECDH(), public), b"", bound)
        spki = once.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        terms |= {"way": "ecdh-hkdf-sha256", "ephemeral": _text(spki)}
    else:
        raise Denied("the certificate's key is of a kind that can't seal; right would be RSA, or EC on a NIST curve")
    sealed = AESGCM(key).encrypt(_NONCE, master, bound)
    return Protector(kind=Kind.CERTIFICATE, name=name, created=now, terms=terms, sealed=sealed)


# -- opening -----------------------------------------------------------------------------------------------------------


def opened(id_: str, protector: Protector, given: bytes, *, fips: bool = False) -> bytes:
    """The master key, by a secret, a passphrase or a seed. Raises DoesNotOpen, Denied, Unavailable, VaultBroken."""
    if protector.kind is Kind.CERTIFICATE:
        raise ValueError("a certificate's protector opens with a private key")
    if protector.kind is Kind.PASSPHRASE:
        try:
            return _master(phrase.unseal(given, _context(id_, protector.name), protector.sealed, fips=fips))
        except phrase.WrongPassphrase:
            raise DoesNotOpen("") from None
    bound = sheet.bound(id_, protector.kind, protector.name)
    key = _hkdf(given, _octets(protector, "salt"), bound)
    return _decrypted(key, protector, bound)


def opened_by_key(id_: str, protector: Protector, private: PrivateKey) -> bytes:
    """The master key, by the private key of a recovery certificate. Raises DoesNotOpen, VaultBroken."""
    bound = sheet.bound(id_, Kind.CERTIFICATE, protector.name)
    certificate = x509.load_der_x509_certificate(_octets(protector, "certificate"))
    if not hmac.compare_digest(_spki(private.public_key()), _spki(certificate.public_key())):
        raise DoesNotOpen(f", whose certificate is {protector.terms['subject']}")
    try:
        if isinstance(private, rsa.RSAPrivateKey):
            key = private.decrypt(_octets(protector, "wrapped"), _OAEP)
        else:
            once = serialization.load_der_public_key(_octets(protector, "ephemeral"))
            if not isinstance(once, ec.EllipticCurvePublicKey):
                raise ValueError("no key of a curve")
            key = _hkdf(private.exchange(ec.ECDH(), once), b"", bound)
    except ValueError:
        raise DoesNotOpen("") from None
    return _decrypted(key, protector, bound)


def private_key(octets: bytes, passphrase: bytes | None) -> PrivateKey:
    """A private key in PEM or DER. Raises NeedsPassphrase, Denied, whose text shows nothing of it."""
    load = serialization.load_pem_private_key if b"-----BEGIN" in octets else serialization.load_der_private_key
    try:
        private = load(octets, passphrase)
    except TypeError:
        if passphrase is None:
            raise NeedsPassphrase("the private key can't be read: it needs a passphrase") from None
        raise Denied("the private key can't be read: it has no passphrase") from None
    except Exception:  # noqa: BLE001  (whatever OpenSSL says of a private key stays here)
        raise Denied("the private key can't be read: it is no PEM or DER, or the passphrase is another one") from None
    if isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return private
    raise Denied("the private key is neither RSA nor of an elliptic curve")


# -- inside ------------------------------------------------------------------------------------------------------------


def _derived(
    kind: Kind,
    id_: str,
    name: str,
    secret: bytes,
    master: bytes,
    terms: Mapping[str, Any],
    now: float,
    chance: Chance,
) -> Protector:
    salt = chance.octets(_SALT)
    bound = sheet.bound(id_, kind, name)
    sealed = AESGCM(_hkdf(secret, salt, bound)).encrypt(_NONCE, master, bound)
    return Protector(kind=kind, name=name, created=now, terms={**terms, "salt": _text(salt)}, sealed=sealed)


def _context(id_: str, name: str) -> str:
    # It binds like `sheet.bound`, and errors show it.
    return f"the passphrase protector {name!r} of vault {id_}"


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(secret)


def _decrypted(key: bytes, protector: Protector, bound: bytes) -> bytes:
    try:
        return _master(AESGCM(key).decrypt(_NONCE, protector.sealed, bound))
    except (InvalidTag, ValueError):
        raise DoesNotOpen("") from None


def _master(plain: bytes) -> bytes:
    if len(plain) != MASTER_OCTETS:
        raise VaultBroken("a protector holds something that is no master key")
    return plain


def _certificate(octets: bytes, now: float) -> x509.Certificate:
    pem = b"-----BEGIN" in octets
    try:
        found = x509.load_pem_x509_certificate(octets) if pem else x509.load_der_x509_certificate(octets)
        ended = found.not_valid_after_utc.timestamp() < now
    except ValueError:
        raise Denied("it is no certificate; right would be an X.509 certificate in PEM or DER") from None
    if ended:
        raise Denied(f"the certificate ended on {found.not_valid_after_utc:%Y-%m-%d}; right would be one that is valid")
    return found


def _spki(public: Any) -> bytes:
    octets: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return octets


def _octets(protector: Protector, term: str) -> bytes:
    try:
        return base64.b64decode(protector.terms[term], validate=True)
    except (KeyError, TypeError, ValueError):
        raise VaultBroken(f"protector {protector.name!r} lacks its {term}") from None


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
