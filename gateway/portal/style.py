"""Style of a mail, cleaned: properties by list, nothing that loads, covers or moves (CSS Syntax Level 3). Pure.

tinycss2 reads as browsers do, so that what is judged is what they would see, escapes undone; what is written is made
anew of what was judged. Leaves out: fonts and pictures that a sheet would load, animation, @-rules but @media.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import tinycss2  # type: ignore[import-untyped]  # it has no types of its own

MAX_STYLE: Final = 128 * 1024  # Letters of sheets in one mail.
MAX_INLINE: Final = 8 * 1024  # Of one style attribute.
MAX_RULES: Final = 2_000  # Of one sheet.
MAX_NESTED: Final = 40  # Brackets in each other.

# By their beginning: `border` lets `border-left-width` pass too.
_FAMILIES: Final = ("border", "font", "list-style", "margin", "padding", "text", "background")
_PROPERTIES: Final = frozenset(
    "color clear cursor direction display empty-cells float height hyphens letter-spacing line-height max-height "
    "max-width min-height min-width opacity order orphans overflow overflow-wrap overflow-x overflow-y table-layout "
    "unicode-bidi vertical-align visibility white-space widows width word-break word-spacing word-wrap caption-side "
    "border-collapse border-spacing box-sizing align-items align-content align-self justify-content flex flex-basis "
    "flex-direction flex-flow flex-grow flex-shrink flex-wrap gap column-gap row-gap quotes tab-size outline "
    "outline-color outline-style outline-width mso-hide".split()
)
_FUNCTIONS: Final = frozenset(
    ("rgb", "rgba", "hsl", "hsla", "calc", "min", "max", "clamp", "linear-gradient", "radial-gradient")
)
_SELECTOR_FUNCTIONS: Final = frozenset(("not", "is", "where", "nth-child", "nth-of-type", "nth-last-child", "lang"))
_LOADS: Final = frozenset(("url", "image-set", "-webkit-image-set", "image", "cross-fade", "src"))


class Loads:
    """Counts what would have been loaded from elsewhere and is not."""

    def __init__(self) -> None:
        self.count = 0


def clean_declarations(style: str, loads: Loads) -> str:
    """What stands in a style attribute, cleaned; empty where nothing remains."""
    return _declarations(tinycss2.parse_declaration_list(style[:MAX_INLINE], True, True), loads)


def clean_sheet(sheet: str, loads: Loads) -> str:
    """A style sheet, cleaned. Holds no `<`, so that it can stand in a `style` element."""
    rules = tinycss2.parse_stylesheet(sheet[:MAX_STYLE], True, True)
    return "\n".join(_rules(rules[:MAX_RULES], loads, 0))


def _rules(rules: Iterable[Any], loads: Loads, depth: int) -> Iterable[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            if not _is_plain(rule.prelude, _SELECTOR_FUNCTIONS, 0):
                continue
            body = _declarations(tinycss2.parse_declaration_list(rule.content, True, True), loads)
            if body:
                yield f"{_written(rule.prelude)}{{{body}}}"
        elif rule.type == "at-rule":
            if rule.lower_at_keyword in ("import", "font-face"):
                loads.count += 1
            if rule.lower_at_keyword == "media" and rule.content is not None and depth < 2:
                if not _is_plain(rule.prelude, frozenset(), 0):
                    continue
                inner = tinycss2.parse_rule_list(rule.content, True, True)[:MAX_RULES]
                if body := "\n".join(_rules(inner, loads, depth + 1)):
                    yield f"@media {_written(rule.prelude)}{{{body}}}"


def _declarations(declarations: Iterable[Any], loads: Loads) -> str:
    found: list[str] = []
    for one in declarations:
        if one.type != "declaration":
            continue
        name = one.lower_name
        if name not in _PROPERTIES and not name.startswith(_FAMILIES):
            continue
        if _loads(one.value, 0):
            loads.count += 1
            continue
        if name.startswith("background-attachment") or not _is_plain(one.value, _FUNCTIONS, 0):
            continue
        value = _written(one.value)
        if value:
            found.append(f"{name}:{value}{' !important' if one.important else ''}")
    return ";".join(found)


def _loads(tokens: Iterable[Any], depth: int) -> bool:
    for token in tokens:
        if token.type in ("url", "bad-url"):
            return True
        if token.type == "function":
            if token.lower_name in _LOADS or (depth < MAX_NESTED and _loads(token.arguments, depth + 1)):
                return True
    return False


def _is_plain(tokens: Iterable[Any], functions: frozenset[str], depth: int) -> bool:
    """Whether there is nothing in it but words, numbers, texts, and functions of the list."""
    if depth > MAX_NESTED:
        return False
    for token in tokens:
        if token.type == "function":
            if token.lower_name not in functions or not _is_plain(token.arguments, functions, depth + 1):
                return False
        elif token.type in ("() block", "[] block"):
            if not _is_plain(token.content, functions, depth + 1):
                return False
        elif token.type in ("{} block", "error", "url", "at-keyword", "unicode-range"):
            return False
    return True


def _written(tokens: Iterable[Any]) -> str:
    """As CSS again; a `<` only as an escape, so that no element can end by it."""
    text: str = tinycss2.serialize(tokens)
    return text.strip().replace("<", r"\3c ")
