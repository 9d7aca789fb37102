"""Texts of all kinds: words, patterns, choices, flags, sizes, counts, names of header fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from gateway.rules.flaw import BadValue
from gateway.rules.names import snake
from gateway.rules.shapes.pattern import pattern
from gateway.rules.shapes.shape import Several, Single, closest, scalar
from gateway.rules.text import wanted
from gateway.settings.fault import shown

MAX_WORD = 128  # Letters; Exchange's limit for the words of subject and body.
MAX_NAME = 64  # Letters of the name of a rule, a connector, a header field.
MAX_SIZE = 1 << 50  # Octets; far beyond what any server takes.

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u2028\u2029]|\r|\n|\t")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
# RFC 5322 3.6.8: printable ASCII without the colon.
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) *([KMGT]?B)?", re.IGNORECASE)
_UNITS = {"": 0, "B": 0, "KB": 10, "MB": 20, "GB": 30, "TB": 40}
# What a rule must not set: the message would be read otherwise than it is written, or a mark of ours be forged.
_STRUCTURE = frozenset(("content-type", "content-transfer-encoding", "mime-version"))
_MARKS = frozenset(("received", "return-path", "dkim-signature", "authentication-results", "bcc"))


@dataclass(frozen=True, slots=True)
class TextShape:
    """A text of at most `limit` letters, on one line unless `lines` says otherwise (RFC 5322 2.2: a field's value with
    a line end in it could bring fields of its own).
    """

    limit: int
    lines: bool = False

    @property
    def text(self) -> str:
        """For the reference."""
        return f"text, at most {self.limit:,} letters"

    def read(self, value: object) -> str:
        """The text as it is written."""
        one = scalar(value, "a text")
        bad = (_CONTROL_IN_LINES if self.lines else _CONTROL).search(one.value)
        if bad is not None:
            right = (
                "a text without control characters" if self.lines else "a text on one line, without control characters"
            )
            raise BadValue(f"the control character {bad[0]!r} in {shown(one.value)}", right, one.line)
        if len(one.value) > self.limit:
            raise BadValue(f"a text of {len(one.value)} letters", f"at most {self.limit}", one.line)
        return one.value

    def schema(self) -> dict[str, Any]:
        """A text, or a number that is taken as one."""
        return {"type": ["string", "number"], "maxLength": self.limit}


TEXT = TextShape


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several words, with what each becomes. `later`: words that a part to come brings, with its name."""

    words: tuple[tuple[str, Any], ...]
    later: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        """For the reference."""
        return " or ".join(f"`{word}`" for word, _ in self.words)

    def read(self, value: object) -> Any:
        """What the word stands for."""
        names = [word for word, _ in self.words]
        one = scalar(value, closest("", names))
        for word, made in self.words:
            if word == one.value:
                return made
        written = snake(one.value)  # As Exchange writes it: NotInOrganization.
        for word, part in self.later:
            if word == written:
                raise BadValue(kind_of(one.value), f"{closest('', names)}; this comes later, with {part}", one.line)
        raise BadValue(kind_of(one.value), f"`{written}`" if written in names else closest(written, names), one.line)

    def schema(self) -> dict[str, Any]:
        """The words."""
        return {"enum": [word for word, _ in self.words]}


def choice(*words: str, later: dict[str, str] | None = None) -> Choice:
    """One of `words`, which stays a text."""
    return Choice(tuple((word, word) for word in words), tuple((later or {}).items()))


def member(kind: type[StrEnum]) -> Choice:
    """One of the words of an enumeration, which becomes its member."""
    return Choice(tuple((one.value, one) for one in kind))


def kind_of(text: str) -> str:
    """A word as a fault shows it."""
    return shown(text)


@dataclass(frozen=True, slots=True)
class Flag:
    """`true` and nothing else: whoever does not want it leaves it out."""

    text: str = "`true`"

    def read(self, value: object) -> bool:
        """True."""
        one = scalar(value, "true")
        if one.plain and one.value in ("true", "True", "TRUE"):
            return True
        if one.plain and one.value in ("false", "False", "FALSE"):
            raise BadValue(
                "false", "true, or to leave it out; the opposite of a condition stands under `unless`", one.line
            )
        raise BadValue(shown(one.value), "true, without quotes", one.line)

    def schema(self) -> dict[str, Any]:
        """The one value."""
        return {"const": True}


