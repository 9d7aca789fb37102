"""One element of XrML: as a value that was read, and as text that is written. Pure.

Text is written without white space between tags, and only what our own reader takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# XML 1.0 2.2: all but these can be written. Half of a pair of UTF-16 is no character.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
GAP: Final = "\0"  # Where a value is put into text that was written before: no XML holds it.
_PLAIN = re.compile(r"[ -!#-%(-;=?-~]*")  # As it stands: most of what is written is ASCII without signs of XML.
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"})


class BadLicence(ValueError):
    """A licence says what none may say, or says it twice. The word tells which, and never what stands there."""


@dataclass(frozen=True, slots=True)
class Element:
    """`text`: the characters between its tags, those of its children left out."""

    name: str
    attributes: Mapping[str, str]
    children: tuple[Element, ...]
    text: str

    def all(self, name: str) -> Iterator[Element]:
        """Its children of that name, in order."""
        return (child for child in self.children if child.name == name)

    def maybe(self, name: str) -> Element | None:
        """Its one child of that name, or None where there is none. Raises BadLicence where there are several."""
        found = list(self.all(name))
        if len(found) > 1:
            raise BadLicence(f"several {name} in {self.name}")
        return found[0] if found else None

    def one(self, *path: str) -> Element:
        """The one child of that name, its one child of the next name, and so on. Raises BadLicence."""
        here = self
        for name in path:
            found = here.maybe(name)
            if found is None:
                raise BadLicence(f"no {name} in {here.name}")
            here = found
        return here

    @property
    def value(self) -> str:
        """Its text without white space around it, which the examples of [MS-RMPR] have."""
        return self.text.strip(" \t\r\n")


def is_writable(text: str) -> bool:
    """Whether XML can hold all characters of it."""
    return not _UNWRITABLE.search(text)


def escaped(text: str) -> str:
    """`text` as it stands between tags and in attributes. Raises ValueError for what XML can't hold."""
    if _PLAIN.fullmatch(text):
        return text
    if not is_writable(text):
        raise ValueError("a character that XML 1.0 does not have")
    return text.translate(_ESCAPES)


def filled(pieces: Sequence[str], *values: str) -> str:
    """A text that was split at its GAPs, with a value in each."""
    found = [pieces[0]]
    for value, piece in zip(values, pieces[1:], strict=True):
        found += (value, piece)
    return "".join(found)


def tag(name: str, inside: str = "", /, **attributes: str) -> str:
    """The text of an element. `inside` is written as it stands, attributes are escaped; `_` in their names is `-`, and
    one at the end is left out (`type_`).
    """
    said = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escaped(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{said}>{inside}</{name}>" if inside else f"<{name}{said}/>"
