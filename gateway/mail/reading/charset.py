"""Octets as text, by the charset that they are said to have and by what they look like (RFC 2045, RFC 2046 4.1.2).

Where what is said and what is there differ, both texts are given: programs differ in which of the two they believe.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from gateway.mail.reading.codec import codec_of
from gateway.mail.reading.unseen import CONTROLS, without_unseen

MAX_GUESSED: Final = 128 * 1024  # Octets that are tried in charsets which nobody named.
_LATIN: Final = "cp1252"
# In these, octets below 128 are not what ASCII has, or not always.
_SHIFTING: Final = frozenset(
    (
        "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7", "hz", "iso2022_jp_ext",
        "iso2022_kr", "cp424", "cp500", "cp1026", "cp1140", "cp037",
    )
)  # fmt: skip
_ESCAPING: Final = frozenset(("hz", "iso2022_jp_ext", "iso2022_kr"))  # Of these, those that say so in the octets.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GUESSES: Final = ("cp932", "euc_jp", "gb18030", "cp949", "big5hkscs", "koi8-r", "cp1251", "cp1250")
_META = re.compile(rb"<meta\b[^>]{0,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,80})", re.IGNORECASE)
_ESCAPES = re.compile(rb"\x1b(?:\$[@B]|\([BJI]|\$\([DC]|\$A)")


def meta_charset(html: bytes) -> bytes | None:
    """What an HTML text says of its own charset."""
    found = _META.search(html, 0, 4096)
    return None if found is None else found[1]


def readings(octets: bytes, name: bytes | None) -> tuple[str, ...]:
    """`octets` as text: as the charset of that `name` has it (None: none is named), then as others may see it. What is
    ASCII alone is without control characters, which nobody sees.
    """
    codec = None if name is None else codec_of(name)
    if codec == "ascii":
        codec = None  # What is beyond it is nobody's; what is not is the same to all.
    if octets.isascii() and codec not in _SHIFTING and b"\x1b" not in octets and b"\x00" not in octets:
        return (octets.translate(None, CONTROLS).decode("ascii"),)
    found: list[str] = []
    for mark, marked in _MARKS:
        if octets.startswith(mark):
            found.append(octets[len(mark) :].decode(marked, "replace"))
            break
    fits = False
    if codec is not None:
        text, fits = _decoded(octets, codec)
        found.append(text)
        if codec == "utf-16" and len(found) == 1:  # Without a mark, by RFC 2781 4.3 big-endian; many write the other.
            found.append(octets.decode("utf-16-be", "replace"))
    if codec != "utf-8" and not octets.isascii():
        text, is_utf8 = _decoded(octets, "utf-8")
        if is_utf8:
            found.append(text)
            fits = True
    if not fits or (codec in _SHIFTING and codec not in _ESCAPING and octets.isascii()):
        found.extend(_guessed(octets, known=codec))
    elif codec not in _ESCAPING and _ESCAPES.search(octets) is not None:
        found.append(octets.decode("iso2022_jp_ext", "replace"))
    return tuple(dict.fromkeys([without_unseen(text) if text.isascii() else text for text in found])) or ("",)


def _decoded(octets: bytes, codec: str) -> tuple[str, bool]:
    """The text, and whether all octets fit."""
    try:
        text, fits = octets.decode(codec), True
    except UnicodeError:  # The parent: some codecs raise it for a missing mark.
        try:
            text, fits = octets.decode(codec, "replace"), False
        except UnicodeError:
            return octets.decode(_LATIN, "replace"), False
    if codec == "utf-7":  # Python's reader lets halves of letters pass.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text, fits


def _guessed(octets: bytes, known: str | None) -> list[str]:
    """As they look: what fits no charset that was named."""
    if octets.isascii():
        found = [octets.decode("ascii")]
        if _ESCAPES.search(octets) is not None:
            found.append(octets.decode("iso2022_jp_ext", "replace"))
    else:
        found = [octets.decode(_LATIN, "replace")]
    sample = octets[:MAX_GUESSED]
    zeros = sample.count(b"\x00")
    if zeros * 8 > len(sample):
        first = sample[::2].count(b"\x00") * 2 > zeros
        found.append(octets.decode("utf-16-be" if first else "utf-16-le", "replace"))
    elif not sample.isascii() and known != "utf-8":
        for codec in _GUESSES:
            text, fits = _decoded(sample, codec)
            if fits and codec != known:
                found.append(text)
    elif not sample.isascii():
        # Said to be UTF-8 and not so: charsets of several octets for a letter alone, which seldom fit by chance.
        found.extend(text for text, fits in [_decoded(sample, codec) for codec in _GUESSES[:5]] if fits)
    return found
