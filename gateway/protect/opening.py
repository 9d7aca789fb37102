"""The stage `open`: mail that is signed, encrypted for a certificate of ours, or under rights of ours, is opened and
judged for rules.

What travels on are the octets as they came (DESIGN, The one way), with a field on top that says what was found. What
can't be opened is judged as it is and relayed. Without keys of ours and anchors rules read what a signature is wrapped
around all the same, as everybody does, and nothing is said of it.
Leaves out: S/MIME that is a part of a message and not the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from gateway.mail.envelope import Client
from gateway.mail.mail import Mail
from gateway.mail.message import Message
from gateway.mail.opened import LayerKind, Opened, SignatureStatus
from gateway.mail.reply import OPENING_AWAY, Refused
from gateway.protect.results import field
from gateway.protect.workroom import Workroom, whole
from gateway.rights.wrapper.unwrapping import is_worth_a_look


class KeysAway(Exception):
    """A key of ours is needed, and can't be had now."""


class Opener(Protocol):
    """Opens messages with our keys and judges signatures by our anchors."""

    @property
    def is_on(self) -> bool:
        """Whether there is anything to open or to judge with."""

    async def open(self, octets: bytes, work: Workroom) -> Opened | None:
        """What is inside a whole message; None where it is nothing of that kind after all. Raises KeysAway. Of S/MIME
        also where that is not on: what is signed and wrapped is read by everybody, and so by rules.
        """


class Opening:
    """`authserv_id`: our name in results (RFC 8601 2.5). `is_ours` says whether mail comes from our side, by its client
    (None: the gateway itself) and the inbound connector's name: on such mail no field is put.
    """

    def __init__(
        self,
        opener: Opener,
        workroom: Workroom,
        *,
        authserv_id: Callable[[], str],
        is_ours: Callable[[Client | None, str | None], bool],
        tell: Callable[..., None],
        count: Callable[[str, tuple[str, ...]], None],
        rights: Opener | None = None,
    ) -> None:
        self._authserv_id = authserv_id
        self._opener = opener
        self._rights = rights
        self._work = workroom
        self._is_ours = is_ours
        self._tell = tell
        self._count = count

    async def __call__(self, mail: Mail) -> Mail:
        """The mail with `opened`, and an Authentication-Results field for its signatures. Raises Refused where a key of
        ours can't be had now; what reading a content raises.
        """
        opened = None if mail.client is None else await self._found(mail)
        if opened is None:
            return mail
        mail = replace(mail, opened=opened)
        if not self._opener.is_on and opened.layers[0].kind is not LayerKind.RIGHTS:
            return mail  # Who named nobody whom he believes does not want to hear that nobody is believed.
        for layer in opened.layers:
            self._count("smime_layers_total", (f"{layer.kind}", _result(layer.ok, layer.status)))
        if self._is_ours(mail.client, mail.connector):
            return mail
        octets = field(self._authserv_id(), opened)
        return mail.topped(octets) if octets else mail

    async def again(self, mail: Mail) -> Mail:
        """The same for a stored mail that goes on now: what was found is not kept with it. Its field stands there, and
        it was counted. Raises likewise.
        """
        opened = await self._found(mail)
        return mail if opened is None else replace(mail, opened=opened)

    async def _found(self, mail: Mail) -> Opened | None:
        """What is inside; None where it is neither S/MIME nor under rights of ours. Raises Refused."""
        opener = self._opener_of(mail.message)
        if opener is None:
            return None
        content = mail.message.content
        try:
            async with self._work.room(content.size):
                octets = await whole(content)
                opened = await opener.open(octets, self._work)
        except KeysAway as error:
            raise Refused(OPENING_AWAY) from error
        except Exception as error:  # noqa: BLE001 - whatever a hostile message sets off: it is judged as it is
            # What the libraries say may hold content: its kind alone is told.
            self._tell("error", "opening_failed", id=mail.id, error=type(error).__name__)
            return None
        return opened if opened is not None and opened.layers else None

    def _opener_of(self, message: Message) -> Opener | None:
        """Whoever may open it. S/MIME that holds a message.rpmsg is opened as S/MIME, and no further."""
        if looks_like_smime(message):
            return self._opener
        if self._rights is not None and self._rights.is_on and is_worth_a_look(message):
            return self._rights
        return None


def looks_like_smime(message: Message) -> bool:
    """Whether it is worth a look: the type or the name of S/MIME stands in the header section (RFC 8551 3.2.1).

    A flag test for all other mail, so nothing is parsed.
    """
    section = message.header_section().lower()
    return b"pkcs7" in section or b".p7" in section or b"multipart/signed" in section


def _result(ok: bool | None, status: SignatureStatus | None) -> str:
    return f"{status}" if status is not None else "opened" if ok else "closed"


def facts(opened: Opened) -> dict[str, object]:
    """What the trace tells of it; `gateway smime open` says the same."""
    return {"layers": [layer.row() for layer in opened.layers]}
