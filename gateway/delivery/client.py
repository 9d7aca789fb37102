"""The client's side of one SMTP connection: EHLO, STARTTLS, AUTH, transactions, QUIT (RFC 5321, RFC 2920, RFC 3207).

MAIL, RCPT and DATA leave in one write where the host lets them, and their replies are awaited together; content is
CR LF clean already. Leaves out: CHUNKING.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.connectors.model import Login
from gateway.connectors.tls import STARTTLS_NOT_SUPPORTED, VALIDATION_FAILURE, TlsFault, reason_of
from gateway.delivery.dots import Stuffing, stuffed
from gateway.delivery.login import log_in
from gateway.delivery.said import HopFault, HopLogin, HopLost, HopOdd, HopUnreachable, Offers, Said
from gateway.delivery.wire import ROOM, Wire
from gateway.mail.message import Content
from gateway.world.clock import Clock
from gateway.world.sockets import dial

SMALL = 256 * 1024  # Content up to here goes in one write; beyond it in pieces of this size, each with its deadline.


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds to wait in each phase (RFC 5321 4.5.3.2); `tls` is for a handshake, `block` for one piece of content."""

    connect: float = 30
    greeting: float = 60  # The RFC has 300; but then the next host waits as long.
    tls: float = 60
    ehlo: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    final: float = 600
    quit: float = 5


@dataclass(frozen=True, slots=True)
class Transaction:
    """What came of one message: the reply to each command, None where none came, and then `fault` says why.

    `recipients` are in the order in which they were given. `final` is the reply to the content; where DATA itself was
    refused, that reply.
    """

    mail: Said | None
    recipients: tuple[Said | None, ...]
    final: Said | None
    fault: HopFault | None = None

    @property
    def clean(self) -> bool:
        """Whether the connection can take the next MAIL at once."""
        return self.fault is None and self.final is not None and self.final.good

    @property
    def closing(self) -> bool:
        """Whether the host said 421, to whatever command: it closes the connection (RFC 5321 3.8)."""
        return any(said is not None and said.code == 421 for said in (self.mail, *self.recipients, self.final))


class HostRefused(Exception):
    """The host said no before any transaction: to our connection (greeting) or to EHLO."""

    def __init__(self, said: Said) -> None:
        super().__init__(said.line)
        self.said = said


