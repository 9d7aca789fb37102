"""The signature over a BODY's text: which key, which hash, which text."""

from __future__ import annotations

import pytest

from gateway.mail.digest import Hashed
from gateway.rights.tenant import tenant_version
from gateway.rights.xrml.element import BadLicence, Element
from gateway.rights.xrml.reader import read
from gateway.rights.xrml.signature import Forged, signed_octets, verify, write_signature
from tests.fakes.rights import FakeTenant, private_key, signature

BODY = '<BODY type="x"><NAME>\u00e4\U0001f512</NAME></BODY>'
VERSION = tenant_version(private_key().public_key(), 1)


def signed(body: str = BODY) -> Element:
    tenant = FakeTenant()
    signed = Hashed.of(signed_octets(body))
    return read(write_signature(signed, tenant.sign(tenant.current, signed)))


def test_ours_is_taken_for_good() -> None:
    verify(BODY, signed(), VERSION)
    assert signed().one("DIGEST", "ALGORITHM").text == "SHA256"
    assert signed().one("VALUE").attributes == {"encoding": "base64", "size": "2048"}


@pytest.mark.parametrize(
    "body", [BODY + " ", BODY.replace("><", "> <"), BODY.replace('"', "'"), BODY.replace("ä", "&#228;")]
)
def test_the_text_counts_as_it_stands(body: str) -> None:
    with pytest.raises(Forged):
        verify(body, signed(), VERSION)


def test_another_key_is_none() -> None:
    with pytest.raises(Forged):
        verify(BODY, signed(), tenant_version(private_key(number=2).public_key(), 1))


def test_the_digest_that_it_says_is_not_believed() -> None:
    other = BODY.replace("x", "y")
    tenant = FakeTenant()
    lying = read(write_signature(Hashed.of(signed_octets(other)), tenant.sign(tenant.current, signed_octets(BODY))))
    verify(BODY, lying, VERSION)
    with pytest.raises(Forged):
        verify(other, lying, VERSION)


def test_sha_1_is_taken_from_keys_of_mode_1_alone() -> None:
    old = private_key(1024)
    verify(BODY, read(signature(BODY, old, "sha1")), tenant_version(old.public_key(), 1))
    with pytest.raises(Forged):
        verify(BODY, read(signature(BODY, private_key(), "sha1")), VERSION)


@pytest.mark.parametrize("said", ["RSA PSS", "", "rsa"])
def test_another_algorithm_is_refused(said: str) -> None:
    text = signature(BODY, private_key()).replace("RSA PKCS#1-V1.5", said)
    with pytest.raises(BadLicence):
        verify(BODY, read(text), VERSION)


def test_a_value_that_is_no_signature_is_refused() -> None:
    text = signature(BODY, private_key())
    for changed in (
        text.replace("</VALUE></SIGNATURE>", "AAAA</VALUE></SIGNATURE>"),
        text.replace("==</VALUE></S", "</VALUE></S"),
    ):
        with pytest.raises((Forged, BadLicence)):
            verify(BODY, read(changed), VERSION)
