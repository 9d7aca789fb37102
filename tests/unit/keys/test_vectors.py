"""NIST's vectors through our own code: envelope, sealer and the keys of the file vault."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.keys import envelope, sealer
from gateway.keys.domain import DomainKeys
from gateway.keys.envelope import Algorithm
from gateway.keys.providers.file.software import SoftwareKey
from gateway.keys.sealer import KeySealer
from gateway.keys.vault import KeyType, VaultBroken, Wrapped
from gateway.storage.sealer import SealBroken
from tests.fakes.chance import FakeChance
from tests.vectors import OaepVector, Vector, cavp, oaep

GCM = {"Keylen": 256, "IVlen": 96, "Taglen": 128}  # What we use of it.


def gcm(path: str) -> list[Vector]:
    found = [one for one in cavp(f"ciphers/AES/GCM/{path}") if GCM.items() <= one.terms.items()]
    assert len(found) == 375
    return found


class Drawn:
    """Chance whose every key is the one of a vector."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def octets(self, count: int) -> bytes:
        assert count == len(self._key)
        return self._key

    def between(self, low: float, high: float) -> float:
        raise AssertionError("nobody draws a number here")


def bind(monkeypatch: pytest.MonkeyPatch, vector: Vector) -> None:
    """Have the envelope use the vector's nonce and associated data where it has its own."""
    monkeypatch.setattr(envelope, "_NONCE", vector["IV"])
    monkeypatch.setattr(envelope, "_bound", lambda *_: vector["AAD"])


def test_the_envelope_seals_as_nist_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for vector in gcm("gcmEncryptExtIV256.rsp"):
        bind(monkeypatch, vector)
        octets = envelope.seal(
            "root", 1, vector["PT"], b"", algorithm=Algorithm.AES_KW, wrap_key=bytes, chance=Drawn(vector["Key"])
        )
        assert octets == b"\x02\x01\x00\x20" + vector["Key"] + vector["CT"] + vector["Tag"]


def test_the_envelope_opens_what_nist_s_opens_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = 0
    for vector in gcm("gcmDecrypt256.rsp"):
        bind(monkeypatch, vector)
        octets = b"\x02\x01\x00\x20" + vector["Key"] + vector["CT"] + vector["Tag"]
        wrapped = Wrapped("main", "root", 1, octets)
        if vector.fails:
            failing += 1
            with pytest.raises(VaultBroken):
                envelope.unseal(wrapped, b"", lambda _, key: key)
        else:
            assert envelope.unseal(wrapped, b"", lambda _, key: key) == vector["PT"]
    assert failing > 100


def test_the_sealer_opens_what_nist_s_opens_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = 0
    for vector in gcm("gcmDecrypt256.rsp"):
        monkeypatch.setattr(sealer, "_derive", lambda *_, key=vector["Key"]: key)
        monkeypatch.setattr(sealer, "_bound", lambda *_, aad=vector["AAD"]: aad)
        monkeypatch.setattr(sealer, "_FIXED", vector["IV"][:4])
        keys = KeySealer(DomainKeys({("spool", 1): bytes(32), ("token", 1): bytes(32)}), FakeChance())
        sealed = b"\x01\x00\x00\x00\x01" + bytes(16) + vector["IV"][4:] + vector["CT"] + vector["Tag"]
        if vector.fails:
            failing += 1
            with pytest.raises(SealBroken):
                keys.open("spool", "Q", sealed)
        else:
            assert keys.open("spool", "Q", sealed) == vector["PT"]
    assert failing > 100


def test_aes_roots_wrap_as_nist_does() -> None:
    found = list(cavp("keywrap/kwtestvectors/KW_AE_256.txt"))
    assert len(found) == 500
    for vector in found:
        root = SoftwareKey(KeyType.AES_256, vector["K"])
        assert root.wrap_key(vector["P"]) == vector["C"]


def test_aes_roots_unwrap_as_nist_does_and_nothing_else() -> None:
    found = list(cavp("keywrap/kwtestvectors/KW_AD_256.txt"))
    assert len(found) == 500
    assert sum(vector.fails for vector in found) == 100
    for vector in found:
        root = SoftwareKey(KeyType.AES_256, vector["K"])
        if vector.fails:
            with pytest.raises(ValueError, match="does not open"):
                root.unwrap_key(Algorithm.AES_KW, vector["C"])
        else:
            assert root.unwrap_key(Algorithm.AES_KW, vector["C"]) == vector["P"]


def rsa_root(vector: OaepVector) -> SoftwareKey:
    p, q, d = (vector.numbers[name] for name in "pqd")
    exponents = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    public = rsa.RSAPublicNumbers(vector.numbers["e"], vector.numbers["n"])
    numbers = rsa.RSAPrivateNumbers(p, q, d, *exponents, public)
    # They are the vectors' own: to look for their primes takes longer than all else here.
    return SoftwareKey(KeyType.RSA_2048, numbers.private_key(unsafe_skip_rsa_key_validation=True))


def test_rsa_roots_unwrap_by_oaep_with_sha_256() -> None:
    found = list(oaep("asymmetric/RSA/oaep-custom/oaep-sha256-sha256.txt"))
    assert len(found) > 5
    for vector in found:
        root = rsa_root(vector)
        assert root.unwrap_key(Algorithm.RSA_OAEP_SHA256, vector.wrapped) == vector.message
        assert root.unwrap_key(Algorithm.RSA_OAEP_SHA256, root.wrap_key(vector.message)) == vector.message
        spoiled = bytes([vector.wrapped[0] ^ 1]) + vector.wrapped[1:]
        with pytest.raises(ValueError, match=r".*"):
            root.unwrap_key(Algorithm.RSA_OAEP_SHA256, spoiled)


@pytest.mark.parametrize("other", ["oaep-sha1-sha256", "oaep-sha256-sha1", "oaep-sha384-sha384"])
def test_rsa_roots_open_no_other_oaep(other: str) -> None:
    vector = next(oaep(f"asymmetric/RSA/oaep-custom/{other}.txt"))
    with pytest.raises(ValueError, match=r".*"):
        rsa_root(vector).unwrap_key(Algorithm.RSA_OAEP_SHA256, vector.wrapped)
