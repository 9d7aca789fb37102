"""What a file holds: certificates, and private keys that belong to some of them.

PEM (RFC 7468), DER, PKCS#7 of certificates alone (RFC 5652, RFC 8551 3.8), PKCS#12 (RFC 7292), private keys as PKCS#8
(RFC 5958) or in OpenSSL's older forms. Works on octets that were read already. Leaves out: CSRs, CRLs, JKS.
"""

from __future__ import annotations

import binascii
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from asn1crypto import algos, cms, keys, pkcs12
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from gateway.smime.certificate import Certificate, Identity, Unreadable, certificate, of, same_key

MAX_FILE: Final = 4 << 20  # Octets. A thousand certificates have two MiB.
MAX_CERTIFICATES: Final = 2000
MAX_KEYS: Final = 100
MAX_CHAIN: Final = 8  # Certificates above an identity's own that are kept.
MAX_ROUNDS: Final = 10_000_000  # Of a password's derivation: some ten seconds. Real files have 2,048 to 600,000.
MAX_SCRYPT: Final = 1 << 28  # Octets of memory that scrypt may ask for (RFC 7914 2: 128 * N * r).

RIGHT: Final = "a certificate as PEM or DER, a PKCS#7 or a PKCS#12 file"

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n?(.*?)-----END \1-----", re.DOTALL)
_CERTIFICATES = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE"})
_PKCS7 = frozenset({b"PKCS7", b"CMS"})
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_BARE = re.compile(rb"[A-Za-z0-9+/=\s]+")
_KINDS = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
    x25519.X25519PrivateKey,
    x448.X448PrivateKey,
)


@dataclass(frozen=True, slots=True)
class Holding:
    """What was found, each certificate once and in the file's order. `certificates`: those without a key of ours that
    are not part of an identity's chain either.
    """

    certificates: tuple[Certificate, ...]
    identities: tuple[Identity, ...] = field(default=(), repr=False)

    @property
    def all(self) -> tuple[Certificate, ...]:
        """Every certificate that mail may be encrypted for or signed with: of identities first."""
        return (*(one.certificate for one in self.identities), *self.certificates)


def read(octets: bytes, password: str | None = None) -> Holding:
    """What the file's octets hold. Raises Unreadable, whose words hold nothing of a key or a password. Blocks: a
    password's derivation may take seconds.
    """
    if len(octets) > MAX_FILE:
        raise Unreadable(f"{len(octets)} octets", f"a file of at most {MAX_FILE}")
    if not octets.strip():
        raise Unreadable("an empty file", RIGHT)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of BER in PKCS#12, of odd serial numbers: real files have both.
        found, private = _Pile(), []
        for part in _parts(octets):
            private += _take(found, part, password)
            if len(found.certificates) > MAX_CERTIFICATES:
                raise Unreadable(f"more than {MAX_CERTIFICATES} certificates", "fewer in one file")
            if len(private) > MAX_KEYS:
                raise Unreadable(f"more than {MAX_KEYS} private keys", "fewer in one file")
    return _joined(list(found.certificates.values()), private)


@dataclass(frozen=True, slots=True)
class _Part:
    """`label`: of a PEM block; b"" for DER. `octets`: of a PEM block the whole, with an old key's headers."""

    label: bytes
    octets: bytes = field(repr=False)


@dataclass(slots=True)
class _Pile:
    certificates: dict[bytes, Certificate] = field(default_factory=dict)

    def add(self, one: Certificate) -> None:
        self.certificates.setdefault(one.der, one)

    def number(self) -> int:
        return len(self.certificates) + 1


def _parts(octets: bytes) -> Iterator[_Part]:
    if b"-----BEGIN " in octets:
        any_ = False
        for match in _BLOCK.finditer(octets):
            any_ = True
            yield _Part(match[1], match[0])
        if not any_:
            raise Unreadable("a PEM block without its end", "whole blocks, from BEGIN to END")
        return
    if octets.lstrip()[:1] == b"M" and _BARE.fullmatch(octets):  # Some authorities send base64 without its frame.
        octets = _decoded(octets)  # A SEQUENCE of more than 127 octets begins with 0x30 0x8., in base64 with an M.
    yield _Part(b"", octets)


def _take(found: _Pile, part: _Part, password: str | None) -> list[PrivateKeyTypes]:
    """Add the certificates of a part to those found; its private keys."""
    if part.label == b"":
        return _take_der(found, part.octets, password)
    if part.label in _CERTIFICATES:
        found.add(_numbered(_inside(part), found.number()))
    elif part.label in _PKCS7:
        _take_pkcs7(found, _inside(part))
    elif part.label == b"PKCS12":
        return _take_pkcs12(found, _inside(part), password)
    elif part.label.endswith(b"PRIVATE KEY"):
        if part.label == b"ENCRYPTED PRIVATE KEY":
            _check_rounds(_inside(part))
        return [_key(lambda secret: load_pem_private_key(part.octets, secret), password, b"ENCRYPTED" in part.octets)]
    elif part.label == b"TRUSTED CERTIFICATE":
        raise Unreadable("a TRUSTED CERTIFICATE block", "a CERTIFICATE block: openssl x509 -in FILE makes one of it")
    # Anything else, such as EC PARAMETERS, says nothing that is wanted here.
    return []


