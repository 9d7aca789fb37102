"""The journal's files: what is on disk counts, in order, and is written over only when it no longer does."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.storage.entries import PAGE, carried
from gateway.storage.group import StorageBroken, StorageFull
from gateway.storage.segments import SIZE, SPARE, Place, Segments

BIG = carried(["Q" * (SIZE // 3)], [])  # Two of them fill a segment.


@pytest.fixture
def segments(tmp_path: Path) -> Iterator[Segments]:
    segments = Segments(tmp_path / "journal")
    assert segments.recover() == ([], [])
    yield segments
    segments.close()


def entry(name: str) -> bytes:
    return carried([name], [])


def found(folder: Path) -> list[str]:
    """The names in the entries that the next process finds."""
    again = Segments(folder)
    batches, faults = again.recover()
    again.close()
    assert faults == []
    return [octets.decode("latin-1").split('"')[1][:10] for batch in batches for _, octets in batch.entries]


def folder_of(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def test_what_was_appended_is_found_in_its_order(segments: Segments, tmp_path: Path) -> None:
    segments.append([entry("a"), entry("b")])
    segments.append([entry("c")])
    assert found(folder_of(tmp_path)) == ["a", "b", "c"]


def test_an_entry_is_read_at_its_place(segments: Segments) -> None:
    places = segments.append([entry("a"), entry("bb")])
    assert [segments.read(place) for place in places] == [entry("a"), entry("bb")]


def test_every_write_is_durable_before_it_returns(segments: Segments) -> None:
    segments.append([entry("a")])
    descriptor = segments._used[-1].descriptor
    flags = int(Path(f"/proc/self/fdinfo/{descriptor}").read_text().split("flags:")[1].split()[0], 8)
    assert flags & os.O_DSYNC


def test_the_next_process_goes_on_behind_what_was_there(segments: Segments, tmp_path: Path) -> None:
    segments.append([entry("a")])
    segments.close()
    again = Segments(folder_of(tmp_path))
    again.recover()
    (place,) = again.append([entry("b")])
    again.close()
    assert place.segment == 1
    assert place.offset > PAGE
    assert found(folder_of(tmp_path)) == ["a", "b"]


@pytest.mark.parametrize("left", [0, 1, 28, 100, PAGE])
def test_a_write_that_a_crash_cut_off_counts_for_nothing(segments: Segments, tmp_path: Path, left: int) -> None:
    segments.append([entry("a")])
    (place,) = segments.append([BIG])
    segments.close()
    (file,) = folder_of(tmp_path).iterdir()
    octets = file.read_bytes()
    start = place.offset // PAGE * PAGE
    file.write_bytes(octets[: start + left] + bytes(len(octets) - start - left))
    assert found(folder_of(tmp_path)) == ["a"]


def test_damage_in_the_middle_is_told_and_what_stands_behind_it_counts(segments: Segments, tmp_path: Path) -> None:
    segments.append([entry("a")])
    segments.append([entry("b")])
    segments.append([entry("c")])
    segments.close()
    (file,) = folder_of(tmp_path).iterdir()
    octets = bytearray(file.read_bytes())
    octets[PAGE + 40] ^= 1
    file.write_bytes(octets)
    again = Segments(folder_of(tmp_path))
    batches, faults = again.recover()
    (place,) = again.append([entry("d")])
    again.close()
    assert len(batches) == 2
    assert len(faults) == 1
    assert "damaged between 4096 and 8192" in faults[0]
    assert place.offset > 3 * PAGE  # Nothing that counts was written over.


def test_a_file_that_was_being_made_is_removed(segments: Segments, tmp_path: Path) -> None:
    segments.append([entry("a")])
    (folder_of(tmp_path) / "0002.journal").write_bytes(bytes(PAGE))
    assert found(folder_of(tmp_path)) == ["a"]
    assert not (folder_of(tmp_path) / "0002.journal").exists()


def test_segments_follow_one_another(segments: Segments, tmp_path: Path) -> None:
    places = [segments.append([BIG])[0] for _ in range(5)]
    assert [place.segment for place in places] == [1, 1, 2, 2, 3]
    assert len(found(folder_of(tmp_path))) == 5
    assert segments.read(places[0]) == BIG


def test_what_no_longer_counts_is_not_found_once_that_is_on_disk(segments: Segments, tmp_path: Path) -> None:
    for name in "abc":
        segments.append([entry(name), BIG, BIG[:0]])
    segments.oldest = 2
    assert [name for name in found(folder_of(tmp_path)) if len(name) == 1] == ["a", "b", "c"]
    segments.append([entry("d")])
    assert [name for name in found(folder_of(tmp_path)) if len(name) == 1] == ["c", "d"]
    with pytest.raises(ValueError, match="counts no more"):
        segments.read(Place(1, 28, 5))


def test_a_file_is_used_again_only_when_the_disk_knows_that_it_does_not_count(
    segments: Segments, tmp_path: Path
) -> None:
    for _ in range(4):  # Two files.
        segments.append([BIG])
    segments.oldest = 3  # Nothing on disk tells of it yet: the first write that does may not destroy what it frees.
    segments.append([BIG])
    assert len(list(folder_of(tmp_path).iterdir())) == 3
    for _ in range(3):
        segments.append([BIG])
    assert len(list(folder_of(tmp_path).iterdir())) == 3
    assert segments._number == 4


def test_what_was_in_a_file_before_is_not_found_behind_what_is_there_now(segments: Segments, tmp_path: Path) -> None:
    for name in "aaaa":
        segments.append([entry(name), BIG])
    segments.oldest = 2
    segments.append([entry("b"), BIG])
    segments.append([entry("c")])
    segments.oldest = 3
    segments.append([entry("d"), BIG])
    segments.append([entry("e"), BIG])
    assert segments._number == 4
    assert len(list(folder_of(tmp_path).iterdir())) == 3  # The fourth lies where the first was.
    assert [name for name in found(folder_of(tmp_path)) if len(name) == 1] == ["b", "c", "d", "e"]


def test_files_without_use_are_kept_up_to_a_number(segments: Segments, tmp_path: Path) -> None:
    for _ in range(2 * (SPARE + 4)):
        segments.append([BIG])
    segments.oldest = segments._number
    segments.append([entry("a")])
    segments.append([entry("b")])
    assert len(list(folder_of(tmp_path).iterdir())) <= SPARE + 2


def test_a_full_disk_stores_nothing_and_goes_on_elsewhere(
    segments: Segments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments.append([entry("a")])

    def no_room(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.storage.segments.os.pwritev", no_room)
        with pytest.raises(StorageFull):
            segments.append([entry("b")])
        with pytest.raises(StorageFull):
            segments.append([entry("c")])
    assert len(list(folder_of(tmp_path).iterdir())) == 1  # No half made file is left.
    (place,) = segments.append([entry("d")])
    assert place.segment == 2  # What the failed write left is uncertain.
    assert found(folder_of(tmp_path)) == ["a", "d"]


def test_a_broken_disk_is_told(segments: Segments, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("gateway.storage.segments.os.pwritev", broken)
    with pytest.raises(StorageBroken, match="Input/output error"):
        segments.append([entry("a")])


def test_a_write_that_the_system_does_in_parts_is_whole(
    segments: Segments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwritev
    segments.append([entry("a")])
    monkeypatch.setattr(
        "gateway.storage.segments.os.pwritev", lambda fd, pieces, at: write(fd, [b"".join(pieces)[:10]], at)
    )
    segments.append([entry("b")])
    assert found(folder_of(tmp_path)) == ["a", "b"]


def test_files_are_for_us_alone(segments: Segments, tmp_path: Path) -> None:
    segments.append([entry("a")])
    (file,) = folder_of(tmp_path).iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder_of(tmp_path).stat().st_mode & 0o777 == 0o700
