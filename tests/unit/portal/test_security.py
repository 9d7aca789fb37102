"""Who asks, for whom, and with which cookies: the checks that need no gateway behind them."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from gateway.portal import security
from gateway.portal.terms import PortalTerms


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Portal.corp.example", "portal.corp.example"),
        ("https://portal.corp.example:443", "portal.corp.example"),
        ("https://portal.corp.example:8443/", "portal.corp.example:8443"),
        ("https://[2001:DB8::7]:8443", "[2001:db8::7]:8443"),
        ("https://post.m\u00fcller.example:8443", "post.xn--mller-kva.example:8443"),
        ("https://stra\u00dfe.example", "xn--strae-oqa.example"),
    ],
)
def test_host_and_origin_are_as_a_browser_sends_them(url: str, host: str) -> None:
    terms = PortalTerms(url=url)
    assert (terms.host, terms.origin) == (host, f"https://{host}")
    assert security.is_our_host(terms, [host.upper()])
    assert not security.is_our_host(terms, [])
    assert not security.is_our_host(terms, [host + ".evil.example"])


def test_a_proxy_of_ours_alone_says_for_whom_it_asks() -> None:
    proxies = (ip_network("10.0.0.0/8"),)

    def client(peer: str, *forwarded: str) -> str:
        return security.client_of(peer, forwarded, proxies)

    assert client("10.0.0.1", "192.0.2.7") == "192.0.2.7"
    assert client("::ffff:10.0.0.1", "192.0.2.7") == "192.0.2.7"
    assert client("203.0.113.5", "192.0.2.7") == "203.0.113.5", "anybody can write the field"
    assert client("10.0.0.1", "198.51.100.1, 192.0.2.7, 10.0.0.2") == "192.0.2.7", "what the client wrote counts not"
    assert client("10.0.0.1", "198.51.100.1", "192.0.2.7") == "192.0.2.7"
    assert client("10.0.0.1", "192.0.2.7, nonsense") == "10.0.0.1"
    assert client("10.0.0.1") == "10.0.0.1"
    assert security.client_of("10.0.0.1", ["192.0.2.7"], ()) == "10.0.0.1"


def test_a_token_has_one_spelling() -> None:
    octets = bytes(range(32))
    text = security.spelled(octets)
    assert (len(text), security.token_octets(text)) == (43, octets)
    last = text[:-1] + chr(ord(text[-1]) + 1)  # The same octets for a decoder that does not look at the last bits.
    for other in (last, text + "=", text[:-1], f" {text}"[:43], text.replace("A", "\n", 1), "ä" * 43, "/" * 43):
        assert security.token_octets(other) is None, other


def test_the_hidden_field_belongs_to_one_browser() -> None:
    value = security.hidden(b"a" * 32)
    assert security.is_ours(b"a" * 32, value)
    for browser, shown in (
        (b"b" * 32, value),
        (None, value),
        (b"a" * 32, None),
        (b"a" * 32, value + "x"),
        (b"a" * 32, "é"),
    ):
        assert not security.is_ours(browser, shown)
    assert security.spelled(b"a" * 32) not in value, "the cookie stands in no page"


def test_the_name_of_a_sessions_cookie_tells_nothing_of_the_link() -> None:
    token = security.spelled(bytes(range(32)))
    name = security.session_cookie(token)
    assert name.startswith("__Host-m-") and not any(token[start : start + 6] in name for start in range(37))
    assert name != security.session_cookie(security.spelled(bytes(32)))
