"""HTML that an administrator wrote as the text that stands for it in a text part. Pure.

Leaves out: reading what others wrote, where hidden text and broken markup matter; `gateway.mail.reading` does that.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

_LINES: Final = frozenset(
    ("p", "div", "br", "hr", "tr", "li", "ul", "ol", "table", "blockquote", "h1", "h2", "h3", "h4")
)
_SILENT: Final = frozenset(("style", "script", "head", "title"))
_BLANKS = re.compile(r"[ \t\r\n\f]+")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines = [""]
        self._silent = 0
        self._links: list[tuple[str, int]] = []  # Where each open link leads, and where its text begins.

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in _LINES:
            self._break()
            if tag == "li":
                self.lines[-1] = "- "
        elif tag == "a":
            self._links.append((dict(attrs).get("href") or "", len(self.lines[-1])))

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _LINES:
            self._break()
        elif tag == "a" and self._links:
            where, start = self._links.pop()
            # A link whose text is its address says so already.
            if (
                where.startswith(("http:", "https:", "mailto:"))
                and where.partition(":")[2].strip("/") not in self.lines[-1][start:]
            ):
                self.lines[-1] += f" <{where}>"

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        text = _BLANKS.sub(" ", data)
        line = self.lines[-1]
        self.lines[-1] = line + (text.lstrip(" ") if not line or line.endswith(" ") else text)

    def _break(self) -> None:
        if self.lines[-1].strip():
            self.lines.append("")


def html_text(html: str) -> str:
    """Its lines, with LF between them; where links lead stands behind their text."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return "\n".join(line.rstrip() for line in reader.lines).strip("\n")
