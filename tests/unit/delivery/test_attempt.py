"""One attempt, from hosts to results, in clear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.connectors.model import Outbound
from gateway.delivery.attempt import Attempts
from gateway.delivery.client import Timeouts
from gateway.delivery.outcome import Outcome, Result, Verdict
from gateway.mail.address import Address, parse_address
from gateway.mail.delivery import Delivery, Status, Target
from gateway.mail.envelope import Body
from gateway.mail.message import Content, Held
from gateway.world.clock import SystemClock
from gateway.world.names import Mx
from gateway.world.sockets import bind
from tests.fakes.chance import FakeChance
from tests.fakes.names import FakeNames
from tests.fakes.nexthop import CLOSE, RESET, STALL, FakeNextHop
from tests.fakes.outbounds import make_outbound

MESSAGE = Held(b"Subject: hello\r\n\r\ntext\r\n")
QUICK = Timeouts(connect=5, greeting=0.1, tls=5, ehlo=0.1, mail=0.1, rcpt=0.1, data=0.1, block=0.1, final=0.1, quit=0.1)
SENT, LATER, NEVER = Verdict.SENT, Verdict.LATER, Verdict.NEVER


def delivery(
    *recipients: str,
    sender: str | None = "ida@corp.example",
    body: Body = Body.SEVEN_BIT,
    smtputf8: bool = False,
    destination: str = "",
) -> Delivery:
    return Delivery(
        id="Q.1",
        message="Q",
        connector="out",
        destination=destination,
        sender=parse_address(sender) if sender else None,
        targets=tuple(Target(address=parse_address(one)) for one in recipients or ("otto@x.test",)),
        size=10,
        created=0,
        next_attempt=0,
        body=body,
        smtputf8=smtputf8,
    )


@asynccontextmanager
async def attempts(names: FakeNames | None = None, timeouts: Timeouts | None = None) -> AsyncIterator[Attempts]:
    made = Attempts(
        names=names or FakeNames(), clock=SystemClock(), chance=FakeChance(), hostname="gw.test", timeouts=timeouts
    )
    try:
        yield made
    finally:
        await made.close()


async def once(outbound: Outbound, what: Delivery, content: Content = MESSAGE, **how: Timeouts) -> Outcome:
    async with attempts(timeouts=how.get("timeouts")) as made:
        return await made.attempt(what, outbound, content)


def to(*hops: FakeNextHop) -> Outbound:
    return make_outbound(*(("127.0.0.1", hop.port) for hop in hops))


def dead_port() -> int:
    door = bind("127.0.0.1", 0)
    port: int = door.getsockname()[1]
    door.close()
    return port


async def test_a_message_that_is_taken_is_sent() -> None:
    async with FakeNextHop() as hop:
        outcome = await once(to(hop), delivery("otto@x.test"))
    assert outcome.results == (
        Result(
            address=parse_address("otto@x.test"),
            verdict=SENT,
            reply="250 2.0.0 Queued as X1",
            enhanced="2.0.0",
            host="127.0.0.1",
        ),
    )
    assert [(one.host, one.address, one.outcome) for one in outcome.hops] == [("127.0.0.1", "127.0.0.1", "delivered")]
    assert not outcome.unreachable
    assert hop.commands[0][1] == b"MAIL FROM:<ida@corp.example> SIZE=24"
    assert hop.messages == [MESSAGE.octets]


async def test_each_recipient_has_a_reply_of_its_own() -> None:
    """queue-04: 250, 550 and 451 in one transaction."""
    answers = ["250 ok", "550 5.1.1 no such user", "451 4.2.1 come back"]
    async with FakeNextHop({"RCPT": answers}) as hop:
        outcome = await once(to(hop), delivery("a@x.test", "b@x.test", "c@x.test"))
    assert [(one.address.text, one.verdict, one.enhanced) for one in outcome.results] == [
        ("a@x.test", SENT, "2.0.0"),
        ("b@x.test", NEVER, "5.1.1"),
        ("c@x.test", LATER, "4.2.1"),
    ]
    assert outcome.results[1].reply == "550 5.1.1 no such user"
    assert not outcome.unreachable


async def test_only_those_who_still_wait_are_tried() -> None:
    what = delivery("a@x.test", "b@x.test")
    done = Target(address=what.targets[0].address, status=Status.SENT)
    async with FakeNextHop() as hop:
        outcome = await once(to(hop), replace(what, targets=(done, what.targets[1])))
    assert [one.address.text for one in outcome.results] == ["b@x.test"]
    assert b"RCPT TO:<a@x.test>" not in hop.commands[0]


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize(
    ("answer", "verdict", "enhanced"),
    [
        ("451 4.7.1 greylisted", LATER, "4.7.1"),
        ("450 later", LATER, "4.0.0"),
        ("550 no", NEVER, "5.0.0"),
        ("554 5.7.1 spam", NEVER, "5.7.1"),
    ],
)
async def test_a_no_at_any_phase_is_passing_or_lasting_by_its_first_digit(
    phase: str, answer: str, verdict: Verdict, enhanced: str
) -> None:
    async with FakeNextHop({phase: answer}) as hop:
        outcome = await once(to(hop), delivery())
    assert [(one.verdict, one.enhanced, one.reply) for one in outcome.results] == [(verdict, enhanced, answer)]
    assert [one.outcome for one in outcome.hops] == ["refused"]
    assert not outcome.unreachable


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"greeting": "554 5.7.1 go away"}, "554 5.7.1 go away"),
        ({"greeting": "421 4.3.2 busy"}, "421 4.3.2 busy"),
        ({"greeting": CLOSE}, "the host closed the connection"),
        ({"EHLO": "450 4.3.2 busy"}, "450 4.3.2 busy"),
        ({"EHLO": CLOSE}, "the host closed the connection"),
        ({"MAIL": "421 4.3.2 closing"}, "421 4.3.2 closing"),
        ({"MAIL": CLOSE}, "the host closed the connection"),
        ({"MAIL": RESET}, "the connection was lost"),
        ({"MAIL": STALL}, "the host did not answer in time"),
        ({"greeting": "999 what"}, "the host answered what is no SMTP reply: 999 what?"),
    ],
)
async def test_a_host_that_fails_before_mail_is_followed_by_the_next(says: dict[str, str], words: str) -> None:
    async with FakeNextHop(says) as bad, FakeNextHop() as good:
        outcome = await once(to(bad, good), delivery(), timeouts=QUICK)
    assert [one.verdict for one in outcome.results] == [SENT]
    assert [one.outcome for one in outcome.hops] == [words, "delivered"]
    assert len(good.messages) == 1


@pytest.mark.parametrize(
    ("says", "enhanced"),
    [
        ({"greeting": "554 5.7.1 go away"}, "4.3.2"),
        ({"greeting": "421 4.7.0 slow"}, "4.7.0"),
        ({"EHLO": CLOSE}, "4.4.2"),
    ],
)
async def test_where_no_host_is_left_the_message_waits_and_the_destination_is_unreachable(
    says: dict[str, str], enhanced: str
) -> None:
    async with FakeNextHop(says) as hop:
        outcome = await once(to(hop), delivery("a@x.test", "b@x.test"))
    assert [(one.verdict, one.enhanced) for one in outcome.results] == [(LATER, enhanced)] * 2
    assert outcome.unreachable


async def test_a_dead_port_is_followed_by_the_next_host() -> None:
    async with FakeNextHop() as good:
        outbound = make_outbound(("127.0.0.1", dead_port()), ("127.0.0.1", good.port))
        outcome = await once(outbound, delivery())
    assert outcome.results[0].verdict is SENT
    assert outcome.hops[0].outcome.startswith("no connection to 127.0.0.1 port ")


async def test_nobody_listening_waits_with_4_4_1() -> None:
    outcome = await once(make_outbound(("127.0.0.1", dead_port())), delivery())
    assert (outcome.results[0].verdict, outcome.results[0].enhanced) == (LATER, "4.4.1")
    assert outcome.results[0].reply.startswith("451 4.4.1 No connection to 127.0.0.1")
    assert outcome.unreachable


@pytest.mark.parametrize("how", [CLOSE, RESET, STALL, "999 what", "250"])
async def test_a_connection_that_ends_after_the_dot_waits_unless_250_came(how: str) -> None:
    async with FakeNextHop({".": how}) as hop:
        outcome = await once(to(hop), delivery(), timeouts=QUICK)
    assert outcome.results[0].verdict is (SENT if how == "250" else LATER)
    assert not outcome.unreachable


async def test_what_was_refused_before_the_connection_was_lost_stays_refused() -> None:
    async with FakeNextHop({"RCPT": ["550 5.1.1 no", "250 ok"], ".": CLOSE}) as hop:
        outcome = await once(to(hop), delivery("a@x.test", "b@x.test"))
    assert [(one.verdict, one.enhanced) for one in outcome.results] == [(NEVER, "5.1.1"), (LATER, "4.4.2")]


async def test_552_for_one_recipient_too_many_waits() -> None:
    async with FakeNextHop({"RCPT": ["250 ok", "552 too many recipients", "552 5.2.2 mailbox full"]}) as hop:
        outcome = await once(to(hop), delivery("a@x.test", "b@x.test", "c@x.test"))
    assert [one.verdict for one in outcome.results] == [SENT, LATER, NEVER]


async def test_mx_hosts_are_tried_by_preference_and_told_by_name() -> None:
    async with FakeNextHop() as hop:
        names = FakeNames({"x.test": (Mx(10, "gone.test"), Mx(20, "here.test"))}, {"here.test": ("127.0.0.1",)})
        async with attempts(names) as made:
            outcome = await made.attempt(delivery(destination="x.test"), make_outbound(port=hop.port), MESSAGE)
    assert outcome.results[0].host == "here.test"


async def test_a_null_mx_ends_it_and_does_not_make_others_wait() -> None:
    async with attempts(FakeNames({"x.test": (Mx(0, ""),)})) as made:
        outcome = await made.attempt(delivery(destination="x.test"), make_outbound(), MESSAGE)
    assert (outcome.results[0].verdict, outcome.results[0].enhanced) == (NEVER, "5.1.10")
    assert not outcome.unreachable


async def test_no_answer_from_dns_makes_the_destination_wait() -> None:
    async with attempts(FakeNames(unavailable=frozenset({"x.test"}))) as made:
        outcome = await made.attempt(delivery(destination="x.test"), make_outbound(), MESSAGE)
    assert (outcome.results[0].verdict, outcome.results[0].enhanced) == (LATER, "4.4.3")
    assert outcome.unreachable


# Whose words they are


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ({"MAIL": "451 4.7.1 greylisted"}, None),
        ({"RCPT": "550 5.1.1 no"}, None),
        ({".": "552 5.2.2 full"}, None),
        ({"greeting": "554 5.7.1 go away"}, None),
        ({"greeting": CLOSE}, "the host closed the connection"),
        ({".": CLOSE}, "the host closed the connection"),
        ({".": STALL}, "the host did not answer in time"),
        ({".": "250 " + "x" * 9000}, "the host's reply is too long"),
        ({"DATA": "250 what?"}, "the host answered DATA with 250 what?"),
    ],
)
async def test_only_a_sentence_of_ours_has_a_reason(says: dict[str, str], reason: str | None) -> None:
    async with FakeNextHop(says) as hop:
        outcome = await once(to(hop), delivery(), timeouts=QUICK)
    (result,) = outcome.results
    assert result.reason == reason
    assert result.host == "127.0.0.1"
    if reason is not None:
        assert result.reply == f"451 {result.enhanced} {reason[0].upper()}{reason[1:]}"


async def test_what_a_host_cannot_take_is_told_with_a_reason_of_ours() -> None:
    async with FakeNextHop(offers=("SIZE 5",)) as hop:
        outcome = await once(to(hop), delivery())
    assert outcome.results[0].reason == "the message has 24 octets, 127.0.0.1 takes 5"
    assert outcome.results[0].reply == "552 5.3.4 The message has 24 octets, 127.0.0.1 takes 5"


async def test_where_there_is_no_host_or_no_folder_the_reason_says_so(tmp_path: Path) -> None:
    async with attempts(FakeNames({"x.test": (Mx(0, ""),)})) as made:
        outcome = await made.attempt(delivery(destination="x.test"), make_outbound(), MESSAGE)
    assert outcome.results[0].reason == "the domain x.test takes no mail (null MX)"
    assert outcome.results[0].reply == "556 5.1.10 The domain x.test takes no mail (null MX)"
    outcome = await once(make_outbound(folder=tmp_path / "not" / "there"), delivery())
    assert outcome.results[0].reason == outcome.hops[0].outcome
    assert "can't be written" in outcome.results[0].reason


async def test_a_long_reason_is_cut_and_the_reply_beside_it_is_whole() -> None:
    async with FakeNextHop({"DATA": "250 " + "x" * 500}) as hop:
        outcome = await once(to(hop), delivery())
    assert len(outcome.results[0].reason or "") == 200
    assert outcome.results[0].reply.endswith("x" * 500)


@pytest.mark.parametrize(
    ("says", "words"),
    [
        ({"RCPT": "550 5.1.1 no"}, "refused"),
        ({".": "451 4.3.0 later"}, "refused"),
        ({".": CLOSE}, "the host closed the connection"),
        ({"RCPT": ["550 5.1.1 no", "250 ok"], ".": CLOSE}, "the host closed the connection"),
        ({".": "999 what"}, "the host answered what is no SMTP reply: 999 what?"),
    ],
)
async def test_the_trace_says_refused_only_where_the_host_refused(says: dict[str, str | list[str]], words: str) -> None:
    async with FakeNextHop(says) as hop:
        outcome = await once(to(hop), delivery("a@x.test", "b@x.test"))
    assert [one.outcome for one in outcome.hops] == [words]


async def test_the_trace_says_where_a_hosts_offers_do_not_suffice() -> None:
    async with FakeNextHop(offers=()) as hop:
        outcome = await once(to(hop), delivery(body=Body.EIGHT_BIT_MIME), Held(b"a\r\n\r\n\xc3\xa4\r\n"))
    assert [one.outcome for one in outcome.hops] == ["its offers do not suffice"]


# What a message demands


@pytest.mark.parametrize(("size", "verdict"), [(23, NEVER), (24, SENT), (0, SENT)])
async def test_a_message_over_the_hosts_size_is_not_sent(size: int, verdict: Verdict) -> None:
    async with FakeNextHop(offers=("PIPELINING", f"SIZE {size}")) as hop:
        outcome = await once(to(hop), delivery())
    assert outcome.results[0].verdict is verdict
    if verdict is NEVER:
        assert outcome.results[0].enhanced == "5.3.4"
        assert all(not line.startswith(b"MAIL") for line in hop.commands[0])


@pytest.mark.parametrize(
    ("octets", "offers", "verdict", "mail"),
    [
        (b"a\r\n\r\n\xc3\xa4\r\n", ("8BITMIME",), SENT, b"MAIL FROM:<ida@corp.example> BODY=8BITMIME"),
        (b"a\r\n\r\n\xc3\xa4\r\n", (), NEVER, b""),
        (b"a\r\n\r\nb\r\n", (), SENT, b"MAIL FROM:<ida@corp.example>"),
    ],
)
async def test_8bitmime_is_demanded_only_of_octets_that_need_it(
    octets: bytes, offers: tuple[str, ...], verdict: Verdict, mail: bytes
) -> None:
    async with FakeNextHop(offers=offers) as hop:
        outcome = await once(to(hop), delivery(body=Body.EIGHT_BIT_MIME), Held(octets))
    assert outcome.results[0].verdict is verdict
    if mail:
        assert hop.commands[0][1] == mail
        assert hop.messages == [octets]
    else:
        assert outcome.results[0].enhanced == "5.6.3"


async def test_octets_that_were_never_declared_go_on_as_they_came() -> None:
    """smtp-08: raw 8-bit letters in the header, from a client that said neither 8BITMIME nor SMTPUTF8."""
    octets = b"Subject: \xe4\r\n\r\nb\r\n"
    async with FakeNextHop(offers=()) as hop:
        outcome = await once(to(hop), delivery(), Held(octets))
    assert outcome.results[0].verdict is SENT
    assert hop.messages == [octets]


async def test_smtputf8_is_said_where_it_is_needed_and_offered() -> None:
    async with FakeNextHop(offers=("SMTPUTF8",)) as hop:
        outcome = await once(to(hop), delivery("j\u00f6rg@x.test", smtputf8=True))
    assert outcome.results[0].verdict is SENT
    assert hop.commands[0][1:3] == [
        b"MAIL FROM:<ida@corp.example> SMTPUTF8",
        "RCPT TO:<j\u00f6rg@x.test>".encode(),
    ]


async def test_without_smtputf8_only_those_who_need_it_are_left_out() -> None:
    async with FakeNextHop(offers=()) as hop:
        outcome = await once(to(hop), delivery("j\u00f6rg@x.test", "otto@x.test", smtputf8=True))
    assert {one.address.text: (one.verdict, one.enhanced) for one in outcome.results} == {
        "otto@x.test": (SENT, "2.0.0"),
        "j\u00f6rg@x.test": (NEVER, "5.6.7"),
    }
    assert hop.commands[0][1] == b"MAIL FROM:<ida@corp.example>"


@pytest.mark.parametrize(
    ("sender", "octets"), [("\u00efda@corp.example", b"a\r\n"), ("ida@corp.example", b"Subject: \xc3\xa4\r\n\r\nb\r\n")]
)
async def test_without_smtputf8_a_sender_or_header_that_needs_it_ends_the_message(sender: str, octets: bytes) -> None:
    async with FakeNextHop(offers=()) as hop:
        outcome = await once(to(hop), delivery(sender=sender, smtputf8=True), Held(octets))
    assert [(one.verdict, one.enhanced) for one in outcome.results] == [(NEVER, "5.6.7")]
    assert hop.messages == []


async def test_an_internationalised_domain_goes_as_a_labels() -> None:
    async with FakeNextHop(offers=()) as hop:
        outcome = await once(to(hop), delivery("otto@b\u00fccher.example"))
    assert outcome.results[0].verdict is SENT
    assert hop.commands[0][2] == b"RCPT TO:<otto@xn--bcher-kva.example>"


async def test_a_null_sender_and_a_bare_postmaster_are_said_as_such() -> None:
    async with FakeNextHop(offers=()) as hop:
        await once(to(hop), delivery("postmaster", sender=None))
    assert hop.commands[0][1:3] == [b"MAIL FROM:<>", b"RCPT TO:<postmaster>"]


# Kept connections


async def test_a_connection_is_kept_for_the_next_message() -> None:
    async with FakeNextHop() as hop, attempts() as made:
        outbound = to(hop)
        for _ in range(3):
            assert (await made.attempt(delivery(), outbound, MESSAGE)).results[0].verdict is SENT
        assert len(hop.commands) == 1
    assert len(hop.messages) == 3


async def test_after_a_refused_message_the_connection_is_reset_and_kept() -> None:
    async with FakeNextHop({"RCPT": ["550 no", "250 ok"]}) as hop, attempts() as made:
        outbound = to(hop)
        await made.attempt(delivery(), outbound, MESSAGE)
        assert (await made.attempt(delivery(), outbound, MESSAGE)).results[0].verdict is SENT
    assert len(hop.commands) == 1
    assert hop.commands[0].count(b"RSET") == 1


@pytest.mark.parametrize(
    "says",
    [
        {"RCPT": ["421 4.3.2 closing", "250 ok"]},
        {"RCPT": [b"421 4.3.2 closing\r\n503 5.5.1 no recipients\r\n", "250 ok"], "DATA": [b"", "354 Go on"]},
        {"DATA": ["421 4.3.2 closing", "354 Go on"]},
        {".": ["421 4.3.2 closing", "250 ok"]},
    ],
    ids=["RCPT", "RCPT with more behind it", "DATA", "final dot"],
)
async def test_after_421_the_connection_is_neither_reset_nor_kept(says: dict[str, list[str | bytes]]) -> None:
    """RFC 5321 3.8: the host closes it."""
    async with FakeNextHop(says) as hop, attempts() as made:
        outbound = to(hop)
        assert (await made.attempt(delivery(), outbound, MESSAGE)).results[0].verdict is LATER
        assert (await made.attempt(delivery(), outbound, MESSAGE)).results[0].verdict is SENT
        assert len(hop.commands) == 2
    assert b"RSET" not in hop.commands[0]


@pytest.mark.parametrize("answer", ["421 4.4.2 idle too long", CLOSE, RESET])
async def test_a_kept_connection_that_died_is_replaced_and_not_told(answer: str) -> None:
    async with FakeNextHop({"MAIL": ["250 ok", answer, "250 ok"]}) as hop, attempts() as made:
        outbound = to(hop)
        await made.attempt(delivery(), outbound, MESSAGE)
        outcome = await made.attempt(delivery(), outbound, MESSAGE)
    assert outcome.results[0].verdict is SENT
    assert [one.outcome for one in outcome.hops] == ["delivered"]
    assert len(hop.commands) == 2
    assert len(hop.messages) == 2


async def test_no_more_connections_than_the_connector_allows() -> None:
    async with FakeNextHop() as hop, attempts() as made:
        outbound = make_outbound(("127.0.0.1", hop.port), concurrency=2)
        outcomes = await asyncio.gather(*(made.attempt(delivery(), outbound, MESSAGE) for _ in range(9)))
        assert all(one.results[0].verdict is SENT for one in outcomes)
        assert len(hop.commands) == 2


async def test_a_connection_ends_after_as_many_messages_as_the_connector_says() -> None:
    async with FakeNextHop() as hop, attempts() as made:
        outbound = make_outbound(("127.0.0.1", hop.port), messages_per_connection=2)
        for _ in range(3):
            await made.attempt(delivery(), outbound, MESSAGE)
    assert [commands.count(b"DATA") for commands in hop.commands] == [2, 1]
    assert hop.commands[0][-1] == b"QUIT"


async def test_an_attempt_that_is_cancelled_gives_back_its_place_and_sends_nothing() -> None:
    async with FakeNextHop({"DATA": [STALL, "354 go"]}) as hop, attempts() as made:
        outbound = make_outbound(("127.0.0.1", hop.port), concurrency=1)
        task = asyncio.ensure_future(made.attempt(delivery(), outbound, MESSAGE))
        async with asyncio.timeout(30):
            while not hop.commands or b"DATA" not in hop.commands[0]:
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await made.attempt(delivery(), outbound, MESSAGE)).results[0].verdict is SENT
    assert len(hop.messages) == 1


class Broken(Held):
    """Content whose reading fails."""

    @property
    def inline(self) -> bytes | None:
        return None

    async def blocks(self) -> AsyncIterator[bytes]:
        yield b"half\r\n"
        raise RuntimeError("seal broken")


async def test_content_that_cannot_be_read_is_the_callers_matter_and_nobody_gets_half() -> None:
    async with FakeNextHop() as hop, attempts() as made:
        outbound = make_outbound(("127.0.0.1", hop.port), concurrency=1)
        with pytest.raises(RuntimeError, match="seal broken"):
            await made.attempt(delivery(), outbound, Broken(b"xx"))
        assert (await made.attempt(delivery(), outbound, MESSAGE)).results[0].verdict is SENT
    assert hop.messages == [MESSAGE.octets]


# Folders


async def test_delivery_into_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    outcome = await once(make_outbound(folder=folder), delivery("a@x.test", "b@x.test"))
    assert [(one.verdict, one.reply) for one in outcome.results] == [(SENT, "250 2.0.0 Written to outbox/Q.1.eml")] * 2
    assert (folder / "Q.1.eml").read_bytes() == MESSAGE.octets
    assert outcome.hops[0].host == "outbox"


async def test_a_folder_that_cannot_be_written_waits_and_its_path_is_not_told(tmp_path: Path) -> None:
    outcome = await once(make_outbound(folder=tmp_path / "not" / "there"), delivery())
    assert (outcome.results[0].verdict, outcome.results[0].enhanced) == (LATER, "4.3.0")
    assert "No such file" in outcome.results[0].reply
    assert str(tmp_path) not in outcome.results[0].reply
    assert outcome.unreachable


def test_addresses_hold_no_line_ends() -> None:
    """The client writes addresses as they stand; that they can't hold CR LF is what makes that safe."""
    for text in ("a\r\nRSET@x.test", "a@x.test\r\nDATA", '"a\r\nb"@x.test', "a@x.test>\r\n"):
        with pytest.raises(ValueError, match="malformed"):
            parse_address(text)
    assert Address("a@x.test", "x.test").text == "a@x.test"
