"""One mail transaction after the other: MAIL, RCPT, DATA, BDAT (RFC 5321 3.3, RFC 3030)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway.accounts.model import User
from gateway.connectors.authenticated import AUTHENTICATED
from gateway.connectors.model import Inbound
from gateway.mail import reply as say
from gateway.mail.envelope import Client, Envelope, Recipient
from gateway.mail.mail import Mail
from gateway.mail.message import Message
from gateway.mail.reply import Refused
from gateway.smtp.auth import Authentication
from gateway.smtp.chunks import Chunked, ChunkReader
from gateway.smtp.commands import Chunk, MailCommand, parse_chunk, parse_mail, parse_rcpt
from gateway.smtp.data import DataReader
from gateway.smtp.desk import Arrival, Desk, Incoming, Terms
from gateway.smtp.inflow import ClientGone
from gateway.smtp.submission import OfUser, Submitted
from gateway.smtp.trace import received
from gateway.storage.sealer import KeysClosed
from gateway.storage.writer import StorageAway, StorageFull

if TYPE_CHECKING:
    from gateway.smtp.sessions import Sessions

MAX_DROPPED = 64 << 20  # Octets of a message read and dropped behind its limit, before we hang up instead.


class Transaction(Authentication):
    """What MAIL and RCPT said so far, and the message that follows."""

    def __init__(self, desk: Desk, terms: Terms, loop: asyncio.AbstractEventLoop, sessions: Sessions) -> None:
        super().__init__(desk, terms, loop, sessions)
        self._inbound: Inbound | None = None
        self._recipients: list[Recipient] = []
        self._refused_recipients = 0
        self._messages = 0
        self._spoilt = False  # Chunks of a message that was refused may still come.

    def _reset(self) -> None:
        if self._chunked is not None:
            self._leftover = self._chunked.arrival.incoming
            self._chunked = None
        self._spoilt = False
        self._mail = None
        self._inbound = None
        self._recipients = []
        self._refused_recipients = 0
        self.id = None

    def smtp_MAIL(self, arg: str) -> Coroutine[Any, Any, None] | None:
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
        if self._user is not None or self.terms.submission:
            return self._mail_of_user(self._client, self._user, command)
        self._inbound = self.desk.admit(self._client, command.sender)
        self._mail = command
        self._out.append(say.SENDER_OK.wire)
        return None

    def _mail_of_user(self, client: Client, user: User | None, command: MailCommand) -> Coroutine[Any, Any, None]:
        """MAIL of somebody who has logged in, or where one has to (RFC 6409 4.3, 6.1). Raises Refused."""
        if self.tls is None:
            raise Refused(say.TLS_REQUIRED)
        if user is None:
            raise Refused(say.AUTH_REQUIRED)

        async def judge() -> None:
            self._user = now = await self._still(user)
            if command.sender is None or now.owns(command.sender):
                self._inbound = AUTHENTICATED
            elif self.terms.submission:
                raise Refused(say.SENDER_NOT_YOURS)
            else:  # A server that logs in keeps what it may do without.
                self._inbound = self.desk.admit(client, command.sender)
                if self._inbound is None:
                    raise Refused(say.SENDER_NOT_YOURS)
            self._mail = command
            self.say(say.SENDER_OK)

        return judge()

    def smtp_RCPT(self, arg: str) -> Coroutine[Any, Any, None] | None:
        """RFC 5321 4.1.1.3."""
        if self._mail is None:
            raise Refused(say.MAIL_FIRST)
        if self._chunked is not None:
            raise Refused(say.IN_CHUNKS)
        recipient = parse_rcpt(arg, self._mail.smtputf8)
        if len(self._recipients) >= self.terms.max_recipients:
            raise Refused(say.TOO_MANY_RECIPIENTS)
        if self.terms.max_recipient_domains is not None:
            self._bound_domains(recipient, self.terms.max_recipient_domains)
        verify = self.desk.verify
        try:
            self.desk.may_reach(self._inbound, recipient.address)
            known = verify is None or verify(self._inbound, recipient.address)
        except Refused as refused:
            self._count_refused(refused)
            raise
        if not isinstance(known, bool):
            return self._ask_about(recipient, known)
        self._take_recipient(recipient, known=known)
        return None

    async def _ask_about(self, recipient: Recipient, ask: Callable[[], Awaitable[bool]]) -> None:
        """RCPT of somebody about whom another machine has to be asked, which has a deadline of its own."""
        await self._flush()
        self.deadline = self.ends
        try:
            known = await ask()
        except Refused as refused:
            self._count_refused(refused)
            raise
        self._take_recipient(recipient, known=known)

    def _take_recipient(self, recipient: Recipient, *, known: bool) -> None:
        self._recipients.append(recipient if known else replace(recipient, unverified=True))
        self._out.append(say.RECIPIENT_OK.wire)

    def _count_refused(self, refused: Refused) -> None:
        """Raises Refused where that was one too many: who guesses addresses is sent away. A passing no is no guess."""
        self._refused_recipients += 1
        most = self.terms.max_bad_commands + len(self._recipients)
        if refused.reply.code >= 500 and self._refused_recipients > most:
            raise Refused(say.TOO_MANY_REFUSED, close=True) from None

    def _bound_domains(self, recipient: Recipient, most: int) -> None:
        """RFC 9422 4: RCPTDOMAINMAX. A recipient of a domain that is there already is never one too many."""
        domains = {one.address.domain for one in self._recipients}
        if len(domains) >= most and recipient.address.domain not in domains:
            raise Refused(say.TOO_MANY_DOMAINS)

    def smtp_DATA(self, arg: str) -> Coroutine[Any, Any, None]:
        """RFC 5321 4.1.1.4."""
        if arg:
            raise Refused(say.BAD_SYNTAX)
        if self._chunked is not None:
            raise Refused(say.IN_CHUNKS)
        mail, client = self._awaited()
        self._out.append(say.GO_AHEAD.wire)
        return self._take(mail, client)

    async def _take(self, mail: MailCommand, client: Client) -> None:
        """What comes now is the message. The client was told so first: it sends while we make ready."""
        await self._take_in(self._arrival(mail, client), self._data)

    def _awaited(self) -> tuple[MailCommand, Client]:
        """Who sends what. Raises Refused where no message may come now."""
        mail, client = self._mail, self._client
        if mail is None or client is None:
            raise Refused(say.MAIL_FIRST)
        if not self._recipients:
            raise Refused(say.NO_VALID_RECIPIENTS if self._refused_recipients else say.RCPT_FIRST)
        return mail, client

    def _arrival(self, mail: MailCommand, client: Client) -> Arrival:
        """A new message under an id of its own, our trace line on top."""
        began = self.desk.clock.now()
        self.id = id_ = self.desk.new_id()
        incoming = self.desk.begin(id_)
        incoming.write(
            received(
                client,
                hostname=self.terms.hostname,
                id_=id_,
                recipients=tuple(self._recipients),
                smtputf8=mail.smtputf8,
                now=began,
                trusted=self._inbound is not None and self._inbound.certificate is not None,
            )
        )
        if self.desk.arriving is not None:
            incoming = self.desk.arriving(incoming, client, self._inbound)
        if self._user is not None:
            incoming = self._of_user(self._user, mail, id_, began, incoming)
        return Arrival(id_, began, mail, client, incoming)

    def _of_user(self, user: User, mail: MailCommand, id_: str, began: float, incoming: Incoming) -> Incoming:
        """`incoming`, which takes the message of a user only if all its terms hold."""
        submitted = None
        if self.terms.submission:
            submitted = Submitted(user, bounces=mail.sender is not None, id_=id_, host=self.terms.hostname, now=began)
        return OfUser(incoming, submitted, lambda: self._still(user))

    async def _take_in(self, arrival: Arrival, whole: Callable[[Incoming], Awaitable[Message]]) -> None:
        """Have the message read by `whole`, take responsibility for it and say so, or say what is wrong with it."""
        incoming = arrival.incoming
        kept = False
        try:
            message = await whole(incoming)
            await self.desk.accept(self._made(arrival, message))
            kept = True
            await self._confirm(arrival.id)
        except asyncio.CancelledError:
            kept = True  # The commit may be on its way; if it is not, the next start clears up.
            raise
        except StorageFull:
            self._refuse(Refused(say.STORAGE_FULL))
        except KeysClosed:
            self._refuse(Refused(say.KEYS_CLOSED))
        except StorageAway:
            self._refuse(Refused(say.STORAGE_AWAY))
        except Refused as refused:
            self._refuse(refused)  # Here, where it is still known whose message it was.
        finally:
            if not kept:
                await incoming.abandon()
            self._reset()

    async def _data(self, incoming: Incoming) -> Message:
        """Read the message to its end. Raises Refused for what is wrong with it."""
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

    def _made(self, arrival: Arrival, message: Message) -> Mail:
        command = arrival.command
        envelope = Envelope(
            sender=command.sender,
            recipients=tuple(self._recipients),
            body=command.body,
            smtputf8=command.smtputf8,
            ret=command.ret,
            envid=command.envid,
        )
        return Mail(
            id=arrival.id,
            received=arrival.began,
            envelope=envelope,
            message=message,
            client=arrival.client,
            connector=None if self._inbound is None else self._inbound.name,
        )

    async def _confirm(self, id_: str) -> None:
        self._messages += 1
        self._out.append(b"250 2.0.0 Queued as %b\r\n" % id_.encode())
        try:
            await self._flush()
        except ClientGone:
            # The message is ours now, and the client does not know: it may send it again (RFC 1047).
            await self.desk.gone(id_)
            raise

    # -- chunks -------------------------------------------------------------------------------------------------------

    async def smtp_BDAT(self, arg: str) -> None:
        """RFC 3030 2. Whatever becomes of it, a chunk is read to its end, so that none of it is taken for commands."""
        chunk = parse_chunk(arg)
        if chunk is None:
            # How long the chunk is can't be told, so where the next command begins can't be told either.
            raise Refused(say.BAD_SYNTAX, close=True)
        if self._spoilt and self._mail is None:
            # Whoever pipelines sends the rest of a refused message all the same (RFC 3030 2): that is no bad command.
            await self._drop(chunk.size)
            self._spoilt = not chunk.last
            self.say(say.CHUNK_DROPPED)
            return
        if self._chunked is None:
            try:
                self._chunked = self._first_chunk()
            except Refused as refused:
                await self._spoil(chunk, chunk.size, refused)
                return
        if self._chunked.reader.size + chunk.size > self.terms.max_message_size:
            await self._spoil(chunk, chunk.size, Refused(say.TOO_LARGE))
        else:
            await self._chunk(self._chunked, chunk)

    def _first_chunk(self) -> Chunked:
        terms = self.terms
        reader = ChunkReader(normalize=terms.normalize, max_size=terms.max_message_size, max_line=terms.max_line_length)
        until = min(self.desk.clock.monotonic() + terms.deadlines.message, self.ends)
        return Chunked(self._arrival(*self._awaited()), reader, until)

    async def _chunk(self, chunked: Chunked, chunk: Chunk) -> None:
        reader, incoming = chunked.reader, chunked.arrival.incoming
        failure: Exception | None = None
        left = chunk.size
        while left > 0:
            block = await self._piece(left, chunked.until)
            left -= len(block)
            piece = reader.feed(block)
            if piece and failure is None and incoming.write(piece):
                try:
                    await incoming.flush()
                except Exception as error:  # noqa: BLE001 - the client still sends: it is answered behind the chunk
                    failure = error
        if chunk.last and reader.fault is None and failure is None and (piece := reader.end()):
            incoming.write(piece)
        if reader.fault is not None:
            # How long the message is was never in doubt, so the session goes on, unlike after DATA.
            await self._spoil(chunk, 0, Refused(reader.fault))
        elif failure is not None:
            await self._spoil(chunk, 0, failure)
        elif chunk.last:
            self._chunked = None
            await self._take_in(chunked.arrival, lambda incoming: incoming.finish())
        else:
            self.say(say.CHUNK_OK)

    async def _spoil(self, chunk: Chunk, left: int, error: Exception) -> None:
        """The message is refused: drop what is left of this chunk, say why, and forget the transaction."""
        await self._drop(left)
        try:
            self._answer_to(error)
        except Refused as refused:
            self._refuse(refused)
        self._reset()
        self._spoilt = not chunk.last

    async def _drop(self, left: int) -> None:
        """Read so many octets and forget them; where they are too many the session is to end instead."""
        if left > MAX_DROPPED:
            self._closing = True
            return
        while left > 0:
            left -= len(await self._piece(left, self.ends))

    async def _piece(self, most: int, until: float) -> bytes:
        """The next octets of a chunk, at most so many. What was said goes out before we wait (RFC 2920 3.2)."""
        if self.inflow.is_empty:
            await self._flush()
        self.deadline = min(self.desk.clock.monotonic() + self.terms.deadlines.data, until)
        return await self.inflow.take(most)
