"""New keys in a token. They are made there, and never leave it: CKA_SENSITIVE, not CKA_EXTRACTABLE."""

from __future__ import annotations

from typing import Any, Final

from pkcs11 import Attribute, Mechanism, MechanismFlag, Session
from pkcs11 import KeyType as TokenKeyType

from gateway.keys.providers.pkcs11.shelf import ED25519_PARAMS, P256_PARAMS, PREFIX, Half, Kept, id_of, stays
from gateway.keys.vault import Denied, KeyType

_BITS: Final = {KeyType.RSA_2048: 2048, KeyType.RSA_3072: 3072, KeyType.RSA_4096: 4096}
_SIGNS: Final = MechanismFlag.SIGN | MechanismFlag.VERIFY
_STAYS: Final = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.PRIVATE: True}
_MAKES: Final = {
    KeyType.AES_256: Mechanism.AES_KEY_GEN,
    KeyType.ED25519: Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
    KeyType.EC_P256: Mechanism.EC_KEY_PAIR_GEN,
}


def make(session: Session, kept: Kept, type_: KeyType, version: int) -> None:
    """That version of the key. Raises Denied where the token has no such type, PKCS11Error."""
    mechanism = _MAKES.get(type_, Mechanism.RSA_PKCS_KEY_PAIR_GEN)
    if mechanism not in session.token.slot.get_mechanisms():
        raise Denied(f"the token of vault {kept.vault!r} can't make keys of type {type_} (it has no {mechanism.name})")
    where: dict[str, Any] = {"id": id_of(kept.name, version), "label": PREFIX + kept.name, "store": True}
    halves = _pair(session, type_, mechanism, where)
    half = Half(kept.name, version, is_private=True, handle=halves[-1])
    if not stays(half):  # A token may be set up to make something else of what it was asked for.
        for handle in halves:
            handle.destroy()
        raise Denied(
            f"the token of vault {kept.vault!r} makes keys that can leave it, whatever it is asked; "
            "right would be a token that is set up to keep them (CKA_SENSITIVE, not CKA_EXTRACTABLE)"
        )


def _pair(session: Session, type_: KeyType, mechanism: Mechanism, where: dict[str, Any]) -> list[Any]:
    """All objects of a new key; the private one is the last."""
    if type_ is KeyType.AES_256:
        uses = MechanismFlag.WRAP | MechanismFlag.UNWRAP
        return [session.generate_key(TokenKeyType.AES, 256, capabilities=uses, template=_STAYS, **where)]
    if type_ in _BITS:
        uses = _SIGNS | MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT
        return list(
            session.generate_keypair(
                TokenKeyType.RSA, _BITS[type_], capabilities=uses, private_template=_STAYS, **where
            )
        )
    kind, params = (
        (TokenKeyType.EC_EDWARDS, ED25519_PARAMS[0]) if type_ is KeyType.ED25519 else (TokenKeyType.EC, P256_PARAMS)
    )
    curve = session.create_domain_parameters(kind, {Attribute.EC_PARAMS: params}, local=True)
    return list(curve.generate_keypair(mechanism=mechanism, capabilities=_SIGNS, private_template=_STAYS, **where))
