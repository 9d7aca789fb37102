"""Key records, as TXT at SELECTOR._domainkey.DOMAIN (RFC 6376 3.6.1; RFC 8463 4 for Ed25519), and the keys in them.

Leaves out: n= (notes) and g=, which mean nothing to a verifier.
"""

from __future__ import annotations

import binascii
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from gateway.authenticate.dkim import findings
from gateway.authenticate.dkim.findings import Finding, Found
from gateway.authenticate.dkim.tags import TagFault, tags, unspaced
from gateway.mail.digest import sha256

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

MAX_RECORD: Final = 4096  # Octets of a record. One of RSA-4096 has 800.
MAX_KEY: Final = 1024  # Octets of a key in DER: RSA-4096 has 550, and a longer one is not even looked into.
LEAST_BITS: Final = 1024  # RFC 8301 3.2
MOST_BITS: Final = 4096  # RFC 8301 3.2 asks for these; the time that verifying takes grows with the square.
MOST_EXPONENT: Final = 1 << 64  # Of RSA. With one as long as the modulus verifying would take as long as signing.
MAX_KEPT: Final = 2000  # Parsed keys in the cache, the least used one goes first.


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """A key that may be used. `exact`: i= must be of the very domain (t=s); `testing`: t=y.

    `made` says whether the key made a signature (first) of these octets (second).
    """

    kind: Literal["rsa", "ed25519"]
    made: Callable[[bytes, bytes], bool]
    bits: int
    exact: bool = False
    testing: bool = False


class Records:
    """Reads records, and remembers what it read: the same few keys sign most mail."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, KeyRecord | Finding] = OrderedDict()

    def read(self, text: bytes) -> KeyRecord | Finding:
        """The key of a record, or what is wrong with it."""
        kept = self._kept
        if (known := kept.get(text)) is not None:
            kept.move_to_end(text)
            return known
        if len(text) > MAX_RECORD:
            return findings.RECORD_TOO_LONG
        try:
            known = read_record(text)
        except Found as fault:
            known = fault.finding
        kept[text] = known
        if len(kept) > MAX_KEPT:
            kept.popitem(last=False)
        return known


def read_record(text: bytes) -> KeyRecord:
    """The key of a record of at most MAX_RECORD octets. Raises Found."""
    try:
        found = tags(text)
    except TagFault:
        raise Found(findings.BAD_RECORD) from None
    if "v" in found and (found["v"] != b"DKIM1" or next(iter(found)) != "v"):
        raise Found(findings.BAD_RECORD)
    if "p" not in found:
        raise Found(findings.BAD_RECORD)
    kind = found.get("k", b"rsa").lower()
    if kind not in (b"rsa", b"ed25519"):
        raise Found(findings.OTHER_KIND)
    if "s" in found and not _listed(found["s"]) & {b"*", b"email"}:
        raise Found(findings.OTHER_SERVICE)
    if "h" in found and b"sha256" not in _listed(found["h"]):
        raise Found(findings.OTHER_HASH)
    flags = _listed(found.get("t", b""))
    octets = unspaced(found["p"])
    if not octets:
        raise Found(findings.REVOKED)
    if len(octets) > MAX_KEY * 4 // 3:
        raise Found(findings.KEY_TOO_LONG)
    try:
        der = binascii.a2b_base64(octets, strict_mode=True)
    except binascii.Error:
        raise Found(findings.BAD_KEY) from None
    exact, testing = b"s" in flags, b"y" in flags
    if kind == b"ed25519":
        return KeyRecord(kind="ed25519", made=_made_by_ed25519(_ed25519(der)), bits=256, exact=exact, testing=testing)
    key = _rsa(der)
    return KeyRecord(kind="rsa", made=_made_by_rsa(key), bits=key.key_size, exact=exact, testing=testing)


def _listed(value: bytes) -> set[bytes]:
    return set(unspaced(value).lower().split(b":"))


def _rsa(der: bytes) -> RSAPublicKey:
    """An RSA key, as SubjectPublicKeyInfo, which everybody writes, or as RSAPublicKey, which RFC 6376 3.6.1 says.

    Raises Found.
    """
    from asn1crypto.keys import PublicKeyInfo, RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    try:
        try:
            info = PublicKeyInfo.load(der, strict=True)
            if info["algorithm"]["algorithm"].native != "rsa":
                raise Found(findings.OTHER_KIND)
            numbers = info["public_key"].parsed
        except (ValueError, TypeError):
            numbers = RSAPublicKey.load(der, strict=True)
        modulus, exponent = numbers["modulus"].native, numbers["public_exponent"].native
    except Found:
        raise
    except (ValueError, TypeError, KeyError, OverflowError):
        raise Found(findings.BAD_KEY) from None
    # Before the library sees it: it takes no short keys, and long ones cost. What is below nought it can't even refuse.
    if modulus < 0 or not 0 < exponent < MOST_EXPONENT:
        raise Found(findings.BAD_KEY)
    if modulus.bit_length() < LEAST_BITS:
        raise Found(findings.KEY_TOO_SHORT)
    if modulus.bit_length() > MOST_BITS:
        raise Found(findings.KEY_TOO_LONG)
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise Found(findings.BAD_KEY) from None


def _ed25519(octets: bytes) -> Ed25519PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        return Ed25519PublicKey.from_public_bytes(octets)  # The 32 octets alone (RFC 8463 4.2).
    except ValueError:
        raise Found(findings.BAD_KEY) from None


def _made_by_rsa(key: RSAPublicKey) -> Callable[[bytes, bytes], bool]:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    padding, algorithm = PKCS1v15(), SHA256()  # Once for all messages.

    def made(signature: bytes, octets: bytes) -> bool:
        try:
            # Judges as `verify` does (RFC 8017 8.2.2). That one gives the interpreter away, and has to wait for it:
            # with a busy thread beside the loop that took longer than the arithmetic.
            signed = key.recover_data_from_signature(signature, padding, algorithm)
        except InvalidSignature:
            return False
        return signed == sha256(octets)

    return made


def _made_by_ed25519(key: Ed25519PublicKey) -> Callable[[bytes, bytes], bool]:
    from cryptography.exceptions import InvalidSignature

    def made(signature: bytes, octets: bytes) -> bool:
        try:
            # RFC 8463 3: what is signed is the hash, with the pure Ed25519.
            key.verify(signature, sha256(octets))
        except InvalidSignature:
            return False
        return True

    return made
