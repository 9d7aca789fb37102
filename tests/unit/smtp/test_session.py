"""What a session answers to each command, in and out of order."""

from __future__ import annotations

import asyncio

import pytest

from gateway.mail import reply as say
from gateway.mail.reply import Refused
from gateway.observe.redact import redact
from gateway.storage.writer import StorageFull
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import connected

MAIL = "MAIL FROM:<ida@corp.example>"
RCPT = "RCPT TO:<otto@partner.example>"


async def test_a_message_from_greeting_to_250() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.asks("EHLO client.example", *["220 mx.corp.example ESMTP", "250-mx.corp.example", *["250"] * 8])
    assert await client.sends(b"Subject: x\r\n\r\nx\r\n") == "250 2.0.0 Queued as Q1"
    (mail,) = desk.accepted
    assert (mail.id, mail.connector, mail.received) == ("Q1", "local", desk.clock.now())
    assert mail.envelope.sender is not None
    assert mail.envelope.sender.text == "ida@corp.example"
    assert [one.address.text for one in mail.envelope.recipients] == ["otto@partner.example"]
    assert mail.client is not None
    assert (mail.client.address, mail.client.helo, mail.client.esmtp) == ("192.0.2.7", "client.example", True)
    assert mail.message.head.startswith(
        b"Received: from client.example ([192.0.2.7])\r\n\tby mx.corp.example with ESMTP\r\n\tid Q1\r\n"
    )
    assert desk.contents() == [b"Subject: x\r\n\r\nx\r\n"]
    await client.asks("QUIT", "221 2.0.0")
    assert client.closed


async def test_ehlo_names_what_there_is() -> None:
    client = connected(FakeDesk().desk, max_message_size=123456)
    await client.hears()
    lines = await client.asks("EHLO c", *["250"] * 9)
    assert lines == [
        "250-mx.corp.example",
        "250-SIZE 123456",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-PIPELINING",
        "250-CHUNKING",
        "250-DSN",
        "250-LIMITS RCPTMAX=1000 MAILMAX=1000",
        "250 ENHANCEDSTATUSCODES",
    ]


async def test_helo_is_answered_without_extensions_and_named_smtp() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.hears()
    await client.asks("HELO c.example", "250 mx.corp.example")
    await client.sends(b"x\r\n")
    assert b" with SMTP\r\n" in desk.accepted[0].message.head


@pytest.mark.parametrize("command", ["ehlo c.example", "EhLo   c.example  "])
async def test_commands_are_taken_in_any_case_and_with_blanks_around(command: str) -> None:
    client = connected(FakeDesk().desk)
    await client.hears()
    await client.asks(command, *["250"] * 9)
    await client.asks("mail FROM: <ida@corp.example>", "250 2.1.0")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("", "500 5.5.2 Command not recognised [Q1]"),
        ("FOO", "500 5.5.2"),
        ("GET / HTTP/1.1", "500 5.5.2"),
        (" NOOP", "500 5.5.2"),
        ("NOOP\tx", "500 5.5.2"),
        ("EHLO", "501 5.5.4 EHLO takes"),
        ("HELO two words", "501 5.5.4"),
        (MAIL, "503 5.5.1 Say EHLO first"),
        (RCPT, "503 5.5.1 Say MAIL first"),
        ("DATA", "503 5.5.1 Say MAIL first"),
        ("DATA now", "501 5.5.4"),
        ("NOOP with words", "250 2.0.0"),
        ("RSET", "250 2.0.0"),
        ("HELP", "214 2.0.0"),
        ("VRFY ida", "252 2.1.5"),
        ("VRFY", "501 5.5.4"),
        ("EXPN all", "502 5.5.1"),
        ("AUTH PLAIN AGEAYg==", "503 5.5.1 AUTH is not offered here"),
        ("STARTTLS", "502 5.5.1 STARTTLS is not offered here"),
        ("SEND FROM:<a@b.example>", "500 5.5.2"),
    ],
)
async def test_a_command_before_the_greeting(said: str, answer: str) -> None:
    client = connected(FakeDesk().desk)
    await client.hears()
    await client.asks(said, answer)
    assert not client.closed
    await client.asks("NOOP", "250 2.0.0 OK")


async def test_commands_out_of_order_are_answered_503() -> None:
    client = connected(FakeDesk().desk)
    await client.greets()
    await client.asks(RCPT, "503 5.5.1 Say MAIL first")
    await client.asks(MAIL, "250 2.1.0")
    await client.asks("DATA", "503 5.5.1 Say RCPT first")
    await client.asks(MAIL, "503 5.5.1 A transaction is under way")
    await client.asks(RCPT, "250 2.1.5")


