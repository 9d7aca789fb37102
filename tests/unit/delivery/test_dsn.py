"""Notices, read back with Python's email package and held against RFC 3464's fields."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.dsn import MAX_RETURNED, build, quoted_printable
from gateway.delivery.kind import Kind
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Status, Success, Target
from gateway.mail.envelope import Body
from gateway.mail.mail import Mail

NOW = 1_793_700_000.0
HEAD = (
    b"Received: from a by b\r\n\tid Q1; x\r\nMessage-ID: <one@corp.example>\r\nSubject: Offer\r\n"
    b"From: ida@corp.example\r\n\r\nSecret words\r\n"
)
FAILED = Target(
    address=parse_address("otto@partner.example"),
    status=Status.FAILED,
    enhanced="5.1.1",
    reply="550 5.1.1 No such user here",
    host="mx.partner.example",
    orcpt="rfc822;otto+2Bx@partner.example",
)
DELIVERY = Delivery(
    id="Q1.1",
    message="Q1",
    connector="world",
    destination="partner.example",
    sender=parse_address("ida@corp.example"),
    targets=(FAILED,),
    size=len(HEAD),
    created=NOW - 5 * 86400,
    next_attempt=NOW,
    envid="QQ+3D314159",
)


def notice(
    *targets: Target,
    delivery: Delivery = DELIVERY,
    head: bytes = HEAD,
    whole: bool = False,
    until: float | None = None,
    contact: str | None = "postmaster@corp.example",
    kind: Kind | None = None,
) -> Mail:
    return build(
        delivery,
        targets or (FAILED,),
        kind=kind or (Kind.FAILURE if until is None else Kind.DELAY),
        head=head,
        whole=whole,
        hostname="gw.corp.example",
        contact=contact,
        now=NOW,
        id="Q2",
        until=until,
    )


def octets(mail: Mail) -> bytes:
    assert mail.message.content.inline is not None
    return mail.message.content.inline


def read(mail: Mail) -> EmailMessage:
    parsed = email.message_from_bytes(octets(mail), policy=email.policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    assert list(parsed.defects) == []
    text, status, _ = parsed.iter_parts()  # The original may have any defect.
    assert [defect for one in (text, status) for part in one.walk() for defect in part.defects] == []
    return parsed


def parts(mail: Mail) -> tuple[str, list[Message], Message]:
    text, status, original = list(read(mail).iter_parts())
    assert isinstance(text, EmailMessage)
    return text.get_content(), list(status.get_payload()), original


def test_the_envelope_has_a_null_sender_and_asks_for_no_notice() -> None:
    mail = notice()
    assert mail.id == "Q2"
    assert mail.envelope.sender is None
    assert [one.address.text for one in mail.envelope.recipients] == ["ida@corp.example"]
    assert mail.envelope.recipients[0].notify == "NEVER"
    assert (mail.envelope.body, mail.envelope.smtputf8) == (Body.SEVEN_BIT, False)
    assert (mail.client, mail.connector) == (None, None)


def test_the_header_says_who_writes_and_that_nobody_need_answer() -> None:
    parsed = read(notice())
    assert parsed["From"] == "Mail gateway <MAILER-DAEMON@gw.corp.example>"
    assert parsed["To"] == "ida@corp.example"
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed["Subject"] == "Not delivered: your message to otto@partner.example"
    assert parsed["Message-ID"] == "<Q2@gw.corp.example>"
    assert parsed["In-Reply-To"] == parsed["References"] == "<one@corp.example>"
    assert parsed["Date"] == "Tue, 03 Nov 2026 10:00:00 +0000"
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"


def test_the_second_part_has_the_fields_of_rfc_3464() -> None:
    _, (about, one), _ = parts(notice())
    assert dict(about.items()) == {
        "Original-Envelope-Id": "QQ=314159",
        "Reporting-MTA": "dns; gw.corp.example",
        "Arrival-Date": "Thu, 29 Oct 2026 10:00:00 +0000",
    }
    assert dict(one.items()) == {
        "Original-Recipient": "rfc822; otto+x@partner.example",
        "Final-Recipient": "rfc822; otto@partner.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.partner.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such user here",
        "Last-Attempt-Date": "Tue, 3 Nov 2026 10:00:00 +0000",
    }


def test_the_text_tells_what_to_whom_why_and_what_to_do() -> None:
    text, _, _ = parts(notice())
    for words in (
        "could not be delivered to this recipient",
        "otto@partner.example",
        "there is no such mailbox",
        "550 5.1.1 No such user here",
        "Check the spelling of the address",
        "write to postmaster@corp.example and name Q1",
    ):
        assert words in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "write to" not in parts(notice(contact=None))[0]


def test_only_the_header_section_goes_back_unless_more_was_asked_for() -> None:
    _, _, original = parts(notice(whole=True))
    assert original.get_content_type() == "text/rfc822-headers"
    assert b"Secret words" not in octets(notice(whole=True))
    full = notice(delivery=replace(DELIVERY, ret="FULL"), whole=True)
    _, _, original = parts(full)
    assert original.get_content_type() == "message/rfc822"
    assert HEAD in octets(full)
    assert b"Secret words" not in octets(notice(delivery=replace(DELIVERY, ret="FULL"), whole=False))
    assert b"Secret words" not in octets(notice(delivery=replace(DELIVERY, ret="HDRS"), whole=True))


def test_a_full_original_that_needs_8_bits_goes_back_as_header_alone() -> None:
    head = HEAD + "Grüße\r\n".encode()
    mail = notice(delivery=replace(DELIVERY, ret="FULL"), head=head, whole=True)
    assert octets(mail).isascii()
    assert parts(mail)[2].get_content_type() == "text/rfc822-headers"


def test_a_long_header_section_is_cut_at_a_line() -> None:
    head = b"".join(b"X-%06d: %s\r\n" % (number, b"y" * 60) for number in range(2000)) + b"\r\nbody"
    mail = notice(head=head)
    original = parts(mail)[2].get_payload()
    assert isinstance(original, str)
    assert MAX_RETURNED - 100 < len(original) <= MAX_RETURNED
    assert original.rstrip().splitlines()[-1].endswith("y" * 60)


def test_expiry_tells_how_long_and_the_tls_reason_in_text_and_diagnostic() -> None:
    """Case t17."""
    expired = replace(
        FAILED, enhanced="5.4.7", reason="certificate-expired", reply="450 4.7.320 The certificate fails", host="mx"
    )
    text, (_, one), _ = parts(notice(expired))
    words = " ".join(text.split())
    assert "could not be delivered for 5 days" in words
    assert "certificate has expired (certificate-expired)" in words
    assert " said:" not in words
    assert one["Status"] == "5.4.7"
    assert one["Diagnostic-Code"] == "x-gateway; certificate-expired: 450 4.7.320 The certificate fails"


def test_a_status_is_of_the_action_s_grade_and_well_formed() -> None:
    for enhanced, status in (("4.2.2", "5.2.2"), (None, "5.0.0"), ("5.7.321", "5.7.321"), ("5.1.1\r\nX: y", "5.0.0")):
        _, (_, one), _ = parts(notice(replace(FAILED, enhanced=enhanced)))
        assert one["Status"] == status


def test_a_delay_says_until_when_it_is_tried() -> None:
    waiting = replace(FAILED, status=Status.WAITING, enhanced="4.4.1", reply="450 4.4.1 No answer", host=None)
    mail = notice(waiting, until=NOW + 2 * 86400)
    text, (_, one), _ = parts(mail)
    assert read(mail)["Subject"] == "Delayed: your message to otto@partner.example"
    assert (one["Action"], one["Status"]) == ("delayed", "4.4.1")
    assert one["Will-Retry-Until"] == "Thu, 5 Nov 2026 10:00:00 +0000"
    assert one["Diagnostic-Code"] == "x-gateway; 450 4.4.1 No answer"
    assert "Remote-MTA" not in one
    assert "You need do nothing" in text
    assert "for 2 days at most" in text


def test_our_own_words_are_not_put_into_the_next_hops_mouth() -> None:
    """RFC 3464 2.3.6: `smtp` is for what the host itself replied."""
    ours = replace(
        FAILED, enhanced="5.4.7", reason="the host's reply is too long", reply="451 4.5.0 The host's reply is too long"
    )
    text, (_, one), _ = parts(notice(ours))
    assert one["Diagnostic-Code"] == "x-gateway; 451 4.5.0 The host's reply is too long"
    assert one["Remote-MTA"] == "dns; mx.partner.example"
    assert " said:" not in text
    assert "The last problem: the host's reply is too long." in " ".join(text.split())
    assert "mx.partner.example said: 550 5.1.1 No such user here" in parts(notice())[0]


def test_a_refusal_of_ours_is_told_as_a_detail() -> None:
    size = "he message has 24 octets, mx takes 5"
    text, (_, one), _ = parts(notice(replace(FAILED, enhanced="5.3.4", reason=f"t{size}", reply=f"552 5.3.4 T{size}")))
    assert one["Diagnostic-Code"] == f"x-gateway; 552 5.3.4 T{size}"
    assert "Why: the message is too large" in text
    assert f"Detail: 552 5.3.4 T{size}" in text


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "[127.0.0.1]"), ("2001:db8::1", "[IPv6:2001:db8::1]"), ("mx.partner.example", "mx.partner.example")],
)
def test_an_address_as_remote_mta_stands_in_brackets(host: str, shown: str) -> None:
    """RFC 5321 4.1.3."""
    _, (_, one), _ = parts(notice(replace(FAILED, host=host)))
    assert one["Remote-MTA"] == f"dns; {shown}"


def test_a_very_short_expiry_is_told_in_words_that_make_sense() -> None:
    expired = replace(FAILED, enhanced="5.4.7", reply="451 4.2.1 Busy")
    text, _, _ = parts(notice(expired, delivery=replace(DELIVERY, created=NOW - 10)))
    assert "it could not be delivered in the short time that the gateway may try" in " ".join(text.split())
    text, _, _ = parts(notice(replace(expired, enhanced="4.2.1"), until=NOW + 10))
    assert "goes on trying, for a short time yet, and tells you" in " ".join(text.split())


def test_several_recipients_have_a_group_each() -> None:
    other = replace(FAILED, address=parse_address("eva@partner.example"), orcpt=None)
    mail = notice(FAILED, other)
    text, (_, first, second), _ = parts(mail)
    assert read(mail)["Subject"] == "Not delivered: your message to 2 recipients"
    assert first["Final-Recipient"] == "rfc822; otto@partner.example"
    assert second["Final-Recipient"] == "rfc822; eva@partner.example"
    assert "eva@partner.example" in text


def test_an_international_sender_gets_the_global_forms() -> None:
    """RFC 6533: utf-8 addresses as they are, in message/global-delivery-status, over SMTPUTF8."""
    failed = replace(FAILED, address=parse_address("müller@partner.example"), orcpt=None)
    mail = notice(failed, delivery=replace(DELIVERY, sender=parse_address("ïda@corp.example")))
    assert (mail.envelope.body, mail.envelope.smtputf8) == (Body.EIGHT_BIT_MIME, True)
    assert b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n" in octets(mail)
    assert "Final-Recipient: utf-8; müller@partner.example\r\n".encode() in octets(mail)
    assert "To: <ïda@corp.example>\r\n".encode() in octets(mail)


def test_an_ascii_sender_gets_an_ascii_notice_whoever_the_recipient_is() -> None:
    """Its host may know no SMTPUTF8; the notice would be lost."""
    failed = replace(FAILED, address=parse_address("müller@partner.example"), orcpt=None)
    mail = notice(failed)
    text, (_, one), _ = parts(mail)
    assert octets(mail).isascii()
    assert (mail.envelope.body, mail.envelope.smtputf8) == (Body.SEVEN_BIT, False)
    assert one["Final-Recipient"] == "utf-8; m\\x{FC}ller@partner.example"
    assert "müller@partner.example" in text


def test_header_fields_beyond_ascii_are_encoded() -> None:
    head = "Subject: Grüße\r\n\r\nx".encode()
    mail = notice(head=head)
    assert octets(mail).isascii()
    original = parts(mail)[2]
    assert original.get_content_type() == "message/global-headers"
    assert "=C3=BC" in octets(mail).decode()


def test_what_a_next_hop_says_makes_up_no_field_and_no_part() -> None:
    nasty = "550 5.1.1 No\r\nAction: delivered\r\n\r\n--=_Q2_0--\r\n\x00\x1b[2J" + "x" * 5000
    failed = replace(FAILED, reply=nasty, host="mx\r\nX-Forged: y", orcpt="rfc822;a+0D+0AAction: delivered")
    _, groups, _ = parts(notice(failed))
    assert len(groups) == 2
    assert groups[1].get_all("Action") == ["failed"]
    assert "X-Forged" not in groups[1]
    assert all(len(line) <= 998 for line in octets(notice(failed)).split(b"\r\n"))


def test_an_original_that_guesses_the_boundary_ends_no_part() -> None:
    """Queue ids can be guessed; a forged closing line in the header section must not cut the notice short."""
    _, groups, original = parts(notice(head=b"Subject: x\r\n--=_Q2_0--\r\nX-More: yes\r\n\r\n"))
    assert len(groups) == 2
    assert "X-More" in str(original.get_payload())


def test_a_bad_message_id_is_not_answered_to() -> None:
    parsed = read(notice(head=b"Message-ID: <a b>\r\n c\r\n\r\n"))
    assert parsed["In-Reply-To"] is None


def test_a_success_is_told_in_words_and_fields() -> None:
    """Case queue-20: one notice for several, each with its own action, and with no original but its header."""
    relayed = replace(
        FAILED, status=Status.SENT, enhanced="2.0.0", reply="250 2.0.0 Queued as X1", owed=Success.RELAYED
    )
    delivered = replace(
        relayed,
        address=parse_address("eva@partner.example"),
        reply="250 2.0.0 Written to outbox/Q1.1.eml",
        owed=Success.DELIVERED,
    )
    mail = notice(relayed, delivered, kind=Kind.SUCCESS, whole=True, delivery=replace(DELIVERY, ret="FULL"))
    text, (about, first, second), original = parts(mail)
    assert read(mail)["Subject"] == "Handed on: your message to 2 recipients"
    assert about["Original-Envelope-Id"] == "QQ=314159"
    assert (first["Action"], first["Status"]) == ("relayed", "2.0.0")
    assert first["Diagnostic-Code"] == "smtp; 250 2.0.0 Queued as X1"
    assert (second["Action"], second["Final-Recipient"]) == ("delivered", "rfc822; eva@partner.example")
    assert "outbox" not in octets(mail).decode(), "where it lies is nobody's business"
    assert original.get_content_type() == "text/rfc822-headers", "RET is about failure alone (RFC 3461 4.3)"
    words = " ".join(text.split())
    assert "You asked to hear what becomes of it. You need do nothing." in words
    assert "handed on to mx.partner.example, which took it. That server sends no receipts" in words
    assert "eva@partner.example It has been delivered." in words
    assert "What to do" not in text
    assert read(notice(delivered, kind=Kind.SUCCESS))["Subject"] == "Delivered: your message to eva@partner.example"


def test_a_delay_returns_the_header_alone_whatever_ret_says() -> None:
    waiting = replace(FAILED, status=Status.WAITING, enhanced="4.4.1")
    mail = notice(waiting, until=NOW + 60, whole=True, delivery=replace(DELIVERY, ret="FULL"))
    assert b"Secret words" not in octets(mail)


def test_only_a_delay_has_an_end() -> None:
    with pytest.raises(ValueError, match="delay"):
        notice(kind=Kind.DELAY)
    with pytest.raises(ValueError, match="delay"):
        notice(kind=Kind.SUCCESS, until=NOW)


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        (b"Offer", '"Offer"'),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= from home", '"Grüße from home"'),
        ("Grüße".encode(), '"Grüße"'),
        (b"x" * 200, '"' + "x" * 70 + '..."'),
        (b"a\x1b[2J\x00b", '"a [2J b"'),
        (b"=?no-such-charset?q?x?=", None),
        (b"=?utf-8?b?!?=", None),
        (b"y" * 2000, None),
        (b"", None),
    ],
)
def test_the_text_names_the_message_as_its_sender_knows_it(subject: bytes, shown: str | None) -> None:
    text, _, _ = parts(notice(head=b"Subject: " + subject + b"\r\n\r\n"))
    assert "handed in on Thu, 29 Oct 2026 10:00:00 UTC" in text
    if shown is not None:
        assert f"  {shown}" in text.splitlines()
    else:
        assert "no-such" not in text and "yyyy" not in text


def test_a_reply_in_another_script_of_any_length_is_quoted_safely() -> None:
    """The machine's part is ASCII of bounded length; the readable part has the letters without what steers a screen."""
    said = "550 5.7.1 Ошибка \u202e\x9b2J " + "ж" * 5000
    text, (_, one), _ = parts(notice(replace(FAILED, enhanced="5.7.1", reply=said)))
    assert one["Diagnostic-Code"].startswith("smtp; 550 5.7.1 ?????? ?")
    assert len(one["Diagnostic-Code"]) < 1000
    assert "mx.partner.example said: 550 5.7.1 Ошибка" in text
    assert not set(text) & set("\u202e\x9b")
    assert text.count("ж") < 700