@dataclass(frozen=True, slots=True)
class Switch:
    """`true` or `false`."""

    text: str = "`true` or `false`"

    def read(self, value: object) -> bool:
        """Which of the two."""
        one = scalar(value, "true or false")
        if one.plain and one.value.lower() in ("true", "false"):
            return one.value.lower() == "true"
        raise BadValue(shown(one.value), "true or false, without quotes", one.line)

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    @property
    def text(self) -> str:
        """For the reference."""
        return f"a number from {self.least} to {self.most:,}"

    def read(self, value: object) -> int:
        """The number. One in quotes is a text, and a fault that one is told."""
        right = f"a whole number from {self.least} to {self.most}"
        one = scalar(value, right)
        if not one.plain or not re.fullmatch(r"-?[0-9]{1,15}", one.value):
            raise BadValue(shown(one.value), right + ("" if one.plain else ", without quotes"), one.line)
        if not self.least <= int(one.value) <= self.most:
            raise BadValue(one.value, right, one.line)
        return int(one.value)

    def schema(self) -> dict[str, Any]:
        """Its bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


def _word(text: str) -> str:
    if _CONTROL.search(text):
        raise BadValue(shown(text), "words on one line; any white space in a message fits a blank")
    if text != text.strip():
        raise BadValue(shown(text), f"{shown(text.strip())}: words have no blank in front or behind")
    if len(text) > MAX_WORD:
        raise BadValue(f"{shown(text)}, {len(text)} letters", f"words and phrases of at most {MAX_WORD} letters")
    try:
        wanted(text)
    except ValueError as error:
        raise BadValue(f"{shown(text)}, in which no letter can be seen", "words that a reader sees") from error
    return text


def _size(text: str) -> int:
    fit = _SIZE.fullmatch(text)
    if fit is None or len(text) > 30:  # A number of more digits is none that anybody means.
        raise BadValue(shown(text), "a size such as 10MB, 512 KB, or a number of octets")
    whole, _, part = fit[1].partition(".")
    shift = _UNITS[(fit[2] or "").upper()]
    if part and not shift:
        raise BadValue(shown(text), "a whole number of octets")
    size = (int(whole) << shift) + ((int(part) << shift) // 10 ** len(part) if part else 0)
    if size > MAX_SIZE:
        raise BadValue(shown(text), "at most 1024TB")
    return size


def field_name(text: str) -> str:
    """The name of a header field as it is written. Raises BadValue."""
    if not _FIELD_NAME.fullmatch(text):
        bare = text.strip().rstrip(":").strip()
        if _FIELD_NAME.fullmatch(bare):
            raise BadValue(shown(text), f"{shown(bare)}, the name alone")
        raise BadValue(shown(text), "the name of a header field, such as X-Tag")
    if len(text) > MAX_NAME:
        raise BadValue(f"a name of {len(text)} letters", f"at most {MAX_NAME}")
    return text


def _lower_name(text: str) -> str:
    return field_name(text).lower()


def _changed(text: str, banned: frozenset[str], right: str) -> str:
    if (name := field_name(text)).lower() in banned or name.lower().startswith("arc-"):
        raise BadValue(shown(name), right)
    return name


def _set_name(text: str) -> str:
    return _changed(text, _STRUCTURE | _MARKS, "another field: this one says how the message is read or who it is from")


def _removed_name(text: str) -> str:
    name = field_name(text)
    if name.lower() in _STRUCTURE:
        raise BadValue(shown(name), "another field: without this one the message can't be read")
    if name.lower() == "received":  # RFC 5321 6.3
        raise BadValue(shown(name), "another field: by this one mail that goes round in circles is found out")
    return name


def _named(what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if _CONTROL.search(text) or len(text) > MAX_NAME or text != text.strip():
            raise BadValue(shown(text), f"the name of {what}, at most {MAX_NAME} letters")
        return text

    return read


WORD = Single("a word or phrase", "a word or phrase", _word, (("type", ("string", "number")), ("maxLength", MAX_WORD)))
WORDS = Several("words or phrases", WORD)
PATTERN = Single("a pattern", "a regular expression", pattern)
PATTERNS = Several("patterns", PATTERN)
SIZE = Single("a size, such as `10MB`", "a size such as 10MB", _size)
FLAG = Flag()
SWITCH = Switch()
HEADER_NAME = Single("the name of a header field", "the name of a header field", _lower_name, (("type", "string"),))
SET_HEADER_NAME = Single("the name of a header field", "the name of a header field", _set_name, (("type", "string"),))
REMOVE_HEADER = Single("the name of a header field", "the name of a header field", _removed_name, (("type", "string"),))
_CONNECTOR = "the name of an outbound connector"
CONNECTOR = Single(_CONNECTOR, _CONNECTOR, _named("an outbound connector"))
TEMPLATE = Single("the name of a template", "the name of a template", _named("a template"), (("type", "string"),))
