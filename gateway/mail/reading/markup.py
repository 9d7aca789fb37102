"""HTML as its reader sees it, in time that grows with its length alone (HTML Living Standard 13.2, as far as text).

A scanner, not a tree: inline tags vanish, so that a word they cut is whole, block tags end a line; entities are
letters; texts of images and hints are there; what is hidden is told apart.
Leaves out: whatever is placed, coloured or floated by a sheet, and what script would do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.mail.reading.entity import unescaped
from gateway.mail.reading.hiding import hides, hiding_names, is_named, may_hide
from gateway.mail.reading.stripping import stripped

_BLOCKS: Final = frozenset(
    front + name
    for name in (
        "address article aside blockquote body br caption center col colgroup dd details dialog dir div dl dt fieldset "
        "figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe legend li "
        "listing main menu nav noframes noscript ol optgroup option p plaintext pre section select summary table tbody "
        "td textarea tfoot th thead tr ul video xmp"
    ).split()
    for front in ("", "/")
)
_VOID: Final = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_TELLERS: Final = frozenset(("img", "input", "area", "option", "track"))

_TAG = re.compile(r"<(/?[A-Za-z][^\s/<>]*+)([^<>]*+)>|<[!?/][^<>]*+>")
_QUOTED_TAG = re.compile(
    r"""<(?:(/?[A-Za-z][^\s/>]*+)((?:[^>"'=]++|=\s*+(?:"[^"]*+"|'[^']*+')|=(?!\s*+(?:"[^"]*+"|'[^']*+'))|["'])*)|[!?/][^>]*+)>"""
)
# With the letters in front that such a search is fast by; white space is one blank by then.
_SIGNS_IN_QUOTES: Final = tuple(
    (front, re.compile(f"{front}[^{front[-1]}<>]*+[<>]")) for front in ('="', "='", '= "', "= '")
)
_TELLING: Final = ("alt=", "title=", "value=", "placeholder=", "aria-label=", "summary=")
_TOLD = re.compile(
    r"""(?<![\w-])(?:alt|title|placeholder|value|aria-label|summary)\s*=\s*(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""",
    re.IGNORECASE,
)
_HINTS = re.compile(r"title|aria-label|summary", re.IGNORECASE)
_INLINE = re.compile(r"display\s*+:\s*+inline(?!-)", re.IGNORECASE)

Pieces = list[str | None]  # Text, a tag's name, what else stands in the tag, and again; at the end a text.


@dataclass(frozen=True, slots=True)
class Shown:
    """`seen`: without what is hidden. `whole`: with it, in its place; the same object where nothing is hidden.
    `beside`: what is hidden elsewhere, such as a title; and what is hidden in the text once more, by itself, since its
    words may touch those around them.
    """

    seen: str
    whole: str
    beside: str = ""


class _Separators(dict[str | None, str]):
    """What stands in a tag's place, by its name: a line's end or nothing."""

    def __missing__(self, name: str | None) -> str:
        return "\n" if name is not None and name.lower() in _BLOCKS else ""


_SEPARATORS: Final = _Separators(
    [
        (None, ""),
        *[(name, "\n") for name in _BLOCKS],
        *[(name.upper(), "\n") for name in _BLOCKS],
        *[(name, "") for name in "a /a b /b i /i u /u span /span font /font strong /strong em /em img".split()],
    ]
)


def shown(html: str) -> tuple[Shown, ...]:
    """What readers see of `html`: one reading, or two where a quoted `<` or `>` divides them."""
    parts = stripped(html)
    seen = " ".join(parts.seen.split())
    whole = seen if parts.whole is parts.seen else " ".join(parts.whole.split())
    beside = "\n".join([f"{_joined(_pieces(' '.join(one.split())))}" for one in parts.beside])
    names = hiding_names(parts.styles) if parts.styles else frozenset[str]()
    pieces = _pieces(seen)
    found = [_read(seen, whole, beside, names, _pieces, pieces)]
    if _is_divided(whole, pieces if whole is seen else _pieces(whole)):
        found.insert(0, _read(seen, whole, beside, names, _quoted_pieces, _quoted_pieces(seen)))
    return tuple(dict.fromkeys(found))


def _is_divided(text: str, pieces: Pieces) -> bool:
    """Whether a tag may hold a quoted `<` or `>`: some of them are no tags' ends, and some stand in quotes."""
    tags = len(pieces) // 3
    if text.count("<") == tags == text.count(">"):
        return False
    return any(front in text and signs.search(text) is not None for front, signs in _SIGNS_IN_QUOTES)


def _pieces(text: str) -> Pieces:
    return _TAG.split(text)


def _quoted_pieces(text: str) -> Pieces:
    """The same, as a reader does it who heeds quotes in tags (HTML 13.2.5.37): `>` in them ends nothing."""
    out: Pieces = []
    place = start = 0
    last = text.rfind(">")
    while 0 <= (place := text.find("<", place)) < last:
        match = _QUOTED_TAG.match(text, place)
        if match is None:
            if text[place + 1 : place + 2].isalpha():  # It never ends: by the standard nothing after it is shown.
                return [*out, text[start:place]]
            place += 1
            continue
        out.extend((text[start:place], match[1], match[2]))
        place = start = match.end()
    out.append(text[start:])
    return out


def _read(
    seen: str, whole: str, beside: str, names: frozenset[str], divide: Callable[[str], Pieces], pieces: Pieces
) -> Shown:
    # What stands in tags is mostly the same again and again, or nothing: each is looked at once.
    insides = set(pieces[2::3])
    low = "\n".join([inside for inside in insides if inside]).lower()
    hiders = frozenset[str]()
    elements = frozenset([one for one in names if one[0] not in ".#"])
    if names or may_hide(low) or "&#" in low or "\\" in low:
        hiders = frozenset(one for one in insides if one and (hides(one) or (names and is_named(one, names))))
    careful = ":inline" in low or ": inline" in low or _tells(low)
    if not hiders and not elements and not careful:
        text = _joined(pieces)
    else:
        text, apart = _walked(pieces, hiders, elements, careful=careful)
        beside = "\n".join([one for one in (beside, apart) if one])
    if not hiders and not elements and whole is seen:
        return Shown(text, text, beside)
    if whole is not seen:
        pieces = divide(whole)
    full = _walked(pieces, frozenset(), frozenset(), careful=True)[0] if careful else _joined(pieces)
    return Shown(text, text if full == text else full, beside)


def _tells(low: str) -> bool:
    """Whether a tag may have a text of its own that is not empty."""
    return any(word in low and low.count(word) > low.count(f'{word}""') for word in _TELLING)


def _joined(pieces: Pieces) -> str:
    last = pieces.pop() or ""
    text = "".join([f"{text}{_SEPARATORS[name]}" for text, name in zip(pieces[::3], pieces[1::3], strict=True)]) + last
    pieces.append(last)
    return unescaped(text)


def _walked(pieces: Pieces, hiders: frozenset[str], elements: frozenset[str], *, careful: bool) -> tuple[str, str]:
    """The same, with attention to what stands in tags; `hiders` is what hides an element, `elements` are hidden by
    their names. With it what that hides.

    `careful`: tags may have texts of their own, or be blocks by name alone.
    """
    out: list[str] = []
    hints: list[str] = []
    apart: list[str] = []
    hider: str | None = None  # The name of the element that hides what is inside of it.
    depth = 0
    inline: list[str] = []  # Ends of blocks that a style makes part of their line.
    for place in range(0, len(pieces) - 1, 3):
        text, name, inside = pieces[place : place + 3]
        if hider is not None:
            low = (name or "").lower()
            apart.append(f"{text}{_SEPARATORS[name]}")
            if low == hider:
                depth += not (inside or "").endswith("/")
            elif low == f"/{hider}":
                depth -= 1
                if not depth:
                    hider = None
                    apart.append("\n")
            continue
        if text:
            out.append(text)
        if elements and name is not None and (low := name.lower()) in elements and low not in _VOID:
            hider, depth = low, 1
            continue
        if not inside or name is None:
            if inline and name is not None and name.lower() == inline[-1]:
                inline.pop()
            else:
                out.append(_SEPARATORS[name])
            continue
        if inside in hiders and (low := name.lower()) not in _VOID and not low.startswith("/"):
            hider, depth = low, 1
            continue
        if not careful:
            out.append(_SEPARATORS[name])
            continue
        if "inline" in inside and _INLINE.search(inside) is not None:
            inline.append(f"/{name.lower()}")
        else:
            out.append(_SEPARATORS[name])
        if "=" in inside and (name.lower() in _TELLERS or _HINTS.search(inside) is not None):
            _tell(name.lower(), inside, out, hints)
    (out if hider is None else apart).append(pieces[-1] or "")
    return unescaped("".join(out)) + "".join(hints), unescaped("".join(apart)).strip()


def _tell(name: str, inside: str, out: list[str], hints: list[str]) -> None:
    """Texts that stand in a tag: those of images in their place, hints behind everything."""
    for match in _TOLD.finditer(inside):
        told = match[1] or match[2] or match[3]
        if told:
            if name in _TELLERS:
                out.append(f" {told} ")
            else:
                hints.append(f"\n{unescaped(told)}")
