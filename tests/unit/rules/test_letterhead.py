"""What notices and disclaimers quote of a header: decoded, on one line."""

from __future__ import annotations

import pytest

from gateway.mail.address import parse_address
from gateway.mail.message import Held, Message
from gateway.rules.html_text import html_text
from gateway.rules.letterhead import LONGEST, MOST, Letterhead
from gateway.rules.tokens import filled

IDA = parse_address("ida@corp.example")


def letterhead(octets: bytes) -> Letterhead:
    return Letterhead(Message(octets, Held(octets)))


@pytest.mark.parametrize(
    ("value", "name", "address"),
    [
        (b"Ida Berg <berg@corp.example>", "Ida Berg", "berg@corp.example"),
        (b'"Berg, \\"Ida\\"" <berg@corp.example>', 'Berg, "Ida"', "berg@corp.example"),
        (b"=?utf-8?q?J=C3=B6rg?=\r\n <j@corp.example>", "Jörg", "j@corp.example"),
        (b"berg@corp.example", "berg@corp.example", "berg@corp.example"),
        (b"broken <", "broken", "ida@corp.example"),
        (b'"<b>Ida</b>" <berg@corp.example>', "<b>Ida</b>", "berg@corp.example"),
        (b"=?utf-8?q?=3Cb=3EIda?= <berg@corp.example>", "<b>Ida", "berg@corp.example"),
        (b'"Ida <berg@corp.example>', "ida@corp.example", "ida@corp.example"),
        (b"", "ida@corp.example", "ida@corp.example"),
    ],
)
def test_the_sender_s_tokens_are_those_of_from(value: bytes, name: str, address: str) -> None:
    tokens = letterhead(b"From: " + value + b"\r\n\r\n").tokens(IDA)
    assert tokens == {"displayname": name, "email": address}


def test_a_value_has_no_line_ends_and_an_end() -> None:
    found = letterhead(b"X: a\r\n b\r\nX: " + b"c" * 99_999 + b"\r\n" + b"X: d\r\n" * 500 + b"\r\n").values("x")
    assert found[0] == "a b"
    assert len(found[1]) <= LONGEST
    assert len(found) == MOST
    assert "\n" not in "".join(letterhead(b"X: =?utf-8?q?a=0D=0ABcc=3A_b?=\r\n\r\n").values("x"))


def test_what_stands_for_a_token_is_escaped_in_html_and_not_filled_again() -> None:
    values = {"displayname": "<b>%%email%%</b>", "email": "x"}
    assert filled("<p>%%DisplayName%%</p>", values) == "<p>&lt;b&gt;%%email%%&lt;/b&gt;</p>"
    assert filled("%%displayname%%", values, html=False) == "<b>%%email%%</b>"
    assert filled("%%other%% 100%%", values) == "%%other%% 100%%"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a &amp; b</p><p>c</p>", "a & b\nc"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ('see <a href="https://corp.example/x">the page</a>', "see the page <https://corp.example/x>"),
        ('<a href="https://corp.example">corp.example</a>', "corp.example"),
        ('<a href="javascript:x">y</a>', "y"),
        ("<style>p{}</style><script>x</script><p>\n  a\n  b </p>", "a b"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_html_of_an_administrator_as_text(html: str, text: str) -> None:
    assert html_text(html) == text
