"""Looks for words and keys in every file of a folder, octet by octet, in all forms in which a program might write them.

Databases, write-ahead logs and journals are files like any: what their programs call free or deleted is read as well.
"""

from __future__ import annotations

import base64
import hashlib
import json
import quopri
import re
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import re2

EMPTY = bytes(4096)
INCH = 64  # Octets at once: what comes out before the first that makes no sense counts.
MOST = 1 << 20
LEAST = 5  # Octets of a form; shorter ones stand anywhere by chance.
MEMORY = 256 << 20  # Octets for RE2: with less it forgets its states and begins again and again.
_COMPRESSED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


@dataclass(frozen=True)
class Find:
    """`what` was found in a file (or its name), written in this way."""

    what: str
    form: str
    place: str


def word_forms(word: str) -> Mapping[str, bytes]:
    """The forms of a word of mail or of an address, as it stands and in small letters."""
    forms: dict[str, bytes] = {}
    for how, text in {"": word, "small ": word.lower()}.items():
        plain = text.encode()
        forms |= {
            f"{how}UTF-8": plain,
            f"{how}UTF-16LE": text.encode("utf-16-le"),
            f"{how}UTF-16BE": text.encode("utf-16-be"),
            f"{how}hex": plain.hex().encode(),
            f"{how}HEX": plain.hex().upper().encode(),
            **{f"{how}base64 {at}": one for at, one in enumerate(_base64(plain))},
        }
        if not text.isascii():
            forms |= {
                f"{how}Latin-1": text.encode("latin-1"),
                f"{how}quoted-printable": quopri.encodestring(plain),
                f"{how}Latin-1 quoted-printable": quopri.encodestring(text.encode("latin-1")),
                f"{how}percent": urllib.parse.quote(text).encode(),
                f"{how}JSON": json.dumps(text)[1:-1].encode(),
            }
    return forms | {"reversed UTF-8": word[::-1].encode()}


def key_forms(key: bytes) -> Mapping[str, bytes]:
    """The forms of a key, whole and in halves: a part of it is too much as well."""
    half = len(key) // 2
    forms: dict[str, bytes] = {}
    for how, octets in {"first half": key[:half], "second half": key[half:], "reversed": key[::-1][:half]}.items():
        forms |= {
            how: octets,
            f"{how}, hex": octets.hex().encode(),
            f"{how}, HEX": octets.hex().upper().encode(),
            f"{how}, repr": repr(octets)[2:-1].encode(),
            **{f"{how}, base64 {at}": one for at, one in enumerate(_base64(octets))},
            **{f"{how}, base64url {at}": one for at, one in enumerate(_base64(octets, b"-_"))},
        }
    return forms


def _inflated(octets: bytes) -> bytes:
    """What comes out wherever something begins that zlib or gzip may have written, as far as it makes sense."""
    out = []
    for match in _COMPRESSED.finditer(octets):
        made = zlib.decompressobj(zlib.MAX_WBITS | 32)
        with suppress(zlib.error):
            for start in range(match.start(), len(octets), INCH):
                out.append(made.decompress(octets[start : start + INCH], MOST))
                if made.eof or made.unconsumed_tail:
                    break
    return b"".join(out)


def _base64(octets: bytes, alphabet: bytes = b"+/") -> Iterator[bytes]:
    """How the octets look inside of longer base64, at each of its three places."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + octets, alphabet)
        yield text[(before * 8 + 5) // 6 : (before + len(octets)) * 8 // 6]


def needles(words: Iterable[str], keys: Mapping[str, bytes]) -> dict[bytes, tuple[str, str]]:
    """All forms of all of them, each with what it is and how it is written."""
    found: dict[bytes, tuple[str, str]] = {}
    for word in words:
        found |= {octets: (word, form) for form, octets in word_forms(word).items()}
    for name, key in keys.items():
        found |= {octets: (name, form) for form, octets in key_forms(key).items()}
    assert all(len(octets) >= LEAST for octets in found), "a form is too short to mean anything"
    return found


@lru_cache(maxsize=4)
def _any_of(wanted: frozenset[bytes]) -> Any:
    """A pattern that finds whether one of them is there, in one pass; each by itself would be a thousand passes."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = MEMORY
    escaped = ("".join(f"\\x{octet:02x}" for octet in one) for one in sorted(wanted))
    return re2.compile("|".join(escaped).encode(), options)


def search(folder: Path, wanted: Mapping[bytes, tuple[str, str]], clean: set[bytes] | None = None) -> list[Find]:
    """What of `wanted` stands in any file below `folder`, or in the name of one.

    `clean` are digests of files in which nothing of it was found before; those of this search are added.
    """
    found = []
    clean = set() if clean is None else clean
    seen: set[bytes] = set()
    any_of = _any_of(frozenset(wanted))
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found += [Find(what, form, name) for one, (what, form) in wanted.items() if one in name.encode()]
        if path.is_symlink() or not path.is_file():
            continue
        octets = path.read_bytes().replace(EMPTY, b"\0")  # What was never written takes no time.
        if not octets:
            continue
        digest = hashlib.sha256(octets).digest()
        seen.add(digest)
        if digest in clean:
            continue  # A database's templates lie there several times.
        here = [
            Find(what, form + how, name)
            for how, readable in (("", octets), (", compressed", _inflated(octets)))
            if any_of.search(readable)
            for one, (what, form) in wanted.items()
            if one in readable
        ]
        found += here
        if not here:
            clean.add(digest)
    assert seen, f"there is nothing in {folder}"
    return found
