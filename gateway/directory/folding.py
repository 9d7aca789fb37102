"""Addresses as they are compared: in which form two of them name the same person.

The domain is compared as A-labels in lower case. RFC 5321 2.4 leaves the local part's case to its own host; here it
does not count, as with every mail server that people run, nor do quotes that are not needed, nor the form of Unicode.
"""

from __future__ import annotations

import re
from unicodedata import normalize

from gateway.mail.address import Address

_ESCAPED = re.compile(r"\\(.)")


def folded(address: Address) -> str:
    """The form of an address in which it is looked up."""
    return f"{_local(address.local)}@{address.domain}"


def keys(address: Address, separator: str | None) -> tuple[str, ...]:
    """The forms in which it may be known, closest first.

    With `separator` "+" the mailbox `ida` gets what is sent to `ida+lists` as well (RFC 5233 1).
    """
    local = _local(address.local)
    whole = f"{local}@{address.domain}"
    if separator is None:
        return (whole,)
    base, found, _ = local.partition(separator)
    return (whole, f"{base}@{address.domain}") if found and base else (whole,)


def plain_local(local: str) -> str:
    """A local part without the quotes that only the syntax of RFC 5321 4.1.2 needs."""
    if local.startswith('"') and local.endswith('"') and len(local) > 1:
        return _ESCAPED.sub(r"\1", local[1:-1])
    return local


def _local(text: str) -> str:
    if text.isascii():
        return plain_local(text).lower()
    # Both forms of an umlaut are one letter to people (RFC 6532 3.1 asks for NFC). Folding may make new letters.
    return normalize("NFC", normalize("NFC", plain_local(text)).casefold())
