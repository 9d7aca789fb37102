"""Edits while a message streams."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.edit import Edit
from gateway.mail.mime.editor import Editor
from gateway.mail.mime.encode import Encoding, encoder


def edited(octets: bytes, edits: list[Edit], step: int) -> bytes:
    editor = Editor(edits)
    out = b"".join(editor.feed(octets[at : at + step]) for at in range(0, len(octets), step))
    return out + editor.end()


def at_once(octets: bytes, edits: list[Edit]) -> bytes:
    """The same by hand, from the end to the beginning."""
    for edit in reversed(edits):
        middle = b""
        if edit.encoding is not None:
            made = encoder(edit.encoding)
            middle = made.feed(octets[edit.start : edit.end]) + made.end()
        octets = octets[: edit.start] + middle + edit.octets + octets[edit.end :]
    return octets


@given(
    octets=st.binary(max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=8),
    kinds=st.lists(st.sampled_from([None, Encoding.BASE64]), min_size=8, max_size=8),
    step=st.integers(1, 70),
)
def test_edits_fall_where_they_belong_however_the_octets_come(
    octets: bytes, cuts: list[int], kinds: list[Encoding | None], step: int
) -> None:
    places = sorted(min(cut, len(octets)) for cut in cuts)
    edits = [
        Edit(start, end, b"<%d>" % number, kind)
        for number, (start, end, kind) in enumerate(zip(places[::2], places[1::2], kinds, strict=False))
    ]
    assert edited(octets, edits, step) == at_once(octets, edits)


def test_without_edits_all_stays() -> None:
    assert edited(b"abc", [], 1) == b"abc"


def test_what_is_put_in_stands_in_front_of_its_place() -> None:
    assert edited(b"abc", [Edit(1, 1, b"-"), Edit(3, 3, b"!")], 3) == b"a-bc!"
