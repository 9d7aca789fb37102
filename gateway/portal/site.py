"""What all handlers of the portal's pages share: the desk, the pages, and how an answer is made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Final, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.portal import security
from gateway.portal.desk import TOKEN_OCTETS, Away, Desk, NeedsFile, Session
from gateway.portal.languages import LANGUAGES, chosen
from gateway.portal.message_view import MessageView
from gateway.portal.page import Page, Pages
from gateway.portal.pdf_pages import PdfDrawer
from gateway.portal.shown_file import ShownFile
from gateway.portal.terms import PortalTerms
from gateway.portal.turns import Turns
from gateway.rights.opening import OpenedMessage
from gateway.rights.reason import NotOpened, Reason
from gateway.world.chance import Chance
from gateway.world.clock import Clock

T = TypeVar("T")

MAX_FORM: Final = 8 * 1024  # Octets of a form without files.
SLOW: Final = 30.0  # Seconds for a form without files: whoever takes longer holds a connection that others want.
TURNS: Final = "gateway.turns"  # In a request's scope: the turns that end with it.
RETRY: Final = 30  # Seconds after which a browser may ask again, where something passing was in the way.

_OPENED: Final = {
    Reason.DAMAGED: (Page.DAMAGED, 422),
    Reason.FORGED: (Page.DAMAGED, 422),
    Reason.NOT_OURS: (Page.DAMAGED, 422),
    Reason.EXPIRED: (Page.EXPIRED, 410),
    Reason.REVOKED: (Page.REVOKED, 410),
    Reason.NOT_A_READER: (Page.NOT_A_READER, 403),
    Reason.NO_RIGHT: (Page.NO_RIGHT, 403),
    Reason.KEY_AWAY: (Page.AWAY, 503),
    Reason.KEY_DENIED: (Page.AWAY, 503),
}


class Turned(Exception):
    """A request that is answered with a page of its own instead of what it asked for."""

    def __init__(self, page: Page, status: int, **values: object) -> None:
        super().__init__(page.value)
        self.page = page
        self.status = status
        self.values = values


class Site:
    """The parts of one portal. A reload replaces `terms` and `pages`."""

    def __init__(
        self,
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
    ) -> None:
        """`executor` reads messages, `pdf` draws files that may be looked at and not had. `tell` writes a line of the
        log, `count` adds to a metric; neither hears of a reader or of a message.
        """
        self.desk = desk
        self.pages = pages
        self.terms = terms
        self.clock = clock
        self.pdf = pdf
        self.tell = tell
        self.count = count
        self._chance = chance
        self._executor = executor
        self._turns = Turns(clock)

    # -- answers ------------------------------------------------------------------------------------------------------

    def page(self, request: Request, page: Page, status: int = 200, **values: object) -> Response:
        """A page of ours, in the reader's language. A browser that has no cookie yet gets one with it."""
        browser = self.browser(request)
        fresh = self._chance.octets(TOKEN_OCTETS) if browser is None else None
        text = self.pages.render(
            page.value,
            self.language(request),
            csrf=security.hidden(fresh or browser or b""),
            path=request.url.path,
            languages=tuple(LANGUAGES),
            script_free=not self.terms.scripts,
            **{name: _told(value) for name, value in values.items()},
        )
        response = HTMLResponse(text, status, security.page_headers(scripts=self.terms.scripts))
        if fresh is not None:
            self.set_cookie(response, security.BROWSER, security.spelled(fresh))
        if status == 503:
            response.headers["Retry-After"] = str(RETRY)
        elif status == 401:  # RFC 9110 15.5.2. A scheme that no browser knows, so that each shows the page.
            response.headers["WWW-Authenticate"] = "Passcode"
        return response

    def see(self, path: str) -> Response:
        """Have the browser ask for that page with GET (RFC 9110 15.4.4)."""
        return RedirectResponse(path, 303, security.page_headers())

    def failure(self, request: Request, error: Exception, *, text: str = "") -> Response:
        """The page for what a handler raised: it tells a reader what he can do, and nothing else. `text`: what he has
        typed, which he gets back.
        """
        token = request.path_params.get("token")
        values: dict[str, object] = {} if token is None else {"token": token}
        if text.strip():
            values["text"] = text
        if isinstance(error, Turned):
            return self.page(request, error.page, error.status, **(values | error.values))
        if isinstance(error, NotOpened):
            page, status = _OPENED.get(error.reason, (Page.DAMAGED, 422))
            self.count("portal_refused_total", (error.reason.value,))
            return self.page(request, page, status, **values)
        if isinstance(error, NeedsFile):
            limit = self.terms.max_dropped
            return self.page(request, Page.OPEN, error="needs_file", limit=limit, address="", text=text)
        if isinstance(error, Away):
            self.count("portal_refused_total", ("away",))
            return self.page(request, Page.AWAY, 503, **values)
        if isinstance(error, ClientDisconnect):  # Nobody is there to hear of it, and nothing of ours has failed.
            self.count("portal_refused_total", ("gone",))
            return self.page(request, Page.FAILED, 400, **values)
        self.failed(error)
        return self.page(request, Page.FAILED, 500, **values)

    def drawn(self, count: int) -> bytes:
        """So many octets that nobody can foresee."""
        return self._chance.octets(count)

    def failed(self, error: Exception) -> None:
        """Tell of a fault of ours: its kind and place alone, since its words may hold a part of a message."""
        self.tell("error", "portal_request_failed", error=type(error).__name__, place=_place(error))
        self.count("portal_refused_total", ("failed",))

    async def apart(self, work: Callable[[], T]) -> T:
        """The result of `work`, done in a thread: what takes long must not keep other readers waiting."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    @staticmethod
    def set_cookie(response: Response, name: str, value: str, *, seconds: float | None = None) -> None:
        """Have the browser keep it; see `security.cookie`."""
        response.headers.append("Set-Cookie", security.cookie(name, value, seconds=seconds))

    # -- requests -----------------------------------------------------------------------------------------------------

    def language(self, request: Request) -> str:
        """In which the reader is answered."""
        accepted = request.headers.get("accept-language")
        return chosen(request.cookies.get(security.LANGUAGE), accepted, self.terms.language)

    @staticmethod
    def browser(request: Request) -> bytes | None:
        """The octets of the browser's own cookie."""
        return security.secret(request.cookies, security.BROWSER)

    @staticmethod
    def client(request: Request) -> str:
        """The address for which is asked."""
        return str(request.scope.get("gateway.client", ""))

    def check(self, request: Request, fields: Mapping[str, str]) -> bytes:
        """The browser's octets, where the form came from a page that we gave to it. Raises Turned."""
        browser = self.browser(request)
        if browser is None or not security.is_ours(browser, fields.get("csrf")):
            self.count("portal_refused_total", ("form",))
            raise Turned(Page.REFUSED, 403)
        return browser

    async def form(self, request: Request) -> Mapping[str, str]:
        """The fields of a small form, checked. Raises Turned."""
        fields = await small_form(request, self.clock)
        self.check(request, fields)
        return fields

    def token(self, request: Request) -> str:
        """The token in the path. Raises Turned where it can be none: that tells nothing of those that are."""
        token = str(request.path_params["token"])
        if security.token_octets(token) is None:
            raise Turned(Page.NOT_FOUND, 404)
        return token

    async def turn(self, request: Request, session: Session) -> None:
        """Wait until this request may hold a message; it does until its answer has gone. Raises Away.

        One that holds one already has it: two for each would have all wait for each other.
        """
        if not request.scope[TURNS]:
            request.scope[TURNS].append(await self._turns.take(session.principal))

    async def session(self, request: Request) -> Session:
        """Who reads. Raises Turned where nobody does."""
        token = self.token(request)
        cookie = security.secret(request.cookies, security.session_cookie(token))
        found = None if cookie is None else await self.desk.session(token, cookie, self.client(request))
        if found is None:
            raise Turned(Page.SESSION_ENDED, 401)
        return found


