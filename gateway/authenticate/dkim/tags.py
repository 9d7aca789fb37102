"""Tag lists: `v=1; a=rsa-sha256; ...`, in DKIM-Signature fields and in key records alike (RFC 6376 3.2). Pure."""

from __future__ import annotations

import re
from typing import Final

MAX_TAGS: Final = 100  # Of one list. Who writes honestly needs twenty at most.

_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_BLANKS: Final = b" \t\r\n"
# A value holds printable octets and blanks; RFC 8616 3 adds UTF-8, which is judged where it means something.
_ALLOWED: Final = bytes(range(0x21, 0x3B)) + bytes(range(0x3C, 0x7F)) + bytes(range(0x80, 0x100)) + b" \t"
_ALLOWED_IN_LIST: Final = _ALLOWED + b";"
# Those of RFC 6376 3.5 and 3.6.1, nearly all there are, as they stand behind a semicolon or a fold.
_KNOWN: Final = {
    blank + name.encode(): name
    for name in "v a b bh c d h i l q s t x z k n p g".split()
    for blank in (b"", b" ", b"\t")
}


class TagFault(ValueError):
    """The octets are no tag list. The text names what is wrong, with no octets of them."""


def tags(value: bytes) -> dict[str, bytes]:
    """The tags of a list by their names, in order; case counts. Raises TagFault.

    `value` is a field's raw value, folding kept, or a record's text. Values come without blanks at both ends; inside,
    folding is a blank, and what a tag makes of blanks is its own business (`unspaced` where they mean nothing).
    """
    # A folded line is one line (RFC 5322 2.2.3); a CR or LF that is left after this is none of a fold.
    text = (_FOLD.sub(b"", value) if b"\r\n" in value else value).strip(_BLANKS)
    odd = text.translate(None, _ALLOWED_IN_LIST)
    specs = text.split(b";", MAX_TAGS + 1)
    if len(specs) > 1 and not specs[-1].strip(b" \t"):
        specs.pop()  # One semicolon may end the list.
    if len(specs) > MAX_TAGS:
        raise TagFault(f"there are more than {MAX_TAGS} tags")
    found: dict[str, bytes] = {}
    for spec in specs:
        name, sign, text = spec.partition(b"=")
        key = _KNOWN.get(name) or _name(name)
        if not sign:
            raise TagFault("a part of the list is no tag with a value")
        if odd and text.translate(None, _ALLOWED):
            raise TagFault(f"the value of {key[:32]}= holds an octet that may not stand there")
        if key in found:
            # RFC 6376 3.2: the whole list is then invalid.
            raise TagFault(f"the tag {key[:32]}= stands there twice")
        found[key] = text.strip(b" \t")
    return found


def _name(octets: bytes) -> str:
    name = octets.strip(b" \t")
    if not _NAME.fullmatch(name):
        raise TagFault("a part of the list is no tag with a value")
    return name.decode()


def unspaced(value: bytes) -> bytes:
    """A value in which blanks mean nothing (base64 of b=, bh=, p=; the names of h=), without them."""
    return value.translate(None, _BLANKS)
