"""The journal's files: what is on disk counts, in order, and is written over only when it no longer does."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.storage import entries
from gateway.storage.entries import PAGE, batch, carried
from gateway.storage.group import StorageBroken, StorageFull
from gateway.storage.segment_file import SIZE
from gateway.storage.segments import SPARE, Place, Segments

BIG = carried(["Q" * (SIZE // 3)], [])  # Two of them fill a segment.


@pytest.fixture
def segments(tmp_path: Path) -> Iterator[Segments]:
    segments = Segments(tmp_path / "journal")
    assert segments.recover() == []
    yield segments
    segments.close()


def entry(name: str) -> bytes:
    return carried([name], [])


def found(folder: Path) -> list[str]:
    """The names in the entries that the next process finds."""
    again = Segments(folder)
    faults = again.recover()
    batches = list(again.batches(faults))
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
    faults = again.recover()
    batches = list(again.batches(faults))
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


# -- what stands in the folder that is not as we left it ---------------------------------------------------------------


def one_of(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_a_file_that_is_gone_or_cut_off_while_it_is_written_to_takes_no_mail(
    segments: Segments, tmp_path: Path
) -> None:
    """What the next process would not find must not be answered with 250."""
    segments.append([entry("a")])
    one_of(folder_of(tmp_path)).unlink()
    with pytest.raises(StorageBroken, match=r"0001\.journal was removed or cut off"):
        segments.append([entry("b")])
    segments.append([entry("c")])
    os.truncate(one_of(folder_of(tmp_path)), 3 * PAGE)
    with pytest.raises(StorageBroken, match="removed or cut off"):
        segments.append([entry("d")])
    segments.append([entry("e")])
    again = Segments(folder_of(tmp_path))
    faults = again.recover()
    names = [octets[12:18] for one in again.batches(faults) for _, octets in one.entries]
    again.close()
    assert len(names) == 3
    assert faults == ["0001.journal was cut off; what is left of it counts"]


def test_a_file_that_was_cut_off_is_no_rubbish(segments: Segments, tmp_path: Path) -> None:
    segments.append([entry("a")])
    segments.append([entry("b")])
    segments.close()
    os.truncate(one_of(folder_of(tmp_path)), PAGE + 100)
    again = Segments(folder_of(tmp_path))
    faults = again.recover()
    assert [one.ends for one in again.batches(faults)] == [PAGE, 2 * PAGE]
    assert faults == ["0001.journal was cut off; what is left of it counts"]
    again.append([entry("c")])
    again.close()
    assert found(folder_of(tmp_path)) == ["a", "b", "c"]


def test_a_damaged_beginning_is_told(segments: Segments, tmp_path: Path) -> None:
    segments.append([entry("a")])
    segments.append([entry("b")])
    segments.close()
    file = one_of(folder_of(tmp_path))
    octets = bytearray(file.read_bytes())
    octets[40] ^= 1
    file.write_bytes(octets)
    again = Segments(folder_of(tmp_path))
    faults = again.recover()
    again.close()
    assert faults == ["0001.journal is damaged between 0 and 4096"]


def test_what_a_newer_gateway_wrote_is_left_alone(segments: Segments, tmp_path: Path) -> None:
    segments.append([entry("a")])
    segments.close()
    file = one_of(folder_of(tmp_path))
    octets = bytearray(file.read_bytes())
    octets[3] += 1
    file.write_bytes(octets)
    with pytest.raises(StorageBroken, match=r"0001\.journal was written by a newer gateway"):
        Segments(folder_of(tmp_path)).recover()
    file.write_bytes(bytes(SIZE + 1))
    with pytest.raises(StorageBroken, match="is no file of this gateway's journal"):
        Segments(folder_of(tmp_path)).recover()


def test_a_pipe_or_a_link_holds_nobody_up(segments: Segments, tmp_path: Path) -> None:
    os.mkfifo(folder_of(tmp_path) / "0007.journal")
    with pytest.raises(StorageBroken, match="is no file of this gateway's journal"):
        Segments(folder_of(tmp_path)).recover()
    (folder_of(tmp_path) / "0007.journal").unlink()
    (tmp_path / "elsewhere").write_bytes(bytes(SIZE))
    (folder_of(tmp_path) / "0007.journal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic link"):
        Segments(folder_of(tmp_path)).recover()


def test_a_folder_of_another_user_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refused(path: Path, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith(".journal"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, flags, mode)

    (tmp_path / "journal").mkdir()
    (tmp_path / "journal/0001.journal").write_bytes(bytes(SIZE))
    monkeypatch.setattr("gateway.storage.segment_file.os.open", refused)
    with pytest.raises(PermissionError, match=r"0001.journal"):
        Segments(tmp_path / "journal").recover()


def test_a_copy_of_a_file_is_not_read_twice(segments: Segments, tmp_path: Path) -> None:
    segments.append([entry("a")])
    file = one_of(folder_of(tmp_path))
    (folder_of(tmp_path) / "0000.journal").write_bytes(file.read_bytes())
    segments.append([entry("b")])
    segments.close()
    again = Segments(folder_of(tmp_path))
    faults = again.recover()
    assert [octets for one in again.batches(faults) for _, octets in one.entries] == [entry("a"), entry("b")]
    assert faults == ["0000.journal is a copy of 0001.journal, and was left alone; move it away"]
    again.oldest = 2
    for _ in range(8):
        again.append([BIG])
    again.close()
    assert (folder_of(tmp_path) / "0000.journal").exists()


def test_a_batch_of_no_segment_is_none(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    for segment, oldest in ((0, 0), (1, 0), (3, 4)):
        octets = b"".join(batch(segment, oldest, [entry("a")]))
        (tmp_path / "journal/0001.journal").write_bytes(octets.ljust(SIZE, b"\0"))
        again = Segments(tmp_path / "journal")
        faults = again.recover()
        assert list(again.batches(faults)) == []
        again.append([entry("b")])
        again.close()


def test_what_fits_into_no_file_is_refused(segments: Segments, tmp_path: Path) -> None:
    with pytest.raises(StorageBroken, match="more than a file of the journal holds"):
        segments.append([entry("Q" * SIZE)])
    segments.append([entry("a")])
    assert found(folder_of(tmp_path)) == ["a"]


def test_the_folder_itself_is_on_disk_before_anything_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("gateway.storage.segments.sync_folder", synced.append)
    made = Segments(tmp_path / "journal")
    made.recover()
    assert synced == [tmp_path]
    made.append([entry("a")])
    assert synced == [tmp_path, tmp_path / "journal"]
    made.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_power_failure_in_any_write_leaves_what_was_durable_before_it(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the write that was under way any of its sectors may be on the disk, in any order; files are used again."""
    chance = random.Random(seed)
    real = os.pwritev
    folder = folder_of(tmp_path)

    def torn(descriptor: int, pieces: list[bytes], at: int) -> int:
        octets = b"".join(pieces)
        sectors = [start for start in range(0, len(octets), 512) if chance.random() < 0.7]
        for start in sectors[: chance.randrange(len(sectors) + 1)]:
            os.pwrite(descriptor, octets[start : start + 512], at + start)
        raise Failed

    class Failed(BaseException):
        """The power."""

    durable: list[tuple[int, str]] = []  # Segment and name.
    number = 0
    for _ in range(12):
        segments = Segments(folder)
        faults = segments.recover()
        names = [entries.read(octets).messages[0][:8] for b in segments.batches(faults) for _, octets in b.entries]  # type: ignore[union-attr]
        kept = [name for segment, name in durable if segment >= segments.oldest]
        assert names[: len(kept)] == kept
        assert len(names) <= len(kept) + 1, "what was being written is there whole, or not at all"
        assert faults == []
        if len(names) > len(kept):
            durable.append((segments.number, names[-1]))
        for _ in range(chance.randrange(1, 6)):
            number += 1
            name = f"{number:08}"
            (place,) = segments.append([entry(name + "x" * chance.choice((1, 5000, 90_000, SIZE // 3)))])
            durable.append((place.segment, name))
            if chance.random() < 0.4:
                segments.oldest = max(segments.oldest, place.segment - chance.randrange(2))
        with monkeypatch.context() as patch:
            patch.setattr("gateway.storage.segments.os.pwritev", torn)
            number += 1
            try:
                segments.append([entry(f"{number:08}" + "x" * chance.choice((1, 5000, 90_000)))])
            except Failed:
                pass
        segments.close()
        monkeypatch.setattr("gateway.storage.segments.os.pwritev", real)
