"""A message as a reader is shown it: who wrote to whom, when, the text, the files. Pure.

Of several readings of a part the standard's is shown (RFC 2046 5.1.4: of alternatives the last that is known), of
texts that stand behind each other all. What lies in attached messages stays there. Nothing is dropped: a text that is
not shown is listed as a file.
Takes time with the message's length: longer ones are read in a thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import unescape
from typing import Final

import re2

from gateway.mail.reading import Attachment, Reading, read
from gateway.mail.reading.charset import meta_charset, readings
from gateway.mail.reading.files import files_of, names_of
from gateway.mail.reading.markup import shown
from gateway.mail.reading.rendering import is_attached, is_text, octets_of, texts_of
from gateway.mail.reading.structure import Leaf
from gateway.portal.people import Person, people
from gateway.portal.sent_date import sent_date
from gateway.portal.shown_file import MAX_TEXT, ShownFile, content_id, shown_file, text_of

MAX_BODY: Final = 4 << 20  # Octets of text, decoded, that are shown in all.
MAX_SHOWN: Final = 512 * 1024  # Letters of HTML that are read for its text, where no text stands beside it.
MAX_FILES: Final = 1_000
MAX_SUBJECT: Final = 1_000  # Letters.

_HTML: Final = frozenset(("text/html", "application/xhtml+xml"))
# Texts for programs: beside a text that says the same, or alone.
_CARDS: Final = frozenset(("text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/csv"))
_CID = re.compile(r"cid:([^\"'\s<>)]{1,1000})", re.IGNORECASE)
# By RE2, since letters of either case in all places have `re` try each letter of the text: 8 ms for 100 KiB.
_REMOTE = re2.compile(
    r"(?i)(?:src|srcset|background|poster)\s*=\s*[\"']?\s*(?:https?:)?//|url\(\s*[\"']?\s*(?:https?:)?//|@import"
)


@dataclass(frozen=True, slots=True)
class MessageView:
    """`html` is as it came, hostile, for `html_view` alone; None where there is none. `text` says the same, formless.

    `is_cut`: there is more than is shown. `has_remote`: something would be loaded from elsewhere.
    """

    subject: str
    sender: tuple[Person, ...]
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    date: datetime | None
    html: str | None = field(repr=False)
    text: str = field(repr=False)
    files: tuple[ShownFile, ...] = ()
    is_cut: bool = False
    has_remote: bool = False

    @property
    def listed(self) -> tuple[ShownFile, ...]:
        """The files that the text does not show in their place."""
        return tuple([file for file in self.files if not file.is_in_text])

    @property
    def told(self) -> MessageView:
        """The same without the message's octets, for a page that only tells of them."""
        return replace(self, files=tuple([file.told for file in self.files]))

    def file(self, number: int) -> ShownFile | None:
        """The one with that number, as it stands in a path."""
        return self.files[number - 1] if 0 < number <= len(self.files) else None


def message_view(original: bytes) -> MessageView:
    """Read the message `original`. Never fails, whatever it is."""
    reading = read(original, text_limit=MAX_BODY)
    leaves = _first_readings(reading.structure.leaves)
    bodies, rest = _divided(reading, leaves)
    html, text, is_cut = _body(reading, bodies)
    found = files_of(rest)
    attachments = [*found.attachments, *_nameless(rest, found.attachments)]
    # A winmail.dat is a wrapping; what lies in messages inside of it is not opened.
    own = [one for one in attachments if one.within <= 1]
    if not text.strip() and html is None:
        text = "\n\n".join(one.text for one in found.texts if not one.hidden)  # That of a winmail.dat.
    named = _CID.findall(html) if html and "cid:" in html.lower() else []
    referred = frozenset(content_id(unescape(name)) for name in named)
    return MessageView(
        reading.subject[:MAX_SUBJECT],
        people(reading.named("from")[:1]),
        people(reading.named("to")),
        people(reading.named("cc")),
        sent_date(reading.named("date")[0].text) if reading.named("date") else None,
        html,
        text,
        tuple([shown_file(number, one, referred) for number, one in enumerate(own[:MAX_FILES], 1)]),
        is_cut or len(own) > MAX_FILES,
        html is not None and _REMOTE.search(html) is not None,
    )


