"""NIST's vectors for AES key wrap (SP 800-38F) through the token, by the code that wraps there."""

from __future__ import annotations

from typing import Any

import pytest
from pkcs11 import Attribute, KeyType, ObjectClass, Session

from gateway.keys.envelope import KEY_OCTETS
from gateway.keys.providers.pkcs11 import doing
from gateway.keys.providers.pkcs11.module import module_at
from gateway.keys.providers.pkcs11.terms import TokenTerms
from gateway.keys.providers.pkcs11.vault import Pkcs11Vault
from tests.vectors import Vector, cavp


@pytest.fixture
def session(vault: Pkcs11Vault, terms: TokenTerms) -> Session:
    vault.health()
    return module_at(terms.module)._sessions[terms.token]


def root(session: Session, vector: Vector) -> Any:
    """The vector's key, which no root of ours could be: its octets come from outside."""
    attributes = {Attribute.WRAP: True, Attribute.UNWRAP: True, Attribute.TOKEN: False, Attribute.VALUE: vector["K"]}
    return session.create_object(
        {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.AES, **attributes}
    )


def of_a_key_encryption_key(path: str) -> list[Vector]:
    found = [one for one in cavp(path) if one.terms["PLAINTEXT LENGTH"] == KEY_OCTETS * 8]
    assert len(found) == 100
    return found


def test_the_token_wraps_as_nist_does(session: Session) -> None:
    for vector in of_a_key_encryption_key("keywrap/kwtestvectors/KW_AE_256.txt"):
        assert doing.aes_wrap(session, root(session, vector), vector["P"]) == vector["C"]


def test_the_token_unwraps_as_nist_does_and_nothing_else(session: Session) -> None:
    failing = 0
    for vector in of_a_key_encryption_key("keywrap/kwtestvectors/KW_AD_256.txt"):
        if vector.fails:
            failing += 1
            with pytest.raises(ValueError, match="does not open"):
                doing.aes_unwrap(session, root(session, vector), vector["C"])
        else:
            assert doing.aes_unwrap(session, root(session, vector), vector["C"]) == vector["P"]
    assert failing == 20
