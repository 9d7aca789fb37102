"""Any words of clients and next hops, in a notice: parts and fields stay ours (RFC 3464, RFC 6533)."""

from __future__ import annotations

import email
import os
from dataclasses import replace
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.delivery.dsn import build
from gateway.delivery.kind import Kind
from gateway.delivery.orcpt import passed_on
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Success, Target

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
WORDS = st.text(max_size=300) | st.sampled_from(
    [
        "rfc822;a+0D+0Ab",
        "utf-8;\\x{0D}\\x{0A}Action: x",
        "utf-8;\\x{110000}",
        "550-5.1.1 a\r\n550 b",
        "\udcff",
        "=?x?q?y?=",
    ]
)
SENDERS = st.sampled_from(["ida@corp.example", "ïda@corp.example"])
ACTIONS = {
    Kind.FAILURE: ["failed"],
    Kind.DELAY: ["delayed"],
    Kind.SUCCESS: ["relayed"],
}


def told(
    sender: str,
    kind: Kind,
    orcpt: str | None,
    envid: str | None,
    reply: str,
    reason: str | None,
    host: str | None,
    head: bytes,
    ret: str | None,
) -> None:
    """One notice, made and read."""
    target = Target(address=parse_address("otto@partner.example"), orcpt=orcpt, reply=reply, reason=reason, host=host)
    delivery = Delivery(
        id="Q1.1",
        message="Q1",
        connector="out",
        destination="",
        sender=parse_address(sender),
        targets=(target,),
        size=1,
        created=0.0,
        next_attempt=0.0,
        ret=ret,
        envid=envid,
    )
    mail = build(
        delivery,
        (replace(target, owed=Success.RELAYED) if kind is Kind.SUCCESS else target,),
        kind=kind,
        head=head,
        whole=True,
        hostname="gw.corp.example",
        contact=None,
        now=10.0,
        id="Q2",
        until=20.0 if kind is Kind.DELAY else None,
    )
    octets = mail.message.content.inline or b""
    assert b"\n" not in octets.replace(b"\r\n", b"") and b"\r" not in octets.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))
    assert octets.isascii() or sender.startswith("ï")
    parts: Any = email.message_from_bytes(octets).get_payload()
    _, status, _ = parts
    if not sender.startswith("ï"):
        about, one = status.get_payload()
        assert one.get_all("Action") == ACTIONS[kind]
        assert set(about.keys()) <= {"Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"}


def test_a_notice_stays_well_formed() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        sender=SENDERS,
        kind=st.sampled_from(Kind),
        orcpt=st.none() | WORDS,
        envid=st.none() | WORDS,
        reply=WORDS,
        reason=st.none() | WORDS,
        host=st.none() | WORDS,
        head=st.binary(max_size=400) | WORDS.map(lambda text: b"Subject: " + text.encode("utf-8", "replace")),
        ret=st.sampled_from([None, "FULL", "HDRS"]),
    )
    def play(**words: Any) -> None:
        told(**words)

    while monotonic() < end:
        play()


def test_what_goes_on_to_the_next_hop_is_what_came_or_in_seven_bits() -> None:
    end = monotonic() + SECONDS / 5

    @settings(max_examples=200, deadline=None)
    @given(WORDS, st.booleans())
    def play(orcpt: str, utf8: bool) -> None:
        said = passed_on(orcpt, utf8=utf8)
        assert said in ("", orcpt) or (said.isascii() and not utf8)

    while monotonic() < end:
        play()
