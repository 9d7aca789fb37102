"""One text in two forms: its words alone, and its words with their punctuation.

A value of letters and digits (`cat`, `strictly private`) is looked for in the words: ` the cat sat `. Punctuation and
white space of any kind end a word, so that `(CAT), dog` holds `cat`, and `concatenate` does not. A value that holds
punctuation (`[secure]`, `e-mail`, `c++`) means it: it is looked for in the literal form, where `secure` is not
`[secure]`. Both forms are NFKC, case folded, without letters that nobody sees, with one blank for all white space.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from gateway.mail.reading.unseen import without_unseen

# ASCII, for speed: what is no letter or digit becomes a blank, letters become small.
_WORDS = {code: " " if not chr(code).isalnum() else chr(code).lower() for code in range(128)}
_GAPS = bytes([octet if octet > 127 or chr(octet).isalnum() else 32 for octet in range(256)])
# Scripts that write words without blanks between them: Thai to Myanmar, Khmer, kana, Han (not Hangul).
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_OUTSIDE = r"[^\pL\pN\pM]"  # A sign that is part of no word, as RE2 writes it. The literal form has one at both ends.


class Form(StrEnum):
    """In which form of a text a value is looked for."""

    WORDS = "words"
    LITERAL = "literal"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for: `pattern`, in RE2's syntax, in the text's `form`; case was folded already."""

    form: Form
    pattern: str


def normalise(text: str) -> str:
    """The words of `text`, one blank between them and one at each end; " " where there are none."""
    if text.isascii():
        words = text.translate(_WORDS).split()
    else:
        # ASCII's signs go as octets, which is ten times as fast; the expression looks at the others.
        octets = _folded(text).encode("utf-8", "replace").translate(_GAPS)
        words = _no_word().sub(" ", octets.decode("utf-8")).split()
    return f" {' '.join(words)} " if words else " "


def literal(text: str) -> str:
    """`text` with all its punctuation, one blank for all white space, and one at each end."""
    words = (text.lower() if text.isascii() else _folded(text)).split()
    return f" {' '.join(words)} " if words else " "


def wanted(value: str) -> Wanted:
    """How to look for a word or phrase that a rule names. Raises ValueError where it holds nothing that can be seen."""
    value = without_unseen(value)
    plain = literal(value)
    words = normalise(value)
    if plain == " ":
        raise ValueError("it holds no letter that can be seen")
    if plain == words:
        # The blanks are part of it, but where the script writes none.
        front = "" if _UNSPACED.match(words, 1) else " "
        back = "" if _UNSPACED.match(words[-2]) else " "
        return Wanted(Form.WORDS, front + _quoted(words.strip()) + back)
    bare = plain.strip()
    front = _OUTSIDE if _begins_word(bare[0]) else ""
    back = _OUTSIDE if _begins_word(bare[-1]) else ""
    return Wanted(Form.LITERAL, front + _quoted(bare) + back)


def _folded(text: str) -> str:
    text = without_unseen(text)
    if not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    text = text.casefold()
    # Folding can take a text out of its form, as of a Greek letter with a iota below it.
    return text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)


def _begins_word(letter: str) -> bool:
    return normalise(letter) != " " and not _UNSPACED.match(letter)


def _quoted(text: str) -> str:
    """For RE2: what is ASCII and neither letter nor digit has a backslash; a blank has none."""
    return "".join(
        [f"\\{letter}" if letter.isascii() and not letter.isalnum() and letter != " " else letter for letter in text]
    )


@lru_cache(maxsize=1)
def _no_word() -> re.Pattern[str]:
    r"""Signs beyond ASCII that are no part of a word: no letters, digits or marks (which Python's \w leaves out)."""
    marks: list[str] = []
    start = 0
    for code in range(0x300, sys.maxunicode + 1 if sys.maxunicode < 0x20000 else 0x20001):
        if unicodedata.category(chr(code)).startswith("M"):
            start = start or code
        elif start:
            marks.append(f"{chr(start)}-{chr(code - 1)}")
            start = 0
    return re.compile(f"[^\\w\x00-\x7f{''.join(marks)}]+")
