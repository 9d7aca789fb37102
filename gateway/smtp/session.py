"""One SMTP session (RFC 5321 3, 4). aiosmtpd's class is its frame: protocol of the transport, one method a command.

Overridden, because aiosmtpd 1.4.6 is slow or wrong there: its constructor (inspects itself for every connection), its
reader (line by line), its parser (malformed paths pass), BDAT (the chunk is run as commands), bare CR and LF, RET and
ENVID, and its answer to exceptions (their text goes to the client).

Here: greeting, small commands, STARTTLS. `Transaction` holds MAIL to DATA, `Conversation` the loop and the replies.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from gateway.mail import reply as say
from gateway.mail.envelope import Client
from gateway.smtp.commands import hello_name
from gateway.smtp.inflow import ClientGone
from gateway.smtp.transaction import Transaction


class Session(Transaction):
    """One client. Made by the listener for each connection."""

    def smtp_EHLO(self, hostname: str) -> None:
        """RFC 5321 4.1.1.1."""
        if self._hello(hostname, esmtp=True):
            self._out.append(self.terms.ehlo_over_tls if self.tls else self.terms.ehlo)

    def smtp_HELO(self, hostname: str) -> None:
        """RFC 5321 4.1.1.1, for clients of RFC 821."""
        if self._hello(hostname, esmtp=False):
            self._out.append(f"250 {self.terms.hostname}\r\n".encode())

    def _hello(self, hostname: str, *, esmtp: bool) -> bool:
        name = hello_name(hostname)
        if name is None:
            self._bad(say.BAD_HELLO)
            return False
        self._reset()
        self._client = Client(
            address=self.peer[0],
            port=self.peer[1],
            helo=name,
            esmtp=esmtp,
            listener=self.terms.name,
            tls=self.tls,
            user=None if self._user is None else self._user.name,
            proxy=self.proxy,
        )
        return True

    def smtp_NOOP(self, arg: str) -> None:
        """RFC 5321 4.1.1.9."""
        self.say(say.OK)

    def smtp_QUIT(self, arg: str) -> None:
        """RFC 5321 4.1.1.10."""
        self._closing = True
        self.say(say.BYE)

    def smtp_RSET(self, arg: str) -> None:
        """RFC 5321 4.1.1.5."""
        self._reset()
        self.say(say.FLUSHED)

    def smtp_HELP(self, arg: str) -> None:
        """RFC 5321 4.1.1.8."""
        self.say(say.HELP)

    def smtp_VRFY(self, arg: str) -> None:
        """RFC 5321 3.5.3: whether somebody is here is told to nobody."""
        self.say(say.NOT_VERIFIED if arg else say.BAD_SYNTAX)

    def smtp_EXPN(self, arg: str) -> None:  # type: ignore[override]
        """RFC 5321 4.1.1.7."""
        self._bad(say.NOT_IMPLEMENTED)

    async def smtp_STARTTLS(self, arg: str) -> None:
        """RFC 3207 4. Whatever was sent behind the command in clear is thrown away."""
        if arg:
            self._bad(say.BAD_SYNTAX)
            return
        if self.tls is not None:
            self._bad(say.TLS_ALREADY)
            return
        if self.terms.tls is None:
            self._bad(say.TLS_NOT_OFFERED)
            return
        self.say(say.READY_FOR_TLS)
        await self._flush()
        if self.transport is None:
            raise ClientGone
        # Nothing that came in clear is left, and from here on nothing can come but over TLS: what its first octets say
        # may arrive before `start_tls` returns.
        self.inflow.attach(self.transport)
        seconds = self.terms.deadlines.greeting
        self.deadline = self.desk.clock.monotonic() + seconds + 5
        try:
            transport = await self.loop.start_tls(
                self.transport, self, self.terms.tls, server_side=True, ssl_handshake_timeout=seconds
            )
        except (OSError, ssl.SSLError) as error:
            self.desk.tell("info", "tls_failed", **self.who, listener=self.terms.name, error=type(error).__name__)
            raise ClientGone from error
        if transport is None:
            raise ClientGone
        self.transport = transport
        self.inflow.go_on(transport)
        self.note_tls()
        self._reset()
        self._forget_user()


def _table(kind: type[Transaction]) -> dict[bytes, Callable[[Any, str], Any]]:
    """The methods of our own classes; aiosmtpd's are none of them: what is not overridden is an unknown command."""
    found: dict[bytes, Callable[[Any, str], Any]] = {}
    for one in reversed(kind.__mro__):
        if one.__module__.startswith("gateway."):
            found |= {name[5:].encode(): each for name, each in vars(one).items() if name.startswith("smtp_")}
    return found


Session.table = _table(Session)
