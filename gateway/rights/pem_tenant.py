"""A tenant key out of files: for `gateway rights open --tenant-key`, for archived keys, and for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.mail.digest import Hashed
from gateway.rights.tenant import Mode, TenantDenied, TenantVersion, tenant_version

MAX_FILE: Final = 64 * 1024  # Octets; an RSA key of 4,096 bits has 3 KiB.
RIGHT: Final = "an RSA private key as PEM, of 2,048 to 4,096 bits (or of 1,024 to open old mail), without a password"


class PemTenant:
    """Private keys as PEM (RFC 7468), the newest first. One of 1,024 bits is an archived one of Mode 1.

    `pems` are the octets of the files. Raises ValueError, in words for whoever named the file, for what is no such key.
    """

    def __init__(self, pems: Iterable[bytes]) -> None:
        self._versions: list[TenantVersion] = []
        self._keys: dict[int, RSAPrivateKey] = {}
        for pem in pems:
            self._add(_private_key(pem))

    @property
    def is_local(self) -> bool:
        """Always."""
        return True

    @property
    def current(self) -> TenantVersion:
        for version in self._versions:
            if version.mode is Mode.MODE_2:
                return version
        raise TenantDenied(f"there is no tenant key to seal with; right would be {RIGHT}")

    def find(self, modulus: int) -> TenantVersion | None:
        return next((version for version in self._versions if version.modulus == modulus), None)

    def sign(self, version: TenantVersion, data: bytes | Hashed) -> bytes:
        hashed = data if isinstance(data, Hashed) else Hashed.of(data)
        return self._key(version).sign(hashed.sha256, PKCS1v15(), Prehashed(SHA256()))

    def unseal(self, version: TenantVersion, octets: bytes) -> bytes:
        return self._key(version).decrypt(octets, version.mode.oaep)

    def _add(self, key: RSAPrivateKey) -> None:
        version = tenant_version(key.public_key(), len(self._versions) + 1)
        if version.modulus not in self._keys:
            self._versions.append(version)
            self._keys[version.modulus] = key

    def _key(self, version: TenantVersion) -> RSAPrivateKey:
        key = self._keys.get(version.modulus)
        if key is None:
            raise TenantDenied(f"the tenant key {version.guid} is not among these files")
        return key


def _private_key(pem: bytes) -> RSAPrivateKey:
    if len(pem) > MAX_FILE:
        raise ValueError(f"a file of {len(pem)} octets; right would be {RIGHT}")
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"no private key that can be read; right would be {RIGHT}") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(f"a private key that is none of RSA; right would be {RIGHT}")
    return key
