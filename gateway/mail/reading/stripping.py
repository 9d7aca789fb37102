"""HTML without what is no text of its own: comments, style, script, and what some readers show and others don't."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_COMMENT_END = re.compile(r"--!?>")
# In conditional comments: Office's settings, and tags, which are all that most of them hold.
_NO_TEXT = re.compile(r"<xml>(?:[^<]++|<(?!/?xml>))*</xml>|<[^<>]*+>", re.IGNORECASE)
_NAME_ENDS: Final = " \t\n\r\f/>"
# Sought one by one: in most texts each stands a few times or never, which an expression takes much longer to tell.
_WORDS: Final = ("<!--", "<![", "<style", "<script", "<title", "<template")


@dataclass(frozen=True, slots=True)
class Stripped:
    """`seen`: what every reader shows. `whole`: with what some show in its place, of conditional comments; the same
    object where there is none. `beside`: what is hidden elsewhere, such as a title. `styles`: the sheets.
    """

    seen: str
    whole: str
    beside: list[str]
    styles: list[str]


def stripped(html: str) -> Stripped:
    """Take apart what stands between the tags."""
    html = html.replace("\u0130", "I")  # The one letter that small letters are two of; places must stay the same.
    low = html.lower()
    seen: list[str] = []
    whole: list[str] = []
    beside: list[str] = []
    styles: list[str] = []
    place = 0
    nexts = {word: low.find(word) for word in _WORDS}
    while True:
        for word, at in nexts.items():
            if 0 <= at < place:
                nexts[word] = low.find(word, place)
        found = [(at, word) for word, at in nexts.items() if at >= 0]
        if not found:
            break
        start, word = min(found)
        end = start + len(word)
        if word[1] != "!" and low[end : end + 1] not in _NAME_ENDS:
            piece, place = html[place:end], end  # Another name, such as <titles>.
            seen.append(piece)
            whole.append(piece)
            continue
        seen.append(html[place:start])
        whole.append(html[place:start])
        if word == "<!--":
            place = _comment(html, end, whole, beside)
        elif word == "<![":
            place = _section(html, low, end, whole)
        else:
            place = _element(html, end, word[1:], beside, styles)
    seen.append(html[place:])
    whole.append(html[place:])
    one, other = "".join(seen), "".join(whole)
    return Stripped(one, one if one == other else other, beside, styles)


def _section(html: str, low: str, place: int, whole: list[str]) -> int:
    """Where a `<![` ends: of conditional comments the mark alone goes, CDATA is shown where HTML is read as XML."""
    if low.startswith("cdata[", place):
        end = html.find("]]>", place)
        whole.append(html[place + 6 : len(html) if end < 0 else end])
        return len(html) if end < 0 else end + 3
    end = html.find(">", place)
    return len(html) if end < 0 else end + 1


def _element(html: str, place: int, name: str, beside: list[str], styles: list[str]) -> int:
    """Where an element ends that is not shown; `place` is behind its name."""
    end = _closing(name).search(html, place)
    content = html[place : len(html) if end is None else end.start()].partition(">")[2]
    if name == "style":
        styles.append(content)
    if (end is None or name in ("title", "template")) and content.strip():
        beside.append(content)  # Never closed: some show what others take for its content.
    return len(html) if end is None else end.end()


@lru_cache(maxsize=8)
def _closing(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}[^>]*+>?", re.IGNORECASE)


def _comment(html: str, place: int, whole: list[str], beside: list[str]) -> int:
    """Where the comment ends whose content begins at `place`."""
    if html.startswith((">", "->"), place):
        return html.index(">", place) + 1
    end = _COMMENT_END.search(html, place)
    content = html[place : len(html) if end is None else end.start()]
    if content[:4].lower().startswith("[if"):
        content = content.partition("]>")[2].removesuffix("<!").replace("<![endif]", "")
        if _NO_TEXT.sub("", content).strip():
            whole.append(content)  # Outlook shows it.
    elif end is None:
        beside.append(content)
    return len(html) if end is None else end.end()
