"""Mail to a next hop without 8BITMIME."""

from __future__ import annotations

import email
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dkim
import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import EXTENSIONS, Hop
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.raw import Raw

SEVEN = [one for one in EXTENSIONS if one not in ("8BITMIME", "SMTPUTF8")]
HEAD = (
    "From: Ida Berg <ida@corp.example>\r\nTo: Otto Falk <otto@partner.example>\r\n"
    "Date: Tue, 03 Nov 2026 09:12:00 +0100\r\nMessage-ID: <c0ffee@corp.example>\r\n"
    "MIME-Version: 1.0\r\nSubject: 8bit\r\n"
)
TEXT = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
SIGNED = (
    'Content-Type: multipart/signed; micalg=sha-256; protocol="application/pkcs7-signature"; boundary=s\r\n\r\n'
    f"--s\r\n{TEXT}--s\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "MIIB\r\n--s--\r\n"
)


@pytest.fixture(scope="module")
def home() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def partner() -> Iterator[Hop]:
    with Hop(extensions=SEVEN) as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], home: Hop, partner: Hop) -> Gateway:
    one = make_gateway(HOME_HOP=home.port, HOP=partner.port)
    made = one.run("dkim", "key", "create", "corp.example")
    assert made.returncode == 0, made.stderr
    return one.start()


@pytest.fixture(scope="module")
def records(gateway: Gateway) -> dict[str, str]:
    """What the DNS would have, by name."""
    return {one["name"]: one["record"] for one in gateway.json("dkim", "key", "show", "corp.example")}


@pytest.fixture(autouse=True)
def clean(gateway: Gateway, home: Hop, partner: Hop) -> Iterator[None]:
    yield
    partner.healthy()
    partner.extensions = list(SEVEN)
    partner.hang_up()
    for hop in (home, partner):
        assert hop.faults == []
        hop.taken.clear()
    gateway.ask("queue.delete", all=True)


def send(gateway: Gateway, octets: bytes, *, body: str = " BODY=8BITMIME", to: str = "otto@partner.example") -> str:
    """The queue id."""
    with Raw(gateway.port, seconds=60) as client:
        client.hello()
        client.ask(f"MAIL FROM:<ida@corp.example>{body}")
        client.ask(f"RCPT TO:<{to}>")
        assert client.ask("DATA").startswith("354")
        client.send(re.sub(rb"(?m)^\.", b"..", octets))
        said = client.ask(".")
        assert said.startswith("250"), said
        found = re.search(r"[Qq]ueued as (\w+)", said)
        assert found is not None, said
        return found[1]


def verdicts(octets: bytes, records: dict[str, str]) -> list[bool]:
    """dkimpy's, on each DKIM-Signature from the top."""
    zone = {f"{name.rstrip('.')}.".encode(): text.encode() for name, text in records.items()}
    count = len(re.findall(rb"(?im)^DKIM-Signature:", octets))
    judge = dkim.DKIM(octets)
    return [bool(judge.verify(idx=place, dnsfunc=lambda name, timeout=5: zone.get(name))) for place in range(count)]


def leaves(octets: bytes) -> list[tuple[str, Any]]:
    """Type and decoded content of each leaf, as another reader has them."""
    parsed = email.message_from_bytes(octets)
    return [(one.get_content_type(), one.get_payload(decode=True)) for one in parsed.walk() if not one.is_multipart()]


@pytest.mark.parametrize("body", [" BODY=8BITMIME", ""], ids=["declared", "undeclared"])
def test_the_copy_has_seven_bits_and_its_signatures_hold(
    gateway: Gateway, partner: Hop, records: dict[str, str], body: str
) -> None:
    """dkim-04."""
    id_ = send(gateway, (HEAD + TEXT).encode(), body=body)
    got = partner.wait(1)[0]
    assert got.octets.isascii() and "BODY" not in got.mail
    assert verdicts(got.octets, records) == [True, True]
    assert leaves(got.octets) == [("text/plain", "Grüße\r\n".encode())]
    (event,) = gateway.story(id_, "converted")
    assert event["host"] == "127.0.0.1" and event["taken_off"] == 2 and len(event["signed"]) == 2
    assert "converted to 7 bits" in gateway.run("trace", id_).stdout


def test_a_hop_with_8bitmime_gets_what_was_signed_first(
    gateway: Gateway, home: Hop, partner: Hop, records: dict[str, str]
) -> None:
    send(gateway, (HEAD + TEXT).encode(), to="olga@corp.example")
    got = home.wait(1)[0]
    assert got.octets.endswith((HEAD + TEXT).encode()) and "BODY=8BITMIME" in got.mail
    assert verdicts(got.octets, records) == [True, True]


