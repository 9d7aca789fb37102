"""Answers what the portal's pages ask (`gateway.portal.desk.Desk`): joins codes, kept messages, licences, replies.

What is answered about a link that nobody knows takes as long as about a known one: the same rows are read and written,
the mail leaves behind the answer's back, and no answer leaves before FLOOR, nor the first page before GLANCE: rows that
are found have to be opened, which can be measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

from gateway.app.portal_mail import PortalMail
from gateway.app.rights_desk import Asking, NoCopy, RightsDesk
from gateway.keys.vault import KeyFault
from gateway.mail.message import Content
from gateway.portal.codes import Codes, Drawn, Link
from gateway.portal.desk import (
    Asked,
    Away,
    Fate,
    NeedsFile,
    Notice,
    NotSent,
    Reason,
    Refusal,
    Reply,
    Room,
    Session,
    SessionGiven,
)
from gateway.portal.drop import Dropped, Drops
from gateway.portal.security import spelled, token_octets
from gateway.rights.opening import OpenedMessage
from gateway.rights.right import Right
from gateway.storage.rights import RightsStore
from gateway.storage.rights_model import CopyState, KeptMessage, folded
from gateway.storage.sealer import KeysClosed, SealBroken
from gateway.storage.writer import StorageBroken, StorageFull
from gateway.world.clock import Clock

FLOOR: Final = 0.25  # Seconds below which nothing is answered that depends on a link. A reader does not notice them.
GLANCE: Final = 0.05  # The same for a look at a link, which changes nothing and is a page that somebody waits for.
SWEEP: Final = 300.0  # Seconds between two looks for what has ended.
QUIET: Final = 60.0  # Seconds in which a fault that passes is told once.
MOST_TOLD: Final = 100  # Faults whose last telling is remembered.


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a token: of an unknown one nothing but its digest."""

    link: Link
    message: KeptMessage | None = None
    reader: str | None = None
    dropped: Dropped | None = None