def _told(value: object) -> object:
    """What a page is told, without octets of the message: what a template was given is part of a circle, in which it
    would lie until Python looks for those.
    """
    if isinstance(value, OpenedMessage):
        return replace(value, original=b"")
    return value.told if isinstance(value, MessageView | ShownFile) else value


async def small_form(request: Request, clock: Clock) -> dict[str, str]:
    """The fields of a form without files (URL encoded, WHATWG URL 5.1), the first of each name. Raises Turned."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Turned(Page.REFUSED, 415)
    octets = bytearray()
    try:
        async with clock.timeout(SLOW):
            async for block in request.stream():
                octets += block
                if len(octets) > MAX_FORM:
                    raise Turned(Page.TOO_LARGE, 413)
    except TimeoutError as slow:
        raise Turned(Page.REFUSED, 408) from slow
    try:
        pairs = parse_qsl(octets.decode("ascii"), keep_blank_values=True, max_num_fields=32, errors="replace")
    except ValueError as error:
        raise Turned(Page.REFUSED, 400) from error
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields.setdefault(name, value)
    return fields


def _place(error: BaseException) -> str:
    """File and line of ours where it came up: enough to find it, and nothing of what was in hand."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename.rpartition("/gateway/")
        if name[1]:
            found = f"{name[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
