"""Original recipients: ORCPT as it is passed on, and as a notice shows it (RFC 3461 4.2, RFC 6533 3). Pure.

An address stands behind its type and a semicolon: `rfc822` in xtext (`+2B` for a plus sign), `utf-8` with letters
beyond ASCII as they are, where SMTPUTF8 is said, or as `\\x{E9}`. Leaves out: other types, which travel as they came.
"""

from __future__ import annotations

import re

from gateway.mail.address import Address

MAX_ORCPT = 500  # RFC 3461 4.2

_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_UTF8 = "utf-8"


def xtext(text: str) -> str:
    """ASCII `text` as xtext (RFC 3461 4)."""
    return "".join(letter if "!" <= letter <= "~" and letter not in "+=" else f"+{ord(letter):02X}" for letter in text)


def of_xtext(text: str) -> str:
    """RFC 3461 4. What would not be printable ASCII stays encoded, so that no field can be made up in it."""
    decoded = _XTEXT.sub(lambda found: chr(int(found[1], 16)), text)
    return decoded if decoded.isascii() and decoded.isprintable() else text


def embedded(text: str) -> str:
    """`text` in the 7-bit form of RFC 6533 3 (utf-8-addr-xtext): `\\x{E9}` for all that is not a plain ASCII letter."""
    return "".join(
        letter if "!" <= letter <= "~" and letter not in "+=\\" else f"\\x{{{ord(letter):02X}}}" for letter in text
    )


def of_embedded(text: str) -> str:
    """The letters themselves again; what is none that one can print stays as it is."""
    return _EMBEDDED.sub(lambda found: _letter(int(found[1], 16)) or found[0], text)


def _letter(number: int) -> str:
    if number > 0x10FFFF:
        return ""
    letter = chr(number)
    return letter if letter.isprintable() else ""


def made(address: Address, *, utf8: bool) -> str:
    """ORCPT for a recipient whose client gave none (RFC 3461 5.2.1 d); "" where it would be too long.

    `utf8`: SMTPUTF8 is said.
    """
    text = address.text
    if text.isascii():
        value = f"rfc822;{xtext(text)}"
    else:
        value = f"{_UTF8};{_QUOTABLE.sub(_quoted, text) if utf8 else embedded(text)}"
    return value if len(value) <= MAX_ORCPT else ""


# What may not stand as it is where SMTPUTF8 is said (QUCHAR): the ASCII letters that `embedded` takes out too.
_QUOTABLE = re.compile(r"[\x00-\x20+=\\\x7f]")


def _quoted(found: re.Match[str]) -> str:
    return f"\\x{{{ord(found[0]):02X}}}"


def passed_on(orcpt: str, *, utf8: bool) -> str:
    """`orcpt` for the next hop: as it came (RFC 3461 5.2.1 d), in 7 bits where SMTPUTF8 is not said (RFC 6533 3).

    "" where that can't be: its type knows no letters beyond ASCII, or it would be too long.
    """
    if utf8 or orcpt.isascii():
        return orcpt
    kind, _, text = orcpt.partition(";")
    value = f"{kind};{embedded(of_embedded(text))}"
    return value if kind.lower() == _UTF8 and len(value) <= MAX_ORCPT else ""


def shown(orcpt: str, *, international: bool) -> str:
    """The value of Original-Recipient (RFC 3464 2.3.1); "" for what is malformed.

    `international`: it stands in a message/global-delivery-status, where letters are shown as they are.
    """
    kind, mark, text = orcpt.partition(";")
    if not mark or not text or not kind.isascii() or not kind.replace("-", "").isalnum():
        return ""
    if any(letter < " " or letter == "\x7f" for letter in text):
        return ""
    if kind.lower() == _UTF8:
        plain = of_embedded(text)
        return f"{kind}; {plain if international and plain.isprintable() else embedded(plain)}"
    if not text.isascii():
        return ""
    return f"{kind}; {of_xtext(text)}"
