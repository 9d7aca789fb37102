"""Any octets as a file of certificates: read or refused in words, in bounded time; what is read is judged and kept."""

from __future__ import annotations

import os
from pathlib import Path
from time import process_time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, pkcs7
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from hypothesis import given
from hypothesis import strategies as st

from gateway.smime import certificate_file
from gateway.smime.certificate import Purpose, Unreadable, of
from gateway.smime.certificate_file import read
from gateway.smime.selection import Known, Selection
from gateway.smime.trust import Trust, Untrusted
from tests.fakes.certificates import make_certificate
from tests.fuzz.rounds import ROUND, for_seconds
from tests.fuzz.test_certificate import changed

pytestmark = [pytest.mark.fuzz, pytest.mark.filterwarnings("ignore")]

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
PASSWORD = "geheim"
LONGEST = 2.0  # Seconds of processor time for one file; deriving a key from a password takes most of it.


def test_any_octets_are_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_file, "MAX_ROUNDS", 100_000)
    root = make_certificate(tmp_path, is_ca=True, common_name="Root")
    ida = make_certificate(tmp_path, "ida@corp.example", issuer=root, key=rsa.generate_private_key(65537, 2048))
    how = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1000).build(PASSWORD.encode())
    bag = serialize_key_and_certificates(b"ida", ida.key, ida.certificate, [root.certificate], how)
    key = ida.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode()))
    pem = ida.file.read_bytes() + ida.key_file.read_bytes()
    many = pkcs7.serialize_certificates([root.certificate, ida.certificate], Encoding.DER)
    octets = st.one_of(
        st.binary(max_size=400),
        *(changed(one) for one in (ida.der, bag, key, pem, many)),
        *(st.just(one) for one in (bag, pem)),
    )
    trust = Trust([of(root.certificate)])
    now = ida.certificate.not_valid_before_utc.timestamp() + 86400

    @ROUND
    @given(octets, st.sampled_from([PASSWORD, "", None]))
    def judged(file: bytes, password: str | None) -> None:
        began = process_time()
        try:
            holding = read(file, password)
        except Unreadable as fault:
            assert PASSWORD not in str(fault)
        else:
            for one in holding.all:
                try:
                    trust.judge(one, holding.certificates, now=now, purpose=Purpose.SIGN)
                except Untrusted as fault:
                    assert fault.reason.startswith("certificate-")
            repr(Selection(Known(one, one.addresses) for one in holding.all))
        assert process_time() - began < LONGEST

    for_seconds(SECONDS, judged)
