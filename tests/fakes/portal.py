"""The gateway as the portal's pages ask it, and pages that say only what they were given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gateway.mail.message import Content
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
    Session,
    SessionGiven,
)
from gateway.rights.opening import OpenedMessage
from gateway.rights.reason import NotOpened
from gateway.rights.reason import Reason as Shut
from gateway.rights.right import Right
from tests.fakes.portal_room import FakeRoom

TOKEN = "A" * 43
COOKIE = b"c" * 32
WORK = UUID(int=7)
READER = "reader@firm.example"
ORIGINAL = (
    b"From: Ida <ida@corp.example>\r\nTo: reader@firm.example\r\nSubject: Plan\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Secret</p>\r\n'
    b'--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename="a.png"\r\n\r\n'
    b"\x89PNG\r\n\x1a\nxx\r\n"
    b'--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename="x.html"\r\n\r\n'
    b"<script>1</script>\r\n"
    b"--b--\r\n"
)


def opened(*rights: Right, original: bytes = ORIGINAL) -> OpenedMessage:
    """A message as its reader has opened it."""
    return OpenedMessage(
        original=original,
        rights=frozenset(rights or (Right.VIEW, Right.EXTRACT, Right.REPLY)),
        owner="ida@corp.example",
        principal=READER,
        template="encrypt-only",
        issued=1_793_700_000.0,
        expires=None,
        work=WORK,
        is_built=False,
        readers=(READER,),
    )


@dataclass
class FakeDesk:
    """Knows one message. `code` is right; `calls` is what changed something, in order. Each switch is a way to fail."""

    fate: Fate = Fate.WAITING
    needs_file: bool = False
    code: str = "12345678"
    slowed: float | None = None
    message: OpenedMessage = field(default_factory=opened)
    shut: Shut | None = None
    away: bool = False
    broken: Exception | None = None
    refuses: str | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    codes: dict[tuple[str, bytes], str] = field(default_factory=dict)
    purposes: list[Right] = field(default_factory=list)
    room: FakeRoom = field(default_factory=FakeRoom)

    def _check(self) -> None:
        if self.away:
            raise Away
        if self.broken is not None:
            raise self.broken

    async def look(self, token: str) -> Notice:
        self._check()
        return Notice(self.fate, needs_file=self.needs_file) if token == TOKEN else Notice(Fate.WAITING)

    async def ask_code(
        self, token: str, browser: bytes, client: str, language: str = "en", doors: Sequence[bytes] = ()
    ) -> Asked:
        self._check()
        self.calls += [("door", door) for door in doors]
        self.calls.append(("ask", token, client, language))
        if self.slowed is not None:
            return Asked(self.codes.get((token, browser), ""), slowed_until=self.slowed)
        self.codes[token, browser] = "WXYZ"
        return Asked("WXYZ", ends=2_000_000_000.0)

    async def asked(self, token: str, browser: bytes) -> Asked | None:
        self._check()
        reference = self.codes.get((token, browser))
        return None if reference is None else Asked(reference, ends=2_000_000_000.0)

    async def try_code(self, token: str, browser: bytes, code: str, client: str) -> SessionGiven | Refusal:
        self._check()
        self.calls.append(("try", token, code, client))
        if self.fate is not Fate.WAITING:
            return Refusal(Reason(self.fate.value))
        if self.slowed is not None:
            return Refusal(Reason.SLOWED, until=self.slowed)
        if (token, browser) not in self.codes:
            return Refusal(Reason.CODE_ENDED)
        if code != self.code:
            return Refusal(Reason.WRONG_CODE, tries_left=4, reference="WXYZ")
        return SessionGiven(COOKIE, 2_000_000_000.0)

    async def session(self, token: str, cookie: bytes, client: str) -> Session | None:
        self._check()
        if token != TOKEN or cookie != COOKIE:
            return None
        return Session(token, READER, WORK, 2_000_000_000.0, cookie, client)

    async def read(self, session: Session, purpose: Right) -> OpenedMessage:
        self._check()
        if self.shut is not None:
            raise NotOpened(self.shut)
        if self.needs_file:
            raise NeedsFile
        self.purposes.append(purpose)
        if purpose not in self.message.rights:
            raise NotOpened(Shut.NO_RIGHT)
        return self.message

    async def reply(self, session: Session, reply: Reply) -> str:
        self._check()
        if self.refuses is not None:
            raise NotSent(self.refuses)
        octets = [bytes(one.content.inline or b"") for one in reply.files]
        self.calls.append(("reply", reply.text, reply.to_all, octets))
        return "Q1"

    async def upload(self, content: Content, address: str, client: str) -> str:
        self._check()
        if self.refuses is not None:
            raise NotSent(self.refuses)
        self.calls.append(("upload", content.inline, address, client))
        return "B" * 43

    async def leave(self, session: Session) -> None:
        self.calls.append(("leave", session.token))


class PlainPages:
    """Pages as JSON: their name, language and the values that are JSON."""

    def render(self, name: str, language: str, **values: object) -> str:
        plain = {key: value for key, value in values.items() if isinstance(value, str | int | float | bool | None)}
        return json.dumps({"page": name, "language": language, **plain})

    def static(self, name: str) -> bytes | None:
        return b"body{}" if name == "brand.css" else None
