"""ENVELOPE: what a message's header section says of it, parsed for a list of messages (RFC 3501 7.4.2)."""

from __future__ import annotations

from typing import Final

from gateway.mailboxes.head.address import address_list
from gateway.mailboxes.head.fields import Fields, text_of
from gateway.mailboxes.head.wire import NIL, nstring, shown

EMPTY: Final = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def envelope(fields: Fields) -> bytes:
    """The envelope of a message with those fields, in parentheses. Sender and Reply-To that are missing are the From's
    (RFC 3501 7.4.2).
    """
    author = _addresses(fields, b"from")
    sender, answer = _addresses(fields, b"sender"), _addresses(fields, b"reply-to")
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(text_of(fields, b"date")),
        nstring(None if (subject := text_of(fields, b"subject")) is None else shown(subject)),
        author,
        author if sender == NIL else sender,
        author if answer == NIL else answer,
        _addresses(fields, b"to"),
        _addresses(fields, b"cc"),
        _addresses(fields, b"bcc"),
        nstring(text_of(fields, b"in-reply-to")),
        nstring(text_of(fields, b"message-id")),
    )


def _addresses(fields: Fields, name: bytes) -> bytes:
    """Of several fields all are listed: a reader who saw the first alone would not know whom others see."""
    values = fields.get(name)
    if values is None:
        return NIL
    return address_list(values[0] if len(values) == 1 else b",".join(values))
