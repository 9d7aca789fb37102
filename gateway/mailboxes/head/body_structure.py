"""BODY and BODYSTRUCTURE: how a message is built, parsed for clients (RFC 3501 7.4.2).

BODY is the same without extension data. A text without charset is shown as us-ascii (RFC 2045 5.2), a part without
encoding as 7bit (RFC 2045 6.1), a multipart without parts with one text that is empty, since the grammar wants one.
"""

from __future__ import annotations

from typing import Final

from gateway.mailboxes.head.envelope import EMPTY, envelope
from gateway.mailboxes.head.fields import Fields, text_of
from gateway.mailboxes.head.parameter import Pairs, token, worded
from gateway.mailboxes.head.part import Kind, Part
from gateway.mailboxes.head.wire import NIL, nstring, string

MAX_LANGUAGES: Final = 50
_CHARSET: Final = b'"charset" "us-ascii"'
_NO_PART: Final = b'("text" "plain" (' + _CHARSET + b') NIL NIL "7bit" 0 0'
_NO_EXTENSION: Final = b" NIL NIL NIL NIL"


def bodies(part: Part) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE of a part and all that is in it, in parentheses."""
    if part.kind is Kind.MULTIPART:
        return _multipart(part)
    fields = part.fields
    described = b" %b %b %b %d" % (
        nstring(text_of(fields, b"content-id")),
        nstring(text_of(fields, b"content-description")),
        string(_encoding(fields)),
        part.end - part.body,
    )
    more = b" " + nstring(text_of(fields, b"content-md5")) + _common(fields) if _is_described(fields) else _NO_EXTENSION
    if part.kind is Kind.MESSAGE:
        pairs = part.type[2]
        if part.inner:
            inner, inner_extended = bodies(part.inner[0])
            shown = envelope(part.inner[0].fields)
        else:  # It has none, because it ended before.
            inner, inner_extended, shown = _NO_PART + b")", _NO_PART + _NO_EXTENSION + b")", EMPTY
        front = b'("message" "rfc822" %b%b %b ' % (_pairs(pairs), described, shown)
        lines = b" %d" % part.lines
        return front + inner + lines + b")", front + inner_extended + lines + more + b")"
    front = b"(" + _typed(part) + described
    if _is_text(part):
        front += b" %d" % part.lines
    return front + b")", front + more + b")"


def _multipart(part: Part) -> tuple[bytes, bytes]:
    _, sub, pairs = part.type
    inner = [bodies(one) for one in part.inner]
    plain = b"".join([one for one, _ in inner]) or _NO_PART + b")"
    extended = b"".join([one for _, one in inner]) or _NO_PART + _NO_EXTENSION + b")"
    name = string(sub)
    return (
        b"(%b %b)" % (plain, name),
        b"(%b %b %b%b)" % (extended, name, _pairs(pairs), _common(part.fields)),
    )


def _is_text(part: Part) -> bool:
    return part.type[0].lower() in (b"", b"text")


def _typed(part: Part) -> bytes:
    """Type and parameters of a leaf. What is no message or multipart to us, because it lies too deep or has no end,
    is not called one: a client would look for what is in it.
    """
    if not part.type[0]:
        return b'"text" "plain" (' + _CHARSET + b")"
    main, sub, pairs = part.type
    lower = main.lower()
    if lower == b"multipart" or (lower == b"message" and sub.lower() == b"rfc822"):
        return b'"application" "octet-stream" ' + _pairs(pairs)
    named = string(main) + b" " + string(sub) + b" "
    if lower != b"text":
        return named + _pairs(pairs)
    written = [string(name) + b" " + string(value) for name, value in pairs]
    if not any(name.lower() == b"charset" for name, _ in pairs):
        written.append(_CHARSET)
    return named + b"(" + b" ".join(written) + b")"


def _pairs(pairs: Pairs) -> bytes:
    if not pairs:
        return NIL
    return b"(" + b" ".join([string(name) + b" " + string(value) for name, value in pairs]) + b")"


def _encoding(fields: Fields) -> bytes:
    value = text_of(fields, b"content-transfer-encoding")
    return b"7bit" if value is None else token(value) or b"7bit"


def _is_described(fields: Fields) -> bool:
    """Whether there are any of the fields that extension data tells of."""
    return (
        b"content-disposition" in fields
        or b"content-language" in fields
        or b"content-location" in fields
        or b"content-md5" in fields
    )


def _common(fields: Fields) -> bytes:
    """Disposition, language and location (RFC 3501 7.4.2, extension data)."""
    disposition = NIL
    if (value := text_of(fields, b"content-disposition")) is not None and (said := worded(value)) is not None:
        disposition = b"(%b %b)" % (string(said[0]), _pairs(said[1]))
    language = NIL
    if (value := text_of(fields, b"content-language")) is not None:
        tags = [tag for one in value.split(b",")[:MAX_LANGUAGES] if (tag := token(one)) is not None]
        language = b"(" + b" ".join([string(tag) for tag in tags]) + b")" if tags else NIL
    return b" %b %b %b" % (disposition, language, nstring(text_of(fields, b"content-location")))
