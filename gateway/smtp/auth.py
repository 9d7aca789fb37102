"""AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN, over TLS alone: the exchange, and who a session belongs to.

LOGIN is no standard; it asks for name and password one after the other. Leaves out: security layers, mechanisms by
which the password does not travel (SCRAM), which need another form of it than a hash.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from gateway.accounts.login import CLOSED, LogInEnded, LogInLater, LogInRefused
from gateway.accounts.model import User
from gateway.accounts.names import BadName, normal_name
from gateway.mail import reply as say
from gateway.mail.envelope import Client
from gateway.mail.reply import Refused
from gateway.smtp.conversation import SWIFT_WORDS, Conversation
from gateway.smtp.desk import MECHANISMS, Desk, Terms
from gateway.smtp.inflow import MAX_AUTH_LINE, LineTooLong

if TYPE_CHECKING:
    from gateway.smtp.sessions import Sessions

_CHALLENGES: Final = {"name": b"334 VXNlcm5hbWU6\r\n", "password": b"334 UGFzc3dvcmQ6\r\n", "plain": b"334 \r\n"}
Ask = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client gave. `identity` is on whose behalf it wants to act; "" where it does not say."""

    name: str = field(repr=False)  # People type passwords there.
    password: str = field(repr=False)
    identity: str = field(default="", repr=False)

    @property
    def acts_as_itself(self) -> bool:
        """Whether no other identity is asked for (RFC 4616 2)."""
        if self.identity in ("", self.name):
            return True
        try:
            return normal_name(self.identity) == normal_name(self.name)
        except BadName:
            return False


async def exchange(argument: str, ask: Ask) -> Credentials:
    """What stands behind AUTH, and what the client answers to `ask` (a challenge's line; the answer's without CR LF).

    Raises Refused. The password stands in no exception: nothing is chained.
    """
    mechanism, _, initial = argument.partition(" ")
    mechanism = mechanism.upper()
    if not mechanism:
        raise Refused(say.BAD_SYNTAX)
    if mechanism not in MECHANISMS:
        raise Refused(say.NO_SUCH_MECHANISM)
    first = _decoded(b"" if initial == "=" else initial.encode("utf-8")) if initial else None  # RFC 4954 4
    if mechanism == "PLAIN":
        return _plain(_decoded(await ask(_CHALLENGES["plain"])) if first is None else first)
    name = _decoded(await ask(_CHALLENGES["name"])) if first is None else first
    password = _decoded(await ask(_CHALLENGES["password"]))
    return Credentials(_text(name), _text(password))


def _decoded(line: bytes) -> bytes:
    if line == b"*":  # RFC 4954 4
        raise Refused(say.LOG_IN_CANCELLED)
    try:
        return base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(say.BAD_BASE64) from None


def _plain(octets: bytes) -> Credentials:
    """RFC 4616 2: [identity] NUL name NUL password."""
    parts = octets.split(b"\0")
    if len(parts) != 3:
        raise Refused(say.BAD_BASE64)
    return Credentials(_text(parts[1]), _text(parts[2]), _text(parts[0]))


def _text(octets: bytes) -> str:
    """Text in UTF-8. What is none is nobody's name or password, and is answered like any wrong one."""
    return octets.decode("utf-8", "surrogateescape")


class Authentication(Conversation):
    """Whose session this is."""

    def __init__(self, desk: Desk, terms: Terms, loop: asyncio.AbstractEventLoop, sessions: Sessions) -> None:
        super().__init__(desk, terms, loop, sessions)
        self._client: Client | None = None  # As it called itself; None before EHLO or HELO.
        self._user: User | None = None
        self._failed_log_ins = 0

    async def smtp_AUTH(self, arg: str) -> None:
        """RFC 4954 4."""
        accounts = self.desk.accounts
        if accounts is None or not self.terms.auth:
            raise Refused(say.AUTH_NOT_OFFERED)
        if self._client is None or not self._client.esmtp:
            raise Refused(say.HELLO_FIRST)
        if self.tls is None:
            raise Refused(say.AUTH_NEEDS_TLS)
        if self._user is not None:
            raise Refused(say.LOGGED_IN_ALREADY)
        if self._mail is not None:
            raise Refused(say.NESTED_MAIL)
        if self._failed_log_ins >= self.terms.max_failed_log_ins:
            raise Refused(say.TOO_MANY_LOG_INS, close=True)
        given = await exchange(arg, self._challenge)
        try:
            if not given.acts_as_itself:
                raise LogInRefused(0.0, "")
            user = await accounts.log_in(given.name, given.password, self.peer[0])
        except LogInRefused as refused:
            self._failed("refused", refused.name, "wrong_credentials")
            await self.desk.clock.sleep(refused.delay)
            self.say(say.LOG_IN_REFUSED)
        except LogInLater as later:
            self._failed("later", "", later.reason)
            self.say(say.LOG_IN_LATER)
        else:
            self._enter(user, self._client)

    def _enter(self, user: User, client: Client) -> None:
        self._user = user
        self._client = replace(client, user=user.name)
        self._swift = SWIFT_WORDS - {b"MAIL"}  # From now on MAIL waits for the look whether the account is still there.
        self.desk.count("log_ins_total", (self.terms.name, "logged_in"))
        self.desk.tell("info", "logged_in", client=self.peer[0], listener=self.terms.name, user=user.name)
        self.say(say.LOGGED_IN)

    def _failed(self, result: str, name: str, reason: str) -> None:
        self._failed_log_ins += 1
        if self.id is None:
            self.id = self.desk.new_id()
        self.desk.count("log_ins_total", (self.terms.name, result))
        self.desk.tell(
            "info" if reason == CLOSED else "warning",
            "log_in_failed",
            id=self.id,
            client=self.peer[0],
            listener=self.terms.name,
            user=name or None,
            reason=reason,
        )

    def _forget_user(self) -> None:
        """RFC 3207 4.2: what was known before a TLS handshake counts no more."""
        self._client = None
        self._user = None
        self._swift = SWIFT_WORDS

    async def _challenge(self, line: bytes) -> bytes:
        """Say `line`; the client's answer, without its ending. Raises Refused, ClientGone, TimeRanOut."""
        self._out.append(line)
        await self._flush()
        self.deadline = min(self.desk.clock.monotonic() + self.terms.deadlines.command, self.ends)
        try:
            answer = await self.inflow.line(MAX_AUTH_LINE)
        except LineTooLong as long:
            raise Refused(say.AUTH_TOO_LONG, close=not long.in_step) from None
        if not answer.endswith(b"\r\n"):
            raise Refused(say.BAD_LINE, close=True)
        return answer[:-2]

    async def _still(self, user: User) -> User:
        """The user as the account is now. Raises Refused where that is no more."""
        accounts = self.desk.accounts
        if accounts is None:
            raise Refused(say.LOG_IN_ENDED, close=True)
        try:
            return await accounts.still(user)
        except LogInEnded:
            self.desk.tell("info", "log_in_ended", client=self.peer[0], listener=self.terms.name, user=user.name)
            raise Refused(say.LOG_IN_ENDED, close=True) from None
        except LogInLater:
            raise Refused(say.INTERNAL) from None