def _take_der(found: _Pile, octets: bytes, password: str | None) -> list[PrivateKeyTypes]:
    start = _content(octets)
    if start is None:
        raise Unreadable("neither PEM nor DER", RIGHT)
    if octets.startswith(b"\x02\x01\x03", start):
        return _take_pkcs12(found, octets, password)
    if octets.startswith(_SIGNED_DATA, start):
        _take_pkcs7(found, octets)
        return []
    if octets[start : start + 1] == b"\x02":  # A version in front: PKCS#8, or the older forms of RSA and EC keys.
        return [_key(lambda secret: load_der_private_key(octets, secret), password, encrypted=False)]
    if _is_encrypted_key(octets):
        _check_rounds(octets)
        return [_key(lambda secret: load_der_private_key(octets, secret), password, encrypted=True)]
    found.add(certificate(octets))
    return []


def _take_pkcs7(found: _Pile, octets: bytes) -> None:
    try:
        info = cms.ContentInfo.load(octets)
        if info["content_type"].native != "signed_data":
            raise Unreadable(f"a PKCS#7 file of {info['content_type'].native}", "one of certificates (.p7b, .p7c)")
        choices = info["content"]["certificates"] or ()
        inside = [one.chosen.dump() for one in choices if one.name == "certificate"]
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001 - whatever hostile octets set off
        raise Unreadable("a damaged PKCS#7 file", "a whole one") from error
    if not inside:
        raise Unreadable("a PKCS#7 file without certificates", "one of certificates (.p7b, .p7c)")
    if len(inside) > MAX_CERTIFICATES:
        raise Unreadable(f"more than {MAX_CERTIFICATES} certificates", "fewer in one file")
    for der in inside:
        found.add(_numbered(der, found.number()))


def _take_pkcs12(found: _Pile, octets: bytes, password: str | None) -> list[PrivateKeyTypes]:
    shrouded = _shrouded_keys(octets)
    try:
        bag = load_pkcs12(octets, None if password is None else password.encode())
    except UnsupportedAlgorithm as error:
        raise Unreadable("a PKCS#12 file in a cipher that is not known here", _NEW_PKCS12) from error
    except (ValueError, TypeError) as error:
        if password is None:
            raise Unreadable("a PKCS#12 file and no password", _STDIN) from error
        raise Unreadable("a PKCS#12 file that this password does not open, or that is damaged", _STDIN) from error
    except Exception as error:  # noqa: BLE001 - whatever hostile octets set off
        raise Unreadable("a damaged PKCS#12 file", "a whole one") from error
    for one in (bag.cert, *bag.additional_certs):
        if one is not None:
            try:
                found.add(of(one.certificate))
            except Unreadable:
                raise
            except Exception as error:  # noqa: BLE001
                raise Unreadable(f"a damaged certificate in a PKCS#12 file ({error})", "a whole one") from error
    if len(shrouded) < 2:
        return [] if bag.key is None else [_known(bag.key)]
    # One key to sign and one to decrypt in the same file; the library reads the first alone.
    return [
        _key(lambda secret, one=one: load_der_private_key(one, secret), password, encrypted=True) for one in shrouded
    ]


_STDIN: Final = "the file's own password, on standard input (--password-stdin)"
_NEW_PKCS12: Final = "one in AES-256: openssl pkcs12 -export makes it"


def _key(load: Any, password: str | None, encrypted: bool) -> PrivateKeyTypes:
    if encrypted and password is None:
        raise Unreadable("an encrypted private key and no password", _STDIN)
    try:
        return _known(load(password.encode() if encrypted and password is not None else None))
    except UnsupportedAlgorithm as error:
        raise Unreadable(
            "a private key of a kind that is not known here", "RSA, or one on an elliptic curve"
        ) from error
    except Unreadable:
        raise
    except Exception as error:  # The library's words hold no key, but who knows about tomorrow's.
        what = "that this password does not open, or that is damaged" if encrypted else "that is damaged"
        raise Unreadable(f"a private key {what}", _STDIN if encrypted else "a whole one") from error


def _known(key: Any) -> PrivateKeyTypes:
    if not isinstance(key, _KINDS):
        raise Unreadable("a private key that S/MIME does not use", "RSA, or one on an elliptic curve")
    return key


def _joined(certificates: list[Certificate], private: list[PrivateKeyTypes]) -> Holding:
    """Each key with its certificates: a key may have several, an old one and its successor."""
    identities = []
    for key in private:
        mine = [one for one in certificates if same_key(one, key)]
        if not mine:
            raise Unreadable("a private key without its certificate", "both in one file, or a PKCS#12 file")
        identities += [Identity(one, key, _chain(one, certificates)) for one in mine]
    taken = {one.certificate for one in identities} | {above for one in identities for above in one.chain}
    rest = [one for one in certificates if one not in taken and not (identities and _is_anchor(one))]
    if not rest and not identities:
        raise Unreadable("no certificate", RIGHT)
    unique = {one.certificate: one for one in reversed(identities)}
    return Holding(tuple(rest), tuple(reversed(unique.values())))


