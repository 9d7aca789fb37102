"""The question at RCPT: who is asked, what the client reads, and who hears of a source that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.app.address_book import AddressBook
from gateway.app.book_terms import BookTerms
from gateway.app.hosted import Hosted
from gateway.app.policy_names import PolicyNames
from gateway.app.recipients import Recipients
from gateway.app.status import absence_words, recipient_warnings
from gateway.app.verification import verification
from gateway.connectors.outbound import outbounds
from gateway.connectors.patterns import accepted
from gateway.delivery.probe import Probes
from gateway.directory.watched import EVERY
from gateway.mail.address import parse_address
from gateway.mail.reply import MAILBOX_FULL, MAILBOX_GONE, NO_SUCH_RECIPIENT, RECIPIENT_UNSURE, Refused, Reply
from gateway.observe.log import Log
from gateway.observe.metrics import Metrics
from gateway.storage.mailboxes.model import PolicyState
from gateway.storage.writer import StorageBroken
from gateway.world.ldap import LdapServer
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.desk import INBOUND
from tests.fakes.ldap import FakeLdap
from tests.fakes.log import FakeSink
from tests.fakes.mailboxes import FakeMailboxes, make_mailbox, make_policy
from tests.fakes.names import FakeNames
from tests.fakes.nexthop import FakeNextHop
from tests.fakes.settings import PLAIN, settings_in

YES, NO = "250 2.1.5 ok", "550 5.1.1 unknown"
TAKEN, UNVERIFIED = True, False


class Stage:
    """`says` is what RCPT comes to: True, False (taken unverified) or the reply."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.sink = FakeSink()
        self.metrics = Metrics()
        self.ldaps: list[FakeLdap] = []
        self.boxes = FakeMailboxes()
        book = AddressBook(self.boxes, terms=lambda: BookTerms(catch_all={}), clock=self.clock)
        probes = Probes(names=FakeNames(), clock=self.clock, chance=FakeChance(), hostname="x")
        self.recipients = Recipients(
            probes=probes,
            clock=self.clock,
            log=Log(self.sink, self.clock),
            metrics=self.metrics,
            open_ldap=self._open,
            hosted=Hosted(book, PolicyNames(self.boxes, self.clock)),
        )

    def _open(self, server: LdapServer, at_once: int) -> FakeLdap:
        self.ldaps.append(FakeLdap("=ida@"))
        return self.ldaps[-1]

    async def arrange(
        self, domains: str, *, port: int = 1, more: str = "", inbound: str = "", mailboxes: bool = False
    ) -> None:
        text = PLAIN.replace('accepted_domains = ["corp.example"]', f"accepted_domains = [{domains}]")
        text = text.replace("2500", str(port)) + more
        if mailboxes:
            text = text.replace(f'smart_hosts = ["127.0.0.1:{port}"]', 'deliver = "mailbox"')
        text = text.replace('type = "on_premises"', f'type = "on_premises"\n{inbound}')
        loaded = settings_in(self.folder, text)
        await self.recipients.arrange(verification(loaded), accepted(loaded), outbounds(loaded), "mx.corp.example")

    async def says(self, address: str) -> bool | Reply:
        try:
            found = self.recipients.verify(INBOUND, parse_address(address))
            return found if isinstance(found, bool) else await found()
        except Refused as refused:
            return refused.reply

    def counted(self) -> dict[tuple[str, ...], float]:
        rows = self.metrics.snapshot()["recipient_verifications_total"]
        return {tuple(labels): value for labels, value in rows}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    one = Stage(tmp_path)
    yield one
    await one.recipients.close()


def domain(source: str, name: str = "corp.example") -> str:
    return f'{{ name = "{name}", recipient_verification = {source} }}'


LIST = domain('{ by = "list", file = "list.txt" }')


@asynccontextmanager
async def watching(stage: Stage) -> AsyncIterator[None]:
    task = asyncio.create_task(stage.recipients.watch())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def look(stage: Stage) -> None:
    """Long enough for a thread to look."""
    await stage.clock.advance(EVERY)
    for _ in range(200):
        if stage.clock.sleepers:
            return
        await asyncio.sleep(0.01)


