"""LDAP filters: what a stranger writes into RCPT stays a value."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory.filters import BadFilter, Filter, escaped
from gateway.mail.address import BadAddress, parse_address

MAIL = Filter.of("(mail={address})")


def test_what_means_something_in_a_filter_is_escaped() -> None:
    assert escaped("a*(b)\\c\0") == "a\\2a\\28b\\29\\5cc\\00"  # RFC 4515 3
    assert escaped("ö") == "\\c3\\b6"


@given(st.text(max_size=64))
def test_no_value_can_leave_its_place(text: str) -> None:
    safe = escaped(text)
    assert re.fullmatch(r"(?:[\x20-\x7e]|\\[0-9a-f]{2})*", safe)
    assert not re.search(r"[()*\0]", safe)
    octets = re.sub(rb"\\([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), safe.encode())
    assert octets.decode() == text


@given(st.text(alphabet='*()\\&|!=aö" ', min_size=1, max_size=20))
def test_a_filter_about_any_address_keeps_its_form(local: str) -> None:
    quoted = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"@corp.example'
    try:
        address = parse_address(quoted)
    except BadAddress:
        return
    assert re.fullmatch(r"\(mail=[^()*]*@corp\.example\)", MAIL.about(address))


def test_domains_are_asked_for_in_both_forms() -> None:
    both = "(|(mail=ida@xn--kln-sna.example)(mail=ida@k\\c3\\b6ln.example))"
    assert MAIL.about(parse_address("ida@köln.example")) == both
    assert MAIL.about(parse_address("ida@xn--kln-sna.example")) == both


def test_a_tag_asks_for_the_mailbox_too() -> None:
    asked = MAIL.about(parse_address("ida+x@corp.example"), "+")
    assert asked == "(|(mail=ida+x@corp.example)(mail=ida@corp.example))"


def test_parts_of_the_address_have_places_of_their_own() -> None:
    made = Filter.of("(&(uid={local})(associatedDomain={domain}))").about(parse_address('"i(da"@corp.example'))
    assert made == "(&(uid=i\\28da)(associatedDomain=corp.example))"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "(objectClass=*)",
        "(domain={domain})",
        "mail={address}",
        "(mail={address}",
        "(mail={address}))",
        "(mail={address})(x=y)",
        "(mail={adress})",
        "(mail={address})}",
        ")mail={address}(",
    ],
)
def test_what_is_no_filter_with_a_place_for_the_address_is_refused(text: str) -> None:
    with pytest.raises(BadFilter, match="proxyAddresses"):
        Filter.of(text)
