"""The log: one JSON object a line, never in anybody's way, nothing on it that looks like content."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.keys.vault import Denied
from gateway.observe import pipe
from gateway.observe.log import Level, Log, configure
from tests.fakes.clock import FakeClock
from tests.fakes.log import fake_log

Start = Callable[..., Log]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.log"


@pytest.fixture
def start(file: Path) -> Iterator[Start]:
    """Starts a log into `file`; all are closed, and the root logger is as before, when the test ends."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logs: list[Log] = []

    def one(level: Level = "debug", clock: FakeClock | None = None) -> Log:
        logs.append(configure(level, file, "worker-1", clock or FakeClock()))
        return logs[-1]

    yield one
    for log in logs:
        log.close()
    root.handlers[:] = before
    root.setLevel(level)


def lines(log: Log, file: Path) -> list[dict[str, Any]]:
    assert log.flush()
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_line_is_one_json_object_with_time_level_process_event_and_facts(start: Start, file: Path) -> None:
    log = start(clock=FakeClock(1_793_700_000.25))
    log.bind(id="Q1").tell("info", "received", size=42, tls={"version": "TLSv1.3"})
    [line] = lines(log, file)
    assert line == {
        "time": "2026-11-03T10:00:00.250Z",
        "level": "info",
        "process": "worker-1",
        "event": "received",
        "id": "Q1",
        "size": 42,
        "tls": {"version": "TLSv1.3"},
    }
    assert datetime.fromisoformat(line["time"]).timestamp() == 1_793_700_000.25
    assert list(line)[:4] == ["time", "level", "process", "event"]


def test_lines_below_the_level_are_not_written_and_the_level_can_be_changed(start: Start, file: Path) -> None:
    log = start("warning")
    child = log.bind(id="Q1")
    child.tell("info", "one")
    child.tell("warning", "two")
    log.set_level("debug")
    child.tell("debug", "three")
    assert [line["event"] for line in lines(log, file)] == ["two", "three"]


def test_a_childs_facts_stay_its_own(start: Start, file: Path) -> None:
    log = start()
    log.bind(id="Q1").bind(delivery="Q1.1").tell("info", "sent", id="other")
    log.tell("info", "idle")
    first, second = lines(log, file)
    assert (first["id"], first["delivery"]) == ("other", "Q1.1")
    assert "id" not in second


def test_line_breaks_in_facts_do_not_make_lines(start: Start, file: Path) -> None:
    log = start()
    log.tell("info", "odd\r\nevent", reply='250 OK\r\n{"event": "forged"}')
    [line] = lines(log, file)
    assert line["reply"] == '250 OK\r\n{"event": "forged"}'


def test_facts_cannot_take_the_place_of_time_level_process_or_event(start: Start, file: Path) -> None:
    log = start()
    log.tell("info", "real", event="forged", time=1, level="error", process="x")
    [line] = lines(log, file)
    assert (line["event"], line["level"], line["process"], line["event_"]) == ("real", "info", "worker-1", "forged")


def test_content_secrets_and_octets_stay_out(start: Start, file: Path) -> None:
    log = start()
    log.tell(
        "info",
        "careless",
        content="confidential",
        Subject="confidential",
        password="confidential",
        nested={"body": "confidential", "kept": [b"confidential", bytearray(b"confidential")]},
        data=b"confidential",
    )
    [line] = lines(log, file)
    assert "confidential" not in file.read_text()
    assert line["data"] == "(12 octets, not shown)"
    assert set(line["nested"]) == {"kept"}


def test_long_things_are_cut(start: Start, file: Path) -> None:
    log = start()
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"deeper": deep}
    log.tell("info", "long", exact="x" * 500, longer="x" * 501, many=list(range(51)), deep=deep)
    [line] = lines(log, file)
    assert line["exact"] == "x" * 500
    assert line["longer"] == "x" * 500 + "... (501 characters)"
    assert line["many"][-2:] == [49, "and 1 more"]
    assert len(json.dumps(line["deep"])) < 200


class Colour(StrEnum):
    RED = "red"


class Sly:
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_odd_facts_never_stop_the_log(start: Start, file: Path) -> None:
    log = start()
    log.tell("info", "odd", colour=Colour.RED, path=Path("/x"), nan=float("nan"), lone="\udc80", none=None, yes=True)
    log.tell("info", "sly", fact=Sly())
    log.tell("info", "after")
    first, second, third = lines(log, file)
    assert (first["colour"], first["path"], first["nan"], first["lone"]) == ("red", "/x", "nan", "\\udc80")
    assert first["none"] is None
    assert first["yes"] is True
    assert (second["event"], second["unreadable"]) == ("sly", "RuntimeError")
    assert third["event"] == "after"