class PortalDesk:
    """One portal. `run` looks after what has ended; `settle` waits for code mails that are under way."""

    def __init__(
        self,
        codes: Codes,
        rights: RightsDesk,
        store: RightsStore,
        drops: Drops,
        *,
        room: Room,
        mail: PortalMail,
        clock: Clock,
        tell: Callable[..., None],
    ) -> None:
        self._codes = codes
        self._rights = rights
        self._store = store
        self._drops = drops
        self._room = room
        self._mail = mail
        self._clock = clock
        self._tell = tell
        self._mailing: set[asyncio.Task[None]] = set()
        self._told: dict[str, float] = {}  # When each fault that passes was told last.

    def __repr__(self) -> str:
        return "PortalDesk()"

    # -- a link and its code ------------------------------------------------------------------------------------------

    async def look(self, token: str) -> Notice:
        async with self._answering(GLANCE):
            known = await self._known(token)
            return Notice(self._fate(known), known.dropped is not None, self._needs_file(known))

    async def ask_code(
        self, token: str, browser: bytes, client: str, language: str = "en", doors: Sequence[bytes] = ()
    ) -> Asked:
        async with self._answering(FLOOR):
            known = await self._known(token)
            drawn = await self._codes.ask(known.link, browser, client, doors)
            reader = known.link.reader
            if reader is not None and (drawn.code is not None or drawn.door is not None):
                self._begin(reader, token, drawn, language)
            self._tell(
                "info", "code_asked", slowed=drawn.code is None, door=drawn.door is not None, known=reader is not None
            )
            return drawn.asked

    async def asked(self, token: str, browser: bytes) -> Asked | None:
        async with self._answering():
            return await self._codes.asked(Link(_digest(token)), browser)

    async def try_code(self, token: str, browser: bytes, code: str, client: str) -> SessionGiven | Refusal:
        async with self._answering(FLOOR):
            known = await self._known(token)
            fate = self._fate(known)
            if fate is not Fate.WAITING:
                return Refusal(Reason.REVOKED if fate is Fate.REVOKED else Reason.EXPIRED)
            answer = await self._codes.attempt(known.link, browser, code, client)
            if isinstance(answer, SessionGiven) and known.dropped is not None:
                self._drops.keep(known.dropped, answer.ends)
            word = "right" if isinstance(answer, SessionGiven) else answer.reason.value
            if word != Reason.SLOWED.value:  # A metric counts those: ten thousand guesses must not fill the log.
                self._tell("info" if word == "right" else "warning", "code_tried", outcome=word, client=client)
            return answer

    def _begin(self, reader: str, token: str, drawn: Drawn, language: str) -> None:
        """Mail it behind the answer's back."""
        task = asyncio.get_running_loop().create_task(self._mailed(reader, token, drawn, language))
        self._mailing.add(task)
        task.add_done_callback(self._mailing.discard)

    async def _mailed(self, reader: str, token: str, drawn: Drawn, language: str) -> None:
        asked = drawn.asked
        try:
            if drawn.code is not None and asked.ends is not None:
                await self._mail.code(reader, drawn.code, asked.reference, asked.ends, language)
            elif drawn.door is not None:
                await self._mail.door(reader, f"/m/{token}/door/{spelled(drawn.door)}", drawn.door_ends, language)
        except Exception as error:  # The reader asks for another code; what it was stands by its kind in the log.
            self._tell("error", "code_mail_failed", error=type(error).__name__)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def session(self, token: str, cookie: bytes, client: str) -> Session | None:
        async with self._answering():
            kept = await self._codes.session(Link(_digest(token)), cookie)
            if kept is None:
                return None
            work = None if kept.work is None else UUID(hex=kept.work)
            return Session(token, kept.principal, work, kept.ends, cookie, client)

    async def read(self, session: Session, purpose: Right) -> OpenedMessage:
        async with self._answering():
            asking = Asking(principal=session.principal, purpose=purpose, client=session.client)
            if (dropped := self._drops.find(session.token)) is not None:
                return await self._rights.open(await self._drops.octets(dropped), asking)
            if session.work is None:
                raise NeedsFile
            try:
                return await self._rights.open(session.work, asking)
            except NoCopy as error:
                raise NeedsFile from error

    async def leave(self, session: Session) -> None:
        async with self._answering():
            await self._codes.leave(session.cookie)

    # -- answering ----------------------------------------------------------------------------------------------------

    async def reply(self, session: Session, reply: Reply) -> str:
        opened = await self.read(session, Right.REPLYALL if reply.to_all else Right.REPLY)
        async with self._answering():
            return await self._mail.reply(session, opened, reply)

    @property
    def room(self) -> Room:
        return self._room

    async def upload(self, content: Content, address: str, client: str) -> str:
        async with self._answering(FLOOR):
            try:
                if await self._codes.upload(client) > 0:
                    raise NotSent("slowed")
            except BaseException:
                await self._room.forget(content)
                raise
            return await self._drops.take(content, address, client)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Forget codes and sessions that have ended, for ever."""
        while True:
            try:
                await self._codes.sweep()
            except (StorageFull, StorageBroken, KeysClosed) as error:
                self._tell("warning", "portal_not_swept", error=str(error))
            await self._clock.sleep(SWEEP)

    async def settle(self, seconds: float) -> None:
        """Let code mails that are under way end."""
        if self._mailing:
            try:
                async with self._clock.timeout(seconds):
                    await asyncio.wait(self._mailing)
            except TimeoutError:
                pass

    # -- the same for all ---------------------------------------------------------------------------------------------

    async def _known(self, token: str) -> _Known:
        digest = _digest(token)
        found = await self._store.by_link(_raw(token))
        if found is not None:
            link = Link(digest, folded(found.reader), found.message.work)
            return _Known(link, found.message, found.reader)
        dropped = self._drops.find(token)
        if dropped is None:
            return _Known(Link(digest))
        reader = await self._drops.reader(dropped)
        link = Link(digest, None if reader is None else folded(reader), dropped.work, dropped.typed)
        return _Known(link, dropped=dropped)

    def _fate(self, known: _Known) -> Fate:
        message, reader = known.message, known.reader
        if message is None or reader is None or folded(reader) == folded(message.sender):
            return Fate.WAITING
        if message.is_revoked(reader):
            return Fate.REVOKED
        if message.copy is CopyState.DESTROYED:
            return Fate.EXPIRED
        if message.expires is not None and message.expires <= self._clock.now():
            return Fate.EXPIRED
        return Fate.WAITING

    @staticmethod
    def _needs_file(known: _Known) -> bool:
        return known.message is not None and known.message.copy is CopyState.NONE

    @asynccontextmanager
    async def _answering(self, floor: float = 0.0) -> AsyncIterator[None]:
        """What is passing comes out as Away, and nothing before `floor` seconds."""
        began = self._clock.monotonic()
        try:
            yield
        except (StorageFull, StorageBroken, KeysClosed, KeyFault) as error:
            self._tell_away(str(error))
            raise Away from error
        except SealBroken as error:
            self._tell("error", "portal_row_broken", error=str(error))
            raise Away from error
        finally:
            if (left := floor - (self._clock.monotonic() - began)) > 0:
                await self._clock.sleep(left)

    def _tell_away(self, error: str) -> None:
        """Once a minute of each fault, however many readers it turns away: a metric counts those."""
        now = self._clock.monotonic()
        if now - self._told.get(error, -QUIET) < QUIET:
            return
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[error] = now
        self._tell("warning", "portal_away", error=error)


def _raw(token: str) -> bytes:
    """The octets of a token that the pages have judged: it has its one spelling. Raises ValueError otherwise."""
    octets = token_octets(token)
    if octets is None:
        raise ValueError("no token")
    return octets


def _digest(token: str) -> bytes:
    return sha256(_raw(token)).digest()
