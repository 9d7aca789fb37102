"""A message that a user hands in (RFC 6409): who it says it is from must be the user, and what it lacks is added.

The header section is held back until it is whole; then From and Sender are judged, and Date and Message-ID are put on
top where they are missing. Nothing else is touched. Leaves out: Bcc is not taken out, Sender is not added (RFC 6409 8
allows both), Resent fields give nobody the right to another's From.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.accounts.model import User
from gateway.mail import reply as say
from gateway.mail.address import BadAddress
from gateway.mail.date import rfc5322_date
from gateway.mail.header_address import mailboxes
from gateway.mail.message import MAX_HEAD, Held, Message
from gateway.mail.reply import Refused, Reply
from gateway.smtp.desk import Incoming


class Submitted:
    """Takes the octets of one message; gives them back with what was missing on top. A `fault` ends it."""

    __slots__ = ("_bounces", "_done", "_held", "_host", "_id", "_now", "_user", "fault")

    def __init__(self, user: User, *, bounces: bool, id_: str, host: str, now: float) -> None:
        """`bounces`: its envelope has a sender. `host` stands in a Message-ID of ours, `now` in a Date of ours."""
        self._user = user
        self._bounces = bounces
        self._id = id_
        self._host = host
        self._now = now
        self._held = bytearray()  # At most MAX_HEAD and one block.
        self._done = False
        self.fault: Reply | None = None

    def feed(self, octets: bytes) -> bytes:
        """What is to be kept of the message now."""
        if self._done:
            return octets if self.fault is None else b""
        seen = len(self._held)
        self._held += octets
        if not self._held.startswith(b"\r\n") and self._held.find(b"\r\n\r\n", max(0, seen - 3)) < 0:
            return self._end(say.HEADER_TOO_LARGE) if len(self._held) > MAX_HEAD else b""
        return self.end()

    def end(self) -> bytes:
        """The header section is whole, or the message has ended in it."""
        if self._done:
            return b""
        held = bytes(self._held)
        message = Message(held, Held(held))
        if len(message.header_section()) >= MAX_HEAD:  # What stands behind nobody would see.
            return self._end(say.HEADER_TOO_LARGE)
        if (fault := self._judge(message)) is not None:
            return self._end(fault)
        self._done = True
        self._held.clear()
        return self._missing(message) + held

    def _end(self, fault: Reply) -> bytes:
        self._done = True
        self._held.clear()
        self.fault = fault
        return b""

    def _judge(self, message: Message) -> Reply | None:
        """What is wrong with the header section."""
        found: dict[bytes, list[bytes]] = {}
        for name, value in message.fields():
            found.setdefault(name.lower(), []).append(value)
        froms, senders = found.get(b"from", []), found.get(b"sender", [])
        if len(froms) != 1 or len(senders) > 1:  # RFC 5322 3.6
            return say.BAD_FROM
        try:
            authors = mailboxes(froms[0])
            sender = mailboxes(senders[0]) if senders else ()
        except BadAddress:
            return say.BAD_FROM
        if not authors or len(sender) != len(senders):
            return say.BAD_FROM
        if not all(map(self._user.owns, [*authors, *sender])):
            return say.FROM_NOT_YOURS
        if not self._bounces and not _is_automatic(found):
            return say.SENDER_NOT_YOURS
        return None

    def _missing(self, message: Message) -> bytes:
        """RFC 6409 8.2, 8.3."""
        lines = b""
        if not message.count(b"Date"):
            lines += f"Date: {rfc5322_date(self._now)}\r\n".encode()
        if not message.count(b"Message-ID"):
            lines += f"Message-ID: <{self._id}@{self._host}>\r\n".encode()
        return lines


def _is_automatic(found: dict[bytes, list[bytes]]) -> bool:
    """Whether this is a receipt (RFC 8098 3) or an automatic reply (RFC 3834 5), which have a null sender rightly.

    Anything else that a user writes has a sender who hears when it does not arrive.
    """
    kind = b"".join(found.get(b"content-type", [])[:1]).strip().lower()
    if kind.startswith(b"multipart/report") and b"disposition-notification" in kind:
        return True
    return any(value.strip().lower().startswith(b"auto-") for value in found.get(b"auto-submitted", []))


class OfUser:
    """Keeps a user's message: through `submitted` where there is one, and only while the user still may send."""

    __slots__ = ("_incoming", "_still", "_submitted")

    def __init__(self, incoming: Incoming, submitted: Submitted | None, still: Callable[[], Awaitable[object]]) -> None:
        """`still` raises Refused where the account has ended meanwhile."""
        self._incoming = incoming
        self._submitted = submitted
        self._still = still

    def write(self, octets: bytes) -> bool:
        """As `Incoming`. What is wrong with the message is told by `finish`, so that the client may send it all."""
        if self._submitted is not None:
            octets = self._submitted.feed(octets)
        return bool(octets) and self._incoming.write(octets)

    async def flush(self) -> None:
        """As `Incoming`."""
        await self._incoming.flush()

    async def finish(self) -> Message:
        """As `Incoming`. Raises Refused."""
        if self._submitted is not None:
            if octets := self._submitted.end():
                self._incoming.write(octets)
            if self._submitted.fault is not None:
                raise Refused(self._submitted.fault)
        await self._still()
        return await self._incoming.finish()

    async def abandon(self) -> None:
        """As `Incoming`."""
        await self._incoming.abandon()
