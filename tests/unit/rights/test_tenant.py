"""Versions of the tenant key, and the tenant key out of files."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_curve_key
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from gateway.rights.pem_tenant import MAX_FILE, PemTenant
from gateway.rights.tenant import Mode, TenantDenied, tenant_version
from tests.fakes.rights import pem, private_key


def test_a_version_is_named_by_its_public_key() -> None:
    public = private_key().public_key()
    version = tenant_version(public, 3)
    info = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert version.guid == UUID(bytes=sha256(info).digest()[:16])
    assert (version.number, version.mode, version.modulus) == (3, Mode.MODE_2, public.public_numbers().n)
    assert tenant_version(private_key(1024).public_key(), 1).mode is Mode.MODE_1


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1536 bits; right would be 2048 to 4096"):
        tenant_version(private_key(1536).public_key(), 1)


def test_the_first_key_of_mode_2_seals_and_all_open() -> None:
    tenant = PemTenant([pem(1024), pem(), pem(number=2), pem()])
    assert tenant.current.modulus == tenant_version(private_key().public_key(), 1).modulus
    for bits, number in ((1024, 1), (2048, 1), (2048, 2)):
        public = private_key(bits, number).public_key()
        version = tenant.find(public.public_numbers().n)
        assert version is not None
        assert tenant.unseal(version, public.encrypt(b"key", version.mode.oaep)) == b"key"
    assert tenant.find(12345) is None


def test_it_signs_with_sha_256() -> None:
    tenant = PemTenant([pem()])
    private_key().public_key().verify(tenant.sign(tenant.current, b"data"), b"data", PKCS1v15(), SHA256())


def test_what_was_not_sealed_to_it_does_not_open() -> None:
    tenant = PemTenant([pem()])
    with pytest.raises(ValueError):
        tenant.unseal(tenant.current, bytes(256))


def test_without_a_key_of_mode_2_nothing_can_be_sealed() -> None:
    for tenant in (PemTenant([]), PemTenant([pem(1024)])):
        with pytest.raises(TenantDenied, match="no tenant key to seal with"):
            _ = tenant.current


def test_a_version_of_somebody_else_is_denied() -> None:
    with pytest.raises(TenantDenied):
        PemTenant([pem()]).sign(tenant_version(private_key(number=2).public_key(), 1), b"data")


def test_what_is_no_key_is_refused_in_words_that_hold_nothing_of_it() -> None:
    locked = private_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    curve = generate_curve_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for octets in (b"", b"abc", locked, curve, public, pem()[:-100], pem(1536), bytes(MAX_FILE + 1)):
        with pytest.raises(ValueError, match="right would be") as caught:
            PemTenant([octets])
        lines = octets.decode("latin-1").splitlines()
        assert not any(line in str(caught.value) for line in lines if len(line) > 10)


def test_no_key_is_shown() -> None:
    assert "PRIVATE" not in repr(PemTenant([pem()]))
