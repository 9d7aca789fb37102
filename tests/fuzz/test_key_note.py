"""Any octets as the note beside a key in a token: a note that says them again, or BadNote."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.keys.providers.pkcs11.note import MARK, BadNote, Note, read
from gateway.keys.vault import KeyState
from tests.fuzz.rounds import ROUND, for_seconds

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))

TIMES = st.floats(0, 10**12) | st.integers(0, 10**12).map(float)
NOTES = st.builds(
    Note, st.integers(0, 10**12), st.sampled_from([KeyState.ENABLED, KeyState.DISABLED]), st.none(),
    st.dictionaries(st.integers(1, 10**9 - 1), TIMES, max_size=5),
) | st.builds(Note, st.integers(0, 10**12), st.just(KeyState.DELETED), TIMES)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(list(KeyState)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
LIKE = st.fixed_dictionaries({"serial": VALUES, "state": VALUES, "ends": VALUES, "created": VALUES})


@pytest.mark.timeout(SECONDS * 3 + 60)
def test_any_octets_are_a_note_or_are_refused() -> None:
    like = (LIKE | VALUES).map(lambda said: MARK + json.dumps(said).encode())

    @ROUND
    @given(octets=st.binary(max_size=200) | like, note=NOTES, place=st.integers(0, 1 << 16))
    def judged(octets: bytes, note: Note, place: int) -> None:
        try:
            found = read(octets)
        except BadNote:
            pass
        else:
            assert read(found.octets()) == found
        assert read(note.octets()) == note
        spoiled = bytearray(note.octets())
        spoiled[place % len(spoiled)] ^= 0x80  # Never ASCII, so never read as anything else.
        with pytest.raises(BadNote):
            read(bytes(spoiled))

    for_seconds(SECONDS, judged)
