"""What lies in a token, whoever put it there: a custodian's keys, notes that are damaged, halves that are missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, Session

from gateway.keys.providers.pkcs11 import shelf
from gateway.keys.providers.pkcs11.module import module_at
from gateway.keys.providers.pkcs11.note import MAX_OCTETS, Note
from gateway.keys.providers.pkcs11.shelf import PREFIX, id_of
from gateway.keys.providers.pkcs11.terms import TokenTerms
from gateway.keys.providers.pkcs11.vault import Pkcs11Vault
from gateway.keys.vault import Denied, KeyState, KeyVersion, VaultBroken
from gateway.keys.vault import KeyType as Type
from tests.fakes.clock import FakeClock

KEY = b"k" * 32
STAYS = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True}
WRAPS = MechanismFlag.WRAP | MechanismFlag.UNWRAP


@pytest.fixture
def session(vault: Pkcs11Vault, terms: TokenTerms) -> Session:
    """What a custodian with the token's own tool has."""
    vault.health()
    return module_at(terms.module)._sessions[terms.token]


def aes(session: Session, name: str, id_: bytes, bits: int = 256, **attributes: bool) -> Any:
    template = {**STAYS, **{Attribute[key]: value for key, value in attributes.items()}}
    return session.generate_key(
        KeyType.AES, bits, id=id_, label=PREFIX + name, store=True, capabilities=WRAPS, template=template
    )


def note(session: Session, name: str, value: bytes) -> Any:
    attributes = {Attribute.CLASS: ObjectClass.DATA, Attribute.TOKEN: True, Attribute.PRIVATE: True}
    return session.create_object({**attributes, Attribute.LABEL: PREFIX + name, Attribute.VALUE: value})


@pytest.mark.parametrize("id_", [b"\1", b"\0\1", b"\0\0\0\1"])
def test_a_key_that_a_custodian_made_is_used_and_lives_like_ours(
    vault: Pkcs11Vault, session: Session, id_: bytes, clock: FakeClock
) -> None:
    aes(session, "default", id_)
    (told,) = vault.keys()
    assert (told.type, told.state, told.versions) == (Type.AES_256, KeyState.ENABLED, (KeyVersion(1, None),))
    wrapped = vault.wrap("default", KEY, b"")
    vault.disable("default")
    with pytest.raises(Denied, match="disabled"):
        vault.unwrap(wrapped, b"")
    vault.enable("default")
    assert vault.rotate("default").versions == (KeyVersion(1, None), KeyVersion(2, clock.now()))
    assert vault.unwrap(wrapped, b"") == KEY


def test_a_key_that_can_leave_its_token_is_not_used(vault: Pkcs11Vault, session: Session) -> None:
    aes(session, "loose", b"\1", EXTRACTABLE=True)
    aes(session, "open", b"\1", SENSITIVE=False)
    for name in ("loose", "open"):
        with pytest.raises(Denied, match=f"'{name}' of vault 'main' can leave its token"):
            vault.wrap(name, KEY, b"")


def test_two_keys_that_are_the_same_version_are_not_chosen_between(vault: Pkcs11Vault, session: Session) -> None:
    first = aes(session, "default", id_of("default", 1))
    wrapped = vault.wrap("default", KEY, b"")
    second = aes(session, "default", b"\1")
    with pytest.raises(VaultBroken, match="holds 2 keys that are version 1 of 'default'"):
        vault.unwrap(wrapped, b"")
    second.destroy()
    assert vault.unwrap(wrapped, b"") == KEY
    first.destroy()
    with pytest.raises(Denied, match="holds no key 'default'"):
        vault.unwrap(wrapped, b"")


def test_keys_of_others_in_the_same_token_are_left_alone(vault: Pkcs11Vault, session: Session) -> None:
    session.generate_key(KeyType.AES, 256, id=b"\1", label="another application's", store=True)
    aes(session, "short", b"\1", bits=128)
    aes(session, "unnumbered", b"")
    aes(session, "zeroth", b"\0")
    aes(session, "long", b"\1" * 5)
    aes(session, "foreign", id_of("another name", 1))
    assert vault.keys() == ()
    with pytest.raises(Denied, match="of type unknown, which does not wrap"):
        vault.wrap("short", KEY, b"")
    for name in ("unnumbered", "zeroth", "long", "foreign"):
        with pytest.raises(Denied, match=f"holds no key '{name}'"):
            vault.wrap(name, KEY, b"")
    vault.create("default", Type.AES_256)
    assert [key.name for key in vault.keys()] == ["default"]


