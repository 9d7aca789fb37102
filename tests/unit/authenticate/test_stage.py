"""The stage that says who signed a message: which mail it judges, and where it writes down what came of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.authenticate.dkim.verify import Verifier
from gateway.authenticate.stage import Authenticating, facts
from gateway.authenticate.terms import AuthenticateTerms
from gateway.mail.authentication import Authentication, DkimResult, Verdict
from gateway.mail.envelope import Client
from gateway.mail.mail import Mail
from gateway.mail.message import Held, Message
from gateway.observe.metrics import Metrics
from gateway.settings.schema import Authenticate
from tests.fakes.clock import FakeClock
from tests.fakes.dkim import MESSAGE, NAME, record, sign
from tests.fakes.names import FakeNames
from tests.fakes.spool import mail_of

CLIENT = Client(address="192.0.2.7", port=1, helo="x", esmtp=True, listener="l", tls=None)


class Stage:
    """The stage, with the DNS of the test; `partner` is from elsewhere, `ours` is not."""

    def __init__(self, *, dkim: bool = True) -> None:
        self.names = FakeNames(texts={NAME: (record(),)})
        self.metrics = Metrics()
        self.stage = Authenticating(
            AuthenticateTerms(dkim=dkim, authserv_id="mx.corp.example"),
            Verifier(self.names, FakeClock()),
            is_ours=lambda client, connector: client is None or client.user is not None or connector == "ours",
            count=self.metrics.count,
        )

    async def run(self, octets: bytes, client: Client | None = CLIENT, connector: str | None = "partner") -> Mail:
        mail = mail_of("Q1", Message(octets, Held(octets)))
        return await self.stage(replace(mail, client=client, connector=connector))

    def counts(self) -> dict[str, float]:
        return {labels[0]: value for labels, value in self.metrics.snapshot()["dkim_results_total"]}


async def test_the_result_stands_on_top_of_the_message_and_in_the_mail() -> None:
    stage = Stage()
    octets = sign(MESSAGE)
    mail = await stage.run(octets)
    assert mail.authentication is not None
    assert mail.authentication.signed_by("corp.example")
    assert not mail.authentication.signed_by("example")
    held = mail.message.content.inline
    assert held == mail.message.head
    assert held.endswith(octets)
    assert held.startswith(
        b"Authentication-Results: mx.corp.example;\r\n\tdkim=pass (2048-bit key) header.d=corp.example"
    )
    assert stage.counts() == {"pass": 1}


@pytest.mark.parametrize("connector", ["partner", None])
async def test_unsigned_mail_is_said_to_be_unsigned(connector: str | None) -> None:
    stage = Stage()
    mail = await stage.run(MESSAGE, connector=connector)
    assert mail.message.head == b"Authentication-Results: mx.corp.example;\r\n\tdkim=none (not signed)\r\n" + MESSAGE
    assert stage.counts() == {"none": 1}


@pytest.mark.parametrize(
    ("client", "connector"), [(None, None), (CLIENT, "ours"), (replace(CLIENT, user="ida"), "authenticated")]
)
async def test_mail_of_our_own_is_not_judged(client: Client | None, connector: str | None) -> None:
    stage = Stage()
    octets = sign(MESSAGE)
    mail = await stage.run(octets, client, connector)
    assert (mail.authentication, mail.message.head) == (None, octets)
    assert stage.names.asked == []


async def test_what_is_switched_off_is_not_done() -> None:
    stage = Stage(dkim=False)
    assert (await stage.run(sign(MESSAGE))).authentication is None


async def test_mail_goes_on_while_the_dns_does_not_answer() -> None:
    stage = Stage()
    stage.names.unavailable = frozenset({NAME})
    mail = await stage.run(sign(MESSAGE))
    assert b"\tdkim=temperror reason=no_answer header.d=corp.example" in mail.message.head
    assert stage.counts() == {"temperror": 1}


def test_the_trace_has_result_domain_and_reason() -> None:
    one = DkimResult(verdict=Verdict.FAIL, domain="corp.example", selector="sel", reason="body_changed", bits=2048)
    assert facts(Authentication(dkim=(one,), skipped=2)) == {
        "dkim": [
            {
                "result": "fail",
                "domain": "corp.example",
                "selector": "sel",
                "reason": "body_changed",
                "algorithm": "",
                "bits": 2048,
            }
        ],
        "skipped": 2,
    }


def test_our_name_in_results_is_the_host_unless_the_settings_say_another() -> None:
    assert AuthenticateTerms.from_settings(Authenticate(), "MX.Corp.example.").authserv_id == "mx.corp.example"
    named = Authenticate(authserv_id="Corp.example", dkim=False)
    assert AuthenticateTerms.from_settings(named, "x") == AuthenticateTerms(dkim=False, authserv_id="corp.example")