class NextHop(Wire):
    """One connection. Made by `connect`; used by one task at a time. Raises HopFault where not told otherwise."""

    def __init__(self, loop: asyncio.AbstractEventLoop, hostname: str, timeouts: Timeouts) -> None:
        super().__init__(loop)
        self.offers = Offers()
        self._hostname = hostname.encode("ascii", "replace")
        self._timeouts = timeouts

    @classmethod
    async def connect(
        cls,
        address: str,
        port: int,
        *,
        clock: Clock,
        hostname: str,
        timeouts: Timeouts,
        source: str | None = None,
    ) -> NextHop:
        """Connect to an IP address, take the greeting, say EHLO. Raises HopFault, HostRefused."""
        loop = asyncio.get_running_loop()
        try:
            hop = await dial(
                loop,
                lambda: cls(loop, hostname, timeouts),
                address,
                port,
                source=source,
                timeout=timeouts.connect,
                clock=clock,
            )
        except TimeoutError as error:
            raise HopUnreachable(f"{address} port {port} does not answer") from error
        except OSError as error:
            why = error.strerror or "no connection"
            if error.errno and why.startswith("Connect call failed"):  # asyncio's words; the kernel's say more.
                why = os.strerror(error.errno)
            why = why[:1].lower() + why[1:]
            raise HopUnreachable(f"no connection to {address} port {port}: {why}") from error
        try:
            greeting = (await hop._replies(1, timeouts.greeting))[0]
            if greeting.code != 220:
                raise HostRefused(greeting)
            await hop.hello()
        except BaseException:
            hop.abort()
            raise
        return hop

    async def hello(self) -> None:
        """Say EHLO, or HELO to a host that knows no EHLO (RFC 5321 3.2). Raises HopFault, HostRefused."""
        said = await self._ask(b"EHLO %b\r\n" % self._hostname, self._timeouts.ehlo)
        if said.good:
            self.offers = Offers.of(said)
            return
        if said.lasting:
            said = await self._ask(b"HELO %b\r\n" % self._hostname, self._timeouts.ehlo)
        if not said.good:
            raise HostRefused(said)
        self.offers = Offers()

    async def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Say STARTTLS, shake hands, say EHLO again (RFC 3207). `host` is the name for SNI, if it is one.

        Raises TlsFault where there is no TLS; HopFault, HostRefused where EHLO in TLS fails. After a TlsFault the
        connection is closed, unless the host only refused the command: `alive` tells.
        """
        try:
            said = await self._ask(b"STARTTLS\r\n", self._timeouts.ehlo)
        except HopFault as fault:  # Boxes in the middle that hate TLS cut the connection at this word.
            raise TlsFault(VALIDATION_FAILURE, f"{fault}, when it was told STARTTLS") from fault
        if said.code != 220:
            raise TlsFault(STARTTLS_NOT_SUPPORTED, f"the host refused STARTTLS: {said.line}")
        if not self.quiet:
            # Somebody in the middle put it there, to have it taken for what is said in TLS. RFC 3207 4.2 asks to forget
            # it; ending the connection is stricter, since no honest host speaks before the handshake.
            self.abort()
            raise TlsFault(VALIDATION_FAILURE, "the host spoke in clear behind its reply to STARTTLS")
        stream = self.stream
        try:
            upgraded = await self._loop.start_tls(
                stream,
                self,
                context,
                server_hostname=_sni(host),
                ssl_handshake_timeout=self._timeouts.tls,
                ssl_shutdown_timeout=self._timeouts.quit,
            )
        except (OSError, EOFError) as error:  # ssl.SSLError is an OSError; so is the time-out.
            self.abort()
            stream.abort()
            raise TlsFault(reason_of(error), _words(error)) from error
        if upgraded is None:
            raise HopLost("the connection ended in the TLS handshake")
        self.take_over(upgraded)
        try:
            await self.hello()
        except HopLost as fault:
            # In TLS 1.3 the host judges our side after we think that all is well: its alert comes instead of a reply.
            cause = fault.__cause__
            words = _words(cause) if isinstance(cause, ssl.SSLError) else f"{fault} after the TLS handshake"
            raise TlsFault(VALIDATION_FAILURE, words) from fault

    async def authenticate(self, login: Login) -> None:
        """Log in, once for all that the connection carries. Raises HopLogin, HopFault; after either it is of no use.

        In clear nothing is said of the login, whatever the host offers there.
        """
        if not self._over_ssl:
            raise HopLogin("a login is never said in clear, and the connection has no TLS")
        await log_in(lambda line: self._ask(line, self._timeouts.ehlo), login, self.offers.auth)

    async def transact(
        self,
        sender: bytes,
        recipients: Sequence[bytes],
        parameters: bytes,
        content: Content,
        extras: Sequence[bytes] = (),
    ) -> Transaction:
        """One message. What the network does stands in the result.

        `parameters` of MAIL begin with a space, as do `extras`, which are those of each RCPT where there are any.
        Raises only what reading `content` raises; the connection is dropped then, so that no half message is taken.
        """
        said: list[Said] = []
        try:
            said = await self._envelope(sender, recipients, parameters, extras)
            mail, data = said[0], said[-1]
            if len(said) < len(recipients) + 2:  # Without pipelining we stop where it makes no sense to go on.
                return Transaction(mail, _fill(said[1:], recipients), None)
            told = tuple(said[1:-1])
            if data.code != 354:
                if data.code < 400:
                    raise HopOdd(f"the host answered DATA with {data.line}")
                return Transaction(mail, told, data)
            if not mail.good or not any(one.good for one in told):
                # Pipelined DATA was taken though nobody is there to get it: an empty message (RFC 2920 3.1).
                await self._ask(b".\r\n", self._timeouts.final)
                return Transaction(mail, told, None)
            final = await self._content(content)
            return Transaction(mail, told, final)
        except HopFault as fault:
            said = said or self._heard
            self.abort()
            return Transaction(said[0] if said else None, _fill(said[1 : len(recipients) + 1], recipients), None, fault)
        except BaseException:
            self.abort()
            raise

    async def _envelope(
        self, sender: bytes, recipients: Sequence[bytes], parameters: bytes, extras: Sequence[bytes]
    ) -> list[Said]:
        """The replies to MAIL, each RCPT and DATA. Raises HopFault; the replies that came lie in `_heard` then."""
        times = self._timeouts
        first = b"MAIL FROM:<%b>%b\r\n" % (sender, parameters)
        if extras:
            rcpts = [b"RCPT TO:<%b>%b\r\n" % both for both in zip(recipients, extras, strict=True)]
        else:
            rcpts = [b"RCPT TO:<%b>\r\n" % one for one in recipients]
        if self.offers.pipelining:
            self._send(first + b"".join(rcpts) + b"DATA\r\n")
            return await self._replies(len(recipients) + 2, max(times.mail, times.rcpt, times.data))
        said: list[Said] = []
        try:
            said.append(await self._ask(first, times.mail))
            if not said[0].good:
                return said
            for line in rcpts:
                said.append(await self._ask(line, times.rcpt))
            if any(one.good for one in said[1:]):
                said.append(await self._ask(b"DATA\r\n", times.data))
        except HopFault:
            self._heard[:0] = said
            raise
        return said

    async def _content(self, content: Content) -> Said:
        """Send the message after 354 and return the reply to it. Raises HopFault, and what reading raises."""
        octets = content.inline
        if octets is not None and len(octets) <= SMALL:
            self._send(stuffed(octets))
            return (await self._replies(1, self._timeouts.final))[0]
        stuffing = Stuffing()
        blocks = content.blocks() if octets is None else _slices(octets)
        try:
            async for block in blocks:
                if self._heard or self._fault is not None:
                    return self._early()
                self._send(stuffing.block(block))
                if self._paused:
                    await self._wait(ROOM, self._timeouts.block)
        finally:
            if isinstance(blocks, AsyncGenerator):
                await blocks.aclose()
        if self._heard or self._fault is not None:
            return self._early()
        self._send(stuffing.end())
        return (await self._replies(1, self._timeouts.final))[0]

    def _early(self) -> Said:
        """The host did not want to hear the end. A no counts; the connection is out of step and ends."""
        said = self._heard.pop(0) if self._heard else None
        if said is None or said.code < 400:
            raise self._fault or HopOdd("the host answered before the end of the message")
        self._fail(HopLost("the host refused the message before its end"))
        self.abort()
        return said

    async def rehearse(self, sender: bytes, recipient: bytes, parameters: bytes) -> tuple[Said, Said | None]:
        """Say MAIL and RCPT and take both back: what the host answers to each, None where MAIL was refused.

        `parameters` of MAIL begin with a space. Raises HopFault.
        """
        times = self._timeouts
        mail = b"MAIL FROM:<%b>%b\r\n" % (sender, parameters)
        rcpt = b"RCPT TO:<%b>\r\n" % recipient
        said: Said | None = None
        if self.offers.pipelining:
            self._send(mail + rcpt + b"RSET\r\n")
            first, said, last = await self._replies(3, max(times.mail, times.rcpt))
        else:
            first = await self._ask(mail, times.mail)
            if first.good:
                said = await self._ask(rcpt, times.rcpt)
            last = await self._ask(b"RSET\r\n", times.rcpt)
        if not last.good:
            self.abort()  # It may still hold the transaction open.
        return first, said if first.good else None

    async def reset(self) -> bool:
        """RSET after a transaction that was not clean. False where the connection is of no use any more."""
        try:
            return self.alive and (await self._ask(b"RSET\r\n", self._timeouts.quit)).good
        except HopFault:
            return False

    async def quit(self) -> None:
        """QUIT, and the end, whether or not the host answers."""
        try:
            if self.alive:
                await self._ask(b"QUIT\r\n", self._timeouts.quit)
        except HopFault:
            return  # It is gone already, which is all we wanted.
        finally:
            self.abort()


def _fill(said: Sequence[Said], recipients: Sequence[bytes]) -> tuple[Said | None, ...]:
    return (*said, *[None] * (len(recipients) - len(said)))


async def _slices(octets: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(octets), SMALL):
        yield octets[start : start + SMALL]


def _sni(host: str) -> str | None:
    """Names only (RFC 6066 3)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host if "." in host and host.isascii() and len(host) < 254 else None
    return None


def _words(error: BaseException) -> str:
    """A handshake's failure in words for an administrator."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake failed: {(error.reason or 'protocol error').replace('_', ' ').lower()}"
    if isinstance(error, ConnectionAbortedError | TimeoutError):
        return "the TLS handshake took too long"
    return "the connection was lost in the TLS handshake"
