"""What `gateway status` says: the contract's form, and a warning for each thing that somebody should act on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gateway.app import status as status_module
from gateway.app.status import OLD, RECENT, Status, memory, queue_warnings
from gateway.observe.metrics import Metrics
from gateway.settings.load import Loaded
from tests.fakes.clock import FakeClock
from tests.fakes.forks import FakeForks
from tests.fakes.settings import PLAIN, settings_in

NOW = 1_793_700_000.0


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.setattr(status_module, "_free", lambda folder: 100 << 30)
    return settings_in(tmp_path)


def worker(number: int = 0, **more: Any) -> dict[str, Any]:
    """What a worker says of itself."""
    return {
        "worker": number,
        "pid": os.getpid(),
        "started": NOW - 60,
        "sessions": {"127.0.0.1:2525": number + 1},
        "queue": {"ready": 1, "sending": 0, "waiting": 0, "held": 0},
        "oldest": None,
        "trace_failing": False,
        **more,
    }


def status(settings: Loaded, clock: FakeClock | None = None) -> Status:
    made = Status(clock or FakeClock(), Metrics(), FakeForks())
    made.settings(settings, ())
    return made


def codes(answer: dict[str, Any]) -> list[str]:
    return [one["code"] for one in answer["warnings"]]


def trouble(reason: str, since: float, *, denied: bool = False) -> dict[str, Any]:
    return {"reason": reason, "since": since, "denied": denied}


def test_a_vault_that_does_not_answer_is_told_once_since_the_first_worker_saw_it(settings: Loaded) -> None:
    one = {
        "closed": {},
        "vaults": {"hsm": trouble("no answer", NOW - 5), "main": trouble("disabled", NOW, denied=True)},
    }
    other = {"closed": {}, "vaults": {"hsm": trouble("no answer", NOW - 9)}}
    answer = status(settings).told([worker(0, keys=one), worker(1, keys=other)])
    assert answer["warnings"] == [
        {"code": "vault_away", "text": "vault hsm can't be used since 2026-11-03T09:59:51.000Z: no answer"},
        {"code": "vault_denied", "text": "vault main says no since 2026-11-03T10:00:00.000Z: disabled"},
    ]


def test_certificates_that_end_are_told_once_whichever_worker_says_so(settings: Loaded) -> None:
    ends = {"code": "smime_certificate_expires", "text": "certificates for S/MIME end"}
    answer = status(settings).told([worker(0, certificates=[ends]), worker(1, certificates=[ends]), worker(2)])
    assert answer["warnings"] == [ends]


def test_closed_keys_are_told_by_their_reason_with_what_waits_for_them(settings: Loaded) -> None:
    closed = {
        "spool": trouble("disabled", NOW - 1, denied=True),
        "trace": trouble("disabled", NOW - 2, denied=True),
        "dkim": trouble("no answer", NOW),
    }
    answer = status(settings).told([worker(0, keys={"closed": closed, "vaults": {}}), worker(1)])
    assert [one["text"] for one in answer["warnings"]] == [
        "the keys for dkim are closed since 2026-11-03T10:00:00.000Z, so what needs them waits: no answer",
        "the keys for spool, trace are closed since 2026-11-03T09:59:58.000Z, so "
        "mail is answered 451 and waits: disabled",
    ]
    assert set(codes(answer)) == {"keys_closed"}


def test_domains_whose_keys_may_not_sign_are_told_once(settings: Loaded) -> None:
    unsigned = {"corp.example": ["main/dkim.corp.example.s1 is disabled", "hsm/dkim.corp.example.s1-e is deleted"]}
    answer = status(settings).told([worker(0, unsigned=unsigned), worker(1, unsigned=unsigned)])
    assert answer["warnings"] == [
        {
            "code": "dkim_key_denied",
            "text": "mail of corp.example leaves without a DKIM signature, since no key of it may sign: "
            "main/dkim.corp.example.s1 is disabled, hsm/dkim.corp.example.s1-e is deleted",
        }
    ]
    assert status(settings).told([worker(0, unsigned={})])["warnings"] == []


def test_processes_listeners_and_queue_are_those_of_all_workers(settings: Loaded) -> None:
    answer = status(settings).told([worker(0, oldest=NOW - 5), worker(1, oldest=NOW - 9)])
    assert [one["name"] for one in answer["processes"]] == ["supervisor", "fork server", "worker 0", "worker 1"]
    assert answer["processes"][2]["uptime"] == 60.0
    assert answer["processes"][2]["memory"] > 0
    assert answer["listeners"] == [{"listen": "127.0.0.1:2525", "kind": "relay", "tls": "none", "sessions": 3}]
    assert answer["queue"] == {"ready": 2, "sending": 0, "waiting": 0, "held": 0}
    assert answer["oldest_waiting"] == "2026-11-03T09:59:51.000Z"
    assert answer["warnings"] == []


def test_without_workers_there_is_still_an_answer(settings: Loaded) -> None:
    answer = status(settings).told([])
    assert answer["queue"] == {"ready": 0, "sending": 0, "waiting": 0, "held": 0}
    assert answer["oldest_waiting"] is None


def test_before_there_are_settings_there_is_none() -> None:
    with pytest.raises(LookupError):
        Status(FakeClock(), Metrics(), FakeForks()).told([])


def test_each_thing_to_act_on_has_its_warning(settings: Loaded) -> None:
    made = status(settings)
    held = {"ready": 0, "sending": 0, "waiting": 0, "held": 2}
    assert codes(made.told([worker(queue=held)])) == ["held"]
    assert codes(made.told([worker(trace_failing=True)])) == ["trace_not_written"]
    logins = {"partner": "mx.partner.example: the host refuses our login (535 5.7.8)"}
    answer = made.told([worker(logins=logins), worker(1, logins=logins)])
    assert codes(answer) == ["login_refused"]
    assert answer["warnings"][0]["text"] == (
        "mail by connector partner waits: mx.partner.example: the host refuses our login (535 5.7.8); "
        "put auth_user and auth_password_file right, then gateway reload and gateway queue retry --all"
    )
    made.restarted(0)
    assert codes(made.told([worker()])) == ["worker_restarted"]
    made.settings(settings, [settings.warning("x", "y", "z")])
    answer = made.told([worker()])
    assert codes(answer) == ["settings", "worker_restarted"]
    assert "found y; right would be z" in answer["warnings"][0]["text"]


async def test_a_restart_is_told_for_an_hour(settings: Loaded) -> None:
    clock = FakeClock()
    made = status(settings, clock)
    made.restarted(0)
    await clock.advance(RECENT - 1)
    assert codes(made.told([])) == ["worker_restarted"]
    await clock.advance(2)
    assert codes(made.told([])) == []


@pytest.mark.parametrize(("age", "waiting", "warns"), [(OLD, 1, False), (OLD + 1, 1, True), (OLD + 1, 0, False)])
def test_mail_that_waits_for_hours_is_told(settings: Loaded, age: float, waiting: int, warns: bool) -> None:
    found = queue_warnings(settings, {"waiting": waiting}, NOW - age, NOW)
    assert [one["code"] for one in found] == (["old_mail"] if warns else [])


def test_a_disk_that_fills_up_is_told_before_mail_is_refused(settings: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_module, "_free", lambda folder: (256 << 20) - 1)
    (found,) = queue_warnings(settings, {}, None, NOW)
    assert found["code"] == "disk"
    assert "255 MiB are free" in found["text"]
    assert "below 64 MiB mail is answered 452" in found["text"]
    monkeypatch.setattr(status_module, "_free", lambda folder: None)
    assert queue_warnings(settings, {}, None, NOW) == []


def test_memory_of_a_process_is_its_share_or_unknown() -> None:
    mine = memory(os.getpid())
    assert mine is not None
    assert mine > 1 << 20
    assert memory(2**30) is None


POSTGRES = PLAIN + '[storage]\nurl = "postgresql:///mail"\n'


def test_a_queue_that_workers_share_is_counted_once(tmp_path: Path) -> None:
    answer = status(settings_in(tmp_path, POSTGRES)).told([worker(0), worker(1), worker(2)])
    assert answer["queue"]["ready"] == 1
    assert answer["warnings"] == []


def test_a_database_that_is_away_is_told_once(settings: Loaded) -> None:
    away = {"queue": {}, "storage": 'the database "mail" at db can\'t be reached'}
    answer = status(settings).told([worker(0, **away), worker(1, **away)])
    assert codes(answer) == ["storage"]
    assert 'the database "mail" at db' in answer["warnings"][0]["text"]


def test_what_is_free_on_this_machine_says_nothing_of_a_database_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_module, "_free", lambda folder: 0)
    assert codes(status(settings_in(tmp_path)).told([worker()])) == ["disk"]
    assert codes(status(settings_in(tmp_path, POSTGRES)).told([worker()])) == []
