"""The certificate of destruction: what was destroyed, by whose order, what is left elsewhere; signed by a vault.

A text in JSON, a signature beside it and the public key, so that OpenSSL alone verifies it. The key `destruction`
signs: ECDSA P-256 with SHA-256 (FIPS 186-5), Ed25519 (RFC 8032), or RSA PKCS #1 v1.5 with SHA-256 (RFC 8017 8.2),
whichever its vault has. It is signed before the copies go, and kept by the transaction that destroys them: never one
without the other.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from gateway.keys.rotation import RootName
from gateway.keys.vault import Denied, KeyState, KeyType, Unavailable, Vault, VaultBroken
from gateway.storage.mailboxes.model import PolicyRow, WrappedCopy
from gateway.world.clock import rfc3339

KEY: Final = "destruction"  # The name of the key in its vault.
MOST_NAMED: Final = 10_000  # Addresses in one certificate; how many there are it always tells.
_TYPES: Final = (KeyType.EC_P256, KeyType.ED25519, KeyType.RSA_2048)


@dataclass(frozen=True, slots=True)
class Certificate:
    """`text` is what was signed, `public_key` PEM; `algorithm` is a `KeyType`."""

    text: bytes
    signature: bytes
    public_key: str
    algorithm: str

    def told(self) -> dict[str, Any]:
        """As JSON, which `of` reads."""
        return {
            "text": b64encode(self.text).decode(),
            "signature": b64encode(self.signature).decode(),
            "public_key": self.public_key,
            "algorithm": self.algorithm,
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Certificate:
        """What `told` gave."""
        return cls(b64decode(told["text"]), b64decode(told["signature"]), told["public_key"], told["algorithm"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Destruction:
    """What a certificate tells. Times are seconds since 1970; `roots` says by name why each root denied its use."""

    policy: PolicyRow
    ordered: float
    destroyed: float
    order: Mapping[str, Any]
    custodian: str
    reason: str | None
    contact: str | None
    by: str
    roots: Mapping[str, str]
    addresses: Sequence[str] = field(repr=False)
    backups: Sequence[Mapping[str, Any]]

    def text(self, signer: Mapping[str, Any]) -> bytes:
        """The certificate's text."""
        row = self.policy
        said = {
            "version": 1,
            "kind": "certificate of destruction",
            "policy": row.name,
            "policy_id": row.id,
            "created": rfc3339(row.created),
            "ordered": rfc3339(self.ordered),
            "destroyed": rfc3339(self.destroyed),
            "by": self.by,
            "reason": self.reason,
            "contact": self.contact,
            "custodian": self.custodian,
            "order": self.order,
            "roots": dict(self.roots),
            "destroyed_copies": [_copy(copy) for copy in row.copies],
            "mailboxes": {"count": len(self.addresses), "addresses": sorted(self.addresses)[:MOST_NAMED]},
            "backups": [dict(one) for one in self.backups],
            "elsewhere": "Backups that are named here, and any that were made without gateway backup, replicas and the "
            "database's own logs may hold copies that the named keys wrap. They open again if their owner allows a "
            "root's use once more, or to the availability key while neither root's vault answers; who destroys the "
            "roots in their vaults, or those backups, ends that.",
            "signer": dict(signer),
        }
        return orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n"


def certify(what: Destruction, vaults: Mapping[str, Vault]) -> Certificate:
    """The certificate, signed. Blocks; raises KeyFault where no vault signs."""
    vault, type_ = _signer(vaults.values())
    version = next(key.newest for key in vault.keys() if key.name == KEY)
    der = vault.public_key(KEY, version)
    signer = {"key": str(RootName(vault.name, KEY)), "version": version, "public_key_sha256": sha256(der).hexdigest()}
    text = what.text(signer)
    signature = vault.sign(KEY, text, version=version, about=f"destruction of policy {what.policy.name}")
    pem = load_der_public_key(der).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return Certificate(text, signature.octets, pem.decode("ascii"), type_.value)


def verify_line(algorithm: str, path: str) -> str:
    """The command by which OpenSSL verifies a certificate that lies at `path`, its signature and key beside it."""
    if algorithm == KeyType.ED25519:
        return f"openssl pkeyutl -verify -pubin -inkey {path}.pem -rawin -in {path} -sigfile {path}.sig"
    return f"openssl dgst -sha256 -verify {path}.pem -signature {path}.sig {path}"


def _signer(vaults: Iterable[Vault]) -> tuple[Vault, KeyType]:
    """The vault that holds the signing key, made where none does."""
    held = tuple(vaults)
    silent: list[str] = []
    for vault in held:
        try:
            found = next((key for key in vault.keys() if key.name == KEY and key.type.signs), None)
        except (Unavailable, VaultBroken) as fault:
            silent.append(str(fault))  # It may hold the key; but the purge shall not hang on a root's own vault.
            continue
        except Denied:
            continue
        if found is not None and found.state is KeyState.ENABLED:
            return vault, found.type
    for vault in held:
        for type_ in _TYPES:
            with suppress(Denied, Unavailable, VaultBroken):
                vault.create(KEY, type_)
                return vault, type_
    why = "; ".join(silent) or f"gateway key enable VAULT/{KEY} allows its use, where it is disabled"
    raise Unavailable(f"no vault signs the certificate of destruction: {why}")


def _copy(copy: WrappedCopy) -> dict[str, Any]:
    return {
        "kind": copy.kind.value,
        "key": f"{copy.vault}/{copy.key}",
        "key_version": copy.key_version,
        "sha256": sha256(copy.octets).hexdigest(),
    }
