"""From a session to the spool: who may, loops, where to, the trace, and when delivery may begin."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.app.reception import MAX_MESSAGE_ID, Reception
from gateway.app.terms import policy
from gateway.authenticate.stage import facts as authentication_facts
from gateway.connectors.authenticated import AUTHENTICATED
from gateway.connectors.described import shown
from gateway.delivery.queue import Queue
from gateway.mail import reply as say
from gateway.mail.address import parse_address
from gateway.mail.authentication import Authentication, DkimResult, Verdict
from gateway.mail.delivery import Delivery, State
from gateway.mail.envelope import Client, Envelope, Recipient, Tls
from gateway.mail.mail import Mail
from gateway.mail.message import Content, Held, Message
from gateway.mail.plan import Plan
from gateway.mail.reply import Refused, Reply
from gateway.mail.terms import Quarantine, Smime, Terms, Wanted
from gateway.observe.events import AUTHENTICATED as AUTHENTICATED_EVENT
from gateway.observe.events import CLIENT_GONE, QUARANTINED, RECEIVED, ROUTED, RULED, UNPROTECTED
from gateway.observe.metrics import Metrics
from gateway.storage import mover as mover_module
from gateway.storage.mover import Mover
from gateway.storage.record import Prepared, Record
from gateway.storage.spool import Spool
from gateway.storage.spool_rows import decode_record
from gateway.storage.writer import StorageFull
from tests.fakes.certificates import make_certificate
from tests.fakes.log import fake_log
from tests.fakes.settings import settings_in
from tests.fakes.spool import SpoolOf, message_of, sealer
from tests.fakes.transport import settle

CLIENT = Client(
    address="192.0.2.7",
    port=1,
    helo="client.example",
    esmtp=True,
    listener="127.0.0.1:2525",
    tls=Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
)


class Traces:
    """Keeps records once `gate` is open."""

    def __init__(self) -> None:
        self.kept: list[Record] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def sync(self) -> None:
        """Memory is disk enough."""

    async def put(self, records: Sequence[Prepared]) -> None:
        await self.gate.wait()
        for one in records:
            plain = sealer().open("trace", f"{one.message}/{one.uid}", one.sealed)
            self.kept.append(decode_record(plain, one.uid))


class Taking:
    """A reception with a real spool and mover. `offered` are the deliveries that may leave."""

    def __init__(self, folder: Path, of: SpoolOf, spool: Spool) -> None:
        self.of = of
        self.spool = spool
        self.traces = Traces()
        self.mover = Mover(self.traces, clock=of.clock, tell=lambda *_, **__: None)
        self.offered: list[Delivery] = []
        self.contents: list[Content] = []
        self.log, self.sink = fake_log()
        self.metrics = Metrics()
        self.policy = policy(settings_in(folder))
        self.reception = Reception(
            self.policy,
            spool=spool,
            mover=self.mover,
            offer=self._offer,
            clock=of.clock,
            log=self.log,
            metrics=self.metrics,
        )

    def _offer(self, queue: Queue, delivery: Delivery, content: Content) -> None:
        assert queue is self.spool
        self.offered.append(delivery)
        self.contents.append(content)

    async def moved(self) -> None:
        """Let the mover carry what waits."""
        clock: Any = self.of.clock
        await clock.advance(1)
        await settle()


@pytest.fixture
async def taking(tmp_path: Path) -> AsyncIterator[Taking]:
    of = SpoolOf(tmp_path / "0")
    taking = Taking(tmp_path, of, await of.open())
    running = asyncio.get_running_loop().create_task(taking.mover.run())
    yield taking
    running.cancel()
    await of.close()


def mail(
    *recipients: str,
    octets: bytes = b"Subject: x\r\n\r\nx\r\n",
    sender: str | None = "ida@corp.example",
    client: Client | None = CLIENT,
) -> Mail:
    own = b"Received: from client.example\r\n" if client else b""
    return Mail(
        id="Q1",
        received=1_793_700_000.0,
        envelope=Envelope(
            sender=None if sender is None else parse_address(sender),
            recipients=tuple(Recipient(parse_address(one)) for one in recipients or ("otto@partner.example",)),
        ),
        message=Message(own + octets, Held(own + octets)),
        client=client,
        connector="local" if client else None,
    )


async def refusal(taking: Taking, one: Mail) -> Reply:
    with pytest.raises(Refused) as caught:
        await taking.reception.accept(one)
    assert await taking.spool.deliveries() == []
    return caught.value.reply


# -- asked by sessions ------------------------------------------------------------------------------------------------


async def test_clients_and_recipients_are_judged_by_the_connectors(taking: Taking) -> None:
    reception = taking.reception
    sender = parse_address("ida@corp.example")
    inbound = reception.admit(CLIENT, sender)
    assert inbound is not None
    assert inbound.name == "local"
    reception.may_reach(inbound, parse_address("otto@partner.example"))
    with pytest.raises(Refused) as caught:
        reception.may_reach(inbound, parse_address("otto@nowhere.example"))
    assert caught.value.reply is say.NO_ROUTE
    stranger = reception.admit(replace(CLIENT, address="198.51.100.1"), sender)
    with pytest.raises(Refused) as caught:
        reception.may_reach(stranger, parse_address("otto@partner.example"))
    assert caught.value.reply.code == 550


async def test_who_has_logged_in_reaches_every_complete_domain_that_something_leads_to(taking: Taking) -> None:
    for recipient in ("otto@partner.example", "ida@corp.example", "postmaster"):
        taking.reception.may_reach(AUTHENTICATED, parse_address(recipient))
    for recipient, reply in (("otto@partner", say.INCOMPLETE_DOMAIN), ("otto@nowhere.example", say.NO_ROUTE)):
        with pytest.raises(Refused) as caught:
            taking.reception.may_reach(AUTHENTICATED, parse_address(recipient))
        assert caught.value.reply is reply


async def test_the_trace_names_who_had_logged_in(taking: Taking) -> None:
    await taking.reception.accept(replace(mail(), client=replace(CLIENT, user="ida")))
    await taking.moved()
    assert taking.traces.kept[0].events[0].facts["user"] == "ida"


async def test_trace_and_log_name_the_proxy_beside_the_client(taking: Taking) -> None:
    await taking.reception.accept(replace(mail(), client=replace(CLIENT, proxy="10.0.0.5")))
    await taking.moved()
    facts = taking.traces.kept[0].events[0].facts
    assert (facts["client"], facts["proxy"]) == (CLIENT.address, "10.0.0.5")


async def test_without_a_proxy_none_is_named(taking: Taking) -> None:
    await taking.reception.accept(mail())
    await taking.moved()
    assert "proxy" not in taking.traces.kept[0].events[0].facts


async def test_a_reload_counts_from_the_next_question_on(taking: Taking) -> None:
    inbound = taking.reception.admit(CLIENT, None)
    taking.reception.policy = replace(taking.policy, outbounds=())
    with pytest.raises(Refused) as caught:
        taking.reception.may_reach(inbound, parse_address("otto@partner.example"))
    assert caught.value.reply is say.NO_ROUTE


async def test_no_more_mail_is_taken_while_too_much_waits_for_the_trace(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mover_module, "MAX_WAITING", 1)
    taking.traces.gate.clear()
    taking.reception.check_room(0)
    await taking.reception.accept(mail())
    await settle()
    with pytest.raises(Refused) as caught:
        taking.reception.check_room(0)
    assert caught.value.reply is say.INTERNAL


async def test_a_full_disk_is_told_before_data(taking: Taking) -> None:
    with pytest.raises(StorageFull):
        taking.reception.check_room(1 << 62)


# -- taking -----------------------------------------------------------------------------------------------------------


async def test_delivery_begins_after_the_trace_is_stored(taking: Taking) -> None:
    taking.traces.gate.clear()
    assert await taking.reception.accept(mail()) == "Q1"
    await taking.moved()
    assert taking.offered == []
    assert taking.spool.is_leased("Q1.1")  # So that nobody else takes it meanwhile.
    taking.traces.gate.set()
    await settle()
    assert [one.id for one in taking.offered] == ["Q1.1"]
    assert taking.contents[0].inline is not None


async def test_recipients_of_several_destinations_become_several_deliveries(taking: Taking) -> None:
    await taking.reception.accept(mail("otto@partner.example", "ida@corp.example", "olga@partner.example"))
    await taking.moved()
    assert [(one.id, one.connector, len(one.targets)) for one in taking.offered] == [
        ("Q1.1", "partner", 2),
        ("Q1.2", "ours", 1),
    ]


async def test_the_trace_tells_who_gave_it_and_where_it_goes(taking: Taking) -> None:
    await taking.reception.accept(
        mail("Otto@partner.example", octets=b"Message-ID: <a@b>\r\nSubject: secret\r\n\r\nsecret\r\n")
    )
    await taking.moved()
    (record,) = taking.traces.kept
    received, routed = record.events
    assert (received.event, routed.event) == (RECEIVED, ROUTED)
    assert received.facts == {
        "from": "ida@corp.example",
        "recipients": ["Otto@partner.example"],
        "connector": "local",
        "size": mail(octets=b"Message-ID: <a@b>\r\nSubject: secret\r\n\r\nsecret\r\n").message.size,
        "message_id": "<a@b>",
        "client": "192.0.2.7",
        "helo": "client.example",
        "listener": "127.0.0.1:2525",
        "tls": {"version": "TLSv1.3", "cipher": "TLS_AES_256_GCM_SHA384"},
    }
    assert routed.facts == {"delivery": "Q1.1", "connector": "partner", "destination": "partner.example"}
    assert record.found is not None
    assert (record.found.sender, record.found.message_id) == ("ida@corp.example", "<a@b>")
    assert "secret" not in json.dumps([one.facts for one in record.events])


async def test_the_log_has_the_id_and_no_content_or_address(taking: Taking) -> None:
    await taking.reception.accept(mail(octets=b"Subject: secret\r\n\r\nsecret\r\n"))
    assert taking.sink.lines == []  # The client's reply goes first.
    await settle()
    ((level, event, facts),) = taking.sink.lines
    assert (level, event, facts["id"], facts["recipients"]) == ("info", "received", "Q1", 1)
    assert "secret" not in repr(facts)


async def test_a_message_of_ours_has_no_client(taking: Taking) -> None:
    await taking.reception.accept(mail("otto@partner.example", sender=None, client=None))
    await taking.moved()
    (record,) = taking.traces.kept
    assert record.events[0].facts["from"] == ""
    assert "client" not in record.events[0].facts
    assert taking.metrics.snapshot()["messages_received_total"] == []


async def test_numbers_are_counted(taking: Taking) -> None:
    one = mail()
    await taking.reception.accept(one)
    numbers = taking.metrics.snapshot()
    assert numbers["messages_received_total"] == [[["127.0.0.1:2525", "local"], 1]]
    assert numbers["octets_received_total"] == [[[], one.message.size]]
    assert len(numbers["accept_seconds"]) == 1


@pytest.mark.parametrize("octets", [b"Message-ID: " + b"x" * (MAX_MESSAGE_ID + 1) + b"\r\n\r\n", b"\r\n", b""])
async def test_a_message_id_that_is_none_is_left_out(taking: Taking, octets: bytes) -> None:
    await taking.reception.accept(mail(octets=octets))
    await taking.moved()
    assert taking.traces.kept[0].events[0].facts["message_id"] == ""


async def test_a_message_id_of_odd_octets_is_no_fault(taking: Taking) -> None:
    await taking.reception.accept(mail(octets=b"Message-ID: <\xff\xfe@x>\r\n\r\n"))
    await taking.moved()
    assert taking.traces.kept[0].events[0].facts["message_id"] == "<\ufffd\ufffd@x>"


# -- refused ----------------------------------------------------------------------------------------------------------


async def test_a_message_with_one_received_line_too_many_is_a_loop(taking: Taking) -> None:
    # max_received = 10; our own line does not count.
    await taking.reception.accept(mail(octets=b"received: x\r\n" * 9 + b"\r\nReceived: body\r\n"))
    await taking.spool.done((await taking.spool.deliveries())[0], [])
    assert await refusal(taking, mail(octets=b"Received: x\r\n" * 10 + b"\r\n")) is say.LOOP


async def test_a_message_of_ours_in_a_loop_is_found_too(taking: Taking) -> None:
    assert await refusal(taking, mail(octets=b"Received: x\r\n" * 10 + b"\r\n", client=None)) is say.LOOP


async def test_a_way_that_a_reload_took_between_rcpt_and_data_is_refused(taking: Taking) -> None:
    taking.reception.policy = replace(taking.policy, outbounds=())
    assert await refusal(taking, mail()) is say.NO_ROUTE


async def test_a_full_spool_offers_nothing(taking: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gateway.storage.segments.os.pwritev", no_room)
    with pytest.raises(StorageFull):
        await taking.reception.accept(mail(octets=b"x" * 100_000))
    await taking.moved()
    assert taking.offered == []
    assert taking.traces.kept == []
    assert taking.sink.lines == []


async def test_a_client_that_does_not_know_of_its_250_is_noted_in_the_trace(taking: Taking) -> None:
    await taking.reception.gone("Q1")
    (record,) = taking.of.moved
    plain = sealer().open("trace", f"Q1/{record.uid}", record.sealed)
    assert [one.event for one in decode_record(plain, record.uid).events] == [CLIENT_GONE]


# -- client certificates ----------------------------------------------------------------------------------------------


def partner_policy(folder: Path, ca: str) -> Any:
    return policy(
        settings_in(
            folder,
            f"""
