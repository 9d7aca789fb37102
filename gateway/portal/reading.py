"""Reading: the message, its own document in a frame, pictures and files. Every answer opens the message anew, for the
right that it needs, and keeps nothing of it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.portal import security
from gateway.portal.file_kind import FileKind
from gateway.portal.file_name import disposition
from gateway.portal.html_view import body_document, frame_policy
from gateway.portal.measure import measure
from gateway.portal.message_view import MessageView, attached_message, file_text, message_view
from gateway.portal.page import Page
from gateway.portal.pdf_pages import DrawerFailed, NotDrawn, PdfPart
from gateway.portal.shown_file import ShownFile, served_headers
from gateway.portal.site import Site, Turned
from gateway.portal.zip_stream import zip_blocks
from gateway.rights.right import Right

if TYPE_CHECKING:
    from gateway.portal.desk import Session
    from gateway.rights.opening import OpenedMessage

BLOCK: Final = 256 * 1024  # Octets that are handed to the browser at once.


class ReadingPages:
    """Handlers, one for each route."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def read(self, request: Request) -> Response:
        """The page around the message: who wrote to whom, the frame, the files that it may offer."""
        session, opened, view = await self._opened(request, Right.VIEW)
        images = request.query_params.get("images") == "1"
        plain = request.query_params.get("text") == "1"
        room = None if plain else await self._site.apart(lambda: measure(view, images=images))
        return self._site.page(
            request,
            Page.READ,
            token=session.token,
            view=view,
            rights=opened.rights,
            session=session,
            images=images,
            plain=plain,
            room=room,
            opened=opened,
        )

    async def body(self, request: Request) -> Response:
        """The mail's own document. `?images=1`: with pictures from elsewhere, which the reader asked for."""
        site = self._site
        session, opened, view = await self._opened(request, Right.VIEW)
        printable = not {Right.PRINT, Right.OWNER}.isdisjoint(opened.rights)
        images = request.query_params.get("images") == "1"
        language = site.language(request)
        base = f"/m/{session.token}"
        made = await site.apart(
            lambda: body_document(view, base, images=images, language=language, printable=printable)
        )
        return HTMLResponse(made.document, headers=security.body_headers(frame_policy(images=images)))

    async def part(self, request: Request) -> Response:
        """A picture that the text shows in its place."""
        _, _, view = await self._opened(request, Right.VIEW)
        file = self._file(request, view)
        if file.kind is not FileKind.PICTURE:
            raise Turned(Page.NOT_FOUND, 404)
        return self._stream(file.blocks(), {**security.file_headers(), **served_headers(file, inline=True)})

    async def view(self, request: Request) -> Response:
        """One file in the page, also for whom nothing may be saved: of a PDF he sees pictures of its pages, since a
        browser's own viewer saves what it shows. `?raw=1`: a PDF itself, for the page's frame. `?page=0`: a picture of
        that page of it. `?from=0`: where the pages that are shown begin.
        """
        site, query = self._site, request.query_params
        session, opened, view = await self._opened(request, Right.EXTRACT if query.get("raw") == "1" else Right.VIEW)
        file = self._file(request, view)
        is_pdf = file.kind is FileKind.PDF
        if not file.can_be_shown or (not is_pdf and ("raw" in query or "page" in query)):
            raise Turned(Page.NOT_FOUND, 404)
        if query.get("raw") == "1":
            return self._stream(file.blocks(), {**security.framed_headers(), **served_headers(file, inline=True)})
        if "page" in query:
            return await self._pdf_page(file, _number(query["page"]))
        text, is_whole, inner, pdf = "", True, None, None
        if is_pdf and {Right.EXTRACT, Right.OWNER}.isdisjoint(opened.rights):
            pdf = await self._pdf_part(file, _number(query.get("from", "0")))
        elif file.kind is FileKind.TEXT:
            text, is_whole = await site.apart(lambda: file_text(file))
        elif file.kind is FileKind.MESSAGE:
            inner = await site.apart(lambda: attached_message(file))
        return site.page(
            request,
            Page.VIEW,
            token=session.token,
            number=file.number,
            file=file,
            kind=file.kind.value,
            text=text,
            is_whole=is_whole,
            message=inner,
            pdf=pdf,
            rights=opened.rights,
            session=session,
            opened=opened,
            view=view,
        )

    async def _pdf_part(self, file: ShownFile, first: int) -> PdfPart | None:
        """Some pages of a PDF; None where it is none that can be drawn."""
        try:
            return await self._site.pdf.look(file.blocks(), file.size, first)
        except NotDrawn:
            return None
        except DrawerFailed as error:
            self._site.failed(error)
            return None

    async def _pdf_page(self, file: ShownFile, page: int) -> Response:
        try:
            picture = await self._site.pdf.draw(file.blocks(), file.size, page)
        except NotDrawn as error:
            raise Turned(Page.NOT_FOUND, 404) from error
        except DrawerFailed as error:
            self._site.failed(error)
            raise Turned(Page.AWAY, 503) from error
        headers = {**security.file_headers(), "Content-Type": "image/png", "Content-Disposition": "inline"}
        return Response(picture, headers=headers)

    async def file(self, request: Request) -> Response:
        """One file for the reader's disk."""
        _, _, view = await self._opened(request, Right.EXTRACT)
        file = self._file(request, view)
        return self._stream(file.blocks(), {**security.file_headers(), **served_headers(file)})

    async def zip(self, request: Request) -> Response:
        """All files in one."""
        _, _, view = await self._opened(request, Right.EXTRACT)
        files = view.files
        if not files:
            raise Turned(Page.NOT_FOUND, 404)
        headers = {"Content-Type": "application/zip", "Content-Disposition": disposition("attachments.zip")}
        return self._stream(zip_blocks(files, view.date), {**security.file_headers(), **headers})

    async def original(self, request: Request) -> Response:
        """The message itself, octet for octet."""
        session = await self._site.session(request)
        await self._site.turn(request, session)
        opened = await self._site.desk.read(session, Right.EXTRACT)
        octets = opened.original
        headers = {
            "Content-Type": "message/rfc822",
            "Content-Disposition": disposition("message.eml"),
            "Content-Length": str(len(octets)),
        }
        return self._stream(_blocks(octets), {**security.file_headers(), **headers})

    # -- the same for all ---------------------------------------------------------------------------------------------

    async def _opened(self, request: Request, right: Right) -> tuple[Session, OpenedMessage, MessageView]:
        session = await self._site.session(request)
        await self._site.turn(request, session)
        opened = await self._site.desk.read(session, right)
        view = await self._site.apart(lambda: message_view(opened.original))
        return session, opened, view

    @staticmethod
    def _file(request: Request, view: MessageView) -> ShownFile:
        number = str(request.path_params["number"])
        found = view.file(int(number)) if number.isascii() and number.isdigit() and len(number) < 6 else None
        if found is None:
            raise Turned(Page.NOT_FOUND, 404)
        return found

    @staticmethod
    def _stream(blocks: Iterator[bytes], headers: dict[str, str]) -> Response:
        response = _Stream(blocks)
        for name, value in headers.items():
            response.headers[name] = value
        return response


class _Stream(StreamingResponse):
    """An answer that lets go of its message as soon as it ends. One that breaks off is part of a circle with the error
    that ended it, which Python looks for when many small objects were made, and not when a few large ones were.
    """

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = _each(blocks)
        super().__init__(self._blocks)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with suppress(ValueError):  # A thread is about to take the next one.
                self._blocks.close()


def _each(blocks: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same, as what can be closed, and what it comes from with it."""
    yield from blocks


def _number(text: str) -> int:
    """The number of a page as an address has it. Raises Turned."""
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise Turned(Page.NOT_FOUND, 404)
    return int(text)


def _blocks(octets: bytes) -> Iterator[bytes]:
    """Pieces that are no copies of the whole."""
    whole = memoryview(octets)
    for start in range(0, len(whole), BLOCK):
        yield bytes(whole[start : start + BLOCK])
