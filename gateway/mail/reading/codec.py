"""Names of charsets, and the codecs that read them.

As browsers do, a wider charset stands for one that it holds. Python's codecs are used by name from this list alone, so
that no octets ever reach one that is no charset, whatever a message names.
"""

from __future__ import annotations

from typing import Final

MAX_NAME: Final = 80  # Octets of a charset's name that are looked at.

_LATIN: Final = "cp1252"
_NAMES: Final = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 unicode-2-0-utf-8 utf-8-sig csutf8 cp65001",
    "ascii": "us-ascii ascii ansi-x3.4-1968 iso646-us 646 ansi-x3.4-1986 iso-ir-6 us csascii",
    _LATIN: "iso-8859-1 latin1 l1 iso8859-1 iso-8859-1-windows-3.1-latin-1 ansi cp819 ibm819 cp1252 windows-1252 "
    "csisolatin1 latin-1 mac-greek mac-latin2 mac-turkish mac-iceland viscii tcvn",
    "iso8859-2": "latin2",
    "iso8859-3": "latin3",
    "iso8859-4": "latin4",
    "iso8859-5": "cyrillic",
    "iso8859-6": "iso-8859-6-i iso-8859-6-e arabic",
    "iso8859-7": "greek greek8",
    "iso8859-8": "iso-8859-8-i iso-8859-8-e hebrew visual logical",
    "iso8859-10": "latin6",
    "iso8859-13": "latin7",
    "iso8859-14": "latin8",
    "iso8859-15": "latin9",
    "cp1254": "iso-8859-9 iso8859-9 latin5",
    "cp874": "iso-8859-11 tis-620 windows-874 cp874",
    "cp037": "cp037 ibm037",
    "cp866": "dos-866",
    "koi8-r": "koi8-r koi8 koi cskoi8r",
    "koi8-u": "koi8-u koi8-ru",
    "mac-roman": "mac macintosh mac-roman macroman",
    "mac-cyrillic": "mac-cyrillic mac-ukrainian",
    "gb18030": "gb2312 gbk gb18030 cp936 ms936 windows-936 gb-2312-80 euc-cn euccn gb gb2312-80 csgb2312",
    "hz": "hz hz-gb-2312",
    "big5hkscs": "big5 big5-hkscs big5hkscs cn-big5 csbig5 cp950 windows-950 ms950",
    "cp932": "shift-jis sjis shiftjis ms-kanji cp932 ms932 windows-31j windows-932 csshiftjis",
    "euc_jp": "euc-jp eucjp ujis",
    "iso2022_jp_ext": "iso-2022-jp iso-2022-jp-1 iso-2022-jp-2 iso-2022-jp-3 iso-2022-jp-ext iso-2022-jp-ms jis "
    "cp50220 cp50221 csiso2022jp",
    "cp949": "euc-kr euckr ks-c-5601-1987 ks-c-5601-1989 ksc5601 ksc-5601 korean cp949 uhc ms949 windows-949 "
    "iso-ir-149",
    "johab": "johab",
    "iso2022_kr": "iso-2022-kr csiso2022kr",
    "utf-16": "utf-16 ucs-2 iso-10646-ucs-2 unicode csunicode",
    "utf-16-le": "utf-16le utf-16-le",
    "utf-16-be": "utf-16be utf-16-be",
    "utf-32": "utf-32 ucs-4 iso-10646-ucs-4",
    "utf-32-le": "utf-32le utf-32-le",
    "utf-32-be": "utf-32be utf-32-be",
    "utf-7": "utf-7 unicode-1-1-utf-7 unicode-2-0-utf-7 csutf7 utf7",
    "ptcp154": "ptcp154 pt154",
    "kz1048": "kz1048",
}
_ISO: Final = (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)
_WINDOWS: Final = (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258)
_IBM: Final = (437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869, 1006, 1125, 720, 424,
               500, 1026, 1140)  # fmt: skip

CODECS: Final = {
    **{name: codec for codec, names in _NAMES.items() for name in names.split()},
    **{f"{front}{number}": f"iso8859-{number}" for number in _ISO for front in ("iso-8859-", "iso8859-")},
    **{f"{front}{number}": f"cp{number}" for number in _WINDOWS for front in ("windows-", "cp", "win-")},
    **{f"{front}{number}": f"cp{number}" for number in _IBM for front in ("ibm", "cp", "ibm-", "ibm0", "cp0")},
}


def codec_of(name: bytes) -> str | None:
    """The codec for a charset's name, None where that is unknown."""
    text = name[:MAX_NAME].decode("latin-1").strip(" \t\"'").lower().replace("_", "-")
    bare = text.removeprefix("x-")
    return CODECS.get(text) or CODECS.get(bare) or CODECS.get(bare.replace("-", ""))
