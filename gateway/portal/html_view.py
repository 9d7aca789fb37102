"""A mail's HTML as a document of its own that can do nothing but be looked at (HTML Living Standard, CSP 3).

Three walls, each of which would do: nh3 leaves elements and attributes by list, read by a real HTML parser; the
document's own policy lets nothing run, load or be sent (`frame_policy`); the frame that shows it is sandboxed. Remote
pictures stay where they are until the reader asks for them: then https alone, without referrer.
Leaves out: forms, frames, video, MathML and SVG, pictures that style sheets would load.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape, unescape
from typing import Final

import nh3

from gateway.portal.message_view import MessageView
from gateway.portal.shown_file import content_id
from gateway.portal.style import MAX_STYLE, Loads, clean_declarations, clean_sheet

MAX_DEPTH: Final = 400  # Elements in each other,
MAX_ATTRIBUTES: Final = 1_000  # attributes of one tag, each of which a parser compares with all others, and
MAX_TAGS: Final = (
    10_000  # tags that open one, in all: beyond, the text is shown without its form. Browsers stop at a depth of 512.
)

# `allow-same-origin`: else the browser holds its cookies back from the mail's own pictures. Without `allow-scripts`
# it lets nothing do anything; links open pages of their own, which are in no sandbox and know nothing of this one.
SANDBOX: Final = "allow-same-origin allow-popups allow-popups-to-escape-sandbox"

_TAGS: Final = frozenset(
    "a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del "
    "details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main "
    "mark nav ol p pre q rp rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th "
    "thead time tr tt u ul var wbr".split()
)
_GONE: Final = frozenset(
    "script style title template noscript iframe frame frameset noframes object embed applet svg math textarea "
    "select audio video xmp plaintext noembed".split()
)
_ALL: Final = frozenset("align bgcolor class dir height id lang style title valign width".split())
_ATTRIBUTES: Final[dict[str, set[str]]] = {
    "*": set(_ALL),
    "a": {"href", "name"},
    "col": {"span"},
    "colgroup": {"span"},
    "font": {"color", "face", "size"},
    "hr": {"color", "noshade", "size"},
    "img": {"alt", "border", "hspace", "src", "vspace"},
    "li": {"value", "type"},
    "ol": {"start", "type"},
    "table": {"border", "cellpadding", "cellspacing", "role", "summary"},
    "td": {"colspan", "rowspan", "nowrap"},
    "th": {"colspan", "rowspan", "nowrap", "scope"},
    "time": {"datetime"},
    "ul": {"type"},
}
# What has no end nearby is no sheet: to look for it from each beginning on would take minutes.
_STYLE = re.compile(r"<style\b[^<>]{0,4000}+>(.*?)(?:</style\s{0,100}+>|\Z)", re.IGNORECASE | re.DOTALL)
_BODY = re.compile(r"<body\b([^<>]{0,4000})>", re.IGNORECASE)
_BODY_STYLE = re.compile(r"""(?:\s|\A)(style|bgcolor)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_COLOUR = re.compile(r"#?[A-Za-z0-9]{1,30}")
_PICTURE_DATA = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp);base64,[A-Za-z0-9+/=\s]*", re.IGNORECASE)
_BLANKS = re.compile(r"[\x00-\x20]+")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,30})")
# What is left of a tag's name, and one attribute behind it, as browsers divide them (HTML 13.2.5.32 to 39).
_NAME_END = re.compile(r"[^\t\n\f\r />]*+")
_ATTRIBUTE = re.compile(
    r"""[\t\n\f\r /]*+[^\t\n\f\r />][^\t\n\f\r />=]*+"""
    r"""(?:[\t\n\f\r ]*+=[\t\n\f\r ]*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\t\n\f\r >"'][^\t\n\f\r >]*+)?)?"""
)
# Elements without content, and those that the next one of their kind ends.
_SHALLOW: Final = frozenset(
    "area base br col dd dt embed hr img input li link meta option p param source "
    "tbody td tfoot th thead tr wbr".split()
)


@dataclass(frozen=True, slots=True)
class Body:
    """`document` is whole HTML, for a sandboxed frame. `blocked`: how many things were not loaded from elsewhere."""

    document: str = field(repr=False)
    blocked: int


def frame_policy(*, images: bool) -> str:
    """The Content-Security-Policy of the document: style of its own alone, pictures of ours, or https where asked."""
    pictures = "'self' data: https:" if images else "'self' data:"
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; form-action 'none'; base-uri 'none'; "
        f"frame-ancestors 'self'; sandbox {SANDBOX}"
    )


def body_document(view: MessageView, base: str, *, images: bool, language: str = "en", printable: bool = True) -> Body:
    """The message's HTML, or its text where it has none. `base`: the message's path, such as `/m/TOKEN`. Pictures in
    it come from `base`/part/N; `images`: also from elsewhere. `printable`: whether paper shows more than nothing.
    """
    if view.html is None or _is_too_much(view.html):
        return Body(_document(f'<div class="plain">{escape(view.text)}</div>', "", language, printable=printable), 0)
    places = {file.content_id: f"{base}/part/{file.number}" for file in view.files if file.content_id and file.is_drawn}
    cleaner = _Cleaner(places, images=images)
    sheet = "\n".join(cleaner.sheets(view.html))
    content = cleaner.clean(view.html)
    document = _document(content, sheet, language, cleaner.body_style(view.html), printable=printable)
    return Body(document, cleaner.loads.count)


