"""Keys under ECDH are derived as the RFCs say it: here once more, by hand, from Python's hashlib and hmac.

No program of Debian's knows X25519 in CMS. The keys are those of RFC 7748 6.1, with the secret that is printed there.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from asn1crypto import cms as asn1
from asn1crypto.core import Sequence
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.smime.cms import der
from gateway.smime.cms.algorithms import AES256_CBC, DATA, ENVELOPED_DATA
from gateway.smime.cms.enveloped import OpenedEnvelope, open_enveloped
from gateway.smime.cms.findings import Finding
from gateway.smime.cms.identifiers import Named
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, recipient
from tests.fakes.chance import FakeChance
from tests.fakes.mail_keys import certificate, private_key

ALICE = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")  # her public key
BOB = X25519PrivateKey.from_private_bytes(
    bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
)
SECRET = bytes.fromhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")

HKDF_SHA256 = der.oid_octets("1.2.840.113549.1.9.16.3.19")
HKDF_SHA512 = der.oid_octets("1.2.840.113549.1.9.16.3.21")
X963_SHA256 = der.oid_octets("1.3.132.1.11.1")
WRAP = der.oid_octets("2.16.840.1.101.3.4.1.45")
X25519 = der.oid_octets("1.3.101.110")
EC = der.oid_octets("1.2.840.10045.2.1")
CONTENT_KEY = b"k" * 32


def shared_info(ukm: bytes | None = None, wrap: bytes = der.algorithm(WRAP)) -> bytes:
    """RFC 5753 7.2, with 256 bits."""
    entity = b"" if ukm is None else der.explicit(0, der.octet_string(ukm))
    return der.sequence(wrap, entity, der.explicit(2, der.octet_string(b"\x00\x00\x01\x00")))


def hkdf(secret: bytes, info: bytes, salt: bytes = b"", digest: str = "sha256") -> bytes:
    """RFC 5869 2, for as much as one block gives."""
    extracted = hmac.digest(salt or bytes(hashlib.new(digest).digest_size), secret, digest)
    return hmac.digest(extracted, info + b"\x01", digest)[:32]


def x963(secret: bytes, info: bytes, digest: str = "sha256") -> bytes:
    """SEC 1 3.6.1, for as much as one block gives."""
    return hashlib.new(digest, secret + b"\x00\x00\x00\x01" + info).digest()[:32]


def envelope(
    wrapped: bytes,
    scheme: bytes,
    *,
    ukm: bytes | None = None,
    wrap: bytes = der.algorithm(WRAP),
    originator: bytes | None = None,
    named: bytes | None = None,
) -> bytes:
    """For Bob, from Alice's key."""
    if originator is None:
        originator = der.explicit(1, der.algorithm(X25519), der.bit_string(ALICE))
    info = der.explicit(
        1,
        der.integer(3),
        der.explicit(0, originator),
        b"" if ukm is None else der.explicit(1, der.octet_string(ukm)),
        der.algorithm(scheme, wrap),
        der.sequence(
            der.sequence(named or Named.of(certificate("x25519")).issuer_and_serial(), der.octet_string(wrapped))
        ),
    )
    vector = bytes(16)
    encrypted = Cipher(AES(CONTENT_KEY), CBC(vector)).encryptor().update(b"the plain words\x01")
    inner = der.sequence(
        der.oid(DATA), der.algorithm(AES256_CBC.oid, der.octet_string(vector)), der.element(0x80, encrypted)
    )
    data = der.sequence(der.integer(2), der.set_of(info), inner)
    return der.sequence(der.oid(ENVELOPED_DATA), der.explicit(0, data))


def opened(octets: bytes, private: Any = BOB, kind: str = "x25519") -> OpenedEnvelope:
    return open_enveloped(octets, DecryptionKeys([DecryptionKey.of(certificate(kind), private)]), FakeChance())


def test_the_secret_is_the_printed_one() -> None:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    assert BOB.exchange(X25519PublicKey.from_public_bytes(ALICE)) == SECRET


@pytest.mark.parametrize("ukm", [None, b"thrown in"], ids=["without ukm", "with ukm"])
def test_hkdf_as_rfc_8418_has_it(ukm: bytes | None) -> None:
    for scheme, digest in ((HKDF_SHA256, "sha256"), (HKDF_SHA512, "sha512")):
        key = hkdf(SECRET, shared_info(ukm), ukm or b"", digest)
        octets = envelope(aes_key_wrap(key, CONTENT_KEY), scheme, ukm=ukm)
        assert opened(octets).content == b"the plain words"


def test_hkdf_without_salt_though_there_is_a_ukm_as_bouncy_castle_has_it() -> None:
    key = hkdf(SECRET, shared_info(b"thrown in"))
    octets = envelope(aes_key_wrap(key, CONTENT_KEY), HKDF_SHA256, ukm=b"thrown in")
    assert opened(octets).content == b"the plain words"


