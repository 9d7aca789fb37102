"""Words and patterns in one pass."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from gateway.rules.matching import finder as module
from gateway.rules.matching import run
from gateway.rules.matching.finder import Finder
from gateway.rules.matching.fold import plain
from gateway.rules.matching.run import Patterns
from gateway.rules.matching.scan import Scan
from gateway.rules.shapes.pattern import options
from gateway.rules.text import Form, literal, normalise, wanted

ALPHABET = "abcABC019 .-_[]()\n\u00a0éß\u017fKü日本\uff43"


def test_numbers_are_those_of_the_values() -> None:
    finder = Finder(["cat", "wild dog", "[x]"], [r"\d{3}", "secret"])
    assert finder.hits("The CAT, a wild\r\n  dog: [x] 123 SECRETS") == {0, 1, 2, 3, 4}
    assert finder.hits("concatenate wilddog x 12") == frozenset()


def test_finders_that_share_a_scan_find_what_is_theirs() -> None:
    scan = Scan()
    first, second, third = Finder(["cat"], ["d.g"], scan), Finder(["bird", "cat"], [], scan), Finder([], [], scan)
    scan.compile()
    assert [one.hits("a cat and a bird") for one in (first, second, third)] == [{0}, {0, 1}, frozenset()]
    assert [one.hits("a bird and a dog") for one in (first, second, third)] == [{1}, {0}, frozenset()]


def test_a_word_that_ends_at_a_letter_beyond_ascii_is_none_where_patterns_are_sought_too() -> None:
    """To a pattern `caf` ends there, so that the text is looked through for patterns in that form as well."""
    finder = Finder(["caf", "dog"], ["secret", r"\bdog\b"])
    assert finder.hits("a café, dogé") == {3}
    assert finder.hits("a caf, é") == {0}


def test_nothing_to_find_is_never_found() -> None:
    assert Finder([], []).hits("anything") == frozenset()


@given(st.lists(st.text(ALPHABET, min_size=1, max_size=5), min_size=1, max_size=6), st.text(ALPHABET, max_size=40))
def test_words_are_found_as_each_is_by_itself(words: list[str], text: str) -> None:
    words = [word for word in words if literal(word) != " "]
    right = set()
    for number, word in enumerate(words):
        want = wanted(word)
        form = normalise(text) if want.form is Form.WORDS else literal(text)
        if re2.search(want.pattern, form) is not None:
            right.add(number)
    assert Finder(words, []).hits(text) == right


PATTERNS = st.sampled_from(
    [
        r"\bab",
        r"ab\b",
        "abc",
        r"\babc\b",
        "[^a]bc",
        "a.c",
        "é",
        "ss",
        "k[b-d]",
        r"^abc",
        r"abc$",
        r"bca\s",
        r"\W",
        "日",
        "c{3}",
    ]
)


@given(st.lists(PATTERNS, min_size=1, max_size=6), st.text(ALPHABET, max_size=40))
def test_patterns_are_found_as_each_is_by_itself(patterns: list[str], text: str) -> None:
    right = {
        number
        for number, pattern in enumerate(patterns)
        if any(re2.compile(pattern, options()).search(form) is not None for form in (text, plain(text)))
    }
    assert Finder([], patterns).hits(text) == right


def test_words_do_not_hide_patterns_that_only_the_shown_form_has() -> None:
    text = "the wild dog \uff11\uff12\uff13"
    assert Finder(["wild dog"], [r"\d\d\d"]).hits(text) == {0, 1}


def test_many_values_at_once_are_found_by_sets() -> None:
    words = [f"phrase {number} here" for number in range(100)]
    patterns = [f"term{number}x?y" for number in range(100)]
    text = " ".join(f"phrase {number} here term{number}y" for number in range(0, 100, 2))
    assert Finder(words, patterns).hits(text) == {*range(0, 100, 2), *range(100, 200, 2)}


def test_a_set_that_fails_is_told_from_one_that_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        """RE2's set when its memory is used up: nothing is found, not even what is everywhere."""

        def Match(self, octets: bytes) -> None:
            return None

    patterns = Patterns([f"a{number}b" for number in range(50)])
    patterns.warm()
    sets = patterns._all_sets()
    monkeypatch.setattr(patterns, "_sets", [(Failing(), inside) for _, inside in sets])
    assert patterns.which(range(50), b"xx a7b a8b") == [7, 8]


def test_a_set_too_large_for_its_memory_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SET_MEMORY", 1 << 16)
    patterns = Patterns([rf"(?:x{number}|[a-f]{{20}}){{3}}y" for number in range(60)])
    assert len(patterns._all_sets()) > 1
    assert patterns.which(range(60), b"x5x5x5y") == [5]


def test_what_is_found_is_shown() -> None:
    finder = Finder(["Cat"], [r"\d+", "l.ng"])
    assert finder.shown(0, "the cat") == ("Cat",)
    assert finder.shown(1, "1 22 1 " + " ".join(map(str, range(900, 950)))) == ("1", "22", "900", "901", "902")
    assert finder.shown(2, "none") == ()


def test_what_is_shown_is_cut() -> None:
    assert Finder([], ["x+"]).shown(0, "x" * 10_000) == ("x" * module.LONGEST_SHOWN,)


@pytest.mark.parametrize("back", [-1, 0, 2, 5, 8, 12, 15, 20])
def test_a_hit_far_behind_is_found_wherever_it_stands(back: int) -> None:
    finder = Finder(["lantern", "amber lantern"], [r"\bmarker\b"])
    text = "x" * ((1 << 20) - back) + " amber lantern marker " + "y" * 100
    assert finder.hits(text) == {0, 1, 2}


def test_ten_mebibytes_and_five_thousand_patterns_are_answered() -> None:  # r39
    patterns = [rf"\bproject{number}-\d+" for number in range(2500)] + [rf"q{number}\d\d\s*z" for number in range(2500)]
    finder = Finder(["never there"], patterns)
    text = ("Seventy letters of a text that says nothing and is as long as others. " * 150_000)[
        : 10 << 20
    ] + " project77-1"
    assert finder.hits(text) == {78}


def test_a_text_that_points_at_everything_takes_its_time_once() -> None:
    finder = Finder([], [rf"word{number:04}\s+\d" for number in range(3000)])
    text = " ".join(f"word{number:04} x" for number in range(3000)) * 20
    assert finder.hits(text + " word0007 1") == {7}
