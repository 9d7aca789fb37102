"""Any octets as message.rpmsg, as compound file, as inner file: read or damaged, in bounded time and memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from time import process_time
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.rights.container.compound_reader import CompoundFile
from gateway.rights.container.compound_writer import Octets, Tree, write_compound
from gateway.rights.container.container import read_rpmsg, write_rpmsg
from gateway.rights.container.damaged import Damaged
from gateway.rights.container.envelope import read_envelope
from gateway.rights.container.inner import Inner, InnerAttachment, read_inner, write_inner
from tests.fakes.containers import many_streams, one_stream
from tests.fuzz.rounds import ROUND, for_seconds

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10")) / 2  # Two targets.
MOST = 100_000

INNER = Inner("text", "<p>", (InnerAttachment("a.png", "cid", b"a" * 5000), InnerAttachment("b", None, b"b")), b"mail")
FILES = [
    write_inner(INNER),
    write_inner(Inner(None, "<p>" * 2000)),
    read_envelope(write_rpmsg(b"<X/>" * 2000, struct.pack("<Q", 4608) + bytes(4608))),
    read_envelope(write_rpmsg(b"<X/>", struct.pack("<Q", 512) + bytes(512))),
    write_compound({"s": {"s": {"a": b"1", "b": b"2" * 70}}, "c": bytes(30_000)}).join(),
]
ENVELOPES: list[Callable[[bytes], bytes]] = [one_stream, many_streams, lambda plain: one_stream(plain, level=0)]


def edited(octets: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """With octets replaced, put in or cut out; mostly where the numbers are: in front."""
    made = bytearray(octets)
    for where, length, new in edits:
        start = int(where**2 * len(made))
        made[start : start + length] = new
    return bytes(made)


NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 3, 0xFFFFFFFC, 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF, 0x7FFFFFFF]), st.integers(0, 80)
)
NUMBER = st.tuples(
    st.floats(0, 1, exclude_max=True).map(lambda where: where // 0.0005 * 0.0005),
    st.just(4),
    NUMBERS.map(lambda number: struct.pack("<I", number)),
)
EDIT = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 8), st.binary(max_size=8))
EDITS = st.lists(st.one_of(NUMBER, EDIT), max_size=4)


def numbered(octets: bytes, edits: list[tuple[int, int]]) -> bytes:
    """With 32-bit numbers changed where such stand."""
    made = bytearray(octets)
    for at, number in edits:
        struct.pack_into("<I", made, at * 4 % (len(made) - 3), number)
    return bytes(made)


PLAIN = st.one_of(
    st.builds(edited, st.sampled_from(FILES), EDITS),
    st.builds(numbered, st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 1500), NUMBERS), max_size=6)),
)
FILE = st.one_of(
    st.binary(max_size=100),
    st.builds(lambda envelope, plain: envelope(plain), st.sampled_from(ENVELOPES), PLAIN),
    st.builds(lambda plain, edits: edited(one_stream(plain), edits), st.sampled_from(FILES), EDITS),
)
NAMES = st.text(st.characters(exclude_characters="/\\:!\0", exclude_categories=["Cs"]), min_size=1, max_size=15)
TREES = st.recursive(
    st.dictionaries(NAMES, st.binary(max_size=100) | st.integers(0, 9000), max_size=5),
    lambda below: st.dictionaries(NAMES, below | st.binary(max_size=9), max_size=5),
    max_leaves=20,
)


def test_any_octets_are_read_or_damaged() -> None:
    @ROUND
    @given(FILE, PLAIN)
    def judged(octets: bytes, plain: bytes) -> None:
        began = process_time()
        try:
            parts = read_rpmsg(octets, MOST)
        except Damaged as damaged:
            assert len(str(damaged)) < 80
        else:
            assert 0 < len(parts.licence) + len(parts.drm_content) <= MOST
        try:
            inner = read_inner(plain)
        except Damaged as damaged:
            assert len(str(damaged)) < 80
        else:
            held = sum(len(one.octets) for one in inner.attachments) + len(inner.original or b"")
            assert held <= len(plain)
            write_inner(Inner(inner.text, inner.html, (), inner.original))
        assert process_time() - began < 1

    for_seconds(SECONDS, judged)


Drawn: TypeAlias = "Mapping[str, bytes | int | Drawn]"


def made(drawn: Drawn) -> Tree:
    """With octets where the length of a stream was drawn."""
    tree: dict[str, Octets | Tree] = {}
    for name, content in drawn.items():
        if isinstance(content, int):
            tree[name] = bytes(number % 251 for number in range(content))
        else:
            tree[name] = content if isinstance(content, bytes) else made(content)
    return tree


def flat(tree: Tree, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Octets | None]:
    """By path, octets or that it is a storage."""
    found: dict[tuple[str, ...], Octets | None] = {}
    for name, content in tree.items():
        found |= {(*path, name): content} if isinstance(content, bytes | memoryview) else {(*path, name): None}
        if not isinstance(content, bytes | memoryview):
            found |= flat(content, (*path, name))
    return found


def test_any_tree_is_written_and_read_or_refused() -> None:
    @ROUND
    @given(TREES)
    def judged(drawn: Drawn) -> None:
        tree = made(drawn)
        held = flat(tree)
        try:
            octets = write_compound(tree).join()
        except ValueError:
            return  # Two names that are one, or one too long.
        if max(map(len, held), default=0) > 8:
            with pytest.raises(Damaged, match="too deep"):
                CompoundFile(octets)
            return
        file = CompoundFile(octets)
        for path, content in held.items():
            assert file.has_storage(*path) if content is None else file.read(*path) == content

    for_seconds(SECONDS, judged)
