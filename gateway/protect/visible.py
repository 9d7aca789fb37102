"""Whom a message names (RFC 5322 3.6.3, 3.6.6): everybody else among its recipients got it blind. Pure."""

from __future__ import annotations

from typing import Final

from gateway.mail.address import Address, BadAddress
from gateway.mail.header_address import mailboxes
from gateway.mail.message import Message

_FIELDS: Final = frozenset((b"to", b"cc", b"resent-to", b"resent-cc"))


def visible(message: Message) -> frozenset[str]:
    """The addresses that stand in To and Cc, as `who` writes them.

    A field that can't be read for sure names nobody: its recipients are then treated as blind ones, who never stand
    beside others.
    """
    found: set[str] = set()
    for name, value in message.fields():
        if name.lower() not in _FIELDS:
            continue
        try:
            found.update(who(address) for address in mailboxes(value))
        except BadAddress:
            continue
    return frozenset(found)


def who(address: Address) -> str:
    """An address as it is compared."""
    return address.who


def authors(message: Message, sender: Address | None) -> tuple[Address, ...]:
    """Who has written the message: its From, else its Sender, else who handed it in."""
    for name in (b"From", b"Sender"):
        value = message.first(name)
        if value is None:
            continue
        try:
            found = mailboxes(value)
        except BadAddress:
            continue
        if found:
            return found
    return () if sender is None else (sender,)
