"""The portal's web application as a browser, a scanner and an attacker meet it; behind it a desk that shows all."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.portal import security
from gateway.portal.app import MAX_PATH, STALLED, WHOLE, Guarded, make_app
from gateway.portal.desk import Fate
from gateway.portal.pages import Pages
from gateway.portal.pdf_pages import DrawerFailed, NotDrawn
from gateway.portal.site import MAX_FORM, SLOW
from gateway.portal.terms import PortalTerms
from gateway.portal.turns import OF_READER
from gateway.rights.branding import Branding
from gateway.rights.reason import Reason
from gateway.rights.right import ALL, Right
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.pdf import FakeDrawer, pdf
from tests.fakes.portal import COOKIE, ORIGINAL, TOKEN, FakeDesk, PlainPages, opened

URL = "https://portal.corp.example:8443"
FORM = {"Origin": URL, "Sec-Fetch-Site": "same-origin"}
SESSION = f"{security.session_cookie(TOKEN)}={security.spelled(COOKIE)}"
MESSAGE = f"/m/{TOKEN}"


class Told:
    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self.counts: list[tuple[Any, ...]] = []

    def tell(self, level: str, event: str, **facts: object) -> None:
        self.lines.append((level, event, facts))

    def count(self, *what: object) -> None:
        self.counts.append(what)


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def app(desk: FakeDesk, told: Told, clock: FakeClock) -> Iterator[Guarded]:
    with ThreadPoolExecutor(2) as executor:
        yield make_app(
            desk,
            PlainPages(),
            PortalTerms(url=URL),
            clock,
            chance=FakeChance(),
            executor=executor,
            pdf=FakeDrawer(),
            tell=told.tell,
            count=told.count,
        )


@pytest.fixture
async def web(app: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app, client=("192.0.2.7", 5000))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


async def form(web: httpx.AsyncClient, path: str, fields: dict[str, str] | None = None, **headers: str) -> Any:
    """As a browser sends a form of the page that it has just seen."""
    page = json.loads((await web.get("/")).text) if not web.cookies.get(security.BROWSER) else None
    csrf = security.hidden(security.token_octets(web.cookies[security.BROWSER]) or b"")
    assert page is None or page["csrf"] == csrf
    return await web.post(path, data={"csrf": csrf, **(fields or {})}, headers=FORM | headers)


def page(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.text)
    return found


# -- the way in --------------------------------------------------------------------------------------------------------


async def test_a_reader_asks_types_and_reads(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    assert page(await web.get(MESSAGE))["page"] == "ask"
    asked = await form(web, f"{MESSAGE}/code")
    assert (asked.status_code, asked.headers["location"]) == (303, f"{MESSAGE}/code")
    typing = page(await web.get(f"{MESSAGE}/code"))
    assert (typing["page"], typing["reference"]) == ("code", "WXYZ")
    opened_ = await form(web, f"{MESSAGE}/open", {"code": "12345678"})
    assert (opened_.status_code, opened_.headers["location"]) == (303, f"{MESSAGE}/read")
    (cookie,) = opened_.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-m-") and "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=" in cookie
    assert page(await web.get(f"{MESSAGE}/read"))["page"] == "read"
    assert desk.calls == [("ask", TOKEN, "192.0.2.7", "en"), ("try", TOKEN, "12345678", "192.0.2.7")]
    assert desk.purposes == [Right.VIEW]


async def test_get_and_head_change_nothing(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    paths = ["/", "/open", "/language", *(f"{MESSAGE}{end}" for end in ("", "/code", "/open", "/leave", "/read"))]
    for path in paths:
        for method in ("GET", "HEAD"):
            await web.request(method, path)
    assert desk.calls == []


async def test_head_is_answered_as_get_is(web: httpx.AsyncClient) -> None:
    assert (await web.head(MESSAGE)).status_code == (await web.get(MESSAGE)).status_code == 200


async def test_a_wrong_code_says_how_many_tries_are_left(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    await form(web, f"{MESSAGE}/code")
    answer = await form(web, f"{MESSAGE}/open", {"code": "00000000"})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers
    found = page(answer)
    assert (found["page"], found["error"], found["tries_left"], found["reference"]) == ("code", "wrong_code", 4, "WXYZ")
    assert (await web.get(f"{MESSAGE}/read")).status_code == 401


async def test_another_browser_can_not_use_a_code(web: httpx.AsyncClient, app: Guarded) -> None:
    await form(web, f"{MESSAGE}/code")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=URL) as other:
        answer = await form(other, f"{MESSAGE}/open", {"code": "12345678"})
        assert (answer.status_code, page(answer)["error"]) == (403, "code_ended")


async def test_whoever_asks_too_often_hears_until_when(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    desk.slowed = 1_793_700_600.0
    answer = await form(web, f"{MESSAGE}/code")
    assert (answer.status_code, page(answer)["page"], page(answer)["until"]) == (429, "slowed", 1_793_700_600.0)
    assert page(answer)["has_door"] is True
    tried = page(await form(web, f"{MESSAGE}/open", {"code": "12345678"}))
    assert tried["page"] == "slowed" and "has_door" not in tried, "nobody is mailed anything for a try"


async def test_a_door_is_kept_by_the_browser_and_shown_where_a_code_is_asked_for(
    web: httpx.AsyncClient, desk: FakeDesk
) -> None:
    answer = await web.get(f"{MESSAGE}/door/{'D' * 42}A")
    assert (answer.status_code, answer.headers["location"]) == (303, MESSAGE)
    (cookie,) = answer.headers.get_list("set-cookie")
    name = security.door_cookie(MESSAGE.rpartition("/")[2])
    assert cookie == f"{name}={'D' * 42}A; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=7200"
    assert desk.calls == [], "a scanner that opens it has changed nothing"
    await form(web, f"{MESSAGE}/code")
    assert desk.calls[0] == ("door", security.token_octets("D" * 42 + "A"))


@pytest.mark.parametrize("door", ["x", "D" * 43, "%00" * 43, "../" * 14 + "x"])
async def test_what_can_be_no_door_is_not_kept(web: httpx.AsyncClient, door: str) -> None:
    answer = await web.get(f"{MESSAGE}/door/{door}")
    assert answer.status_code == 404 and "__Host-d-" not in str(answer.headers)


async def test_another_site_puts_no_door_in_the_place_of_a_recipients_own(
    web: httpx.AsyncClient, desk: FakeDesk
) -> None:
    """Attack: a page that the recipient looks at has his browser open doors of links that it has made up."""
    await web.get(f"{MESSAGE}/door/{'D' * 42}A")
    for letter in "EFGHIJKLMNOPQRSTUVWXYZ":
        await web.get(f"/m/{letter * 42}A/door/{letter * 42}A")
    await form(web, f"{MESSAGE}/code")
    shown = [call[1] for call in desk.calls if call[0] == "door"]
    assert shown[0] == security.token_octets("D" * 42 + "A") and len(shown) == 4, "few are looked for"


async def test_a_browser_keeps_no_more_doors_than_a_request_has_room_for(web: httpx.AsyncClient) -> None:
    """Attack: as above, until the head of each request is too long to be read."""
    for number in range(80):
        answer = await web.get(f"/m/{number:042}A/door/{'D' * 42}A")
        assert answer.status_code == 303
    assert len([name for name in web.cookies if name.startswith("__Host-d-")]) == 64


async def test_a_door_opens_the_recipients_other_messages_too(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    await web.get(f"/m/{'E' * 42}A/door/{'D' * 42}A")
    await form(web, f"{MESSAGE}/code")
    assert desk.calls[0] == ("door", security.token_octets("D" * 42 + "A"))


@pytest.mark.parametrize("fate", [Fate.EXPIRED, Fate.REVOKED])
async def test_what_is_over_says_so(web: httpx.AsyncClient, desk: FakeDesk, fate: Fate) -> None:
    desk.fate = fate
    for answer in (await web.get(MESSAGE), await form(web, f"{MESSAGE}/code"), await form(web, f"{MESSAGE}/open")):
        assert (answer.status_code, page(answer)["page"]) == (410, fate.value)


async def test_an_unknown_link_looks_like_a_known_one(web: httpx.AsyncClient) -> None:
    other = f"/m/{'B' * 42}A"

    def same(answer: httpx.Response, token: str) -> tuple[int, str, list[str]]:
        return answer.status_code, answer.text.replace(token, "T"), sorted(answer.headers.keys())

    await web.get("/")
    assert same(await web.get(MESSAGE), TOKEN) == same(await web.get(other), other[3:])
    assert same(await form(web, f"{MESSAGE}/code"), TOKEN) == same(await form(web, f"{other}/code"), other[3:])
    assert same(await web.get(f"{MESSAGE}/code"), TOKEN) == same(await web.get(f"{other}/code"), other[3:])


@pytest.mark.parametrize("token", ["", "x", "A" * 42, "A" * 44, "A" * 42 + "B", "A" * 42 + "+", "%00" * 43, "é" * 43])
async def test_what_can_be_no_link_is_not_looked_for(web: httpx.AsyncClient, desk: FakeDesk, token: str) -> None:
    desk.broken = AssertionError("it was looked for")
    assert (await web.get(f"/m/{token}")).status_code == 404


async def test_signing_out_ends_the_session_and_the_cookie(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    await web.get("/")
    answer = await form(web, f"{MESSAGE}/leave", Cookie=f"{SESSION}; {_browser(web)}")
    assert page(answer)["page"] == "left" and desk.calls == [("leave", TOKEN)]
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_a_message_without_a_copy_asks_for_its_file(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    desk.needs_file = True
    found = page(await web.get(MESSAGE))
    assert (found["page"], found["error"]) == ("open", "needs_file")


# -- what every request has to pass ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "portal.corp.example", "portal.corp.example:8444", ""])
async def test_another_host_is_not_served(web: httpx.AsyncClient, desk: FakeDesk, host: str) -> None:
    answer = await web.get(MESSAGE, headers={"Host": host})
    assert answer.status_code == 421 and "page" not in answer.text


async def test_two_hosts_are_not_served(web: httpx.AsyncClient) -> None:
    hosts = [("Host", "portal.corp.example:8443"), ("Host", "portal.corp.example:8443")]
    assert (await web.get("/", headers=hosts)).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://portal.corp.example:8443"},
        {"Origin": "https://portal.corp.example"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": URL, "Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_from_elsewhere_is_refused(
    web: httpx.AsyncClient, desk: FakeDesk, headers: dict[str, str]
) -> None:
    await web.get("/")
    csrf = security.hidden(security.token_octets(web.cookies[security.BROWSER]) or b"")
    answer = await web.post(f"{MESSAGE}/code", data={"csrf": csrf}, headers=headers)
    assert (answer.status_code, page(answer)["page"], desk.calls) == (403, "refused", [])


@pytest.mark.parametrize("headers", [{}, {"Origin": URL}, {"Origin": "null", "Sec-Fetch-Site": "same-origin"}, FORM])
async def test_a_form_of_ours_is_taken(web: httpx.AsyncClient, desk: FakeDesk, headers: dict[str, str]) -> None:
    """Pages that send no referrer have browsers write `Origin: null`; the hidden field decides in any case."""
    await web.get("/")
    csrf = security.hidden(security.token_octets(web.cookies[security.BROWSER]) or b"")
    answer = await web.post(f"{MESSAGE}/code", data={"csrf": csrf}, headers=headers)
    assert (answer.status_code, len(desk.calls)) == (303, 1)


@pytest.mark.parametrize("csrf", [None, "", "x", security.hidden(b"another browser" * 3)])
@pytest.mark.parametrize("path", [f"{MESSAGE}/code", f"{MESSAGE}/open", f"{MESSAGE}/leave", "/language"])
async def test_a_form_without_the_hidden_field_is_refused(
    web: httpx.AsyncClient, desk: FakeDesk, csrf: str | None, path: str
) -> None:
    await web.get("/")
    answer = await web.post(path, data={"code": "1"} if csrf is None else {"csrf": csrf}, headers=FORM)
    assert (answer.status_code, page(answer)["page"], desk.calls) == (403, "refused", [])


@pytest.mark.parametrize("path", [f"{MESSAGE}/reply", "/open"])
async def test_a_form_with_files_without_the_hidden_field_keeps_nothing(
    web: httpx.AsyncClient, desk: FakeDesk, path: str
) -> None:
    await web.get("/")
    cookies = f"{SESSION}; {_browser(web)}"
    files = {"file": ("message.rpmsg", b"x" * 1000)}
    answer = await web.post(path, data={"text": "hi"}, files=files, headers=FORM | {"Cookie": cookies})
    assert (answer.status_code, desk.calls, desk.room.is_empty) == (403, [], True)


async def test_a_form_without_the_browsers_cookie_is_refused(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    answer = await web.post(f"{MESSAGE}/code", data={"csrf": security.hidden(b"")}, headers=FORM)
    assert (answer.status_code, desk.calls) == (403, [])


async def test_a_form_of_one_octet_too_many_is_not_read(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    await web.get("/")
    csrf = security.hidden(security.token_octets(web.cookies[security.BROWSER]) or b"")
    start = f"csrf={csrf}&code="
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    most = (start + "1" * (MAX_FORM - len(start))).encode()
    assert (await web.post(f"{MESSAGE}/open", content=most, headers=FORM | kind)).status_code == 403
    assert (await web.post(f"{MESSAGE}/open", content=most + b"1", headers=FORM | kind)).status_code == 413


async def test_a_form_that_comes_too_slowly_is_not_waited_for(web: httpx.AsyncClient, clock: FakeClock) -> None:
    """Attack: a few octets now and then hold a connection."""

    async def trickle() -> AsyncIterator[bytes]:
        yield b"csrf="
        await asyncio.Event().wait()

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    asking = asyncio.create_task(web.post("/language", content=trickle(), headers=FORM | kind))
    await asyncio.sleep(0.05)
    await clock.advance(SLOW)
    assert (await asyncio.wait_for(asking, 30)).status_code == 408


@pytest.mark.parametrize("end", ["original", "file/1", "zip"])
async def test_a_client_that_takes_nothing_of_its_answer_is_not_waited_for(
    app: Guarded, desk: FakeDesk, told: Told, clock: FakeClock, end: str
) -> None:
    """Attack: a reader asks for a large file a hundred times and takes none: each holds the message in memory."""
    desk.message = replace(opened(*ALL), original=(octets := ORIGINAL + b"x"))
    held = sys.getrefcount(octets)

    async def stalling(scope: Scope, receive: Receive, send: Send) -> None:
        async def until_the_content(message: Message) -> None:
            if message["type"] == "http.response.body":
                await asyncio.Event().wait()
            await send(message)

        await app(scope, receive, until_the_content)

    web = httpx.AsyncClient(transport=httpx.ASGITransport(app=stalling), base_url=URL)
    gc.disable()  # What only the search for circles lets go of may lie there for long: it looks at no sizes.
    try:
        asking = asyncio.create_task(web.get(f"{MESSAGE}/{end}", headers={"Cookie": SESSION}))
        await asyncio.sleep(0.1)
        assert not asking.done() and sys.getrefcount(octets) > held
        await clock.advance(STALLED)
        with pytest.raises(AssertionError):  # That of httpx: it was not given the whole.
            await asyncio.wait_for(asking, 30)
        async with asyncio.timeout(10):
            while sys.getrefcount(octets) > held:  # A thread that has read it may not have gone on yet.
                await asyncio.sleep(0.01)
    finally:
        gc.enable()
    assert told.counts[-1] == ("portal_refused_total", ("stalled",)) and not told.lines


async def test_a_client_that_takes_a_little_for_ever_ends_and_is_no_fault_of_ours(
    app: Guarded, told: Told, clock: FakeClock
) -> None:
    taken = 0

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def slowly(message: Message) -> None:
        nonlocal taken
        await clock.sleep(STALLED / 2)
        taken += 1

    scope = {"type": "http", "method": "GET", "path": "/", "client": ("192.0.2.7", 5000)}
    headers = [(b"host", URL.partition("//")[2].encode())]
    asking = asyncio.create_task(
        Guarded(endless, app.site, lambda name, value: None)(scope | {"headers": headers}, _nothing, slowly)
    )
    while not asking.done() and taken < 1000:
        await clock.advance(STALLED / 2)
    await asking
    assert taken == WHOLE / (STALLED / 2) - 1
    assert told.counts == [("portal_refused_total", ("slow",))] and not told.lines


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def test_a_reader_who_asks_for_a_file_many_times_holds_it_a_few_times(
    app: Guarded, desk: FakeDesk, clock: FakeClock
) -> None:
    """Attack: as above, by one who takes a little now and then, so that nobody calls him stalled."""
    desk.message = opened(*ALL)
    go_on = asyncio.Event()

    async def slowly(scope: Scope, receive: Receive, send: Send) -> None:
        async def at_last(message: Message) -> None:
            if message["type"] == "http.response.body":
                await go_on.wait()
            await send(message)

        await app(scope, receive, at_last)

    web = httpx.AsyncClient(transport=httpx.ASGITransport(app=slowly), base_url=URL)
    asking = [asyncio.create_task(web.get(f"{MESSAGE}/original", headers={"Cookie": SESSION})) for _ in range(20)]
    await asyncio.sleep(0.2)
    assert len(desk.purposes) == OF_READER
    go_on.set()
    answers = await asyncio.gather(*asking)
    assert len(desk.purposes) == 20 and all(one.content == ORIGINAL for one in answers)


@pytest.mark.parametrize("end", ["read", "read?text=1", "view/1", "reply", "body", "file/1", "file/99"])
async def test_no_page_leaves_the_message_in_memory(
    web: httpx.AsyncClient, app: Guarded, desk: FakeDesk, clock: FakeClock, end: str
) -> None:
    app.site.pages = Pages(Branding(name="Corp"), clock.now)
    desk.message = replace(opened(*ALL), original=(octets := ORIGINAL + b"x"))
    held = sys.getrefcount(octets)
    gc.disable()  # As in the test above.
    try:
        assert (await web.get(f"{MESSAGE}/{end}", headers={"Cookie": SESSION})).status_code in (200, 404)
        async with asyncio.timeout(10):
            while sys.getrefcount(octets) > held:  # A thread that has read it may not have gone on yet.
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_a_long_path_and_another_method_are_refused(web: httpx.AsyncClient) -> None:
    assert (await web.get("/" + "a" * MAX_PATH)).status_code == 414
    for method in ("PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
        assert (await web.request(method, "/")).status_code == 405


@pytest.mark.parametrize(
    "path", ["/nothing", "/m", f"{MESSAGE}/nothing", "/static/../app.py", "/docs", "/openapi.json"]
)
async def test_what_is_not_there_is_a_page_of_ours(web: httpx.AsyncClient, path: str) -> None:
    answer = await web.get(path)
    assert (answer.status_code, page(answer)["page"]) == (404, "not_found")


async def test_a_wrong_method_of_a_page_is_refused(web: httpx.AsyncClient) -> None:
    await web.get("/")
    assert (await form(web, f"{MESSAGE}/read")).status_code == 405


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", MESSAGE, "/nothing", "/open", f"{MESSAGE}/read", f"{MESSAGE}/body"])
async def test_every_page_has_the_headers_that_protect_it(web: httpx.AsyncClient, path: str) -> None:
    headers = (await web.get(path, headers={"Cookie": SESSION})).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "base-uri 'none'" in policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert "server" not in headers and "date" in headers
    if path != f"{MESSAGE}/body":
        assert "unsafe-inline" not in policy and "frame-ancestors 'none'" in policy


async def test_the_mails_own_frame_runs_nothing_and_loads_nothing_until_asked(web: httpx.AsyncClient) -> None:
    plain = (await web.get(f"{MESSAGE}/body", headers={"Cookie": SESSION})).headers["content-security-policy"]
    asked = await web.get(f"{MESSAGE}/body?images=1", headers={"Cookie": SESSION})
    assert "sandbox" in plain and "allow-scripts" not in plain and "script-src" not in plain
    assert "https:" not in plain and "https:" in asked.headers["content-security-policy"]


async def test_cookies_are_kept_from_scripts_and_other_hosts(web: httpx.AsyncClient) -> None:
    for cookie in (await web.get("/")).headers.get_list("set-cookie"):
        assert cookie.startswith("__Host-")
        assert all(word in cookie for word in ("Path=/", "Secure", "HttpOnly", "SameSite")) and "Domain" not in cookie


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.DAMAGED, 422),
        (Reason.REVOKED, 410),
        (Reason.EXPIRED, 410),
        (Reason.NO_RIGHT, 403),
        (Reason.KEY_AWAY, 503),
    ],
)
async def test_a_message_that_stays_shut_has_its_page(
    web: httpx.AsyncClient, desk: FakeDesk, reason: Reason, status: int
) -> None:
    desk.shut = reason
    answer = await web.get(f"{MESSAGE}/read", headers={"Cookie": SESSION})
    assert answer.status_code == status and "Secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_fault_of_ours_shows_and_logs_nothing_of_the_message(
    web: httpx.AsyncClient, desk: FakeDesk, told: Told
) -> None:
    desk.broken = ValueError("Secret of reader@firm.example")
    answer = await web.get(f"{MESSAGE}/read", headers={"Cookie": SESSION})
    assert (answer.status_code, page(answer)["page"]) == (500, "failed")
    assert "Secret" not in answer.text + repr(told.lines) and told.lines[0][1] == "portal_request_failed"


async def test_what_is_passing_is_answered_503(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    desk.away = True
    answer = await web.get(MESSAGE)
    assert (answer.status_code, page(answer)["page"], answer.headers["retry-after"]) == (503, "away", "30")


# -- rights ------------------------------------------------------------------------------------------------------------


async def test_files_and_the_original_need_the_right_to_take_them_along(web: httpx.AsyncClient, desk: FakeDesk) -> None:
    cookie = {"Cookie": SESSION}
    original = await web.get(f"{MESSAGE}/original", headers=cookie)
    assert original.content == ORIGINAL and original.headers["content-disposition"].startswith("attachment")
    assert (await web.get(f"{MESSAGE}/file/1", headers=cookie)).content == b"\x89PNG\r\n\x1a\nxx"
    desk.message = opened(Right.VIEW, Right.REPLY)
    for end in ("original", "file/1", "zip"):
        answer = await web.get(f"{MESSAGE}/{end}", headers=cookie)
        assert (answer.status_code, page(answer)["page"]) == (403, "no_right")
    assert (await web.get(f"{MESSAGE}/view/1", headers=cookie)).status_code == 200


async def test_a_pdf_that_may_not_be_saved_reaches_the_reader_as_pictures_alone(
    web: httpx.AsyncClient, desk: FakeDesk, app: Guarded
) -> None:
    """Its octets are asked for with the right to save them; before, `?raw=1` gave them to whoever might look."""
    drawer = cast("FakeDrawer", app.site.pdf)
    cookie, octets = {"Cookie": SESSION}, pdf("one", "two")
    letter = ORIGINAL.replace(b"\x89PNG\r\n\x1a\nxx", octets.replace(b"\n", b"\r\n"))
    desk.message = opened(Right.VIEW, original=letter)
    drawer.answer = b'{"count": 2, "pages": [{"number": 0, "width": 10, "height": 20, "text": "one"}]}'
    assert (await web.get(f"{MESSAGE}/view/1", headers=cookie)).status_code == 200
    drawer.answer = b"\x89PNG\r\n\x1a\n..."
    drawn = await web.get(f"{MESSAGE}/view/1?page=1", headers=cookie)
    assert (drawn.status_code, drawn.headers["content-type"], drawn.content) == (200, "image/png", drawer.answer)
    assert "sandbox" in drawn.headers["content-security-policy"] and drawn.headers["cache-control"] == "no-store"
    assert drawer.asked == [{"first": 0, "pages": 10}, {"page": 1}]
    for path in ("view/1?raw=1", "view/1?raw=1&page=0", "file/1"):
        refused = await web.get(f"{MESSAGE}/{path}", headers=cookie)
        assert refused.status_code == 403 and b"%PDF" not in refused.content, path
    for path, status in (("view/1?page=x", 404), ("view/1?page=-1", 404), ("view/1?from=100000", 404)):
        assert (await web.get(f"{MESSAGE}/{path}", headers=cookie)).status_code == status, path
    desk.message = opened(Right.VIEW, Right.EXTRACT, original=letter)
    assert (await web.get(f"{MESSAGE}/view/1?raw=1", headers=cookie)).content.startswith(b"%PDF")
    assert page(await web.get(f"{MESSAGE}/view/1", headers=cookie))["pdf"] is None
    assert len(drawer.asked) == 2, "who may save it has his browser's own viewer"


@pytest.mark.parametrize(("error", "status"), [(NotDrawn(), 404), (DrawerFailed(), 503)])
async def test_a_pdf_that_is_not_drawn_is_neither_shown_nor_given(
    web: httpx.AsyncClient, desk: FakeDesk, app: Guarded, error: Exception, status: int
) -> None:
    cast("FakeDrawer", app.site.pdf).error = error
    desk.message = opened(Right.VIEW, original=ORIGINAL.replace(b"\x89PNG\r\n\x1a\nxx", b"%PDF-1.4 x"))
    shown = await web.get(f"{MESSAGE}/view/1", headers={"Cookie": SESSION})
    assert shown.status_code == 200 and page(shown)["pdf"] is None
    drawn = await web.get(f"{MESSAGE}/view/1?page=0", headers={"Cookie": SESSION})
    assert drawn.status_code == status and b"%PDF" not in drawn.content


async def test_html_that_is_attached_is_never_a_page_of_ours(web: httpx.AsyncClient) -> None:
    cookie = {"Cookie": SESSION}
    answer = await web.get(f"{MESSAGE}/file/2", headers=cookie)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]
    for path in (f"{MESSAGE}/view/2", f"{MESSAGE}/part/2", f"{MESSAGE}/view/2?raw=1", f"{MESSAGE}/file/99"):
        assert (await web.get(path, headers=cookie)).status_code == 404, path


@pytest.mark.parametrize("end", ["read", "body", "part/1", "view/1", "file/1", "zip", "original", "reply"])
async def test_nothing_is_read_without_a_session(web: httpx.AsyncClient, desk: FakeDesk, end: str) -> None:
    answer = await web.get(f"{MESSAGE}/{end}")
    assert (answer.status_code, page(answer)["page"], desk.purposes) == (401, "session_ended", [])
    assert answer.headers["www-authenticate"] == "Passcode"  # RFC 9110 15.5.2
    other = f"/m/{'B' * 42}A/{end}"  # The cookie of one message opens no other one.
    name = security.session_cookie("B" * 42 + "A")
    answer = await web.get(other, headers={"Cookie": f"{SESSION}; {name}={security.spelled(COOKIE)}"})
    assert answer.status_code == 401


# -- language and static files -----------------------------------------------------------------------------------------


async def test_the_readers_language_is_heeded(web: httpx.AsyncClient) -> None:
    assert page(await web.get("/", headers={"Accept-Language": "de-AT,en;q=0.5"}))["language"] == "de"
    answer = await form(web, "/language", {"language": "ar", "next": MESSAGE})
    assert (answer.status_code, answer.headers["location"]) == (303, MESSAGE)
    assert page(await web.get("/"))["language"] == "ar"


@pytest.mark.parametrize(
    "where",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\/evil", "/a\r\nX: y", "x", "/" + "a" * 500],
)
async def test_the_language_leads_nowhere_else(web: httpx.AsyncClient, where: str) -> None:
    assert (await form(web, "/language", {"language": "de", "next": where})).headers["location"] == "/"


async def test_static_files_come_from_their_folder_alone(web: httpx.AsyncClient) -> None:
    answer = await web.get("/static/brand.css")
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/css; charset=utf-8"
    for name in ("%2e%2e", "app.py", "..%2fapp.py", "nothing.css", ".css"):
        assert (await web.get(f"/static/{name}")).status_code == 404, name


def _browser(web: httpx.AsyncClient) -> str:
    return f"{security.BROWSER}={web.cookies[security.BROWSER]}"
