"""Sealing: what goes in comes out, and nothing else ever does."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.keys import sealer as sealer_module
from gateway.keys.domain import DomainKeys
from gateway.keys.sealer import OVERHEAD, START, START_RECORD, KeySealer
from gateway.keys.vault import Denied, Unavailable
from gateway.storage.sealer import KeysClosed, SealBroken, Sealer
from gateway.world.chance import SystemChance
from tests.fakes.chance import FakeChance

FIRST = {("spool", 1): b"s" * 32, ("trace", 1): b"t" * 32, ("token", 1): b"k" * 32}
SEALER: Sealer = KeySealer(DomainKeys(FIRST), SystemChance())
RECORDS = st.text(max_size=20)
PURPOSES = st.sampled_from(["spool", "trace"])


@given(PURPOSES, RECORDS, st.binary(max_size=300))
def test_open_gives_what_was_sealed(purpose: str, record: str, plain: bytes) -> None:
    sealed = SEALER.seal(purpose, record, plain)
    assert SEALER.open(purpose, record, sealed) == plain
    assert len(sealed) == START_RECORD + len(plain) + OVERHEAD
    assert sealed[:5] == b"\x01\x00\x00\x00\x01"


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=40), st.integers(0))
def test_every_flipped_bit_is_found(plain: bytes, bit: int) -> None:
    sealed = bytearray(SEALER.seal("spool", "Q1", plain))
    bit %= len(sealed) * 8
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        SEALER.open("spool", "Q1", bytes(sealed))


@given(st.binary(max_size=40), st.integers(0))
def test_what_is_cut_off_is_found(plain: bytes, length: int) -> None:
    sealed = SEALER.seal("spool", "Q1", plain)
    with pytest.raises(SealBroken):
        SEALER.open("spool", "Q1", sealed[: length % len(sealed)])


@given(PURPOSES, RECORDS, PURPOSES, RECORDS)
def test_a_record_that_was_moved_is_found(purpose: str, record: str, other_purpose: str, other_record: str) -> None:
    if (purpose, record) == (other_purpose, other_record):
        return
    with pytest.raises(SealBroken):
        SEALER.open(other_purpose, other_record, SEALER.seal(purpose, record, b"plain"))


def test_old_key_versions_open_and_unknown_ones_do_not() -> None:
    old = SEALER.seal("trace", "Q1", b"plain")
    both = KeySealer(DomainKeys({**FIRST, ("trace", 2): b"n" * 32}), FakeChance())
    assert both.open("trace", "Q1", old) == b"plain"
    new = both.seal("trace", "Q1", b"plain")
    assert new[1:5] == b"\x00\x00\x00\x02"
    with pytest.raises(SealBroken, match="no version 2"):
        SEALER.open("trace", "Q1", new)


def test_another_installations_keys_do_not_open() -> None:
    other = KeySealer(DomainKeys({("spool", 1): b"o" * 32}), FakeChance())
    with pytest.raises(SealBroken):
        other.open("spool", "Q1", SEALER.seal("spool", "Q1", b"plain"))


def test_two_seals_of_the_same_have_nothing_in_common_behind_the_head() -> None:
    one, other = SEALER.seal("spool", "Q1", bytes(64)), SEALER.seal("spool", "Q1", bytes(64))
    assert one[:START] == other[:START]
    assert one[START:START_RECORD] != other[START:START_RECORD]
    assert all(one[at : at + 4] != other[at : at + 4] for at in range(START_RECORD, len(one) - 4, 4))


def test_no_number_is_used_twice_with_a_content_key_and_a_full_epoch_is_followed_by_one_with_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sealer_module, "EPOCH", 3)
    sealer = KeySealer(DomainKeys({("spool", 1): b"o" * 32}), FakeChance())
    sealed = [sealer.seal("spool", "Q1", b"plain") for _ in range(8)]
    assert len({one[5:START_RECORD] for one in sealed}) == 8
    assert len({one[5:START] for one in sealed}) == 3
    assert all(sealer.open("spool", "Q1", one) == b"plain" for one in sealed)


def test_purposes_do_not_share_content_keys_even_where_salt_and_domain_key_are_the_same() -> None:
    """A generator that repeats itself and a key that was copied must not make two records' key streams one."""
    chance = FakeChance()
    chance.stuck = True
    sealer = KeySealer(DomainKeys({("spool", 1): b"s" * 32, ("trace", 1): b"s" * 32}), chance)
    one, other = sealer.seal("spool", "1", bytes(32)), sealer.seal("trace", "1", bytes(32))
    assert one[:START_RECORD] == other[:START_RECORD]
    assert one[START_RECORD : START_RECORD + 32] != other[START_RECORD : START_RECORD + 32]


def test_unknown_purpose_is_denied() -> None:
    with pytest.raises(Denied, match="'mailbox'"):
        SEALER.seal("mailbox", "1", b"")
    with pytest.raises(Denied, match="token"):
        KeySealer(DomainKeys({("spool", 1): b"o" * 32}), FakeChance()).token("sender", "a@b.example")


# -- pieces -----------------------------------------------------------------------------------------------------------


