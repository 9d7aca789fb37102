"""One connection's octets are one client's words; nothing in a message is ever a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port
from tests.scenarios.peers.raw import Raw

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    return make_gateway(HOP=hop.port, NORMALIZE=free_port()).start()


@pytest.fixture(autouse=True)
def fresh(gateway: Gateway, hop: Hop) -> None:
    hop.taken.clear()


def play(port: int, name: str) -> list[str]:
    """Send the file at once, as a pipelining client would, and hear all replies."""
    with Raw(port) as client:
        client.send((HERE / name).read_bytes())
        return client.rest(5)


def envelopes(gateway: Gateway, hop: Hop) -> list[str]:
    """Who sent what arrived, once all has arrived."""
    gateway.drained()
    return [got.sender for got in hop.taken]


@pytest.mark.parametrize("name", ["smtp-01.smtp", "smtp-02.smtp", "smtp-03.smtp"])
def test_an_odd_line_ending_does_not_end_the_message(gateway: Gateway, hop: Hop, name: str) -> None:
    replies = play(gateway.port, name)
    assert any(said.startswith("550 5.6.11 ") for said in replies), replies
    assert envelopes(gateway, hop) == []


@pytest.mark.parametrize("name", ["smtp-01.smtp", "smtp-02.smtp", "smtp-03.smtp"])
def test_with_normalize_all_of_it_is_one_message(gateway: Gateway, hop: Hop, name: str) -> None:
    replies = play(int(gateway.values["NORMALIZE"]), name)
    assert any(said.startswith("250 2.0.0 Queued") for said in replies), replies
    assert envelopes(gateway, hop) == ["ida@corp.example"]
    octets = hop.taken[0].octets
    assert b"evil@else.example" in octets and b"\nMAIL FROM:" in octets
    assert b"\r" not in octets.replace(b"\r\n", b"") and b"\n" not in octets.replace(b"\r\n", b"")
    # A line that is a lone dot after normalising must reach the next hop as content, never as the end.
    assert hop.taken[0].recipients == ("otto@partner.example",) and len(hop.taken) == 1


def test_what_was_said_before_the_handshake_is_forgotten(gateway: Gateway, hop: Hop) -> None:
    """The STARTTLS injection: a man in the middle puts commands in front of the client's own (RFC 3207 6)."""
    with Raw(gateway.port, seconds=5) as client:
        client.reply()
        client.send((HERE / "smtp-09.smtp").read_bytes())
        assert "STARTTLS" in client.reply()
        assert client.reply().startswith("220")
        try:
            client.starttls()
        except OSError:
            return  # Hanging up on somebody who injects is as good.
        # Were the injected MAIL run, RCPT would be in order now.
        assert client.ask("RCPT TO:<otto@corp.example>").startswith("503")
        assert client.ask("EHLO client.example").startswith("250")
        assert client.ask("RCPT TO:<otto@corp.example>").startswith("503")


def test_three_pipelined_chunks_with_the_last_one_empty_are_one_message(gateway: Gateway, hop: Hop) -> None:
    replies = play(gateway.port, "smtp-12.smtp")
    assert [said[:3] for said in replies[-4:]] == ["250", "250", "250", "221"], replies
    assert "Queued as" in replies[-2], replies
    assert envelopes(gateway, hop) == ["ida@corp.example"]
    assert hop.taken[0].octets.endswith(b"Subject: chunks\r\n\r\nabcdef\r\n")


def test_a_chunk_before_rcpt_is_refused_and_never_commands(gateway: Gateway, hop: Hop) -> None:
    replies = play(gateway.port, "smtp-21.smtp")
    # Greeting, EHLO, the commands of the file, one reply each; none for what was inside of the chunk.
    assert [said[:3] for said in replies] == ["220", "250", "250", "503", "221"], replies
    assert envelopes(gateway, hop) == []


def test_a_bare_cr_in_a_command_is_a_fault(gateway: Gateway) -> None:
    replies = play(gateway.port, "smtp-24.smtp")
    assert replies[2].startswith(("500", "501")), replies
    assert not any("Sender" in said for said in replies)


def test_what_stands_behind_a_bare_lf_in_a_command_is_no_command(gateway: Gateway, hop: Hop) -> None:
    """RFC 5321 2.3.8. Whoever can put an LF into an address of another program's mail must not add recipients to it."""
    with Raw(gateway.port) as client:
        client.send(
            b"EHLO client.example\r\nMAIL FROM:<ida@corp.example>\r\n"
            b"RCPT TO:<otto@partner.example\nRCPT TO:<evil@else.example>\r\n"
            b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n"
        )
        replies = client.rest(5)
    assert replies[-1].startswith("500 5.5.2"), replies
    assert envelopes(gateway, hop) == []


def test_a_source_route_is_ignored(gateway: Gateway, hop: Hop) -> None:
    octets = (HERE / "smtp-25.smtp").read_bytes().replace(b"QUIT\r\n", b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
    with Raw(gateway.port) as client:
        client.send(octets)
        replies = client.rest(5)
    assert any("Queued" in said for said in replies), replies
    got = hop.wait(1)[0]
    assert got.sender == "ida@corp.example" and got.recipients == ("otto@partner.example",)


def test_quoted_local_parts_travel_unchanged(gateway: Gateway, hop: Hop) -> None:
    octets = (HERE / "smtp-27.smtp").read_bytes().replace(b"QUIT\r\n", b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
    with Raw(gateway.port) as client:
        client.send(octets)
        replies = client.rest(5)
    assert any("Queued" in said for said in replies), replies
    got = hop.wait(1)[0]
    assert got.sender == '"ida berg"@corp.example' and got.recipients == ('"ot\\"to"@partner.example',)


@pytest.mark.parametrize("name", ["smtp-20.smtp", "smtp-29.smtp"])
def test_dsn_parameters_are_taken(gateway: Gateway, name: str) -> None:
    replies = play(gateway.port, name)
    assert [said[:3] for said in replies[2:]] == ["250", "250", "221"], replies
