"""Entries and batches of the journal: what was written is read, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from gateway.storage.entries import (
    PAGE,
    BadEntry,
    Carried,
    Done,
    Entry,
    Taken,
    batch,
    batch_size,
    carried,
    done,
    read,
    read_batch,
    taken,
)

MESSAGE = ("Q1", 1000, 5, b"sealed content")
DELIVERY = ("Q1.1", "Q1", "out", -77, "new", 1000, 0, 1000, 5, b"sealed delivery")
RECORD = (1234567890123456, "Q1", "trace", b"sealed record")


@pytest.mark.parametrize(
    ("octets", "entry"),
    [
        (taken(MESSAGE, [DELIVERY], [RECORD]), Taken(MESSAGE, [DELIVERY], [RECORD])),
        (taken((*MESSAGE[:3], None), [DELIVERY, DELIVERY], []), Taken((*MESSAGE[:3], None), [DELIVERY, DELIVERY], [])),
        (taken((*MESSAGE[:3], b""), [], []), Taken((*MESSAGE[:3], b""), [], [])),
        (done("Q1.1", "Q1", [RECORD, RECORD]), Done("Q1.1", "Q1", [RECORD, RECORD])),
        (carried(["Q1", "Q2"], [7]), Carried(["Q1", "Q2"], [7])),
    ],
)
def test_what_was_written_is_read(octets: bytes, entry: Entry) -> None:
    assert read(octets) == entry


@pytest.mark.parametrize("cut", range(40))
def test_an_entry_that_is_cut_off_or_too_long_is_told(cut: int) -> None:
    octets = taken(MESSAGE, [DELIVERY], [RECORD])
    with pytest.raises(BadEntry):
        read(octets[: len(octets) - 1 - cut])
    with pytest.raises(BadEntry):
        read(octets + bytes(cut + 1))


def test_an_entry_of_a_newer_gateway_is_told() -> None:
    octets = bytearray(done("Q1.1", "Q1", []))
    octets[4] = 9
    with pytest.raises(BadEntry, match="unknown kind 9"):
        read(bytes(octets))


def test_a_batch_fills_whole_pages_and_tells_where_its_entries_stand() -> None:
    entries = [done("Q1.1", "Q1", [RECORD]), carried(["Q1"], [])]
    octets = b"".join(batch(3, 2, entries))
    assert len(octets) == batch_size(sum(map(len, entries))) == PAGE
    found = read_batch(b"\0" * PAGE + octets, PAGE)
    assert found is not None
    assert (found.segment, found.oldest, found.ends) == (3, 2, 2 * PAGE)
    assert [entry for _, entry in found.entries] == entries
    assert all((b"\0" * PAGE + octets)[at:][: len(entry)] == entry for at, entry in found.entries)


@pytest.mark.parametrize("octets", [0, 1, PAGE - 29, PAGE - 28, PAGE - 27, 3 * PAGE])
def test_the_size_of_a_batch_is_known_before_it_is_made(octets: int) -> None:
    assert len(b"".join(batch(1, 1, [b"x" * octets]))) == batch_size(octets)


def test_a_batch_with_one_octet_changed_is_none() -> None:
    octets = b"".join(batch(1, 1, [done("Q1.1", "Q1", [RECORD])]))
    length = 28 + len(done("Q1.1", "Q1", [RECORD]))
    assert read_batch(octets, 0) is not None
    for at in range(length):
        changed = bytearray(octets)
        changed[at] ^= 1
        assert read_batch(bytes(changed), 0) is None, at


def test_what_is_too_short_for_a_batch_is_none() -> None:
    octets = b"".join(batch(1, 1, [b"x" * 100]))
    for length in range(120):
        assert read_batch(octets[:length], 0) is None


def test_a_batch_that_ends_within_an_entry_is_told() -> None:
    with pytest.raises(BadEntry, match="within an entry"):
        read_batch(b"".join(batch(1, 1, [b"\0\0\0\xffxx"])), 0)
