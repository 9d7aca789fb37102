"""The outermost layer: a prefix, and blocks of one deflated stream."""

from __future__ import annotations

import os
import random
import struct
import tracemalloc
import zlib

import pytest

from gateway.rights.container.damaged import Damaged
from gateway.rights.container.envelope import Piece, Way, is_envelope, read_envelope, write_envelope
from tests.fakes.containers import PREFIX, block, many_streams, one_stream

TEXT = b"the amber lantern " * 700  # 12,600 octets: four blocks.


def blocks(octets: bytes) -> list[tuple[int, int, bytes]]:
    """Mark, plain size and deflated octets of each block."""
    found = []
    at = 8
    while at < len(octets):
        mark, size, length = struct.unpack_from("<III", octets, at)
        found.append((mark, size, octets[at + 12 : at + 12 + length]))
        at += 12 + length
    assert at == len(octets)
    return found


def test_blocks_are_one_stream_that_is_flushed_and_never_finished() -> None:
    written = write_envelope([(TEXT, Way.DEFLATED)])
    assert written.startswith(PREFIX)
    found = blocks(written)
    assert [(mark, size) for mark, size, _ in found] == [(0xFA0, 4096)] * 3 + [(0xFA0, 312)]
    inflate = zlib.decompressobj()
    for _, size, deflated in found:
        assert deflated.endswith(b"\0\0\xff\xff")  # as Z_SYNC_FLUSH ends
        assert len(inflate.decompress(deflated)) == size
    assert not inflate.eof


def test_ciphertext_stands_in_stored_blocks_that_any_inflate_reads() -> None:
    head, noise = TEXT[:4096], os.urandom(20_001)
    pieces: list[Piece] = [(head[:1000], Way.DEFLATED), (head[1000:], Way.KEPT), (noise[:8192], Way.STORED)]
    found = blocks(write_envelope([*pieces, (memoryview(noise)[8192:], Way.STORED)]))
    assert zlib.decompressobj().decompress(b"".join(deflated for _, _, deflated in found)) == head + noise
    assert [len(deflated) for _, _, deflated in found[1:]] == [4101] * 4 + [3622]  # 5 more than they hold
    assert found[1][2][:5] == bytes.fromhex("000010FFEF")


@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 8192, 50_000])
@pytest.mark.parametrize("way", list(Way))
def test_what_is_written_is_read(length: int, way: Way) -> None:
    noise = os.urandom(length)
    assert read_envelope(write_envelope([(noise, way)])) == noise
    for other in Way:
        for at in (1, length // 2, length - 1):
            pieces: list[Piece] = [(noise[:at], way), (memoryview(noise)[at:], other), (b"", way), (b"end", way)]
            assert read_envelope(write_envelope(pieces)) == noise + b"end"


def test_pieces_of_any_way_and_length_fill_blocks_of_4096_octets() -> None:
    draw = random.Random(1)
    for _ in range(200):
        pieces = [(draw.randbytes(draw.choice((0, 3, 700, 4096, 9000))), draw.choice(list(Way))) for _ in range(7)]
        plain = b"".join(octets for octets, _ in pieces)
        written = write_envelope(pieces)
        assert read_envelope(written) == plain
        sizes = [size for _, size, _ in blocks(written)]
        assert sizes == [4096] * (len(plain) // 4096) + ([len(plain) % 4096] if len(plain) % 4096 else [])


def test_what_is_kept_is_deflated_as_well_as_what_is_deflated_now() -> None:
    once, again = (write_envelope([(TEXT, Way.KEPT)]) for _ in range(2))
    assert once == again
    assert len(once) < len(TEXT) // 10


def test_a_stream_throughout_and_one_for_each_block_are_both_read() -> None:
    noise = TEXT + os.urandom(9000)
    assert read_envelope(one_stream(noise)) == noise
    assert read_envelope(one_stream(noise, level=0)) == noise
    assert read_envelope(many_streams(noise)) == noise


def test_a_stream_that_is_finished_after_all_is_read() -> None:
    assert read_envelope(PREFIX + block(3, zlib.compress(b"abc"))) == b"abc"


def test_a_view_is_read_as_octets_are() -> None:
    assert read_envelope(memoryview(one_stream(TEXT))) == TEXT


def test_a_file_is_known_by_its_prefix() -> None:
    assert is_envelope(one_stream(TEXT))
    assert not is_envelope(PREFIX[:7])
    assert not is_envelope(b"PK\3\4" + PREFIX)


FLUSHED = zlib.compressobj()
ABC = FLUSHED.compress(b"abc") + FLUSHED.flush(zlib.Z_SYNC_FLUSH)
BOMB = zlib.compress(bytes(5_000_000), 9)[:8192]
DICTIONARY = zlib.compressobj(zdict=b"abc")

DAMAGED = {
    "nothing": (b"", "prefix"),
    "half a prefix": (PREFIX[:4], "prefix"),
    "another prefix": (PREFIX[::-1] + block(3, ABC), "prefix"),
    "another mark": (PREFIX + block(3, ABC, mark=0xFA1), "mark"),
    "a head that ends early": (PREFIX + block(3, ABC)[:11], "ends early"),
    "a block that ends early": (PREFIX + block(3, ABC)[:-1], "ends early"),
    "no plain octets": (PREFIX + block(0, zlib.compress(b"")), "size of a block"),
    "4,097 plain octets": (PREFIX + block(4097, zlib.compress(bytes(4097))), "size of a block"),
    "no deflated octets": (PREFIX + block(3, b""), "size of a block"),
    "8,193 deflated octets": (PREFIX + block(3, ABC + bytes(8193 - len(ABC))), "size of a block"),
    "more than it says": (PREFIX + block(2, ABC), "as long as it says"),
    "less than it says": (PREFIX + block(4, ABC), "as long as it says"),
    "far more than it says": (PREFIX + block(4096, BOMB), "as long as it says"),
    "something behind the stream": (PREFIX + block(3, zlib.compress(b"abc") + b"x"), "as long as it says"),
    "no deflated data": (PREFIX + block(3, b"abcdef"), "deflated data"),
    "a wrong checksum": (PREFIX + block(3, zlib.compress(b"abc")[:-1] + b"x"), "deflated data"),
    "a dictionary that nobody knows": (PREFIX + block(3, DICTIONARY.compress(b"abc") + DICTIONARY.flush()), "data"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_wrong_is_told(case: str) -> None:
    octets, words = DAMAGED[case]
    with pytest.raises(Damaged, match=words):
        read_envelope(octets)


def test_a_block_that_would_be_large_never_is() -> None:
    octets = PREFIX + block(4096, BOMB)
    tracemalloc.start()
    try:
        with pytest.raises(Damaged, match="as long as it says"):
            read_envelope(octets)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_block_of_8192_octets_is_read() -> None:
    empty = b"\0\0\0\xff\xff"  # A stored block of nothing, as often as one likes.
    padded = ABC + empty * ((8192 - len(ABC)) // 5)
    assert read_envelope(PREFIX + block(3, padded)) == b"abc"


def test_a_file_may_be_as_long_as_the_limit_and_as_much_may_come_of_it() -> None:
    small = one_stream(TEXT)
    with pytest.raises(Damaged, match="too much comes of it"):
        read_envelope(small, len(TEXT) - 1)
    assert read_envelope(small, len(TEXT)) == TEXT
    noise = one_stream(os.urandom(9000))
    assert read_envelope(noise, len(noise))
    with pytest.raises(Damaged, match="too long"):
        read_envelope(noise, len(noise) - 1)
