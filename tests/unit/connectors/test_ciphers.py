"""Names of cipher suites."""

from __future__ import annotations

import ssl

from gateway.connectors.ciphers import IANA_NAMES, iana_name


def test_every_suite_that_openssl_offers_has_its_iana_name() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    names = [iana_name(suite["name"]) for suite in context.get_ciphers()]
    assert len(names) > 60
    assert all(name.startswith("TLS_") for name in names)


def test_tls_1_3_names_are_iana_names_already() -> None:
    assert iana_name("TLS_AES_256_GCM_SHA384") == "TLS_AES_256_GCM_SHA384"


def test_known_pairs() -> None:
    assert iana_name("ECDHE-RSA-AES256-GCM-SHA384") == "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
    assert iana_name("AES128-SHA") == "TLS_RSA_WITH_AES_128_CBC_SHA"
    assert len(set(IANA_NAMES.values())) == len(IANA_NAMES)
