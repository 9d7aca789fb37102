"""Lines for the journal have their priority in front; a file's have not, and are followed when it is rotated."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gateway.observe.journal import is_journal
from gateway.observe.log import configure
from gateway.observe.pipe import Pipe
from tests.fakes.clock import FakeClock


def test_standard_error_is_known_by_device_and_inode(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    descriptor = os.open(tmp_path / "x", os.O_RDONLY)
    try:
        there = os.fstat(descriptor)
        assert is_journal({"JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino}"}, descriptor)
        for other in ("", "8", "8:1", f"{there.st_dev}:{there.st_ino + 1}", f"0{there.st_dev}:{there.st_ino}"):
            assert not is_journal({"JOURNAL_STREAM": other}, descriptor)
    finally:
        os.close(descriptor)
    assert not is_journal({"JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino}"}, descriptor)  # Closed.


def lines(pipe: Pipe, tmp_path: Path) -> list[str]:
    for level in ("debug", "info", "warning", "error"):
        pipe.put((1.0, level, "told", {}, {"text": "a\nb"}))
    assert pipe.flush()
    pipe.close()
    return (tmp_path / "log").read_text().splitlines()


def test_each_level_has_its_priority(tmp_path: Path) -> None:
    found = lines(Pipe("debug", tmp_path / "log", "x", journal=True), tmp_path)
    assert [line[:3] for line in found] == ["<7>", "<6>", "<4>", "<3>"]
    assert [json.loads(line[3:])["level"] for line in found] == ["debug", "info", "warning", "error"]


def test_otherwise_a_line_is_json_from_its_first_letter(tmp_path: Path) -> None:
    assert [json.loads(line)["event"] for line in lines(Pipe("debug", tmp_path / "log", "x"), tmp_path)] == ["told"] * 4


def test_a_file_never_has_priorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = os.fstat(2)
    monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
    for journal in (None, True):
        log = configure("info", tmp_path / "log", "x", FakeClock(), journal=journal)
        log.tell("error", "told")
        log.close()
    assert [line[0] for line in (tmp_path / "log").read_text().splitlines()] == ["{", "{"]


def test_a_rotated_file_is_followed_with_the_next_line(tmp_path: Path) -> None:
    log = configure("info", tmp_path / "log", "x", FakeClock())
    log.tell("info", "before")
    assert log.flush()
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.tell("info", "reloaded")
    assert log.flush()
    log.close()
    assert "before" in (tmp_path / "log.1").read_text()
    assert "reloaded" in (tmp_path / "log").read_text()
    assert "reloaded" not in (tmp_path / "log.1").read_text()
