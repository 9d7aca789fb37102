"""The course of one connection: who is logged in, which folder is open, and what each command does.

pymap decides which command may come when; what commands do stands in the classes that this one is made of.
"""

from __future__ import annotations

from typing import Final, NoReturn, cast

from pymap.exceptions import CloseConnection, ResponseError
from pymap.imap.state import ConnectionState
from pymap.interfaces.login import LoginInterface
from pymap.interfaces.session import SessionInterface
from pymap.parsing.command import Command
from pymap.parsing.command.any import LogoutCommand
from pymap.parsing.command.nonauth import AuthenticateCommand, LoginCommand
from pymap.parsing.commands import InvalidCommand
from pymap.parsing.response import CommandResponse, Response, ResponseBad, ResponseBye, ResponseOk
from pymap.parsing.response.code import Capability
from pysasl.creds.server import ServerCredentials

from gateway.accounts.login import CLOSED, LogInEnded, LogInLater, LogInRefused
from gateway.imap.answers import answer_to
from gateway.imap.append_command import AppendCommands
from gateway.imap.appending import Refused
from gateway.imap.commands import Enable
from gateway.imap.course import MECHANISMS, Course
from gateway.imap.desk import Desk
from gateway.imap.folder_commands import FolderCommands
from gateway.imap.given import Given
from gateway.imap.hub import Hub
from gateway.imap.memory import Memory
from gateway.imap.message_commands import MessageCommands
from gateway.imap.person import Person
from gateway.imap.terms import ImapTerms
from gateway.imap.wire import Ready, Wire, done, refused
from gateway.mailboxes.faults import MailboxClosed

MAX_ECHO: Final = 80  # Octets of a client's words that a response repeats.


