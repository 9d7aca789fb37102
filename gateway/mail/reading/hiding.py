"""What HTML hides: by attribute, by style, by simple rules of its sheets.

Leaves out: colours, places, floats, and rules whose selectors end with anything but one class, identifier or name of an
element.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.mail.reading.entity import unescaped

MAX_RULES: Final = 1_000  # Of one sheet, that are looked at.

_ZERO: Final = r"\s*+:\s*+0*\.?0+(?:px|pt|em|rem|ex|vh|vw|%)?(?![\w.%])"
_HIDERS: Final = tuple(
    (word, re.compile(rest))
    for word, rest in (
        ("display", r"\s*+:\s*+none"),
        ("visibility", r"\s*+:\s*+(?:hidden|collapse)"),
        ("mso-hide", r"\s*+:\s*+all"),
        ("font-size", _ZERO),
        ("font", _ZERO),
        ("opacity", _ZERO),
        ("max-height", _ZERO),
        ("max-width", _ZERO),
        (" hidden", r"(?=[\s=/>]|\Z)"),
    )
)
# One of these stands in whatever hides, blanks taken out. A text without them is not looked at again.
_SIGNS: Final = ("display:none", "visibility:", "mso-hide:", "font-size:0", "font-size:.", "opacity:0", "opacity:.",
                 "max-height:0", "max-width:0", "font:0", "hidden", "/*")  # fmt: skip
_CSS_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|([^\n]))")
_SELECTED = re.compile(r"([.#])([\w-]+)$|(?:^|[\s>+~])([A-Za-z][\w-]*)$")
_SELECTORS = re.compile(r"""(?<![\w-])(class|id)\s*=\s*(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""", re.IGNORECASE)


def may_hide(low: str) -> bool:
    """Whether anything in a text of small letters could hide something."""
    squeezed = low.replace(" ", "")
    return any(sign in squeezed for sign in _SIGNS)


def places(low: str) -> list[int]:
    """Where in a text of small letters something says that it is hidden."""
    found: list[int] = []
    for word, rest in _HIDERS:
        place = low.find(word)
        while place >= 0:
            # `overflow: hidden` hides nothing, and `hidden` is an attribute.
            if rest.match(low, place + len(word)) is not None and not (
                word == " hidden" and low[place - 1 : place] == ":"
            ):
                found.append(place)
            place = low.find(word, place + 1)
    return found


def hides(inside: str) -> bool:
    """Whether a tag hides its element; `inside` is what stands in it behind its name."""
    low = inside.lower()
    if not may_hide(low) and "&" not in low and "\\" not in low:
        return False
    return bool(places(_plain(unescaped(low)).lower()))


def _plain(style: str) -> str:
    """A style without comments, its escapes undone (CSS Syntax 3 4.3.7)."""
    style = _CSS_COMMENT.sub("", style) if "/*" in style else style
    return _CSS_ESCAPE.sub(_letter, style) if "\\" in style else style


def _letter(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else 0
    return match[2] or (chr(code) if 0 < code < 0xD800 else "\N{REPLACEMENT CHARACTER}")


def hiding_names(styles: list[str]) -> frozenset[str]:
    """Classes (`.name`), identifiers (`#name`) and elements (`name`, in small letters) that simple rules hide."""
    found: set[str] = set()
    for style in styles:
        style = _plain(style)
        if not may_hide(style.lower()):
            continue
        for rule in style.split("}", MAX_RULES)[:MAX_RULES]:
            *around, body = rule.split("{")  # Of nested blocks the innermost.
            if around and places(body.lower()):
                found.update(one for part in around[-1].split(",") if (one := _selected(part)))
    return frozenset(found)


def is_named(inside: str, names: frozenset[str]) -> bool:
    """Whether a tag has a class or identifier of those."""
    for what, one, other, bare in _SELECTORS.findall(inside):
        mark = "." if what.lower() == "class" else "#"
        if any(mark + name in names for name in (one or other or bare).split()):
            return True
    return False


def _selected(selector: str) -> str | None:
    match = _SELECTED.search(selector.strip()[-200:])
    if match is None:
        return None
    return f"{match[1]}{match[2]}" if match[3] is None else match[3].lower()
