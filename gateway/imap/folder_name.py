"""Names of folders between the wire and the store: modified UTF-7 (RFC 3501 5.1.3), the separator, INBOX in any case.

pymap's reader of modified UTF-7 never ends where a shift is not closed, so it is not used.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Final

import re2
from pymap.parsing import Params
from pymap.parsing.exceptions import NotParseable
from pymap.parsing.specials import AString, Mailbox

from gateway.storage.mailboxes.model import INBOX, SEPARATOR

MAX_PATTERN: Final = 1000  # Letters of LIST's pattern.

_AMPERSAND: Final = 0x26


class BadName(ValueError):
    """No name of a folder. Its text is for the client and does not hold the name."""


def decoded(octets: bytes) -> str:
    """The name that modified UTF-7 says; UTF-8 is taken too, as some programs send it. Raises BadName."""
    try:
        text = octets.decode("ascii")
    except UnicodeDecodeError:
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            raise BadName("the name is neither modified UTF-7 nor UTF-8") from None
    parts: list[str] = []
    at = 0
    while (start := text.find("&", at)) >= 0:
        parts.append(text[at:start])
        end = text.find("-", start)
        if end < 0:
            raise BadName("the name's modified UTF-7 does not end its shift with a hyphen")
        parts.append(_shifted(text[start + 1 : end]) if end > start + 1 else "&")
        at = end + 1
    parts.append(text[at:])
    return "".join(parts)


def _shifted(letters: str) -> str:
    padded = letters.replace(",", "/") + "=" * (-len(letters) % 4)
    try:
        return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except ValueError:
        raise BadName("the name's modified UTF-7 is damaged") from None


def encoded(name: str) -> bytes:
    """The name in modified UTF-7."""
    if name.isascii() and name.isprintable():  # Nearly every name; letter by letter takes a hundred times as long.
        return name.replace("&", "&-").encode("ascii")
    parts: list[bytes] = []
    shifted: list[str] = []

    def close() -> None:
        if shifted:
            octets = "".join(shifted).encode("utf-16-be", "surrogatepass")
            letters = binascii.b2a_base64(octets, newline=False).rstrip(b"=").replace(b"/", b",")
            parts.append(b"&" + letters + b"-")
            shifted.clear()

    for letter in name:
        if " " <= letter <= "~":
            close()
            parts.append(b"&-" if ord(letter) == _AMPERSAND else letter.encode("ascii"))
        else:
            shifted.append(letter)
    close()
    return b"".join(parts)


def quoted(name: str) -> bytes:
    """The name as a response has it."""
    return b'"' + encoded(name).replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def normal(name: str) -> str:
    """The name as the store has it: INBOX in capitals, also where it stands in front of others (RFC 3501 5.1)."""
    first, separator, rest = name.partition(SEPARATOR)
    return f"{INBOX}{separator}{rest}" if first.upper() == INBOX else name


def read(buf: memoryview, params: Params) -> tuple[Mailbox, memoryview]:
    """A folder's name as an argument. Raises NotParseable."""
    text, rest = AString.parse(buf, params)
    try:
        name = decoded(text.value)
    except BadName as error:
        raise NotParseable(buf) from error
    return Mailbox(normal(name)), rest


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether LIST's pattern means a name (RFC 3501 6.3.8): `*` is anything, `%` anything but the separator.

    In time that is linear in the name, whatever the pattern. Raises BadName where that is too long.
    """
    if len(pattern) > MAX_PATTERN:
        raise BadName(f"a pattern has at most {MAX_PATTERN} letters")
    parts: list[str] = []
    for sign in re.findall(r"[*%]+|[^*%]+", pattern):  # Several wildcards in a row are no more than the widest.
        if sign[0] not in "*%":
            parts.append(re2.escape(sign))
        else:
            parts.append(".*" if "*" in sign else f"[^{SEPARATOR}]*")
    compiled = re2.compile("(?s)" + "".join(parts))
    return lambda name: compiled.fullmatch(name) is not None