def test_an_exceptions_words_are_told_only_where_they_hold_no_content(start: Start, file: Path) -> None:
    log = start()
    for error in (Denied("root key 'default' is disabled"), OSError(28, "No space left"), KeyError("confidential")):
        try:
            raise error
        except Exception as caught:
            log.tell("error", "failed", error=caught)
    ours, system, other = lines(log, file)
    assert ours["error"]["text"] == "root key 'default' is disabled"
    assert "No space left" in system["error"]["text"]
    assert other["error"]["kind"] == "KeyError"
    assert "test_log.py" in other["error"]["at"][-1]
    assert "confidential" not in file.read_text()


def test_libraries_and_structlog_come_the_same_way(start: Start, file: Path) -> None:
    log = start()
    logging.getLogger("mail.log").info("RCPT from somebody")
    logging.getLogger("asyncio").warning("slow: %s", "callback")
    logging.getLogger("asyncio").error("broken %d", "format")
    try:
        raise ValueError("confidential")
    except ValueError:
        logging.getLogger("mail.log").exception("handler failed")
    structlog.get_logger().info("told", id="Q1")
    found = lines(log, file)
    assert [(line["level"], line["event"]) for line in found] == [
        ("warning", "slow: callback"),
        ("error", "broken %d"),
        ("error", "handler failed"),
        ("info", "told"),
    ]
    assert found[0]["logger"] == "asyncio"
    assert found[2]["error"]["kind"] == "ValueError"
    assert found[3]["id"] == "Q1"
    assert "confidential" not in file.read_text()


def test_a_rotated_file_is_followed(start: Start, file: Path) -> None:
    log = start()
    log.tell("info", "one")
    assert log.flush()
    file.rename(file.with_suffix(".1"))
    log.tell("info", "two")
    assert [line["event"] for line in lines(log, file)] == ["two"]
    assert '"one"' in file.with_suffix(".1").read_text()


def test_a_log_that_cannot_be_written_drops_the_unimportant_and_says_how_many(
    start: Start, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe, "MAX_LINES", 10)
    monkeypatch.setattr(pipe, "MAX_URGENT", 15)
    log = start()
    stuck, goes_on = threading.Event(), threading.Event()
    write = os.write

    def hang(descriptor: int, octets: Any) -> int:
        stuck.set()
        goes_on.wait(10)
        return write(descriptor, octets)

    monkeypatch.setattr(os, "write", hang)
    log.tell("info", "first")
    assert stuck.wait(10)
    for place in range(13):
        log.tell("info", f"info {place}")
    for place in range(7):
        log.tell("error", f"error {place}")
    goes_on.set()
    found = lines(log, file)
    events = [line["event"] for line in found if line["event"] != "log_lines_dropped"]
    assert events == ["first", *(f"info {place}" for place in range(10)), *(f"error {place}" for place in range(5))]
    assert [line["lines"] for line in found if line["event"] == "log_lines_dropped"] == [5]


def test_a_disk_that_was_full_is_told_when_it_has_room_again(
    start: Start, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = start()
    write = os.write

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda d, o: write(d, o[:10]) if o[:1] == b"{" else _full())
        log.tell("info", "lost")
        assert log.flush()
    log.tell("info", "again")
    assert log.flush()
    found = [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]
    assert [line["event"] for line in found] == ["again", "log_lines_dropped"]
    assert found[1]["lines"] == 1


def _full() -> int:
    raise OSError(28, "No space left on device")


def test_closing_writes_what_is_left_and_lets_the_root_logger_go(start: Start, file: Path) -> None:
    log = start()
    handlers = logging.getLogger().handlers[:]
    log.tell("info", "last")
    log.close()
    log.close()
    log.tell("info", "too late")
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == ["last"]
    assert len(logging.getLogger().handlers) == len(handlers) - 1


def test_a_file_that_cannot_be_opened_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        configure("info", tmp_path / "nowhere" / "x.log", "worker-1", FakeClock())


def test_standard_error_is_where_it_goes_without_a_file(capfd: pytest.CaptureFixture[str], start: Start) -> None:
    before = logging.getLogger().handlers[:]
    log = configure("info", None, "worker-1", FakeClock())
    log.tell("info", "here")
    log.close()
    logging.getLogger().handlers[:] = before
    assert json.loads(capfd.readouterr().err)["event"] == "here"


def test_the_fake_keeps_what_it_was_told() -> None:
    log, sink = fake_log()
    log.bind(id="Q1").tell("info", "received", size=1)
    assert sink.lines == [("info", "received", {"id": "Q1", "size": 1})]
    assert sink.events() == ["received"]
