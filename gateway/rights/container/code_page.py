"""Windows code pages by number, as foreign writers name them beside a body ([MS-OXORMMS] 2.2.4.4.1)."""

from __future__ import annotations

from typing import Final

UTF_8: Final = 65001
_WESTERN: Final = "cp1252"

_NAMED: Final = {
    UTF_8: "utf-8",
    1200: "utf-16-le",
    1201: "utf-16-be",
    874: "cp874",
    932: "cp932",
    936: "gb18030",
    949: "cp949",
    950: "cp950",
    20127: "ascii",
    20866: "koi8-r",
    20932: "euc-jp",
    21866: "koi8-u",
    50220: "iso2022-jp",
    50221: "iso2022-jp-ext",
    50222: "iso2022-jp",
    50225: "iso2022-kr",
    51932: "euc-jp",
    51949: "euc-kr",
    52936: "hz",
    54936: "gb18030",
} | {number: f"cp{number}" for number in (437, 850, 852, 866, *range(1250, 1259))}
_ISO_8859: Final = range(28591, 28607)  # 28591 is its part 1; there is no part 12.


def decode(octets: bytes, page: int) -> str:
    """The text that `octets` are in the code page of this number; what is wrong in it is replaced.

    A number that is not known counts as Western: letters of ASCII are right in nearly all.
    """
    codec = _NAMED.get(page, _WESTERN)
    if page in _ISO_8859 and page != 28602:
        codec = f"iso8859-{page - 28590}"
    return octets.decode(codec, "replace")
