"""The custodian's order: a signed JSON file by which a policy may be destroyed, or its custodian replaced.

    {"order": {"version": 1, "action": "purge", "policy": NAME, "policy_id": NUMBER, "made": TIME, "nonce": HEX, ...},
     "signature": BASE64}

Signed are the octets of "order" as JSON with sorted keys and no white space (the form of RFC 8785, of texts and
integers alone), by Ed25519 (RFC 8032), RSA PKCS #1 v1.5 with SHA-256 (RFC 8017 8.2), or ECDSA with SHA-256 (FIPS
186-5). Made on the custodian's own machine, which needs neither settings nor a gateway; pure.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from gateway.mailboxes.faults import PolicyRefused
from gateway.world.chance import Chance
from gateway.world.clock import rfc3339

VERSION: Final = 1
PURGE: Final = "purge"
CUSTODIAN: Final = "custodian"  # Another custodian is to take this one's place.
MAX_OCTETS: Final = 64 * 1024  # Of an order or a key's file.
LEAST_RSA: Final = 2048  # Bits.
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
_KINDS: Final = "an Ed25519, RSA (2,048 bits or more) or EC key (P-256, P-384, P-521) in PEM"

PrivateKey = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = ed25519.Ed25519PublicKey | rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Locked(PolicyRefused):
    """The private key lies under a passphrase, and none was given or it is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a custodian has ordered. `made`: seconds since 1970; `policy_id`: the policy's id, None where the order has
    it by name alone; `custodian`: of CUSTODIAN, the fingerprint of the key that takes the place of that which signed.
    """

    action: str
    policy: str
    made: float
    nonce: str
    policy_id: int | None = None
    custodian: str | None = None


def make_order(
    action: str,
    policy: str,
    pem: bytes,
    *,
    policy_id: int | None = None,
    passphrase: bytes | None = None,
    successor: bytes | None = None,
    now: float,
    chance: Chance,
) -> bytes:
    """The order as a file, signed by the private key in `pem`. `policy_id` binds it to this one policy, whatever others
    are called; `successor`: for CUSTODIAN, the new public key's PEM.

    Raises PolicyRefused, Locked.
    """
    key = _private(pem, passphrase)
    said: dict[str, Any] = {
        "version": VERSION,
        "action": action,
        "policy": policy,
        "made": rfc3339(now),
        "nonce": chance.octets(16).hex(),
    }
    if policy_id is not None:
        said["policy_id"] = policy_id
    if successor is not None:
        said["custodian"] = fingerprint(successor)
    file = {"order": said, "signature": b64encode(_sign(key, _canonical(said))).decode()}
    return orjson.dumps(file, option=orjson.OPT_INDENT_2) + b"\n"


def read_order(octets: bytes, custodian: bytes) -> Order:
    """The order in a file, signed by the key whose PEM is `custodian`. Raises PolicyRefused where it is not."""
    if len(octets) > MAX_OCTETS:
        raise PolicyRefused(f"the order is longer than {MAX_OCTETS} octets: it is another file")
    right = "right would be a file that gateway policy order has made"
    try:
        file = orjson.loads(octets)
        said, signature = file["order"], b64decode(file["signature"], validate=True)
    except (orjson.JSONDecodeError, KeyError, TypeError, BadBase64, ValueError):
        raise PolicyRefused(f"the order can't be read; {right}") from None
    if not isinstance(said, dict) or not all(isinstance(value, str | int) for value in said.values()):
        raise PolicyRefused(f"the order can't be read; {right}")
    try:
        _verify(_public(custodian), signature, _canonical(said))
    except InvalidSignature:
        raise PolicyRefused(
            "the order is not signed by this policy's custodian, or was changed since; right would be one that is "
            f"signed with the private key to {fingerprint(custodian)} (SHA-256 of the public key)"
        ) from None
    return _told(said)


def is_by_name(octets: bytes) -> bool:
    """Whether an order that `read_order` has taken leaves out the policy's id: then it fits another gateway's too."""
    return "policy_id" not in orjson.loads(octets)["order"]


def fingerprint(pem: bytes) -> str:
    """SHA-256 of a public key (SubjectPublicKeyInfo, RFC 5280 4.1), in hex. Raises PolicyRefused for what is none."""
    return sha256(_public(pem).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def public_pem(pem: bytes) -> bytes:
    """The public key in `pem` in the one form in which it is kept. Raises PolicyRefused for what is none."""
    return _public(pem).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _told(said: dict[str, Any]) -> Order:
    if said.get("version") != VERSION:
        raise PolicyRefused(f"the order has the version {said.get('version')}, which a newer gateway has made")
    try:
        made = datetime.fromisoformat(str(said["made"])).timestamp()
        order = Order(
            action=str(said["action"]),
            policy=str(said["policy"]),
            made=made,
            nonce=str(said["nonce"]),
            policy_id=None if "policy_id" not in said else int(said["policy_id"]),
            custodian=None if "custodian" not in said else str(said["custodian"]),
        )
    except (KeyError, ValueError, OverflowError):
        raise PolicyRefused("the order lacks what it has to say; right would be one of gateway policy order") from None
    if order.action not in (PURGE, CUSTODIAN):
        raise PolicyRefused(f"the order is for {order.action!r}, which is not known here")
    return order


def _canonical(said: dict[str, Any]) -> bytes:
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def _private(pem: bytes, passphrase: bytes | None) -> PrivateKey:
    try:
        key = load_pem_private_key(pem, passphrase)
    except TypeError:
        raise Locked("the private key lies under a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        if passphrase is not None:
            raise Locked("the passphrase does not open the private key") from None
        raise PolicyRefused(f"the file holds no private key that can be read; right would be {_KINDS}") from None
    if isinstance(key, PrivateKey):
        _judge(key.public_key())
        return key
    raise PolicyRefused(f"the private key is of a kind that is not taken; right would be {_KINDS}")


def _public(pem: bytes) -> PublicKey:
    if len(pem) > MAX_OCTETS:
        raise PolicyRefused(f"the custodian's key is longer than {MAX_OCTETS} octets: it is another file")
    if b"PRIVATE KEY" in pem:
        raise PolicyRefused(
            "the file holds a private key, which belongs to the custodian alone; right would be its public key "
            "(openssl pkey -in KEY.pem -pubout)"
        )
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise PolicyRefused(
            f"the custodian's file holds no public key; right would be the public key of {_KINDS}"
        ) from None
    if isinstance(key, PublicKey):
        _judge(key)
        return key
    raise PolicyRefused(f"the custodian's key is of a kind that is not taken; right would be {_KINDS}")


def _judge(key: PublicKey) -> None:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < LEAST_RSA:
        raise PolicyRefused(f"the custodian's RSA key has {key.key_size} bits; right would be {LEAST_RSA} or more")
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        raise PolicyRefused(f"the custodian's EC key is of the curve {key.curve.name}; right would be {_KINDS}")


def _sign(key: PrivateKey, octets: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(octets)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(octets, padding.PKCS1v15(), SHA256())
    return key.sign(octets, ec.ECDSA(SHA256()))


def _verify(key: PublicKey, signature: bytes, octets: bytes) -> None:
    """Raises InvalidSignature."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, octets)
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, octets, padding.PKCS1v15(), SHA256())
    else:
        key.verify(signature, octets, ec.ECDSA(SHA256()))
