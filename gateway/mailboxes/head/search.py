"""What SEARCH finds in a message's text (RFC 3501 6.4.4): by letters, not by octets, whatever charset they came in.

Letters are compared without regard to case (casefold) and to how they are put together (NFKC); white space of any
kind and length counts as one blank, so that a phrase is found where a line was broken inside it. What a part says is
read as `gateway.mail.reading` does it: encodings undone, tags of HTML gone.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Final

from gateway.mail.reading import Reading, read
from gateway.mail.reading.header import ReadField, unfolded
from gateway.mailboxes.head.sent import sent_on

MAX_NEEDLE: Final = 1000  # Letters of what is looked for; RFC 3501 has no limit, and nobody types more.
MAX_TEXT: Final = 4 << 20  # Octets of text of one message that are searched; attached files that are no text never are.


class TooLong(ValueError):
    """What is looked for has too many letters."""


def folded(text: str) -> str:
    """`text` as it is compared."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    else:
        text = text.lower()
    words = " ".join(text.split())  # Twenty times as fast as a pattern.
    if not words:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{words}{' ' if text[-1].isspace() else ''}"


@dataclass(frozen=True, slots=True)
class Needle:
    """What is looked for, once for all messages. Made by `of`."""

    text: str

    @classmethod
    def of(cls, text: str) -> Needle:
        """Raises TooLong."""
        if len(text) > MAX_NEEDLE:
            raise TooLong(f"what is searched for has {len(text)} letters; at most {MAX_NEEDLE} are looked for")
        return cls(folded(text))


class Searched:
    """One message while it is searched. `octets`: all of it, or for keys of the header alone its beginning, as far as
    the header section goes. Each view is made when it is first asked for, and once.
    """

    __slots__ = ("_body", "_fields", "_reading")

    def __init__(self, octets: bytes) -> None:
        self._reading: Reading = read(octets, text_limit=MAX_TEXT)
        self._body: list[str] | None = None
        self._fields: dict[int, tuple[str, ...]] = {}  # Texts of fields as they are compared, by the field's id().

    def header(self, name: str, needle: Needle) -> bool:
        """HEADER name needle, and SUBJECT, FROM, TO, CC, BCC: whether such a field has it. An empty needle is in every
        field (RFC 3501 6.4.4).
        """
        name = name.lower()
        return any(needle.text in text for field in self._reading.named(name) for text in self._folded(field))

    def body(self, needle: Needle) -> bool:
        """BODY: whether a text of the body has it, those of attached messages too."""
        if self._body is None:
            self._body = [folded(text.text) for text in self._reading.texts]
        return any(needle.text in text for text in self._body)

    def text(self, needle: Needle) -> bool:
        """TEXT: whether a field of the header section or a text of the body has it."""
        return any(needle.text in text for field in self._reading.fields for text in self._folded(field)) or self.body(
            needle
        )

    def _folded(self, field: ReadField) -> tuple[str, ...]:
        known = self._fields.get(id(field))  # The reading keeps its fields, so that no other gets the same.
        if known is None:
            known = self._fields[id(field)] = tuple(map(folded, field.texts))
        return known

    def sent(self) -> date | None:
        """The day that its Date names; None where it names none, and then no SENT key fits."""
        dates = self._reading.named("date")
        return sent_on(unfolded(dates[0].raw)) if dates else None
