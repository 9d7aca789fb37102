"""What a vault signs about the key-access log: a head says how far the chain had come, a start what was removed.

A statement is one JSON object in one form. It is signed as it stands, by the key `access-log` of a vault: Ed25519
(RFC 8032), ECDSA P-256 with SHA-256 (FIPS 186-5), or RSA PKCS #1 v1.5 with SHA-256 (RFC 8017 8.2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.world.clock import rfc3339

KEY: Final = "access-log"  # The name of the key in its vault.
MAX_OCTETS: Final = 16_384  # Of a head as it stands in a file.
_MEMBERS: Final = {"v", "kind", "line", "hash", "time"}
_VERSION: Final = 1


class Kind(StrEnum):
    """What a statement says."""

    HEAD = "head"  # The chain had come to `line`.
    START = "start"  # What comes up to `line` was removed, as it was too old.


_NAMES: Final = {Kind.HEAD: "gateway key log head", Kind.START: "gateway key log start"}


class BadHead(ValueError):
    """It is no statement about the log, or nobody whom we trust signed it. The text says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """A statement with its signature. `hash` is that of `line`, `vault`, `key` and `version` name the signer.

    `public_key` (SubjectPublicKeyInfo, DER) goes with a head that is kept beside the vault, for whoever can't open it.

    `time`: RFC 3339 in UTC.
    """

    kind: Kind
    line: int
    hash: bytes
    time: str
    statement: bytes
    vault: str
    key: str
    version: int
    signature: bytes
    public_key: bytes | None = field(default=None, compare=False)

    @property
    def signer(self) -> str:
        """Whose signature it is, in words."""
        return f"{self.vault}/{self.key} version {self.version}"

    def told(self) -> dict[str, Any]:
        """As a JSON value, which `from_told` reads."""
        told = {
            "statement": self.statement.decode("ascii"),
            "vault": self.vault,
            "key": self.key,
            "version": self.version,
            "signature": base64.b64encode(self.signature).decode("ascii"),
        }
        if self.public_key is not None:
            told["public_key"] = base64.b64encode(self.public_key).decode("ascii")
        return told


def statement(kind: Kind, line: int, hash_: bytes, time: float) -> bytes:
    """The octets that are signed."""
    facts = {"v": _VERSION, "kind": _NAMES[kind], "line": line, "hash": hash_.hex(), "time": rfc3339(time)}
    return orjson.dumps(facts)


def head_of(octets: bytes, vault: str, key: str, version: int, signature: bytes) -> Head:
    """The head whose statement `octets` is; nothing is said of its signature. Raises BadHead."""
    try:
        found = orjson.loads(octets)
    except ValueError:
        raise BadHead("its statement is no JSON") from None
    if not isinstance(found, dict) or set(found) != _MEMBERS or type(found["v"]) is not int or found["v"] != _VERSION:
        raise BadHead("its statement has another form: a newer gateway wrote it, or it is damaged")
    kind = next((kind for kind, name in _NAMES.items() if name == found["kind"]), None)
    line, time = found["line"], found["time"]
    if kind is None or type(line) is not int or line < 0 or not isinstance(time, str) or not octets.isascii():
        raise BadHead("its statement has members that it can't have")
    try:
        hash_ = bytes.fromhex(found["hash"])
    except (ValueError, TypeError):
        hash_ = b""
    if len(hash_) != 32:
        raise BadHead("its statement has no hash of 32 octets")
    return Head(kind, line, hash_, time, octets, vault, key, version, signature)


def from_told(found: object) -> Head:
    """The head that `Head.told` told. Raises BadHead."""
    if not isinstance(found, dict):
        raise BadHead("it is no JSON object")
    texts = [found.get(name) for name in ("statement", "vault", "key", "signature")]
    texts.append(found.get("public_key", ""))
    version = found.get("version")
    if not all(isinstance(text, str) for text in texts) or type(version) is not int:
        raise BadHead("it lacks statement, vault, key, version or signature")
    said, vault, key, encoded, public = (str(text) for text in texts)
    try:
        signature = base64.b64decode(encoded, validate=True)
        public_key = base64.b64decode(public, validate=True) or None
        octets = said.encode("ascii")
    except (binascii.Error, ValueError):
        raise BadHead("its statement or signature is damaged") from None
    return replace(head_of(octets, vault, key, version, signature), public_key=public_key)


def fingerprint(public_key: bytes) -> str:
    """SHA-256 of a public key's DER, in hex."""
    return hashlib.sha256(public_key).hexdigest()


def check(head: Head, public_key: bytes) -> None:
    """Raises BadHead where `public_key` (SubjectPublicKeyInfo, DER) does not verify the signature."""
    try:
        key = load_der_public_key(public_key)
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(head.signature, head.statement)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(head.signature, head.statement, ec.ECDSA(SHA256()))
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(head.signature, head.statement, padding.PKCS1v15(), SHA256())
        else:
            raise BadHead("its key is of a type that signs no log")
    except InvalidSignature:
        raise BadHead(f"the signature by {head.signer} does not fit it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadHead(f"the public key of {head.signer} can't be read") from None
