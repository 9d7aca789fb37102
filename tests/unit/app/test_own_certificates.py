"""Certificates of ours: what check says of them, and the warnings before their end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.app.own_certificates import (
    AGAIN,
    SOON,
    EndWatch,
    certificate_warnings,
    date_faults,
    is_about_dates,
    judge_clients,
    judge_listener,
)
from gateway.app.status import Status
from gateway.observe.metrics import Metrics
from gateway.settings.load import Loaded
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.clock import FakeClock
from tests.fakes.forks import FakeForks
from tests.fakes.settings import settings_in

TEXT = """
accepted_domains = ["corp.example"]
[[listeners]]
listen = "127.0.0.1:2525"
certificate = "{one}"
key = "{one_key}"
[[listeners.certificates]]
certificate = "{more}"
key = "{more_key}"
[[connectors.outbound]]
name = "out"
recipient_domains = ["*"]
smart_hosts = ["127.0.0.1:2500"]
client_certificate = "{client}"
client_key = "{client_key}"
"""
KEYS = [
    "listeners[0].certificate",
    "listeners[0].certificates[0].certificate",
    "connectors.outbound[0].client_certificate",
]


class Made:
    def __init__(self, folder: Path) -> None:
        self.certificates = [make_certificate(folder, f"{name}.example", days=(-1, 60)) for name in "abc"]
        files: dict[str, Any] = {}
        for name, one in zip(("one", "more", "client"), self.certificates, strict=True):
            files |= {name: one.file.name, f"{name}_key": one.key_file.name}
        self.loaded = settings_in(folder, TEXT.format(**files))
        self.end = self.certificates[0].certificate.not_valid_after_utc.timestamp()


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def listener_faults(loaded: Loaded, now: float) -> list[str]:
    return [str(one) for one in judge_listener(loaded, "listeners[0]", loaded.settings.listeners[0], now)]


def test_thirty_days_ahead_each_of_ours_is_told(made: Made) -> None:
    assert date_faults(made.loaded, made.end - SOON - 60) == []
    soon = date_faults(made.loaded, made.end - SOON + 60)
    assert [fault.key for fault in soon] == KEYS
    assert {fault.severity for fault in soon} == {"warning"}
    assert all(is_about_dates(fault) for fault in soon)
    warnings = certificate_warnings(made.loaded, made.end - SOON + 60)
    assert [one["code"] for one in warnings] == ["certificate_expires"] * 3
    assert warnings[0]["text"].startswith("listeners[0].certificate names a certificate that expires at 20")


def test_one_that_has_ended_or_not_begun_is_told(made: Made) -> None:
    late = date_faults(made.loaded, made.end + 60)
    assert [fault.severity for fault in late] == ["warning"] * 3
    assert [one["code"] for one in certificate_warnings(made.loaded, made.end + 60)] == ["certificate_not_valid"] * 3
    assert "is not valid before" in date_faults(made.loaded, made.end - 90 * 86400)[0].found


def test_check_tells_a_pair_of_further_names_that_does_not_fit(made: Made, tmp_path: Path) -> None:
    one, more = made.certificates[0], made.certificates[1]
    assert listener_faults(made.loaded, made.end - 50 * 86400) == []
    more.key_file.write_bytes(one.key_file.read_bytes())
    (fault,) = listener_faults(made.loaded, made.end - 50 * 86400)
    assert "listeners[0].certificates[0].key: found the key of another certificate" in fault
    more.file.unlink()
    (fault,) = listener_faults(made.loaded, made.end - 50 * 86400)
    assert "listeners[0].certificates[0].certificate: found no file" in fault


def test_a_client_certificate_that_can_not_be_read_is_told_elsewhere(made: Made) -> None:
    made.certificates[2].file.unlink()
    assert list(judge_clients(made.loaded, made.end)) == []


def test_further_certificates_need_one_for_all_other_names(tmp_path: Path, made: Made) -> None:
    more: Certificate = made.certificates[1]
    text = f"""
accepted_domains = ["corp.example"]
[[listeners]]
listen = "127.0.0.1:2525"
tls = "none"
[[listeners.certificates]]
certificate = "{more.file.name}"
key = "{more.key_file.name}"
"""
    (fault,) = listener_faults(settings_in(tmp_path, text), made.end - 50 * 86400)
    assert "found nothing beside certificates" in fault


class _Log:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def tell(self, level: str, event: str, **facts: Any) -> None:
        self.lines.append({"level": level, "event": event, **facts})


async def test_the_log_tells_each_once_a_day(made: Made) -> None:
    log, clock = _Log(), FakeClock(made.end - SOON + 60)
    watch = EndWatch(clock, log, lambda: made.loaded)  # type: ignore[arg-type]
    faults = date_faults(made.loaded, clock.now())
    watch.tell(faults)
    watch.tell(faults)
    assert [line["key"] for line in log.lines] == KEYS
    assert {(line["level"], line["event"]) for line in log.lines} == {("warning", "certificate_ends")}
    await clock.advance(AGAIN + 1)
    watch.tell(faults)
    assert len(log.lines) == 6


def test_status_tells_the_dates_of_now_instead_of_those_at_the_start(made: Made) -> None:
    clock = FakeClock(made.end - 60)
    status = Status(clock, Metrics(), FakeForks())
    status.settings(made.loaded, date_faults(made.loaded, made.end - SOON + 60))
    told = status.told([], certificate_warnings(made.loaded, made.end + 60))["warnings"]
    assert [one["code"] for one in told if "certificate" in one["text"]] == ["certificate_not_valid"] * 3
