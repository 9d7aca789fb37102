"""What the sender asked about notices, towards hosts that know DSN and hosts that don't (RFC 3461 5.2)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.delivery.outcome import Verdict
from gateway.mail.address import parse_address
from gateway.mail.delivery import Delivery, Success, Target
from tests.fakes.nexthop import OFFERS, FakeNextHop
from tests.fakes.outbounds import make_outbound
from tests.unit.delivery.test_attempt import delivery, once, to

WITH_DSN = (*OFFERS, "DSN")


def asking(*targets: tuple[str, str | None, str | None], ret: str | None = None, envid: str | None = None) -> Delivery:
    """Recipients with their NOTIFY and ORCPT."""
    return replace(
        delivery(),
        targets=tuple(
            Target(address=parse_address(address), notify=notify, orcpt=orcpt) for address, notify, orcpt in targets
        ),
        ret=ret,
        envid=envid,
    )


@pytest.mark.parametrize("pipelining", [True, False])
async def test_all_that_was_asked_goes_on_to_a_host_that_knows_dsn(pipelining: bool) -> None:
    offers = WITH_DSN if pipelining else WITH_DSN[1:]
    what = asking(
        ("a@x.test", "SUCCESS,DELAY", "rfc822;Old+2BName@corp.example"),
        ("b@x.test", "NEVER", None),
        ("c+d@x.test", "FAILURE", None),
        ("e@x.test", None, None),
        ("f@x.test", None, "rfc822;f@corp.example"),
        ret="HDRS",
        envid="QQ+3D314159",
    )
    async with FakeNextHop(offers=offers) as hop:
        outcome = await once(to(hop), what)
    said = hop.commands[0]
    assert b"MAIL FROM:<ida@corp.example> SIZE=24 RET=HDRS ENVID=QQ+3D314159" in said
    assert [line for line in said if line.startswith(b"RCPT")] == [
        b"RCPT TO:<a@x.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Old+2BName@corp.example",
        b"RCPT TO:<b@x.test> NOTIFY=NEVER",
        b"RCPT TO:<c+d@x.test> NOTIFY=FAILURE ORCPT=rfc822;c+2Bd@x.test",
        b"RCPT TO:<e@x.test>",
        b"RCPT TO:<f@x.test> ORCPT=rfc822;f@corp.example",
    ]
    assert {result.verdict for result in outcome.results} == {Verdict.SENT}
    assert {result.success for result in outcome.results} == {None}, "the next hop answers for success now"


async def test_where_nothing_was_asked_nothing_is_said() -> None:
    async with FakeNextHop(offers=WITH_DSN) as hop:
        await once(to(hop), delivery())
    assert hop.commands[0][1:3] == [b"MAIL FROM:<ida@corp.example> SIZE=24", b"RCPT TO:<otto@x.test>"]


async def test_queue_20_a_host_without_dsn_hears_no_word_of_it_and_success_is_ours_to_tell() -> None:
    what = asking(
        ("a@x.test", "SUCCESS", None),
        ("b@x.test", "FAILURE", "rfc822;b@x.test"),
        ("c@x.test", "SUCCESS", None),
        ret="FULL",
    )
    async with FakeNextHop({"RCPT": ["250 ok", "250 ok", "451 4.2.0 later"]}) as hop:
        outcome = await once(to(hop), what)
    assert not [line for line in hop.commands[0] if b"NOTIFY" in line or b"ORCPT" in line or b"RET" in line]
    assert [(one.address.local, one.success) for one in outcome.results] == [
        ("a", Success.RELAYED),
        ("b", None),
        ("c", None),
    ]


async def test_a_null_sender_is_owed_nothing() -> None:
    what = replace(asking(("a@x.test", "SUCCESS", None)), sender=None)
    async with FakeNextHop() as hop:
        outcome = await once(to(hop), what)
    assert outcome.results[0].success is None


async def test_a_folder_is_where_mail_ends(tmp_path: Path) -> None:
    what = asking(("a@x.test", "SUCCESS,FAILURE", None), ("b@x.test", None, None))
    outcome = await once(make_outbound(folder=tmp_path / "outbox"), what)
    assert [one.success for one in outcome.results] == [Success.DELIVERED, None]
    outcome = await once(make_outbound(folder=tmp_path / "outbox"), replace(what, sender=None))
    assert [one.success for one in outcome.results] == [None, None]


async def test_an_international_recipient_keeps_his_form_with_smtputf8() -> None:
    what = asking(("jörg@x.test", "FAILURE", None), ("a@x.test", "FAILURE", "utf-8;ïda@corp.example"))
    async with FakeNextHop(offers=WITH_DSN) as hop:
        await once(to(hop), what)
    assert "RCPT TO:<jörg@x.test> NOTIFY=FAILURE ORCPT=utf-8;jörg@x.test".encode() in hop.commands[0]
    assert "RCPT TO:<a@x.test> NOTIFY=FAILURE ORCPT=utf-8;ïda@corp.example".encode() in hop.commands[0]


async def test_without_smtputf8_an_original_recipient_goes_on_in_seven_bits() -> None:
    """RFC 6533 3."""
    offers = tuple(one for one in WITH_DSN if one != "SMTPUTF8")
    what = asking(("a@x.test", "FAILURE", "utf-8;ïda@corp.example"), ("b@x.test", "FAILURE", "rfc822;ïda@corp.example"))
    async with FakeNextHop(offers=offers) as hop:
        await once(to(hop), what)
    rcpts = [line for line in hop.commands[0] if line.startswith(b"RCPT")]
    assert rcpts == [
        b"RCPT TO:<a@x.test> NOTIFY=FAILURE ORCPT=utf-8;\\x{EF}da@corp.example",
        b"RCPT TO:<b@x.test> NOTIFY=FAILURE",
    ]
