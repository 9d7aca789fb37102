"""TLS terms of one attempt (rows t05 to t09 of the edges, connectors' codes), with real handshakes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from gateway.connectors.model import Outbound, TlsLevel
from gateway.delivery.attempt import Attempts
from gateway.delivery.outcome import Outcome, Verdict
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Target
from gateway.mail.message import Held
from gateway.mail.terms import PLAIN, Terms
from gateway.world.clock import SystemClock
from gateway.world.names import Mx
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.chance import FakeChance
from tests.fakes.names import FakeNames
from tests.fakes.nexthop import CLOSE, FakeNextHop
from tests.fakes.outbounds import make_outbound

MESSAGE = Held(b"Subject: secret\r\n\r\ntext\r\n")
FORCED = [TlsLevel.ENCRYPTION_ONLY, TlsLevel.CERTIFICATE_VALIDATION, TlsLevel.DOMAIN_VALIDATION]
NAMES = FakeNames(hosts=dict.fromkeys(("mx.x.test", "a.b.x.test", "other.test"), ("127.0.0.1",)))


@dataclass
class Pki:
    """A CA, and what it signs."""

    folder: Path
    ca: Certificate

    def server(self, *names: str, days: tuple[float, float] = (-1, 30), common_name: str = "x") -> ssl.SSLContext:
        return make_certificate(self.folder, *names, issuer=self.ca, days=days, common_name=common_name).server

    def self_signed(self, *names: str) -> ssl.SSLContext:
        return make_certificate(self.folder, *names, common_name="self").server


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path, make_certificate(tmp_path, common_name="Test CA", is_ca=True))


def delivery_to(destination: str = "", terms: Terms = PLAIN) -> Delivery:
    return Delivery(
        id="Q.1",
        message="Q",
        connector="out",
        destination=destination,
        sender=parse_address("ida@corp.example"),
        targets=(Target(address=parse_address("otto@x.test")),),
        size=1,
        created=0,
        next_attempt=0,
        terms=terms,
    )


async def attempt(outbound: Outbound, destination: str = "", terms: Terms = PLAIN) -> Outcome:
    delivery = delivery_to(destination, terms)
    attempts = Attempts(names=NAMES, clock=SystemClock(), chance=FakeChance(), hostname="gw.test")
    try:
        return await attempts.attempt(delivery, outbound, MESSAGE)
    finally:
        await attempts.close()


def waits(outcome: Outcome, enhanced: str, reason: str) -> None:
    """The only result says so, and in the form in which postmasters look it up."""
    (result,) = outcome.results
    assert (result.verdict, result.enhanced, result.reason) == (Verdict.LATER, enhanced, reason)
    assert result.reply.startswith(f"450 {enhanced} ")
    assert outcome.unreachable


def taken_in_tls(hop: FakeNextHop, outcome: Outcome, *, authenticated: bool) -> None:
    assert outcome.results[0].verdict is Verdict.SENT
    assert hop.in_tls[-1]
    assert outcome.hops[-1].tls_version in ("TLSv1.2", "TLSv1.3")
    assert outcome.hops[-1].tls_cipher
    assert "_WITH_" in outcome.hops[-1].tls_cipher or outcome.hops[-1].tls_version == "TLSv1.3"
    assert outcome.hops[-1].authenticated is authenticated
    assert not outcome.hops[-1].fallback


def nothing_in_clear(hop: FakeNextHop) -> None:
    assert hop.messages == []
    for commands, in_tls in zip(hop.commands, hop.in_tls, strict=True):
        assert in_tls or not any(line.startswith((b"MAIL", b"RCPT")) for line in commands)


async def test_t05_encryption_only_takes_a_self_signed_host(pki: Pki) -> None:
    async with FakeNextHop(tls=pki.self_signed("elsewhere.test")) as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port), level=TlsLevel.ENCRYPTION_ONLY))
    taken_in_tls(hop, outcome, authenticated=False)


async def test_t06_certificate_validation_waits_for_a_self_signed_host(pki: Pki) -> None:
    async with FakeNextHop(tls=pki.self_signed("mx.x.test")) as hop:
        outcome = await attempt(
            make_outbound(("mx.x.test", hop.port), level=TlsLevel.CERTIFICATE_VALIDATION, ca=pki.ca.file)
        )
    waits(outcome, "4.7.320", "certificate-not-trusted")
    nothing_in_clear(hop)


async def test_t06_certificate_validation_waits_for_an_expired_certificate(pki: Pki) -> None:
    async with FakeNextHop(tls=pki.server("mx.x.test", days=(-30, -1))) as hop:
        outcome = await attempt(
            make_outbound(("mx.x.test", hop.port), level=TlsLevel.CERTIFICATE_VALIDATION, ca=pki.ca.file)
        )
    waits(outcome, "4.7.320", "certificate-expired")
    nothing_in_clear(hop)


@pytest.mark.parametrize(("name", "authenticated"), [("mx.x.test", True), ("other.test", False)])
async def test_certificate_validation_takes_any_name_and_tells_whether_it_fits(
    pki: Pki, name: str, authenticated: bool
) -> None:
    async with FakeNextHop(tls=pki.server(name)) as hop:
        outcome = await attempt(
            make_outbound(("mx.x.test", hop.port), level=TlsLevel.CERTIFICATE_VALIDATION, ca=pki.ca.file)
        )
    taken_in_tls(hop, outcome, authenticated=authenticated)


@pytest.mark.parametrize(
    ("domain", "host", "names", "fits"),
    [
        ("*.x.test", "mx.x.test", ["mx.x.test"], True),
        ("*.x.test", "a.b.x.test", ["a.b.x.test"], False),  # t07
        ("mx.x.test", "other.test", ["mx.x.test"], True),
        ("mx.x.test", "mx.x.test", ["other.test"], False),
        (None, "mx.x.test", ["mx.x.test"], True),
        (None, "mx.x.test", ["other.test"], False),
        (None, "127.0.0.1", ["127.0.0.1"], True),
        (None, "127.0.0.1", ["mx.x.test"], False),
    ],
)
async def test_t07_domain_validation_judges_the_name(
    pki: Pki, domain: str | None, host: str, names: list[str], fits: bool
) -> None:
    async with FakeNextHop(tls=pki.server(*names)) as hop:
        outcome = await attempt(
            make_outbound((host, hop.port), level=TlsLevel.DOMAIN_VALIDATION, ca=pki.ca.file, domain=domain)
        )
    if fits:
        taken_in_tls(hop, outcome, authenticated=True)
    else:
        waits(outcome, "4.7.320", "certificate-host-mismatch")
        assert hop.messages == []
        assert not any(line.startswith(b"MAIL") for line in hop.commands[0])


async def test_tls_20_a_name_in_the_cn_alone_is_refused_unless_the_connector_allows_it(pki: Pki) -> None:
    context = pki.server(common_name="mx.x.test")
    for allow_cn in (False, True):
        async with FakeNextHop(tls=context) as hop:
            outcome = await attempt(
                make_outbound(
                    ("mx.x.test", hop.port),
                    level=TlsLevel.DOMAIN_VALIDATION,
                    ca=pki.ca.file,
                    domain="mx.x.test",
                    allow_cn=allow_cn,
                )
            )
        if allow_cn:
            taken_in_tls(hop, outcome, authenticated=True)
        else:
            waits(outcome, "4.7.320", "certificate-host-mismatch")


async def test_domain_validation_by_mx_without_a_domain_trusts_no_name(pki: Pki) -> None:
    """Whoever forges an MX record also has a certificate for the host it names."""
    NAMES.mx_records["x.test"] = (Mx(1, "mx.x.test"),)
    async with FakeNextHop(tls=pki.server("mx.x.test")) as hop:
        outcome = await attempt(
            make_outbound(level=TlsLevel.DOMAIN_VALIDATION, ca=pki.ca.file, port=hop.port), destination="x.test"
        )
    waits(outcome, "4.7.320", "certificate-host-mismatch")


@pytest.mark.parametrize("level", FORCED)
async def test_forced_tls_that_is_not_offered_waits_and_never_goes_in_clear(pki: Pki, level: TlsLevel) -> None:
    async with FakeNextHop() as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port), level=level, ca=pki.ca.file))
    waits(outcome, "4.4.317", "starttls-not-supported")
    nothing_in_clear(hop)


@pytest.mark.parametrize("level", FORCED)
@pytest.mark.parametrize("how", ["454 4.7.0 not now", "breaks", CLOSE])
async def test_forced_tls_that_fails_waits_and_never_goes_in_clear(pki: Pki, level: TlsLevel, how: str) -> None:
    says = {} if how == "breaks" else {"STARTTLS": how}
    async with FakeNextHop(says, tls=pki.server("mx.x.test"), breaks_tls=how == "breaks") as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port), level=level, ca=pki.ca.file))
    word = "starttls-not-supported" if how.startswith("454") else "validation-failure"
    waits(outcome, "4.4.317", word)
    nothing_in_clear(hop)


async def test_a_version_below_the_minimum_is_a_failure(pki: Pki) -> None:
    context = pki.server("mx.x.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with FakeNextHop(tls=context) as hop:
        outcome = await attempt(
            make_outbound(("mx.x.test", hop.port), level=TlsLevel.ENCRYPTION_ONLY, minimum_tls="1.3")
        )
    waits(outcome, "4.4.317", "validation-failure")


async def test_tls_1_2_ciphers_have_their_iana_names(pki: Pki) -> None:
    context = pki.server("mx.x.test")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with FakeNextHop(tls=context) as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port)))
    assert outcome.hops[-1].tls_version == "TLSv1.2"
    assert str(outcome.hops[-1].tls_cipher).startswith("TLS_ECDHE_ECDSA_WITH_")


async def test_a_host_whose_certificate_fails_is_followed_by_the_next(pki: Pki) -> None:
    async with FakeNextHop(tls=pki.self_signed("mx.x.test")) as bad, FakeNextHop(tls=pki.server("mx.x.test")) as good:
        outcome = await attempt(
            make_outbound(
                ("mx.x.test", bad.port),
                ("mx.x.test", good.port),
                level=TlsLevel.DOMAIN_VALIDATION,
                ca=pki.ca.file,
                domain="mx.x.test",
            )
        )
    taken_in_tls(good, outcome, authenticated=True)
    assert outcome.hops[0].outcome.startswith("certificate-not-trusted: ")


async def test_the_tls_failure_is_told_though_another_host_failed_later_for_another_reason(pki: Pki) -> None:
    async with FakeNextHop(tls=pki.self_signed("mx.x.test")) as bad, FakeNextHop({"greeting": "554 no"}) as worse:
        outcome = await attempt(
            make_outbound(
                ("mx.x.test", bad.port),
                ("mx.x.test", worse.port),
                level=TlsLevel.CERTIFICATE_VALIDATION,
                ca=pki.ca.file,
            )
        )
    waits(outcome, "4.7.320", "certificate-not-trusted")
    assert len(outcome.hops) == 2


@pytest.mark.parametrize("how", ["breaks", CLOSE])
async def test_t08_opportunistic_tls_that_fails_goes_once_more_in_clear_and_is_told(pki: Pki, how: str) -> None:
    says = {"STARTTLS": how} if how == CLOSE else {}
    async with FakeNextHop(says, tls=pki.server("mx.x.test"), breaks_tls=how == "breaks") as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port)))
    assert outcome.results[0].verdict is Verdict.SENT
    assert hop.messages == [MESSAGE.octets]
    assert len(hop.commands) == 2
    assert b"STARTTLS" not in hop.commands[1]
    assert [(one.fallback, one.tls_version) for one in outcome.hops] == [(False, None), (True, None)]
    assert outcome.hops[1].outcome == "delivered"


async def test_opportunistic_tls_that_the_host_refuses_goes_on_in_clear(pki: Pki) -> None:
    async with FakeNextHop({"STARTTLS": "454 4.7.0 not now"}, tls=pki.server("mx.x.test")) as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port)))
    assert outcome.results[0].verdict is Verdict.SENT
    assert outcome.hops[-1].fallback
    assert len(hop.commands) == 1


async def test_t09_opportunistic_tls_takes_a_certificate_of_another_name(pki: Pki) -> None:
    async with FakeNextHop(tls=pki.self_signed("other.test")) as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port)))
    taken_in_tls(hop, outcome, authenticated=False)


async def test_opportunistic_without_an_offer_is_plain_and_no_fallback() -> None:
    async with FakeNextHop() as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port)))
    assert outcome.results[0].verdict is Verdict.SENT
    assert not outcome.hops[-1].fallback
    assert outcome.hops[-1].tls_version is None


async def test_a_client_certificate_is_shown_to_whom_asks(pki: Pki) -> None:
    own = make_certificate(pki.folder, "gw.test", issuer=pki.ca)
    context = pki.server("mx.x.test")
    context.load_verify_locations(pki.ca.file)
    context.verify_mode = ssl.CERT_REQUIRED
    async with FakeNextHop(tls=context) as hop:
        outcome = await attempt(
            make_outbound(("mx.x.test", hop.port), level=TlsLevel.ENCRYPTION_ONLY, client=(own.file, own.key_file))
        )
    taken_in_tls(hop, outcome, authenticated=False)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_host_that_wants_our_certificate_and_gets_none_fails_as_tls(pki: Pki) -> None:
    """In TLS 1.3 its alert comes when we believe the handshake done: opportunistic goes in clear, forced waits."""
    context = pki.server("mx.x.test")
    context.load_verify_locations(pki.ca.file)
    context.verify_mode = ssl.CERT_REQUIRED
    async with FakeNextHop(tls=context) as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port), level=TlsLevel.ENCRYPTION_ONLY))
        waits(outcome, "4.4.317", "validation-failure")
        outcome = await attempt(make_outbound(("mx.x.test", hop.port)))
    assert outcome.results[0].verdict is Verdict.SENT
    assert outcome.hops[-1].fallback


async def test_a_pinned_certificate_is_trusted_though_its_ca_is_not(pki: Pki) -> None:
    leaf = make_certificate(pki.folder, "mx.x.test", issuer=pki.ca)
    async with FakeNextHop(tls=leaf.server) as hop:
        outcome = await attempt(
            make_outbound(("mx.x.test", hop.port), level=TlsLevel.CERTIFICATE_VALIDATION, ca=leaf.file)
        )
    taken_in_tls(hop, outcome, authenticated=True)


async def test_kept_connections_tell_their_tls_each_time(pki: Pki) -> None:
    async with FakeNextHop(tls=pki.server("mx.x.test")) as hop:
        outbound = make_outbound(
            ("mx.x.test", hop.port), level=TlsLevel.DOMAIN_VALIDATION, ca=pki.ca.file, domain="mx.x.test"
        )
        attempts = Attempts(names=NAMES, clock=SystemClock(), chance=FakeChance(), hostname="gw.test")
        target = Target(address=parse_address("otto@x.test"))
        delivery = Delivery(
            id="Q.1",
            message="Q",
            connector="out",
            destination="",
            sender=None,
            targets=(target,),
            size=1,
            created=0,
            next_attempt=0,
        )
        for _ in range(2):
            taken_in_tls(hop, await attempts.attempt(delivery, outbound, MESSAGE), authenticated=True)
        await attempts.close()
    assert len(hop.commands) == 1


@pytest.mark.parametrize(
    "story",
    [
        test_t05_encryption_only_takes_a_self_signed_host,
        test_t06_certificate_validation_waits_for_a_self_signed_host,
        test_t06_certificate_validation_waits_for_an_expired_certificate,
        test_tls_20_a_name_in_the_cn_alone_is_refused_unless_the_connector_allows_it,
        test_a_version_below_the_minimum_is_a_failure,
        test_t09_opportunistic_tls_takes_a_certificate_of_another_name,
        test_opportunistic_tls_that_the_host_refuses_goes_on_in_clear,
        test_kept_connections_tell_their_tls_each_time,
        test_a_host_that_wants_our_certificate_and_gets_none_fails_as_tls,
    ],
)
def test_the_same_holds_on_uvloop(pki: Pki, story: Callable[[Pki], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story(pki))


@pytest.mark.parametrize("how", ["454 4.7.0 not now", "breaks", CLOSE])
def test_failing_handshakes_are_told_alike_on_uvloop(pki: Pki, how: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test_forced_tls_that_fails_waits_and_never_goes_in_clear(pki, TlsLevel.DOMAIN_VALIDATION, how))
        if "454" not in how:
            runner.run(test_t08_opportunistic_tls_that_fails_goes_once_more_in_clear_and_is_told(pki, how))


# -- what a rule demands ----------------------------------------------------------------------------------------------

OVER_TLS = Terms(require_tls=True)


async def test_a29_what_a_rule_wants_over_tls_waits_where_there_is_none(pki: Pki) -> None:
    async with FakeNextHop() as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port)), terms=OVER_TLS)
    waits(outcome, "4.4.317", "starttls-not-supported")
    nothing_in_clear(hop)


async def test_what_a_rule_wants_over_tls_takes_no_connection_that_was_kept_in_clear(pki: Pki) -> None:
    """A host may lose its STARTTLS; what may go in clear went so, over a connection that is at hand."""
    async with FakeNextHop() as hop:
        outbound = make_outbound(("mx.x.test", hop.port))
        attempts = Attempts(names=NAMES, clock=SystemClock(), chance=FakeChance(), hostname="gw.test")
        try:
            plain = await attempts.attempt(delivery_to(), outbound, MESSAGE)
            forced = await attempts.attempt(delivery_to(terms=OVER_TLS), outbound, MESSAGE)
        finally:
            await attempts.close()
    assert plain.results[0].verdict is Verdict.SENT
    waits(forced, "4.4.317", "starttls-not-supported")
    assert len(hop.messages) == 1


async def test_what_a_rule_wants_over_tls_leaves_over_it_whoever_the_certificate_is_of(pki: Pki) -> None:
    async with FakeNextHop(tls=pki.self_signed("mx.x.test")) as hop:
        outcome = await attempt(make_outbound(("mx.x.test", hop.port)), terms=OVER_TLS)
    taken_in_tls(hop, outcome, authenticated=False)