async def test_who_stands_in_a_list_is_taken_and_nobody_else_but_postmaster_and_abuse(stage: Stage) -> None:
    (stage.folder / "list.txt").write_text("ida@corp.example\n")
    await stage.arrange(f'{LIST}, "open.example"')
    assert stage.recipients.is_on
    for taken in (
        "Ida@corp.example",
        "PostMaster@corp.example",
        '"abuse"@corp.example',
        "postmaster",
        "x@open.example",
    ):
        assert await stage.says(taken) is TAKEN, taken
    assert await stage.says("otto@corp.example") is NO_SUCH_RECIPIENT
    assert await stage.says("x@else.example") is TAKEN  # Not ours: `may_reach` has judged it.
    assert stage.counted() == {("corp.example", "known"): 1, ("corp.example", "unknown"): 1}


async def test_the_sentence_is_the_same_whether_the_domain_or_the_person_is_unknown(stage: Stage) -> None:
    (stage.folder / "list.txt").write_text("ida@a.corp.example\n")
    await stage.arrange(domain('{ by = "list", file = "list.txt" }', "*.corp.example"))
    assert await stage.says("otto@a.corp.example") is NO_SUCH_RECIPIENT
    assert await stage.says("ida@b.corp.example") is NO_SUCH_RECIPIENT


async def test_the_closest_domain_counts(stage: Stage) -> None:
    (stage.folder / "list.txt").write_text("ida@a.corp.example\n")
    wide = domain('{ by = "list", file = "list.txt" }', "*.corp.example")
    await stage.arrange(f"{wide}, {domain(chr(34) + 'none' + chr(34), 'b.corp.example')}")
    assert await stage.says("x@b.corp.example") is TAKEN
    assert await stage.says("x@a.corp.example") is NO_SUCH_RECIPIENT


async def test_a_changed_list_counts_within_seconds_and_a_bad_one_is_told_and_changes_nothing(stage: Stage) -> None:
    file = stage.folder / "list.txt"
    file.write_text("ida@corp.example\n")
    await stage.arrange(LIST)
    async with watching(stage):
        file.write_text("ida@corp.example\notto@corp.example\n")
        await look(stage)
        await look(stage)
        assert await stage.says("otto@corp.example") is TAKEN
        file.write_text("nobody\n")
        await look(stage)
        await look(stage)
        assert await stage.says("otto@corp.example") is TAKEN
    (absence,) = stage.recipients.absences()
    assert "its former content counts" in absence_words(absence)
    assert "line 1" in absence_words(absence)
    assert stage.sink.events() == ["recipients_read", "recipients_read", "recipients_not_read"]


@pytest.mark.parametrize(("when", "answer"), [("defer", RECIPIENT_UNSURE), ("accept", UNVERIFIED)])
async def test_a_source_that_never_said_anything_refuses_nobody_for_good(
    stage: Stage, when: str, answer: object
) -> None:
    await stage.arrange(domain(f'{{ by = "list", file = "missing.txt", when_unsure = "{when}" }}'))
    assert await stage.says("ida@corp.example") == answer
    assert await stage.says("postmaster@corp.example") is TAKEN


async def test_the_next_hop_is_asked_once_and_remembered(stage: Stage) -> None:
    async with FakeNextHop({"RCPT": [YES, NO]}) as hop:
        await stage.arrange(domain('{ by = "next_hop" }'), port=hop.port)
        assert [await stage.says("ida@corp.example") for _ in range(3)] == [TAKEN] * 3
        assert [await stage.says("otto@corp.example") for _ in range(3)] == [NO_SUCH_RECIPIENT] * 3
        assert sum(command.startswith(b"RCPT") for command in hop.commands[0]) == 2
        assert stage.recipients.verify(INBOUND, parse_address("ida@corp.example")) is True  # Without a wait.


