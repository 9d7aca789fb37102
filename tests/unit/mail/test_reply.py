"""Replies: what can't be said can't be made, and no unknown error's words reach a client."""

from __future__ import annotations

import re

import pytest

from gateway.mail import reply as say
from gateway.mail.reply import INTERNAL, Refused, Reply, reply_to

ALL = [(name, value) for name, value in vars(say).items() if isinstance(value, Reply)]


@pytest.mark.parametrize(
    ("code", "enhanced"),
    [
        (451, "5.4.0"),
        (550, "4.7.1"),
        (250, "5.0.0"),
        (199, None),
        (600, None),
        (550, "5.7"),
        (550, "5.7.1000"),
        (550, "5.x.1"),
    ],
)
def test_a_reply_that_the_rfcs_do_not_allow_can_not_be_made(code: int, enhanced: str | None) -> None:
    with pytest.raises(ValueError, match=r"."):
        Reply(code, enhanced, "x")


@pytest.mark.parametrize("text", ["a\rb", "a\0b", "a\x7fb", "a\tb", "a\r\n250 smuggled"])
def test_a_reply_holds_no_control_characters(text: str) -> None:
    with pytest.raises(ValueError, match="control"):
        Reply(550, "5.0.0", text)


def test_each_line_of_a_reply_has_code_and_enhanced_code() -> None:
    assert Reply(550, "5.7.1", "one\ntwo").wire == b"550-5.7.1 one\r\n550 5.7.1 two\r\n"
    assert Reply(354, None, "go").wire == b"354 go\r\n"


def test_a_note_stands_at_the_end() -> None:
    assert Reply(550, "5.7.1", "No").noted("[Q1]").wire == b"550 5.7.1 No [Q1]\r\n"


@pytest.mark.parametrize(("name", "reply"), ALL, ids=[name for name, _ in ALL])
def test_every_sentence_of_ours_is_ascii_and_short_enough_for_a_line(name: str, reply: Reply) -> None:
    assert re.fullmatch(rb"[2-5][0-9][0-9] [\x20-\x7e]+\r\n", reply.wire)
    assert len(reply.wire) < 300  # RFC 5321 4.5.3.1.5 allows 512, and an id and a contact come behind it.


def test_a_refusal_becomes_its_reply_and_anything_else_451() -> None:
    assert reply_to(Refused(say.LOOP)) is say.LOOP
    for error in (ValueError("secret"), OSError(28, "/path"), KeyboardInterrupt(), AssertionError()):
        assert reply_to(error) is INTERNAL
    assert INTERNAL.code == 451
