"""MAIL and RCPT with their parameters (RFC 5321 4.1.2, RFC 1870, RFC 3461, RFC 6152, RFC 6531)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import reply as say
from gateway.mail.envelope import Body
from gateway.mail.reply import Refused, Reply
from gateway.smtp.commands import MAX_ENVID, MAX_ORCPT, hello_name, parse_mail, parse_rcpt


def refusal_of_mail(argument: str) -> Reply:
    with pytest.raises(Refused) as caught:
        parse_mail(argument)
    return caught.value.reply


def refusal_of_rcpt(argument: str, smtputf8: bool = False) -> Reply:
    with pytest.raises(Refused) as caught:
        parse_rcpt(argument, smtputf8)
    return caught.value.reply


def test_all_parameters_of_mail_are_read_whatever_their_case() -> None:
    command = parse_mail("from:<ida@corp.example> size=1000 Body=8bitmime smtputf8 RET=hdrs ENVID=QQ+2B314159")
    assert command.sender is not None
    assert command.sender.text == "ida@corp.example"
    assert (command.size, command.body, command.smtputf8) == (1000, Body.EIGHT_BIT_MIME, True)
    assert (command.ret, command.envid) == ("hdrs", "QQ+2B314159")


def test_a_null_sender_is_none() -> None:
    assert parse_mail("FROM:<>").sender is None
    assert parse_mail("FROM:<> SMTPUTF8").sender is None


def test_a_blank_before_the_path_is_read_over() -> None:
    assert parse_mail("FROM: <ida@corp.example>").sender == parse_mail("FROM:<ida@corp.example>").sender
    assert parse_rcpt("TO:  <otto@partner.example>", False).address.text == "otto@partner.example"


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", say.BAD_SYNTAX),
        ("<ida@corp.example>", say.BAD_SYNTAX),
        ("TO:<ida@corp.example>", say.BAD_SYNTAX),
        ("FROM <ida@corp.example>", say.BAD_SYNTAX),
        ("FROM:ida@corp.example", say.BAD_SENDER),
        ("FROM:", say.BAD_SENDER),
        ("FROM:<ida>", say.BAD_SENDER),
        ("FROM:<postmaster>", say.BAD_SENDER),
        ("FROM:<ida@corp.example>SIZE=1", say.BAD_SENDER),
        ("FROM:<ida@corp.example", say.BAD_SENDER),
        ("FROM:<ida@@corp.example>", say.BAD_SENDER),
        ("FROM:<ida@corp.example> SIZE", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> SIZE=", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> SIZE=-1", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> SIZE=1x", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> SIZE=²", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> SIZE=" + "9" * 21, say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> SIZE=1 SIZE=2", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> SIZE=1 size=1", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> BODY=BINARYMIME", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> BODY", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> SMTPUTF8=1", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> RET=ALL", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> ENVID=a+2", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> ENVID=a=b", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> -X=1", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> AUTH=<>", say.UNKNOWN_PARAMETER),
        ("FROM:<ida@corp.example> NOTIFY=NEVER", say.UNKNOWN_PARAMETER),
        ("FROM:<jörg@corp.example>", say.NEEDS_SMTPUTF8),
        ("FROM:<jörg@corp.example> BODY=8BITMIME", say.NEEDS_SMTPUTF8),
        ("FROM:<ida@köln.example>", say.NEEDS_SMTPUTF8),
    ],
)
def test_a_malformed_mail_is_refused(argument: str, reply: Reply) -> None:
    assert refusal_of_mail(argument) == reply


def test_an_address_beyond_ascii_passes_with_smtputf8() -> None:
    command = parse_mail("FROM:<jörg@köln.example> SMTPUTF8")
    assert command.sender is not None
    assert command.sender.domain == "xn--kln-sna.example"
    assert parse_rcpt("TO:<jörg@köln.example>", True).address.text == "jörg@köln.example"
    assert refusal_of_rcpt("TO:<jörg@köln.example>") == say.NEEDS_SMTPUTF8


def test_an_envid_of_100_octets_is_the_longest() -> None:
    assert parse_mail(f"FROM:<> ENVID={'x' * MAX_ENVID}").envid == "x" * 100
    assert refusal_of_mail(f"FROM:<> ENVID={'x' * 101}") == say.BAD_PARAMETER


def test_dsn_parameters_of_rcpt_are_kept() -> None:
    recipient = parse_rcpt("TO:<otto@partner.example> NOTIFY=success,Failure ORCPT=rfc822;otto+40x.example", False)
    assert (recipient.notify, recipient.orcpt) == ("SUCCESS,FAILURE", "rfc822;otto+40x.example")


def test_an_orcpt_of_500_octets_is_the_longest() -> None:
    fits = "rfc822;" + "x" * (MAX_ORCPT - 7)
    assert parse_rcpt(f"TO:<otto@partner.example> ORCPT={fits}", False).orcpt == fits
    assert refusal_of_rcpt(f"TO:<otto@partner.example> ORCPT={fits}x") == say.BAD_PARAMETER


def test_postmaster_needs_no_domain() -> None:
    assert parse_rcpt("TO:<Postmaster>", False).address.text == "Postmaster"


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("TO:<>", say.BAD_RECIPIENT),
        ("TO:otto@partner.example", say.BAD_RECIPIENT),
        ("TO:<otto>", say.BAD_RECIPIENT),
        ("FROM:<otto@partner.example>", say.BAD_SYNTAX),
        ("TO:<otto@partner.example> NOTIFY=NEVER,DELAY", say.BAD_PARAMETER),
        ("TO:<otto@partner.example> NOTIFY=", say.BAD_PARAMETER),
        ("TO:<otto@partner.example> ORCPT=root", say.BAD_PARAMETER),
        ("TO:<otto@partner.example> SIZE=1", say.UNKNOWN_PARAMETER),
    ],
)
def test_a_malformed_rcpt_is_refused(argument: str, reply: Reply) -> None:
    assert refusal_of_rcpt(argument) == reply


@pytest.mark.parametrize(
    "name", ["client.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "jörg.example", "x" * 255, "!"]
)
def test_a_name_without_blanks_is_a_name(name: str) -> None:
    assert hello_name(name) == name


@pytest.mark.parametrize("name", ["", "two words", "x" * 256, "tab\tbed", "del\x7f"])
def test_what_is_no_name_is_none(name: str) -> None:
    assert hello_name(name) is None


PIECES = st.lists(
    st.sampled_from(
        [
            "FROM:",
            "TO:",
            "<",
            ">",
            "ida@corp.example",
            "@a.example:",
            '"',
            "\\",
            " ",
            "\t",
            "SIZE=",
            "=",
            "12",
            "BODY=8BITMIME",
            "SMTPUTF8",
            "RET=FULL",
            "ENVID=",
            "NOTIFY=NEVER",
            "ORCPT=rfc822;",
            "é",
            "\xa0",
            "\u2028",
            "+2B",
            "[",
            "]",
            "IPv6:::1",
        ]
    ),
    max_size=12,
).map("".join)


@given(st.text(max_size=120) | PIECES)
def test_any_argument_of_mail_is_read_or_refused(argument: str) -> None:
    try:
        parse_mail(argument)
    except Refused as refused:
        assert 500 <= refused.reply.code < 600


@given(st.text(max_size=120) | PIECES, st.booleans())
def test_any_argument_of_rcpt_is_read_or_refused(argument: str, smtputf8: bool) -> None:
    try:
        recipient = parse_rcpt(argument, smtputf8)
    except Refused as refused:
        assert 500 <= refused.reply.code < 600
    else:
        assert smtputf8 or recipient.address.is_ascii
