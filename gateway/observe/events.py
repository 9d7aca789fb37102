"""Trace events: the story of one message, a line for each thing that happened to it.

An event is a small JSON value; `event` names its kind, the other keys depend on it. Content never stands in one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

RECEIVED: Final = (
    # from, recipients, unverified, client, helo, listener, user, connector, tls {version, cipher}, size, message_id
    "received"
)
AUTHENTICATED: Final = "authenticated"  # dkim [{result, domain, selector, reason, algorithm, bits}], skipped
OPENED: Final = "opened"  # layers, as `gateway smime open` prints them
RULED: Final = "ruled"  # rules and outcomes, as `gateway rule test` prints them; of the rules those that matched
PROTECTED: Final = "protected"  # recipients, by what, why
SIGNED: Final = "signed"  # domain, signatures [{selector, algorithm}], reason (why there is one fewer than keys)
UNSIGNED: Final = "unsigned"  # domain, reason
REFUSED: Final = "refused"  # reply: by rules, or for want of a protection; the client has it still
ROUTED: Final = "routed"  # delivery, connector, destination, require_tls, recipients
QUARANTINED: Final = "quarantined"  # delivery, rules, recipients
UNPROTECTED: Final = "unprotected"  # delivery, rule, reason, recipients: it waits until it can be protected
ATTEMPT: Final = "attempt"  # delivery, host, address, tls {version, cipher, authenticated, fallback}, outcome, seconds
CONVERTED: Final = "converted"  # delivery, host, encodings, taken_off, signed, unsigned, broken_signatures
RECIPIENT: Final = "recipient"  # delivery, address, status, reply, reason, enhanced, mailbox, folder, policy
DEFERRED: Final = "deferred"  # delivery, next_attempt, attempts
DONE: Final = "done"  # delivery
HANDED_ON: Final = "handed_on"  # delivery, to (the queue id under which it goes on), recipients
NOTIFIED: Final = "notified"  # delivery, notice (the DSN's queue id), to, action (as in the DSN), recipients
HELD: Final = "held"
RELEASED: Final = "released"
DELETED: Final = "deleted"
RETRIED: Final = "retried"
VIEWED: Final = "viewed"  # delivery, by: somebody has read what is in quarantine
CLIENT_GONE: Final = "client_gone"  # the 250 could not be sent: the client may send again


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`message` is the queue id, `time` seconds since 1970."""

    message: str
    time: float
    event: str
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """By what a message's trace can be looked up: addresses in lower case, Message-ID with its brackets."""

    sender: str = ""
    recipients: tuple[str, ...] = ()
    message_id: str = ""
