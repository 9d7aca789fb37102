"""What the portal's pages ask of the gateway. `gateway.app.portal_desk` answers; tests have a fake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from gateway.mail.message import Content
from gateway.storage.spooling import Receiving

if TYPE_CHECKING:
    from gateway.rights.opening import OpenedMessage
    from gateway.rights.right import Right

TOKEN_OCTETS: Final = 32  # Of a link, of a handle, of a browser's cookie and of a session's: 256 bits each.


class Fate(StrEnum):
    """What may be said of a link before a code was typed. A link that nobody knows is `waiting`, as a known one is."""

    WAITING = "waiting"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Reason(StrEnum):
    """Why a code opened nothing, or a request was not served; alike in log, metric and page."""

    WRONG_CODE = "wrong_code"
    CODE_ENDED = "code_ended"  # None was asked for in this browser, or it is used, too old or tried too often.
    SLOWED = "slowed"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Notice:
    """What a link's first page shows. `is_dropped`: its message lies on the portal only since somebody put it there;
    `needs_file`: it was never stored here, so that the attached message.rpmsg alone opens it.
    """

    state: Fate
    is_dropped: bool = False
    needs_file: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """A code was asked for. `reference` stands on the page and in the mail; `slowed_until` (seconds since 1970): too
    many were asked for, so none was sent and the next may be asked for then. `ends`: until when the code counts.
    """

    reference: str
    slowed_until: float | None = None
    ends: float | None = None


@dataclass(frozen=True, slots=True)
class SessionGiven:
    """The code was right. `cookie` is for this browser alone; it counts until `ends` (seconds since 1970)."""

    cookie: bytes = field(repr=False)
    ends: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """The code was not taken. `tries_left` for `wrong_code`, `until` (seconds since 1970) for `slowed`, `reference` of
    the code that is asked for.
    """

    reason: Reason
    tries_left: int | None = None
    until: float | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that may read one message as `principal`, a normal address, until `ends` (seconds since 1970).

    `token` is the link or handle by which it came. `work` names the message, None where it was dropped and has not been
    opened yet. `client` is the IP address of the request that is being served, for the licence log.
    """

    token: str = field(repr=False)
    principal: str
    work: UUID | None
    ends: float
    cookie: bytes = field(repr=False)
    client: str = ""


@dataclass(frozen=True, slots=True)
class ReplyFile:
    """A file that goes with a reply; its name as the browser gave it. `content` lies in the `Room` of the form."""

    name: str
    content_type: str
    content: Content = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a reader answers. `to_all`: to the sender and all who had the message, else to the sender alone.

    `draft` names the form that it was typed into: what is sent twice from one form goes out once.
    """

    text: str = field(repr=False)
    to_all: bool = False
    quotes: bool = False
    subject: str | None = None
    files: tuple[ReplyFile, ...] = ()
    draft: str = ""


class Away(Exception):
    """Something passing keeps the gateway from answering: keys, database, disk. The reader tries again later."""


class NeedsFile(Exception):
    """There is no stored copy: the reader has to put the attached message.rpmsg here."""


class Room(Protocol):
    """Where what a form brings lies until it is used: up to a bound in memory, beyond it sealed on the disk."""

    def begin(self) -> Receiving:
        """Room for one file. It ends with `abandon`, or with `finish` and then `forget`; what nobody ends is cleared at
        the next start. Raises StorageFull, StorageBroken, KeysClosed.
        """

    async def forget(self, content: Content) -> None:
        """What `finish` gave is not needed any more. Never raises."""


class NotSent(Exception):
    """A reply or an uploaded file was not taken; `reason` is a word for the page: `too_large`, `damaged`, `refused`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Desk(Protocol):
    """One gateway, as its portal asks it. Every call raises Away; the time of an answer tells nothing of the link.

    `token` is what stands in the path behind /m/: 32 octets in base64url, of a link or of a handle. `browser` is the
    32 octets of the browser's own cookie. `client` is an IP address as text.
    """

    async def look(self, token: str) -> Notice:
        """What may be said of it now."""

    async def ask_code(
        self, token: str, browser: bytes, client: str, language: str = "en", doors: Sequence[bytes] = ()
    ) -> Asked:
        """Have a code mailed to whom the link belongs, for this browser. Where it is slowed for long he is mailed a
        door instead: octets with which his browser asks however many others did. `doors`: those that it has.
        """

    async def asked(self, token: str, browser: bytes) -> Asked | None:
        """What this browser asked for last, as long as it counts."""

    async def try_code(self, token: str, browser: bytes, code: str, client: str) -> SessionGiven | Refusal:
        """Judge a code, once: it counts as tried whatever becomes of the answer."""

    async def session(self, token: str, cookie: bytes, client: str) -> Session | None:
        """Who may read what the token names, by the cookie that `try_code` gave; None where it is nobody's, another
        token's, or its time has ended.
        """

    async def read(self, session: Session, purpose: Right) -> OpenedMessage:
        """The message, opened for the session's reader and for this one answer. Raises NotOpened, NeedsFile."""

    async def reply(self, session: Session, reply: Reply) -> str:
        """Send it; the queue id once it is ours. Raises NotOpened (no right), NotSent."""

    @property
    def room(self) -> Room:
        """For the files of forms."""

    async def upload(self, content: Content, address: str, client: str) -> str:
        """Take a message.rpmsg for whom it names as `address`; the handle, which serves as a token. `content` lies in
        the room, and is the desk's from now on. Raises NotSent for what is damaged or none of ours, whoever is named.
        """

    async def leave(self, session: Session) -> None:
        """The session ends."""
