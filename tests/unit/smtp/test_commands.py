"""MAIL and RCPT with their parameters (RFC 5321 4.1.2, RFC 1870, RFC 3461, RFC 6152, RFC 6531)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import reply as say
from gateway.mail.envelope import Body
from gateway.mail.reply import Refused, Reply
from gateway.smtp.commands import MAX_ENVID, MAX_ORCPT, Chunk, hello_name, parse_chunk, parse_mail, parse_rcpt


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
        ("FROM:<ida@corp.example> BODY=BINARYMIME", say.NO_BINARY),
        ("FROM:<ida@corp.example> body=binarymime", say.NO_BINARY),
        ("FROM:<ida@corp.example> BODY=9BIT", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> BODY", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> SMTPUTF8=1", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> RET=ALL", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> ENVID=a+2", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> ENVID=a=b", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> -X=1", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> AUTH", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> AUTH=", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> AUTH=a+b", say.BAD_PARAMETER),
        ("FROM:<ida@corp.example> AUTH=" + "x" * 501, say.BAD_PARAMETER),
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


@pytest.mark.parametrize(
    "orcpt",
    [
        "rfc822;root",
        "RFC822;a+2Bb+3Dc+20d",
        "x-local;a",
        "utf-8;j\\x{F6}rg@k\\x{F6}ln.example",
        "utf-8;\\x{20}\\x{2B}\\x{5C}\\x{100}\\x{1F600}\\x{10FFFF}",
        "UTF-8;plain",
    ],
)
def test_every_form_of_orcpt_is_kept_as_it_came(orcpt: str) -> None:
    # smtp-29: the address in it needs no domain. RFC 3461 4.2, RFC 6533 3.
    assert parse_rcpt(f"TO:<otto@partner.example> ORCPT={orcpt}", False).orcpt == orcpt


@pytest.mark.parametrize(
    "orcpt",
    [
        "",
        ";",
        "rfc822",
        "rfc822;",
        ";root",
        "rfc 822;root",
        "rfc822;a+",
        "rfc822;a+2",
        "rfc822;a+2b",
        "rfc822;a=b",
        "rfc822;jörg",
        "rfc822;x+0D+0AX-Evil:+20yes",
        "rfc822;x+00",
        "rfc822;x+7F",
        "rfc822;x+FF",
        f"{'x' * 33};root",
        "jörg;root",
        "utf-8;jörg",
        "utf-8;a+2B",
        "utf-8;\\",
        "utf-8;\\x{}",
        "utf-8;\\x{0D}\\x{0A}",
        "utf-8;\\x{0}",
        "utf-8;\\x{41}",
        "utf-8;\\x{D800}",
        "utf-8;\\x{110000}",
        "utf-8;\\x{00F6}",
    ],
)
def test_a_malformed_orcpt_is_refused(orcpt: str) -> None:
    assert refusal_of_rcpt(f"TO:<otto@partner.example> ORCPT={orcpt}") == say.BAD_PARAMETER


def test_letters_beyond_ascii_in_orcpt_need_smtputf8_and_type_utf_8() -> None:
    assert parse_rcpt("TO:<o@x.example> ORCPT=utf-8;jörg@köln.example", True).orcpt == "utf-8;jörg@köln.example"
    assert refusal_of_rcpt("TO:<o@x.example> ORCPT=utf-8;jörg@köln.example") == say.BAD_PARAMETER
    with pytest.raises(Refused):
        parse_rcpt("TO:<o@x.example> ORCPT=rfc822;jörg", True)
    with pytest.raises(Refused):
        parse_rcpt("TO:<o@x.example> ORCPT=utf-8;a\u0085b", True)


@pytest.mark.parametrize("notify", ["NEVER", "SUCCESS", "failure,delay", "SUCCESS,FAILURE,DELAY", "Delay"])
def test_every_notify_is_kept_in_capitals(notify: str) -> None:
    assert parse_rcpt(f"TO:<otto@partner.example> NOTIFY={notify}", False).notify == notify.upper()


@pytest.mark.parametrize(
    "notify",
    [
        "",
        "NEVER,NEVER",
        "SUCCESS,NEVER",
        "NEVER,FAILURE",
        "SUCCESS,",
        ",SUCCESS",
        "SUCCESS;DELAY",
        "ALL",
        "SUCCESS,,DELAY",
    ],
)
def test_a_notify_that_says_never_and_more_or_nothing_known_is_refused(notify: str) -> None:
    assert refusal_of_rcpt(f"TO:<otto@partner.example> NOTIFY={notify}") == say.BAD_PARAMETER


@pytest.mark.parametrize("envid", ["a+0D+0ABcc:+20x", "a+00", "a+7F", "a+C3+B6", "a+2b", "ä"])
def test_an_envid_that_would_break_a_notice_is_refused(envid: str) -> None:
    # RFC 3461 4.4: printable before it is encoded. It stands in a DSN's header field later.
    assert refusal_of_mail(f"FROM:<ida@corp.example> ENVID={envid}") == say.BAD_PARAMETER


def test_an_envid_may_encode_blanks_and_signs() -> None:
    assert parse_mail("FROM:<ida@corp.example> ENVID=a+20b+2B+3D").envid == "a+20b+2B+3D"


@pytest.mark.parametrize(
    ("argument", "size", "last"), [("0", 0, False), ("0 LAST", 0, True), ("12 last", 12, True), ("007", 7, False)]
)
def test_a_chunk_has_a_size_and_may_be_the_last(argument: str, size: int, last: bool) -> None:
    assert parse_chunk(argument) == Chunk(size, last)


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{0,25} ?(LAST|last)?", fullmatch=True))
def test_any_argument_of_bdat_is_read_or_none(argument: str) -> None:
    found = parse_chunk(argument)
    assert found is None or found.size >= 0


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
