"""Reads the little of XML that licences use, and refuses all else. Pure; for hostile text, in bounded time.

What it takes: elements, attributes in double or single quotes, characters, the five entities and those by number. Since
`<` stands nowhere but at the beginning of a tag, what looks like a tag is one, and texts may be cut at them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.rights.xrml.element import BadLicence, Element, is_writable

MAX_DEPTH: Final = 24
MAX_ELEMENTS: Final = 20_000
MAX_ATTRIBUTES: Final = 16  # Of one element; licences have three.

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_.\-]*"
_TAG = re.compile(rf"<(/?)({_NAME})((?:\s+{_NAME}(?::{_NAME})?\s*=\s*(?:\"[^\"<]*\"|'[^'<]*'))*)\s*(/?)>")
_ATTRIBUTE = re.compile(rf"({_NAME}(?::{_NAME})?)\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')")
_REFERENCE = re.compile(r"&(#?[A-Za-z0-9]{0,10})(;?)")
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


@dataclass(slots=True)
class _Open:
    """An element whose end has not come yet."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def close(self) -> Element:
        return Element(self.name, self.attributes, tuple(self.children), "".join(self.texts))


def read(text: str) -> Element:
    """The one element that `text` is, from its first character to its last. Raises BadLicence."""
    if not is_writable(text):
        raise BadLicence("a character that XML does not have")
    opened: list[_Open] = []
    at = number = 0
    for match in _TAG.finditer(text):
        start, end = match.span()
        if start != at:
            _take_text(text[at:start], opened)
        at = end
        is_end, name, attributes, is_empty = match.groups()
        if is_end:
            if attributes or is_empty or not opened or opened[-1].name != name:
                raise BadLicence("tags that don't fit")
            done = opened.pop().close()
        else:
            number += 1
            if number > MAX_ELEMENTS:
                raise BadLicence("too many elements")
            opened.append(_Open(name, _attributes(attributes) if attributes else {}))
            if len(opened) > MAX_DEPTH:
                raise BadLicence("elements too deep")
            if not is_empty:
                continue
            done = opened.pop().close()
        if opened:
            opened[-1].children.append(done)
        elif at != len(text):
            raise BadLicence("text behind the element")
        else:
            return done
    raise BadLicence("an element without its end")


def _take_text(text: str, opened: list[_Open]) -> None:
    if "<" in text:
        raise BadLicence("a tag that is none")
    if not opened:
        raise BadLicence("text in front of the element")
    opened[-1].texts.append(_unescaped(text))


def _attributes(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, double, single in _ATTRIBUTE.findall(text):
        if name in found:
            raise BadLicence("an attribute that stands twice")
        found[name] = _unescaped(double or single)
    if len(found) > MAX_ATTRIBUTES:
        raise BadLicence("too many attributes")
    return found


def _unescaped(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    name, end = match.groups()
    if not end:
        raise BadLicence("an ampersand that is no reference")
    if not name.startswith("#"):
        if name not in _ENTITIES:
            raise BadLicence("an entity")
        return _ENTITIES[name]
    try:
        character = chr(int(name[2:], 16) if name[1:2] == "x" else int(name[1:]))
    except (ValueError, OverflowError):
        raise BadLicence("a reference to no character") from None
    if not is_writable(character):
        raise BadLicence("a reference to no character")
    return character
