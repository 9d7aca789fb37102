"""Which header fields of a message stand outside of its envelope, and which octets of ours it does not hold. Pure.

Outside stands what leads mail to people and threads, by a list: whatever a sender, a program or a rule has put into
other fields may be a part of what is to be protected. The rest is inside alone, with these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from gateway.mail.field import field, written
from gateway.mail.message import MAX_HEAD, Held, Message

# RFC 5322 3.6, RFC 2156 (Importance, Priority), RFC 3834 (Auto-Submitted), RFC 8601; each may stand outside once.
SINGLE: Final = frozenset(
    (
        *(b"date", b"from", b"sender", b"reply-to", b"to", b"cc", b"message-id", b"in-reply-to", b"references"),
        *(b"subject", b"importance", b"priority", b"x-priority", b"auto-submitted", b"precedence"),
        b"x-auto-response-suppress",
    )
)
# What each hop and each resender adds (RFC 5321 4.4, RFC 5322 3.6.6): loops are found by them.
SEVERAL: Final = frozenset(
    (
        *(b"received", b"authentication-results", b"resent-date", b"resent-from", b"resent-sender", b"resent-to"),
        *(b"resent-cc", b"resent-message-id"),
    )
)
_BY = re.compile(rb"\sby (\S+)\s", re.IGNORECASE)
_FIELD = re.compile(rb"([\x21-\x39\x3b-\x7e]+)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n")


def outside(message: Message, subject: str | None) -> bytes:
    """The fields, each as it stands in the message with its CR LF; `subject` in place of its own, None: that one.

    One that holds a line end which is none of the standard's is left out, since a server behind us may begin another
    field there.
    """
    found: list[bytes] = []
    seen: set[bytes] = set()
    is_clean = _is_clean(message.header_section())
    for name, value in message.fields():
        small = name.lower()
        if small in SINGLE:
            if small in seen:
                continue
            seen.add(small)
        elif small not in SEVERAL:
            continue
        if small == b"subject" and subject is not None:
            continue
        if is_clean or _is_clean(value):
            found.append(name + b":" + value + b"\r\n")
    if subject is not None:
        found.append(field("Subject", written(subject)))
    return b"".join(found)


def _is_clean(octets: bytes) -> bool:
    """Whether all line ends are CR LF."""
    return octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")


def without_trace(octets: bytes, hostnames: Iterable[str], authserv_id: str) -> bytes:
    """A message without what we have put on top as it came: one Received field by a name of ours, results in the name
    of `authserv_id`. So what lies inside are the octets that the sender gave us.
    """
    names = {name.lower().encode() for name in hostnames}
    at, received = 0, False
    while at < MAX_HEAD and (match := _FIELD.match(octets, at)) is not None:
        name, value = match[1].lower(), match[2]
        if name == b"received" and not received and any(by.lower() in names for by in _BY.findall(value)):
            received = True
        elif name != b"authentication-results" or value.split(b";")[0].strip().lower() != authserv_id.lower().encode():
            break
        at = match.end()
    return octets[at:] if at else octets


def head_of(octets: bytes) -> Message:
    """A view on the header section of these octets."""
    return Message(octets[:MAX_HEAD], Held(octets))
