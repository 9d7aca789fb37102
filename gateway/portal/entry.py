"""The way in: what this is, the language, a code asked for and typed, and the way out. GET and HEAD change nothing."""

from __future__ import annotations

from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.portal import security
from gateway.portal.desk import Asked, Fate, NeedsFile, Reason, SessionGiven
from gateway.portal.languages import LANGUAGES
from gateway.portal.page import Page
from gateway.portal.site import Site, Turned, small_form
from gateway.rights.passcode import DOOR_LIFE

_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "bmp": "image/bmp",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
}
_YEAR: Final = 365 * 86400.0
MAX_NEXT: Final = 200  # Letters of the path to go back to after the language was chosen.


class Entry:
    """Handlers, one for each route and method."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._static: dict[str, bytes] = {}

    async def home(self, request: Request) -> Response:
        """What this is."""
        return self._site.page(request, Page.HOME)

    # -- a code -------------------------------------------------------------------------------------------------------

    async def link(self, request: Request) -> Response:
        """What a link opens: one button that asks for a code. Whoever only looks at it changes nothing."""
        site, token = self._site, self._site.token(request)
        notice = await site.desk.look(token)
        if notice.state is not Fate.WAITING:
            return self._ended(request, notice.state)
        if notice.needs_file:
            raise NeedsFile
        return site.page(request, Page.ASK, token=token, is_dropped=notice.is_dropped)

    async def ask(self, request: Request) -> Response:
        """Have a code mailed, and go on to where it is typed."""
        site, token = self._site, self._site.token(request)
        browser = site.check(request, await small_form(request, site.clock))
        notice = await site.desk.look(token)
        if notice.state is not Fate.WAITING:
            return self._ended(request, notice.state)
        doors = security.doors(request.cookies, token)
        asked = await site.desk.ask_code(token, browser, site.client(request), site.language(request), doors)
        site.count("portal_codes_total", ("slowed" if asked.slowed_until is not None else "asked",))
        if asked.slowed_until is None:
            return site.see(f"/m/{token}/code")
        if not asked.reference:
            raise Turned(Page.SLOWED, 429, until=asked.slowed_until, has_door=True)
        error = Reason.SLOWED.value
        return self._code(request, token, asked, 429, error=error, until=asked.slowed_until, has_door=True)

    async def door(self, request: Request) -> Response:
        """What the mail to a recipient who was kept waiting opens: his browser keeps the door, and nothing changes with
        us. Whether it is one shows where a code is asked for.
        """
        site, token = self._site, self._site.token(request)
        door = str(request.path_params["door"])
        if security.token_octets(door) is None:
            raise Turned(Page.NOT_FOUND, 404)
        response = site.see(f"/m/{token}")
        site.set_cookie(response, security.door_cookie(token), door, seconds=DOOR_LIFE)
        for name in security.doors_too_many(request.cookies, token):
            site.set_cookie(response, name, "", seconds=0)
        return response

    async def code(self, request: Request) -> Response:
        """Where a code is typed."""
        site, token = self._site, self._site.token(request)
        browser = site.browser(request)
        asked = None if browser is None else await site.desk.asked(token, browser)
        if asked is None:
            return site.page(request, Page.ASK, token=token, is_dropped=False)
        return self._code(request, token, asked)

    async def open(self, request: Request) -> Response:
        """Judge the code that was typed."""
        site, token = self._site, self._site.token(request)
        fields = await small_form(request, site.clock)
        browser = site.check(request, fields)
        given = await site.desk.try_code(token, browser, fields.get("code", ""), site.client(request))
        if isinstance(given, SessionGiven):
            site.count("portal_codes_total", ("right",))
            response = site.see(f"/m/{token}/read")
            left = given.ends - site.clock.now()
            site.set_cookie(
                response, security.session_cookie(token), security.spelled(given.cookie), seconds=max(1.0, left)
            )
            return response
        site.count("portal_codes_total", (given.reason.value,))
        if given.reason is Reason.EXPIRED:
            return self._ended(request, Fate.EXPIRED)
        if given.reason is Reason.REVOKED:
            return self._ended(request, Fate.REVOKED)
        asked = await site.desk.asked(token, browser) or Asked(given.reference or "")
        if given.reason is Reason.SLOWED and not asked.reference:
            raise Turned(Page.SLOWED, 429, until=given.until)
        reason = Reason.CODE_ENDED if given.tries_left == 0 else given.reason
        status = 429 if reason is Reason.SLOWED else 403
        return self._code(
            request, token, asked, status, error=reason.value, tries_left=given.tries_left, until=given.until
        )

    def _code(
        self,
        request: Request,
        token: str,
        asked: Asked,
        status: int = 200,
        *,
        error: str | None = None,
        tries_left: int | None = None,
        until: float | None = None,
        has_door: bool = False,
    ) -> Response:
        return self._site.page(
            request,
            Page.CODE,
            status,
            token=token,
            reference=asked.reference,
            ends=asked.ends,
            error=error,
            tries_left=tries_left,
            until=until,
            has_door=has_door,
        )

    def _ended(self, request: Request, fate: Fate) -> Response:
        page = Page.REVOKED if fate is Fate.REVOKED else Page.EXPIRED
        return self._site.page(request, page, 410, token=self._site.token(request))

    async def leave(self, request: Request) -> Response:
        """The session ends, here and with us."""
        site, token = self._site, self._site.token(request)
        site.check(request, await small_form(request, site.clock))
        name = security.session_cookie(token)
        cookie = security.secret(request.cookies, name)
        if cookie is not None and (found := await site.desk.session(token, cookie, site.client(request))) is not None:
            await site.desk.leave(found)
        response = site.page(request, Page.LEFT, token=token)
        site.set_cookie(response, name, "", seconds=0)
        return response

    # -- the rest -----------------------------------------------------------------------------------------------------

    async def language(self, request: Request) -> Response:
        """Which languages there are."""
        return self._site.page(request, Page.LANGUAGE, next=_next(request.query_params.get("next")))

    async def choose(self, request: Request) -> Response:
        """Take the one that was chosen, and go back."""
        site = self._site
        fields = await site.form(request)
        language = fields.get("language", "")
        response = site.see(_next(fields.get("next")))
        if language in LANGUAGES:
            site.set_cookie(response, security.LANGUAGE, language, seconds=_YEAR)
        return response

    async def static(self, request: Request) -> Response:
        """A file that comes with the portal."""
        name = str(request.path_params["name"])
        kind = _TYPES.get(name.rpartition(".")[2])
        if kind is None or not name.isascii() or name.startswith("."):
            raise Turned(Page.NOT_FOUND, 404)
        made = self._site.pages.static(name)  # What the branding makes of it goes first.
        if made is not None:
            return Response(made, headers={**security.static_headers(), "Content-Type": kind})
        if name not in self._static:
            file = resources.files("gateway.portal") / "static" / name
            if not file.is_file():
                raise Turned(Page.NOT_FOUND, 404)
            self._static[name] = file.read_bytes()  # Small, and read once in the life of the process.
        return Response(self._static[name], headers={**security.static_headers(), "Content-Type": kind})


def _next(text: str | None) -> str:
    """A path of ours to go to; whatever leads elsewhere is the first page. Another site must not be reached by it."""
    if (
        not text
        or len(text) > MAX_NEXT
        or not text.isascii()
        or not text.isprintable()
        or not text.startswith("/")
        or text.startswith("//")
        or "\\" in text
        or " " in text
    ):
        return "/"
    return text