def written(record: str, pieces: list[bytes]) -> tuple[bytes, list[bytes]]:
    segments = SEALER.segments("spool", record)
    last = len(pieces) - 1
    return segments.start, [segments.seal(place, place == last, piece) for place, piece in enumerate(pieces)]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_pieces_open_in_their_places(pieces: list[bytes]) -> None:
    start, sealed = written("Q1", pieces)
    reader = SEALER.segments("spool", "Q1", start)
    last = len(pieces) - 1
    assert [reader.open(place, place == last, one) for place, one in enumerate(sealed)] == pieces
    assert all(len(one) == len(piece) + OVERHEAD for one, piece in zip(sealed, pieces, strict=True))


@given(st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_a_piece_opens_nowhere_but_in_its_place(place: int, asked: int, last: bool) -> None:
    start, sealed = written("Q1", [b"same", b"same", b"same", b"same"])
    if asked == place and last == (place == 3):
        return
    with pytest.raises(SealBroken, match=f"piece {asked}"):
        SEALER.segments("spool", "Q1", start).open(asked, last, sealed[place])


def test_pieces_of_another_content_record_or_kind_do_not_open() -> None:
    start, sealed = written("Q1", [b"piece"])
    other_start, _ = written("Q1", [b"piece"])
    with pytest.raises(SealBroken):
        SEALER.segments("spool", "Q1", other_start).open(0, True, sealed[0])
    with pytest.raises(SealBroken):
        SEALER.segments("spool", "Q2", start).open(0, True, sealed[0])
    with pytest.raises(SealBroken):
        SEALER.open("spool", "Q1", start + sealed[0])
    whole = SEALER.seal("spool", "Q1", b"piece")
    with pytest.raises(SealBroken):
        SEALER.segments("spool", "Q1", whole[:START]).open(0, False, whole[START:])


@settings(max_examples=200)
@given(st.integers(0))
def test_every_flipped_bit_of_pieces_is_found(bit: int) -> None:
    start, sealed = written("Q1", [b"some piece"])
    octets = bytearray(start + sealed[0])
    bit %= len(octets) * 8
    octets[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken):
        SEALER.segments("spool", "Q1", bytes(octets[:START])).open(0, True, bytes(octets[START:]))


@pytest.mark.parametrize("start", [b"", b"\x01", bytes(START), b"\x01" * (START + 1)])
def test_a_beginning_that_is_none_is_broken(start: bytes) -> None:
    with pytest.raises(SealBroken):
        SEALER.segments("spool", "Q1", start)


# -- tokens -----------------------------------------------------------------------------------------------------------


@given(st.text(max_size=30))
def test_tokens_are_stable_signed_and_fit_64_bits(value: str) -> None:
    token = SEALER.token("sender", value)
    assert token == KeySealer(DomainKeys(FIRST), FakeChance()).token("sender", value)
    assert -(1 << 63) <= token < 1 << 63


def test_tokens_tell_purposes_values_and_keys_apart() -> None:
    other = KeySealer(DomainKeys({("token", 1): b"o" * 32}), FakeChance())
    tokens = {
        SEALER.token("sender", "a@b.example"),
        SEALER.token("sender", "c@b.example"),
        SEALER.token("recipient", "a@b.example"),
        other.token("sender", "a@b.example"),
    }
    assert len(tokens) == 4
    assert any(SEALER.token("sender", str(number)) < 0 for number in range(64))


def test_neither_repr_nor_errors_show_keys_or_plain_text() -> None:
    segments = SEALER.segments("spool", "Q1")
    assert "sss" not in repr(SEALER) + repr(segments)
    with pytest.raises(SealBroken) as caught:
        SEALER.open("spool", "Q1", b"\x01\x00\x00\x00\x01" + b"confidential" * 5)
    assert "confidential" not in str(caught.value)


def test_a_sealer_does_not_leave_the_process_and_shows_no_octets() -> None:
    sealer = KeySealer(DomainKeys({("spool", 1): b"verysecretoctets" * 2}), FakeChance())
    with pytest.raises(TypeError, match="must not leave the process"):
        pickle.dumps(sealer)
    assert "verysecret" not in repr(sealer)


def test_what_was_begun_ends_when_keys_are_taken_away_and_nothing_is_begun_after() -> None:
    sealer = KeySealer(DomainKeys(FIRST), FakeChance())
    segments = sealer.segments("spool", "content Q1")
    sealer.take(DomainKeys({}), otherwise=Unavailable("no answer"))
    piece = segments.seal(0, True, b"octets")
    for begin in (
        lambda: sealer.segments("spool", "r"),
        lambda: sealer.seal("spool", "r", b"x"),
        lambda: sealer.check("spool"),
    ):
        with pytest.raises(KeysClosed, match="the domain key 'spool' is not at hand: no answer"):
            begin()
    sealer.take(DomainKeys(FIRST))
    sealer.check("spool")
    assert sealer.segments("spool", "content Q1", segments.start).open(0, True, piece) == b"octets"


def test_a_thread_that_is_in_the_middle_leaves_no_key_behind() -> None:
    """Keys are taken away between the look for the key and the keeping of what was derived from it."""
    sealer = KeySealer(DomainKeys(FIRST), FakeChance())
    octets = sealer._octets

    def taken_away(count: int) -> bytes:
        sealer.take(DomainKeys({}), otherwise=Unavailable("no answer"))
        return octets(count)

    sealer._octets = taken_away
    sealer.seal("spool", "r", b"x")  # It was begun in time.
    assert sealer._epochs == {}
    with pytest.raises(KeysClosed):
        sealer.seal("spool", "r", b"x")
