"""Any octets as a custodian's order: refused in words for people, unless the custodian has signed just these."""

from __future__ import annotations

import json
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailboxes.faults import PolicyRefused
from gateway.mailboxes.policies.order import PURGE, make_order, public_pem, read_order
from tests.fakes.chance import FakeChance
from tests.fuzz.rounds import ROUND, for_seconds

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "2"))
_KEY = Ed25519PrivateKey.generate()
PRIVATE = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = _KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
LIKE = st.fixed_dictionaries({"order": VALUES, "signature": VALUES | st.just("AAAA")}) | VALUES


@pytest.mark.timeout(SECONDS * 3 + 60)
def test_any_octets_are_refused_unless_the_custodian_has_signed_them() -> None:
    like = LIKE.map(lambda said: json.dumps(said).encode("utf-8", "surrogatepass"))

    @ROUND
    @given(
        octets=st.binary(max_size=200) | like,
        name=st.text(st.characters(codec="utf-8"), max_size=20),
        now=st.floats(0, 4e9),
        place=st.integers(0, 1 << 16),
    )
    def judged(octets: bytes, name: str, now: float, place: int) -> None:
        for refused in (octets, b"-----BEGIN PUBLIC KEY-----\n" + octets):
            with pytest.raises(PolicyRefused):
                read_order(refused, PUBLIC)
            with pytest.raises(PolicyRefused):
                public_pem(refused)
        made = make_order(PURGE, name, PRIVATE, now=now, chance=FakeChance(name))
        said = read_order(made, PUBLIC)
        assert (said.policy, said.action) == (name, PURGE) and abs(said.made - now) < 0.01
        spoiled = bytearray(made)
        spoiled[place % len(spoiled)] ^= 0x80  # Never ASCII, so never read as what was signed.
        with pytest.raises(PolicyRefused):
            read_order(bytes(spoiled), PUBLIC)

    for_seconds(SECONDS, judged)
