"""A next hop that answers oddly."""

from __future__ import annotations

import email
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import DROP, EXTENSIONS, Hop
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.swaks import swaks


@pytest.fixture(scope="module")
def home() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def partner() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], home: Hop, partner: Hop) -> Gateway:
    return make_gateway(HOME_HOP=home.port, HOP=partner.port).start()


@pytest.fixture(autouse=True)
def clean(gateway: Gateway, home: Hop, partner: Hop) -> Iterator[None]:
    """Each story begins with healthy hops and an empty queue."""
    yield
    for hop in (home, partner):
        hop.healthy()
        hop.extensions = list(EXTENSIONS)
        assert hop.faults == []
        hop.hang_up()  # A kept connection would not hear of the next story's greeting.
    gateway.ask("queue.delete", all=True)
    home.taken.clear()
    partner.taken.clear()


def dsn(home: Hop) -> Any:
    got = home.wait(1)[-1]
    assert got.sender == "", "a DSN has a null reverse path"
    return email.message_from_bytes(got.octets)


def report(message: Any) -> list[Any]:
    """The fields of message/delivery-status: one block for the message, one for each recipient (RFC 3464 2.1)."""
    assert message.get_content_type() == "multipart/report"
    part = next(one for one in message.walk() if one.get_content_type() == "message/delivery-status")
    return list(part.get_payload())


def test_each_recipient_has_its_own_reply(gateway: Gateway, partner: Hop, home: Hop) -> None:
    partner.script({"RCPT": ["250 2.1.5 ok", "550 5.1.1 no such user", "451 4.2.1 mailbox busy"]})
    said = swaks(gateway.port, "--to", "a@partner.example,b@partner.example,c@partner.example")
    assert partner.wait(1)[0].recipients == ("a@partner.example",)
    blocks = report(dsn(home))
    assert len(blocks) == 2 and blocks[1]["Final-Recipient"] == "rfc822; b@partner.example"
    assert blocks[1]["Action"] == "failed" and blocks[1]["Status"] == "5.1.1"
    assert "550 5.1.1 no such user" in blocks[1]["Diagnostic-Code"]
    row = gateway.tried(said.queue_id)
    status = {one["address"][0]: one["status"] for one in row["recipients"]}
    assert status["c"] == "waiting" and status.get("a", "sent") == "sent" and status.get("b", "failed") == "failed"
    gateway.json("queue", "retry", said.queue_id)
    assert partner.wait(2)[1].recipients == ("c@partner.example",)
    gateway.drained()
    assert len(home.taken) == 1 and len(partner.taken) == 2


@pytest.mark.parametrize(
    "script",
    [
        {"CONNECT": ["421 4.3.2 busy"]},
        {"CONNECT": ["554 5.3.2 go away"]},
        {"CONNECT": [DROP]},
        {"CONNECT": ["this is no SMTP"]},
        {"EHLO": ["421 4.3.2 busy"]},
        {"MAIL": ["451 4.7.1 greylisted"]},
        {"MAIL": ["421 4.3.2 busy"]},
        {"MAIL": [DROP]},
        {"RCPT": ["450 4.2.1 busy"]},
        {"RCPT": ["422 4.2.2 full"]},
        {"RCPT": [DROP]},
        {"DATA": ["451 4.3.0 no"]},
        {"DATA": [DROP]},
        {"DATA": ["250 2.0.0 what?"]},
        {".": ["451 4.3.0 later"]},
        {".": ["421 4.3.2 stopping"]},
        {".": [DROP]},
        {".": ["999 nonsense"]},
        {".": ["\x00\xff"]},
    ],
    ids=str,
)
def test_what_may_pass_waits_and_leaves_later(
    gateway: Gateway, partner: Hop, home: Hop, script: dict[str, list[str]]
) -> None:
    # The same answer on each address and each kept connection of one attempt.
    partner.script({verb: said[0] for verb, said in script.items()})
    said = swaks(gateway.port, "--header", "Subject: patient")
    row = gateway.tried(said.queue_id)
    assert row["state"] == "waiting" and row["recipients"][0]["status"] == "waiting"
    assert row["recipients"][0]["enhanced"].startswith("4.")
    assert partner.taken == [] and home.taken == []
    partner.healthy()
    assert gateway.ask("queue.retry", ids=[said.queue_id])["changed"] == [f"{said.queue_id}.1"]
    assert b"Subject: patient" in partner.wait(1)[0].octets
    gateway.drained()
    assert len(partner.taken) == 1 and home.taken == []


