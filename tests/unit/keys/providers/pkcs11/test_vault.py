"""The pkcs11 vault on SoftHSM2: what it wraps, signs, and how its keys live."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.keys.providers.pkcs11.vault import Pkcs11Vault
from gateway.keys.vault import Denied, KeyState, KeyType, KeyVersion, VaultBroken, VaultKey, Wrapped
from tests.fakes.clock import FakeClock
from tests.pkcs11 import Token

KEY = b"k" * 32
Opened = Callable[[], Pkcs11Vault]


def test_unwrap_gives_what_was_wrapped_in_another_process_too(opened: Opened, token: Token) -> None:
    opened().create("default", KeyType.AES_256)
    wrapped = opened().wrap("default", KEY, b"spool 1")
    assert (wrapped.vault, wrapped.root, wrapped.root_version) == ("main", "default", 1)
    assert wrapped.octets[:2] == b"\x02\x01"
    assert KEY not in wrapped.octets
    assert opened().unwrap(wrapped, b"spool 1") == KEY
    assert KEY not in token.octets()


def test_a_wrapped_key_opens_under_its_own_context_root_and_version_alone(vault: Pkcs11Vault) -> None:
    for name in ("default", "second"):
        vault.create(name, KeyType.AES_256)
    vault.rotate("default")
    wrapped = vault.wrap("default", KEY, b"spool 1")
    assert wrapped.root_version == 2
    with pytest.raises(VaultBroken):
        vault.unwrap(wrapped, b"trace 1")
    with pytest.raises(VaultBroken):
        vault.unwrap(Wrapped("main", "default", 1, wrapped.octets), b"spool 1")
    with pytest.raises(Denied, match="no version 3 of key 'default'"):
        vault.unwrap(Wrapped("main", "default", 3, wrapped.octets), b"spool 1")
    vault.rotate("second")
    with pytest.raises(VaultBroken):
        vault.unwrap(Wrapped("main", "second", 2, wrapped.octets), b"spool 1")
    assert vault.unwrap(wrapped, b"spool 1") == KEY


def test_every_flipped_octet_of_a_wrapped_key_is_found(vault: Pkcs11Vault) -> None:
    # SoftHSM2 answers a wrapped key that does not open with CKR_GENERAL_ERROR, as it answers trouble of its own.
    vault.create("default", KeyType.AES_256)
    wrapped = vault.wrap("default", KEY, b"")
    for place in range(len(wrapped.octets)):
        octets = bytearray(wrapped.octets)
        octets[place] ^= 0x10
        with pytest.raises(VaultBroken, match="wrapped by 'default' of vault 'main'"):
            vault.unwrap(Wrapped("main", "default", 1, bytes(octets)), b"")
    for length in (0, 1, 4, 20, 44, len(wrapped.octets) - 1):
        with pytest.raises(VaultBroken):
            vault.unwrap(Wrapped("main", "default", 1, wrapped.octets[:length]), b"")
    assert vault.unwrap(wrapped, b"") == KEY


def test_old_versions_keep_opening_and_the_newest_one_wraps(vault: Pkcs11Vault) -> None:
    vault.create("default", KeyType.AES_256)
    old = vault.wrap("default", KEY, b"")
    told = vault.rotate("default")
    assert told.newest == 2
    assert vault.wrap("default", KEY, b"").root_version == 2
    assert vault.unwrap(old, b"") == KEY


def test_the_vault_tells_of_its_keys(vault: Pkcs11Vault, clock: FakeClock) -> None:
    assert vault.keys() == ()
    for name, type_ in (("signs", KeyType.ED25519), ("default", KeyType.AES_256), ("curve", KeyType.EC_P256)):
        vault.create(name, type_)
    vault.rotate("default")
    made = tuple(KeyVersion(number, clock.now()) for number in (1, 2))
    assert vault.keys() == (
        VaultKey(vault="main", name="curve", type=KeyType.EC_P256, state=KeyState.ENABLED, versions=made[:1]),
        VaultKey(vault="main", name="default", type=KeyType.AES_256, state=KeyState.ENABLED, versions=made),
        VaultKey(vault="main", name="signs", type=KeyType.ED25519, state=KeyState.ENABLED, versions=made[:1]),
    )


@pytest.mark.parametrize("type_", [one for one in KeyType if one.signs and one is not KeyType.RSA_4096])
def test_signatures_are_those_of_the_type_and_verify_outside(vault: Pkcs11Vault, type_: KeyType) -> None:
    vault.create("key", type_)
    data = b"what is signed" * 100
    first = vault.sign("key", data)
    vault.rotate("key")
    second = vault.sign("key", data)
    assert (first.version, second.version, vault.sign("key", data, version=1).version) == (1, 2, 1)
    assert vault.public_key("key") == vault.public_key("key", 2) != vault.public_key("key", 1)
    for signature in (first, second):
        public = load_der_public_key(vault.public_key("key", signature.version))
        match public:
            case rsa.RSAPublicKey():
                assert type_ is {2048: KeyType.RSA_2048, 3072: KeyType.RSA_3072}[public.key_size]
                public.verify(signature.octets, data, padding.PKCS1v15(), SHA256())
            case ed25519.Ed25519PublicKey():
                assert type_ is KeyType.ED25519
                public.verify(signature.octets, data)
            case ec.EllipticCurvePublicKey():
                assert type_ is KeyType.EC_P256
                public.verify(signature.octets, data, ec.ECDSA(SHA256()))
            case _:
                pytest.fail(f"{type_} has a public key of another kind")


def test_a_key_does_only_what_its_type_can(vault: Pkcs11Vault) -> None:
    vault.create("aes", KeyType.AES_256)
    vault.create("curve", KeyType.EC_P256)
    with pytest.raises(Denied, match="'aes' of vault 'main' is of type aes-256, which does not sign"):
        vault.sign("aes", b"")
    with pytest.raises(Denied, match="which does not wrap"):
        vault.wrap("curve", KEY, b"")
    with pytest.raises(Denied, match="no public key"):
        vault.public_key("aes")


def test_softhsm_has_no_oaep_with_sha_256_so_an_rsa_key_is_no_root_there(vault: Pkcs11Vault) -> None:
    vault.create("default", KeyType.RSA_2048)
    with pytest.raises(Denied, match=r"no RSA-OAEP with SHA-256.*type aes-256"):
        vault.wrap("default", KEY, b"")
    assert vault.sign("default", b"").version == 1


def test_what_is_disabled_denies_every_use_in_every_process_until_it_is_enabled(opened: Opened) -> None:
    here, there = opened(), opened()
    here.create("default", KeyType.AES_256)
    here.create("signs", KeyType.ED25519)
    wrapped = here.wrap("default", KEY, b"")
    assert there.disable("default").state is KeyState.DISABLED
    there.disable("signs")
    for use in (
        lambda: here.wrap("default", KEY, b""),
        lambda: here.unwrap(wrapped, b""),
        lambda: here.sign("signs", b""),
        lambda: here.rotate("default"),
    ):
        with pytest.raises(Denied, match=r"is disabled; gateway key enable"):
            use()
    assert here.public_key("signs")
    assert {key.state for key in here.keys()} == {KeyState.DISABLED}
    assert there.enable("default").state is KeyState.ENABLED
    assert here.unwrap(wrapped, b"") == KEY


def test_what_is_deleted_can_be_recovered_until_it_is_destroyed(opened: Opened, clock: FakeClock) -> None:
    vault = opened()
    for name in ("default", "other"):
        vault.create(name, KeyType.AES_256)
        vault.rotate(name)
    wrapped = vault.wrap("default", KEY, b"")
    ends = clock.now() + 30.5
    assert vault.delete("default", ends).ends == ends
    with pytest.raises(Denied, match="is deleted; gateway key recover"):
        vault.unwrap(wrapped, b"")
    for life in (vault.disable, vault.enable, lambda key: vault.delete(key, ends)):
        with pytest.raises(Denied, match="gateway key recover first"):
            life("default")
    with pytest.raises(Denied, match=r"already.*can be recovered"):
        vault.create("default", KeyType.AES_256)
    assert vault.purge(ends - 1) == ()
    told = opened().recover("default")
    assert (told.state, told.ends) == (KeyState.DISABLED, None)
    with pytest.raises(Denied, match="is not deleted"):
        vault.recover("default")
    vault.enable("default")
    assert vault.unwrap(wrapped, b"") == KEY

    vault.delete("default", ends)
    assert vault.purge(ends) == ("default",)
    assert [key.name for key in vault.keys()] == ["other"]
    for gone in (lambda: vault.unwrap(wrapped, b""), lambda: vault.recover("default")):
        with pytest.raises(Denied, match="holds no key 'default'"):
            gone()
    assert vault.create("default", KeyType.AES_256).versions == (KeyVersion(1, clock.now()),)


def test_names_are_taken_once_and_are_names(vault: Pkcs11Vault) -> None:
    vault.create("default", KeyType.AES_256)
    with pytest.raises(Denied, match="holds a key 'default' already; choose another name"):
        vault.create("default", KeyType.ED25519)
    for name in ("", "two words", "../default", "a:b", "x" * 321):
        with pytest.raises(Denied, match="is no name for a key"):
            vault.create(name, KeyType.AES_256)
    longest = "x" * 320
    assert vault.create(longest, KeyType.AES_256).name == longest
    assert vault.wrap(longest, KEY, b"").root == longest


def test_a_key_that_is_not_there_is_denied_by_name(vault: Pkcs11Vault) -> None:
    uses: list[Callable[[], object]] = [
        lambda: vault.wrap("default", KEY, b""),
        lambda: vault.unwrap(Wrapped("main", "default", 1, b""), b""),
        lambda: vault.sign("default", b""),
        lambda: vault.public_key("default"),
        lambda: vault.rotate("default"),
        lambda: vault.disable("default"),
        lambda: vault.recover("default"),
    ]
    for number in range(2):
        for use in uses:
            with pytest.raises(Denied, match="vault 'main' holds no key 'default'"):
                use()
        if number == 0:
            vault.create("other", KeyType.AES_256)  # An empty token, and then one that is not.
    vault.health()


def test_nothing_of_a_vault_is_in_its_repr(vault: Pkcs11Vault) -> None:
    assert repr(vault) == "Pkcs11Vault('main')"
    assert not vault.is_local