@pytest.mark.parametrize("command", ["RSET", "EHLO again.example", "HELO again.example"])
async def test_a_transaction_ends_with_rset_and_a_new_greeting(command: str) -> None:
    client = connected(FakeDesk().desk)
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks(RCPT, "250 ")
    await client.feed(command.encode() + b"\r\n")
    await client.hears()
    await client.asks("DATA", "503 5.5.1 Say MAIL first")
    await client.asks(MAIL, "250 ")


async def test_a_bad_ehlo_leaves_the_transaction_as_it_was() -> None:
    client = connected(FakeDesk().desk)
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks("EHLO", "501 ")
    await client.asks(RCPT, "250 ")


async def test_several_messages_follow_each_other_in_one_session() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    for number in range(3):
        assert (await client.sends(b"%d\r\n" % number)).startswith("250 2.0.0 Queued as Q")
    assert desk.contents() == [b"0\r\n", b"1\r\n", b"2\r\n"]
    assert len({mail.id for mail in desk.accepted}) == 3


async def test_pipelined_commands_are_answered_in_one_write() -> None:
    # RFC 2920 3.2: answers are gathered as long as more commands are at hand.
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    writes = len(client.transport.writes)
    await client.feed(f"{MAIL}\r\n{RCPT}\r\nRCPT TO:<x>\r\nDATA\r\n".encode())
    assert client.transport.writes[writes:] == [
        b"250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n501 5.1.3 Bad recipient address syntax [Q1]\r\n"
        b"354 End data with <CR><LF>.<CR><LF>\r\n"
    ]


async def test_a_whole_session_in_one_packet() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    one = f"{MAIL}\r\n{RCPT}\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n"
    await client.feed(f"EHLO c\r\n{one}{one}QUIT\r\n".encode())
    lines = await client.hears()
    assert [line[:3] for line in lines] == ["220", *["250"] * 9, *["250", "250", "354", "250"] * 2, "221"]
    assert desk.contents() == [b"Subject: x\r\n\r\nx\r\n"] * 2


async def test_one_octet_at_a_time_is_the_same_session() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    for octet in f"EHLO c\r\n{MAIL}\r\n{RCPT}\r\nDATA\r\n..x\r\n.\r\nQUIT\r\n".encode():
        client.session.data_received(bytes([octet]))
        await client.feed()
    assert [line[:3] for line in await client.hears()] == ["220", *["250"] * 9, "250", "250", "354", "250", "221"]
    assert desk.contents() == [b".x\r\n"]


async def test_a_refused_sender_gets_the_reply_with_id_and_contact() -> None:
    desk = FakeDesk(contact="postmaster@corp.example")
    desk.refused_senders["evil@else.example"] = Refused(say.RELAY_DENIED)
    client = connected(desk.desk)
    await client.greets()
    await client.asks(
        "MAIL FROM:<evil@else.example>", "550 5.7.64 Relaying is not allowed [Q1] Contact: postmaster@corp.example"
    )
    await client.asks(RCPT, "503 5.5.1")
    facts = {"id": "Q1", "reply": "550 5.7.64 Relaying is not allowed", "client": "192.0.2.7", "sender": ""}
    assert desk.told[0] == ("info", "refused", facts)


async def test_a_5xx_ends_with_an_id_that_the_log_has_and_a_4xx_with_none() -> None:
    desk = FakeDesk()
    desk.refused_recipients = {"no@partner.example": say.NO_ROUTE}
    client = connected(desk.desk, max_recipients=1)
    await client.greets()
    await client.asks(MAIL, "250 ")
    (line,) = await client.asks("RCPT TO:<no@partner.example>", "550 5.4.4 No connector leads to this domain [")
    assert [facts["id"] for _, event, facts in desk.told if event == "refused"] == [
        line.partition("[")[2].removesuffix("]")
    ]
    await client.asks(RCPT, "250 ")
    assert await client.asks("RCPT TO:<more@partner.example>", "452 ") == ["452 4.5.3 Too many recipients"]


async def test_the_5xx_after_data_names_the_message_and_its_log_line_the_sender() -> None:
    desk = FakeDesk()
    desk.accept_raises = Refused(say.LOOP)
    client = connected(desk.desk)
    await client.greets()
    assert await client.sends(b"x\r\n") == "554 5.4.6 Mail loop: too many Received lines [Q1]"
    assert list(desk.incoming) == ["Q1"]
    assert desk.incoming["Q1"].abandoned
    assert [(facts["id"], facts["sender"]) for _, event, facts in desk.told] == [("Q1", "ida@corp.example")]
    assert (await client.sends(b"x\r\n")).startswith("554 5.4.6")


async def test_recipients_that_were_refused_alone_make_data_554() -> None:
    desk = FakeDesk()
    desk.refused_recipients = {"otto@partner.example": say.RELAY_DENIED}
    client = connected(desk.desk)
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks(RCPT, "550 5.7.64")
    await client.asks("DATA", "554 5.5.1 No valid recipients")