def test_the_next_try_begins_with_the_original(gateway: Gateway, partner: Hop, records: dict[str, str]) -> None:
    """The hop of seven bits is busy after the content; when it is asked again it has learned 8BITMIME."""
    partner.script({".": "451 4.3.0 busy"})
    id_ = send(gateway, (HEAD + TEXT).encode())
    gateway.story(id_, "deferred")
    partner.extensions = list(EXTENSIONS)
    partner.hang_up()  # Nobody who heard the old offers may meet the healthy hop.
    partner.healthy()
    got = partner.wait(1)[-1]
    assert got.octets.endswith((HEAD + TEXT).encode())
    assert verdicts(got.octets, records) == [True, True]


def test_a_large_copy_is_streamed_and_signed(gateway: Gateway, partner: Hop, records: dict[str, str]) -> None:
    line = "Überall wurde der Entwurf gelesen = \t\r\n"
    text = TEXT + line * 120_000
    send(gateway, (HEAD + text).encode())
    got = partner.wait(1, 60)[0]
    assert got.octets.isascii() and len(got.octets) > 5_000_000
    assert f"SIZE={len(got.octets)}" in got.mail
    assert verdicts(got.octets, records) == [True, True]
    assert leaves(got.octets) == [("text/plain", text.partition("\r\n\r\n")[2].encode())]


def test_a_signed_part_is_not_converted_and_its_sender_hears_of_it(gateway: Gateway, home: Hop, partner: Hop) -> None:
    id_ = send(gateway, (HEAD + SIGNED).encode())
    notice = email.message_from_bytes(home.wait(1)[0].octets)
    status = next(one for one in notice.walk() if one.get_content_type() == "message/delivery-status")
    assert status.get_payload(1)["Status"] == "5.6.3"  # type: ignore[index]
    assert "a part is signed" in status.as_string()
    assert partner.taken == []
    (event,) = gateway.story(id_, "recipient")
    assert event["enhanced"] == "5.6.3"


def with_cr_lf(octets: bytes) -> bytes:
    octets = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def test_every_eight_bit_message_says_the_same_in_seven(
    gateway: Gateway, partner: Hop, home: Hop, mime_corpus: list[Path]
) -> None:
    """Two of them end with 5.6.3: octets beyond ASCII in a header, and a structure that readers differ about."""
    sent = [with_cr_lf(file.read_bytes()) for file in mime_corpus]
    eight = {f"m{at}@partner.example": octets for at, octets in enumerate(sent) if not octets.isascii()}
    for address, octets in eight.items():
        send(gateway, octets, to=address)
    gateway.drained(60)
    came = {got.recipients[0]: got.octets for got in partner.taken}
    assert len(came) == len(eight) - 2 > 20
    for address, octets in came.items():
        assert octets.isascii()
        assert leaves(octets) == leaves(eight[address])


def test_postfix_makes_copies_that_say_the_same(
    gateway: Gateway, partner: Hop, make_postfix: Callable[..., Postfix], mime_corpus: list[Path]
) -> None:
    postfix = make_postfix(
        hostname="postfix.example", relay_to=partner.port, extra="disable_mime_output_conversion = no"
    )
    sent = [with_cr_lf(file.read_bytes()) for file in mime_corpus]
    eight = {f"m{at}": octets for at, octets in enumerate(sent) if not octets.isascii()}
    for name, octets in eight.items():
        send(gateway, octets, to=f"{name}@ours.example")
        with Raw(postfix.port) as client:
            client.hello()
            client.send(b"MAIL FROM:<ida@corp.example> BODY=8BITMIME\r\n")
            client.reply()
            client.ask(f"RCPT TO:<{name}@theirs.example>")
            client.ask("DATA")
            client.send(re.sub(rb"(?m)^\.", b"..", octets))
            assert client.ask(".").startswith("250")
    partner.wait(2 * len(eight) - 2, 60)
    came = {got.recipients[0]: got.octets for got in partner.taken}
    alike = 0
    for name in eight:
        if (ours := came.get(f"{name}@ours.example")) is not None:
            theirs = came[f"{name}@theirs.example"]
            if theirs.isascii():  # It leaves some as they are.
                assert leaves(ours) == leaves(theirs), name
                alike += 1
    assert alike > 20
