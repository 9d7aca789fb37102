"""One client's connection: pymap's course of commands and responses, with our limits, deadlines and literals."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from io import BytesIO
from typing import Any, Final

from proxyprotocol.sock import SocketInfoLocal
from pymap.context import current_command
from pymap.exceptions import ResponseError
from pymap.imap import IMAPConnection
from pymap.imap.state import ConnectionState
from pymap.parsing import Params
from pymap.parsing.command import Command
from pymap.parsing.command.select import IdleCommand
from pymap.parsing.commands import Commands, InvalidCommand
from pymap.parsing.response import CommandResponse, Response, ResponseBad, ResponseContinuation, ResponseOk
from pymap.parsing.state import ExpectContinuation, ParsingInterrupt, ParsingState
from pysasl.creds.server import ServerCredentials
from pysasl.exception import AuthenticationError

from gateway.imap.answers import Refusal
from gateway.imap.appending import Arrived, ExpectMessage, Refused
from gateway.imap.commands import Authenticate
from gateway.imap.course import Course
from gateway.imap.desk import Desk
from gateway.imap.given import Given, plain
from gateway.imap.hub import Hub, Watch
from gateway.imap.inflow import MAX_COMMAND, MAX_LITERALS, PIECE, Inflow, TooMuch, is_too_nested, unasked
from gateway.imap.memory import Memory
from gateway.imap.opened import Opened
from gateway.imap.state import State
from gateway.imap.terms import ImapTerms
from gateway.world.sockets import acknowledge

MAX_RESPONSE: Final = 8192  # Octets of an answer to AUTHENTICATE.
MAX_NAME: Final = 200  # Octets in which tag and name of a command stand.
MAX_BEFORE_LOG_IN: Final = 100  # Commands of somebody who is nobody yet; programs give a handful.
SLICE: Final = 512 * 1024  # Octets that are given to the transport at once.
# Octets a second of a message that a client sends or takes at least, once the patience of a command is used up. Half of
# what the slowest line gives; who drips keeps memory from others.
PACE: Final = 16 * 1024
FOREVER: Final = float("inf")
GOODBYE: Final = b"* BYE [UNAVAILABLE] The server is shutting down; please connect again\r\n"


class Connection(IMAPConnection):
    """`serve` is its whole life. `deadline` (monotonic) is looked at by the server, which then calls `expire`."""

    __slots__ = (
        "_before",
        "_behind",
        "_closing",
        "_desk",
        "_hub",
        "_inflow",
        "_pace",
        "_peer",
        "_state",
        "_taken",
        "_terms",
        "deadline",
    )

    def __init__(
        self,
        desk: Desk,
        terms: ImapTerms,
        course: Course,
        commands: Commands,
        hub: Hub,
        memory: Memory,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peer: str,
    ) -> None:
        super().__init__(commands, course, reader, writer, SocketInfoLocal(writer))
        self._desk = desk
        self._terms = terms
        self._hub = hub
        self._inflow = Inflow(reader)
        self._peer = peer
        self._state = State(desk, terms, course, hub, memory, self, peer)
        self._taken: list[int] = []  # Of the process's memory, for messages of the APPEND under way.
        self._pace: float | None = None  # When the messages of the APPEND under way have to be here (monotonic).
        self._closing = False
        self._before = 0  # Commands that came before logging in.
        self._behind: int | None = None  # Octets of a literal that come behind the last line, and nobody asked for.
        self.deadline = desk.clock.monotonic() + terms.log_in

    # -- its life -----------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """From the greeting to the end. Raises nothing."""
        try:
            await self._run_state(self._state)
        except TooMuch as error:
            await self._last_words(b"* BYE [LIMIT] " + str(error).encode("ascii") + b"\r\n")
        except (ConnectionError, EOFError, TimeoutError, asyncio.CancelledError):
            pass
        except Exception as error:
            self._desk.tell("error", "imap_fault", id=self._state.id, client=self._peer, error=error)
            await self._last_words(b"* BYE [SERVERBUG] Something failed here; please connect again\r\n")
        finally:
            self._state.leave()
            self._give_back()
            self.writer.close()

    async def _last_words(self, octets: bytes) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError, asyncio.CancelledError):
            await self.send(octets)

    def expire(self) -> None:
        """Its time has run out: say so, where anybody listens, and hang up."""
        if self.writer.transport.get_write_buffer_size():
            self.abort()  # Nobody reads.
        else:
            self._part(b"* BYE Autologout; idle for too long\r\n")

    def stop(self) -> None:
        """The process ends: hang up, once the command under way is done."""
        self._closing = True
        if not self._state.is_busy:
            self._part(GOODBYE)

    def _part(self, words: bytes) -> None:
        self.deadline = FOREVER
        if not self.writer.transport.is_closing():
            self.writer.write(words)
            self.writer.close()

    def abort(self) -> None:
        """Hang up at once."""
        if not self.writer.transport.is_closing():
            self.writer.transport.abort()

    # -- writing ------------------------------------------------------------------------------------------------------

    async def send(self, octets: bytes) -> None:
        """Write, and wait until the client has taken most of it. Raises ConnectionError."""
        whole = memoryview(octets)
        until = self._desk.clock.monotonic() + self._terms.command + len(octets) / PACE
        for start in range(0, len(octets), SLICE):
            if self.writer.transport.is_closing():
                raise ConnectionResetError
            self.writer.write(whole[start : start + SLICE])
            try:
                async with self._desk.clock.timeout(min(self._terms.command, until - self._desk.clock.monotonic())):
                    await self.writer.drain()
            except TimeoutError:
                self.abort()
                raise ConnectionAbortedError from None

    async def write_response(self, resp: Response) -> None:
        """See pymap: all of it in one piece."""
        whole = BytesIO()
        await resp.async_write(whole)
        await self.send(whole.getvalue())

    # -- reading ------------------------------------------------------------------------------------------------------

    async def send_error_disconnect(self) -> None:
        """See pymap: what is to be said is said by `serve`."""

    async def readline(self) -> memoryview:
        return memoryview(await self._line())

    async def _line(self, *, bare: bool = False) -> bytes:
        """The next line, with its short literals unless it is to be `bare`."""
        line = await (self._inflow.line() if bare else self._inflow.command())
        self._behind = unasked(line)
        return line

    async def read_continuation(self, literal_length: int) -> memoryview:
        """See pymap: a literal that was asked for, and the line that goes on behind it."""
        self._soon()
        literal = await self._inflow.exactly(literal_length)
        self._acknowledge()
        return memoryview(literal + await self._line())

    async def read_command(self, state: ConnectionState) -> Command:
        """See pymap: a command, whole; one that can't be read is an InvalidCommand."""
        if self._closing:
            await self._last_words(GOODBYE)
            raise EOFError
        self._state.is_busy = False
        self._pace = None
        if self._state.is_logged_in:
            self.deadline = self._desk.clock.monotonic() + self._terms.idle
        elif (before := self._before) >= MAX_BEFORE_LOG_IN:
            raise TooMuch(f"at most {before} commands come before logging in")
        self._before += not self._state.is_logged_in
        # Who sends one command behind the other without waiting keeps the others' waiting for theirs no longer than one
        # of his takes: what has come already is read without giving anybody else a turn.
        await self._desk.clock.sleep(0)
        line = await self._line()
        self._state.is_busy = True
        try:
            command = await self._parsed(line)
        except (ValueError, LookupError, TypeError, RecursionError):
            command = self._unreadable(line)
        if isinstance(command, InvalidCommand | Refused):
            self._give_back()  # However long what is read over takes.
            await self._skip()
        self.deadline = FOREVER if self._state.is_logged_in else self.deadline
        return command

    def _unreadable(self, line: bytes) -> InvalidCommand:
        """A command that no parser gets through: BAD, which says which one it was."""
        words = b" ".join(line[:MAX_NAME].upper().split(b" ")[1:3])
        for name in (words, words.split(b" ")[0].strip()):
            if (known := self.commands.commands.get(name)) is not None:
                return InvalidCommand(Params(tag=_tag(line)), None, name, known)
        return InvalidCommand(Params(tag=_tag(line)), None, b"Command")

    async def _parsed(self, line: bytes) -> Command:
        arrived: list[Any] = []
        octets = len(line)
        while True:
            if octets > MAX_COMMAND or len(arrived) > MAX_LITERALS:
                raise TooMuch(f"a command has at most {MAX_LITERALS} literals and {MAX_COMMAND} octets")
            if is_too_nested(line) or (arrived and isinstance(arrived[-1], memoryview) and is_too_nested(arrived[-1])):
                return self._unreadable(line)
            params = self.params.copy(ParsingState(continuations=arrived))
            try:
                command, _ = self.commands.parse(memoryview(line), params)
            except ParsingInterrupt as interrupt:
                expected = interrupt.expected
            else:
                return command
            if isinstance(expected, ExpectMessage):
                refusal = await self._message(expected, arrived)
                if refusal is not None:
                    return Refused(_tag(line), refusal)
                octets += len(arrived[-1].rest)
            elif isinstance(expected, ExpectContinuation):
                await self.write_response(ResponseContinuation(b"Ready for the literal"))
                arrived.append(await self.read_continuation(expected.literal_length))
                octets += len(arrived[-1])
            else:
                raise TypeError(expected)

    # -- APPEND's messages --------------------------------------------------------------------------------------------

    async def _message(self, expected: ExpectMessage, arrived: list[Any]) -> Refusal | None:
        """Read one, or say why it is not wanted, before it is sent where the client waits."""
        length, asked = expected.length, self._desk.clock.monotonic()
        refusal = None
        if not self._state.is_logged_in:
            refusal = Refusal("Please log in first")
        elif expected.before + length > self._terms.max_message_size:
            most = self._terms.max_message_size
            refusal = Refusal(f"A message has at most {most} octets, and so have several together", "TOOBIG")
        else:
            refusal = await self._state.may_append(expected.folder, expected.before + length)
        if refusal is None and not await self._held(length):
            refusal = Refusal("Too much is being put in at this moment; please try again", "LIMIT")
        if refusal is not None:
            return refusal  # What comes all the same is read over.
        self._behind = None
        self._expect(length, asked)
        if expected.waits:
            await self.send(b"+ Ready for the message\r\n")
        octets = bytearray()
        while len(octets) < length:
            self._soon()
            octets += await self._inflow.exactly(min(PIECE, length - len(octets)))
        self._soon()
        self._acknowledge()
        arrived.append(Arrived(bytes(octets), memoryview(await self._line(bare=True))))
        return None

    async def _held(self, octets: int) -> bool:
        """Whether there is room for a message. Who holds one and waits for ever would keep others from going on."""
        self.deadline = FOREVER
        try:
            async with self._desk.clock.timeout(self._terms.command):
                self._taken.append(await self._state.memory.take(octets))
        except TimeoutError:
            return False
        finally:
            self._soon()
        return True

    def _acknowledge(self) -> None:
        """The line that goes on behind a literal is a packet of its own, which many programs hold back until then."""
        acknowledge(self.writer.get_extra_info("socket"))

    async def _skip(self) -> None:
        """Read over what comes behind a command that was refused. Raises TooMuch where that is too much."""
        most = self._terms.max_message_size if self._state.is_logged_in else MAX_COMMAND
        while self._behind is not None:
            length, self._behind = self._behind, None
            if length > most:
                raise TooMuch(f"a literal has at most {most} octets")
            self._expect(length, self._desk.clock.monotonic())
            while length > 0:
                self._soon()
                length -= len(await self._inflow.exactly(min(PIECE, length)))
            await self._line(bare=True)

    def _expect(self, octets: int, asked: float) -> None:
        """So many octets of a message are to come, at PACE at least. What has passed since `asked` was our own time."""
        now = self._desk.clock.monotonic()
        begun = now + self._terms.command if self._pace is None else self._pace + now - asked
        self._pace = begun + octets / PACE

    def _give_back(self) -> None:
        """The messages of an APPEND are not held any more."""
        self._pace = None
        while self._taken:
            self._state.memory.give(self._taken.pop())

    def release(self) -> None:
        """A command is done."""
        self._give_back()

    def _soon(self) -> None:
        """The client has begun, and is to go on."""
        soon = self._desk.clock.monotonic() + self._terms.command
        if self._pace is not None:
            soon = min(soon, self._pace)
        self.deadline = soon if self._state.is_logged_in else min(self.deadline, soon)

    # -- AUTHENTICATE -------------------------------------------------------------------------------------------------

    async def authenticate(self, state: ConnectionState, mech_name: bytes) -> ServerCredentials | None:
        """See pymap: PLAIN (RFC 4616) and LOGIN, with an initial response where there was one (RFC 4959)."""
        command = current_command.get()
        initial = command.initial if isinstance(command, Authenticate) else None
        if mech_name == b"PLAIN":
            return plain(await self._asked(b"") if initial is None else initial)
        if mech_name == b"LOGIN":
            name = await self._asked(b"Username:") if initial is None else initial
            return Given.of(name, await self._asked(b"Password:"))
        return None

    async def _asked(self, challenge: bytes) -> bytes:
        """The client's answer. Raises AuthenticationError."""
        await self.send(b"+ " + base64.b64encode(challenge) + b"\r\n")
        self._soon()
        line = (await self._inflow.line()).rstrip(b"\r\n")
        if line == b"*":
            raise AuthenticationError("Cancelled")
        try:
            if len(line) > MAX_RESPONSE:
                raise binascii.Error
            return base64.b64decode(line, validate=True)
        except (binascii.Error, ValueError):
            raise AuthenticationError("That is no base64") from None

    # -- IDLE ---------------------------------------------------------------------------------------------------------

    async def idle(self, state: ConnectionState, cmd: IdleCommand) -> CommandResponse:
        """RFC 2177: tell what happens until the client says DONE."""
        response = await self._state.do_command(cmd)
        opened = self._state.opened
        if not isinstance(response, ResponseOk) or opened is None:
            return response
        try:
            line = await self._idling(opened)
        except (ConnectionError, EOFError, TooMuch, ResponseError):
            raise
        except Exception as error:  # noqa: BLE001 - it ends the command, as any
            return self._state.failed(cmd, error)
        if line.strip().upper() != b"DONE":
            return ResponseBad(cmd.tag, b'IDLE ends with "DONE"')
        return response

    async def _idling(self, opened: Opened) -> bytes:
        """Tell news until the client says something; what it says."""
        await self.send(b"+ idling\r\n")
        self.deadline = self._desk.clock.monotonic() + self._terms.idle
        self._state.is_busy = False
        with self._hub.watching(opened.folder.id, opened.modseq) as watch:
            done = asyncio.ensure_future(self._inflow.line())
            try:
                while not done.done():
                    await self._news(watch, done)
                return await done
            finally:
                self._state.is_busy = True
                if not done.done():
                    done.cancel()
                    await asyncio.wait([done])

    async def _news(self, watch: Watch, done: asyncio.Future[Any]) -> None:
        """Wait for news or DONE, and tell the news."""
        waiting: asyncio.Future[Any] = asyncio.ensure_future(watch.event.wait())
        try:
            await asyncio.wait({waiting, done}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if done.done():
            return
        watch.event.clear()
        if told := await self._state.news():
            await self.send(b"".join(told))
        if self._state.opened is not None:
            watch.modseq = self._state.opened.modseq


def _tag(line: bytes) -> bytes:
    """The tag of a command that can't be read, where it has one."""
    first = line.split(b" ", 1)[0].strip()
    return first if first.isalnum() and len(first) <= 64 else b"*"
