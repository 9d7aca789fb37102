"""One over each limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port, until
from tests.scenarios.peers.raw import Raw

LONG = b"x" * (1 << 20)  # smtp-06: a body line of 1 MiB


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    return make_gateway(HOP=hop.port, WIDE=free_port(), LINES=free_port()).start()


@pytest.fixture(autouse=True)
def fresh(gateway: Gateway, hop: Hop) -> None:
    until(lambda: _serves(gateway.port), "all connections of the story before to be gone")
    hop.taken.clear()


def _serves(port: int) -> bool:
    with Raw(port) as client:
        return client.reply().startswith("220")


def begin(client: Raw) -> None:
    client.hello()
    assert client.ask("MAIL FROM:<ida@corp.example>").startswith("250")
    assert client.ask("RCPT TO:<otto@partner.example>").startswith("250")


def message(client: Raw, octets: bytes) -> str:
    assert client.ask("DATA").startswith("354")
    client.send(octets)
    return client.ask(".")


def test_the_sixth_recipient_of_five_is_put_off(gateway: Gateway, hop: Hop) -> None:
    with Raw(gateway.port) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@corp.example>")
        said = [client.ask(f"RCPT TO:<r{one}@partner.example>") for one in range(6)]
        assert [one[:3] for one in said] == ["250"] * 5 + ["452"] and said[5].startswith("452 4.5.3 ")
        assert message(client, b"Subject: five\r\n\r\nx\r\n").startswith("250")
    assert len(hop.wait(1)[0].recipients) == 5


def test_a_declared_size_is_refused_before_the_message(gateway: Gateway) -> None:
    with Raw(gateway.port) as client:
        assert "SIZE 200000" in client.hello()
        assert client.ask("MAIL FROM:<ida@corp.example> SIZE=200001").startswith("552 5.3.4 ")
        assert client.ask("MAIL FROM:<ida@corp.example> SIZE=200000").startswith("250")


def test_a_message_over_the_size_is_refused_and_the_session_stays_in_step(gateway: Gateway, hop: Hop) -> None:
    line = b"y" * 98 + b"\r\n"
    with Raw(gateway.port) as client:
        begin(client)
        assert message(client, b"Subject: x\r\n\r\n" + line * 2000).startswith("552 5.3.4 ")
        assert client.ask("MAIL FROM:<ida@corp.example>").startswith("250")
        assert client.ask("RCPT TO:<otto@partner.example>").startswith("250")
        assert message(client, b"Subject: small\r\n\r\nx\r\n").startswith("250")
    assert b"Subject: small" in hop.wait(1)[0].octets


def test_the_fourth_message_of_three_closes_the_session(gateway: Gateway) -> None:
    with Raw(gateway.port) as client:
        client.hello()
        for _ in range(3):
            client.ask("MAIL FROM:<ida@corp.example>")
            client.ask("RCPT TO:<otto@partner.example>")
            assert message(client, b"\r\n").startswith("250")
        assert client.ask("MAIL FROM:<ida@corp.example>").startswith("421 4.7.0 ") and client.reply() == ""


def test_bad_commands_close_the_session(gateway: Gateway) -> None:
    with Raw(gateway.port) as client:
        client.hello()
        said = [client.ask(f"NONSENSE {one}")[:3] for one in range(5)]
        closing = [one for one in said if one == "421"]
        assert said[0] == "500" and (closing or client.reply().startswith("421") or client.reply() == ""), said
        assert not _answers(client)


def _answers(client: Raw) -> bool:
    try:
        return client.ask("NOOP").startswith("250")
    except OSError:
        return False


def test_the_seventh_connection_of_six_is_put_off(gateway: Gateway) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(Raw(gateway.port)) for _ in range(7)]
        greetings = [client.reply()[:3] for client in clients]
        assert greetings.count("421") == 1 and greetings.count("220") == 6


def test_a_silent_client_is_sent_away(gateway: Gateway) -> None:
    with Raw(gateway.port) as client:
        client.reply()
        start = time.monotonic()
        assert client.reply().startswith("421 4.4.2 ") and client.reply() == ""
        assert 1 < time.monotonic() - start < 10


def test_a_client_that_dawdles_inside_of_a_message_is_sent_away_and_delays_nobody(gateway: Gateway, hop: Hop) -> None:
    with Raw(gateway.port) as slow:
        begin(slow)
        assert slow.ask("DATA").startswith("354")
        start = time.monotonic()
        said = ""
        while not said and time.monotonic() - start < 12:
            try:
                slow.send(b"x")
            except OSError:
                break
            asked = time.monotonic()
            with Raw(int(gateway.values["WIDE"])) as other:
                assert other.hello().startswith("250")
            assert time.monotonic() - asked < 5
            time.sleep(0.4)
            slow._socket.settimeout(0.1)
            try:
                said = slow.reply()
            except TimeoutError:
                said = ""
        assert said.startswith(("421 4.4.2", "")) and time.monotonic() - start < 12
    gateway.drained()
    assert hop.taken == []


def test_a_line_of_a_mebibyte_travels_unchanged(gateway: Gateway, hop: Hop) -> None:
    octets = b"Subject: long\r\n\r\n" + LONG + b"\r\nend\r\n"
    with Raw(int(gateway.values["WIDE"])) as client:
        begin(client)
        assert message(client, octets).startswith("250")
    assert hop.wait(1)[0].octets.endswith(octets)


def test_with_max_line_length_it_is_refused_and_the_session_stays_in_step(gateway: Gateway, hop: Hop) -> None:
    with Raw(int(gateway.values["LINES"])) as client:
        begin(client)
        assert message(client, b"Subject: long\r\n\r\n" + LONG + b"\r\nend\r\n").startswith("550 5.6.")
        client.ask("MAIL FROM:<ida@corp.example>")
        client.ask("RCPT TO:<otto@partner.example>")
        assert message(client, b"Subject: short\r\n\r\n" + b"z" * 1998 + b"\r\n").startswith("250")
    assert b"Subject: short" in hop.wait(1)[0].octets


def test_an_endless_command_line_is_refused_or_hung_up_on(gateway: Gateway) -> None:
    with Raw(gateway.port) as client:
        client.hello()
        try:
            client.send(b"NOOP " + b"x" * 100_000 + b"\r\n")
            said = client.reply()
        except OSError:
            said = ""
        assert said == "" or said.startswith(("500 5.5.2", "421"))


def test_rubbish_is_answered_or_hung_up_on(gateway: Gateway) -> None:
    for octets in (b"\x00\xff\xfe\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\n\r\n"):
        with Raw(gateway.port, seconds=8) as client:
            client.reply()
            client.send(octets)
            for said in client.rest(5):
                assert said[:3] in ("500", "501", "421", "502", "503"), said
                assert "Traceback" not in said and "Error" not in said
    assert "Traceback" not in gateway.log
