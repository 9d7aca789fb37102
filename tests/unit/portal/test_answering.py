"""The two forms with files, as browsers and others send them to the application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from gateway.portal import security
from gateway.portal.app import Guarded, make_app
from gateway.portal.desk import Away, NeedsFile
from gateway.portal.terms import PortalTerms
from gateway.portal.turns import OF_READER
from gateway.rights.reason import NotOpened, Reason
from gateway.rights.right import Right
from tests.fakes.chance import FakeChance
from tests.fakes.clock import FakeClock
from tests.fakes.pdf import FakeDrawer
from tests.fakes.portal import COOKIE, TOKEN, FakeDesk, PlainPages, opened
from tests.fakes.portal_room import FakeRoom

BROWSER = b"b" * 32
KIND = "multipart/form-data; boundary=x"
REPLY = f"/m/{TOKEN}/reply"
COOKIES = "; ".join(
    f"{name}={security.spelled(octets)}"
    for name, octets in ((security.BROWSER, BROWSER), (security.session_cookie(TOKEN), COOKIE))
)
SIGNED_OUT = COOKIES.partition(";")[0]
EVERYBODY = (
    b"From: Ida <ida@corp.example>\r\nTo: reader@firm.example, Cleo <cleo@other.example>\r\n"
    b"Cc: portal@corp.example\r\nSubject: Offer\r\n\r\nx\r\n"
)


class Site:
    """The application, and what it asks. `counted`: metrics that grew."""

    def __init__(self, executor: ThreadPoolExecutor) -> None:
        self.room = FakeRoom()
        self.desk = FakeDesk(room=self.room)
        self.counted: list[tuple[Any, ...]] = []
        self.told: list[tuple[Any, ...]] = []
        self.app: Guarded = make_app(
            self.desk,
            PlainPages(),
            PortalTerms(
                url="https://portal.corp.example",
                address="portal@corp.example",
                max_upload=100_000,
                max_dropped=100_000,
            ),
            FakeClock(),
            chance=FakeChance("site"),
            executor=executor,
            pdf=FakeDrawer(),
            tell=lambda *args, **facts: self.told.append(args),
            count=lambda name, labels=(), by=1: self.counted.append((name, *labels)),
        )

    async def ask(
        self, method: str, path: str, body: bytes = b"", *, kind: str = KIND, cookies: str = COOKIES, gone: bool = False
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Status, headers and the page's values. `gone`: the browser breaks off behind the body."""
        sent: list[dict[str, Any]] = []
        pieces = self._pieces(body, gone)
        name, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": name,
            "raw_path": name.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "https",
            "http_version": "1.1",
            "server": ("portal.corp.example", 443),
            "client": ("192.0.2.9", 1),
            "headers": [
                (b"host", b"portal.corp.example"),
                (b"origin", b"https://portal.corp.example"),
                (b"content-type", kind.encode()),
                (b"cookie", cookies.encode()),
            ],
        }

        async def receive() -> dict[str, Any]:
            return next(pieces)

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(dict(message))

        await self.app(scope, receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        text = b"".join(one.get("body", b"") for one in sent[1:])
        return sent[0]["status"], headers, json.loads(text) if text.startswith(b"{") else {}

    @staticmethod
    def _pieces(body: bytes, gone: bool) -> Iterator[dict[str, Any]]:
        for start in range(0, len(body), 30_000):
            yield {"type": "http.request", "body": body[start : start + 30_000], "more_body": True}
        yield {"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False}

    async def reply(self, *parts: bytes, path: str = REPLY, **more: Any) -> tuple[int, dict[str, Any]]:
        status, _, page = await self.ask("POST", path, whole(*parts), **more)
        assert self.room.is_empty, "a file of a form is left"
        return status, page


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    with ThreadPoolExecutor(1) as executor:
        yield Site(executor)


def part(name: str, octets: bytes, file: str | None = None) -> bytes:
    named = "" if file is None else f'; filename="{file}"\r\nContent-Type: text/plain'
    return f'--x\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode() + octets + b"\r\n"


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--x--\r\n"


CSRF = part("csrf", security.hidden(BROWSER).encode())

# -- a reply -----------------------------------------------------------------------------------------------------------


async def test_an_answer_with_files_is_sent(site: Site) -> None:
    status, page = await site.reply(CSRF, part("text", b"Yes."), part("files", b"one", "a"), part("files", b"", "b"))
    assert (status, page["page"]) == (200, "sent")
    assert site.desk.calls == [("reply", "Yes.", False, [b"one", b""])]
    assert site.desk.purposes == []
    assert ("portal_replies_total",) in site.counted


@pytest.mark.parametrize("path", [REPLY, f"{REPLY}?all=1"])
async def test_an_answer_to_all_says_so_in_the_form_or_in_its_address(site: Site, path: str) -> None:
    await site.reply(CSRF, part("text", b"Yes."), part("all", b"1"), path=f"{REPLY}?all=1" if path == REPLY else REPLY)
    assert site.desk.calls[0][2] is True


async def test_an_answer_needs_a_text_or_a_file(site: Site) -> None:
    status, page = await site.reply(CSRF, part("text", b" \r\n"))
    assert (status, page["page"], page["error"]) == (422, "reply", "nothing")
    assert (await site.reply(CSRF, part("text", b""), part("files", b"x", "a")))[0] == 200


async def test_the_form_shows_whom_it_reaches(site: Site) -> None:
    site.desk.message = opened(Right.VIEW, Right.REPLY, Right.REPLYALL, Right.EXTRACT, original=EVERYBODY)
    seen: list[object] = []
    site.app.site.pages = Seeing(seen)
    await site.ask("GET", REPLY)
    await site.ask("GET", f"{REPLY}?all=1")
    assert seen == [("ida@corp.example",), ("ida@corp.example", "cleo@other.example")]
    assert (await site.ask("GET", REPLY))[2]["subject"] == "Re: Offer"
    assert site.desk.calls == [], "looking changes nothing"


class Seeing(PlainPages):
    """Notes whom a form reaches."""

    def __init__(self, seen: list[object]) -> None:
        self.seen = seen

    def render(self, name: str, language: str, **values: object) -> str:
        whom: Any = values["addressees"]
        self.seen.append(tuple(one.address for one in (*whom.to, *whom.cc)))
        return super().render(name, language, **values)


@pytest.mark.parametrize(
    ("rights", "may_all", "may_quote"),
    [
        ((Right.VIEW, Right.REPLY, Right.REPLYALL, Right.EXTRACT), True, True),
        ((Right.VIEW, Right.REPLY, Right.REPLYALL), True, False),
        ((Right.VIEW, Right.REPLY, Right.EXTRACT), False, True),
    ],
)
async def test_the_form_offers_what_the_rights_allow(
    site: Site, rights: tuple[Right, ...], may_all: bool, may_quote: bool
) -> None:
    site.desk.message = opened(*rights, original=EVERYBODY)
    _, _, page = await site.ask("GET", REPLY)
    assert (page["may_all"], page["may_quote"]) == (may_all, may_quote)


async def test_where_nobody_else_is_named_there_is_no_all(site: Site) -> None:
    site.desk.message = opened(Right.VIEW, Right.REPLY, Right.REPLYALL)
    assert (await site.ask("GET", REPLY))[2]["may_all"] is False


async def test_what_names_nobody_can_not_be_answered(site: Site) -> None:
    site.desk.message = replace(opened(original=b"From: reader@firm.example\r\n\r\n"), owner="reader@firm.example")
    status, _, page = await site.ask("GET", REPLY)
    assert (status, page["error"]) == (422, "nobody")


@pytest.mark.parametrize("path", [REPLY, f"{REPLY}?all=1"])
async def test_without_the_right_there_is_no_form(site: Site, path: str) -> None:
    site.desk.message = opened(Right.VIEW)
    status, _, page = await site.ask("GET", path)
    assert (status, page["page"]) == (403, "no_right")


@pytest.mark.parametrize(("reason", "status"), [("refused", 422), ("nobody", 422), ("slowed", 429), ("too_large", 413)])
async def test_what_is_refused_comes_back_with_its_text(site: Site, reason: str, status: int) -> None:
    site.desk.refuses = reason
    parts = (CSRF, part("draft", b"D"), part("text", "Schön".encode()), part("files", b"x", "a"))
    found, page = await site.reply(*parts)
    assert (found, page["error"], page["text"], page["draft"]) == (status, reason, "Schön", "D")
    assert page["quotes"] is False
    assert ("portal_refused_total", reason) in site.counted


async def test_while_the_gateway_is_away_the_text_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(session: object, reply: object) -> str:
        raise Away

    monkeypatch.setattr(site.desk, "reply", away)
    status, page = await site.reply(CSRF, part("text", b"Yes."), part("files", b"x", "a"))
    assert (status, page["page"], page["error"], page["text"]) == (503, "reply", "away", "Yes.")


async def test_where_not_even_the_form_can_be_shown_the_reader_is_told_to_come_back_and_has_his_text(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(session: object, what: object) -> str:
        raise Away

    monkeypatch.setattr(site.desk, "reply", away)
    monkeypatch.setattr(site.desk, "read", away)
    status, page = await site.reply(CSRF, part("text", b"Yes."))
    assert (status, page["page"], page["text"]) == (503, "away", "Yes.")


@pytest.mark.parametrize(
    ("failure", "named"),
    [
        (NotOpened(Reason.REVOKED), "revoked"),
        (NotOpened(Reason.EXPIRED), "expired"),
        (NotOpened(Reason.KEY_AWAY), "away"),
        (NeedsFile(), "open"),
        (RuntimeError("x"), "failed"),
    ],
)
async def test_who_can_not_answer_any_more_gets_back_what_he_typed(
    site: Site, monkeypatch: pytest.MonkeyPatch, failure: Exception, named: str
) -> None:
    async def fails(session: object, reply: object) -> str:
        raise failure

    monkeypatch.setattr(site.desk, "reply", fails)
    _, page = await site.reply(CSRF, part("text", b"Yes."), part("files", b"x", "a"))
    assert (page["page"], page["text"]) == (named, "Yes.")


async def test_files_that_are_too_large_keep_the_text(site: Site) -> None:
    status, page = await site.reply(CSRF, part("text", b"Yes."), part("files", b"x" * 100_001, "a"))
    assert (status, page["error"], page["text"]) == (413, "too_large", "Yes.")
    assert site.desk.calls == []


async def test_a_file_of_just_the_size_that_is_allowed_is_sent(site: Site) -> None:
    assert (await site.reply(CSRF, part("text", b"Yes."), part("files", b"x" * 100_000, "a")))[0] == 200


@pytest.mark.parametrize(
    "parts",
    [
        (part("text", b"Yes."),),
        (part("csrf", b"x" * 43), part("text", b"Yes.")),
        (part("csrf", security.hidden(b"o" * 32).encode()), part("text", b"Yes."), part("files", b"x", "a")),
        (part("files", b"x", "a"), CSRF, part("text", b"Yes.")),
        (part("csrf", b"no"), CSRF, part("text", b"Yes.")),
    ],
)
async def test_a_form_of_another_site_sends_nothing(site: Site, parts: tuple[bytes, ...]) -> None:
    """Attack: a page elsewhere has the reader's browser post an answer in his name."""
    status, page = await site.reply(*parts)
    assert (status, page["page"]) == (403, "refused")
    assert site.desk.calls == []
    assert site.room.begun == 0


@pytest.mark.parametrize("files", [(), (part("files", b"", ""),), (part("files", b"x" * 200_000, "a"),) * 3])
async def test_who_was_signed_out_while_he_typed_gets_his_text_back(site: Site, files: tuple[bytes, ...]) -> None:
    status, page = await site.reply(CSRF, part("text", b"Yes."), *files, cookies=SIGNED_OUT)
    assert (status, page["page"], page["text"]) == (401, "session_ended", "Yes.")
    assert site.desk.calls == []


async def test_who_was_signed_out_gets_nothing_back_that_another_site_has_sent(site: Site) -> None:
    parts = (part("csrf", b"x" * 43), part("text", b"Yes."), part("files", b"x", "a"))
    status, page = await site.reply(*parts, cookies=SIGNED_OUT)
    assert (status, page["page"], page.get("text")) == (401, "session_ended", None)
    assert site.room.begun == 0


async def test_a_form_at_a_link_that_can_be_none_is_not_read(site: Site) -> None:
    status, page = await site.reply(CSRF, part("text", b"Yes."), path="/m/short/reply")
    assert (status, page["page"], page.get("text")) == (404, "not_found", None)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
async def test_what_is_no_form_with_files_is_not_taken(site: Site, kind: str) -> None:
    status, page = await site.reply(CSRF, part("text", b"Yes."), kind=kind)
    assert (status, page["error"]) == (400, "malformed")


async def test_a_browser_that_is_gone_sends_nothing(site: Site) -> None:
    body = CSRF + part("text", b"Yes.") + part("files", b"x" * 90_000, "a")
    await site.ask("POST", REPLY, body, gone=True)
    assert site.desk.calls == []
    assert site.told == [], "that is no fault of ours"
    assert site.room.is_empty


@pytest.mark.parametrize("switch", ["closed", "full", "broken"])
async def test_a_room_that_takes_nothing_asks_readers_to_come_back(site: Site, switch: str) -> None:
    setattr(site.room, switch, True)
    status, page = await site.reply(CSRF, part("text", b"Yes."), part("files", b"x" * 90_000, "a"))
    assert (status, page["page"], page["text"]) == (503, "away", "Yes.")
    assert site.told == []


# -- a message.rpmsg ---------------------------------------------------------------------------------------------------


async def dropped(site: Site, *parts: bytes, **more: Any) -> tuple[int, dict[str, str], dict[str, Any]]:
    return await site.ask("POST", "/open", whole(*parts), **more)


async def test_a_dropped_file_goes_on_as_a_link_does(site: Site) -> None:
    parts = (CSRF, part("address", b" ben@x.example "), part("file", b"rpmsg", "message.rpmsg"))
    status, headers, _ = await dropped(site, *parts)
    assert (status, headers["location"]) == (303, f"/m/{'B' * 43}")
    assert site.desk.calls == [("upload", b"rpmsg", "ben@x.example", "192.0.2.9")]
    assert len(site.room.lying) == 1, "it is the desk's from now on"


@pytest.mark.parametrize(
    ("parts", "error"),
    [
        ((part("address", b"ben@x.example"),), "nothing"),
        ((part("address", b""), part("file", b"x", "a")), "address"),
        ((part("address", b"b" * 400 + b"@x.example"), part("file", b"x", "a")), "address"),
        ((part("address", b"ben@x.example"), part("file", b"x" * 100_001, "a")), "too_large"),
        ((part("address", b"ben@x.example"), part("file", b"x", "a"), part("file", b"x", "b")), "damaged"),
    ],
)
async def test_a_form_that_is_not_filled_in_is_shown_again(site: Site, parts: tuple[bytes, ...], error: str) -> None:
    status, _, page = await dropped(site, CSRF, *parts)
    assert (page["page"], page["error"]) == ("open", error)
    assert 400 < status < 500
    assert site.desk.calls == []
    assert site.room.is_empty


@pytest.mark.parametrize(("reason", "status"), [("damaged", 422), ("slowed", 429), ("address", 422)])
async def test_what_the_desk_refuses_is_told_on_the_form(site: Site, reason: str, status: int) -> None:
    site.desk.refuses = reason
    found, _, page = await dropped(site, CSRF, part("address", b"ben@x.example"), part("file", b"x", "a"))
    assert (found, page["page"], page["error"], page["address"]) == (status, "open", reason, "ben@x.example")


@pytest.mark.parametrize("reason", [Reason.KEY_AWAY, Reason.KEY_DENIED])
async def test_while_the_tenant_key_is_away_a_file_is_asked_for_later(
    site: Site, reason: Reason, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(content: object, address: str, client: str) -> str:
        raise NotOpened(reason)

    monkeypatch.setattr(site.desk, "upload", away)
    status, _, page = await dropped(site, CSRF, part("address", b"ben@x.example"), part("file", b"x", "a"))
    assert (status, page["page"]) == (503, "away")


async def test_a_file_that_another_site_sends_is_not_kept(site: Site) -> None:
    parts = (part("address", b"ben@x.example"), part("file", b"x", "a"))
    for one in (parts, (*parts, CSRF), (part("csrf", b"no"), *parts)):
        assert (await dropped(site, *one))[0] == 403
    assert (await dropped(site, CSRF, *parts, cookies=""))[0] == 403
    assert site.room.begun == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_few_forms_and_answers_hold_a_message_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The attack: a reader asks for the form of a large message, or sends it, on every connection that he may have."""
    held, most, go = 0, 0, asyncio.Event()
    told = opened(Right.VIEW, Right.REPLY)

    async def hold(*_: Any) -> Any:
        nonlocal held, most
        held += 1
        most = max(most, held)
        await go.wait()
        held -= 1
        return told

    monkeypatch.setattr(site.desk, "read", hold)
    monkeypatch.setattr(site.desk, "reply", hold)
    body = b"" if method == "GET" else whole(part("csrf", security.hidden(BROWSER).encode()), part("text", b"hello"))
    asked = [asyncio.create_task(site.ask(method, REPLY, body)) for _ in range(OF_READER + 4)]
    for _ in range(50):
        await asyncio.sleep(0)
    assert (held, most) == (OF_READER, OF_READER)
    go.set()
    assert [status for status, _, _ in await asyncio.gather(*asked)] == [200] * len(asked)
    assert most == OF_READER


async def test_an_answer_that_is_shown_again_waits_for_no_second_turn(site: Site) -> None:
    """The attack on oneself: as many as may hold a message are refused at once, and each form is to be shown again."""
    site.desk.refuses = "refused"
    body = whole(part("csrf", security.hidden(BROWSER).encode()), part("text", b"hello"))
    asked = [asyncio.create_task(site.ask("POST", REPLY, body)) for _ in range(OF_READER)]
    found = await asyncio.wait_for(asyncio.gather(*asked), 20)
    assert [(status, page["error"]) for status, _, page in found] == [(422, "refused")] * OF_READER
