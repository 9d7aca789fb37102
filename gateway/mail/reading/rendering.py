"""Parts as the texts that a reader shows of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from gateway.mail.reading import markup, rich
from gateway.mail.reading.charset import meta_charset, readings
from gateway.mail.reading.structure import Leaf
from gateway.mail.reading.text import Text
from gateway.mail.reading.transfer import decoded_blocks
from gateway.mail.reading.unseen import without_unseen

_HTML: Final = frozenset(
    ("text/html", "application/xhtml+xml", "text/x-html", "application/html", "text/x-amp-html", "text/watch-html")
)
_RTF: Final = frozenset(("text/rtf", "text/richtext-rtf", "application/rtf", "application/x-rtf"))
_RICH: Final[dict[str, Callable[[str], str]]] = {
    "text/enriched": rich.enriched,
    "text/richtext": rich.enriched,
    "text/calendar": rich.calendar,
    "text/vcard": rich.calendar,
    "text/x-vcard": rich.calendar,
    "text/directory": rich.calendar,
}
# Main types of which no reader shows an unknown subtype as text.
_BINARY: Final = frozenset((b"application", b"image", b"audio", b"video", b"font", b"model", b"multipart", b"chemical"))
_WHOLE_MESSAGES: Final = frozenset((b"rfc822", b"global", b"news", b"partial", b"x-rfc822"))
_CALENDAR_HTML = re.compile(r"^X-ALT-DESC[^:\n]*:(.*)$", re.IGNORECASE | re.MULTILINE)
_FLOWED = re.compile(r" \r?\n")


def is_text(leaf: Leaf) -> bool:
    """Whether readers show it as text."""
    kind = leaf.type
    if kind.main == b"text":
        return True
    if kind.main == b"message":
        return kind.sub not in _WHOLE_MESSAGES
    return kind.name in _HTML or kind.name in _RTF


def may_be_text(leaf: Leaf) -> bool:
    """Whether some reader may show it as text: of a main type that is unknown."""
    return is_text(leaf) or (leaf.type.main not in _BINARY and leaf.type.main != b"message")


def is_attached(leaf: Leaf) -> bool:
    """Whether it is said to be a file and nothing else."""
    return leaf.disposition.startswith(b"attachment")


def octets_of(leaf: Leaf, most: int) -> tuple[bytes, bool]:
    """The decoded octets of its body, `most` at most, and whether that is all."""
    found: list[bytes] = []
    size = 0
    for block in decoded_blocks(leaf.source, leaf.start, leaf.end, leaf.encoding):
        found.append(block)
        size += len(block)
        if size > most:
            return b"".join(found)[: max(0, most)], False
    return b"".join(found), True


def texts_of(leaf: Leaf, octets: bytes) -> list[Text]:
    """What is shown of its decoded octets, by each reading."""
    name = leaf.type.name
    if is_attached(leaf):
        where = f"attachment {leaf.where}".rstrip()
    else:
        where = f"part {leaf.where}" if leaf.where else "body"
    if name in _RTF:
        return _texts(where, [clean(rich.rtf(octets.decode("latin-1")))])
    is_html = name in _HTML
    charsets: list[bytes | None] = [*leaf.type.parameters.octets(b"charset")]
    if is_html and (not charsets or not octets.isascii()) and (told := meta_charset(octets)) is not None:
        charsets.append(told)
    if not charsets:
        charsets.append(None)
    decoded = list(dict.fromkeys([text for charset in charsets for text in readings(octets, charset)]))
    if is_html:
        return html_texts(where, decoded)
    if (rendered := _RICH.get(name)) is not None:
        inner = [found[1] for text in decoded for found in _CALENDAR_HTML.finditer(rich.calendar(text))]
        return _texts(where, [rendered(text) for text in decoded]) + (html_texts(where, inner[:100]) if inner else [])
    if leaf.type.parameters.pieces and b"yes" in [one.lower() for one in leaf.type.parameters.octets(b"delsp")]:
        decoded = [_FLOWED.sub("", text) for text in decoded]  # RFC 3676 4.2: the blank at a line's end goes too.
    return _texts(where, decoded)


def _texts(where: str, texts: list[str]) -> list[Text]:
    if len(texts) == 1 and texts[0].isascii():
        return [Text(where, texts[0])]  # The controls went as octets.
    return [Text(where, text) for text in dict.fromkeys([clean(text) for text in texts])]


def html_texts(where: str, texts: list[str]) -> list[Text]:
    """What is shown of HTML that has several readings: each, and with what it hides."""
    found: dict[str, Text] = {}
    for text in texts:
        for shown in markup.shown(text):
            seen = clean(shown.seen)
            found.setdefault(seen, Text(where, seen))
            if shown.whole is not shown.seen:
                whole = clean(shown.whole)
                found.setdefault(whole, Text(where, whole, hidden=True))
            if shown.beside and (beside := clean(shown.beside)).strip():
                found.setdefault(beside, Text(where, beside, hidden=True))
    return list(found.values())


def clean(text: str) -> str:
    """Without what nobody sees; no-break blanks are blanks."""
    text = without_unseen(text)
    return text.replace("\xa0", " ") if not text.isascii() and "\xa0" in text else text
