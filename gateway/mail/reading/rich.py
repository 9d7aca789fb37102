"""Texts of other forms, as their readers see them: text/enriched (RFC 1896), text/calendar and text/vcard (RFC 5545,
RFC 6350), simple RTF.

Leaves out of RTF: pictures, objects, fields' instructions, fonts' own charsets but for the document's.
"""

from __future__ import annotations

import re
from typing import Final

_ENRICHED_TAG = re.compile(r"<(/?)([A-Za-z-]{1,60})>")
_PARAM = re.compile(r"<param>.*?(?:</param>|\Z)", re.IGNORECASE | re.DOTALL)
_BREAKS = re.compile(r"\r?\n((?:\r?\n)*)")
_CALENDAR_FOLD = re.compile(r"\r?\n[ \t]")
_CALENDAR_ESCAPE = re.compile(r"\\([nN,;\\])")
_RTF = re.compile(
    r"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z'])|([{}])|[\r\n]+|([^\\{}\r\n]++)|\\"
)
# Groups whose content is no text of the document.
_RTF_AWAY: Final = frozenset(
    (
        "fonttbl colortbl stylesheet info pict object header footer headerl headerr headerf footerl footerr footerf "
        "filetbl listtable listoverridetable rsidtbl generator xmlnstbl themedata colorschememapping datastore "
        "latentstyles fldinst"
    ).split()
)
_RTF_SIGNS: Final = {
    "par": "\n", "line": "\n", "tab": "\t", "cell": "\t", "row": "\n", "page": "\n", "sect": "\n", "emdash": "\u2014",
    "endash": "\u2013", "lquote": "\u2018", "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d",
    "bullet": "\u2022", "emspace": " ", "enspace": " ",
}  # fmt: skip
_RTF_PAGES: Final = frozenset((437, 850, 852, 866, 874, 932, 936, 949, 950, *range(1250, 1259)))
MAX_GROUPS: Final = 1_000  # RTF's groups in each other; deeper ones count as the one they lie in.


def enriched(text: str) -> str:
    """text/enriched: commands away, one line end is a blank, more of them are one less."""
    text = _PARAM.sub("", text)
    text = _BREAKS.sub(lambda match: match[1] or " ", text)
    text = _ENRICHED_TAG.sub(lambda match: "\n" if match[2].lower() in ("nl", "paragraph") else "", text)
    return text.replace("<<", "<")


def calendar(text: str) -> str:
    """text/calendar or a visiting card: unfolded, with its escapes undone."""
    text = _CALENDAR_FOLD.sub("", text)
    return _CALENDAR_ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], text) if "\\" in text else text


def rtf(text: str) -> str:
    """The text of an RTF document, given as Latin-1."""
    out: list[str] = []
    octets = bytearray()  # Of letters that stand as octets, which belong together.
    page = "cp1252"
    away = False
    skips: list[tuple[bool, int]] = []  # For each group that is open: what counted around it.
    over = 0  # Groups beyond MAX_GROUPS.
    unicode_skip, pending = 1, 0  # Letters to skip behind \u: what readers without Unicode show.

    def flush() -> None:
        if octets:
            out.append(octets.decode(page, "replace"))
            octets.clear()

    for match in _RTF.finditer(text):
        word, number, code, sign, bracket, plain = match.groups()
        if code is None:
            flush()
        if bracket == "{":
            if len(skips) < MAX_GROUPS:
                skips.append((away, unicode_skip))
            else:
                over += 1
        elif bracket == "}":
            if over:
                over -= 1
            elif skips:
                away, unicode_skip = skips.pop()
        elif sign is not None:
            if sign == "*":
                away = True
            elif not away:
                out.append({"~": " ", "_": "-", "\n": "\n", "\r": "\n", "-": ""}.get(sign, sign))
        elif word is not None:
            if word in _RTF_AWAY:
                away = True
            elif word == "ansicpg" and number and int(number) in _RTF_PAGES:
                page = f"cp{number}"
            elif word == "uc" and number:
                unicode_skip = min(abs(int(number)), 10)
            elif word == "u" and number and not away:
                out.append(_unit(int(number)))
                pending = unicode_skip
            elif not away:
                out.append(_RTF_SIGNS.get(word, ""))
        elif code is not None:
            if pending:
                pending -= 1
            elif not away:
                octets.append(int(code, 16))
        elif plain is not None and not away:
            out.append(plain[pending:])
            pending = max(0, pending - len(plain))
    flush()
    return "".join(out).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _unit(number: int) -> str:
    """A unit of UTF-16, which RTF writes as a signed number; halves of a letter are joined in the end."""
    return chr(number & 0xFFFF)
