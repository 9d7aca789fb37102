"""Which addresses are a user's own."""

from __future__ import annotations

import pytest

from gateway.accounts.model import User, own_address
from gateway.mail.address import BadAddress, parse_address


def user(*addresses: str) -> User:
    return User(id="1", name="ida", epoch=0, addresses=tuple(map(own_address, addresses)))


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ("ida@corp.example", "ida@corp.example"),
        ("Ida@Corp.Example", "IDA@CORP.EXAMPLE"),
        ("ida@corp.example", "ida+lists@corp.example"),
        ("ida@corp.example", "ida+a+b@corp.example"),
        ("ida@corp.example", '"ida"@corp.example'),
        ("ida@corp.example", '"\\i\\d\\a"@corp.example'),
        ("ida+x@corp.example", "ida+x@corp.example"),
        ("*@corp.example", "anybody@corp.example"),
        ("ida@münchen.example", "ida@xn--mnchen-3ya.example"),
        ("+x@corp.example", "+x@corp.example"),
    ],
)
def test_an_address_is_the_users_own(own: str, text: str) -> None:
    assert user(own).owns(parse_address(text))


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ("ida@corp.example", "otto@corp.example"),
        ("ida@corp.example", "ida@sub.corp.example"),
        ("ida@corp.example", "ida@corp.example.evil"),
        ("ida@corp.example", "xida@corp.example"),
        ("ida@corp.example", "+ida@corp.example"),
        ("ida+x@corp.example", "ida@corp.example"),
        ("ida+x@corp.example", "ida+y@corp.example"),
        ("*@corp.example", "ida@sub.corp.example"),
        ("ida@corp.example", "postmaster"),
        ("ida@corp.example", '"ida "@corp.example'),
        ("ida@corp.example", "*@corp.example"),
    ],
)
def test_an_address_is_somebody_elses(own: str, text: str) -> None:
    assert not user(own).owns(parse_address(text))


def test_who_has_no_address_owns_none() -> None:
    assert not user().owns(parse_address("ida@corp.example"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ida",
        "postmaster",
        "@corp.example",
        "*",
        "*@",
        "*@*",
        "a b@corp.example",
        "*@*.corp.example",
        '"*"@corp.example',
    ],
)
def test_what_is_no_address_of_an_account(text: str) -> None:
    with pytest.raises(BadAddress):
        own_address(text)