def attached_message(file: ShownFile) -> MessageView:
    """The message that a file is, its HTML as text and its own files left in it."""
    octets = bytearray()
    for block in file.blocks():
        octets += block
        if len(octets) > 8 * MAX_TEXT:
            break
    return replace(message_view(bytes(octets)), html=None)


def file_text(file: ShownFile) -> tuple[str, bool]:
    """What a text file says, and whether that is all."""
    return text_of(file)


def _first_readings(leaves: Iterable[Leaf]) -> list[Leaf]:
    """Of each part its first reading. Two readings of one part have the same end, in the same octets."""
    seen: set[tuple[int, int, int]] = set()
    found: list[Leaf] = []
    for leaf in leaves:
        mark = (id(leaf.source), leaf.end, leaf.within)
        if mark not in seen:
            seen.add(mark)
            found.append(leaf)
    return found


def _divided(reading: Reading, leaves: Sequence[Leaf]) -> tuple[list[list[Leaf]], list[Leaf]]:
    """The texts that are shown, alternatives of each other together; and the parts that are files."""
    alternatives = [
        node.where for node in reading.structure.nodes if not node.within and node.type.sub == b"alternative"
    ]
    groups: dict[str, list[Leaf]] = {}
    rest: list[Leaf] = []
    for leaf in leaves:
        if leaf.within:
            continue
        is_file = not is_text(leaf) or is_attached(leaf) or leaf.type.name in _CARDS
        if is_file or (groups and names_of(leaf)):
            rest.append(leaf)
            continue
        of = next((where for where in alternatives if not where or leaf.where.startswith(f"{where}.")), None)
        groups.setdefault(f"part {leaf.where}" if of is None else f"of {of}", []).append(leaf)
    return list(groups.values()), rest


def _body(reading: Reading, groups: list[list[Leaf]]) -> tuple[str | None, str, bool]:
    """The HTML, the text, and whether there was more."""
    left = MAX_BODY
    is_cut = False
    htmls: list[str] = []
    texts: list[str] = []
    is_html = False
    for group in groups:
        html: list[str] = []
        text: list[str] = []
        for leaf in group:
            octets, is_whole = octets_of(leaf, left)
            left -= len(octets)
            is_cut |= not is_whole
            if leaf.type.name in _HTML:
                html.append(_decoded(leaf, octets))
            elif leaf.type.name == "text/plain":
                text.append(_decoded(leaf, octets))
            elif not text and not html:  # Forms that few know count where there is no other.
                text.extend(one.text for one in texts_of(leaf, octets)[:1])
        is_html |= bool(html)
        plain = "\n".join(text)
        htmls.append("\n".join(html) if html else _as_html(plain))
        texts.append(
            plain if plain.strip() or not html else "\n".join(shown(one[:MAX_SHOWN])[0].seen.strip() for one in html)
        )
    return ("\n<hr>\n".join(htmls) if is_html else None), "\n\n".join(texts), is_cut


def _decoded(leaf: Leaf, octets: bytes) -> str:
    charset: bytes | None = next(iter(leaf.type.parameters.octets(b"charset")), None)
    if charset is None and leaf.type.name in _HTML:
        charset = meta_charset(octets)
    return readings(octets, charset)[0].replace("\r\n", "\n").replace("\x00", "")


def _as_html(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<div style="white-space:pre-wrap">{escaped}</div>' if text.strip() else ""


def _nameless(rest: Sequence[Leaf], found: Sequence[Attachment]) -> list[Attachment]:
    """Texts without a name that are not shown, such as an invitation beside what is."""
    places = {one.where for one in found}
    return [
        Attachment(
            (),
            leaf.type.name,
            leaf.where,
            source=leaf.source,
            start=leaf.start,
            end=leaf.end,
            encoding=leaf.encoding,
            content_id=leaf.content_id,
        )
        for leaf in rest
        if leaf.where not in places and leaf.end > leaf.start
    ]