def test_a_key_that_may_not_be_used_for_it_is_denied(vault: Pkcs11Vault, session: Session) -> None:
    session.generate_key(
        KeyType.AES,
        256,
        id=b"\1",
        label=PREFIX + "default",
        store=True,
        capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        template=STAYS,
    )
    with pytest.raises(Denied, match="key 'default' of vault 'main' may not be used to wrap"):
        vault.wrap("default", KEY, b"")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\2{}",
        b"\1",
        b"\1{}",
        b"\1null",
        b"\1" + b"[" * 50_000,
        Note().octets()[:-1],
        Note(state=KeyState.DELETED).octets(),
        Note(ends=1.0).octets(),
        Note(created={1: float("inf")}).octets(),
        Note(created={0: 1.0}).octets(),
        Note().octets().replace(b'"serial":0', b'"serial":true'),
        Note().octets().replace(b'"serial":0', b'"serial":0.5'),
        Note().octets().replace(b"enabled", b"forever"),
        Note().octets() + b" " * MAX_OCTETS,
    ],
)
def test_a_damaged_note_is_said_to_be_and_allows_nothing(vault: Pkcs11Vault, session: Session, value: bytes) -> None:
    vault.create("default", Type.AES_256)
    wrapped = vault.wrap("default", KEY, b"")
    bad = note(session, "default", value)
    uses: list[Callable[[], object]] = [
        lambda: vault.unwrap(wrapped, b""),
        lambda: vault.enable("default"),
        vault.keys,
    ]
    for use in uses:
        with pytest.raises(VaultBroken, match="note beside key 'default' of vault 'main' can't be read"):
            use()
    bad.destroy()
    assert vault.unwrap(wrapped, b"") == KEY


def test_of_two_notes_the_later_counts(vault: Pkcs11Vault, session: Session) -> None:
    # An interrupted command has written the new one, and not taken the old one away.
    vault.create("default", Type.AES_256)
    note(session, "default", Note(serial=9, state=KeyState.DISABLED).octets())
    with pytest.raises(Denied, match="disabled"):
        vault.wrap("default", KEY, b"")
    vault.enable("default")
    notes = list(session.get_objects({Attribute.CLASS: ObjectClass.DATA}))
    assert len(notes) == 1
    assert vault.wrap("default", KEY, b"").root == "default"


def test_what_an_interrupted_destruction_left_is_not_taken_for_a_key_nor_overwritten(
    vault: Pkcs11Vault, session: Session
) -> None:
    note(session, "default", Note(serial=3, state=KeyState.DELETED, ends=5.0).octets())
    assert vault.keys() == ()
    with pytest.raises(Denied, match="a note that says it is deleted"):
        vault.create("default", Type.AES_256)
    assert vault.purge(5.0) == ()
    assert vault.create("default", Type.AES_256).state is KeyState.ENABLED


def test_a_note_that_is_replaced_while_it_is_read_is_read_again(
    vault: Pkcs11Vault, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.create("default", Type.AES_256)
    real = shelf._note
    turns = iter(range(10))

    def replacing(name: str, key: str, object_: Any) -> Note:
        if next(turns) == 0:  # Another process is faster than us.
            object_.destroy()
            note(session, "default", Note(serial=5, state=KeyState.DISABLED).octets())
        return real(name, key, object_)

    monkeypatch.setattr(shelf, "_note", replacing)
    with pytest.raises(Denied, match="disabled"):
        vault.wrap("default", KEY, b"")


def test_an_rsa_key_whose_public_half_is_gone_still_shows_it(vault: Pkcs11Vault, session: Session) -> None:
    vault.create("rsa", Type.RSA_2048)
    vault.create("curve", Type.EC_P256)
    public = vault.public_key("rsa")
    for half in list(session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY})):
        half.destroy()
    assert vault.public_key("rsa") == public
    with pytest.raises(Denied, match="the public half of version 1 of key 'curve' in vault 'main' is not in the token"):
        vault.public_key("curve")


def test_a_token_that_makes_keys_which_can_leave_it_makes_none(
    vault: Pkcs11Vault, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.keys.providers.pkcs11 import making

    monkeypatch.setattr(making, "_STAYS", {**STAYS, Attribute.EXTRACTABLE: True})
    for type_ in (Type.AES_256, Type.EC_P256):
        with pytest.raises(Denied, match="makes keys that can leave it"):
            vault.create("default", type_)
    assert list(session.get_objects({Attribute.TOKEN: True})) == []


def test_a_type_that_the_token_has_not_is_denied(
    vault: Pkcs11Vault, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.keys.providers.pkcs11 import making

    monkeypatch.setitem(making._MAKES, Type.ED25519, Mechanism.ML_DSA_KEY_PAIR_GEN)
    with pytest.raises(Denied, match="can't make keys of type ed25519"):
        vault.create("signs", Type.ED25519)