class Ended(ResponseError):
    """The session ends, and the client is told why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text = text.encode("ascii")

    def get_response(self, tag: bytes) -> Response:
        response = refused(tag, self._text)
        response.add_untagged(ResponseBye(self._text))
        return response


class State(MessageCommands, AppendCommands, FolderCommands, ConnectionState):
    """One connection. `is_busy`: a command is under way."""

    def __init__(
        self, desk: Desk, terms: ImapTerms, course: Course, hub: Hub, memory: Memory, wire: Wire, peer: str
    ) -> None:
        super().__init__(cast(LoginInterface, None), course)  # Logging in is done here.
        self.desk = desk
        self.terms = terms
        self.hub = hub
        self.memory = memory.of("")
        self._memory = memory
        self.wire = wire
        self.peer = peer
        self.id = desk.new_id()
        self.is_busy = False
        self.opened = None
        self.person_or_none: Person | None = None
        self.wants_modseq = False
        self._failed_log_ins = 0
        self._bad = 0

    # -- the course ---------------------------------------------------------------------------------------------------

    async def do_greeting(self) -> CommandResponse:
        return ResponseOk(b"*", b"Ready", self.capability)

    @property
    def capability(self) -> Capability:
        return Capability([*self._capability, *(() if self.is_logged_in else MECHANISMS)])

    async def do_command(self, cmd: Command) -> CommandResponse:
        """See pymap. Whatever fails becomes a response; what the client was not told yet stands in front of it."""
        try:
            response = await self._done(cmd)
        except (ResponseError, ConnectionError, EOFError):
            raise
        except LogInEnded:
            raise self._ended() from None
        except Exception as error:
            response = self.failed(cmd, error)
        if not response.is_bad:
            self._bad = 0
            return response
        self._bad += 1
        if self._bad >= self.terms.max_bad_commands:
            response.add_untagged(ResponseBye(b"Too many commands that make no sense"))
        return response

    async def _done(self, cmd: Command) -> CommandResponse:
        if isinstance(cmd, InvalidCommand):
            return ResponseBad(cmd.tag, cmd.message[:MAX_ECHO])
        if isinstance(cmd, Refused):
            raise cmd.refusal
        if self.person_or_none is not None:
            await self.person_or_none.look()
        response = await super().do_command(cmd)
        if isinstance(response, ResponseOk) and (told := await self.after(cmd)):
            response.add_untagged(Ready(b"".join(told)))
        return response

    def failed(self, cmd: Command, error: Exception) -> CommandResponse:
        """The response to a command that was not done, and what the log is told of it."""
        answer = answer_to(error)
        if answer.is_ours:
            self.desk.tell(
                "error",
                "imap_command_failed",
                id=self.id,
                client=self.peer,
                command=cmd.command.decode("ascii", "replace"),
                error=error,
            )
        elif isinstance(error, MailboxClosed):
            self.desk.tell(
                "warning",
                "mailbox_closed",
                id=self.id,
                user=None if self.person_or_none is None else self.person.user.name,
                mailbox=error.mailbox,
                policy=error.policy,
                reason=error.text,
            )
        if answer.word == b"BAD":
            return ResponseBad(cmd.tag, answer.octets.removeprefix(b"BAD "))
        code = None if answer.code is None else answer.code.encode("ascii")
        text = answer.octets.removeprefix(b"NO ")
        return refused(cmd.tag, text if code is None else text.removeprefix(b"[" + code + b"] "), code)

    def _ended(self) -> Ended:
        self.desk.tell("info", "log_in_ended", id=self.id, client=self.peer, user=self.person.user.name)
        return Ended("Your account has changed; please log in again")

    async def news(self) -> list[bytes]:
        """For who waits in IDLE. Raises Ended where the account is gone."""
        try:
            await self.person.look()
        except LogInEnded:
            raise self._ended() from None
        told = [] if self.opened is None else await self.changes()
        return [*told, *await self.expunges()]

    async def do_cleanup(self) -> None:
        self.wire.release()

    @classmethod
    async def do_logout(cls, cmd: LogoutCommand) -> NoReturn:
        raise CloseConnection

    def leave(self) -> None:
        """The connection is over."""
        if self.person_or_none is not None:
            self.hub.left(self.person_or_none.user.name)
            self.desk.tell("info", "imap_ended", id=self.id, client=self.peer, user=self.person_or_none.user.name)
            self.person_or_none = None

    async def do_enable(self, cmd: Enable) -> tuple[CommandResponse, None]:
        """RFC 5161: CONDSTORE is what may be wanted."""
        if b"CONDSTORE" not in cmd.wanted:
            return done(cmd.tag, b"Nothing that this server knows", None, b"* ENABLED\r\n"), None
        self.want_modseq()
        return done(cmd.tag, b"Enabled", None, b"* ENABLED CONDSTORE\r\n"), None

    # -- logging in ---------------------------------------------------------------------------------------------------

    async def do_login(self, cmd: LoginCommand) -> tuple[CommandResponse, None]:
        return await self._log_in(cmd.tag, Given.of(cmd.userid, cmd.password)), None

    async def do_authenticate(
        self, cmd: AuthenticateCommand | LoginCommand, creds: ServerCredentials | None
    ) -> CommandResponse:
        if isinstance(creds, Given):
            return await self._log_in(cmd.tag, creds)
        return refused(cmd.tag, b"PLAIN and LOGIN are what may be used", b"CANNOT")

    async def _log_in(self, tag: bytes, given: Given) -> CommandResponse:
        if self.person_or_none is not None:
            return ResponseBad(tag, b"You are logged in already")
        if self._failed_log_ins >= self.terms.max_failed_log_ins:
            raise Ended("Too many failed attempts")
        try:
            if not given.acts_as_itself:
                raise LogInRefused(0.0, "")
            user = await self.desk.accounts.log_in(given.authcid, given.password, self.peer)
        except LogInRefused as error:
            self._not_in("refused", error.name, "wrong_credentials")
            await self.desk.clock.sleep(error.delay)
            return refused(tag, b"Name and password do not go together", b"AUTHENTICATIONFAILED")
        except LogInLater as error:
            self._not_in("later", "", error.reason)
            return refused(tag, b"Logging in is not possible now; please try again later", b"UNAVAILABLE")
        mailboxes = await self.desk.store.of_account(user.name)
        if not mailboxes:
            self._not_in("refused", user.name, "no_mailbox")
            return refused(tag, b"This account has no mailbox", b"AUTHORIZATIONFAILED")
        if not self.hub.entered(user.name, self.terms.max_connections_per_account):
            self._not_in("later", user.name, "too_many_connections")
            return refused(tag, b"This account has too many connections open", b"LIMIT")
        self.person_or_none = Person(self.desk, user, mailboxes[0])
        self.memory = self._memory.of(user.name)
        self._session = cast(SessionInterface, self.person_or_none)
        self._capability.extend(self.config.login_capability)
        self.desk.count("log_ins_total", (self.terms.name, "logged_in"))
        self.desk.tell("info", "logged_in", id=self.id, client=self.peer, listener=self.terms.name, user=user.name)
        return ResponseOk(tag, b"Logged in", self.capability)

    def _not_in(self, result: str, name: str, reason: str) -> None:
        self._failed_log_ins += 1
        self.desk.count("log_ins_total", (self.terms.name, result))
        self.desk.tell(
            "info" if reason == CLOSED else "warning",
            "log_in_failed",
            id=self.id,
            client=self.peer,
            listener=self.terms.name,
            user=name or None,
            reason=reason,
        )
