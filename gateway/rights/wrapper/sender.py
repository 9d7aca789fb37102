"""Who has written a message, as its recipients are told: never more than its From says. Pure.

An answer from the portal has the portal's address there and its reader's in Reply-To, both written by ourselves.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.mail.address import Address, BadAddress
from gateway.mail.header_address import LONGEST_COMMON, mailboxes
from gateway.mail.message import Message
from gateway.mail.reading.header import field_texts

MOST: Final = 120  # Letters of a name; mail programs show fewer.
_NAME = re.compile(r"(.*)<[^<>]*>\s*", re.DOTALL)
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Sender:
    """`name` is "" where there is none that one could show; `address` is "" where there is none at all."""

    name: str
    address: str

    @property
    def text(self) -> str:
        """`Ida Berg (ida@corp.example)`, or what there is of it."""
        return f"{self.name} ({self.address})" if self.name and self.address else self.name or self.address


def sender_of(message: Message, path: Address | None, *, is_answer: bool = False) -> Sender:
    """The one author that From names; `path` (of the envelope) where it names none, or several.

    `is_answer`: a reader's, from the portal. It is told by his own address; that of the portal is nobody to ask.
    """
    raw = message.first(b"From")
    author = None if raw is None else _common(raw) if len(raw) <= LONGEST_COMMON else _author(raw)
    if author is None:
        return Sender("", "" if path is None else shown(path.text))
    own = _named(message.first(b"Reply-To")) if is_answer else ()
    return Sender(author.name, shown(own[0].text)) if len(own) == 1 else author


def _author(raw: bytes) -> Sender | None:
    """Whom the value of From names; None where that is nobody, or several."""
    found = _named(raw)
    if len(found) != 1:
        return None
    named = _NAME.fullmatch(field_texts(raw)[0])
    name = "" if named is None else shown(named[1].strip().strip('"'))
    # A name that is an address would be taken for the address (`"boss@corp.example" <x@elsewhere.example>`).
    return Sender("" if "@" in name else name, shown(found[0].text))


_common = lru_cache(maxsize=2048)(_author)  # People write more than one message.


def _named(raw: bytes | None) -> Sequence[Address]:
    try:
        return () if raw is None else mailboxes(raw)
    except BadAddress:
        return ()


def shown(text: str) -> str:
    """`text` on one line, without letters that nobody sees or that turn others round, cut where it is very long."""
    if text.isprintable():  # Those letters are none of these, and a blank is the only space among them.
        kept = text if "  " not in text else _SPACES.sub(" ", text)
    else:
        kept = "".join(" " if letter.isspace() else letter for letter in text if letter.isspace() or _is_seen(letter))
        kept = _SPACES.sub(" ", kept)
    kept = kept.strip()
    return kept if len(kept) <= MOST else kept[: MOST - 1].rstrip() + "…"


def _is_seen(letter: str) -> bool:
    """Control, format (bidirectional ones too), surrogate, private and unassigned letters are not."""
    return unicodedata.category(letter)[0] != "C"
