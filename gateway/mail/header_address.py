"""Mailboxes in header fields such as From and Sender (RFC 5322 3.4, RFC 6854, RFC 6532). Pure.

Strict, because something is allowed or not by what is found: a value that two readers could understand differently is a
fault. Taken of the obsolete syntax (RFC 5322 4.4): dots in a display name, source routes, empty list entries.
Leaves out: what display names say.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from gateway.mail.address import Address, BadAddress, parse_address

LONGEST_COMMON: Final = 256  # Octets of a value that may be one of many alike.
MAX_COMMENTS: Final = 20  # How deeply comments may be nested.

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_RUN = re.compile(r'[^\s()<>\[\]:;@\\,"]+')  # Of atoms; the dot counts as one of their letters.
_LITERAL = re.compile(r"\[[^\[\]\\]*\]")
_ROUTE = re.compile(r"@[^\s,@]+(?:,@[^\s,@]+)*")
_ENDS = frozenset("<>,:;")
_SIGNS = frozenset("<>,:;@")
# One address as nearly all fields have it: `a@b`, `<a@b>`, or a display name in front, of atoms and quoted strings.
# What it fits has one meaning, the one that `_read` finds too, in a tenth of the time.
_ATOM = r'[^\s()<>\[\]:;@\\,"]++'
_SIMPLE = re.compile(
    rf'[ \t\r\n]*+(?:(?:{_ATOM}|"[^"\\]*+"|[ \t\r\n])*<({_ATOM}@{_ATOM})>|({_ATOM}@{_ATOM}))[ \t\r\n]*+'
)


def mailboxes(value: bytes) -> tuple[Address, ...]:
    """The addresses of a field's value, folded or not, in order. Raises BadAddress."""
    return _common(value) if len(value) <= LONGEST_COMMON else _mailboxes(value)


def _mailboxes(value: bytes) -> tuple[Address, ...]:
    if value.isascii() and (simple := _SIMPLE.fullmatch(value.decode("ascii"))) is not None:
        return (parse_address(simple[1] or simple[2]),)
    return _read(value)


# People write more than one message, and a message's fields are asked for more than once.
_common = lru_cache(maxsize=2048)(_mailboxes)


def _read(value: bytes) -> tuple[Address, ...]:
    # What is not UTF-8 may stand in a display name or a comment; as part of an address it is nobody's.
    words = _words(value.decode("utf-8", "surrogateescape"))
    found: list[Address] = []
    phrase: list[str] = []  # What stands before the next sign that ends it.
    grouped = False
    closed = False  # An address in angle brackets was read: nothing but an end may follow.
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word not in _ENDS:
            phrase.append(word)
            if closed:
                raise BadAddress("something stands behind an address in angle brackets")
        elif word in "<:":
            _check_phrase(phrase)
            if closed or (word == ":" and (grouped or not phrase)):
                raise BadAddress("an address or a group stands where none may")
            if word == "<":
                end = _closing(words, place)
                found.append(_address(_without_route(words[place:end])))
                closed = True
                place = end + 1
            else:
                grouped = True
            phrase = []
        elif word == ">":
            raise BadAddress("an angle bracket closes nothing")
        else:
            if phrase:
                found.append(_address(phrase))
            if word == ";" and not grouped:
                raise BadAddress("a semicolon ends no group")
            grouped &= word != ";"
            closed, phrase = False, []
    if grouped:
        raise BadAddress("a group is not ended")
    if phrase:
        found.append(_address(phrase))
    return tuple(found)


def _words(text: str) -> list[str]:
    """Signs, atoms, quoted strings and literals. A blank in front of a word: blanks or comments keep it from the one
    before, where that means something: between two words of which neither is the `@`.
    """
    words: list[str] = []
    at = 0
    while True:
        start = at
        at = _behind_blanks(text, at)
        if at == len(text):
            return words
        letter = text[at]
        if letter in _SIGNS:
            words.append(letter)
            at += 1
            continue
        if (match := {'"': _QUOTED, "[": _LITERAL}.get(letter, _RUN).match(text, at)) is None:
            raise BadAddress("a sign stands where none may")
        apart = at > start and bool(words) and words[-1] not in _SIGNS
        words.append(f" {match[0]}" if apart else match[0])
        at = match.end()


def _behind_blanks(text: str, at: int) -> int:
    """Where the next thing stands that is neither blank nor comment."""
    depth = 0
    while at < len(text):
        letter = text[at]
        if letter == "(":
            depth += 1
        elif depth and letter == ")":
            depth -= 1
        elif depth and letter == "\\":
            at += 1
        elif not depth and letter not in " \t\r\n":
            break
        if depth > MAX_COMMENTS:
            raise BadAddress("comments are nested too deeply")
        at += 1
    if depth:
        raise BadAddress("a comment is not closed")
    return min(at, len(text))


def _without_route(words: list[str]) -> list[str]:
    """What stands in angle brackets, a source route (RFC 5322 4.4) read over: `@a.example,@b.example:`."""
    if words[:1] != ["@"] or ":" not in words:
        return words
    end = words.index(":")
    if not _ROUTE.fullmatch("".join(words[:end])):
        raise BadAddress("the source route is malformed")
    return words[end + 1 :]


def _closing(words: list[str], place: int) -> int:
    try:
        return words.index(">", place)
    except ValueError:
        raise BadAddress("an angle bracket is not closed") from None


def _address(words: list[str]) -> Address:
    text = "".join(words)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadAddress("an address holds octets that are not UTF-8")
    return parse_address(text)


def _check_phrase(words: list[str]) -> None:
    """A display name holds no bare `@` nor brackets: some reader would take `boss@corp.example <x@y>` for the first."""
    if any(word == "@" or word.lstrip().startswith("[") for word in words):
        raise BadAddress("an address stands where a display name should, without quotes")
