"""Where a disclaimer stands in HTML: right behind <body>, and right in front of </body>. Pure.

What stands in a comment, in a script or in an attribute is no tag: text that was put there nobody would see. The rules
are those of HTML's tokeniser as far as they matter here (WHATWG HTML 13.2.5). Leaves out: style sheets that hide what
is there, which no edit of one place can undo.
"""

from __future__ import annotations

import re
from typing import Final

# A comment; an element whose content is no markup; a declaration; a tag with its attributes.
_TOKEN: Final = re.compile(
    rb"<!--(?:>|->|.*?(?:--!?>|\Z))"
    rb"|<(?P<raw>script|style|title|textarea|xmp|iframe|noembed|noframes)(?=[\s/>])(?:.*?</(?P=raw)(?=[\s/>])|.*\Z)"
    rb"|<[!?][^>]*(?:>|\Z)"
    rb"|<(?P<close>/?)(?P<name>[a-z][^\s/>]*)(?:[^>\"'=]|=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>\"']?)|[\"'])*(?P<end>>|\Z)",
    re.IGNORECASE | re.DOTALL,
)


def body_places(html: bytes) -> tuple[int, int] | None:
    """Where text goes that is to be read first, and where what is to be read last.

    None where something is never closed, so that the rest of the document may be read in two ways.
    """
    start = after = 0
    ends: dict[bytes, int] = {}
    has_body = False
    for token in _TOKEN.finditer(html):
        name = (token["name"] or b"").lower()
        text = token[0]
        if not name:
            if token.end() == len(html) and _is_open(text, token["raw"]):
                return None
            continue
        if not token["end"]:
            return None
        if token["close"]:
            ends[name] = token.start()
            if name == b"head" and not has_body:
                after = token.end()
        elif name == b"body" and not has_body:
            start, has_body = token.end(), True
        elif name in (b"html", b"head") and not has_body:
            after = token.end()
    last = ends.get(b"body", ends.get(b"html", len(html)))
    return (start if has_body else after), max(last, start if has_body else after)


def _is_open(text: bytes, raw: bytes | None) -> bool:
    if raw is not None:
        return not text.lower().endswith(b"</" + raw.lower())
    if text.startswith(b"<!--"):
        return not text.endswith(b">")
    return not text.endswith(b">")
