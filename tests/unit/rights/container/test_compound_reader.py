"""Compound files as they are read: as others write them, and with anything wrong that can be."""

from __future__ import annotations

import os
import struct

import pytest

from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import Tree, write_compound
from gateway.rights.container.damaged import Damaged
from tests.fakes.containers import (
    CHILD,
    DIFAT,
    DIRECTORY,
    FATS,
    LEFT,
    MINI_FAT,
    RIGHT,
    SIZE,
    START,
    entries,
    entry,
    header,
    patched,
    sector,
)

LARGE = os.urandom(9000)
SMALL = os.urandom(200)
TREE: Tree = {"large": LARGE, "other": os.urandom(5000), "s": {"small": SMALL, "tiny": b"t"}}
FILE = write_compound(TREE).join()
NUMBER = {one[0]: number for number, one in enumerate(entries(FILE))}
FREE, END = 0xFFFFFFFF, 0xFFFFFFFE


def place(name: str, part: int) -> int:
    """Where that number of that entry stands in FILE."""
    return entry(FILE, NUMBER[name]) + part


def number(at: int) -> int:
    return int.from_bytes(FILE[at : at + 4], "little")


def fat(of: int) -> int:
    """Where the FAT of FILE says what follows this sector: it is its first sector."""
    return sector(0) + 4 * of


FIRST = number(place("large", START))


def read_all(octets: bytes) -> bytes:
    file = CompoundFile(octets)
    return b"".join(file.read(*path) for path in (("large",), ("other",), ("s", "small"), ("s", "tiny")))


def test_what_is_there_is_found_whatever_the_case_of_letters() -> None:
    file = CompoundFile(memoryview(FILE))
    assert file.read("Large") == LARGE
    assert file.read("S", "small") == SMALL
    assert (file.size("large"), file.size("s", "small")) == (9000, 200)
    assert file.has_stream("s", "TINY") and file.has_storage("s")
    assert not file.has_stream("s") and not file.has_storage("large") and not file.has_stream("small")
    with pytest.raises(Damaged, match="no stream"):
        file.read("s", "none")


def test_sectors_in_any_order_are_put_together() -> None:
    made = FILE
    for at in range(3):  # The second sector of the stream changes places with each later one.
        one, two = sector(FIRST + 1), sector(FIRST + 4 + at)
        swapped = bytearray(made)
        swapped[one : one + 512], swapped[two : two + 512] = made[two : two + 512], made[one : one + 512]
        made = bytes(swapped)
    order = [0, 4, 2, 3, 5, 6, 1, *range(7, 18)]
    # What was written as sector k lies at `where[k]` now.
    found: dict[bytes, int] = {made[sector(FIRST + at) : sector(FIRST + at + 1)]: at for at in range(18)}
    where = [found[FILE[sector(FIRST + at) : sector(FIRST + at + 1)]] for at in range(18)]
    assert where != list(range(18)) and sorted(order) == sorted(where)
    for at in range(17):
        made = patched(made, fat(FIRST + where[at]), FIRST + where[at + 1])
    made = patched(made, fat(FIRST + where[17]), END)
    assert CompoundFile(made).read("large") == LARGE


def test_what_is_set_aside_behind_a_stream_is_not_looked_at() -> None:
    assert read_all(patched(FILE, place("large", SIZE), 8000))[:8000] == LARGE[:8000]


def test_a_file_whose_last_sector_is_cut_behind_the_last_octet_is_read() -> None:
    octets = write_compound({"a": LARGE}).join()
    assert CompoundFile(octets[: -(-9000 % 512)]).read("a") == LARGE
    with pytest.raises(Damaged, match="ends early"):
        CompoundFile(octets[: -(-9000 % 512) - 1])


def test_a_mini_stream_that_ends_inside_a_stream_is_damaged() -> None:
    octets = write_compound({"a": SMALL}).join()
    size = entry(octets, 0) + SIZE
    assert CompoundFile(patched(octets, size, 200)).read("a") == SMALL
    with pytest.raises(Damaged, match="the mini stream ends early"):
        CompoundFile(patched(octets, size, 199))
    # The mini stream has the last sector here, and the file ends in it.
    assert CompoundFile(octets[:-256]).read("a") == SMALL
    with pytest.raises(Damaged, match="ends early"):
        CompoundFile(octets[:-257])