@pytest.mark.parametrize(
    "script",
    [{"MAIL": "550 5.7.1 no"}, {"RCPT": "553 5.1.1 no"}, {"DATA": "554 5.7.1 no"}, {".": "552 5.2.2 full"}],
    ids=str,
)
def test_what_is_lasting_is_told_to_the_sender(
    gateway: Gateway, partner: Hop, home: Hop, script: dict[str, str]
) -> None:
    partner.script(script)
    swaks(gateway.port, "--header", "Subject: hopeless")
    message = dsn(home)
    assert "ida@corp.example" in message["To"] and message["Auto-Submitted"]
    assert next(iter(script.values()))[:9] in report(message)[1]["Diagnostic-Code"]
    text = message.get_payload(0).get_payload(decode=True).decode()
    assert "otto@partner.example" in text
    assert b"Subject: hopeless" in home.taken[0].octets
    gateway.drained()


def test_nobody_is_told_about_a_null_sender(gateway: Gateway, partner: Hop, home: Hop) -> None:
    partner.script({"RCPT": "550 5.1.1 no"})
    said = swaks(gateway.port, "--from", "<>")
    assert said.code == 0, said.text
    gateway.drained()
    assert [one["status"] for one in gateway.story(said.queue_id, "recipient")] == ["failed"]
    gateway.story(said.queue_id, "done")
    assert not [one for one in gateway.events(said.queue_id) if one["event"] == "notified"] and home.taken == []


def test_a_hop_that_wants_data_for_nobody_gets_nothing(gateway: Gateway, partner: Hop, home: Hop) -> None:
    """With pipelining DATA is on its way before the refusal is known; what follows is a lone dot (RFC 2920 3.1)."""
    partner.script({"RCPT": "450 4.2.1 busy", "DATA": "354 go ahead"})
    said = swaks(gateway.port)
    assert gateway.tried(said.queue_id)["recipients"][0]["status"] == "waiting"
    assert all(got.octets == b"" for got in partner.taken)


def test_a_multi_line_reply_is_read_whole(gateway: Gateway, partner: Hop) -> None:
    partner.script({".": "250-2.0.0 taken\n250-2.0.0 with care\n250 2.0.0 as X"})
    swaks(gateway.port)
    partner.wait(1)
    gateway.drained()


def test_eight_bits_that_can_not_be_converted_end_with_5_6_3(gateway: Gateway, partner: Hop, home: Hop) -> None:
    partner.extensions = ["PIPELINING"]
    with Raw(gateway.port) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@corp.example> BODY=8BITMIME")
        client.ask("RCPT TO:<otto@partner.example>")
        client.ask("DATA")
        client.send("Subject: Gr\u00fc\u00dfe\r\n\r\nGr\u00fc\u00dfe\r\n".encode())
        assert client.ask(".").startswith("250")
    assert report(dsn(home))[1]["Status"] == "5.6.3" and partner.taken == []


def test_a_message_over_the_hop_s_size_ends_with_5_3_4(gateway: Gateway, partner: Hop, home: Hop) -> None:
    partner.extensions = ["PIPELINING", "SIZE 1000"]
    swaks(gateway.port, "--body", "x" * 60 + "\n" + ("y" * 60 + "\n") * 40)
    assert report(dsn(home))[1]["Status"] == "5.3.4" and partner.taken == []


@pytest.mark.parametrize("extensions", [[], ["PIPELINING"], ["8BITMIME"], list(EXTENSIONS)], ids=str)
def test_a_hop_with_few_extensions_gets_the_mail_too(gateway: Gateway, partner: Hop, extensions: list[str]) -> None:
    partner.extensions = extensions
    swaks(gateway.port, "--header", "Subject: plain")
    assert b"Subject: plain" in partner.wait(1)[0].octets


def test_a_hop_that_knows_only_helo_gets_the_mail_too(gateway: Gateway, partner: Hop) -> None:
    partner.script({"EHLO": "500 5.5.1 what?"})
    swaks(gateway.port, "--header", "Subject: old")
    assert b"Subject: old" in partner.wait(1)[0].octets
