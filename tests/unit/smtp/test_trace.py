"""The Received line (RFC 5321 4.4) for every way in which a client may have come."""

from __future__ import annotations

import pytest

from gateway.mail.address import parse_address
from gateway.mail.date import rfc5322_date
from gateway.mail.envelope import Client, PeerCertificate, Recipient, Tls
from gateway.smtp.trace import received

TLS = Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384")
NOW = 1_793_693_520.0


def line(
    *recipients: str,
    address: str = "192.0.2.7",
    helo: str = "client.example",
    esmtp: bool = True,
    tls: Tls | None = None,
    smtputf8: bool = False,
) -> str:
    client = Client(address=address, port=1, helo=helo, esmtp=esmtp, listener="x", tls=tls)
    to = tuple(Recipient(parse_address(one)) for one in recipients)
    return received(client, hostname="mx.corp.example", id_="Q1", recipients=to, smtputf8=smtputf8, now=NOW).decode()


def test_the_whole_line_over_tls() -> None:
    assert line("otto@partner.example", tls=TLS) == (
        "Received: from client.example ([192.0.2.7])\r\n"
        "\tby mx.corp.example with ESMTPS tls TLS_AES_256_GCM_SHA384 (TLSv1.3)\r\n"
        "\tid Q1\r\n"
        "\tfor <otto@partner.example>; Tue, 3 Nov 2026 08:12:00 +0000\r\n"
    )


@pytest.mark.parametrize(
    ("esmtp", "tls", "smtputf8", "word"),
    [
        (False, None, False, "SMTP"),
        (True, None, False, "ESMTP"),
        (True, TLS, False, "ESMTPS"),
        (True, None, True, "UTF8SMTP"),
        (True, TLS, True, "UTF8SMTPS"),
    ],
)
def test_the_word_tells_how_it_came(esmtp: bool, tls: Tls | None, smtputf8: bool, word: str) -> None:
    assert f" with {word}{' tls' if tls else chr(13)}" in line("a@b.example", esmtp=esmtp, tls=tls, smtputf8=smtputf8)


def test_who_has_logged_in_is_told_apart_but_not_named() -> None:
    client = Client(address="192.0.2.7", port=1, helo="c.example", esmtp=True, listener="x", tls=TLS, user="ida")
    for smtputf8, word in ((False, "ESMTPSA"), (True, "UTF8SMTPSA")):
        made = received(client, hostname="mx.corp.example", id_="Q1", recipients=(), smtputf8=smtputf8, now=NOW)
        assert f" with {word} tls ".encode() in made and b"ida" not in made


def test_an_ipv6_client_is_written_as_a_literal_with_its_tag() -> None:
    assert line(address="2001:db8::1").startswith("Received: from client.example ([IPv6:2001:db8::1])\r\n")


@pytest.mark.parametrize("helo", ["[192.0.2.9]", "[IPv6:2001:db8::9]", "a_b.example", "localhost", "a.example."])
def test_a_name_that_may_stand_in_the_line_stands_there(helo: str) -> None:
    assert line(helo=helo).startswith(f"Received: from {helo} ([192.0.2.7])")


@pytest.mark.parametrize(
    "helo", ["a(b", "a);b", "jörg.example", "<x>", '"q"', "a@b", "-x", "[x;y]", "(by evil.example)", "\\"]
)
def test_an_odd_name_is_replaced_by_the_address(helo: str) -> None:
    assert line(helo=helo).startswith("Received: from [192.0.2.7] ([192.0.2.7])\r\n")


def test_several_recipients_are_not_named() -> None:
    told = line("otto@partner.example", "bcc@partner.example")
    assert "for" not in told
    assert "partner.example" not in told


def test_a_recipient_beyond_ascii_is_named_only_with_smtputf8() -> None:
    assert "for" not in line("jörg@köln.example")
    assert "for <jörg@köln.example>" in line("jörg@köln.example", smtputf8=True)


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "Thu, 1 Jan 1970 00:00:00 +0000"),
        (NOW, "Tue, 3 Nov 2026 08:12:00 +0000"),
        (1_798_761_599.9, "Thu, 31 Dec 2026 23:59:59 +0000"),
    ],
)
def test_dates_are_those_of_rfc_5322(now: float, text: str) -> None:
    assert rfc5322_date(now) == text


def test_a_clients_certificate_is_told_with_its_issuer_and_whether_it_is_trusted() -> None:
    shown = PeerCertificate((b"x",), "mx.partner.example", "Partner CA")
    client = Client(
        address="192.0.2.1",
        port=1,
        helo="mx.partner.example",
        esmtp=True,
        listener="x",
        tls=Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", shown),
    )
    told = [
        received(client, hostname="mx.corp.example", id_="Q1", recipients=(), smtputf8=False, now=0.0, trusted=trusted)
        for trusted in (True, False)
    ]
    line = b'\r\n\t(client certificate "mx.partner.example" from "Partner CA", %b)\r\n\tid Q1'
    assert line % b"trusted" in told[0]
    assert line % b"not judged" in told[1]
