"""How much room a mail's own document will want: its text in blocks, which the page lays out unseen behind the frame.

Without script nobody can tell a frame's height from outside; but a browser that sets the same words in the same type at
the same width needs the same lines, on a phone as at a desk. No octet of the mail's HTML gets into the page: the text
alone, escaped by the template. Pure.
Leaves out: sizes that the mail's own style gives. Where the guess is too small the frame scrolls by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.mail.reading.markup import shown
from gateway.portal.message_view import MessageView

MAX_HTML: Final = 128 * 1024  # Letters that are read for it: 25 ms. A longer one fills the frame anyway,
MAX_LETTERS: Final = 6_000  # as does a text of more than these,
MAX_PICTURES: Final = 6  # or more pictures,
MAX_ROWS: Final = 60  # or more rows with borders.

# Items and rows stand under each other without the room that is between paragraphs, and cells beside each other.
_LINE = re.compile(r"<(?:li|tr|dt|dd)\b[^<>]{0,1000}>", re.IGNORECASE)
_NOTHING = re.compile(r"</?(?:td|th|tbody|thead|tfoot|table)\b[^<>]{0,1000}>|</(?:li|tr|dt|dd)>", re.IGNORECASE)
_PICTURE = re.compile(r"<img\b", re.IGNORECASE)
# Tables that say of themselves that their cells have borders, or room around their words.
_TABLE = re.compile(r"<table\b[^<>]{0,1000}>", re.IGNORECASE)
_ROOMY = re.compile(
    r"\b(?:border\s*=\s*[\"']?\s*0*[1-9]|cellpadding\s*=\s*[\"']?\s*0*(?:[2-9]|[1-9]\d))", re.IGNORECASE
)
_ROW = re.compile(r"<tr\b", re.IGNORECASE)
_BETWEEN = re.compile(r"\n\n+")


@dataclass(frozen=True, slots=True)
class Measure:
    """`blocks`: what stands in paragraphs. `pictures`: how many are shown, whose size nobody knows. `rows`: how many
    are higher than their words, by borders.
    """

    blocks: tuple[str, ...] = field(repr=False)
    pictures: int = 0
    rows: int = 0


def measure(view: MessageView, *, images: bool) -> Measure | None:
    """Of a message whose HTML is shown; None where it fills as much room as a frame may have. `images`: those from
    elsewhere are shown too. Takes up to 25 ms.
    """
    if view.html is None or len(view.html) > MAX_HTML:
        return None
    pictures = sum(file.is_in_text for file in view.files)
    if images:
        pictures = max(pictures, len(_PICTURE.findall(view.html)))
    seen = shown(_NOTHING.sub(" ", _LINE.sub("<br>", view.html)))[0].seen
    seen = "\n".join([line.strip() for line in seen.splitlines()]).strip()
    rows = _rows(view.html)
    if len(seen) > MAX_LETTERS or pictures > MAX_PICTURES or rows > MAX_ROWS:
        return None
    return Measure(tuple(_BETWEEN.split(seen)), pictures, rows)


def _rows(html: str) -> int:
    """Those of tables with borders, and one for the edge of each of those. What stands behind a table within another
    counts as of the inner one: nearly always both are alike, or nothing stands there.
    """
    tables = list(_TABLE.finditer(html))
    if not tables:
        return 0
    ends = [one.start() for one in tables[1:]] + [len(html)]
    return sum(
        1 + len(_ROW.findall(html, one.end(), end))
        for one, end in zip(tables, ends, strict=True)
        if _ROOMY.search(one[0])
    )
