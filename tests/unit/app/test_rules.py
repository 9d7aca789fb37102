"""Transport rules joined for one worker: who is inside, who is told, and what happens to rules that can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.app.rules import TransportRules, internal
from gateway.app.terms import policy
from gateway.mail.address import parse_address
from gateway.mail.envelope import Recipient
from gateway.mail.mail import Mail
from gateway.mail.reply import RULE_FAILED, Refused, Reply
from gateway.observe.metrics import Metrics
from gateway.rules.fault import BadRules
from gateway.rules.stage import Ruling
from tests.fakes.clock import FakeClock
from tests.fakes.log import FakeSink, fake_log
from tests.fakes.ruling import mail, octets_of
from tests.fakes.settings import PLAIN, settings_in
from tests.fakes.spool import sealer

REFUSED = Reply(550, "5.7.905", "Not by mail")
RULE = '- {name: a, when: {recipient_domain_is: partner.example}, then: {prepend_subject: "[X] "}}\n'


class House:
    """The rules on these settings. `sure`: whether senders are who they say."""

    def __init__(self, folder: Path, rules: str | None = None, text: str = PLAIN) -> None:
        self.loaded = settings_in(folder, text)
        if rules is not None:
            (folder / "rules").mkdir(exist_ok=True)
            (folder / "rules" / "a.yaml").write_text(rules)
        self.policy = policy(self.loaded)
        self.sure = True
        self.submitted: list[Mail] = []
        log, self.sink = fake_log()
        self.rules = TransportRules(
            sealer(),
            settings=lambda: self.loaded,
            policy=lambda: self.policy,
            is_ours=lambda client, connector: connector == "local",
            is_sure=lambda mail: self.sure,
            submit=self._submit,
            sealed=self._sealed,
            ids=lambda: "NEW",
            clock=FakeClock(),
            log=log,
            metrics=Metrics(),
        )

    async def _sealed(self, one: Mail) -> Mail | None:
        return None

    async def _submit(self, one: Mail) -> str:
        self.submitted.append(one)
        return one.id


def events(sink: FakeSink) -> list[str]:
    return sink.events()


def test_without_rules_there_is_no_stage(tmp_path: Path) -> None:
    assert House(tmp_path).rules.stage is None
    assert House(tmp_path, "").rules.stage is None


async def test_rules_are_swapped_whole_and_bad_ones_never(tmp_path: Path) -> None:
    house = House(tmp_path, RULE)
    stage = house.rules.stage
    assert isinstance(stage, Ruling)
    (tmp_path / "rules" / "a.yaml").write_text("- {name: a, then: {nonsense: true}}")
    with pytest.raises(BadRules):
        house.rules.compiled(house.loaded, house.policy)
    assert b"[X] Offer" in octets_of((await stage(mail())).copies[0])
    (tmp_path / "rules" / "a.yaml").write_text(RULE.replace("[X]", "[Y]"))
    house.rules.use(house.rules.compiled(house.loaded, house.policy))
    assert b"[Y] Offer" in octets_of((await stage(mail())).copies[0])


async def test_a_process_that_finds_bad_rules_at_its_start_lets_mail_wait_until_a_reload(tmp_path: Path) -> None:
    house = House(tmp_path, "- {name: a, then: {nonsense: true}}")
    assert house.sink.events() == ["rules_unreadable"]
    stage = house.rules.stage
    assert stage is not None
    with pytest.raises(Refused) as refused:
        await stage(mail())
    assert refused.value.reply is RULE_FAILED
    (tmp_path / "rules" / "a.yaml").write_text(RULE)
    house.rules.use(house.rules.compiled(house.loaded, house.policy))
    assert isinstance(house.rules.stage, Ruling)


def test_an_external_relay_is_not_inside_and_the_nearest_entry_counts(tmp_path: Path) -> None:
    text = PLAIN.replace(
        'accepted_domains = ["corp.example"]',
        'accepted_domains = ["corp.example", "*.corp.example", {name = "ext.corp.example", external_relay = true},'
        ' {name = "relay.example", external_relay = true}, {name = "*.relay.example"}]',
    )
    inside = internal(settings_in(tmp_path, text))
    assert [inside(one) for one in ("corp.example", "a.corp.example", "a.relay.example")] == [True, True, True]
    assert [inside(one) for one in ("ext.corp.example", "relay.example", "else.example")] == [False, False, False]


def test_a_refused_recipient_is_told_of_to_a_sender_who_is_sure(tmp_path: Path) -> None:
    house = House(tmp_path, RULE)
    one, olga = mail(), (Recipient(parse_address("olga@partner.example")),)
    report = house.rules.refused(one, olga, REFUSED)
    assert report is not None
    assert (report.id, report.client, report.envelope.sender) == ("Q", None, None)
    octets = octets_of(report)
    for words in (b"olga@partner.example", b"Status: 5.7.905", b"Not by mail", b"<NEW@mx.corp.example>"):
        assert words in octets
    assert b"hello" not in octets  # The header goes back, never the body.
    house.sure = False
    assert house.rules.refused(one, olga, REFUSED) is None
    house.sure = True
    assert house.rules.refused(mail(sender=None), olga, REFUSED) is None
    assert house.rules.refused(one, (Recipient(olga[0].address, notify="NEVER"),), REFUSED) is None


async def test_what_is_submitted_has_a_queue_id_of_its_own(tmp_path: Path) -> None:
    house = House(tmp_path, RULE)
    await house.rules.submit(mail(client=None))
    assert [(one.id, one.client) for one in house.submitted] == [("NEW", None)]


def test_a_mark_is_made_by_a_key(tmp_path: Path) -> None:
    house = House(tmp_path, RULE)
    assert house.rules.mark("a") == house.rules.mark("a") != house.rules.mark("b")
    assert len(house.rules.mark("a")) == 16


async def test_a_failure_is_logged_without_its_words(tmp_path: Path) -> None:
    house = House(tmp_path, RULE)
    house.rules.failed(mail(), ("a",), ValueError("the secret plan"))
    (line,) = house.sink.lines
    assert line == ("error", "rule_failed", line[2])
    assert "secret" not in repr(line)
    assert line[2]["error"] == "ValueError"
