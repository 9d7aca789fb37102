"""Digests, masks, paddings and keys of all kinds in all combinations: good, or a finding. OpenSSL knows odd errors."""

from __future__ import annotations

import itertools

import pytest

from gateway.smime.cms import ber, der
from gateway.smime.cms.algorithms import DIGESTS, MGF1, AlgorithmIdentifier, Digest
from gateway.smime.cms.findings import Finding, Unreadable
from gateway.smime.cms.schemes import read_scheme
from gateway.smime.cms.transport import RSAES_OAEP, unwrapped
from tests.fakes.chance import FakeChance
from tests.fakes.mail_keys import SIGNING, private_key

PSS = der.oid_octets("1.2.840.113549.1.1.10")
KEYS = (*SIGNING, "dsa", "x25519")
SIGNATURES = (
    *("1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11", "1.2.840.10045.2.1", "1.2.840.10045.4.3.2"),
    *("1.2.840.10040.4.1", "1.3.101.112", "1.3.101.113"),
)
PAIRS = list(itertools.product(DIGESTS.values(), repeat=2))


def read(octets: bytes) -> AlgorithmIdentifier:
    return AlgorithmIdentifier.read(ber.read(octets))


def parameters(digest: Digest, mask: Digest, *more: bytes) -> bytes:
    masked = der.algorithm(MGF1, mask.identifier)
    return der.sequence(der.explicit(0, digest.identifier), der.explicit(1, masked), *more)


def test_signatures_of_every_kind_by_every_key_are_judged() -> None:
    for digest, oid, kind in itertools.product(DIGESTS.values(), SIGNATURES, KEYS):
        scheme = read_scheme(read(der.algorithm(der.oid_octets(oid))), digest)
        with pytest.raises(Unreadable):
            scheme.verify(private_key(kind).public_key(), b"x" * 64, b"data")


@pytest.mark.parametrize("salt", [0, 20, 500])
def test_pss_with_every_digest_and_mask_is_judged(salt: int) -> None:
    for digest, mask in PAIRS:
        octets = der.algorithm(PSS, parameters(digest, mask, der.explicit(2, der.integer(salt))))
        with pytest.raises(Unreadable):
            read_scheme(read(octets), digest).verify(private_key("rsa").public_key(), b"x" * 256, b"data")


@pytest.mark.parametrize("salt", [-1, 513, 2**31])
def test_pss_with_a_salt_of_no_length_is_unknown(salt: int) -> None:
    octets = der.algorithm(PSS, der.sequence(der.explicit(2, der.integer(salt))))
    with pytest.raises(Unreadable) as refused:
        read_scheme(read(octets), next(iter(DIGESTS.values())))
    assert refused.value.finding is Finding.ALGORITHM_UNKNOWN


def test_oaep_with_every_digest_and_mask_opens_or_is_unknown() -> None:
    for digest, mask in PAIRS:
        algorithm = read(der.algorithm(RSAES_OAEP, parameters(digest, mask)))
        try:
            assert len(unwrapped(private_key("rsa"), algorithm, b"x" * 256, 32, FakeChance())) == 32
        except Unreadable as refused:
            assert refused.finding is Finding.ALGORITHM_UNKNOWN