async def test_a_next_hop_that_is_away_makes_no_550_and_is_told(stage: Stage) -> None:
    async with FakeNextHop() as hop:
        port = hop.port
    await stage.arrange(domain('{ by = "next_hop" }'), port=port)
    assert await stage.says("ida@corp.example") is RECIPIENT_UNSURE
    (absence,) = stage.recipients.absences()
    assert absence["place"] == "ours"
    assert stage.sink.events()[0] == "recipient_source_away"
    warnings = recipient_warnings([{"unverifying": [absence]}, {"unverifying": [absence | {"since": 0.0}]}, {}])
    assert [one["code"] for one in warnings] == ["recipient_source"]
    assert "since 1970" in warnings[0]["text"]


async def test_a_connector_that_drops_into_a_folder_can_not_be_asked(stage: Stage) -> None:
    more = (
        '[[connectors.outbound]]\nname = "box"\nrecipient_domains = ["a.example"]\ndeliver = "folder"\nfolder = "out"\n'
    )
    await stage.arrange(domain('{ by = "next_hop" }', "a.example"), more=more)
    assert await stage.says("ida@a.example") is RECIPIENT_UNSURE


async def test_another_connector_may_be_asked_than_the_one_that_carries(stage: Stage) -> None:
    async with FakeNextHop({"RCPT": NO}) as hop:
        more = (
            '[[connectors.outbound]]\nname = "directory"\nrecipient_domains = ["unused.example"]\n'
            f'smart_hosts = ["127.0.0.1:{hop.port}"]\n'
        )
        await stage.arrange(domain('{ by = "next_hop", connector = "directory" }'), more=more)
        assert await stage.says("ida@corp.example") is NO_SUCH_RECIPIENT


LDAP = domain('{ by = "ldap", url = "ldap://127.0.0.1", base = "dc=x", filter = "(mail={address})" }')


async def test_ldap_is_asked_and_closed_when_it_is_not_wanted_any_more(stage: Stage) -> None:
    await stage.arrange(LDAP)
    assert await stage.says("ida@corp.example") is TAKEN
    assert await stage.says("otto@corp.example") is NO_SUCH_RECIPIENT
    stage.ldaps[0].fault = "down"
    assert await stage.says("olga@corp.example") is RECIPIENT_UNSURE
    await stage.arrange('"corp.example"')
    assert stage.ldaps[0].closed
    assert not stage.recipients.is_on
    assert await stage.says("otto@corp.example") is TAKEN


async def test_a_reload_keeps_what_is_remembered_unless_another_server_is_asked(stage: Stage) -> None:
    async with FakeNextHop({"RCPT": YES}) as one, FakeNextHop({"RCPT": NO}) as other:
        hop = domain('{ by = "next_hop" }')
        await stage.arrange(hop, port=one.port)
        assert await stage.says("ida@corp.example") is TAKEN
        await stage.arrange(hop, port=one.port)
        assert await stage.says("ida@corp.example") is TAKEN
        assert sum(command.startswith(b"RCPT") for command in one.commands[0]) == 1
        await stage.arrange(hop, port=other.port)
        assert await stage.says("ida@corp.example") is NO_SUCH_RECIPIENT


async def test_a_connectors_source_is_asked_about_our_domains_alone(stage: Stage) -> None:
    (stage.folder / "list.txt").write_text("ida@corp.example\n")
    inbound = 'recipient_verification = { by = "list", file = "list.txt" }'
    await stage.arrange('"corp.example"', inbound=inbound)
    assert await stage.says("otto@corp.example") is NO_SUCH_RECIPIENT
    assert await stage.says("otto@partner.example") is TAKEN


async def test_facts_of_a_log_line_hold_no_password(stage: Stage) -> None:
    (stage.folder / "pw").write_text("hunter2\n")
    await stage.arrange(LDAP.replace("base =", 'bind_dn = "cn=x", password_file = "pw", base ='))
    stage.ldaps[0].fault = "down"
    await stage.says("ida@corp.example")
    told: Any = (stage.sink.lines, stage.recipients.absences(), repr(stage.recipients.__dict__))
    assert "hunter2" not in str(told)