@pytest.mark.parametrize("ukm", [None, b"thrown in"], ids=["without ukm", "with ukm"])
def test_the_kdf_of_x9_63_for_x25519(ukm: bytes | None) -> None:
    key = x963(SECRET, shared_info(ukm))
    octets = envelope(aes_key_wrap(key, CONTENT_KEY), X963_SHA256, ukm=ukm)
    assert opened(octets).content == b"the plain words"


def test_null_beside_the_wrap_may_be_hashed_or_not() -> None:
    absent, null = der.algorithm(WRAP), der.algorithm(WRAP, der.NULL)
    for hashed in (absent, null):
        for sent in (absent, null):
            key = x963(SECRET, shared_info(wrap=hashed))
            octets = envelope(aes_key_wrap(key, CONTENT_KEY), X963_SHA256, wrap=sent)
            assert opened(octets).content == b"the plain words"


def test_what_is_bound_to_something_else_does_not_open() -> None:
    for key in (
        hkdf(SECRET, shared_info(b"thrown in"), b"thrown in"),
        hkdf(SECRET, shared_info(), b"", "sha512"),
        x963(SECRET, shared_info()),
        hkdf(SECRET, b""),
    ):
        octets = envelope(aes_key_wrap(key, CONTENT_KEY), HKDF_SHA256)
        assert opened(octets).finding is Finding.CONTENT_DAMAGED


@pytest.mark.parametrize("kind", ["x25519", "p256"])
def test_what_we_write_is_derived_so(kind: str) -> None:
    info = asn1.RecipientInfo.load(recipient(certificate(kind)).info(CONTENT_KEY)).chosen
    wrapped = info["recipient_encrypted_keys"][0]["encrypted_key"].native
    public = info["originator"].chosen
    private = private_key(kind)
    algorithm = info["key_encryption_algorithm"]
    assert Sequence.load(algorithm["parameters"].dump()).dump() == der.algorithm(WRAP)
    assert info["ukm"].native is None
    octets = public["public_key"].native
    if kind == "x25519":
        from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

        assert algorithm["algorithm"].dotted == "1.2.840.113549.1.9.16.3.19"
        assert public["algorithm"]["algorithm"].dotted == "1.3.101.110"
        key = hkdf(private.exchange(X25519PublicKey.from_public_bytes(octets)), shared_info())
    else:
        assert algorithm["algorithm"].dotted == "1.3.132.1.11.1"
        assert public["algorithm"]["algorithm"].dotted == "1.2.840.10045.2.1"
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), octets)
        key = x963(private.exchange(ec.ECDH(), point), shared_info())
    assert aes_key_unwrap(key, wrapped) == CONTENT_KEY


def test_a_point_of_small_order_is_refused() -> None:
    for point in (bytes(32), b"\x01" + bytes(31)):  # RFC 7748 6.1: the secret would be zero, and known to all
        originator = der.explicit(1, der.algorithm(X25519), der.bit_string(point))
        octets = envelope(aes_key_wrap(hkdf(bytes(32), shared_info()), CONTENT_KEY), HKDF_SHA256, originator=originator)
        assert opened(octets).finding is Finding.STRUCTURE_BROKEN


def test_a_point_off_the_curve_is_refused() -> None:
    key = private_key("p256")
    named = Named.of(certificate("p256")).issuer_and_serial()
    good = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    for point in (good[:-1] + bytes([good[-1] ^ 1]), b"", b"\x00", good[:40], bytes(300)):
        originator = der.explicit(1, der.algorithm(EC), der.bit_string(point))
        octets = envelope(bytes(40), X963_SHA256, originator=originator, named=named)
        assert opened(octets, key, "p256").finding is Finding.STRUCTURE_BROKEN


def test_a_compressed_point_is_read() -> None:
    ours, theirs = private_key("p256"), private_key("p256:other")
    key = x963(ours.exchange(ec.ECDH(), theirs.public_key()), shared_info())
    point = theirs.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    originator = der.explicit(1, der.algorithm(EC, der.NULL), der.bit_string(point))
    named = Named.of(certificate("p256")).issuer_and_serial()
    octets = envelope(aes_key_wrap(key, CONTENT_KEY), X963_SHA256, originator=originator, named=named)
    assert opened(octets, ours, "p256").content == b"the plain words"


def test_static_ecdh_and_unknown_schemes_are_told() -> None:
    static = Named.of(certificate("p256")).issuer_and_serial()
    assert opened(envelope(bytes(40), HKDF_SHA256, originator=static)).finding is Finding.ALGORITHM_UNKNOWN
    mqv = der.oid_octets("1.3.133.16.840.63.0.16")
    assert opened(envelope(bytes(40), mqv)).finding is Finding.ALGORITHM_UNKNOWN
    unknown = der.algorithm(der.oid_octets("1.2.3"))
    assert opened(envelope(bytes(40), HKDF_SHA256, wrap=unknown)).finding is Finding.ALGORITHM_UNKNOWN
