"""Answering a message, and putting a message.rpmsg on the portal: the two forms with files."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.mail.message import Content
from gateway.mail.reading import read
from gateway.portal import security
from gateway.portal.compose import Addressees, NobodyToAnswer, addressees, may_quote, subject_of
from gateway.portal.desk import Away, NotSent, Reply, ReplyFile
from gateway.portal.form import BadForm, Form, FormLimits, Wrong, read_form
from gateway.portal.message_view import MessageView, message_view
from gateway.portal.page import Page
from gateway.portal.site import Site, Turned
from gateway.portal.uploads import Uploads
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.right import Right
from gateway.storage.sealer import KeysClosed
from gateway.storage.writer import StorageBroken, StorageFull

if TYPE_CHECKING:
    from gateway.portal.desk import Session
    from gateway.rights.opening import OpenedMessage

MAX_TEXT: Final = 256 * 1024  # Octets of what somebody types as an answer.
MAX_ADDRESS: Final = 320  # RFC 5321 4.5.3.1: 64 and 255 octets, and the @ between.
DRAFT: Final = 16  # Octets that name one form.

_STATUS: Final = {Wrong.MALFORMED: 400, Wrong.TOO_LARGE: 413, Wrong.TOO_MANY: 413, Wrong.SLOW: 408}
_ALL: Final = frozenset((Right.REPLYALL, Right.OWNER))
_NOT_SENT: Final = {"too_large": 413, "damaged": 422, "slowed": 429}


class AnsweringPages:
    """Handlers, one for each route and method."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._uploads = Uploads()

    # -- a reply ------------------------------------------------------------------------------------------------------

    async def reply(self, request: Request) -> Response:
        """The form. `?all=1`: to all who had the message."""
        session = await self._site.session(request)
        return await self._reply_form(request, session, to_all=request.query_params.get("all") == "1")

    async def replied(self, request: Request) -> Response:
        """Send what was typed. Whatever stands in the way, the page that says so has the text again."""
        typed: dict[str, str] = {}
        try:
            return await self._replied(request, typed)
        except Exception as error:
            return self._site.failure(request, error, text=typed.get("text", ""))

    async def _replied(self, request: Request, typed: dict[str, str]) -> Response:
        """`typed` gets the fields, as soon as they are admitted."""
        site = self._site
        site.token(request)
        try:
            session = await site.session(request)
        except (Turned, Away):  # He is signed out: files are let go by, and what he has typed he gets back.
            with suppress(BadForm, Turned, Away):
                await self._form(request, 0, text=MAX_TEXT, typed=typed)
            raise
        to_all = request.query_params.get("all") == "1"
        try:
            form = await self._form(request, self._site.terms.max_upload, text=MAX_TEXT, typed=typed)
        except BadForm as bad:
            site.count("portal_refused_total", (bad.wrong.value,))
            status = _STATUS[bad.wrong]
            return await self._again(request, session, bad.fields, bad.wrong.value, status, to_all=to_all)
        fields = form.fields
        to_all = fields.get("all", "1" if to_all else "") == "1"
        files = tuple(ReplyFile(one.name, one.content_type, one.content) for one in form.files)
        answer = Reply(
            text=fields.get("text", ""),
            to_all=to_all,
            quotes=fields.get("quote") == "1",
            subject=fields.get("subject") or None,
            files=files,
            draft=fields.get("draft", "")[:64],
        )
        try:
            if not answer.text.strip() and not files:
                return await self._again(request, session, fields, "nothing", 422, to_all=to_all)
            await site.turn(request, session)  # Not before the form has come, which takes as long as its browser likes.
            await site.desk.reply(session, answer)
        except NotSent as refused:
            site.count("portal_refused_total", (refused.reason,))
            status = _NOT_SENT.get(refused.reason, 422)
            return await self._again(request, session, fields, refused.reason, status, to_all=to_all)
        except Away as away:
            site.count("portal_refused_total", ("away",))
            try:
                return await self._again(request, session, fields, "away", 503, to_all=to_all)
            except (Away, NotOpened):  # Then not even the form can be shown; what was typed is.
                raise away from None
        finally:
            for one in form.files:
                await site.desk.room.forget(one.content)
        site.count("portal_replies_total")
        return site.page(request, Page.SENT, token=session.token, session=session, to_all=to_all)

    async def _again(
        self, request: Request, session: Session, fields: Mapping[str, str], error: str, status: int, *, to_all: bool
    ) -> Response:
        """The form, with what was typed. Where the same may have gone out, it keeps its name, so that it goes once."""
        return await self._reply_form(
            request,
            session,
            to_all=to_all,
            status=status,
            error=error,
            text=fields.get("text", ""),
            draft=fields.get("draft", "")[:64],
            quotes=fields.get("quote") == "1",
        )

    async def _reply_form(
        self,
        request: Request,
        session: Session,
        *,
        to_all: bool,
        status: int = 200,
        error: str | None = None,
        text: str = "",
        draft: str = "",
        quotes: bool = True,
    ) -> Response:
        site = self._site
        await site.turn(request, session)
        opened = await site.desk.read(session, Right.REPLYALL if to_all else Right.REPLY)
        view, subject, sender, everybody = await site.apart(lambda: self._seen(session, opened))
        whom = everybody if to_all else sender
        if whom is None and error is None:
            error, status = "nobody", 422
        return site.page(
            request,
            Page.REPLY,
            status,
            token=session.token,
            view=view,
            opened=opened,
            session=session,
            rights=opened.rights,
            addressees=whom,
            subject=subject,
            to_all=to_all,
            may_all=everybody not in (None, sender) and not _ALL.isdisjoint(opened.rights),
            may_quote=may_quote(opened.rights),
            quotes=quotes,
            error=error,
            limit=site.terms.max_upload,
            text=text,
            draft=draft or security.spelled(site.drawn(DRAFT)),
        )

    def _seen(
        self, session: Session, opened: OpenedMessage
    ) -> tuple[MessageView, str, Addressees | None, Addressees | None]:
        """The message; subject of an answer, whom it reaches, and whom one to all. Takes as long as reading it does."""
        original, portal = read(opened.original), self._site.terms.address

        def whom(*, to_all: bool) -> Addressees | None:
            try:
                return addressees(original, reader=session.principal, portal=portal, owner=opened.owner, to_all=to_all)
            except NobodyToAnswer:
                return None

        return message_view(opened.original), subject_of(original), whom(to_all=False), whom(to_all=True)

    # -- a message.rpmsg ----------------------------------------------------------------------------------------------

    async def drop(self, request: Request) -> Response:
        """The form for a message.rpmsg."""
        return self._drop_form(request)

    async def dropped(self, request: Request) -> Response:
        """Take it, and go on as with a link."""
        site = self._site
        try:
            form = await self._form(request, self._site.terms.max_dropped, text=4096, files=1)
        except BadForm as error:
            site.count("portal_refused_total", (error.wrong.value,))
            word = error.wrong.value if error.wrong is Wrong.TOO_LARGE else "damaged"
            return self._drop_form(request, status=_STATUS[error.wrong], error=word)
        address = form.fields.get("address", "").strip()
        content: Content | None = form.files[0].content if form.files else None
        try:
            if content is None:
                return self._drop_form(request, status=422, error="nothing", address=address)
            if not 0 < len(address) <= MAX_ADDRESS or "@" not in address:
                return self._drop_form(request, status=422, error="address", address=address[:MAX_ADDRESS])
            taken, content = content, None  # The desk's from now on, whatever becomes of it.
            handle = await site.desk.upload(taken, address, site.client(request))
        except NotSent as error:
            site.count("portal_refused_total", (error.reason,))
            status = _NOT_SENT.get(error.reason, 422)
            return self._drop_form(request, status=status, error=error.reason, address=address)
        except NotOpened as error:  # A container that can't be read tells no more than one that is none of ours.
            if error.reason in (Reason.KEY_AWAY, Reason.KEY_DENIED):
                raise
            return self._drop_form(request, status=422, error="damaged", address=address)
        finally:
            if content is not None:
                await site.desk.room.forget(content)
        return site.see(f"/m/{handle}")

    def _drop_form(
        self, request: Request, *, status: int = 200, error: str | None = None, address: str = ""
    ) -> Response:
        return self._site.page(
            request, Page.OPEN, status, error=error, limit=self._site.terms.max_dropped, address=address
        )

    async def _form(
        self, request: Request, octets: int, *, text: int, files: int = 50, typed: dict[str, str] | None = None
    ) -> Form:
        """A form with files of so many `octets`; its hidden field stands in front of them, and is judged before one of
        those is kept. `typed` gets the fields of one that was admitted, whatever becomes of its files.
        """
        site = self._site

        def admit(fields: Mapping[str, str]) -> None:
            site.check(request, fields)
            if typed is not None:
                typed.update(fields)

        if site.browser(request) is None:
            raise Turned(Page.REFUSED, 403)
        try:
            with self._uploads.begin(site.client(request)):
                form = await read_form(
                    request.stream(),
                    request.headers.get("content-type", ""),
                    FormLimits(octets, text, files),
                    room=site.desk.room,
                    clock=site.clock,
                    admit=admit,
                )
        except (StorageFull, StorageBroken, KeysClosed, OSError) as error:  # The room's.
            raise Away from error
        try:
            admit(form.fields)
        except Turned:
            for one in form.files:
                await site.desk.room.forget(one.content)
            raise
        return form
