"""Any octets as a client's certificate: refused or good, never a crash, in bounded time."""

from __future__ import annotations

import os
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.connectors.certificate_terms import CertificateTerms
from gateway.connectors.client_chain import Trust
from gateway.connectors.described import described, names_shown, shown
from gateway.connectors.tls import TlsFault
from gateway.mail.envelope import Tls
from tests.fakes.certificates import make_certificate
from tests.fuzz.rounds import ROUND, for_seconds

pytestmark = [pytest.mark.fuzz, pytest.mark.filterwarnings("ignore")]  # The library warns of odd certificates.

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))


def changed(octets: bytes) -> st.SearchStrategy[bytes]:
    """A good certificate with octets replaced, put in, cut out, or its end missing."""
    place = st.integers(0, len(octets) - 1)

    def apply(edits: list[tuple[int, int, bytes]]) -> bytes:
        made = bytearray(octets)
        for start, length, new in edits:
            made[start : start + length] = new
        return bytes(made)

    return st.lists(st.tuples(place, st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=4).map(apply)


def test_any_octets_are_judged(tmp_path: Path) -> None:
    root = make_certificate(tmp_path, is_ca=True, common_name="Root")
    leaf = make_certificate(tmp_path, "mx.partner.example", "192.0.2.7", issuer=root)
    trust = Trust(root.file)
    octets = st.one_of(st.binary(max_size=400), changed(leaf.der), changed(root.der), st.just(leaf.der))

    @ROUND
    @given(st.lists(octets, min_size=1, max_size=4))
    def judged(chain: list[bytes]) -> None:
        began = process_time()
        facts = described(chain)
        assert facts.name.isascii()
        assert facts.name.isprintable()
        assert all(name.isascii() and name.isprintable() for name in names_shown(chain[0]))
        tls = Tls("TLSv1.3", "x", shown(tuple(chain)))
        for name in ("mx.partner.example", "*.partner.example", "192.0.2.7"):
            terms = CertificateTerms(name=name, trust=trust, allow_cn=True, allow_subdomains=True)
            try:
                terms.judge(tls, leaf.certificate.not_valid_after_utc.timestamp() - 10)
            except TlsFault as fault:
                assert fault.reason  # Anything but a TlsFault is the finding.
            else:
                assert chain[0] == leaf.der or chain[0] == root.der
        assert process_time() - began < 1

    for_seconds(SECONDS, judged)