class _Cleaner:
    def __init__(self, places: dict[str, str], *, images: bool) -> None:
        self._places = places
        self._images = images
        self._mapped = frozenset(places.values())
        self._styles: dict[str, str] = {}  # Mails repeat the same few a hundred times.
        self.loads = Loads()

    def sheets(self, html: str) -> list[str]:
        left = MAX_STYLE
        found: list[str] = []
        for match in _STYLE.finditer(html):
            sheet = match[1][:left]
            left -= len(sheet)
            found.append(clean_sheet(sheet.replace("<!--", "").replace("-->", ""), self.loads))
        return found

    def body_style(self, html: str) -> str:
        """What the mail's own `body` element says of its look: the parser takes it for no part of the content."""
        body = _BODY.search(html)
        if body is None:
            return ""
        style = ""
        for name, one, other, bare in _BODY_STYLE.findall(body[1]):
            value = unescape(one or other or bare)
            if name.lower() == "style":
                style += ";" + clean_declarations(value, self.loads)
            elif _COLOUR.fullmatch(value):
                style = f"background-color:{value}" + style
        return style.strip(";")

    def clean(self, html: str) -> str:
        return nh3.clean(
            html,
            tags=set(_TAGS),
            clean_content_tags=set(_GONE),
            attributes=_ATTRIBUTES,
            attribute_filter=self._attribute,
            strip_comments=True,
            link_rel="noopener noreferrer",
            set_tag_attribute_values={"a": {"target": "_blank"}},
            url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
            url_relative=lambda url: url if url in self._mapped else None,
        )

    def _style(self, value: str) -> str:
        cleaned = self._styles.get(value)
        if cleaned is None:
            cleaned = self._styles[value] = clean_declarations(value, self.loads)
        return cleaned

    def _attribute(self, tag: str, name: str, value: str) -> str | None:
        if name == "style":
            return self._style(value) or None
        if name == "src":
            return self._picture(value)
        if name == "href":
            low = _BLANKS.sub("", value).lower()
            return value.strip() if low.startswith(("http://", "https://", "mailto:", "tel:")) else None
        if name in ("bgcolor", "color") and not _COLOUR.fullmatch(value):
            return None
        return value

    def _picture(self, value: str) -> str | None:
        address = value.strip()
        low = address[:10].lower()
        if low.startswith("cid:"):
            return self._places.get(content_id(address[4:]))
        if low.startswith("data:"):
            return address if _PICTURE_DATA.fullmatch(address) else None
        if low.startswith("//"):
            address = "https:" + address
        elif low.startswith("http://"):
            address = "https://" + address[7:]  # Browsers do so too: a page of ours loads nothing in clear.
        elif not low.startswith("https://"):
            return None
        if self._images:
            return address
        self.loads.count += 1
        return None


def _is_too_much(html: str) -> bool:
    """Whether reading it as a browser does could take seconds: time grows with depth times length."""
    tags = 0
    depth = 0
    left = 4 * len(html)  # Letters that are looked through for attributes; each is once, but for tags in values.
    opened: dict[str, int] = {}
    for match in _TAG.finditer(html):
        tags += not match[1]
        if html[match.end() : match.end() + 1] != ">":
            left -= _beyond(html, match.end())
        if left < 0:
            return True
        name = match[2].lower()
        if name in _SHALLOW:
            continue
        if not match[1]:
            opened[name] = opened.get(name, 0) + 1
            depth += 1
        elif opened.get(name):
            opened[name] -= 1
            depth -= 1
        if depth > MAX_DEPTH or tags > MAX_TAGS:
            return True
    return html.count("&") > MAX_TAGS * 10


def _beyond(html: str, start: int) -> int:
    """How many letters the attributes of the tag whose name ends about there have; more than all where they are too
    many.
    """
    name = _NAME_END.match(html, start)
    at = start if name is None else name.end()
    for _ in range(MAX_ATTRIBUTES):
        found = _ATTRIBUTE.match(html, at)
        if found is None:
            return at - start
        at = found.end()
    return 5 * len(html)


_OWN_STYLE: Final = (
    "html{background:#fff;color:#1b1f24;overflow-wrap:anywhere;"
    "font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}"
    "body{margin:0;padding:24px 32px}img{max-width:100%;height:auto}table{max-width:100%}"
    # A cell beside others is as wide as its longest word: what may break anywhere is squeezed to a letter on a phone.
    "td,th{overflow-wrap:break-word}td:only-child{overflow-wrap:anywhere}"
    "pre,.plain{white-space:pre-wrap}blockquote{margin:0 0 0 8px;padding-left:12px;border-left:3px solid #c9d1d9}"
    "@media (max-width:640px){body{padding:16px}}"
)

# In a layer: what is `!important` in one wins over all that the mail's own sheets say (CSS Cascade 5, 6.1).
_NO_PRINT: Final = "@media print{@layer guard{html,body{display:none!important}}}"


def _document(content: str, sheet: str, language: str, body_style: str = "", *, printable: bool) -> str:
    style = f' style="{escape(body_style)}"' if body_style else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer"><title>Message</title>'
        f"<style>{'' if printable else _NO_PRINT}{_OWN_STYLE}</style><style>{sheet}</style></head>"
        f'<body dir="auto"{style}>{content}</body></html>'
    )