# -- mailboxes ---------------------------------------------------------------------------------------------------------


async def test_where_mail_ends_here_who_has_no_mailbox_is_refused_without_any_setting(stage: Stage) -> None:
    stage.boxes.names["ida@corp.example"] = make_mailbox(1, "ida@corp.example")
    await stage.arrange('"corp.example"', mailboxes=True)
    assert stage.recipients.is_on
    assert await stage.says("ida@corp.example") is TAKEN
    assert await stage.says("Ida+news@corp.example") is TAKEN
    assert await stage.says("nobody@corp.example") is NO_SUCH_RECIPIENT
    assert await stage.says("postmaster@corp.example") is TAKEN
    assert await stage.says("nobody@elsewhere.example") is TAKEN, "mail for it does not end here"
    assert stage.counted() == {("mailboxes", "known"): 2, ("mailboxes", "unknown"): 1}


async def test_who_was_found_a_moment_ago_is_not_asked_about_again(stage: Stage) -> None:
    stage.boxes.names |= {
        "ida@corp.example": make_mailbox(1, "ida@corp.example", policy=7),
        "bo@corp.example": make_mailbox(2, "bo@corp.example"),
    }
    await stage.arrange('"corp.example"', mailboxes=True)
    for name in ("ida@corp.example", "bo@corp.example"):
        assert await stage.says(name) is TAKEN
        assert stage.recipients.verify(INBOUND, parse_address(name)) is TAKEN, "no other task is waited for"
    assert stage.boxes.looked == 1


async def test_a_full_mailbox_is_told_so_for_now_and_one_without_keys_for_good(stage: Stage) -> None:
    stage.boxes.rows = [make_policy(7, "house", PolicyState.PURGED)]
    stage.boxes.names |= {
        "full@corp.example": make_mailbox(1, "full@corp.example", quota=10, used=10),
        "gone@corp.example": make_mailbox(2, "gone@corp.example", policy=7),
    }
    await stage.arrange('"corp.example"', mailboxes=True)
    for _ in range(2):  # As it is asked, and as it is remembered.
        assert await stage.says("full@corp.example") is MAILBOX_FULL
        assert await stage.says("gone@corp.example") is MAILBOX_GONE


async def test_a_policy_that_is_closed_or_about_to_end_takes_mail(stage: Stage) -> None:
    stage.boxes.rows = [make_policy(7, "house", PolicyState.PURGING)]
    stage.boxes.names["ida@corp.example"] = make_mailbox(1, "ida@corp.example", policy=7)
    await stage.arrange('"corp.example"', mailboxes=True)
    assert await stage.says("ida@corp.example") is TAKEN


async def test_while_the_database_fails_nobody_is_refused_for_good(stage: Stage) -> None:
    stage.boxes.broken = StorageBroken("locked")
    await stage.arrange('"corp.example"', mailboxes=True)
    assert await stage.says("ida@corp.example") is RECIPIENT_UNSURE
    assert stage.counted() == {("mailboxes", "unsure"): 1}


async def test_what_the_domain_says_of_its_recipients_wins_over_its_mailboxes(stage: Stage) -> None:
    (stage.folder / "list.txt").write_text("listed@corp.example\n")
    free = domain('"none"', "free.example")
    await stage.arrange(f"{LIST}, {free}", mailboxes=True)
    assert await stage.says("listed@corp.example") is TAKEN
    assert await stage.says("ida@free.example") is TAKEN


async def test_mailboxes_may_be_named_and_then_count_where_mail_ends_here(stage: Stage) -> None:
    await stage.arrange(domain('"mailboxes"'), mailboxes=True)
    assert await stage.says("nobody@corp.example") is NO_SUCH_RECIPIENT
    await stage.arrange(domain('"mailboxes"'))
    assert await stage.says("nobody@corp.example") is TAKEN
