"""Lines and batches of the key-access log: one form, and nothing else is read."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import replace
from datetime import datetime

import pytest

from gateway.keys.access_log import (
    GENESIS,
    MAX_LINES,
    MAX_OCTETS,
    BadLine,
    Bodies,
    accepted_body,
    batch_of,
    kept,
    line_of,
    lost_body,
    next_hash,
    opened,
    parsed,
    use_body,
)
from gateway.keys.uses import Operation, Outcome
from tests.fakes.key_log import use

LINE = (
    b'{"v":1,"n":7,"time":"2026-11-03T10:00:00.001Z","kind":"use","who":"worker-0","vault":"main",'
    b'"key":"dkim.corp.example.s1","version":1,"operation":"sign","about":"message 4XYZ000001","outcome":"done"}'
)


def test_a_use_has_one_form() -> None:
    assert line_of(7, use_body(use())) == LINE
    line = parsed(LINE)
    assert (line.number, line.time, line.kind) == (7, "2026-11-03T10:00:00.001Z", "use")
    assert line.told()["line"] == 7 and line.facts["about"] == "message 4XYZ000001"


@pytest.mark.parametrize("time", [0.0, 5.0004, 1_793_700_000.0, 1_793_699_999.9994, 1_793_700_059.9996, 1e10])
def test_many_uses_are_written_as_each_is_alone(time: float) -> None:
    bodies = Bodies()
    for one in (use(), replace(use(), about='a "quoted" ü'), replace(use(), version=None, outcome=Outcome.BROKEN)):
        for moment in (time, time + 0.25, time + 60):
            written = line_of(1, bodies.of(replace(one, time=moment)))
            assert parsed(written).facts == parsed(line_of(1, use_body(one))).facts
            told = datetime.fromisoformat(parsed(written).time).timestamp()
            assert abs(told - moment) <= 0.00051


def test_other_lines_have_theirs() -> None:
    lost = parsed(line_of(1, lost_body(1.0, "worker-1", 12)))
    assert (lost.kind, lost.facts["uses"]) == ("lost", 12)
    accepted = parsed(line_of(2, accepted_body(1.0, "cli ida", 9, b"\1" * 32, "a backup was restored")))
    assert accepted.facts == {"who": "cli ida", "line": 9, "hash": "01" * 32, "reason": "a backup was restored"}


def test_a_denied_use_that_reached_no_version_is_a_line_too() -> None:
    denied = replace(use(), version=None, operation=Operation.UNWRAP, outcome=Outcome.DENIED)
    assert parsed(line_of(1, use_body(denied))).facts["version"] is None


@pytest.mark.parametrize(
    "about", ["a" * 5000, "line\nfeed", "half \ud800 a pair", 'quote " and \\', "\0\x1f\x7f", "ünï"]
)
def test_words_of_others_stay_one_line_of_bounded_length(about: str) -> None:
    line = line_of(1, use_body(replace(use(), about=about)))
    assert b"\n" not in line and len(line) < 1500
    assert parsed(line).facts["about"][:4] == about.encode("utf-8", "replace").decode()[:4]


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "no JSON"),
        (b"[]", "version mark"),
        (LINE.replace(b'"v":1', b'"v":2'), "newer gateway"),
        (LINE.replace(b'"v":1', b'"v":true'), "version mark"),
        (LINE.replace(b'"v":1', b'"v":1.0'), "version mark"),
        (LINE.replace(b"T10", b"#10"), "type"),
        (LINE.replace(b'"n":7', b'"n":0'), "type"),
        (LINE.replace(b'"n":7', b'"n":true'), "type"),
        (LINE.replace(b'"n":7', b'"n":"7"'), "type"),
        (LINE.replace(b'"n":7', b'"n": 7'), "one form"),
        (LINE.replace(b'"version":1', b'"version":1.0'), "type"),
        (LINE.replace(b'"kind":"use"', b'"kind":["use"]'), "members"),
        (LINE.replace(b'"kind":"use"', b'"kind":"lost"'), "members"),
        (LINE.replace(b',"outcome":"done"', b""), "members"),
        (LINE.replace(b'"outcome":"done"', b'"outcome":"done","more":1'), "members"),
        (LINE.replace(b'"who":"worker-0","vault":"main"', b'"vault":"main","who":"worker-0"'), "members"),
        (LINE.replace(b'{"v":1,', b'{"v":1,"v":1,'), "one form"),
        (LINE.replace(b"10:00:00.001Z", b"10:00:00"), "type"),
        (LINE.replace(b"2026-11-03T", b"tomorrow T"), "type"),
        (LINE.replace(b"message", b"m" * 9000), "longer"),
        (LINE.replace(b"message", b"\xff"), "no JSON"),
    ],
)
def test_what_is_not_exactly_in_that_form_is_no_line(octets: bytes, words: str) -> None:
    with pytest.raises(BadLine, match=words):
        parsed(octets)


def test_the_chain_is_what_a_shell_can_reckon() -> None:
    """As docs/administrator.md has it: sha256sum over the hash before, LF, the line, LF."""
    text = f"{'0' * 64}\n{LINE.decode()}\n"
    assert next_hash(GENESIS, LINE).hex() == hashlib.sha256(text.encode()).hexdigest()


def test_a_batch_continues_the_chain_and_opens_again() -> None:
    first = batch_of(1, GENESIS, [use_body(use(one)) for one in range(3)])
    second = batch_of(4, first.after, [use_body(use(9))])
    assert (first.first, first.last, second.first, second.before) == (1, 3, 4, first.after)
    lines, hints = opened(first.lines)
    assert [parsed(one).number for one in lines] == [1, 2, 3]
    hash_ = GENESIS
    for line, hint in zip(lines, hints, strict=True):
        hash_ = next_hash(hash_, line)
        assert hash_[:4] == hint
    assert hash_ == first.after
    assert first.time == 1_793_700_000_002
    with pytest.raises(ValueError, match="1 to"):
        batch_of(1, GENESIS, [])
    with pytest.raises(ValueError, match="1 to"):
        batch_of(1, GENESIS, [b"x"] * (MAX_LINES + 1))


def test_a_line_says_nothing_that_others_could_read_as_two() -> None:
    assert json.loads(LINE)["about"] == "message 4XYZ000001"


WHOLE = kept([LINE, LINE], [b"abcd", b"efgh"])


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "version mark"),
        (b"\x02" + WHOLE[1:], "version mark"),
        (WHOLE[:3], "impossible"),
        (WHOLE[:12], "impossible"),
        (WHOLE[:1] + bytes(4) + WHOLE[5:], "impossible"),
        (WHOLE[:1] + b"\xff" * 4 + WHOLE[5:], "impossible"),
        (WHOLE[:-1], "unpack"),
        (WHOLE + b"x", "to their end"),
        (WHOLE[:13] + b"xxxx", "unpack"),
        (WHOLE[:13] + zlib.compress(LINE), "to their end"),
        (WHOLE[:13] + zlib.compress(LINE + b"\n"), "holds 1 lines and says 2"),
    ],
)
def test_a_damaged_batch_is_told(octets: bytes, words: str) -> None:
    with pytest.raises(BadLine, match=words):
        opened(octets)


def test_a_batch_that_unpacks_without_end_is_not_unpacked() -> None:
    bomb = WHOLE[:13] + zlib.compress(b"\n" * (MAX_OCTETS + 1), 9)
    assert len(bomb) < 100_000
    with pytest.raises(BadLine, match="to their end"):
        opened(bomb)