async def test_those_who_are_not_refused_get_it() -> None:
    desk = FakeDesk()
    desk.refused_recipients = {"no@partner.example": say.RELAY_DENIED}
    client = connected(desk.desk)
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks("RCPT TO:<no@partner.example>", "550 ")
    await client.asks(RCPT, "250 ")
    await client.asks("DATA", "354 ")
    await client.asks(b"x\r\n.\r\n", "250 2.0.0")
    assert [one.address.text for one in desk.accepted[0].envelope.recipients] == ["otto@partner.example"]


async def test_no_word_of_an_exception_reaches_the_client() -> None:
    # aiosmtpd 1.4.6 sends its class and text.
    desk = FakeDesk()
    desk.accept_raises = ValueError("secret of /var/lib/gateway")
    client = connected(desk.desk)
    await client.greets()
    assert await client.sends(b"x\r\n") == "451 4.3.0 Something failed here; please try again later"
    assert not client.closed
    assert desk.incoming["Q1"].abandoned
    (_, event, facts) = desk.told[0]
    logged = repr(redact(facts))
    assert event == "session_fault"
    assert "ValueError" in logged
    assert "fakes/desk.py:" in logged
    assert "secret" not in logged
    assert b"secret" not in client.said
    desk.accept_raises = None
    assert (await client.sends(b"x\r\n")).startswith("250 ")


async def test_a_fault_while_a_command_runs_is_a_passing_one() -> None:
    desk = FakeDesk()
    desk.no_room = RuntimeError("secret")
    client = connected(desk.desk)
    await client.greets()
    assert await client.asks(MAIL, "451 ") == ["451 4.3.0 Something failed here; please try again later"]
    await client.asks("NOOP", "250 ")
    assert ("messages_refused_total", ("127.0.0.1:2525", "451")) in desk.counted  # An alarm waits for it.


async def test_a_full_disk_is_told_before_data() -> None:
    desk = FakeDesk()
    desk.no_room = StorageFull("less than 64 MiB at /var/lib/gateway")
    client = connected(desk.desk)
    await client.greets()
    await client.asks("MAIL FROM:<ida@corp.example> SIZE=77", "452 4.3.1 Storage is full; please try again later")
    assert desk.room_asked == [77]
    await client.asks(RCPT, "503 ")


async def test_the_contact_of_a_reload_is_told_at_once() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    desk.desk.contact = "help@corp.example"
    await client.asks("FOO", "500 5.5.2 Command not recognised [Q1] Contact: help@corp.example")


async def test_an_ipv4_client_on_an_ipv6_socket_counts_as_ipv4() -> None:
    desk = FakeDesk()
    client = connected(desk.desk, peer=("::ffff:192.0.2.9", 1))
    await client.greets()
    await client.sends(b"x\r\n")
    assert desk.clients[0].address == "192.0.2.9"
    assert b"([192.0.2.9])" in desk.accepted[0].message.head


async def test_a_client_that_leaves_in_the_middle_leaves_nothing() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks(RCPT, "250 ")
    await client.asks("DATA", "354 ")
    await client.feed(b"half a mess")
    client.transport.hang_up()
    await client.feed()
    assert desk.accepted == []
    assert desk.incoming["Q1"].abandoned
    assert len(client.session.sessions) == 0


async def test_a_client_that_half_closes_still_hears_the_answers() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.feed(f"EHLO c\r\n{MAIL}\r\n{RCPT}\r\nDATA\r\nx\r\n.\r\nQUIT\r\n".encode())
    assert client.session.eof_received() is True
    assert (await client.hears())[-1].startswith("221 ")
    assert len(desk.accepted) == 1


async def test_half_a_command_at_the_end_is_not_carried_out() -> None:
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    await client.feed(b"MAIL FROM:<ida@corp.example>")
    client.session.eof_received()
    assert await client.hears() == []
    assert client.closed
    assert desk.clients == []


async def test_a_client_that_is_gone_before_its_250_is_noted() -> None:
    # queue-03. RFC 1047: the message is ours, and the client will send it again.
    desk = FakeDesk()
    client = connected(desk.desk)
    await client.greets()
    await client.asks(MAIL, "250 ")
    await client.asks(RCPT, "250 ")
    await client.asks("DATA", "354 ")
    desk.gate = asyncio.Event()
    await client.feed(b"x\r\n.\r\n")
    client.transport.hang_up()
    await client.feed()
    desk.gate.set()
    await client.feed()
    assert [mail.id for mail in desk.accepted] == ["Q1"]
    assert desk.gone == ["Q1"]
    assert not desk.incoming["Q1"].abandoned
