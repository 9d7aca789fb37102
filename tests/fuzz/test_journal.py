"""Any octets as entries, batches and files of the journal: read, or told in words, in bounded time."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from time import monotonic, process_time

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.storage import entries
from gateway.storage.entries import PAGE, BadEntry, Entry, Taken, batch, read_batch
from gateway.storage.group import StorageBroken
from gateway.storage.replay import replayed, waiting_messages, waiting_sizes
from gateway.storage.segment_file import SIZE, batches, look
from gateway.storage.segments import Segments

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10")) / 3
LIMIT = 5.0  # Seconds for one file, on a machine that does other things too.

DELIVERY = ("Q1.1", "Q1", "out", -77, "new", 1000, 0, 1000, 5, b"sealed delivery")
RECORD = (1234567890123456, "Q1", "trace", b"sealed record")
WHOLE = (
    entries.taken(("Q1", 1000, 5, b"sealed content"), [DELIVERY], [RECORD]),
    entries.done("Q1.1", "Q1", [RECORD]),
    entries.carried(["Q1", "Q2"], [7]),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)
CHANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4)


def forged(kind: int, head: object, rest: bytes) -> bytes:
    """An entry whose lengths are right, whatever stands in it."""
    octets = orjson.dumps(head)
    return entries._ENTRY.pack(4 + len(octets) + len(rest), kind) + entries._HEAD.pack(len(octets)) + octets + rest


@st.composite
def heads(draw: st.DrawFn) -> object:
    """Nearly the heads that we write."""
    row = st.lists(st.just("Q1") | st.integers(-(2**63), 2**63) | JSON, min_size=3, max_size=11)
    rows = st.lists(row, max_size=3)
    return draw(st.tuples(row, rows, rows) | st.tuples(st.just("Q1.1"), st.just("Q1"), rows) | st.tuples(rows, rows))


def is_json(head: object) -> bool:
    try:
        orjson.dumps(head)
    except (TypeError, ValueError):  # Numbers of more than 64 bits, lone surrogates.
        return False
    return True


ENTRIES = (
    st.binary(max_size=200)
    | st.builds(
        lambda whole, changes: bytes(spoiled(whole, changes)),
        st.sampled_from(WHOLE),
        CHANGES,
    )
    | st.builds(forged, st.integers(0, 5), (heads() | JSON).filter(is_json), st.binary(max_size=40))
)


def spoiled(whole: bytes, changes: Iterable[tuple[int, int]]) -> bytearray:
    octets = bytearray(whole)
    for at, value in changes:
        octets[at % len(octets)] = value
    return octets


def judge(octets: bytes) -> Entry | None:
    """The entry, which then has the form that the database and the rest of us rely on."""
    try:
        entry = entries.read(octets)
    except BadEntry as told:
        assert str(told).isprintable()
        return None
    if isinstance(entry, Taken):
        id_, received, size, content = entry.message
        assert isinstance(received, int)
        assert isinstance(size, int)
        assert content is None or isinstance(content, bytes)
        assert "/" not in id_
        assert id_ not in ("", ".", "..")
        assert all(len(row) == 10 and row[1] == id_ for row in entry.deliveries)
    return entry


def test_what_we_write_passes() -> None:
    assert all(judge(octets) is not None for octets in WHOLE)


def test_any_octets_are_an_entry_or_a_bad_one() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ENTRIES)
    def play(octets: bytes) -> None:
        judge(octets)

    while monotonic() < end:
        play()


def test_any_octets_are_a_batch_or_none() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(ENTRIES, max_size=4), CHANGES, st.binary(max_size=100), st.integers(0, 300))
    def play(some: list[bytes], changes: list[tuple[int, int]], octets: bytes, at: int) -> None:
        whole = bytes(spoiled(b"".join(batch(3, 2, some)), changes))
        for one, start in ((whole, 0), (octets, 0), (whole, at)):
            try:
                read_batch(one, start)
            except BadEntry as told:
                assert str(told).isprintable()

    while monotonic() < end:
        play()


BATCHES = st.tuples(
    st.integers(0, 6), st.integers(0, 6), st.lists(ENTRIES, max_size=3), CHANGES, st.booleans(), st.integers(0, 3)
)


def file_of(parts: list[tuple[int, int, list[bytes], list[tuple[int, int]], bool, int]]) -> bytes:
    """Batches of any segments one behind the other, some of them spoiled, with pages of nothing between them."""
    octets = bytearray()
    for segment, oldest, some, changes, spoil, pages in parts:
        one = b"".join(batch(segment, oldest, some))
        octets += bytes(spoiled(one, changes)) if spoil else one
        octets += bytes(pages * PAGE)
    return bytes(octets[:SIZE])


def test_any_files_are_read_and_gone_on_with(tmp_path: Path) -> None:
    end = monotonic() + SECONDS
    runs = iter(range(1_000_000))

    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(st.lists(BATCHES, max_size=5), min_size=1, max_size=3), st.booleans())
    def play(files: list[list[tuple[int, int, list[bytes], list[tuple[int, int]], bool, int]]], cut: bool) -> None:
        if monotonic() > end + 30:
            return
        folder = tmp_path / str(next(runs))
        folder.mkdir()
        for number, parts in enumerate(files, 1):
            octets = file_of(parts)
            (folder / f"{number:04}.journal").write_bytes(octets if cut else octets.ljust(SIZE, b"\0"))
        began = monotonic()
        segments = Segments(folder)
        try:
            waiting = waiting_messages(folder)
            assert waiting_sizes(folder).keys() == waiting
            faults = segments.recover()
            fresh = replayed(segments.batches(faults), faults)
            assert {one.message for one in fresh} == waiting
            assert all(text.isprintable() for text in faults)
            (place,) = segments.append([WHOLE[0]])
            assert segments.read(place) == WHOLE[0]
        except StorageBroken as told:
            assert "newer gateway" in str(told)
        finally:
            segments.close()
            for path in folder.iterdir():
                path.unlink()
        assert monotonic() - began < LIMIT

    while monotonic() < end:
        play()


@pytest.mark.timeout(180)
def test_a_file_made_to_take_long_does_not(tmp_path: Path) -> None:
    """Each page claims to begin a batch of all that is behind it; a batch is full of entries of nothing."""
    claim = entries._BATCH.pack(entries.MARK, 1, 1, SIZE - entries.HEAD - SIZE // 2, 0).ljust(PAGE, b"\0")
    empty = b"".join(batch(2, 1, [bytes(5) * ((SIZE - PAGE) // 5)]))
    for octets in (claim * (SIZE // PAGE), empty.ljust(SIZE, b"\0")):
        began = process_time()  # Others run on this machine too.
        faults: list[str] = []
        found = look(octets, tmp_path / "0001.journal")
        replayed(batches(octets, found, "0001.journal", faults), faults)
        assert process_time() - began < 6 * LIMIT