def _chain(leaf: Certificate, others: Iterable[Certificate]) -> tuple[Certificate, ...]:
    """What stands above it in the same file, as far as names say; an anchor is left out, nobody needs to be sent it."""
    by_subject: dict[bytes, Certificate] = {}
    for one in others:
        if one.is_ca:
            by_subject.setdefault(one.subject_der, one)
    found: list[Certificate] = []
    here = leaf
    while len(found) < MAX_CHAIN and not here.is_self_issued:
        above = by_subject.get(here.issuer_der)
        if above is None or above in found or above.is_self_issued:
            break
        found.append(above)
        here = above
    return tuple(found)


def _is_anchor(one: Certificate) -> bool:
    return one.is_ca and one.is_self_issued


def _numbered(der: bytes, number: int) -> Certificate:
    try:
        return certificate(der)
    except Unreadable as fault:
        raise Unreadable(f"{fault.found}, the file's number {number}", fault.right) from fault


def _inside(part: _Part) -> bytes:
    """The octets of a PEM block without its frame; headers in front (RFC 1421) are passed over."""
    body = part.octets.split(b"\n", 1)[-1].rpartition(b"-----END")[0]
    if b":" in body:
        body = re.split(rb"\r?\n\r?\n", body, maxsplit=1)[-1]
    return _decoded(body)


def _decoded(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except ValueError as error:
        raise Unreadable("damaged base64", "a whole file") from error


def _content(octets: bytes) -> int | None:
    """Where the content of the outermost SEQUENCE begins; None where there is none."""
    if len(octets) < 4 or octets[0] != 0x30:
        return None
    return 2 if octets[1] <= 0x80 else 2 + (octets[1] & 0x7F)


def _is_encrypted_key(octets: bytes) -> bool:
    """Whether it is an EncryptedPrivateKeyInfo (RFC 5958 3): an algorithm and an octet string, no more."""
    try:
        outer = keys.EncryptedPrivateKeyInfo.load(octets)
        return bool(outer["encryption_algorithm"]["algorithm"].dotted and outer["encrypted_data"].native)
    except Exception:  # noqa: BLE001
        return False


def _check_rounds(octets: bytes) -> None:
    """Refuse a derivation that would take minutes, before it begins. Raises Unreadable."""
    try:
        _check_derivation(keys.EncryptedPrivateKeyInfo.load(octets)["encryption_algorithm"])
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001
        raise Unreadable("a damaged encrypted private key", "a whole one") from error


def _shrouded_keys(octets: bytes) -> list[bytes]:
    """The encrypted private keys of a PKCS#12 file (PKCS8ShroudedKeyBag, RFC 7292 4.2.2), those that themselves lie in
    something encrypted left out. Raises Unreadable, also for a derivation that would take minutes.
    """
    found = []
    try:
        pfx = pkcs12.Pfx.load(octets)
        if pfx["mac_data"]:
            _check_number(pfx["mac_data"]["iterations"].native)
        for info in pfx.authenticated_safe:
            if info["content_type"].native == "encrypted_data":
                _check_derivation(info["content"]["encrypted_content_info"]["content_encryption_algorithm"])
            elif info["content_type"].native == "data":
                for bag in pkcs12.SafeContents.load(info["content"].native):
                    if bag["bag_id"].native == "pkcs8_shrouded_key_bag":
                        _check_derivation(bag["bag_value"]["encryption_algorithm"])
                        found.append(bag["bag_value"].untag().dump())
    except Unreadable:
        raise
    except Exception as error:  # noqa: BLE001
        raise Unreadable("a damaged PKCS#12 file", "a whole one") from error
    if len(found) > MAX_KEYS:
        raise Unreadable(f"more than {MAX_KEYS} private keys", "fewer in one file")
    return found


def _check_derivation(algorithm: algos.EncryptionAlgorithm) -> None:
    parameters: Any = algorithm["parameters"]
    if algorithm["algorithm"].native != "pbes2":
        rounds = parameters.native.get("iterations") if isinstance(parameters.native, dict) else None
        return _check_number(rounds or 0)
    function = parameters["key_derivation_func"]
    if function["algorithm"].native == "pbkdf2":
        return _check_number(function["parameters"]["iteration_count"].native)
    # What else there is, is scrypt (RFC 7914 7): salt, cost, block size, parallelisation.
    terms: list[Any] = list(function["parameters"].native.values())
    if 128 * terms[1] * terms[2] * terms[3] > MAX_SCRYPT:
        raise Unreadable("a password's derivation that asks for too much memory", f"at most {MAX_SCRYPT} octets")
    return None


def _check_number(rounds: int) -> None:
    if rounds > MAX_ROUNDS:
        raise Unreadable(f"a password's derivation of {rounds} rounds", f"at most {MAX_ROUNDS}")
