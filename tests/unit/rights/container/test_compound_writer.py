"""Compound files as they are written, by the numbers in them and by other readers."""

from __future__ import annotations

import io
import itertools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.rights.container import compound
from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import Tree, write_compound
from tests.fakes.containers import DIFAT, FATS, entries, header

EDGES = [0, 1, 63, 64, 65, 511, 512, 513, 4032, 4095, 4096, 4097, 4608, 8191, 70_000]


def nested() -> Tree:
    """Streams of all lengths that could go wrong, at several depths."""
    tree: Tree = {}
    for depth in range(3):
        streams = {f"Stream {depth}.{size}": os.urandom(size) for size in EDGES}
        tree = {**streams, f"Storage {depth}": tree, "\x06E": {}}
    return tree


def flat(tree: Tree, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], bytes]:
    found: dict[tuple[str, ...], bytes] = {}
    for name, content in tree.items():
        if isinstance(content, (bytes, memoryview)):
            found[(*path, name)] = bytes(content)
        else:
            found |= flat(content, (*path, name))
    return found


def olefile() -> Any:
    return pytest.importorskip("olefile", reason="olefile is not here: nobody else judges our compound files")


def test_olefile_finds_every_stream_and_nothing_to_complain_of() -> None:
    tree = nested()
    file = olefile().OleFileIO(io.BytesIO(write_compound(tree).join()), raise_defects=0)
    assert file.parsing_issues == []
    assert {tuple(path): file.openstream(path).read() for path in file.listdir()} == flat(tree)


def test_our_own_reader_finds_every_stream() -> None:
    tree = nested()
    file = CompoundFile(write_compound(tree).join())
    assert {path: file.read(*path) for path in flat(tree)} == flat(tree)
    assert file.has_storage("Storage 2", "\x06E")


@pytest.mark.parametrize("fats", [108, 109, 110, 109 + 127, 109 + 128])
def test_where_the_header_has_no_more_room_for_the_fat_the_difat_goes_on(fats: int) -> None:
    difats = -(-max(0, fats - 109) // 127)
    # The FAT is full to its last number: itself, the DIFAT, directory, mini FAT, mini stream and this.
    content = os.urandom(4096) + bytes((fats * 127 - difats - 3) * 512 - 4096)
    octets = write_compound({"a": b"short", "b": content}).join()
    assert header(octets, FATS) == fats
    assert header(octets, DIFAT + 4) == difats
    assert CompoundFile(octets).read("b") == content
    file = olefile().OleFileIO(io.BytesIO(octets), raise_defects=0)
    assert file.openstream("b").read() == content
    assert file.parsing_issues == []


def test_a_file_of_ten_mebibytes_is_read_by_7z(tmp_path: Path) -> None:
    program = shutil.which("7z")
    if program is None:
        pytest.skip("the package p7zip-full is not here: 7-Zip does not judge our compound files")
    content = os.urandom(10 * 1024 * 1024)
    (tmp_path / "file").write_bytes(write_compound({"List": {"Content": content, "Name": b"n"}, "x": b"y"}).join())
    command = [program, "x", "-so", "-tCompound", str(tmp_path / "file")]
    done = subprocess.run([*command, "List/Content"], capture_output=True, timeout=30)
    assert (done.returncode, done.stdout == content) == (0, True)
    tested = subprocess.run([program, "t", "-tCompound", str(tmp_path / "file")], capture_output=True, timeout=30)
    assert b"Everything is Ok" in tested.stdout


@pytest.mark.parametrize("count", [*range(18), 31, 32, 100])
def test_siblings_make_a_sorted_tree_of_red_and_black_nodes(count: int) -> None:
    made = (first + rest for rest in ["", "C", "cc", "_", "EE"] for first in "zb_AyXwvuTsrqponmlkJ")
    names = list(itertools.islice(made, count))
    found = entries(write_compound(dict.fromkeys(names, b"")).join())

    def walk(number: int, red_above: bool) -> tuple[list[str], int]:
        """Names in order, and the black nodes on every way down."""
        if number == 0xFFFFFFFF:
            return [], 0
        name, _, colour, left, right, _ = found[number]
        red = colour == compound.RED
        assert not (red and red_above)
        before, blacks = walk(left, red)
        behind, as_many = walk(right, red)
        assert blacks == as_many
        return [*before, name, *behind], blacks + (not red)

    top = found[0][5]
    assert top == 0xFFFFFFFF or found[top][2] == compound.BLACK
    in_order, _ = walk(top, True)
    assert in_order == sorted(names, key=lambda name: (len(name), name.upper()))
    assert len(in_order) == count


def test_names_are_ordered_by_length_and_then_in_upper_case_unit_by_unit() -> None:
    # 2.6.4: an underscore stands behind upper-case letters, and U+FFxx behind the halves of a pair.
    names = ["b", "_", "\u00e9", "\uff21", "aa", "\U0001f512", "\U00010428"]
    assert sorted(set(names), key=compound.order) == [
        "b",
        "_",
        "\u00e9",
        "\uff21",
        "aa",
        "\U00010428",
        "\U0001f512",
    ]
    assert compound.folded("stra\u00dfe \u00e9 \U00010428") == "STRA\u00dfE \u00c9 \U00010428"


def test_large_streams_stand_at_the_end_uncopied_in_the_order_they_were_given() -> None:
    first, last = os.urandom(5000), os.urandom(4096)
    written = write_compound({"z": {"long name": first}, "b": b"small", "a": last})
    assert [piece is one for piece, one in zip(written.streams[::2], (first, last), strict=True)] == [True, True]
    assert written.streams[1] == bytes(120)  # up to the end of the sector
    assert len(written.head) % 512 == 0


def test_an_empty_stream_begins_nowhere_and_an_empty_file_has_a_root() -> None:
    octets = write_compound({"e": b""}).join()
    at = octets.index("e\0\0\0".encode("latin-1"), 512)
    assert octets[at + 116 : at + 124] == bytes.fromhex("FEFFFFFF00000000")
    assert [one[:3] for one in entries(write_compound({}).join())] == [("Root Entry", 5, 1)]


@pytest.mark.parametrize(
    "names", [[""], ["n" * 32], ["a/b"], ["a\\b"], ["a:b"], ["a!b"], ["a\0"], ["Ab", "aB"], ["\ud800"]]
)
def test_names_that_a_directory_can_not_hold_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"name|surrogates"):
        write_compound(dict.fromkeys(names, b""))
    write_compound({"n" * 31: b""})


def test_content_is_not_in_what_python_shows() -> None:
    assert "lantern" not in repr(write_compound({"a": b"lantern" * 1000}))
