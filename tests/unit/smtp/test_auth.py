"""AUTH: the exchange, its order, and what a session may do before and after."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gateway.connectors.authenticated import AUTHENTICATED
from gateway.connectors.model import Inbound
from gateway.mail import reply as say
from gateway.mail.reply import Refused
from gateway.observe.redact import redact
from tests.fakes.accounts import FakeAccounts, FakeTls
from tests.fakes.desk import FakeDesk
from tests.fakes.transport import FakeClient, connected

MESSAGE = b"From: ida@corp.example\r\nSubject: x\r\n\r\nx\r\n"


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


GOOD = f"AUTH PLAIN {b64(chr(0) + 'ida' + chr(0) + 'geheim')}"
WRONG = f"AUTH PLAIN {b64(chr(0) + 'ida' + chr(0) + 'falsch')}"


class Door:
    """A listener with AUTH, and who may log in there."""

    def __init__(self, *, tls: bool = True, greet: bool = True, **terms: Any) -> None:
        self.fake = FakeDesk()
        self.accounts = FakeAccounts()
        self.fake.desk.accounts = self.accounts
        given = {"auth": True, "submission": True, **terms}
        self.client: FakeClient = connected(self.fake.desk, tls=FakeTls() if tls else None, **given)

    async def open(self) -> Door:
        await self.client.greets()
        return self

    async def logged_in(self) -> Door:
        await self.open()
        await self.client.asks(GOOD, "235 2.7.0")
        return self


async def test_ehlo_offers_auth_under_tls_alone() -> None:
    for tls, auth, offered in ((True, True, True), (False, True, False), (True, False, False)):
        door = Door(tls=tls, auth=auth, submission=False)
        await door.client.hears()
        await door.client.feed(b"EHLO c\r\n")
        assert ("AUTH PLAIN LOGIN" in "\n".join(await door.client.hears())) is offered


@pytest.mark.parametrize(
    "dialogue",
    [
        [(GOOD, "235")],
        [("auth plain " + GOOD.split()[2], "235")],
        [("AUTH PLAIN", "334 "), (GOOD.split()[2], "235")],
        [(f"AUTH PLAIN {b64('ida' + chr(0) + 'ida' + chr(0) + 'geheim')}", "235")],
        [("AUTH LOGIN", "334 VXNlcm5hbWU6"), (b64("ida"), "334 UGFzc3dvcmQ6"), (b64("geheim"), "235")],
        [(f"AUTH LOGIN {b64('ida')}", "334 UGFzc3dvcmQ6"), (b64("geheim"), "235")],
    ],
)
async def test_name_and_password_come_in_each_way(dialogue: list[tuple[str, str]]) -> None:
    door = await Door().open()
    for said, answer in dialogue:
        await door.client.asks(said, answer)
    assert door.accounts.asked == [("ida", "geheim", "192.0.2.7")]
    assert "logged_in" in door.fake.events()
    assert ("log_ins_total", ("127.0.0.1:2525", "logged_in")) in door.fake.counted


@pytest.mark.parametrize(
    ("dialogue", "answer"),
    [
        (["AUTH"], "501 5.5.4"),
        (["AUTH  "], "501 5.5.4"),
        (["AUTH CRAM-MD5"], "504 5.5.4"),
        (["AUTH X" + "Y" * 500], "504 5.5.4"),
        (["AUTH PLAIN !!!"], "501 5.5.2"),
        (["AUTH PLAIN AGlkYQ"], "501 5.5.2"),
        (["AUTH PLAIN AA AA"], "501 5.5.2"),
        (["AUTH PLAIN ü"], "501 5.5.2"),
        (["AUTH PLAIN ="], "501 5.5.2"),
        (["AUTH PLAIN", ""], "501 5.5.2"),
        (["AUTH PLAIN " + b64("ida\0geheim")], "501 5.5.2"),
        (["AUTH PLAIN " + b64("\0ida\0ge\0heim")], "501 5.5.2"),
        (["AUTH PLAIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", b64("ida"), "*"], "501 5.7.0"),
        (["AUTH LOGIN", b64("ida"), "%"], "501 5.5.2"),
        (["AUTH LOGIN", "x" * 20000], "500 5.5.6"),
        (["AUTH PLAIN " + "x" * 20000], "500 5.5.2"),
        (["AUTH LOGIN", "aW\rRh"], "501 5.5.2"),
    ],
)
async def test_an_exchange_that_goes_wrong_ends_and_the_session_goes_on(dialogue: list[str], answer: str) -> None:
    door = await Door().open()
    for said in dialogue:
        await door.client.feed(said.encode() + b"\r\n")
    lines = await door.client.hears()
    assert lines[-1].startswith(answer)
    assert door.accounts.asked == []
    await door.client.asks("NOOP", "250")
    await door.client.asks(GOOD, "235")


async def test_a_bare_lf_ends_no_answer() -> None:
    door = await Door().open()
    await door.client.asks("AUTH PLAIN", "334 ")
    await door.client.asks(b"AGlkYQBnZWhlaW0=\n", "500 5.5.2")
    assert door.accounts.asked == []


async def test_the_longest_line_of_the_standard_is_read() -> None:
    door = await Door().open()
    await door.client.asks("AUTH PLAIN " + "A" * (12288 - len("AUTH PLAIN \r\n")), "501 5.5.2")
    await door.client.asks("AUTH PLAIN " + "A" * (12289 - len("AUTH PLAIN \r\n")), "500 5.5.2")
    await door.client.asks("NOOP " + "A" * 5000, "500 5.5.2")
    await door.client.asks("AUTH PLAIN", "334 ")
    await door.client.asks("A" * 12286, "501 5.5.2")
    await door.client.asks("AUTH PLAIN", "334 ")
    await door.client.asks("A" * 12287, "500 5.5.6")
    await door.client.asks("AUTH LOGIN", "334 ")  # In many pieces, too.
    await door.client.feed(*[b"A" * 1000] * 20, b"\r\n")
    await door.client.expects("500 5.5.6")


@pytest.mark.parametrize(
    ("tls", "terms", "said", "answer"),
    [
        (False, {}, GOOD, "538 5.7.11"),
        (True, {"auth": False, "submission": False}, GOOD, "503 5.5.1 AUTH is not offered"),
        (True, {"submission": False}, GOOD, "235 2.7.0"),
    ],
)
async def test_auth_is_taken_under_tls_where_it_is_offered(
    tls: bool, terms: dict[str, Any], said: str, answer: str
) -> None:
    door = await Door(tls=tls, **terms).open()
    await door.client.asks(said, answer)


async def test_auth_needs_ehlo_first() -> None:
    door = Door()
    await door.client.hears()
    await door.client.asks(GOOD, "503 5.5.1 Say EHLO first")
    await door.client.asks("HELO c", "250")
    await door.client.asks(GOOD, "503 5.5.1 Say EHLO first")


async def test_auth_comes_once_and_not_within_a_transaction() -> None:
    door = await Door().logged_in()
    await door.client.asks(GOOD, "503 5.5.1 Authenticated already")
    relay = await Door(submission=False).open()
    await relay.client.asks("MAIL FROM:<ida@corp.example>", "250")
    await relay.client.asks(GOOD, "503 5.5.1 A transaction is under way")


async def test_ehlo_and_rset_keep_who_one_is() -> None:
    door = await Door().logged_in()
    await door.client.feed(b"EHLO again.example\r\n", b"RSET\r\n")
    await door.client.hears()
    assert (await door.client.sends(MESSAGE)).startswith("250 2.0.0")
    (mail,) = door.fake.accepted
    assert mail.client is not None and (mail.client.user, mail.client.helo) == ("ida", "again.example")
    assert b" with ESMTPSA " in mail.message.head
    assert mail.connector == "authenticated"


@pytest.mark.parametrize("password", ["falsch", "", "geheim "])
async def test_a_wrong_password_is_answered_as_an_unknown_name(password: str) -> None:
    door = await Door(max_failed_log_ins=50).open()
    answers = set()
    for name in ("ida", "otto"):
        await door.client.feed(f"AUTH PLAIN {b64(chr(0) + name + chr(0) + password)}\r\n".encode())
        (line,) = await door.client.hears()
        answers.add(line.partition(" [")[0])
    assert answers == {"535 5.7.8 Authentication credentials invalid"}
    users = [facts["user"] for _, event, facts in door.fake.told if event == "log_in_failed"]
    assert users == ["ida", None], "what is no account's name may be a password in the wrong field"


async def test_another_identity_than_ones_own_is_refused() -> None:
    door = await Door().open()
    await door.client.asks(f"AUTH PLAIN {b64('otto' + chr(0) + 'ida' + chr(0) + 'geheim')}", "535 5.7.8")
    assert door.accounts.asked == []


async def test_a_refusal_waits_its_time() -> None:
    door = await Door().open()
    door.accounts.delay = 4.0
    await door.client.asks(WRONG)
    await door.fake.clock.advance(3.9)
    await door.client.expects()
    await door.fake.clock.advance(0.2)
    await door.client.expects("535 5.7.8")


async def test_after_some_failures_the_session_ends() -> None:
    door = await Door(max_failed_log_ins=2).open()
    await door.client.asks(WRONG, "535")
    await door.client.asks(WRONG, "535")
    await door.client.asks(GOOD, "421 4.7.0 Too many failed")
    assert door.client.closed
    assert len(door.accounts.asked) == 2


async def test_what_can_not_be_judged_is_a_passing_fault() -> None:
    door = await Door().open()
    door.accounts.away = True
    await door.client.asks(GOOD, "454 4.7.0")
    door.accounts.away = False
    await door.client.asks(GOOD, "235")
    door.accounts.away = True
    await door.client.asks("MAIL FROM:<ida@corp.example>", "451 4.3.0")
    door.accounts.away = False
    await door.client.asks("MAIL FROM:<ida@corp.example>", "250")


async def test_on_a_submission_listener_mail_needs_tls_and_auth() -> None:
    clear = await Door(tls=False).open()
    await clear.client.asks("MAIL FROM:<ida@corp.example>", "530 5.7.0 Say STARTTLS")
    door = await Door().open()
    await door.client.asks("MAIL FROM:<ida@corp.example>", "530 5.7.0 Authentication required")
    await door.client.asks("RCPT TO:<otto@partner.example>", "503")
    await door.client.asks(GOOD, "235")
    await door.client.asks("MAIL FROM:<ida@corp.example>", "250")


@pytest.mark.parametrize("sender", ["boss@corp.example", "ida@corp.example.evil", "otto@partner.example"])
async def test_a_user_sends_from_their_own_addresses_alone(sender: str) -> None:
    door = await Door().logged_in()
    await door.client.asks(f"MAIL FROM:<{sender}>", "550 5.7.60")
    await door.client.asks("MAIL FROM:<IDA+x@corp.example> AUTH=<>", "250")
    await door.client.asks("RSET", "250")
    await door.client.asks("MAIL FROM:<x@sales.corp.example> AUTH=boss+40corp.example", "250")


async def test_pipelined_commands_are_answered_in_order() -> None:
    door = await Door().open()
    pipelined = f"{GOOD}\r\nMAIL FROM:<ida@corp.example>\r\nRCPT TO:<otto@partner.example>\r\nDATA\r\n"
    await door.client.feed(pipelined.encode())
    await door.client.expects("235", "250 2.1.0", "250 2.1.5", "354")
    await door.client.feed(MESSAGE + b".\r\n")
    await door.client.expects("250 2.0.0")


async def test_a_forged_from_is_refused_at_the_end_and_the_session_goes_on() -> None:
    door = await Door().logged_in()
    assert (await door.client.sends(b"From: boss@corp.example\r\n\r\nx\r\n")).startswith("550 5.7.60")
    assert (await door.client.sends(MESSAGE)).startswith("250")
    assert len(door.fake.accepted) == 1
    (refused,) = [one for id_, one in door.fake.incoming.items() if id_ != door.fake.accepted[0].id]
    assert refused.abandoned


async def test_what_is_missing_stands_on_top_behind_our_trace_line() -> None:
    door = await Door().logged_in()
    await door.client.sends(MESSAGE)
    head = door.fake.accepted[0].message.head
    lines = head[head.index(b"; ") :].split(b"\r\n")
    assert lines[1].startswith(b"Date: ") and lines[2].startswith(b"Message-ID: <Q") and head.endswith(MESSAGE)


async def test_chunks_are_judged_alike() -> None:
    door = await Door().logged_in()
    for content, answer in ((b"From: boss@corp.example\r\n\r\nx\r\n", "550 5.7.60"), (MESSAGE, "250 2.0.0 Queued")):
        await door.client.asks("MAIL FROM:<ida@corp.example>", "250")
        await door.client.asks("RCPT TO:<otto@partner.example>", "250")
        half = len(content) // 2
        await door.client.asks(b"BDAT %d\r\n" % half + content[:half], "250")
        await door.client.asks(b"BDAT %d LAST\r\n" % (len(content) - half) + content[half:], answer)


async def test_whoever_was_removed_sends_no_other_message() -> None:
    door = await Door().logged_in()
    assert (await door.client.sends(MESSAGE)).startswith("250")
    door.accounts.ended = True
    await door.client.asks("MAIL FROM:<ida@corp.example>", "421 4.7.0")
    assert door.client.closed


async def test_whoever_is_removed_within_a_transaction_sends_it_no_more() -> None:
    door = await Door().logged_in()
    await door.client.asks("MAIL FROM:<ida@corp.example>", "250")
    await door.client.asks("RCPT TO:<otto@partner.example>", "250")
    await door.client.asks("DATA", "354")
    door.accounts.ended = True
    await door.client.feed(MESSAGE + b".\r\n")
    await door.client.expects("421 4.7.0")
    assert door.client.closed and door.fake.accepted == []


async def test_on_a_relay_listener_a_user_relays_from_own_addresses() -> None:
    door = await Door(submission=False).logged_in()
    seen: list[Inbound | None] = []
    door.fake.desk.may_reach = lambda inbound, recipient: seen.append(inbound)
    assert (await door.client.sends(b"Subject: x\r\n\r\nx\r\n")).startswith("250")
    assert seen == [AUTHENTICATED]
    assert door.fake.contents() == [b"Subject: x\r\n\r\nx\r\n"], "a relay touches nothing"


async def test_on_a_relay_listener_one_keeps_what_one_may_do_without_logging_in() -> None:
    door = await Door(submission=False).logged_in()
    assert (await door.client.sends(b"x\r\n", sender="other@corp.example")).startswith("250")
    assert door.fake.accepted[0].connector == "local"
    door.fake.refused_senders["x@partner.example"] = Refused(say.ADDRESS_RESTRICTED)
    await door.client.asks("MAIL FROM:<x@partner.example>", "550 5.7.1 Mail from this domain")
    door.fake.desk.admit = lambda client, sender: None
    await door.client.asks("MAIL FROM:<y@partner.example>", "550 5.7.60")


async def test_who_does_not_log_in_never_asks_the_accounts() -> None:
    door = await Door(submission=False).open()
    assert (await door.client.sends(b"x\r\n")).startswith("250")
    assert (door.accounts.looks, door.accounts.asked) == (0, [])


async def test_no_password_is_told() -> None:
    door = await Door(max_failed_log_ins=50).open()
    for said in (WRONG, "AUTH PLAIN " + b64("falsch"), f"AUTH LOGIN {b64('falsch')}", b64("falsch"), GOOD):
        await door.client.feed(said.encode() + b"\r\n")
    await door.client.hears()
    await door.client.sends(MESSAGE)
    told = repr([(event, redact(facts)) for _, event, facts in door.fake.told]) + repr(door.fake.accepted)
    for secret in ("falsch", "geheim", b64("falsch"), GOOD.split()[2], WRONG.split()[2]):
        assert secret not in told
    assert "geheim" not in repr(vars(door.client.session))


async def test_a_fault_in_an_exchange_shows_no_password() -> None:
    door = await Door().open()

    async def broken(name: str, password: str, address: str) -> Any:
        raise RuntimeError(f"cannot judge {password}")

    door.accounts.log_in = broken  # type: ignore[method-assign]
    await door.client.asks(GOOD, "451 4.3.0")
    ((_, _, facts),) = [one for one in door.fake.told if one[1] == "session_fault"]
    assert "geheim" not in repr(redact(facts))
