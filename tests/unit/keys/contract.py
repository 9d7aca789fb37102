"""What any vault has to do, whoever provides it: one suite, run on each provider by a class that inherits from it.

A provider gives a fixture `subject`. Signatures are judged by `cryptography`, not by the vault: RSA is PKCS #1 v1.5
with SHA-256, ECDSA is the DER of RFC 3279 2.2.3 with SHA-256. A public key is told in any state of its key, since it
tells nobody anything; all other use of a disabled or deleted key is denied.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.keys.vault import Denied, KeyState, KeyType, Vault, VaultBroken, Wrapped
from gateway.mail.digest import Hashed
from tests.fakes.clock import FakeClock

PLAIN = bytes(range(32))
CONTEXT = b"gateway domain key 1\0default\0spool\x001"
DAY = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A vault with one AES root key "default". `again` opens the same store anew, as a restart does.

    `types`: what it can hold; `wrapping`: those of them that it can wrap with.
    """

    vault: Vault
    again: Callable[[], Vault]
    clock: FakeClock
    types: tuple[KeyType, ...] = tuple(KeyType)
    wrapping: tuple[KeyType, ...] = tuple(type_ for type_ in KeyType if type_.wraps)


def verify(public: bytes, data: bytes, signature: bytes) -> None:
    """Raises InvalidSignature."""
    key = serialization.load_der_public_key(public)
    match key:
        case rsa.RSAPublicKey():
            key.verify(signature, data, padding.PKCS1v15(), SHA256())
        case ed25519.Ed25519PublicKey():
            key.verify(signature, data)
        case ec.EllipticCurvePublicKey():
            key.verify(signature, data, ec.ECDSA(SHA256()))
        case _:
            pytest.fail(f"a public key of an odd kind: {type(key)}")


def encrypted(public: bytes, plain: bytes) -> bytes:
    """As somebody outside does it (RFC 8017 7.1)."""
    key = serialization.load_der_public_key(public)
    assert isinstance(key, rsa.RSAPublicKey)
    return key.encrypt(plain, padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))


def state(vault: Vault, name: str) -> KeyState:
    return next(key.state for key in vault.keys() if key.name == name)


