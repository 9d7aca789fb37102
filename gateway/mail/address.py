"""Mailbox addresses as MAIL and RCPT carry them (RFC 5321 4.1.2, RFC 6531 3.3).

Leaves out: display names and header addresses (RFC 5322), which are another grammar.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from functools import lru_cache
from unicodedata import normalize

from gateway.mail.a_labels import a_labels

MAX_PATH = 256  # RFC 5321 4.5.3.1.3, with the angle brackets
MAX_LOCAL = 64  # RFC 5321 4.5.3.1.1
MAX_DOMAIN = 255  # RFC 5321 4.5.3.1.2

# By what of ASCII is not in them: all letters beyond it are, and to compile a class up to U+10FFFF takes milliseconds,
# in each process and command anew.
_ATEXT = r"""[^\x00-\x20"(),.:;<>@\[\\\]\x7f]"""
_LETTER, _LETTER_OR_HYPHEN = r"[^\x00-/:-@\[-`{-\x7f]", r"[^\x00-,./:-@\[-^`{-\x7f]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_QUOTED = re.compile(r'"(?:[^\x00-\x1f"\\\x7f]|\\[\x20-\x7e])*"')
_ESCAPED = re.compile(r"\\(.)")
_LABEL = rf"(?:{_LETTER}(?:{_LETTER_OR_HYPHEN}*{_LETTER})?)"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_LITERAL = re.compile(r"\[(?:IPv6:([0-9A-Fa-f:.]+)|([0-9.]+))\]")
# Source routes are read over and dropped (RFC 5321 4.1.1.3, appendix C).
_ROUTE = re.compile(rf"@{_LABEL}(?:\.{_LABEL})*(?:,@{_LABEL}(?:\.{_LABEL})*)*:")


class BadAddress(ValueError):
    """The text is no mailbox of RFC 5321 4.1.2."""


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox. `text` is as it came (without a source route); `domain` is lower case, in A-labels."""

    text: str
    domain: str
    _who: str | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def local(self) -> str:
        """The local part as it came, quotes included."""
        return self.text[: self.text.rfind("@")] if self.domain else self.text

    @property
    def who(self) -> str:
        """The address as recipients and senders are compared, since one person's may be written in several ways: no
        mail system that we know tells two apart by the case of letters, by quotes that need not be there (RFC 5321
        4.1.2), or by how an accented letter is composed (RFC 6532 3.1).
        """
        found = self._who
        if found is None:  # Found out once: each rule asks, and `parse_address` gives the same object again.
            found = self._compared()
            object.__setattr__(self, "_who", found)
        return found

    def _compared(self) -> str:
        local = self.local
        if local.startswith('"'):
            bare = _ESCAPED.sub(r"\1", local[1:-1])
            local = bare if _DOT_STRING.fullmatch(bare) else f'"{bare}"'
        if not local.isascii():
            local = normalize("NFC", normalize("NFC", local).lower())
        return f"{local.lower()}@{self.domain}"

    @property
    def is_ascii(self) -> bool:
        """Whether it can be passed on without SMTPUTF8."""
        return self.text.isascii()

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=4096)
def normal_domain(text: str) -> str:
    """`text` as domains are compared: lower case, A-labels, no trailing dot. Literals stay. Raises BadAddress."""
    if len(text) > 4 * MAX_DOMAIN:  # In U-labels it may be longer than in A-labels, but what is remembered is bounded.
        raise BadAddress("the domain is too long")
    if text.startswith("["):
        return text.lower()
    text = text.removesuffix(".").lower()
    if not text.isascii():
        try:
            text = a_labels(text).removesuffix(".")
        except ValueError as error:
            raise BadAddress("the domain is no internationalised domain name") from error
        # The mapping makes ASCII of many letters, such as `/`, `@` or a blank, that no domain may hold.
        if not _DOMAIN.fullmatch(text):
            raise BadAddress("the domain is no internationalised domain name")
    if not text or len(text) > MAX_DOMAIN or any(not 0 < len(label) < 64 for label in text.split(".")):
        raise BadAddress("the domain is too long or has an empty label")
    return text


def _check_domain(text: str) -> None:
    if literal := _LITERAL.fullmatch(text):
        try:
            ipaddress.IPv6Address(literal[1]) if literal[1] else ipaddress.IPv4Address(literal[2])
        except ValueError as error:
            raise BadAddress("the address literal is no address") from error
    elif not _DOMAIN.fullmatch(text):
        raise BadAddress("the domain is malformed")


@lru_cache(maxsize=8192)
def parse_address(text: str) -> Address:
    """Read `local@domain` without angle brackets. Raises BadAddress.

    A bare `postmaster` is taken too, with an empty domain (RFC 5321 4.1.1.3).
    """
    if text.lower() == "postmaster":
        return Address(text, "")
    if len(text) > MAX_PATH - 2:
        raise BadAddress("the address is too long")
    match = _DOT_STRING.match(text) or _QUOTED.match(text)
    if match is None or text[match.end() : match.end() + 1] != "@":
        raise BadAddress("the local part is malformed")
    if len(match[0].encode()) > MAX_LOCAL:
        raise BadAddress("the local part is too long")
    domain = text[match.end() + 1 :]
    _check_domain(domain)
    return Address(text, normal_domain(domain))


def parse_path(text: str) -> tuple[Address | None, str]:
    """Read `<...>` at the start of `text`: the address (None for `<>`) and what follows. Raises BadAddress."""
    if text.startswith("<>"):
        return None, text[2:]
    if not text.startswith("<"):
        raise BadAddress("a path stands in angle brackets")
    start = 1
    if text.startswith("@", 1):
        if (route := _ROUTE.match(text, 1)) is None:
            raise BadAddress("the source route is malformed")
        start = route.end()
    end = text.find(">", start)
    if text.startswith('"', start):  # A quoted local part may hold an angle bracket.
        if (quoted := _QUOTED.match(text, start)) is None:
            raise BadAddress("the quoted local part is malformed")
        end = text.find(">", quoted.end())
    if end < 0:
        raise BadAddress("the path is not closed")
    return parse_address(text[start:end]), text[end + 1 :]
