"""A licence's text cut at its roots: one `<XrML>` behind the other, each a BODY and a SIGNATURE. Pure.

It is not one XML document ([MS-RMPR] 2.2.9 strings certificates together), so it is cut and never parsed as a whole.
The BODY is taken out once, as text: what is verified and what is read are the same characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gateway.rights.xrml.element import BadLicence, Element, tag
from gateway.rights.xrml.reader import MAX_ELEMENTS, read

MAX_LICENCE: Final = 1 << 20  # Octets.
MAX_ROOTS: Final = 8

PROLOGUE: Final = '<?xml version="1.0"?>'
_PROLOGUE = re.compile(r'<\?xml version="1\.0"(?: encoding="[A-Za-z0-9-]{1,20}")?\s*\?>')
_END: Final = "</XrML>"
_XRML = re.compile(r"<XrML[\s>]")
_BODY = re.compile(r"<BODY[\s>]")
_ELEMENT = re.compile(r"<[A-Za-z_]")


@dataclass(frozen=True, slots=True)
class Root:
    """`body`: the text from `<BODY` to `</BODY>`, as it stands. `purpose`: of the XrML element, or ""."""

    purpose: str
    body: str = field(repr=False)
    signature: Element | None = field(repr=False)


def roots(text: str) -> tuple[str, ...]:
    """The texts of the roots, in order. Raises BadLicence. What is in them is not read yet."""
    if len(text) > MAX_LICENCE:
        raise BadLicence("a licence that is too long")
    prologue = _PROLOGUE.match(text)
    text = text[prologue.end() :] if prologue else text
    if "<!" in text or "<?" in text:
        raise BadLicence("a declaration")
    found: list[str] = []
    at = 0
    while (end := text.find(_END, at)) >= 0:
        found.append(text[at : end + len(_END)].lstrip(" \t\r\n"))
        at = end + len(_END)
        if len(found) > MAX_ROOTS:
            raise BadLicence("too many roots")
    if not found or text[at:].strip(" \t\r\n\0"):  # Zeros fill the stream up to a multiple of four.
        raise BadLicence("text that is no root")
    if sum(1 for _ in _ELEMENT.finditer(text)) > MAX_ELEMENTS:
        raise BadLicence("too many elements")
    return tuple(found)


def root(text: str, *, signed: bool = True) -> Root:
    """One root, taken apart: exactly one BODY and, where it is `signed`, one SIGNATURE behind it. Raises BadLicence."""
    if len(_XRML.findall(text)) != 1 or not _XRML.match(text):
        raise BadLicence("not one XrML")
    if len(_BODY.findall(text)) != 1 or text.count("</BODY>") != 1:
        raise BadLicence("not one BODY")
    start = text.index("<BODY")
    end = text.index("</BODY>") + len("</BODY>")
    around = read(text[:start] + text[end:]) if start < end else None
    if around is None or around.name != "XrML" or around.text.strip(" \t\r\n"):
        raise BadLicence("not one XrML")
    if [child.name for child in around.children] != (["SIGNATURE"] if signed else []):
        raise BadLicence("not one SIGNATURE")
    if signed and text.index("<SIGNATURE") < end:
        raise BadLicence("a SIGNATURE in the wrong place")
    return Root(around.attributes.get("purpose", ""), text[start:end], around.children[0] if signed else None)


def written(body: str, signature: str = "", *, purpose: str | None = None) -> str:
    """The text of a root."""
    more = {} if purpose is None else {"purpose": purpose}
    return tag("XrML", body + signature, version="1.2", xmlns="", **more)
