"""Judges a document that holds a mail's HTML: by a parser of its own, and by what may never be in it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_NEVER = frozenset(
    "script iframe frame frameset object embed applet form input button select textarea link base svg math audio video "
    "source track portal template noscript param keygen isindex".split()
)
_LINK = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
_DATA = re.compile(r"data:image/(?:png|jpe?g|gif|webp);base64,", re.IGNORECASE)
_LOADING = re.compile(r"url\s*\(|image-set|@import|expression|-moz-binding|behavior|src\s*\(", re.IGNORECASE)


class Walls(HTMLParser):
    """Feed it a document; it fails at the first thing that runs, loads or sends."""

    def __init__(self, base: str, *, images: bool) -> None:
        super().__init__()
        self._part = re.compile(re.escape(base) + r"/part/[0-9]+")
        self._images = images
        self._in_style = False
        self.metas = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in _NEVER, tag
        self._in_style = tag == "style"
        self.metas += tag == "meta"
        for name, value in attrs:
            assert not name.startswith("on"), (tag, name)
            assert name not in (
                "srcset",
                "background",
                "ping",
                "action",
                "formaction",
                "poster",
                "srcdoc",
                "xlink:href",
            )
            text = value or ""
            if name == "style":
                assert not _LOADING.search(text), text
            if name == "href":
                assert tag == "a", tag
                assert _LINK.match(text), text
            if name == "src":
                assert tag == "img", tag
                remote = self._images and text.startswith("https://")
                assert remote or _DATA.match(text) or self._part.fullmatch(text), text

    def handle_data(self, data: str) -> None:
        if self._in_style:
            assert not _LOADING.search(data), data

    def handle_endtag(self, tag: str) -> None:
        if tag == "style":
            self._in_style = False


def judge(document: str, base: str, *, images: bool) -> None:
    """Fails where a document of `html_view` holds anything that it must not."""
    walls = Walls(base, images=images)
    walls.feed(document)
    walls.close()
    assert walls.metas == 3  # Our own, none of the mail's.
