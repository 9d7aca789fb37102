"""A file of recipients that changes while the gateway runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.directory import flaw
from gateway.directory.model import Answer
from gateway.directory.terms import By
from gateway.directory.watched import Watched, read_file
from gateway.mail.address import parse_address

IDA, OTTO = parse_address("ida@corp.example"), parse_address("otto@corp.example")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recipients.txt"
    path.write_text("ida@corp.example\n")
    return path


@pytest.fixture
def watched(file: Path) -> Watched:
    one = Watched(file, By.LIST)
    assert one.look(at_once=True) is not None
    return one


def test_it_knows_who_stands_in_it(watched: Watched) -> None:
    assert watched.knows(IDA, None) is Answer.KNOWN
    assert watched.knows(OTTO, None) is Answer.UNKNOWN
    assert watched.look() is None


def test_a_change_counts_once_two_looks_find_it_the_same(file: Path, watched: Watched) -> None:
    """Whoever writes a file in pieces must not have half of it read: the other half's people would be refused."""
    file.write_text("otto@corp.example\n")
    assert watched.look() is None
    assert watched.knows(IDA, None) is Answer.KNOWN
    file.write_text("otto@corp.example\nida2@corp.example\n")
    assert watched.look() is None
    change = watched.look()
    assert change is not None and change.entries == 2
    assert watched.knows(OTTO, None) is Answer.KNOWN
    assert watched.knows(IDA, None) is Answer.UNKNOWN


def test_a_file_that_was_replaced_by_one_of_the_same_size_and_time_is_seen(file: Path, watched: Watched) -> None:
    before = file.stat()
    other = file.with_name("other")
    other.write_text("ola@corp.example\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    watched.look()
    assert watched.look() is not None
    assert watched.knows(IDA, None) is Answer.UNKNOWN


@pytest.mark.parametrize("bad", ["", "no address\n", None])
def test_a_bad_or_missing_file_changes_nothing_and_is_told_once(file: Path, watched: Watched, bad: str | None) -> None:
    if bad is None:
        file.unlink()
    else:
        file.write_text(bad)
    watched.look()
    change = watched.look()
    assert change is not None and change.flaws
    assert watched.flaws == change.flaws
    assert watched.knows(IDA, None) is Answer.KNOWN
    assert watched.look() is None
    file.write_text("otto@corp.example\n")
    watched.look()
    assert watched.look() is not None
    assert watched.flaws == ()


def test_without_a_good_file_nobody_is_unknown(tmp_path: Path) -> None:
    watched = Watched(tmp_path / "missing.txt", By.LIST)
    change = watched.look(at_once=True)
    assert change is not None and "no such file" in change.flaws[0].found
    assert watched.knows(IDA, None) is Answer.UNSURE
    assert watched.look() is None


def test_what_is_no_utf8_is_told_with_its_line(file: Path) -> None:
    file.write_bytes(b"ida@corp.example\n\xff\xfe\n")
    with pytest.raises(flaw.Unreadable, match="line 2: found octets that are not UTF-8"):
        read_file(file, By.LIST)


def test_one_octet_over_the_limit_is_too_large(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = file.stat().st_size
    monkeypatch.setattr(flaw, "MAX_FILE", size)
    assert read_file(file, By.LIST).known
    monkeypatch.setattr(flaw, "MAX_FILE", size - 1)
    with pytest.raises(flaw.Unreadable, match="more than"):
        read_file(file, By.LIST)


def test_a_directory_is_read_by_its_own_reader(tmp_path: Path) -> None:
    file = tmp_path / "people.yaml"
    file.write_text("version: 1\npeople: [{addresses: [ida@corp.example]}]\n")
    watched = Watched(file, By.DIRECTORY)
    watched.look(at_once=True)
    assert watched.knows(IDA, None) is Answer.KNOWN
