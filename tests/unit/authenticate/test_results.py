"""Authentication-Results: what we write, and what others wrote in our name."""

from __future__ import annotations

import re
from time import perf_counter

import pytest

from gateway.authenticate.results import claims, field, without_claims
from gateway.mail.authentication import Authentication, DkimResult, Verdict

OURS = b"mx.corp.example"


def shown(*results: DkimResult, skipped: int = 0) -> str:
    return field("mx.corp.example", Authentication(dkim=results, skipped=skipped)).decode()


def test_each_signature_has_its_result() -> None:
    good = DkimResult(
        verdict=Verdict.PASS,
        domain="partner.example",
        selector="s1",
        algorithm="rsa-sha256",
        bits=2048,
        start="fU8GVKzh",
    )
    bad = DkimResult(verdict=Verdict.PERMERROR, domain="list.example", selector="x", reason="no_key", start="a/b+c=d=")
    assert shown(good, bad) == (
        "Authentication-Results: mx.corp.example;\r\n"
        "\tdkim=pass (2048-bit key) header.d=partner.example header.s=s1\r\n"
        "\t header.a=rsa-sha256 header.b=fU8GVKzh;\r\n"
        "\tdkim=permerror reason=no_key header.d=list.example header.s=x\r\n"
        '\t header.b="a/b+c=d="\r\n'
    )


def test_an_unsigned_message_is_said_to_be_so() -> None:
    one = DkimResult(verdict=Verdict.NONE, reason="not_signed")
    assert shown(one) == "Authentication-Results: mx.corp.example;\r\n\tdkim=none (not signed)\r\n"


def test_what_was_not_judged_is_told() -> None:
    one = DkimResult(verdict=Verdict.NEUTRAL, reason="bad_tags")
    told = shown(one, one, skipped=8)
    assert told.endswith("dkim=neutral reason=bad_tags\r\n\t (of 10 signatures the first 2 were judged)\r\n")


def test_no_line_is_long() -> None:
    one = DkimResult(
        verdict=Verdict.FAIL,
        domain=".".join(["a" * 60] * 4),
        selector="s" * 60,
        algorithm="ed25519-sha256",
        bits=256,
        reason="body_partly_signed",
        start="x" * 8,
    )
    assert max(map(len, shown(one).split("\r\n"))) < 998
    assert re.fullmatch(r"[^\r\n]+(?:\r\n\t[^\r\n]+)*\r\n", shown(one))


@pytest.mark.parametrize(
    "value",
    [
        b" mx.corp.example; dkim=pass",
        b"mx.corp.example;dkim=pass",
        b" MX.Corp.Example; dkim=pass",
        b" mx.corp.example 1; dkim=pass",
        b" mx.corp.example 99; dkim=pass",
        b" mx.corp.example.; dkim=pass",
        b"\r\n\tmx.corp.example\r\n\t;\r\n\tdkim=pass",
        b" (a comment) mx.corp.example; none",
        b" (a (nested) \\) one) (and another)\r\n mx.corp.example (x) 1; none",
        b' "mx.corp.example"; dkim=pass',
        b' "mx\\.corp.example"; dkim=pass',
        b" mx.corp.example(comment); none",
        b" mx.corp.example",
        b" (not closed mx.corp.example; dkim=pass",
        b' "not closed mx.corp.example; dkim=pass',
        b" ) mx.corp.example; dkim=pass",
        b" ; mx.corp.example".replace(b" ;", b" \x00"),
        # What no grammar has, and a reader that takes the first token would believe (RFC 2045 5.1).
        b" mx.corp.example/1; dkim=pass",
        b" mx.corp.example, x; dkim=pass",
        b" mx.corp.example=x; dkim=pass",
        b" mx.corp.example:25; dkim=pass",
        b" mx.corp.example[x]; dkim=pass",
        b" mx.corp.example@x; dkim=pass",
        b" <mx.corp.example>; dkim=pass",
        b" mx.corp.example\\; dkim=pass",
        b" ;mx.corp.example; dkim=pass",
        b" x mx.corp.example; dkim=pass",
        b' "mx".corp.example; dkim=pass',
        b" mx(x).corp.example; dkim=pass",
        b" mx .corp.example; dkim=pass",
        b" mx.\r\n\tcorp.example; dkim=pass",
        # What may not stand there, and readers decode as in any other field (RFC 2047).
        b" =?utf-8?b?bXguY29ycC5leGFtcGxl?=; dkim=pass",
        b" =?utf-8?q?=6Dx.corp.example=3B_dkim=3Dpass?=",
        b" =?utf-8?b?bXg=?=\r\n\t=?us-ascii?q?=2Ecorp=2Eexample?=; dkim=pass",
        # Letters that nobody sees.
        b"\xef\xbb\xbfmx.corp.example; dkim=pass",
        b" \xc2\xa0mx.corp.example\xc2\xa0; dkim=pass",
        b" mx.corp.\xe2\x80\x8bexample; dkim=pass",
    ],
)
def test_a_field_in_our_name_is_recognised(value: bytes) -> None:
    assert claims(value, OURS)


@pytest.mark.parametrize(
    "value",
    [
        b" mx.other.example; dkim=pass",
        b" mx.corp.example.other; dkim=pass",
        b" notmx.corp.example; dkim=pass",
        b" mx.other.example; dkim=pass reason=mx.corp.example",
        b" (mx.corp.example) mx.other.example; none",
        b' "mx.other.example" ; none',
        b"",
        b" ;",
        b" mx; mx.corp.example",
        b" a.mx.corp.example; dkim=pass",
        b" mx.corp.example-two; dkim=pass",
        b" =?utf-8?b?bXgub3RoZXIuZXhhbXBsZQ==?=; dkim=pass",
        "mx.corp.example-zwö; dkim=pass".encode(),
        b' mx.other.example; dkim=pass reason="=?utf-8?b?bXguY29ycC5leGFtcGxl?="',
    ],
)
def test_a_field_of_another_is_left(value: bytes) -> None:
    assert not claims(value, OURS)


def test_only_fields_in_our_name_go_and_all_else_stays_octet_for_octet() -> None:
    before = b"Received: x\r\n\tAuthentication-Results: mx.corp.example; dkim=pass\r\nX-Junk\r\n"
    behind = (
        b"authentication-results: mx.other.example; dkim=fail\r\n"
        b"X-Authentication-Results: mx.corp.example; dkim=pass\r\n"
        b"ARC-Authentication-Results: i=1; mx.corp.example; dkim=pass\r\n"
        b"From:  ida\t@corp.example \r\n"
    )
    ours = b"Authentication-Results: mx.corp.example;\r\n dkim=pass\r\n\theader.d=x\r\n"
    odd = b"AUTHENTICATION-Results \t:mx.corp.example 1;none\r\n"
    assert without_claims(ours + before + ours + odd + behind + odd, OURS) == before + behind


@pytest.mark.parametrize("filling", [b"(", b"()", b"\\", b'"', b" ", b"x", b"\r\n ", b"(\\", b'"\\', b"=?", b"=?a?b?c"])
def test_a_long_value_takes_bounded_time(filling: bytes) -> None:
    began = perf_counter()
    claims(filling * (250_000 // len(filling)), OURS)
    assert perf_counter() - began < 20  # Bounded, not quick: machines are noisy.
