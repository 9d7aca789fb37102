"""One SMTP session (RFC 5321 3, 4). aiosmtpd's class is its frame: protocol of the transport, one method a command.

Overridden, because aiosmtpd 1.4.6 is slow or wrong there: its constructor (inspects itself for every connection), its
reader (line by line), its parser (malformed paths pass), BDAT (the chunk is run as commands), bare CR and LF, RET and
ENVID, and its answer to exceptions (their text goes to the client).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar

from gateway.connectors.model import Inbound
from gateway.mail import reply as say
from gateway.mail.envelope import Client, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Message
from gateway.mail.reply import Refused, Reply, reply_to
from gateway.smtp.commands import MailCommand, hello_name, parse_mail, parse_rcpt
from gateway.smtp.connection import Connection
from gateway.smtp.data import DataReader
from gateway.smtp.desk import Desk, Incoming, Terms
from gateway.smtp.inflow import ClientGone, LineTooLong, TimeRanOut
from gateway.smtp.trace import received
from gateway.storage.writer import StorageFull

if TYPE_CHECKING:
    from gateway.smtp.sessions import Sessions

MAX_DROPPED = 64 << 20  # Octets of a message read and dropped behind its limit, before we hang up instead.
SWIFT = 1024  # Octets of a command that may be answered without waking the session's task.
BURST = 200  # Commands in one go, before others get their turn: a client may send thousands at once.


# Commands that never wait. QUIT ends the task, so the task carries it out.
_SWIFT = frozenset((b"EHLO", b"HELO", b"MAIL", b"RCPT", b"RSET", b"NOOP", b"VRFY"))


class _Over(Exception):
    """The session is to end; what is to be said stands in `_out`."""


class Session(Connection):
    """One client. Made by the listener for each connection."""

    table: ClassVar[dict[bytes, Callable[[Session, str], Awaitable[None] | None]]]

    def __init__(self, desk: Desk, terms: Terms, loop: asyncio.AbstractEventLoop, sessions: Sessions) -> None:
        super().__init__(desk, terms, loop, sessions)
        self.id: str | None = None
        self._closing = False
        self._at_prompt = False  # Whether the task waits for a command and everything was said.
        self._helo: str | None = None
        self._esmtp = False
        self._client: Client | None = None
        self._mail: MailCommand | None = None
        self._inbound: Inbound | None = None
        self._recipients: list[Recipient] = []
        self._refused_recipients = 0
        self._messages = 0
        self._bad_commands = 0

    @property
    def is_busy(self) -> bool:
        """Whether a message is under way."""
        return self._mail is not None

    # -- saying -------------------------------------------------------------------------------------------------------

    def say(self, reply: Reply) -> None:
        """Queue a reply; it goes out before we next wait for the client (RFC 2920 3.2)."""
        if reply.code >= 500:
            reply = self._noted(reply)
        self._out.append(reply.wire)

    def _noted(self, reply: Reply) -> Reply:
        """A 5xx ends with an id that the log knows, and the contact (DESIGN 20)."""
        if self.id is None:
            self.id = self.desk.new_id()
        note = f"[{self.id}]" if self.desk.contact is None else f"[{self.id}] Contact: {self.desk.contact}"
        return reply.noted(note)

    # -- the session --------------------------------------------------------------------------------------------------

    async def serve(self, refusal: Reply | None) -> None:
        """The whole session, to the closed connection. `refusal`: say this instead of the banner."""
        try:
            if refusal is not None:
                self.say(refusal)
                await self._flush()
                return
            self._out.append(self.terms.banner)
            await self._commands()
        except ClientGone:
            pass
        except _Over:
            self._farewell()
        except TimeRanOut:
            self._farewell(say.SHUTTING_DOWN if self.stopping else say.TOO_SLOW)
        except Exception as error:  # noqa: BLE001 - a fault of ours ends this session, never the worker
            self._fault(error)
            self._farewell(say.INTERNAL)
        finally:
            await self._hang_up()

    async def _commands(self) -> None:
        inflow = self.inflow
        monotonic = self.desk.clock.monotonic
        burst = 0
        while not self._closing:
            burst += 1
            if not inflow.has_line:
                burst = 0
                await self._flush()
                if self.stopping and self._mail is None:
                    raise TimeRanOut
            elif burst > BURST:
                burst = 0
                await self._flush()
                await self.desk.clock.sleep(0)
            self.deadline = min(monotonic() + self.terms.deadlines.command, self.ends)
            try:
                self._at_prompt = inflow.is_empty and not self._paused
                line = await inflow.line()
                self._at_prompt = False
                if (work := self._command(line)) is not None:
                    await self._guarded(work)
            except LineTooLong:
                self._bad(say.LINE_TOO_LONG)
            except Refused as refused:
                self._refuse(refused)
        await self._flush()

    def data_received(self, data: bytes) -> None:
        """Octets of the client. A single command for which nobody has to wait is answered at once: the session's task
        sleeps on, which saves half of such a command's cost.
        """
        if self._at_prompt and data[-1:] == b"\n" and len(data) <= SWIFT and data.find(b"\n") == len(data) - 1:
            if data[:4].upper() in _SWIFT and self.transport is not None:
                self._swiftly(data)
                return
        self._at_prompt = False
        super().data_received(data)

    def _swiftly(self, line: bytes) -> None:
        try:
            self._command(line)
        except Refused as refused:
            self._refuse(refused)
        if self._closing:
            self._at_prompt = False
            self.inflow.fail(_Over())
            return
        transport = self.transport
        if transport is not None:
            transport.write(b"".join(self._out))
            self._out.clear()
        if self.stopping and self._mail is None:
            self._at_prompt = False
            self.inflow.fail(TimeRanOut())
            return
        self._at_prompt = not self._paused
        self.deadline = min(self.desk.clock.monotonic() + self.terms.deadlines.command, self.ends)

    def _command(self, line: bytes) -> Awaitable[None] | None:
        """Carry out a command. One that has to wait is given back instead. Raises Refused."""
        octets = line[:-2]
        # Bare CR, LF and NUL have no place in a command (RFC 5321 2.3.8); it is not carried out.
        if line[-2:] != b"\r\n" or b"\r" in octets or b"\0" in octets:
            self._bad(say.BAD_LINE)
            return None
        word, _, rest = octets.partition(b" ")
        method = self.table.get(word.upper())
        if method is None:
            self._bad(say.UNKNOWN_COMMAND)
            return None
        try:
            argument = rest.decode().strip(" ")
        except UnicodeDecodeError:
            self._bad(say.BAD_SYNTAX)
            return None
        try:
            return method(self, argument)
        except Exception as error:  # noqa: BLE001 - DESIGN 12: an unknown error is a passing one
            self._answer_to(error)
            return None

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - as above
            self._answer_to(error)

    def _answer_to(self, error: Exception) -> None:
        """Say what an error in a command means. Raises what is for others: Refused, and the session's end."""
        if isinstance(error, ClientGone | TimeRanOut | Refused):
            raise error
        if isinstance(error, StorageFull):
            raise Refused(say.STORAGE_FULL) from error
        self._fault(error)
        self._reset()
        self.say(reply_to(error))

    def _bad(self, reply: Reply) -> None:
        """A command that is none of ours; too many of them end the session."""
        self._bad_commands += 1
        if self._bad_commands > self.terms.max_bad_commands:
            self._closing = True
            reply = say.TOO_MANY_BAD_COMMANDS
        self.say(reply)

    def _refuse(self, refused: Refused) -> None:
        reply = refused.reply
        if reply.code in (500, 501, 502, 503, 555):
            self._bad(reply)
        else:
            self.say(reply)
            self._log_refusal(reply)
        self._closing |= refused.close

    def _log_refusal(self, reply: Reply) -> None:
        self.desk.count("messages_refused_total", (self.terms.name, str(reply.code)))
        sender = self._mail.sender.text if self._mail and self._mail.sender else ""
        self.desk.tell(
            "info",
            "refused",
            id=self.id or "",
            reply=f"{reply.code} {reply.enhanced or ''} {reply.text}",
            client=self.peer[0],
            sender=sender,
        )

    def _fault(self, error: Exception) -> None:
        if self.id is None:
            self.id = self.desk.new_id()
        self.desk.tell("error", "session_fault", id=self.id, client=self.peer[0], error=error)

    def _reset(self) -> None:
        self._mail = None
        self._inbound = None
        self._recipients = []
        self._refused_recipients = 0
        self.id = None

    # -- commands -----------------------------------------------------------------------------------------------------

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
        self._helo = name
        self._esmtp = esmtp
        self._client = Client(
            address=self.peer[0], port=self.peer[1], helo=name, esmtp=esmtp, listener=self.terms.name, tls=self.tls
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

    def smtp_AUTH(self, *args: Any) -> None:
        """RFC 4954: not offered yet."""
        self._bad(say.NOT_IMPLEMENTED)

    async def smtp_BDAT(self, arg: str) -> None:
        """RFC 3030 is not offered, but a chunk that comes all the same is read and dropped, never run as commands."""
        size, _, last = arg.partition(" ")
        if not (size.isascii() and size.isdigit()) or len(size) > 12 or last.strip().upper() not in ("", "LAST"):
            # How long the chunk is can't be told, so where the next command begins can't be told either.
            self._closing = True
            self._bad(say.BAD_SYNTAX)
            return
        left = int(size)
        if left > MAX_DROPPED:
            self._closing = True
        else:
            await self._drop(left)
        self._bad(say.NO_BDAT if self._recipients else say.MAIL_FIRST if self._mail is None else say.RCPT_FIRST)
        self._reset()

    async def _drop(self, left: int) -> None:
        await self._flush()
        while left > 0:
            self.deadline = min(self.desk.clock.monotonic() + self.terms.deadlines.data, self.ends)
            block = await self.inflow.block()
            if len(block) > left:
                self.inflow.put_back(block[left:])
            left -= len(block)

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
            self.desk.tell(
                "info", "tls_failed", client=self.peer[0], listener=self.terms.name, error=type(error).__name__
            )
            raise ClientGone from error
        if transport is None:
            raise ClientGone
        self.transport = transport
        self.inflow.go_on(transport)
        self.note_tls()
        self._reset()
        self._helo = None
        self._client = None

    def smtp_MAIL(self, arg: str) -> None:
        """RFC 5321 4.1.1.2."""
        if self._client is None:
            raise Refused(say.HELLO_FIRST)
        if self._mail is not None:
            raise Refused(say.NESTED_MAIL)
        if self._messages >= self.terms.max_messages:
            raise Refused(say.TOO_MANY_MESSAGES, close=True)
        command = parse_mail(arg)
        if command.size > self.terms.max_message_size:
            raise Refused(say.TOO_LARGE)
        self.desk.check_room(command.size)
        self._inbound = self.desk.admit(self._client, command.sender)
        self._mail = command
        self._out.append(say.SENDER_OK.wire)

    def smtp_RCPT(self, arg: str) -> None:
        """RFC 5321 4.1.1.3."""
        if self._mail is None:
            raise Refused(say.MAIL_FIRST)
        recipient = parse_rcpt(arg, self._mail.smtputf8)
        if len(self._recipients) >= self.terms.max_recipients:
            raise Refused(say.TOO_MANY_RECIPIENTS)
        try:
            self.desk.may_reach(self._inbound, recipient.address)
        except Refused:
            self._refused_recipients += 1
            if self._refused_recipients > self.terms.max_bad_commands + len(self._recipients):
                raise Refused(say.TOO_MANY_REFUSED, close=True) from None
            raise
        self._recipients.append(recipient)
        self._out.append(say.RECIPIENT_OK.wire)

    async def smtp_DATA(self, arg: str) -> None:
        """RFC 5321 4.1.1.4."""
        if arg:
            raise Refused(say.BAD_SYNTAX)
        mail, client = self._mail, self._client
        if mail is None or client is None:
            raise Refused(say.MAIL_FIRST)
        if not self._recipients:
            raise Refused(say.NO_VALID_RECIPIENTS if self._refused_recipients else say.RCPT_FIRST)
        began = self.desk.clock.now()
        self.id = id_ = self.desk.new_id()
        incoming = self.desk.begin(id_)
        kept = False
        try:
            incoming.write(self._received(mail, client, id_, began))
            message = await self._data(incoming)
            await self.desk.accept(self._made(mail, client, message, id_, began))
            kept = True
            await self._confirm(id_)
        except asyncio.CancelledError:
            kept = True  # The commit may be on its way; if it is not, the next start clears up.
            raise
        except StorageFull:
            self._refuse(Refused(say.STORAGE_FULL))
        except Refused as refused:
            self._refuse(refused)  # Here, where it is still known whose message it was.
        finally:
            if not kept:
                await incoming.abandon()
            self._reset()

    async def _data(self, incoming: Incoming) -> Message:
        """Read the message to its end. Raises Refused for what is wrong with it."""
        self._out.append(say.GO_AHEAD.wire)
        await self._flush()
        terms = self.terms
        reader = DataReader(normalize=terms.normalize, max_size=terms.max_message_size, max_line=terms.max_line_length)
        monotonic = self.desk.clock.monotonic
        until = min(monotonic() + terms.deadlines.message, self.ends)
        failure: Exception | None = None
        while not reader.ended:
            self.deadline = min(monotonic() + terms.deadlines.data, until)
            piece = reader.feed(await self.inflow.block())
            if failure is not None or reader.fault is not None:
                if reader.size > terms.max_message_size + MAX_DROPPED:
                    raise Refused(reader.fault or say.TOO_LARGE, close=True)
            elif piece and incoming.write(piece):
                try:
                    await incoming.flush()
                except Exception as error:  # noqa: BLE001 - the client still sends: it is answered at the end
                    failure = error
        if reader.rest:
            self.inflow.put_back(reader.rest)
        if reader.fault is not None:
            # After a bare CR or LF we may not agree with the client on where messages end, so we part.
            raise Refused(reader.fault, close=reader.fault is say.BARE_NEWLINE)
        if failure is not None:
            raise failure
        return await incoming.finish()

    def _received(self, mail: MailCommand, client: Client, id_: str, began: float) -> bytes:
        return received(
            client,
            hostname=self.terms.hostname,
            id_=id_,
            recipients=tuple(self._recipients),
            smtputf8=mail.smtputf8,
            now=began,
        )

    def _made(self, mail: MailCommand, client: Client, message: Message, id_: str, began: float) -> Mail:
        envelope = Envelope(
            sender=mail.sender,
            recipients=tuple(self._recipients),
            body=mail.body,
            smtputf8=mail.smtputf8,
            ret=mail.ret,
            envid=mail.envid,
        )
        connector = None if self._inbound is None else self._inbound.name
        return Mail(id=id_, received=began, envelope=envelope, message=message, client=client, connector=connector)

    async def _confirm(self, id_: str) -> None:
        self._messages += 1
        self._out.append(b"250 2.0.0 Queued as %b\r\n" % id_.encode())
        try:
            await self._flush()
        except ClientGone:
            # The message is ours now, and the client does not know: it may send it again (RFC 1047).
            await self.desk.gone(id_)
            raise


Session.table = {
    name[5:].encode(): method for name, method in vars(Session).items() if name.startswith("smtp_") and callable(method)
}
