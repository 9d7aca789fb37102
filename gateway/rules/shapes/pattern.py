"""Regular expressions as RE2 runs them: tried when they are read, with the place and a hint where it can't.

RE2 needs time in proportion to the text, whatever the pattern; the price is that it knows neither look-around nor
back-references. The dialect is that of google-re2, case-insensitive.
Leaves out: running them (`gateway.rules.matching`).
"""

from __future__ import annotations

import re

import re2

from gateway.rules.flaw import BadValue
from gateway.settings.fault import shown

MAX_PATTERN = 2_000  # Letters. Longer ones are lists of words, which are quicker as words.
_SHOWN = 80
MAX_PATTERN_MEMORY = 8 << 20  # Octets for the program of one pattern; RE2's own default.

_NO_LOOK = (
    "a pattern without look-ahead and look-behind, which RE2 has not; what must not be there stands under `unless`"
)
_NO_BACK = "a pattern without back-references, which RE2 has not: what may be repeated, written out"
_NO_ATOMIC = "a plain group or repetition: RE2 has no others and needs none, since it never runs away"
# What other dialects know and RE2 does not, in the order in which they are told apart.
_FOREIGN: tuple[tuple[str, str], ...] = (
    (r"\(\?<?[=!]", _NO_LOOK),
    (r"\(\?P=|\(\?P>|\\k[<{']", _NO_BACK),
    (r"\\[1-9]", _NO_BACK),
    (r"\(\?>|[*+?}]\+", _NO_ATOMIC),
    (r"\(\?#", "to leave it out; a comment of YAML (#) may stand behind the pattern"),
    (r"\(\?[(R&]", "several patterns: RE2 has no conditions and no recursion"),
    (r"\\[ZG]", r"\z for the end of the text"),
    (r"\\[hRKXN]", r"\s for white space, \n for a line end"),
    (r"\\e", r"\x1b"),
)
_STEP = re.compile(
    r"(?P<class>\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\])|"
    + "|".join(f"(?P<f{number}>{text})" for number, (text, _) in enumerate(_FOREIGN))
    + r"|(?P<other>\\.|.)",
    re.DOTALL,
)
# The beginning of RE2's messages, and what to do about each.
_HINTS: tuple[tuple[str, str], ...] = (
    ("invalid repetition size", "a repetition of at most 1000, the smaller number first"),
    ("bad repetition operator", "one repetition behind each part"),
    (
        "no argument for repetition operator",
        r"something in front of it, or \ before it where the letter itself is meant",
    ),
    ("missing ]", r"a ] that ends the class, or \[ where the letter itself is meant"),
    ("missing )", r"a ) for each (, or \( where the letter itself is meant"),
    ("unexpected )", r"a ( for each ), or \) where the letter itself is meant"),
    ("invalid character class range", "a range from the lower letter to the higher, or a class that RE2 knows"),
    ("trailing \\", r"\\ where the letter itself is meant"),
    ("invalid escape sequence", r"an escape that RE2 knows, such as \d \w \s \b \. \x{20AC}"),
    ("pattern too large", "a shorter pattern, or words instead of it"),
)


def options() -> re2.Options:
    """How patterns of rules are compiled: letters' case does not count, errors are raised and not printed."""
    made = re2.Options()
    made.case_sensitive = False
    made.log_errors = False
    made.max_mem = MAX_PATTERN_MEMORY
    return made


def pattern(text: str) -> str:
    """The pattern, which RE2 can run. Raises BadValue with the place, counted in letters from 1, and a hint."""
    if len(text) > MAX_PATTERN:
        raise BadValue(f"a pattern of {len(text)} letters", f"at most {MAX_PATTERN}; long lists are better as words")
    if "\x00" in text:
        raise BadValue(shown(text), r"a pattern without NUL; \x00 stands for one")
    try:
        re2.compile(text, options())
    except re2.error as error:
        raise _bad(text, error) from None
    except UnicodeEncodeError:  # A lone surrogate, which YAML may write as an escape.
        raise BadValue(shown(text), "letters of Unicode") from None
    return text


def _bad(text: str, error: Exception) -> BadValue:
    said = error.args[0] if error.args else ""
    message = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    for step in _STEP.finditer(text):
        name = step.lastgroup or ""
        if name.startswith("f"):
            found = f"`{step[0]}` at character {step.start() + 1} of {_quoted(text)}"
            return BadValue(found, _FOREIGN[int(name[1:])][1])
    right = next((hint for start, hint in _HINTS if message.startswith(start)), "a regular expression that RE2 knows")
    what, _, fragment = message.partition(": ")
    place = text.rfind(fragment) if fragment else -1
    where = f" at character {place + 1}" if place >= 0 else ""
    return BadValue(f"{_quoted(text)}, which RE2 can't run ({what}{where})", right)


def _quoted(text: str) -> str:
    """A pattern as a fault shows it: as it is written, since JSON would double each backslash."""
    return f"`{text}`" if text.isprintable() and len(text) <= _SHOWN else shown(text)