accepted_domains = ["corp.example"]
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
[[connectors.inbound]]
name = "partner-in"
type = "partner"
sender_domains = ["partner.example"]
tls_sender_certificate_name = "mx.partner.example"
trusted_ca = "{ca}"
[[connectors.outbound]]
name = "ours"
recipient_domains = ["corp.example"]
smart_hosts = ["127.0.0.1:2500"]
""",
        )
    )


async def test_a_certificate_that_is_refused_is_told_to_the_log_alone(taking: Taking, tmp_path: Path) -> None:
    ca = make_certificate(tmp_path, is_ca=True, common_name="Partner CA")
    stranger = make_certificate(tmp_path, "mx.partner.example", common_name="x")
    taking.reception.policy = partner_policy(tmp_path, ca.file.name)
    client = replace(CLIENT, tls=Tls("TLSv1.3", "x", shown((stranger.der,))))
    with pytest.raises(Refused) as caught:
        taking.reception.admit(client, parse_address("ida@partner.example"))
    assert caught.value.reply is say.CERTIFICATE_UNTRUSTED
    facts = next(facts for _, event, facts in taking.sink.lines if event == "certificate_refused")
    assert facts["reason"] in ("certificate-not-trusted", "certificate-expired")
    assert (facts["certificate"], facts["issuer"]) == ("mx.partner.example", "x")
    with pytest.raises(Refused) as caught:
        taking.reception.admit(CLIENT, parse_address("ida@partner.example"))
    assert caught.value.reply is say.CERTIFICATE_NEEDED


@pytest.mark.parametrize(("connector", "trusted"), [("partner-in", True), ("gone", None)])
async def test_the_trace_tells_whose_certificate_it_was(
    taking: Taking, tmp_path: Path, connector: str, trusted: bool | None
) -> None:
    ca = make_certificate(tmp_path, is_ca=True, common_name="Partner CA")
    leaf = make_certificate(tmp_path, "mx.partner.example", issuer=ca)
    taking.reception.policy = partner_policy(tmp_path, ca.file.name)
    client = replace(CLIENT, tls=Tls("TLSv1.3", "x", shown((leaf.der,))))
    await taking.reception.accept(replace(mail("otto@corp.example", client=client), connector=connector))
    await taking.moved()
    (received,) = [one for record in taking.traces.kept for one in record.events if one.event == RECEIVED]
    assert received.facts["certificate"] == {"name": "mx.partner.example", "issuer": "Partner CA", "trusted": trusted}


# -- who it really comes from -----------------------------------------------------------------------------------------


async def test_what_was_found_of_a_signature_stands_in_trace_and_log(taking: Taking) -> None:
    found = Authentication(
        dkim=(DkimResult(verdict=Verdict.PASS, domain="corp.example", selector="sel", bits=2048),), skipped=1
    )
    await taking.reception.accept(replace(mail(), authentication=found))
    await taking.moved()
    (record,) = taking.traces.kept
    assert [one.event for one in record.events] == [RECEIVED, AUTHENTICATED_EVENT, ROUTED]
    assert record.events[1].facts == authentication_facts(found)
    assert [facts["dkim"] for _, event, facts in taking.sink.lines if event == "received"] == ["pass corp.example"]


async def test_mail_that_nobody_judged_has_no_word_of_it(taking: Taking) -> None:
    await taking.reception.accept(mail())
    await taking.moved()
    assert "authenticated" not in str(taking.traces.kept)
    assert "dkim" not in str(taking.sink.lines)


# -- what rules decided -----------------------------------------------------------------------------------------------


class Ruled:
    """Stages that make `plan` of whatever comes. What may be signed is what Ida sends."""

    authenticating = None
    open = None

    def __init__(self, plan: Callable[[Mail], Plan]) -> None:
        self._plan = plan
        self.signing = self

    async def rules(self, mail: Mail) -> Plan:
        return self._plan(mail)

    async def protect(self, plan: Plan) -> Plan:
        return plan

    async def sign(self, mail: Mail) -> Mail:
        return mail

    def may_sign(self, client: Client | None, connector: str | None) -> bool:
        return False  # No DKIM key now; there may be one when it leaves.

    def is_ours(self, client: Client | None, connector: str | None) -> bool:
        return connector == "local"


def ruled(taking: Taking, plan: Callable[[Mail], Plan]) -> None:
    """From now on rules decide so."""
    stages: Any = Ruled(plan)
    taking.reception._stages = stages
    taking.reception.take(taking.policy)


@pytest.mark.parametrize(("code", "traced"), [(550, True), (451, False)])
async def test_what_rules_refuse_for_good_is_traced_with_why(taking: Taking, code: int, traced: bool) -> None:
    because: dict[str, object] = {"rules": [{"rule": "No plans"}], "outcomes": []}

    def refuse(_: Mail) -> Plan:
        raise Refused(Reply(code, f"{code // 100}.7.1", "No"), told=((RULED, because),))

    ruled(taking, refuse)
    one = mail()
    await refusal(taking, one)
    taking.mover._hurry()  # Nobody waits for such a record; it waits for others.
    await taking.moved()
    stories = [event for record in taking.traces.kept for event in record.events]
    assert [event.event for event in stories] == (["received", "ruled", "refused"] if traced else [])
    if traced:
        assert stories[1].facts == because
        assert stories[2].facts == {"reply": "550 5.7.1 No"}


async def test_a_refusal_that_cannot_be_traced_is_answered_all_the_same(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise StorageFull

    def refuse(_: Mail) -> Plan:
        raise Refused(Reply(550, "5.7.1", "No"), told=((RULED, {}),))

    ruled(taking, refuse)
    monkeypatch.setattr(taking.spool, "note", full)
    assert (await refusal(taking, mail())).code == 550


async def test_copies_leave_with_their_own_octets_and_the_trace_tells_of_each(taking: Taking) -> None:
    def plan(mail: Mail) -> Plan:
        over_tls = replace(mail, terms=Terms(require_tls=True))
        octets = b"Subject: other\r\n\r\n"
        other = replace(
            mail,
            envelope=replace(mail.envelope, recipients=(Recipient(parse_address("eva@partner.example")),)),
            message=Message(octets, Held(octets)),
        )
        return Plan(copies=(over_tls, other), decided={"rules": [{"name": "x"}]})

    ruled(taking, plan)
    sent = mail()
    await taking.reception.accept(sent)
    await taking.moved()
    assert [content.inline for content in taking.contents] == [sent.message.head, b"Subject: other\r\n\r\n"]
    (record,) = taking.traces.kept
    assert [one.event for one in record.events] == [RECEIVED, RULED, ROUTED, ROUTED]
    assert record.events[2].facts["require_tls"] is True
    assert record.events[3].facts["recipients"] == ["eva@partner.example"]
    assert record.found is not None
    assert record.found.recipients == ("otto@partner.example", "eva@partner.example")


async def test_one_line_of_the_log_says_what_came_and_what_was_decided(taking: Taking) -> None:
    facts: dict[str, object] = {"rules": ["Partners"], "dispositions": ["deliver"], "steps": {"encrypted": 1}}
    ruled(taking, lambda mail: Plan(copies=(mail,), logged=facts))
    await taking.reception.accept(mail())
    await taking.moved()
    (line,) = [line for _, event, line in taking.sink.lines if event == "received"]
    assert {name: line[name] for name in facts} == facts


async def test_what_is_held_or_waits_is_not_offered_and_lies_in_the_queue(taking: Taking) -> None:
    held = Terms(quarantine=Quarantine(rules=("Odd",)))
    waits = Terms(wanted=Wanted(rule="Partners", smime=Smime.ENCRYPT), reason="no certificate")
    ruled(taking, lambda mail: Plan(copies=(replace(mail, terms=held), replace(mail, terms=waits))))
    await taking.reception.accept(mail())
    await taking.moved()
    await settle()
    assert taking.offered == []
    first, second = await taking.spool.deliveries()
    assert (first.state, first.terms, second.state, second.terms) == (
        *(State.HELD, replace(held, sign=True)),
        *(State.WAITING, replace(waits, sign=True)),
    )
    assert not taking.spool.is_leased(first.id) and not taking.spool.is_leased(second.id)
    assert [one.id for one in await taking.spool.due(second.next_attempt, 10, [])] == [second.id]
    (record,) = taking.traces.kept
    assert [(one.event, one.facts.get("rules"), one.facts.get("rule")) for one in record.events[1:]] == [
        (QUARANTINED, ["Odd"], None),
        (UNPROTECTED, None, "Partners"),
    ]


async def test_whether_mail_from_elsewhere_may_be_signed_is_remembered_too(taking: Taking) -> None:
    held = Terms(quarantine=Quarantine(rules=("Odd",)))
    ruled(taking, lambda mail: Plan(copies=(replace(mail, terms=held),)))
    await taking.reception.accept(replace(mail(), connector="partner-in"))
    (one,) = await taking.spool.deliveries()
    assert not one.terms.sign


@pytest.mark.parametrize("size", [10, 200_000])
async def test_what_was_deleted_is_traced_and_leaves_nothing(taking: Taking, size: int) -> None:
    ruled(taking, lambda mail: Plan(copies=(), told=(("ruled", {"rules": []}),)))
    octets = b"Subject: x\r\n\r\n" + b"0123456789abcde\n" * (size // 16)
    message = await message_of(taking.spool, "Q1", octets)
    assert await taking.reception.accept(replace(mail(), message=message)) == "Q1"
    await taking.moved()
    assert await taking.spool.deliveries() == []
    assert taking.of.contents == []
    (record,) = taking.traces.kept
    assert [one.event for one in record.events] == [RECEIVED, RULED]
