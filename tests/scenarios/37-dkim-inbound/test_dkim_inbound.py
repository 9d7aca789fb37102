"""A partner's DKIM signature is judged, and what came of it told to everybody who has to know."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.dkim import record, sign
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.names import Names
from tests.scenarios.peers.ports import free_port, until
from tests.scenarios.peers.swaks import swaks

KEY = "sel._domainkey.partner.example"
FORGED = b"Authentication-Results: corp.example; dkim=pass header.d=bank.example\r\n"
FOREIGN = b"Authentication-Results: mx.partner.example; spf=pass\r\n"
MESSAGE = (
    b"From: Ida <ida@partner.example>\r\nTo: Otto <otto@corp.example>\r\nSubject: figures\r\n"
    b"Date: Tue, 03 Nov 2026 09:12:00 +0100\r\nMessage-ID: <1@partner.example>\r\n\r\nGood morning\r\n"
)


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    text = record().decode()
    strings = " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))
    with Names(f"{KEY}. 1 IN TXT {strings}") as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop, names: Names) -> Gateway:
    return make_gateway(HOP=hop.port, DNS=names.address, METRICS=free_port()).start()


@pytest.fixture
def send(gateway: Gateway, hop: Hop, tmp_path: Path) -> Callable[..., tuple[str, bytes]]:
    def sent(octets: bytes, sender: str = "ida@partner.example") -> tuple[str, bytes]:
        """The queue id, and what the next hop got of it without our Received line."""
        before = len(hop.taken)
        file = tmp_path / "message.eml"
        file.write_bytes(octets.removesuffix(b"\r\n"))  # swaks ends the last line itself.
        arguments = ("--from", sender, "--to", "otto@corp.example", "--data", f"@{file}")
        said = swaks(gateway.port, *arguments, seconds=40)
        came = until(lambda: hop.taken[before:], "the mail at the next hop", 40)[0].octets
        return said.queue_id, came

    return sent


def results(came: bytes) -> bytes:
    """The Authentication-Results field on top, unfolded."""
    assert came.startswith(b"Authentication-Results: ")
    return came.partition(b"\r\nReceived: ")[0].replace(b"\r\n\t", b" ")


def judged(gateway: Gateway, queue_id: str) -> list[dict[str, Any]]:
    (event,) = gateway.story(queue_id, "authenticated")
    found: list[dict[str, Any]] = event["dkim"]
    return found


def signed(message: bytes = MESSAGE, **tags: str) -> bytes:
    return sign(message, d="partner.example", **tags)


def test_a_good_signature_passes_and_a_result_in_our_name_is_replaced(
    gateway: Gateway, send: Callable[..., tuple[str, bytes]]
) -> None:
    octets = signed()
    queue_id, came = send(FORGED + FOREIGN + octets)
    assert results(came).startswith(
        b"Authentication-Results: corp.example; dkim=pass (2048-bit key) header.d=partner.example header.s=sel"
    )
    assert came.endswith(b"\r\n" + FOREIGN + octets), "all else is as it came"
    assert b"bank.example" not in came
    (one,) = judged(gateway, queue_id)
    assert (one["result"], one["domain"], one["selector"], one["bits"]) == ("pass", "partner.example", "sel", 2048)
    told = gateway.run("trace", queue_id).stdout
    assert "DKIM signature pass of partner.example (selector sel, 2048 bits)" in told
    port = gateway.values["METRICS"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert 'gateway_dkim_results_total{result="pass"} ' in answer.read().decode()


def test_a_changed_message_fails_and_goes_on(gateway: Gateway, send: Callable[..., tuple[str, bytes]]) -> None:
    queue_id, came = send(signed().replace(b"Good", b"Bad!"))
    assert b" dkim=fail reason=body_changed " in results(came)
    assert judged(gateway, queue_id)[0]["reason"] == "body_changed"


def test_an_unsigned_message_is_said_to_be_unsigned(gateway: Gateway, send: Callable[..., tuple[str, bytes]]) -> None:
    queue_id, came = send(MESSAGE)
    assert results(came) == b"Authentication-Results: corp.example; dkim=none (not signed)"
    assert "Not signed with DKIM" in gateway.run("trace", queue_id).stdout


def test_a_large_message_is_judged_as_it_streams(gateway: Gateway, send: Callable[..., tuple[str, bytes]]) -> None:
    octets = signed(MESSAGE + b"A line  of the attachment \r\n" * 150_000)
    queue_id, came = send(FORGED + octets)
    assert b" dkim=pass " in results(came)
    assert came.endswith(b"\r\n" + octets)
    assert judged(gateway, queue_id)[0]["result"] == "pass"
    assert b" dkim=fail reason=body_changed " in results(
        send(octets.replace(b"the attachment", b"an attachment", 1))[1]
    )


def test_mail_of_our_own_servers_is_left_alone(gateway: Gateway, send: Callable[..., tuple[str, bytes]]) -> None:
    queue_id, came = send(FORGED + MESSAGE, "ida@corp.example")
    assert came.startswith(b"Received: ")
    assert came.endswith(FORGED + MESSAGE)
    assert "authenticated" not in [event["event"] for event in gateway.events(queue_id)]


def test_a_dns_server_that_fails_makes_a_temperror(
    gateway: Gateway, names: Names, send: Callable[..., tuple[str, bytes]]
) -> None:
    names.dns.failing.add("other._domainkey.partner.example")
    _, came = send(signed(s="other"))
    assert b" dkim=temperror reason=no_answer header.d=partner.example" in results(came)
