"""Any octets as CMS: opened, or judged, or told in a finding; never an exception, in bounded time."""

from __future__ import annotations

import os
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.opened import SignatureStatus
from gateway.smime.cms import ber
from gateway.smime.cms.algorithms import WRITTEN
from gateway.smime.cms.enveloped import open_enveloped, seal_enveloped
from gateway.smime.cms.recipients import DecryptionKey, DecryptionKeys, recipient
from gateway.smime.cms.signed import CertificateIndex, read_signed
from gateway.smime.cms.signing import Signer, sign
from tests.fakes.chance import FakeChance
from tests.fakes.mail_keys import certificate, private_key
from tests.fuzz.rounds import ROUND, for_seconds

pytestmark = [pytest.mark.fuzz, pytest.mark.filterwarnings("ignore")]  # The library warns of odd certificates.

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
CONTENT = b"Content-Type: text/plain\r\n\r\nthe plain words\r\n"


def streamed(octets: bytes) -> bytes:
    """With an outermost length that is not known beforehand."""
    oid, choice = ber.read(octets).members()
    return b"\x30\x80" + bytes(oid.raw) + b"\xa0\x80" + bytes(choice.content) + b"\0\0\0\0"


def seeds() -> list[bytes]:
    """Good ones of all kinds, each small."""
    found = []
    for cipher in WRITTEN.values():
        for kinds in (["p256"], ["x25519"], ["p256", "x25519"], ["rsa"]):
            recipients = [recipient(certificate(kind), by_ski=len(kinds) > 1) for kind in kinds]
            found.append(seal_enveloped(CONTENT, recipients, cipher, FakeChance()))
    for kind in ("p256", "ed25519", "rsa"):
        for detached in (True, False):
            one = Signer.of(certificate(kind), private_key(kind), encryption=certificate("p256"), pss=True)
            found.append(sign(CONTENT, [one], now=1_700_000_000.0, detached=detached))
    return found + [streamed(octets) for octets in found]


def edited(octets: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """With octets replaced, put in or cut out."""
    made = bytearray(octets)
    for where, length, new in edits:
        start = int(where * len(made))
        made[start : start + length] = new
    return bytes(made)


def test_any_octets_are_opened_or_judged() -> None:
    good = seeds()
    kinds = ("p256", "x25519", "rsa")
    keys = DecryptionKeys([DecryptionKey.of(certificate(kind), private_key(kind)) for kind in kinds])
    known = CertificateIndex([certificate("p256"), certificate("rsa")])
    for seed in good:
        found = open_enveloped(seed, keys, FakeChance()).content or read_signed(seed, CONTENT).signers[0].status
        assert found in (CONTENT, SignatureStatus.GOOD)
    place = st.floats(0, 1, exclude_max=True)
    tags = st.sampled_from([b"\x30\x80", b"\0\0", b"\x24\x80", b"\xa0\x80", b"\x31\x84\xff\xff\xff\xff", b"\x02\x00"])
    edits = st.lists(st.tuples(place, st.integers(0, 8), st.one_of(st.binary(max_size=8), tags)), max_size=4)
    octets = st.one_of(st.binary(max_size=300), st.builds(edited, st.sampled_from(good), edits))

    @ROUND
    @given(octets)
    def judged(octets: bytes) -> None:
        began = process_time()
        envelope = open_enveloped(octets, keys, FakeChance())
        assert (envelope.content is None) is (envelope.finding is not None)
        if envelope.authenticated and envelope.content is not None:
            assert envelope.content == CONTENT
        for content in (None, CONTENT):
            signed = read_signed(octets, content, known=known.find)
            assert (not signed.signers) is (signed.finding is not None)
            for one in signed.signers:
                if one.status is SignatureStatus.GOOD:
                    assert one.reason is None
                    assert signed.content in (None, CONTENT)  # what was signed, whatever was done to the rest
                else:
                    assert one.reason is not None
        assert process_time() - began < 1

    for_seconds(SECONDS, judged)
