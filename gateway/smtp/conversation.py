"""What is said in a session: commands taken one after the other, replies, errors, the bound on bad ones (RFC 5321 4).

`Transaction` and `Session` carry the commands out. Leaves out: what each command means.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from gateway.mail import reply as say
from gateway.mail.reply import Refused, Reply, reply_to
from gateway.smtp.chunks import Chunked
from gateway.smtp.commands import MailCommand
from gateway.smtp.connection import Connection
from gateway.smtp.desk import Desk, Incoming, Terms
from gateway.smtp.inflow import ClientGone, LineTooLong, TimeRanOut
from gateway.storage.sealer import KeysClosed
from gateway.storage.writer import StorageAway, StorageFull

if TYPE_CHECKING:
    from gateway.smtp.sessions import Sessions

SWIFT = 1024  # Octets of a command that may be answered without waking the session's task.
BURST = 200  # Commands in one go, before others get their turn: a client may send thousands at once.


# Commands that are answered before anybody has to wait; DATA goes on in the task, and QUIT ends it.
SWIFT_WORDS = frozenset((b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP", b"VRFY", b"QUIT"))


class _Over(Exception):
    """The session is to end; what is to be said stands in `_out`."""


class Conversation(Connection):
    """Takes lines, has each carried out by the method that `table` names for its first word, and says the replies."""

    table: ClassVar[dict[bytes, Callable[[Any, str], Coroutine[Any, Any, None] | None]]]

    def __init__(self, desk: Desk, terms: Terms, loop: asyncio.AbstractEventLoop, sessions: Sessions) -> None:
        super().__init__(desk, terms, loop, sessions)
        self.id: str | None = None
        self._closing = False
        self._at_prompt = False  # Whether the task waits for a command and everything was said.
        self._mail: MailCommand | None = None  # The transaction under way.
        self._chunked: Chunked | None = None  # Its message, where that comes by BDAT.
        self._leftover: Incoming | None = None  # Of a message that was given up half-way: it waits to be abandoned.
        self._begun: Coroutine[Any, Any, None] | None = None  # A command that was answered, for the task to finish.
        self._bad_commands = 0
        self._bad_id: str | None = None  # Under which one was logged.
        self._swift = SWIFT_WORDS

    @property
    def is_busy(self) -> bool:
        """Whether a message is under way."""
        return self._mail is not None

    @abstractmethod
    def _reset(self) -> None:
        """Forget the transaction under way, if there is one."""

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
        """The whole session after its banner, to the closed connection. `refusal`: say this instead of serving."""
        try:
            if refusal is not None:
                self.say(refusal)
                await self._flush()
                return
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
            if self._begun is not None:
                self._begun.close()
            if self._chunked is not None:
                self._reset()
            if self._leftover is not None:
                await self._abandon()
            await self._hang_up()

    async def _commands(self) -> None:
        inflow = self.inflow
        monotonic = self.desk.clock.monotonic
        burst = 0
        while not self._closing:
            burst += 1
            if self._leftover is not None:
                await self._abandon()
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
                # While chunks come, RSET may have to remove a file: the task carries it out.
                self._at_prompt = inflow.is_empty and not self._paused and self._chunked is None
                line = await inflow.line()
                self._at_prompt = False
                work, self._begun = self._begun, None
                if work is None:
                    work = self._command(line)
                if work is not None:
                    await self._guarded(work)
            except LineTooLong as long:
                self._bad(say.LINE_TOO_LONG)
                self._closing |= not long.in_step
            except Refused as refused:
                self._refuse(refused)
        await self._flush()

    async def _abandon(self) -> None:
        """Forget the octets of a message that was given up."""
        leftover, self._leftover = self._leftover, None
        if leftover is None:
            return
        try:
            await leftover.abandon()
        except OSError as error:  # What is left lies sealed in the spool, and the next start removes it.
            self._fault(error)

    def data_received(self, data: bytes) -> None:
        """Octets of the client. A single command for which nobody has to wait is answered at once: the session's task
        sleeps on, which saves half of such a command's cost and the client some of its wait.
        """
        if self._at_prompt and data[-1:] == b"\n" and len(data) <= SWIFT and data.find(b"\n") == len(data) - 1:
            word = data[:4].upper()
            # Where recipients are verified, RCPT may have to wait.
            if word in self._swift and self.transport is not None and (word != b"RCPT" or self.desk.verify is None):
                self._swiftly(data)
                return
        self._at_prompt = False
        super().data_received(data)

    def _swiftly(self, line: bytes) -> None:
        try:
            self._begun = self._command(line)
        except Refused as refused:
            self._refuse(refused)
        self._farewell()
        if self._closing:
            self._at_prompt = False
            self.inflow.fail(_Over())
            return
        if self._begun is not None:
            self._at_prompt = False
            super().data_received(line)  # It stands for the command, which the task finds begun.
            return
        if self.stopping and self._mail is None:
            self._at_prompt = False
            self.inflow.fail(TimeRanOut())
            return
        self._at_prompt = not self._paused
        self.deadline = min(self.desk.clock.monotonic() + self.terms.deadlines.command, self.ends)

    def _command(self, line: bytes) -> Coroutine[Any, Any, None] | None:
        """Carry out a command. One that has to wait is given back instead. Raises Refused."""
        octets = line[:-2]
        # Bare CR, LF and NUL have no place in a command (RFC 5321 2.3.8); it is not carried out.
        if line[-2:] != b"\r\n" or b"\r" in octets or b"\0" in octets:
            self._bad(say.BAD_LINE)
            # A bare LF ends no line: what follows may be the rest of this one, or what it announced (BDAT, DATA), and
            # run as commands it would be an envelope of somebody else's making.
            self._closing |= line[-2:] != b"\r\n"
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

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
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
        if isinstance(error, KeysClosed):
            raise Refused(say.KEYS_CLOSED) from error
        if isinstance(error, StorageAway):
            raise Refused(say.STORAGE_AWAY) from error
        self._fault(error)
        self._reset()
        reply = reply_to(error)
        self.desk.count("messages_refused_total", (self.terms.name, str(reply.code)))
        self.say(reply)

    def _bad(self, reply: Reply) -> None:
        """A command that is none of ours; too many of them end the session."""
        self._bad_commands += 1
        if self._bad_commands > self.terms.max_bad_commands:
            self._closing = True
            reply = say.TOO_MANY_BAD_COMMANDS
        self.say(reply)
        # Once for each id that the client reads, and when it was enough: whoever babbles must not fill the log.
        if self._closing or self.id != self._bad_id:
            self._bad_id = self.id
            self._tell_refusal(reply)

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
        self._tell_refusal(reply)

    def _tell_refusal(self, reply: Reply) -> None:
        sender = self._mail.sender.text if self._mail and self._mail.sender else ""
        self.desk.tell(
            "info",
            "refused",
            id=self.id or "",
            reply=f"{reply.code} {reply.enhanced or ''} {reply.text}",
            **self.who,
            sender=sender,
        )

    def _fault(self, error: Exception) -> None:
        if self.id is None:
            self.id = self.desk.new_id()
        self.desk.tell("error", "session_fault", id=self.id, **self.who, error=error)
