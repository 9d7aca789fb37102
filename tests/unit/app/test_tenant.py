"""The tenant key in a vault: its versions seal and open, archived keys open, and what fails says whether it passes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.app.tenant import LOOK, VaultTenant, ensure_tenant, tenant_name
from gateway.keys.rotation import RootName
from gateway.keys.vault import KeyType
from gateway.rights.pem_tenant import PemTenant
from gateway.rights.tenant import Mode, TenantAway, TenantDenied
from gateway.settings.load import loaded
from tests.fakes.vault import FakeVault

NAME = RootName("main", "tenant")


class Bench:
    """A vault with a tenant key, and a clock that only the test moves."""

    def __init__(self) -> None:
        self.vault = FakeVault()
        self.now = 1000.0
        assert ensure_tenant({"main": self.vault}, NAME)

    def tenant(self, archive: PemTenant | None = None) -> VaultTenant:
        return VaultTenant({"main": self.vault}, NAME, monotonic=lambda: self.now, archive=archive)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_the_key_is_made_once(bench: Bench) -> None:
    assert not ensure_tenant({"main": bench.vault}, NAME)
    (key,) = [key for key in bench.vault.keys() if key.name == "tenant"]
    assert (key.type, key.newest) == (KeyType.RSA_2048, 1)


def test_what_it_signs_and_unseals_is_the_current_version_s(bench: Bench) -> None:
    tenant = bench.tenant()
    version = tenant.current
    assert (version.number, version.mode) == (1, Mode.MODE_2)
    version.public_key.verify(tenant.sign(version, b"data"), b"data", padding.PKCS1v15(), SHA256())
    assert tenant.unseal(version, version.public_key.encrypt(b"key", Mode.MODE_2.oaep)) == b"key"
    assert tenant.find(version.modulus) == version
    assert tenant.find(version.modulus + 2) is None
    with pytest.raises(ValueError, match="does not open"):
        tenant.unseal(version, bytes(256))


def test_after_a_rotation_the_new_version_seals_and_the_old_one_still_opens(bench: Bench) -> None:
    tenant = bench.tenant()
    old = tenant.current
    sealed = old.public_key.encrypt(b"key", Mode.MODE_2.oaep)
    bench.vault.rotate("tenant")
    assert tenant.current == old  # For as long as it was not looked for.
    bench.now += LOOK
    new = tenant.current
    assert (new.number, new.modulus != old.modulus) == (2, True)
    assert tenant.find(old.modulus) == old
    assert tenant.unseal(old, sealed) == b"key"
    with pytest.raises(ValueError, match="does not open"):
        tenant.unseal(new, sealed)


def test_a_version_that_another_process_has_made_is_looked_for_at_once(bench: Bench) -> None:
    here, there = bench.tenant(), bench.tenant()
    assert here.current.number == 1
    bench.vault.rotate("tenant")
    bench.now += 2.0
    assert there.current.number == 2
    assert here.find(there.current.modulus) == there.current


def test_an_archived_key_opens_and_signs_nothing(bench: Bench) -> None:
    key = rsa.generate_private_key(65537, 2048)
    tenant = bench.tenant(PemTenant([pem(key)]))
    version = tenant.find(key.public_key().public_numbers().n)
    assert version is not None
    assert tenant.unseal(version, version.public_key.encrypt(b"old", Mode.MODE_2.oaep)) == b"old"
    with pytest.raises(TenantDenied, match="archived"):
        tenant.sign(version, b"data")
    assert tenant.current.modulus != version.modulus
    bench.vault.away = True
    bench.now += LOOK
    fresh = bench.tenant(PemTenant([pem(key)]))
    assert fresh.find(version.modulus) == version  # The archive asks no vault.


@pytest.mark.parametrize(("switch", "kind"), [("away", TenantAway), ("broken", TenantAway), ("denied", TenantDenied)])
def test_what_a_vault_can_t_do_passes_or_does_not(bench: Bench, switch: str, kind: type[Exception]) -> None:
    tenant = bench.tenant()
    version = tenant.current
    setattr(bench.vault, switch, True)
    bench.now += LOOK
    assert tenant.current == version  # Known from before; what it is used for says no.
    with pytest.raises(kind):
        tenant.sign(version, b"data")
    if switch != "broken":
        with pytest.raises(kind):
            tenant.unseal(version, bytes(256))
    with pytest.raises(kind):
        _ = bench.tenant().current


def test_a_key_that_is_missing_of_another_type_disabled_or_deleted_says_what_is_right(bench: Bench) -> None:
    bench.vault.create("signer", KeyType.ED25519)
    vaults = {"main": bench.vault}
    for name, word in (("signer", "rsa-2048"), ("other", "key create main/other")):
        with pytest.raises(TenantDenied, match=word):
            _ = VaultTenant(vaults, RootName("main", name), monotonic=lambda: 0.0).current
    with pytest.raises(TenantDenied, match="no vault 'none'"):
        _ = VaultTenant(vaults, RootName("none", "tenant"), monotonic=lambda: 0.0).current
    bench.vault.disable("tenant")
    with pytest.raises(TenantDenied, match="disabled"):
        _ = bench.tenant().current
    bench.vault.delete("tenant", 2_000_000_000.0)
    with pytest.raises(TenantDenied, match="deleted"):
        _ = bench.tenant().current


def test_a_vault_that_would_not_open_what_is_sealed_seals_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeVault, "decrypt", lambda *_, **__: b"something else")
    with pytest.raises(TenantDenied, match="does not open what is sealed"):
        _ = bench.tenant().current


def test_it_is_neither_shown_nor_pickled(bench: Bench) -> None:
    assert repr(bench.tenant()) == "VaultTenant(main/tenant)"
    with pytest.raises(TypeError):
        pickle.dumps(bench.tenant())


def test_the_key_is_named_by_the_settings_or_lies_in_the_first_vault(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    listener = '[[listeners]]\nlisten = "127.0.0.1:2525"\n'
    path.write_text(listener)
    assert tenant_name(loaded(path)) == NAME
    path.write_text(f'{listener}[rights]\ntenant_key = "other/rms"\n')
    assert tenant_name(loaded(path)) == RootName("other", "rms")


def test_sealing_waits_for_nobody_once_a_local_vault_was_asked_and_not_for_long(bench: Bench) -> None:
    tenant = bench.tenant()
    assert not tenant.is_local, "nobody has asked yet"
    _ = tenant.current
    assert tenant.is_local is bench.vault.is_local
    bench.now += LOOK
    assert not tenant.is_local
