"""Keys of SEARCH, made ready and judged (RFC 3501 6.4.4).

A key is judged in three values: what a message says is not known before it is opened, and None says so. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from pymap.parsing.specials import SearchKey

from gateway.imap.answers import Refusal
from gateway.imap.flag_words import keyword_bit
from gateway.imap.opened import Opened
from gateway.imap.sequence import spans
from gateway.mailboxes.head import Needle, Searched
from gateway.mailboxes.head.search import TooLong
from gateway.storage.mailboxes.model import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN

MAX_DEPTH: Final = 60  # Keys inside of each other.

_FLAGS: Final = {
    b"ANSWERED": (ANSWERED, True),
    b"DELETED": (DELETED, True),
    b"DRAFT": (DRAFT, True),
    b"FLAGGED": (FLAGGED, True),
    b"SEEN": (SEEN, True),
    b"UNANSWERED": (ANSWERED, False),
    b"UNDELETED": (DELETED, False),
    b"UNDRAFT": (DRAFT, False),
    b"UNFLAGGED": (FLAGGED, False),
    b"UNSEEN": (SEEN, False),
}
_FIELDS: Final = (b"BCC", b"CC", b"FROM", b"SUBJECT", b"TO")
_DATES: Final = (b"BEFORE", b"ON", b"SINCE")
_SIZES: Final = (b"LARGER", b"SMALLER")
_SENT: Final = (b"SENTBEFORE", b"SENTON", b"SENTSINCE")
_OF_BODY: Final = (b"BODY", b"TEXT")
_NEVER: Final = (b"NEW", b"RECENT")  # No message is \\Recent here.


@dataclass(frozen=True, slots=True)
class Key:
    """One key, made ready. `inside` are those of a list (all hold) or of OR (one holds)."""

    word: bytes
    inverse: bool
    inside: tuple[Key, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    needle: Needle | None = None
    field: str = ""
    number: int = 0
    day: date = date.min

    @property
    def words(self) -> frozenset[bytes]:
        """Its word, and those of the keys inside."""
        return frozenset((self.word,)).union(*(one.words for one in self.inside))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one message. `day` and `size` are None where no key asks; `text` before it was opened."""

    place: int
    flags: int
    day: date | None
    size: int
    text: Searched | None = None


def ready(key: SearchKey, opened: Opened, depth: int = 0) -> Key:
    """The key, for the folder that is open. Raises BadSequence, Refusal."""
    if depth > MAX_DEPTH:
        raise Refusal("The keys of that search stand too deep inside of each other", "LIMIT")
    word = key.value
    if word == b"SEQSET":
        places = spans(key.filter_sequence_set, opened.uids)
        return Key(word, key.inverse, spans=tuple(places))
    if word == b"KEYSET":
        return Key(word, key.inverse, tuple(ready(one, opened, depth + 1) for one in key.filter_key_set))
    if word == b"OR":
        return Key(word, key.inverse, tuple(ready(one, opened, depth + 1) for one in key.filter_key_or))
    if word in (b"KEYWORD", b"UNKEYWORD"):
        keyword = key.filter_flag.value.decode("ascii", "replace")
        return Key(word, key.inverse, number=keyword_bit(keyword, opened.folder.keywords))
    if word in _SIZES:
        return Key(word, key.inverse, number=key.filter_int)
    if word in (*_DATES, *_SENT):
        return Key(word, key.inverse, day=key.filter_datetime.date())
    if word == b"HEADER":
        name, text = key.filter_header
        return Key(word, key.inverse, needle=_needle(text), field=name)
    if word in (*_FIELDS, *_OF_BODY):
        return Key(word, key.inverse, needle=_needle(key.filter_str), field=word.decode("ascii"))
    if word in (b"EMAILID", b"THREADID"):
        raise Refusal("This server has no object ids", "CANNOT")
    return Key(word, key.inverse)


def _needle(text: str) -> Needle:
    try:
        return Needle.of(text)
    except TooLong as error:
        raise Refusal(str(error)[:1].upper() + str(error)[1:], "LIMIT") from None


def judge(key: Key, known: Known) -> bool | None:
    """Whether the key holds; None where what the message says decides, and that is not known yet."""
    holds = _plain(key, known)
    return None if holds is None else holds is not key.inverse


def _plain(key: Key, known: Known) -> bool | None:
    word = key.word
    if word == b"KEYSET":
        return _all(key, known)
    if word == b"OR":
        return _one(key, known)
    if word in _FLAGS:
        bit, wanted = _FLAGS[word]
        return bool(known.flags & bit) is wanted
    if word == b"SEQSET":
        return any(low <= known.place < high for low, high in key.spans)
    if word == b"KEYWORD":
        return bool(known.flags & key.number)
    if word == b"UNKEYWORD":
        return not known.flags & key.number
    if word == b"LARGER":
        return known.size > key.number
    if word == b"SMALLER":
        return known.size < key.number
    if word in _DATES:
        return known.day is not None and _by_day(word, known.day, key.day)
    if word in _NEVER:
        return False
    if word in (b"ALL", b"OLD"):
        return True
    return None if known.text is None else _by_text(key, known.text)


def _all(key: Key, known: Known) -> bool | None:
    unknown = False
    for one in key.inside:
        holds = judge(one, known)
        if holds is False:
            return False
        unknown = unknown or holds is None
    return None if unknown else True


def _one(key: Key, known: Known) -> bool | None:
    unknown = False
    for one in key.inside:
        holds = judge(one, known)
        if holds:
            return True
        unknown = unknown or holds is None
    return None if unknown else False


def _by_day(word: bytes, day: date, wanted: date) -> bool:
    if word.endswith(b"BEFORE"):
        return day < wanted
    return day >= wanted if word.endswith(b"SINCE") else day == wanted


def _by_text(key: Key, text: Searched) -> bool:
    if key.word in _SENT:
        sent = text.sent()
        return sent is not None and _by_day(key.word, sent, key.day)
    if key.needle is None:
        raise LookupError(key.word)
    if key.word == b"BODY":
        return text.body(key.needle)
    if key.word == b"TEXT":
        return text.text(key.needle)
    return text.header(key.field, key.needle)