class VaultContract:
    """Inherit from it, and give the fixture `subject`."""

    # -- wrapping -----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("type_", [type_ for type_ in KeyType if type_.wraps])
    def test_unwrap_gives_what_was_wrapped_even_after_a_restart(self, subject: Subject, type_: KeyType) -> None:
        if type_ not in subject.types or type_ not in subject.wrapping:
            pytest.skip(f"no {type_} here")
        subject.vault.create("root", type_)
        wrapped = subject.vault.wrap("root", PLAIN, CONTEXT)
        assert (wrapped.vault, wrapped.root, wrapped.root_version) == (subject.vault.name, "root", 1)
        assert wrapped.octets[:1] == b"\x02"
        assert PLAIN not in wrapped.octets
        assert subject.vault.unwrap(wrapped, CONTEXT) == PLAIN
        assert subject.again().unwrap(wrapped, CONTEXT) == PLAIN

    def test_wrapping_twice_gives_different_octets(self, subject: Subject) -> None:
        assert subject.vault.wrap("default", PLAIN, CONTEXT) != subject.vault.wrap("default", PLAIN, CONTEXT)

    def test_a_wrapped_key_opens_in_its_own_context_alone(self, subject: Subject) -> None:
        wrapped = subject.vault.wrap("default", PLAIN, CONTEXT)
        for other in (b"", CONTEXT[:-1], CONTEXT + b"0", CONTEXT.replace(b"spool", b"trace")):
            with pytest.raises(VaultBroken):
                subject.vault.unwrap(wrapped, other)

    def test_a_wrapped_key_opens_under_its_own_root_and_version_alone(self, subject: Subject) -> None:
        subject.vault.create("second", KeyType.AES_256)
        wrapped = subject.vault.wrap("default", PLAIN, CONTEXT)
        subject.vault.rotate("default")
        with pytest.raises(VaultBroken):
            subject.vault.unwrap(replace(wrapped, root="second"), CONTEXT)
        with pytest.raises(VaultBroken):
            subject.vault.unwrap(replace(wrapped, root_version=2), CONTEXT)
        with pytest.raises(Denied, match="default"):
            subject.vault.unwrap(replace(wrapped, root_version=3), CONTEXT)
        with pytest.raises(Denied, match="third"):
            subject.vault.unwrap(replace(wrapped, root="third"), CONTEXT)
        assert subject.vault.unwrap(wrapped, CONTEXT) == PLAIN

    def test_every_flipped_bit_of_a_wrapped_key_is_found(self, subject: Subject) -> None:
        wrapped = subject.vault.wrap("default", PLAIN, CONTEXT)
        for place in range(len(wrapped.octets)):
            octets = bytearray(wrapped.octets)
            octets[place] ^= 1 << place % 8
            with pytest.raises(VaultBroken, match="default"):
                subject.vault.unwrap(replace(wrapped, octets=bytes(octets)), CONTEXT)

    def test_a_wrapped_key_that_was_cut_off_or_added_to_is_broken(self, subject: Subject) -> None:
        wrapped = subject.vault.wrap("default", PLAIN, CONTEXT)
        for length in range(len(wrapped.octets)):
            with pytest.raises(VaultBroken):
                subject.vault.unwrap(replace(wrapped, octets=wrapped.octets[:length]), CONTEXT)
        with pytest.raises(VaultBroken):
            subject.vault.unwrap(replace(wrapped, octets=wrapped.octets + b"\0"), CONTEXT)

    def test_a_wrapped_key_of_another_vault_of_the_same_names_is_broken(self, subject: Subject) -> None:
        from tests.fakes.vault import FakeVault

        foreign = FakeVault(subject.vault.name).wrap("default", PLAIN, CONTEXT)
        with pytest.raises(VaultBroken):
            subject.vault.unwrap(foreign, CONTEXT)

    def test_an_unknown_root_is_denied_by_its_name(self, subject: Subject) -> None:
        with pytest.raises(Denied, match="nobody"):
            subject.vault.wrap("nobody", PLAIN, CONTEXT)

    def test_keys_that_can_t_wrap_say_so(self, subject: Subject) -> None:
        for type_ in subject.types:
            if not type_.wraps:
                subject.vault.create(f"key-{type_}", type_)
                with pytest.raises(Denied, match=f"key-{type_}"):
                    subject.vault.wrap(f"key-{type_}", PLAIN, CONTEXT)

    # -- decrypting ---------------------------------------------------------------------------------------------------

    def test_what_was_encrypted_to_a_version_s_public_key_opens_with_it_alone(self, subject: Subject) -> None:
        if KeyType.RSA_2048 not in subject.types:
            pytest.skip("no RSA here")
        subject.vault.create("tenant", KeyType.RSA_2048)
        sealed = encrypted(subject.vault.public_key("tenant"), b"to be opened")
        if KeyType.RSA_2048 not in subject.wrapping:  # A token without OAEP of SHA-256 says so, and gives nothing.
            with pytest.raises(Denied, match="tenant"):
                subject.vault.decrypt("tenant", sealed, version=1)
            return
        assert subject.vault.decrypt("tenant", sealed, version=1) == b"to be opened"
        subject.vault.rotate("tenant")
        assert subject.again().decrypt("tenant", sealed, version=1) == b"to be opened"
        for wrong, version in ((sealed, 2), (sealed[:-1] + bytes([sealed[-1] ^ 1]), 1), (sealed[:-1], 1), (b"", 1)):
            with pytest.raises(VaultBroken, match="tenant"):
                subject.vault.decrypt("tenant", wrong, version=version)
        with pytest.raises(Denied, match="tenant"):
            subject.vault.decrypt("tenant", sealed, version=3)
        subject.vault.disable("tenant")
        with pytest.raises(Denied, match="tenant"):
            subject.vault.decrypt("tenant", sealed, version=1)

    def test_keys_that_are_not_rsa_decrypt_nothing(self, subject: Subject) -> None:
        with pytest.raises(Denied, match="default"):
            subject.vault.decrypt("default", bytes(256), version=1)

    # -- signing ------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("type_", [type_ for type_ in KeyType if type_.signs])
    def test_a_signature_verifies_with_the_public_key_and_with_nothing_else(
        self, subject: Subject, type_: KeyType
    ) -> None:
        if type_ not in subject.types:
            pytest.skip(f"no {type_} here")
        subject.vault.create("signer", type_)
        signature = subject.vault.sign("signer", b"what is signed")
        public = subject.vault.public_key("signer")
        assert signature.version == 1
        verify(public, b"what is signed", signature.octets)
        with pytest.raises(InvalidSignature):
            verify(public, b"what is signed!", signature.octets)
        assert subject.again().public_key("signer") == public
        verify(public, b"more", subject.again().sign("signer", b"more").octets)
        verify(public, b"hashed", subject.vault.sign("signer", Hashed.of(b"hashed")).octets)

    def test_an_old_version_signs_and_shows_its_public_key_where_it_is_asked_for(self, subject: Subject) -> None:
        type_ = next(type_ for type_ in (KeyType.ED25519, KeyType.EC_P256, KeyType.RSA_2048) if type_ in subject.types)
        subject.vault.create("signer", type_)
        first = subject.vault.public_key("signer")
        subject.vault.rotate("signer")
        second = subject.vault.public_key("signer")
        assert first != second
        assert subject.vault.public_key("signer", 1) == first
        new, old = subject.vault.sign("signer", b"x"), subject.vault.sign("signer", b"x", version=1)
        assert (new.version, old.version) == (2, 1)
        verify(second, b"x", new.octets)
        verify(first, b"x", old.octets)
        with pytest.raises(Denied, match="signer"):
            subject.vault.sign("signer", b"x", version=3)

    def test_an_aes_key_neither_signs_nor_has_a_public_key(self, subject: Subject) -> None:
        with pytest.raises(Denied, match="default"):
            subject.vault.sign("default", b"x")
        with pytest.raises(Denied, match="default"):
            subject.vault.public_key("default")

    # -- what it tells ------------------------------------------------------------------------------------------------

    def test_keys_are_told_by_name_with_type_state_and_versions(self, subject: Subject) -> None:
        type_ = subject.types[0]
        made = subject.vault.create("another", type_)
        assert [key.name for key in subject.vault.keys()] == ["another", "default"]
        assert made == subject.vault.keys()[0]
        assert (made.vault, made.type, made.state, made.ends) == (subject.vault.name, type_, KeyState.ENABLED, None)
        assert [one.number for one in made.versions] == [1]
        assert made.versions[0].created in (None, subject.clock.now())
        assert subject.again().keys() == subject.vault.keys()

    def test_a_vault_that_answers_is_well(self, subject: Subject) -> None:
        subject.vault.health()

    def test_neither_vault_nor_keys_show_or_pickle_what_they_hold(self, subject: Subject) -> None:
        wrapped = subject.vault.wrap("default", PLAIN, CONTEXT)
        assert wrapped.octets.hex() not in repr(wrapped)
        assert repr(wrapped.octets) not in repr(wrapped)
        with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
            pickle.dumps(subject.vault)

    # -- the life of a key --------------------------------------------------------------------------------------------

    def test_a_name_is_given_once(self, subject: Subject) -> None:
        with pytest.raises(Denied, match="default"):
            subject.vault.create("default", KeyType.AES_256)

    @pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "../up", "a/b", "x" * 321, "\xfc"])
    def test_odd_names_are_refused(self, subject: Subject, name: str) -> None:
        with pytest.raises(Denied, match="name"):
            subject.vault.create(name, KeyType.AES_256)
        assert [key.name for key in subject.vault.keys()] == ["default"]

    def test_rotation_uses_the_new_version_and_old_ones_still_open(self, subject: Subject) -> None:
        old = subject.vault.wrap("default", PLAIN, CONTEXT)
        told = subject.vault.rotate("default")
        assert (told.newest, [one.number for one in told.versions]) == (2, [1, 2])
        new = subject.vault.wrap("default", PLAIN, CONTEXT)
        assert new.root_version == 2
        for vault in (subject.vault, subject.again()):
            assert vault.unwrap(old, CONTEXT) == vault.unwrap(new, CONTEXT) == PLAIN

    def test_a_disabled_key_denies_every_use_until_it_is_enabled(self, subject: Subject) -> None:
        wrapped = subject.vault.wrap("default", PLAIN, CONTEXT)
        assert subject.vault.disable("default").state is KeyState.DISABLED
        for vault in (subject.vault, subject.again()):
            self._denies(vault, "default", wrapped)
        with pytest.raises(Denied, match="disabled"):
            subject.vault.rotate("default")
        assert subject.vault.enable("default").state is KeyState.ENABLED
        assert subject.again().unwrap(wrapped, CONTEXT) == PLAIN

    def test_a_deleted_key_denies_every_use_and_comes_back_disabled(self, subject: Subject) -> None:
        wrapped = subject.vault.wrap("default", PLAIN, CONTEXT)
        ends = subject.clock.now() + 30 * DAY
        told = subject.vault.delete("default", ends)
        assert (told.state, told.ends) == (KeyState.DELETED, ends)
        for vault in (subject.vault, subject.again()):
            self._denies(vault, "default", wrapped)
        for refused in (subject.vault.enable, subject.vault.disable, subject.vault.rotate):
            with pytest.raises(Denied, match="deleted"):
                refused("default")
        with pytest.raises(Denied, match="default"):
            subject.vault.create("default", KeyType.AES_256)
        told = subject.vault.recover("default")
        assert (told.state, told.ends) == (KeyState.DISABLED, None)
        self._denies(subject.again(), "default", wrapped)
        subject.vault.enable("default")
        assert subject.again().unwrap(wrapped, CONTEXT) == PLAIN

    def test_purge_destroys_what_was_deleted_once_its_time_has_come_and_nothing_else(self, subject: Subject) -> None:
        wrapped = subject.vault.wrap("default", PLAIN, CONTEXT)
        subject.vault.create("other", KeyType.AES_256)
        ends = subject.clock.now() + 7 * DAY
        subject.vault.delete("default", ends)
        assert subject.vault.purge(ends - 1) == ()
        assert state(subject.vault, "default") is KeyState.DELETED
        assert subject.vault.purge(ends) == ("default",)
        assert subject.vault.purge(ends) == ()
        for vault in (subject.vault, subject.again()):
            assert [key.name for key in vault.keys()] == ["other"]
            with pytest.raises(Denied, match="default"):
                vault.unwrap(wrapped, CONTEXT)
        with pytest.raises(Denied, match="default"):
            subject.vault.recover("default")

    def test_a_key_that_was_purged_can_be_made_anew_and_opens_nothing_of_before(self, subject: Subject) -> None:
        wrapped = subject.vault.wrap("default", PLAIN, CONTEXT)
        subject.vault.delete("default", subject.clock.now())
        subject.vault.purge(subject.clock.now())
        subject.vault.create("default", KeyType.AES_256)
        with pytest.raises(VaultBroken):
            subject.again().unwrap(wrapped, CONTEXT)

    async def test_recovery_ends_with_the_waiting_time(self, subject: Subject) -> None:
        subject.vault.delete("default", subject.clock.now() + DAY)
        await subject.clock.advance(DAY)
        with pytest.raises(Denied, match="over"):
            subject.vault.recover("default")

    def test_the_life_of_an_unknown_key_is_denied_by_its_name(self, subject: Subject) -> None:
        for asked in (subject.vault.rotate, subject.vault.disable, subject.vault.enable, subject.vault.recover):
            with pytest.raises(Denied, match="nobody"):
                asked("nobody")
        with pytest.raises(Denied, match="nobody"):
            subject.vault.delete("nobody", subject.clock.now() + DAY)

    def test_only_deleted_keys_are_recovered(self, subject: Subject) -> None:
        with pytest.raises(Denied, match="not deleted"):
            subject.vault.recover("default")

    @staticmethod
    def _denies(vault: Vault, name: str, wrapped: Wrapped) -> None:
        with pytest.raises(Denied, match=name):
            vault.unwrap(wrapped, CONTEXT)
        with pytest.raises(Denied, match=name):
            vault.wrap(name, PLAIN, CONTEXT)
