"""Logging in at a next hop (RFC 4954): never in clear, once for a connection, and a refusal lets the mail wait."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest

from gateway.connectors.model import Login, Outbound, TlsLevel
from gateway.delivery.attempt import Attempts
from gateway.delivery.client import NextHop, Timeouts
from gateway.delivery.login import log_in
from gateway.delivery.outcome import Outcome, Verdict
from gateway.delivery.said import HopLogin, Said
from gateway.world.clock import SystemClock
from tests.fakes.chance import FakeChance
from tests.fakes.names import FakeNames
from tests.fakes.nexthop import CLOSE, OFFERS, FakeNextHop
from tests.fakes.outbounds import make_outbound
from tests.unit.delivery.test_attempt import MESSAGE, delivery, once
from tests.unit.delivery.test_attempt_tls import Pki, pki

__all__ = ["pki"]

LOGIN = Login(user="relay@corp.example", password="s3cret word")
PLAIN = b"AUTH PLAIN " + b64encode(b"\0relay@corp.example\0s3cret word")
IN = {"AUTH": "235 2.7.0 Welcome"}
NOT_OURS = {"AUTH": "535 5.7.8 Authentication credentials invalid"}
BY_PLAIN = (*OFFERS, "AUTH PLAIN LOGIN CRAM-MD5")
BY_LOGIN = (*OFFERS, "auth login")


def secured(*hops: FakeNextHop, login: Login | None = LOGIN) -> Outbound:
    return make_outbound(*(("127.0.0.1", hop.port) for hop in hops), level=TlsLevel.ENCRYPTION_ONLY, login=login)


def waits(outcome: Outcome, words: str) -> None:
    (result,) = outcome.results
    assert (result.verdict, result.enhanced) == (Verdict.LATER, "4.7.8")
    assert result.reason is not None
    assert words in result.reason
    assert outcome.unreachable, "whatever else goes there waits too, so that no account is locked by our tries"


def test_a_password_stands_in_no_repr() -> None:
    assert "s3cret" not in repr(LOGIN) + str(LOGIN) + repr(make_outbound(("127.0.0.1", 1), login=LOGIN))


async def test_plain_comes_before_any_mail_and_once_for_a_connection(pki: Pki) -> None:
    async with FakeNextHop(IN, offers=BY_PLAIN, tls=pki.server("mx")) as hop:
        attempts = Attempts(names=FakeNames(), clock=SystemClock(), chance=FakeChance(), hostname="gw.test")
        outbound = secured(hop)
        for _ in range(2):
            assert (await attempts.attempt(delivery(), outbound, MESSAGE)).results[0].verdict is Verdict.SENT
        await attempts.close()
    (commands,) = hop.commands
    assert [line.split()[0] for line in commands[:5]] == [b"EHLO", b"STARTTLS", b"EHLO", b"AUTH", b"MAIL"]
    assert commands.count(PLAIN) == 1
    assert len(hop.messages) == 2


async def test_login_is_said_where_plain_is_not_offered(pki: Pki) -> None:
    says = {"AUTH": ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 2.7.0 Welcome"]}
    async with FakeNextHop(says, offers=BY_LOGIN, tls=pki.server("mx")) as hop:
        outcome = await once(secured(hop), delivery())
    assert outcome.results[0].verdict is Verdict.SENT
    assert hop.commands[0][3:6] == [b"AUTH LOGIN", b64encode(b"relay@corp.example"), b64encode(b"s3cret word")]


async def test_login_is_tried_where_plain_is_not_known_after_all(pki: Pki) -> None:
    says = {"AUTH": ["504 5.5.4 Not that one", "334 x", "334 x", "235 2.7.0 Welcome"]}
    async with FakeNextHop(says, offers=BY_PLAIN, tls=pki.server("mx")) as hop:
        outcome = await once(secured(hop), delivery())
    assert outcome.results[0].verdict is Verdict.SENT


@pytest.mark.parametrize(
    ("says", "offers", "words"),
    [
        (NOT_OURS, BY_PLAIN, "the host refuses our login (535 5.7.8)"),
        ({"AUTH": "454 Temporary failure"}, BY_PLAIN, "the host does not take our login now (454)"),
        ({"AUTH": "500 What?"}, BY_PLAIN, "the host refuses our login (500)"),
        ({"AUTH": ["334 more", "501 5.5.2 Cancelled"]}, BY_PLAIN, "the host refuses our login (501"),
        ({"AUTH": ["334 x", "334 y", "334 z", "501 5.5.2 Cancelled"]}, BY_LOGIN, "refuses our login (501 5.5.2)"),
        (IN, OFFERS, "the host offers no AUTH with PLAIN or LOGIN, which our login needs (it offers none)"),
        (IN, (*OFFERS, "AUTH CRAM-MD5 X\x1b[2J"), "(it offers CRAM-MD5, X?[2J)"),
    ],
)
async def test_a_login_that_is_not_taken_lets_the_mail_wait(
    pki: Pki, says: dict[str, str | list[str]], offers: tuple[str, ...], words: str
) -> None:
    async with FakeNextHop(says, offers=offers, tls=pki.server("mx")) as hop:
        waits(await once(secured(hop), delivery()), words)
    assert not any(line.startswith(b"MAIL") for line in hop.commands[0])


async def test_a_code_of_the_hosts_own_for_a_passing_refusal_is_kept(pki: Pki) -> None:
    async with FakeNextHop({"AUTH": "454 4.7.0 Later"}, offers=BY_PLAIN, tls=pki.server("mx")) as hop:
        outcome = await once(secured(hop), delivery())
    assert outcome.results[0].enhanced == "4.7.0"


async def test_a_connection_that_ends_at_auth_is_lost_like_any(pki: Pki) -> None:
    async with FakeNextHop({"AUTH": CLOSE}, offers=BY_PLAIN, tls=pki.server("mx")) as hop:
        outcome = await once(secured(hop), delivery())
    assert (outcome.results[0].verdict, outcome.results[0].enhanced) == (Verdict.LATER, "4.4.2")


async def test_a_host_that_refuses_the_login_is_followed_by_the_next(pki: Pki) -> None:
    async with (
        FakeNextHop(NOT_OURS, offers=BY_PLAIN, tls=pki.server("mx")) as bad,
        FakeNextHop(IN, offers=BY_PLAIN, tls=pki.server("mx")) as good,
    ):
        outcome = await once(secured(bad, good), delivery())
    assert outcome.results[0].verdict is Verdict.SENT
    assert len(good.messages) == 1


async def test_the_hosts_words_go_to_the_trace_and_not_to_the_sender(pki: Pki) -> None:
    """They may name the user; the sender, whom a DSN would tell, has no business with it."""
    says = {"AUTH": "535 5.7.8 relay@corp.example is locked"}
    async with FakeNextHop(says, offers=BY_PLAIN, tls=pki.server("mx")) as hop:
        outcome = await once(secured(hop), delivery())
    (result,) = outcome.results
    assert "relay@" not in (result.reason or "") + result.reply
    assert outcome.hops[0].outcome == "the host refuses our login (535 5.7.8): 535 5.7.8 relay@corp.example is locked"


async def test_a_password_that_the_host_repeats_is_hidden(pki: Pki) -> None:
    whole = b64encode(b"\0relay@corp.example\0s3cret word").decode()
    says = {"AUTH": f"535 5.7.8 no: {whole} {b64encode(b's3cret word').decode()} s3cret word"}
    async with FakeNextHop(says, offers=BY_PLAIN, tls=pki.server("mx")) as hop:
        outcome = await once(secured(hop), delivery())
    assert outcome.hops[0].outcome.endswith("535 5.7.8 no: (hidden) (hidden) (hidden)")


@pytest.mark.parametrize("level", [TlsLevel.OPPORTUNISTIC, TlsLevel.ENCRYPTION_ONLY])
async def test_a_login_is_never_said_in_clear_whatever_the_host_offers(level: TlsLevel) -> None:
    async with FakeNextHop(IN, offers=BY_PLAIN) as hop:
        outbound = make_outbound(("127.0.0.1", hop.port), level=level, login=LOGIN)
        outcome = await once(outbound, delivery())
    assert outcome.results[0].verdict is Verdict.LATER
    assert not any(line.startswith((b"AUTH", b"MAIL")) for commands in hop.commands for line in commands)


async def test_after_a_broken_handshake_nothing_is_said_of_the_login_in_clear(pki: Pki) -> None:
    async with FakeNextHop(IN, offers=BY_PLAIN, tls=pki.server("mx"), breaks_tls=True) as hop:
        outcome = await once(make_outbound(("127.0.0.1", hop.port), login=LOGIN), delivery())
    waits(outcome, "a login is never said in clear")
    assert not any(line.startswith((b"AUTH", b"MAIL")) for commands in hop.commands for line in commands)


async def test_the_client_itself_says_no_login_in_clear() -> None:
    async with FakeNextHop(IN, offers=BY_PLAIN) as hop:
        one = await NextHop.connect("127.0.0.1", hop.port, clock=SystemClock(), hostname="gw", timeouts=Timeouts())
        with pytest.raises(HopLogin, match="never said in clear"):
            await one.authenticate(LOGIN)
        one.abort()
    assert not any(line.startswith(b"AUTH") for line in hop.commands[0])


@pytest.mark.parametrize("code", ["530 5.7.0 Authentication required", "538 5.7.11 Encryption required", "534 x"])
async def test_a_smart_host_that_wants_a_login_lets_the_mail_wait(code: str) -> None:
    """Case queue-23, for a connector without AUTH: a slip in the settings must not bounce an organisation's mail."""
    async with FakeNextHop({"MAIL": code}) as hop:
        waits(await once(make_outbound(("127.0.0.1", hop.port)), delivery(sender=None)), "wants a login")
    assert hop.commands[0][1].startswith(b"MAIL FROM:<>"), "never a made-up sender"