def test_orcpt_of_either_kind_is_shown_in_the_notices_own_form() -> None:
    """RFC 6533 3: letters as they are in a global notice, in seven bits in any other."""
    failed = replace(FAILED, orcpt="utf-8;ïda+\\x{2B}@corp.example")
    _, (_, one), _ = parts(notice(failed))
    assert one["Original-Recipient"] == "utf-8; \\x{EF}da\\x{2B}\\x{2B}@corp.example"
    mail = notice(failed, delivery=replace(DELIVERY, sender=parse_address("ïda@corp.example")))
    assert "Original-Recipient: utf-8; ïda++@corp.example\r\n".encode() in octets(mail)


def test_a_login_that_fails_until_the_end_is_told_as_the_gateways_own_trouble() -> None:
    reason = "the host refuses our login (535 5.7.8)"
    expired = replace(FAILED, enhanced="5.4.7", reason=reason, reply=f"451 4.7.8 T{reason[1:]}")
    text, _, _ = parts(notice(expired))
    words = " ".join(text.split())
    assert "The last problem: this gateway could not log in at the next mail server." in words
    assert "What to do: Tell the postmaster of this gateway." in words


def test_a_null_sender_gets_no_notice() -> None:
    with pytest.raises(ValueError, match="null sender"):
        notice(delivery=replace(DELIVERY, sender=None))


@given(st.binary(max_size=300))
def test_quoted_printable_reads_back_and_keeps_its_lines_short(plain: bytes) -> None:
    import quopri

    coded = quoted_printable(plain)
    assert all(len(line) <= 76 for line in coded.split(b"\r\n"))
    assert coded.isascii()
    assert b"\n" not in coded.replace(b"\r\n", b"")
    assert quopri.decodestring(coded.replace(b"=\r\n", b"")) == plain


@given(
    reply=st.text(max_size=200), reason=st.text(max_size=50), host=st.text(max_size=50), head=st.binary(max_size=300)
)
def test_whatever_was_said_the_notice_stays_well_formed(reply: str, reason: str, host: str, head: bytes) -> None:
    mail = notice(replace(FAILED, reply=reply, reason=reason, host=host), head=head)
    raw = octets(mail)
    assert raw.isascii()
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert len(parts(mail)[1]) == 2
