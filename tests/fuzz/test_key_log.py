"""Any octets as parts of the key-access log: read, or told in words; and no tampering that is not found."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.keys.access_head import BadHead, Kind, check, from_told, head_of, statement
from gateway.keys.access_log import GENESIS, BadLine, batch_of, kept, line_of, next_hash, opened, parsed, use_body
from gateway.keys.access_verify import Report, Verifier
from gateway.keys.vault import KeyType
from gateway.storage.key_log_rows import Batch, HeadRow
from tests.fakes.key_log import use
from tests.fakes.vault import FakeVault

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10")) / 4
LIMIT = 5.0  # Seconds for one input, on a machine that does other things too.
LINE = line_of(7, use_body(use()))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


def fuzz(play: object) -> None:
    end = monotonic() + SECONDS
    while monotonic() < end:
        play()  # type: ignore[operator]


@st.composite
def nearly_lines(draw: st.DrawFn) -> bytes:
    """A line with one member another, or one octet."""
    if draw(st.booleans()):
        found = orjson.loads(LINE)
        found[draw(st.sampled_from([*found, "more"]))] = draw(JSON)
        try:
            return orjson.dumps(found)
        except TypeError:
            return LINE
    octets = bytearray(LINE)
    octets[draw(st.integers(0, len(LINE) - 1))] = draw(st.integers(0, 255))
    return bytes(octets)


def test_any_octets_are_a_line_or_none() -> None:
    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=300) | nearly_lines())
    def play(octets: bytes) -> None:
        try:
            line = parsed(octets)
        except BadLine as told:
            assert str(told).isprintable()
            return
        # What is read says the whole of what is hashed.
        found = {"v": 1, "n": line.number, "time": line.time, "kind": line.kind, **line.facts}
        assert orjson.dumps(found) == octets

    fuzz(play)


def test_any_octets_are_a_batch_or_none() -> None:
    whole = kept([LINE, LINE], [b"abcd", b"efgh"])

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=100) | st.tuples(st.integers(0, len(whole) - 1), st.binary(max_size=6)))
    def play(given_: bytes | tuple[int, bytes]) -> None:
        octets = given_
        if isinstance(octets, tuple):
            octets = whole[: octets[0]] + octets[1] + whole[octets[0] + len(octets[1]) :]
        began = monotonic()
        try:
            lines, hints = opened(octets)
            assert len(lines) == len(hints)
        except BadLine as told:
            assert str(told).isprintable()
        assert monotonic() - began < LIMIT

    fuzz(play)


def test_any_json_is_a_head_or_none() -> None:
    vault = FakeVault()
    vault.create("access-log", KeyType.ED25519)
    octets = statement(Kind.HEAD, 7, b"\1" * 32, 5.0)
    made = vault.sign("access-log", octets)
    good = head_of(octets, "main", "access-log", 1, made.octets)
    told = good.told() | {"public_key": "AAAA"}

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(JSON | st.tuples(st.sampled_from([*told, "more"]), JSON | st.text(alphabet="AZaz09+/=")))
    def play(found: object) -> None:
        if isinstance(found, tuple):
            found = told | {found[0]: found[1]}
        try:
            head = from_told(found)
            check(head, vault.public_key("access-log"))
        except BadHead as error:
            assert str(error)
            return
        assert (head.line, head.hash, head.signature) == (good.line, good.hash, good.signature)

    fuzz(play)


class Whole:
    """A log of some batches with heads after two of them, the last one known outside the database."""

    def __init__(self) -> None:
        self.vault = FakeVault()
        self.vault.create("access-log", KeyType.ED25519)
        self.batches: list[Batch] = []
        self.heads: list[HeadRow] = []
        for place, count in enumerate((3, 1, 4, 2, 3)):
            last = self.batches[-1] if self.batches else None
            bodies = [use_body(use(10 * place + number)) for number in range(count)]
            self.batches.append(batch_of(last.last + 1 if last else 1, last.after if last else GENESIS, bodies))
            if place in (1, 4):
                tip = self.batches[-1]
                said = statement(Kind.HEAD, tip.last, tip.after, 1_793_700_000.0)
                octets = self.vault.sign("access-log", said).octets
                self.heads.append(HeadRow("head", tip.last, said, "main", "access-log", 1, octets))

    def judge(self, batches: Sequence[Batch], heads: Sequence[HeadRow]) -> Report:
        row = self.heads[-1]
        known = head_of(row.statement, row.vault, row.key, row.version, row.signature)
        verifier = Verifier(heads, lambda vault, key, version: self.vault.public_key(key) if version == 1 else None)
        verifier.watch([known])
        for batch in sorted(batches, key=lambda batch: batch.first):
            verifier.feed(batch)
        verifier.known("elsewhere", known)
        return verifier.finish()


WHOLE = Whole()
PLACES = st.integers(0, len(WHOLE.batches) - 1)
CHANGES = st.one_of(
    st.tuples(st.just("flip"), PLACES, st.sampled_from(["lines", "before", "after"]), st.integers(0, 10_000)),
    st.tuples(st.just("number"), PLACES, st.sampled_from(["first", "last", "time"]), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("drop"), PLACES, st.none(), st.none()),
    st.tuples(st.just("swap"), PLACES, st.none(), PLACES),
    st.tuples(st.just("line"), PLACES, st.sampled_from(["drop", "swap", "double"]), st.integers(0, 9)),
    st.tuples(st.just("forge"), PLACES, st.none(), st.integers(0, 9)),
    st.tuples(st.just("head"), st.integers(0, 1), st.sampled_from(["statement", "signature"]), st.integers(0, 200)),
)


def spoiled(
    batches: list[Batch], heads: list[HeadRow], change: tuple[str, int, str | None, int | None]
) -> tuple[list[Batch], list[HeadRow]]:
    kind, place, what, number = change
    if kind == "head":
        assert what is not None and number is not None
        octets = getattr(heads[place], what)
        at = number % len(octets)
        heads[place] = replace(heads[place], **{what: octets[:at] + bytes([octets[at] ^ 4]) + octets[at + 1 :]})
        return batches, heads
    if place >= len(batches):
        return batches, heads
    one = batches[place]
    if kind == "flip":
        assert what is not None and number is not None
        octets = getattr(one, what)
        at = number % len(octets)
        batches[place] = replace(one, **{what: octets[:at] + bytes([octets[at] ^ 4]) + octets[at + 1 :]})
    elif kind == "number":
        assert what is not None
        changed: dict[str, Any] = {what: number}
        batches[place] = replace(one, **changed)
    elif kind == "drop":
        del batches[place]
    elif kind == "swap" and number is not None and number < len(batches):
        other = batches[number]
        batches[place] = replace(other, first=one.first, last=one.last)
        batches[number] = replace(one, first=other.first, last=other.last)
    elif kind in ("line", "forge"):
        assert number is not None
        try:
            lines, hints = opened(one.lines)
        except BadLine:
            return batches, heads
        at = number % len(lines)
        if kind == "line":
            lines = {
                "drop": lines[:at] + lines[at + 1 :],
                "swap": [*lines[1:], lines[0]],
                "double": [*lines[: at + 1], *lines[at:]],
            }[str(what)]
            if lines:
                batches[place] = replace(one, lines=kept(lines, (hints * 2)[: len(lines)]))
        else:
            return _reckoned(batches, place, at), heads
    return batches, heads


def _reckoned(batches: list[Batch], place: int, at: int) -> list[Batch]:
    """One line another, and every hash from there on as it must be."""
    hash_ = batches[place].before
    for number in range(place, len(batches)):
        try:
            lines = opened(batches[number].lines)[0]
        except BadLine:
            return batches
        if number == place:
            lines[at] = lines[at].replace(b"done", b"gone")
        before, hints = hash_, []
        for line in lines:
            hash_ = next_hash(hash_, line)
            hints.append(hash_[:4])
        batches[number] = replace(batches[number], before=before, after=hash_, lines=kept(lines, hints))
    return batches


def contents(batches: Sequence[Batch]) -> list[object]:
    """All that a log says."""
    found: list[object] = []
    for batch in sorted(batches, key=lambda batch: batch.first):
        try:
            found.append((batch.first, batch.last, batch.time, batch.before, batch.after, opened(batch.lines)))
        except BadLine:
            found.append(batch)
    return found


def test_no_tampering_goes_unseen() -> None:
    assert WHOLE.judge(WHOLE.batches, WHOLE.heads).findings == []

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(CHANGES, min_size=1, max_size=4))
    def play(changes: list[tuple[str, int, str | None, int | None]]) -> None:
        batches, heads = list(WHOLE.batches), list(WHOLE.heads)
        for change in changes:
            batches, heads = spoiled(batches, heads, change)
        began = monotonic()
        report = WHOLE.judge(batches, heads)
        assert monotonic() - began < LIMIT
        same = contents(batches) == contents(WHOLE.batches) and heads == WHOLE.heads
        assert same == (not report.findings)
        assert all(one.sentence.isprintable() for one in report.findings)

    fuzz(play)