async def test_queue_23_a_notice_keeps_its_null_sender_and_the_connector_logs_in(pki: Pki) -> None:
    async with FakeNextHop(IN, offers=BY_PLAIN, tls=pki.server("mx")) as hop:
        outcome = await once(secured(hop), delivery(sender=None))
    assert outcome.results[0].verdict is Verdict.SENT
    assert hop.commands[0][4].startswith(b"MAIL FROM:<>")


async def test_what_is_refused_is_known_until_it_is_taken_or_the_settings_change(pki: Pki) -> None:
    says = {"AUTH": ["535 5.7.8 No", "235 2.7.0 Welcome"]}
    async with FakeNextHop(says, offers=BY_PLAIN, tls=pki.server("mx")) as hop:
        attempts = Attempts(names=FakeNames(), clock=SystemClock(), chance=FakeChance(), hostname="gw.test")
        outbound = secured(hop)
        assert attempts.logins_refused((outbound,)) == {}
        await attempts.attempt(delivery(), outbound, MESSAGE)
        assert attempts.logins_refused((outbound,)) == {"out": "127.0.0.1: the host refuses our login (535 5.7.8)"}
        assert attempts.logins_refused((replace(outbound),)) == {}
        await attempts.attempt(delivery(), outbound, MESSAGE)
        assert attempts.logins_refused((outbound,)) == {}
        await attempts.close()


async def test_a_long_login_is_said_in_two_lines() -> None:
    """RFC 4954 4: no command line longer than the protocol allows."""
    login = Login(user="u" * 255, password="p" * 255)
    heard: list[bytes] = []

    async def ask(line: bytes) -> Said:
        heard.append(line)
        return Said(334, "") if len(heard) == 1 else Said(235, "2.7.0 Welcome")

    await log_in(ask, login, ("PLAIN",))
    assert heard == [b"AUTH PLAIN\r\n", b64encode(b"\0" + b"u" * 255 + b"\0" + b"p" * 255) + b"\r\n"]


async def test_a_host_that_asks_on_and_on_is_told_to_stop() -> None:
    heard: list[bytes] = []

    async def ask(line: bytes) -> Said:
        heard.append(line)
        return Said(334, "more")

    with pytest.raises(HopLogin, match=r"does not take our login now \(334\)"):
        await log_in(ask, LOGIN, ("PLAIN",))
    assert heard[-1] == b"*\r\n"
    assert len(heard) == 2