def test_a_fat_in_a_sector_that_is_cut_is_damaged() -> None:
    moved = patched(FILE + FILE[sector(0) : sector(1)], 76, len(FILE) // 512 - 1)
    moved = patched(moved, sector(len(FILE) // 512 - 1) + 4 * (len(FILE) // 512 - 1), 0xFFFFFFFD)
    assert read_all(moved) == read_all(FILE)
    with pytest.raises(Damaged, match="ends early"):
        CompoundFile(moved[:-1])


def test_trees_without_colours_and_without_order_are_read() -> None:
    made = FILE
    for one in NUMBER.values():
        made = patched(made, entry(made, one) + 67, 1, size=1)
    top = entries(made)[0][5]
    left, right = number(entry(made, top) + LEFT), number(entry(made, top) + RIGHT)
    made = patched(patched(made, entry(made, top) + LEFT, right), entry(made, top) + RIGHT, left)
    assert read_all(made) == read_all(FILE)


DAMAGED = {
    "nothing": (b"", "no header"),
    "half a header": (FILE[:511], "no header"),
    "another signature": (b"PK" + FILE[2:], "signature"),
    "version 4": (patched(FILE, 26, 4, 2), "version 3"),
    "big-endian": (patched(FILE, 28, 0xFEFF, 2), "version 3"),
    "sectors of 4,096 octets": (patched(FILE, 30, 12, 2), "version 3"),
    "mini sectors of 128 octets": (patched(FILE, 32, 7, 2), "version 3"),
    "another cutoff": (patched(FILE, 56, 512), "version 3"),
    "more FAT than file": (patched(FILE, FATS, 1000), "size of the FAT"),
    "no FAT": (patched(FILE, FATS, 0), "ends early or leaves"),
    "a FAT sector outside": (patched(FILE, 76, 500), "outside"),
    "a FAT sector twice": (patched(patched(FILE, FATS, 2), 80, 0), "two places"),
    "no directory": (patched(FILE, DIRECTORY, END), "size of the directory"),
    "a directory outside": (patched(FILE, DIRECTORY, 400), "leaves"),
    "a directory that loops": (patched(FILE, fat(number(DIRECTORY)), number(DIRECTORY)), "two places"),
    "a stream that loops": (patched(FILE, fat(FIRST + 3), FIRST), "two places"),
    "a stream that ends early": (patched(FILE, fat(FIRST + 3), END), "ends early"),
    "a stream that leaves the file": (patched(FILE, fat(FIRST + 3), 5000), "leaves"),
    "a stream that begins outside": (patched(FILE, place("large", START), 5000), "leaves"),
    "a stream in free sectors": (patched(FILE, place("large", START), FREE), "leaves"),
    "two streams in one place": (patched(FILE, place("other", START), FIRST), "two places"),
    "a stream in the directory": (patched(FILE, place("other", START), number(DIRECTORY)), "two places"),
    "a stream longer than its chain": (patched(FILE, place("large", SIZE), 9300), "ends early"),
    "a stream longer than the file": (patched(FILE, place("large", SIZE), 2**31), "ends early"),
    "a stream of 4 GiB and more": (patched(FILE, place("large", SIZE) + 4, 1), "size of a stream"),
    "a mini stream of 4 GiB and more": (patched(FILE, place("Root Entry", SIZE) + 4, 1), "size of a stream"),
    "a mini stream outside": (patched(FILE, place("Root Entry", START), 5000), "leaves"),
    "a mini stream that is too short": (patched(FILE, place("Root Entry", SIZE), 199), "ends early"),
    "no mini FAT": (patched(patched(FILE, MINI_FAT, END), MINI_FAT + 4, 0), "ends early"),
    "a mini chain that loops": (
        patched(
            FILE, sector(number(MINI_FAT)) + 4 * (number(place("small", START)) + 1), number(place("small", START))
        ),
        "two places",
    ),
    "two small streams in one place": (
        patched(FILE, place("tiny", START), number(place("small", START))),
        "two places",
    ),
    "a root that is none": (patched(FILE, place("Root Entry", 66), 1, 1), "no root"),
    "a second root": (patched(FILE, place("s", 66), 5, 1), "second root"),
    "an entry that stands for nothing": (patched(FILE, place("s", 66), 0, 1), "kind"),
    "an entry of another kind": (patched(FILE, place("s", 66), 3, 1), "kind"),
    "a name without length": (patched(FILE, place("s", 64), 0, 2), "name"),
    "half a letter": (patched(FILE, place("large", 64), 11, 2), "name"),
    "a name longer than its room": (patched(FILE, place("large", 64), 66, 2), "name"),
    "a name that does not end": (patched(FILE, place("large", 64), 10, 2), "name"),
    "half a pair": (patched(FILE, place("large", 0), 0xD800, 2), "name"),
    "two of one name": (
        FILE.replace("other\0".encode("utf-16-le"), "LARGE\0".encode("utf-16-le")),
        "two of one name",
    ),
    "a tree that loops": (patched(FILE, place("large", LEFT), NUMBER["large"]), "loops"),
    "a tree that comes back to the root": (patched(FILE, place("s", CHILD), 0), "loops"),
    "a child of two": (patched(FILE, place("other", LEFT), number(place("s", CHILD))), "loops"),
    "a tree that leaves the directory": (patched(FILE, place("s", CHILD), 77), "leaves itself"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_wrong_is_told(case: str) -> None:
    octets, words = DAMAGED[case]
    with pytest.raises(Damaged, match=words):
        CompoundFile(octets)


def test_a_difat_that_loops_or_ends_is_damaged() -> None:
    octets = write_compound({"a": bytes(110 * 128 * 512)}).join()
    first = header(octets, DIFAT)
    assert CompoundFile(octets).size("a") == 110 * 128 * 512
    for wrong, words in ((0, "two places"), (FREE, "outside"), (2**20, "outside")):
        with pytest.raises(Damaged, match=words):
            CompoundFile(patched(octets, DIFAT, wrong))
    # A list of 240 FAT sectors takes a second sector: it must not be the first one again.
    more = patched(octets, FATS, 250)
    with pytest.raises(Damaged, match="two places"):
        CompoundFile(patched(more, sector(first) + 508, first))
    with pytest.raises(Damaged, match="outside"):
        CompoundFile(more)


def test_4096_entries_are_taken_and_no_more() -> None:
    names = {f"{number}": b"" for number in range(4095)}  # and the root
    assert CompoundFile(write_compound(names).join()).has_stream("4094")
    with pytest.raises(Damaged, match="size of the directory"):
        CompoundFile(write_compound(names | {"x": b""}).join())


def test_eight_levels_are_taken_and_no_more() -> None:
    tree: Tree = {"last": b"deep"}
    for _ in range(7):
        tree = {"s": tree}
    assert CompoundFile(write_compound(tree).join()).read(*"sssssss", "last") == b"deep"
    with pytest.raises(Damaged, match="too deep"):
        CompoundFile(write_compound({"s": tree}).join())


def test_a_directory_as_one_long_list_is_walked_without_recursion() -> None:
    octets = write_compound({f"{number:04}": b"" for number in range(4000)}).join()
    for one in range(1, 4001):
        at = entry(octets, one)
        octets = octets if one % 500 else patched(octets, 8, 0, 16)
        octets = octets[: at + LEFT] + struct.pack("<II", FREE, one + 1 if one < 4000 else FREE) + octets[at + CHILD :]
    octets = patched(octets, entry(octets, 0) + CHILD, 1)
    file = CompoundFile(octets)
    assert file.has_stream("0000") and file.has_stream("3999")


def test_words_of_what_is_wrong_hold_nothing_of_the_file() -> None:
    with pytest.raises(Damaged) as told:
        CompoundFile(b"secret lantern " * 50)
    assert "lantern" not in str(told.value)
