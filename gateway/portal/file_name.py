"""Names of files as they are shown and offered for saving: RFC 6266 and RFC 8187 for the header field. Pure.

Whatever a sender calls a file, what a reader's machine is told is one plain name: no folder, no device, no letter that
turns the text around so that `exe.txt` is read where `txt.exe` stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from gateway.mail.reading.unseen import without_unseen

MAX_NAME: Final = 200  # Octets of UTF-8: file systems take 255, and a program adds ` (2)`.

_NEVER = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ufffd\u2028\u2029]+')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)", re.IGNORECASE)
_PLAIN = re.compile(r"[^A-Za-z0-9!#$&+.^_`{}~ ()-]")
_UNUSUAL = re.compile(r"[^\w.+~-]")


def safe_name(names: Sequence[str], fallback: str) -> str:
    """The first of `names` that leaves something to call it by, made safe; else `fallback`."""
    for name in names:
        last = without_unseen(name.replace("\\", "/")).rstrip("/ .").rpartition("/")[2]
        text = _NEVER.sub("_", unicodedata.normalize("NFC", " ".join(last.split()))).strip(" .")
        text = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
        text = text.lstrip("-~")  # A name that a command takes for an option, or a shell for somebody's home.
        if _DEVICE.match(text):
            text = "_" + text
        if text.strip("_. "):
            return _shortened(text)
    return fallback


def _shortened(name: str) -> str:
    """At most MAX_NAME octets; the ending stays, since it says what opens the file."""
    if len(name.encode()) <= MAX_NAME:
        return name
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > 20:
        stem, dot, ending = name, "", ""
    room = MAX_NAME - len((dot + ending).encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip() + dot + ending


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """The same, each made different from those before it, whatever their case: `a.txt`, `a (2).txt`."""
    taken: set[str] = set()
    counts: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        stem, dot, ending = name.rpartition(".")
        if not stem:
            stem, dot, ending = name, "", ""
        one = name
        while one.casefold() in taken:
            counts[name.casefold()] = number = counts.get(name.casefold(), 1) + 1
            one = f"{stem} ({number}){dot}{ending}"
        taken.add(one.casefold())
        found.append(one)
    return tuple(found)


def disposition(name: str, *, inline: bool = False) -> str:
    """The value of Content-Disposition for a safe name: for all browsers in ASCII (RFC 6266 4.3), and as it is
    (RFC 8187 3.2).
    """
    kind = "inline" if inline else "attachment"
    plain = _PLAIN.sub("_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode() or "file")
    if plain == name and not _UNUSUAL.search(name):
        return f'{kind}; filename="{name}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
