"""Addresses of a header field as IMAP's ENVELOPE lists them (RFC 3501 7.4.2, RFC 5322 3.4, 4.4).

Read as tolerantly as mail demands: what is no address is shown as a name or a mailbox without a host, so that the one
who reads sees it. Who may do what is never decided by this; for that `gateway.mail.header_address` reads strictly.
Encoded words stay as they are: clients decode them (RFC 3501 7.4.2 has them so).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.mailboxes.head.wire import NIL, shown, string

MAX_ADDRESSES: Final = 2000  # Of one field; a client that shows more of them is not known.

_ATOM: Final = rb"[^\x00-\x20()<>@,;:\\\"\[\]\x7f]+"
# An encoded word may hold signs that it must not (RFC 2047 5); it is a word all the same, since clients decode it.
_ENCODED: Final = rb"=\?[^\s?]{1,80}\?[bBqQ]\?[^\s?]{0,200}\?="
_NAME: Final = rb"(?:" + _ENCODED + rb"|" + _ATOM + rb")"
# Nearly all addresses: a name of atoms or in quotes, the address in brackets; or the address alone.
_SIMPLE = re.compile(
    rb"[ \t]*(?:(?:\"([^\"\\\r\n]*)\"|(" + _NAME + rb"(?: " + _NAME + rb")*))?[ \t]*<(" + _ATOM + rb")@(" + _ATOM
    + rb")>|(" + _ATOM + rb")@(" + _ATOM + rb"))[ \t]*(?:,|\Z)"
)  # fmt: skip
_WORD = re.compile(
    rb"[ \t\r\n]+|(" + _NAME + rb")|\"([^\"\\]*(?:\\.[^\"\\]*)*)(?:\"|\\?\Z)|(\[[^\[\]\\]*\])|([<>@,;:])|.", re.DOTALL
)
_COMMENT_SIGN = re.compile(rb"[()\\]")
_ENDS: Final = (b",", b";", b":")
_DOTS = re.compile(rb" ?\. ?")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def address_list(value: bytes) -> bytes:
    """The addresses of an unfolded value as a parenthesised list; NIL where there is none."""
    found: list[bytes] = []
    place, end = 0, len(value)
    while place < end and len(found) < MAX_ADDRESSES:
        match = _SIMPLE.match(value, place)
        if match is None:
            found += _Parser(value, place).addresses(MAX_ADDRESSES - len(found))
            break
        quoted, name, local, host, bare, bare_host = match.groups()
        place = match.end()
        if bare is not None:
            found.append(b"(NIL NIL %b %b)" % (string(bare), string(bare_host)))
        else:
            name = shown(quoted or name or b"")
            found.append(b"(%b NIL %b %b)" % (string(name) if name else NIL, string(local), string(host)))
    return b"(%b)" % b"".join(found) if found else NIL


class _Parser:
    """One list of addresses from one place on."""

    def __init__(self, value: bytes, place: int) -> None:
        self._value = value
        self._place = place
        self._comment = b""

    def addresses(self, most: int) -> list[bytes]:
        """At most so many, each as IMAP has it. A group begins and ends with entries of its own (RFC 3501 7.4.2)."""
        found: list[bytes] = []
        words: list[tuple[bytes, bytes]] = []  # Kind and text: a(tom), q(uoted), or the sign itself.
        grouped = inside = routed = False  # In a group; in angle brackets; there, in a source route (RFC 5322 4.4).
        while len(found) < most:
            word = self._next()
            kind = b"" if word is None else word[0]
            if word is not None and (kind not in _ENDS or (kind in b":," and routed) or (kind == b":" and inside)):
                routed = (routed and kind != b":") or (kind == b"@" and bool(words) and words[-1][0] == b"<")
                inside = (inside or kind == b"<") and kind != b">"
                words.append(word)
                continue
            if kind == b":":
                if not grouped:
                    found.append(b"(NIL NIL %b NIL)" % string(_phrase(words)))
                    grouped = True
            else:
                if words:
                    found.append(self._address(words))
                if grouped and kind in (b";", b""):
                    found.append(b"(NIL NIL NIL NIL)")
                    grouped = False
            if word is None:
                break
            words, self._comment, inside, routed = [], b"", False, False
        return found

    def _address(self, words: list[tuple[bytes, bytes]]) -> bytes:
        signs = [kind for kind, _ in words]
        route = NIL
        name = b""
        if b"<" in signs:
            at = signs.index(b"<")
            name = _phrase(words[:at])
            words = words[at + 1 :]
            signs = signs[at + 1 :]
            if b">" in signs:
                end = signs.index(b">")
                words, signs = words[:end], signs[:end]
            if b":" in signs and signs[:1] == [b"@"]:
                end = signs.index(b":")
                route = string(b"".join([text for _, text in words[:end]]))
                words, signs = words[end + 1 :], signs[end + 1 :]
        elif b"@" not in signs and _is_name(words):  # Words and no address: somebody's name.
            return b"(%b NIL %b %b)" % (string(_phrase(words) or self._comment), b'""', b'""')
        name = name or self._comment
        at = len(signs) - 1 - signs[::-1].index(b"@") if b"@" in signs else len(words)
        local = _DOTS.sub(b".", _phrase(words[:at]))  # RFC 5322 4.4 lets blanks stand around them.
        host = _DOTS.sub(b".", _phrase(words[at + 1 :]))
        return b"(%b %b %b %b)" % (string(name) if name else NIL, route, string(local), string(host))

    def _next(self) -> tuple[bytes, bytes] | None:
        """The next word or sign; None at the end. A comment is kept: it is the name of an address without one."""
        value = self._value
        while self._place < len(value):
            if value.startswith(b"(", self._place):
                self._skip_comment()
                continue
            match = _WORD.match(value, self._place)
            if match is None:  # Never: the pattern takes any octet.
                break
            self._place = match.end()
            atom, quoted, literal, sign = match.groups()
            if atom is not None:
                return b"a", atom
            if quoted is not None:
                return b"q", _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted
            if literal is not None:
                return b"a", literal
            if sign is not None:
                return sign, sign
            # White space, or an octet that belongs nowhere.
        return None

    def _skip_comment(self) -> None:
        depth = 0
        start = self._place
        place = start
        while (match := _COMMENT_SIGN.search(self._value, place)) is not None:
            place = match.end()
            if match[0] == b"(":
                depth += 1
            elif match[0] == b")":
                depth -= 1
            else:
                place += 1
            if not depth:
                self._comment = _ESCAPED.sub(rb"\1", self._value[start + 1 : place - 1]).strip()
                self._place = place
                return
        self._place = len(self._value)


def _is_name(words: list[tuple[bytes, bytes]]) -> bool:
    """Whether words without an at sign are a name; a single one is a mailbox of this machine."""
    return len(words) != 1 or words[0][0] == b"q" or words[0][1].startswith(b"=?")


def _phrase(words: list[tuple[bytes, bytes]]) -> bytes:
    """A name of several words; a dot that is a word of its own stays where it is."""
    return shown(b" ".join([text for _, text in words])).strip()
