"""The header section as a signature sees it: its fields, which of them are covered, and their form (RFC 6376 3.4).

Pure, and linear in what it is given. A field is a pair: its name in lower case, and its octets as they stand, folding
kept, without the CR LF that ends it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal

Canonicalization = Literal["simple", "relaxed"]
Field = tuple[bytes, bytes]
Turns = tuple[tuple[bytes, int], ...]

# Where a field ends; a bare CR or LF is a letter of the value, as `gateway.mail.message` has it.
_END = re.compile(rb"\r\n(?![ \t])")
_IN_NAMES: Final = bytes(range(0x21, 0x3A)) + bytes(range(0x3B, 0x7F))  # RFC 5322 2.2
_LONG: Final = b" " * 64
_REMEMBERED: Final = 64  # Octets of a name that is worth remembering: strangers can't fill our memory with those.


def fields(section: bytes) -> tuple[list[Field], bool]:
    """The fields of a header section in their order, and whether it holds nothing else (RFC 5322 2.2).

    A line that is no field is passed over, up to its end; so are those that continue it.
    """
    pieces = _END.split(section)
    if not pieces[-1]:
        pieces.pop()  # Behind the last line end.
    found: list[Field] = []
    known = _known_name
    for raw in pieces:
        end = raw.find(b":")
        name = known(raw[:end]) if 0 < end <= _REMEMBERED else _name(raw[: max(0, end)])
        if name:
            found.append((name, raw))
    return found, len(found) == len(pieces)


def read_fields(section: bytes) -> tuple[dict[bytes, list[bytes]], bool, list[bytes]]:
    """What `placed` makes of what `fields` gives, in one go, since each message that is judged takes it; and the names
    that stand there more than once.
    """
    pieces = _END.split(section)
    if not pieces[-1]:
        pieces.pop()
    places: dict[bytes, list[bytes]] = {}
    known, is_whole = _known_name, True
    repeated: list[bytes] = []
    for raw in pieces:
        end = raw.find(b":")
        name = known(raw[:end]) if 0 < end <= _REMEMBERED else _name(raw[: max(0, end)])
        if not name:
            is_whole = False
        elif name in places:
            if len(places[name]) == 1:
                repeated.append(name)
            places[name].append(raw)
        else:
            places[name] = [raw]
    return places, is_whole, repeated


def _name(octets: bytes) -> bytes:
    """The name in lower case of a field that has these octets in front of its colon; b"" where they are no name."""
    name = octets.rstrip(b" \t")
    return b"" if name.translate(None, _IN_NAMES) else name.lower()


@lru_cache(maxsize=1024)
def _known_name(octets: bytes) -> bytes:
    return _name(octets)


def relaxed(raw: bytes) -> bytes:
    """A field in relaxed form, without a CR LF (RFC 6376 3.4.2)."""
    name, _, value = raw.partition(b":")
    return name.rstrip(b" \t").lower() + b":" + one_blank(value.replace(b"\r\n", b"")).strip(b" ")


def all_relaxed(found: Iterable[Field]) -> bytes:
    """Fields as `fields` gives them in relaxed form, each with its CR LF: `relaxed` of each, only sooner."""
    found = list(found)
    lines = [name + b":" + raw[raw.find(b":") + 1 :].lstrip(b" \t") + b"\r\n" for name, raw in found]
    text = b"".join(lines)
    if b":\r\n" in text:  # A value may begin with a fold: what that leaves in front of it has to go as well.
        return b"".join([relaxed(raw) + b"\r\n" for _, raw in found])
    # No line begins with a blank but those that go on, so that all can be done to all of them at once.
    return one_blank(text.replace(b"\t", b" ").replace(b"\r\n ", b" ")).replace(b" \r\n", b"\r\n")


def one_blank(octets: bytes) -> bytes:
    """Each run of spaces and tabs as one space.

    Nearly all that is looked through here has few blanks too many, and searching is what C does best; halving runs
    again and again is linear too, as long ones shrink first.
    """
    octets = octets.replace(b"\t", b" ")
    if b"  " in octets:
        while _LONG in octets:
            octets = octets.replace(_LONG, b" ")
        while b"  " in octets:
            octets = octets.replace(b"  ", b" ")
    return octets


def covered(all_fields: Sequence[Field], names: Iterable[bytes]) -> list[bytes]:
    """The fields that a signature's h= covers, raw, in its order (RFC 6376 5.4.2).

    `names` are in lower case. One that stands there twice covers the field above the last one too; what is not there is
    covered as nothing, so that adding it breaks the signature.
    """
    return [raw for _, raw in covered_at(placed(all_fields), turns(names))]


def placed(all_fields: Iterable[Field]) -> dict[bytes, list[bytes]]:
    """The raw fields of each name, in order."""
    places: dict[bytes, list[bytes]] = {}
    for name, raw in all_fields:
        if (those := places.get(name)) is None:
            places[name] = [raw]
        else:
            those.append(raw)
    return places


def turns(names: Iterable[bytes]) -> Turns:
    """The names of an h=, each with the field that it covers: 1 for the last one of that name, 2 for that above it."""
    counts: dict[bytes, int] = {}
    found = []
    for name in names:
        counts[name] = turn = counts.get(name, 0) + 1
        found.append((name, turn))
    return tuple(found)


def covered_at(places: Mapping[bytes, Sequence[bytes]], names: Turns) -> list[Field]:
    """As `covered`, of what `placed` and `turns` gave."""
    found = []
    for name, turn in names:
        those = places.get(name)
        if those is not None and len(those) >= turn:
            found.append((name, those[-turn]))  # From the bottom up.
    return found


def signed_octets(headers: Iterable[Field], own: bytes, how: Canonicalization) -> bytes:
    """What is signed (RFC 6376 3.7): the fields that h= covers, then `own`, the DKIM-Signature field whose b= is empty.

    Each without the CR LF that ends it.
    """
    if how == "relaxed":
        return all_relaxed(headers) + relaxed(own)
    return b"".join([raw + b"\r\n" for _, raw in headers]) + own
