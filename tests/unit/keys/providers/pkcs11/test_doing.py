"""What SoftHSM2 2.6 can't do, on a key that can: RSA roots with OAEP and SHA-256; and tokens that hash nothing."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import MGF, Mechanism
from pkcs11 import exceptions as p11

from gateway.keys.providers.pkcs11 import doing
from gateway.keys.vault import KeyType

KEY = b"k" * 32
OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), label=None)


class TokenKey:
    """An RSA key as a token has it. `fault` is what it answers instead, `bad` what to octets that do not open."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self.public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.fault: Exception | None = None
        self.bad: Exception = p11.EncryptedDataInvalid()

    def decrypt(self, octets: bytes, *, mechanism: Mechanism, mechanism_param: object) -> bytes:
        assert mechanism is Mechanism.RSA_PKCS_OAEP
        assert mechanism_param == (Mechanism.SHA256, MGF.SHA256, None)
        if self.fault is not None:
            raise self.fault
        try:
            return self._key.decrypt(octets, OAEP)
        except ValueError:
            raise self.bad from None

    def sign(self, data: bytes, *, mechanism: Mechanism) -> bytes:
        assert mechanism is Mechanism.RSA_PKCS
        prefix, digest = data[:-32], data[-32:]
        assert prefix.hex() == "3031300d060960864801650304020105000420"
        return self._key.sign(digest, padding.PKCS1v15(), Prehashed(SHA256()))


@pytest.fixture(scope="module")
def pair() -> TokenKey:
    return TokenKey()


@pytest.fixture
def root(pair: TokenKey) -> TokenKey:
    pair.fault, pair.bad = None, p11.EncryptedDataInvalid()
    return pair


def test_an_rsa_root_opens_in_the_token_what_its_public_half_wrapped_outside(root: TokenKey) -> None:
    wrapped = doing.rsa_wrap(root.public, KEY)
    assert KEY not in wrapped
    assert doing.rsa_unwrap(root, root.public, wrapped) == KEY
    assert doing.rsa_opens(root, root.public)


@pytest.mark.parametrize("bad", [p11.EncryptedDataInvalid(), p11.EncryptedDataLenRange(), p11.GeneralError()])
def test_what_does_not_open_is_told_from_a_token_that_fails(root: TokenKey, bad: Exception) -> None:
    root.bad = bad
    octets = bytearray(doing.rsa_wrap(root.public, KEY))
    octets[7] ^= 1
    with pytest.raises(ValueError, match="does not open"):
        doing.rsa_unwrap(root, root.public, bytes(octets))
    root.fault = p11.DeviceRemoved()
    with pytest.raises(p11.DeviceRemoved):
        doing.rsa_unwrap(root, root.public, bytes(octets))


@pytest.mark.parametrize("fault", [p11.ArgumentsBad(), p11.MechanismInvalid(), p11.MechanismParamInvalid()])
def test_a_token_without_that_oaep_is_found_out_before_anything_is_wrapped(root: TokenKey, fault: Exception) -> None:
    root.fault = fault
    assert not doing.rsa_opens(root, root.public)
    with pytest.raises(doing.NoOaep):
        doing.rsa_unwrap(root, root.public, doing.rsa_wrap(root.public, KEY))


def test_a_token_that_signs_digests_alone_gets_the_digest_with_its_name(root: TokenKey) -> None:
    class Session:
        class token:
            class slot:
                @staticmethod
                def get_mechanisms() -> set[Mechanism]:
                    return {Mechanism.RSA_PKCS}

    session: Any = Session()
    signature = doing.sign(session, root, KeyType.RSA_2048, b"what is signed")
    public = root._key.public_key()
    public.verify(signature, b"what is signed", padding.PKCS1v15(), SHA256())
