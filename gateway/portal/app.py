"""The web application: all routes, and around them the checks and headers that every request and answer gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from email.utils import formatdate
from typing import Final

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.portal import security
from gateway.portal.answering import AnsweringPages
from gateway.portal.desk import Desk
from gateway.portal.entry import Entry
from gateway.portal.page import Page, Pages
from gateway.portal.pdf_pages import PdfDrawer
from gateway.portal.reading import ReadingPages
from gateway.portal.site import TURNS, Site, Turned
from gateway.portal.terms import PortalTerms
from gateway.portal.turns import Turn
from gateway.world.chance import Chance
from gateway.world.clock import Clock

WHOLE: Final = 1800.0  # Seconds for a request with its answer: 25 MiB on a slow line take a quarter of an hour.
STALLED: Final = 60.0  # Seconds that a client may take for one piece of an answer, which holds the message in memory.
MAX_PATH: Final = 2_000  # Octets of path and query.
METHODS: Final = frozenset({"GET", "HEAD", "POST"})

Handler = Callable[[Request], Awaitable[Response]]


def make_app(
    desk: Desk,
    pages: Pages,
    terms: PortalTerms,
    clock: Clock,
    *,
    chance: Chance,
    executor: Executor,
    pdf: PdfDrawer,
    tell: Callable[..., None],
    count: Callable[..., None],
    observe: Callable[[str, float], None] = lambda name, value: None,
) -> Guarded:
    """The application (ASGI 3). What its parts are for is told in `Site`; `observe` is told how long requests take."""
    site = Site(desk, pages, terms, clock, chance=chance, executor=executor, pdf=pdf, tell=tell, count=count)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    for methods, path, handler in _routes(site):
        app.add_route(path, _answering(site, handler), methods=methods, include_in_schema=False)
    app.add_exception_handler(HTTPException, _unknown(site))
    return Guarded(app, site, observe)


def _routes(site: Site) -> list[tuple[list[str], str, Handler]]:
    entry, reading, answering = Entry(site), ReadingPages(site), AnsweringPages(site)
    get, post = ["GET"], ["POST"]  # Where GET is answered, HEAD is.
    message = "/m/{token}"
    return [
        (get, "/", entry.home),
        (get, "/language", entry.language),
        (post, "/language", entry.choose),
        (get, "/static/{name}", entry.static),
        (get, "/open", answering.drop),
        (post, "/open", answering.dropped),
        (get, message, entry.link),
        (get, f"{message}/door/{{door}}", entry.door),
        (get, f"{message}/code", entry.code),
        (post, f"{message}/code", entry.ask),
        (post, f"{message}/open", entry.open),
        (post, f"{message}/leave", entry.leave),
        (get, f"{message}/read", reading.read),
        (get, f"{message}/body", reading.body),
        (get, f"{message}/part/{{number}}", reading.part),
        (get, f"{message}/view/{{number}}", reading.view),
        (get, f"{message}/file/{{number}}", reading.file),
        (get, f"{message}/zip", reading.zip),
        (get, f"{message}/original", reading.original),
        (get, f"{message}/reply", answering.reply),
        (post, f"{message}/reply", answering.replied),
    ]


def _answering(site: Site, handler: Handler) -> Handler:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Exception as error:
            return site.failure(request, error)

    return answer


def _unknown(site: Site) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        return site.failure(request, Turned(Page.NOT_FOUND, status if status in (404, 405) else 404))

    return answer


class Guarded:
    """The application behind what every request has to pass. `site.terms` and `site.pages` may be replaced."""

    def __init__(self, app: ASGIApp, site: Site, observe: Callable[[str, float], None]) -> None:
        self._app = app
        self._observe = observe
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # Uvicorn is told to speak HTTP alone, and that there is no lifespan.
        headers = Headers(scope=scope)
        terms = self.site.terms
        peer = str((scope.get("client") or ("", 0))[0])
        scope["gateway.client"] = security.client_of(peer, headers.getlist("x-forwarded-for"), terms.proxies)
        refused = self._refused(scope, headers)
        if refused is not None:
            reason, status = refused
            self.site.count("portal_refused_total", (reason,))
            await self._refuse(reason, status, scope, receive, send)
            return
        answered = _Answer(send, self.site.clock)
        turns: list[Turn] = []
        scope[TURNS] = turns
        began = self.site.clock.monotonic()
        try:
            async with self.site.clock.timeout(WHOLE):
                await self._app(scope, receive, answered)
        except Stalled:  # Nothing of ours has failed. The server closes the connection.
            self.site.count("portal_refused_total", ("stalled",))
        except Exception as error:  # An answer that had begun breaks off; the server closes the connection.
            if not answered.begun:
                await self.site.failure(Request(scope, receive), error)(scope, receive, answered)
            elif isinstance(error, TimeoutError) and self.site.clock.monotonic() - began >= WHOLE:
                self.site.count("portal_refused_total", ("slow",))  # Its client took all that time: no fault of ours.
            else:
                self.site.failed(error)
        finally:
            for turn in turns:
                turn.end()
            self._observe("portal_request_seconds", self.site.clock.monotonic() - began)

    def _refused(self, scope: Scope, headers: Headers) -> tuple[str, int] | None:
        """Why it is not served: a word for the metric, and the status."""
        method = scope["method"]
        if not security.is_our_host(self.site.terms, headers.getlist("host")):
            return "host", 421  # RFC 9110 15.5.20
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"") > MAX_PATH:
            return "length", 414
        if method not in METHODS:
            return "method", 405
        if "content-length" in headers and "transfer-encoding" in headers:
            # Proxies differ in which of them ends a form: the rest would be another's request (RFC 9112 6.1, 11.2).
            return "framing", 400
        if method == "POST" and not security.is_our_origin(
            self.site.terms, headers.getlist("origin"), headers.getlist("sec-fetch-site")
        ):
            return "origin", 403
        return None

    async def _refuse(self, reason: str, status: int, scope: Scope, receive: Receive, send: Send) -> None:
        if reason == "origin":  # A person may stand behind it: an old browser, a form from yesterday.
            request = Request(scope, receive)
            response = self.site.page(request, Page.REFUSED, status)
        else:
            words = {421: "This portal has another address.\n", 414: "The address is too long.\n"}
            response = PlainTextResponse(words.get(status, "Not possible here.\n"), status, security.file_headers())
            if status == 405:
                response.headers["Allow"] = ", ".join(sorted(METHODS))
        response.headers["Connection"] = "close"
        await response(scope, receive, _Answer(send, self.site.clock))


class Stalled(Exception):
    """A client takes nothing of its answer."""


class _Answer:
    """What an answer lacks of the headers of every page it gets here: also one that is not made by us."""

    def __init__(self, send: Send, clock: Clock) -> None:
        self._send = send
        self._clock = clock
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            if "content-security-policy" not in headers:
                for name, value in security.file_headers().items():
                    headers[name] = value
            headers["Date"] = formatdate(self._clock.now(), usegmt=True)  # RFC 9110 6.6.1
        try:
            async with self._clock.timeout(STALLED):
                await self._send(message)
        except TimeoutError as error:
            raise Stalled from error
