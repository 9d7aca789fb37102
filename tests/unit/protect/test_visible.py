"""Whom a message names: whoever is not named for sure counts as blind."""

from __future__ import annotations

import pytest

from gateway.mail.address import parse_address
from gateway.mail.message import Held, Message
from gateway.protect.visible import authors, visible


def message(*lines: str) -> Message:
    octets = "\r\n".join([*lines, "", "x", ""]).encode()
    return Message(octets, Held(octets))


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (("To: otto@partner.example",), {"otto@partner.example"}),
        (("To: Otto <OTTO@Partner.Example>", "Cc: b@x.example"), {"otto@partner.example", "b@x.example"}),
        (("To: a@x.example,", " b@x.example", "to: c@x.example"), {"a@x.example", "b@x.example", "c@x.example"}),
        (("To: all: a@x.example, b@x.example;",), {"a@x.example", "b@x.example"}),
        (("Resent-To: a@x.example", "Resent-Cc: b@x.example"), {"a@x.example", "b@x.example"}),
        (("Bcc: a@x.example", "X-To: b@x.example"), set()),
        (('To: "a@x.example" <b@x.example>',), {"b@x.example"}),
        (("To: undisclosed-recipients:;",), set()),
        ((), set()),
    ],
)
def test_to_and_cc_name_people(lines: tuple[str, ...], named: set[str]) -> None:
    assert visible(message(*lines)) == named


def test_a_field_that_can_be_read_in_two_ways_names_nobody() -> None:
    assert visible(message("To: a@x.example <b@x.example>", "Cc: c@x.example")) == {"c@x.example"}


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("From: Ida <ida@corp.example>", "Sender: b@x.example"), "ida@corp.example"),
        (("From: broken <", "Sender: b@x.example"), "b@x.example"),
        (("From: broken <",), "bounce@corp.example"),
    ],
)
def test_the_author_is_who_stands_in_from_else_who_sent_it(lines: tuple[str, ...], found: str) -> None:
    sender = parse_address("bounce@corp.example")
    assert [one.text for one in authors(message(*lines), sender)] == [found]


def test_a_notice_without_any_has_no_author() -> None:
    assert authors(message("Subject: x"), None) == ()
