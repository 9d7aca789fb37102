"""Flags between the wire and the store: names there, bits of one number here (RFC 3501 2.3.2).

Bits 0 to 5 are the system flags; from bit 8 on stand the folder's keywords in the order in which they were first set.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from gateway.storage.mailboxes.model import ANSWERED, DELETED, DRAFT, FLAGGED, KEYWORD, SEEN

MAX_KEYWORD: Final = 64  # Octets of one, well under what the store takes.

SYSTEM_WORDS: Final = {
    b"\\Seen": SEEN,
    b"\\Answered": ANSWERED,
    b"\\Flagged": FLAGGED,
    b"\\Deleted": DELETED,
    b"\\Draft": DRAFT,
}
_BY_LOWER: Final = {word.lower(): bit for word, bit in SYSTEM_WORDS.items()}


class BadFlag(Exception):
    """A flag that can't be set; its text is for the client."""


def split(words: Iterable[bytes]) -> tuple[int, tuple[str, ...]]:
    """The bits of system flags, and the keywords. Raises BadFlag.

    \\Recent can't be set by a client (RFC 3501 2.3.2) and is passed over, as most servers do.
    """
    bits = 0
    keywords: dict[str, None] = {}
    for word in words:
        if word.startswith(b"\\"):
            lower = word.lower()
            if lower == b"\\recent":
                continue
            if lower not in _BY_LOWER:
                raise BadFlag("that system flag is none")
            bits |= _BY_LOWER[lower]
        else:
            if len(word) > MAX_KEYWORD:
                raise BadFlag(f"a keyword has at most {MAX_KEYWORD} octets")
            keywords[word.decode("ascii", "replace")] = None
    return bits, tuple(keywords)


@lru_cache(maxsize=4096)
def shown(flags: int, keywords: tuple[str, ...]) -> bytes:
    """`flags` as the wire has them, in parentheses; `keywords` are the folder's."""
    words = [word for word, bit in SYSTEM_WORDS.items() if flags & bit]
    rest = flags >> KEYWORD
    for keyword in keywords:
        if not rest:
            break
        if rest & 1:
            words.append(keyword.encode("ascii"))
        rest >>= 1
    return b"(" + b" ".join(words) + b")"


def keyword_bit(keyword: str, keywords: tuple[str, ...]) -> int:
    """The bit of a keyword, in any case (RFC 3501 9 compares atoms without it); 0 where the folder has none such."""
    lower = keyword.lower()
    for index, known in enumerate(keywords):
        if known.lower() == lower:
            return 1 << (KEYWORD + index)
    return 0


def bits_known(flags: int, keywords: tuple[str, ...]) -> bool:
    """Whether each keyword among `flags` is one of these."""
    return not flags >> (KEYWORD + len(keywords))
