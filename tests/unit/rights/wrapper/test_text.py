from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.rights.wrapper.text import WIDTH, _filled


@given(st.lists(st.text("abcdefghijä ", min_size=0, max_size=90), max_size=30).map(" ".join))
def test_lines_take_as_many_words_as_fit_and_no_word_is_broken(paragraph: str) -> None:
    lines = _filled(paragraph)
    words = paragraph.split()
    assert " ".join(lines).split() == words
    for line, following in pairwise(lines):
        assert len(line) <= WIDTH or " " not in line
        assert len(line) + 1 + len(following.split()[0]) > WIDTH  # There was no room for one more.


def test_line_ends_of_the_administrators_text_stay() -> None:
    assert _filled("one\n\ntwo  three\n") == ("one", "", "two three")
    assert _filled("") == ("",)
