"""The pages: each of them, in each language, with values that want out."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from babel import Locale

from gateway.portal.compose import Addressees
from gateway.portal.desk import Session
from gateway.portal.file_kind import FileKind
from gateway.portal.languages import LANGUAGES
from gateway.portal.measure import Measure
from gateway.portal.message_view import MessageView, message_view
from gateway.portal.page import Page
from gateway.portal.pages import Pages
from gateway.portal.pages.catalogues import catalogues
from gateway.portal.pages.extraction import merged, template_texts
from gateway.portal.pages.palette import BRIGHT, READABLE, contrast, palette, style_of
from gateway.portal.pages.shown import linked, size
from gateway.portal.pdf_pages import PdfPage, PdfPart
from gateway.portal.people import Person
from gateway.rights.branding import Branding
from gateway.rights.right import ALL, Right
from gateway.rights.wording import WORDINGS
from tests.fakes.portal import COOKIE, READER, TOKEN, WORK, opened

NOW = 1_793_700_000.0
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&amp;"
DO_NOT_FORWARD = frozenset({Right.VIEW, Right.EDIT, Right.DOCEDIT, Right.OBJMODEL, Right.REPLY, Right.REPLYALL})
ENCRYPT_ONLY = ALL - {Right.OWNER, Right.EXPORT, Right.EDITRIGHTSDATA}
BRANDING = Branding(name=f"Corp {EVIL}", portal_text=EVIL, disclaimer_text=EVIL)
VOID = frozenset("area base br col hr img input link meta path rect circle".split())
VIEW = message_view(
    f'From: "{EVIL.replace(chr(34), "")}" <ida@corp.example>\r\nTo: {READER}, b@firm.example\r\nSubject: {EVIL}\r\n'
    "Date: Tue, 3 Nov 2026 08:12:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    f"--b\r\nContent-Type: text/plain\r\n\r\n{EVIL} http://ok.example/x.\r\n"
    '--b\r\nContent-Type: image/png; name="a.png"\r\n\r\n\x89PNG\r\n\x1a\n\r\n'
    '--b\r\nContent-Type: application/zip; name="<b>.zip"\r\n\r\nPK\r\n'
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Inside\r\n\r\ninner text\r\n--b--\r\n".encode("latin-1")
)  # fmt: skip


class Checked(HTMLParser):
    """A page that is well-formed, and that the policy for contents allows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        assert len(found) == len(attrs)
        assert tag not in ("script", "style", "object", "embed", "base")
        assert not any(name == "style" or name.startswith("on") for name in found), (tag, found)
        if "id" in found:
            self.ids.append(found["id"])
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str]]:
        return [found for name, found in self.tags if name == tag]


@pytest.fixture(scope="module")
def pages() -> Pages:
    return Pages(BRANDING, lambda: NOW)


def values(page: Page, rights: frozenset[Right] = ENCRYPT_ONLY, view: MessageView = VIEW) -> dict[str, Any]:
    """What handlers hand over with a page, as `gateway.portal.page` tells it."""
    common: dict[str, Any] = {
        "csrf": "c",
        "path": f"/m/{TOKEN}/read",
        "languages": tuple(LANGUAGES),
        "script_free": True,
    }
    message = {
        "token": TOKEN,
        "view": view,
        "rights": rights,
        "opened": replace(opened(*rights), owner=EVIL, expires=NOW + 9_000),
        "session": Session(TOKEN, READER, WORK, NOW + 3_000, COOKIE),
    }
    more: dict[Page, dict[str, Any]] = {
        Page.LANGUAGE: {"next": "/"},
        Page.OPEN: {"limit": 25 << 20, "address": EVIL, "error": "address"},
        Page.ASK: {"token": TOKEN, "is_dropped": False},
        Page.CODE: {
            "token": TOKEN, "reference": "K7", "ends": NOW + 600, "error": "wrong_code", "tries_left": 4, "until": None,
        },
        Page.READ: {**message, "images": False, "plain": False, "room": Measure(("Good morning",), 1)},
        Page.VIEW: {
            **message, "number": 1, "file": view.files[0], "kind": "picture", "text": "", "is_whole": True,
            "message": None, "pdf": None,
        },
        Page.REPLY: {
            **message, "to_all": True, "may_all": True, "error": "too_large", "limit": 25 << 20, "text": EVIL,
            "draft": "d", "subject": None,
            "addressees": Addressees((Person(EVIL, "ida@corp.example"),), (Person("", "b@firm.example"),)),
        },
        Page.SENT: {"token": TOKEN, "to_all": False},
        Page.SLOWED: {"token": TOKEN, "until": NOW + 90},
    }  # fmt: skip
    return {**common, **more.get(page, {"token": TOKEN})}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", Page)
def test_every_page_is_whole_and_harmless(pages: Pages, page: Page, language: str) -> None:
    text = pages.render(page.value, language, **values(page))
    checked = Checked(text)
    assert "<script" not in text and "onerror=alert(1)>" not in text.replace("onerror=alert(1)&gt;", "")
    assert checked.all("html") == [{"lang": language, "dir": "rtl" if language == "ar" else "ltr"}]
    assert len(checked.all("h1")) == 1 and len(checked.all("main")) == 1
    assert len(checked.ids) == len(set(checked.ids))
    assert len(re.findall(r"<title>[^<]+ \u2013 Corp", text)) == 1


@pytest.mark.parametrize("page", Page)
def test_every_form_is_ours_and_says_from_which_page_it_came(pages: Pages, page: Page) -> None:
    text = pages.render(page.value, "en", **values(page))
    forms = re.findall(r"<form.*?</form>", text, re.DOTALL)
    for form in forms:
        assert re.match(r'<form[^>]* method="post" action="/', form), form
        assert form.index('<input type="hidden" name="csrf" value="c">') < form.index("<button")
    for found in Checked(text).all("a"):
        href = found["href"]
        assert href.startswith(("/", "#", "http://ok.example", "https://")), href
        if found.get("target"):
            assert found["rel"] == "noopener noreferrer"


@pytest.mark.parametrize("page", [Page.CODE, Page.OPEN, Page.REPLY])
def test_every_field_has_a_label_and_its_error(pages: Pages, page: Page) -> None:
    checked = Checked(pages.render(page.value, "en", **values(page)))
    labelled = {found.get("for") for found in checked.all("label")}
    for found in (*checked.all("input"), *checked.all("textarea")):
        if found.get("type") not in ("hidden", "checkbox"):
            assert found["id"] in labelled
    assert all(found["aria-describedby"] in checked.ids for _, found in checked.tags if "aria-describedby" in found)
    assert "error" in checked.ids


@pytest.mark.parametrize("page", [one for one in Page if one not in (Page.READ, Page.VIEW, Page.REPLY)])
def test_no_other_page_knows_the_message(pages: Pages, page: Page) -> None:
    secret = {**values(Page.READ), **values(page)}
    text = pages.render(page.value, "en", **secret)
    assert "ida@corp.example" not in text and READER not in text and "a.png" not in text


def test_what_may_not_be_done_is_not_offered(pages: Pages) -> None:
    free = pages.render("read", "en", **values(Page.READ))
    bound = pages.render("read", "en", **values(Page.READ, DO_NOT_FORWARD))
    for path in ("/original", "/zip", "/file/1", "/file/2"):
        assert f"/m/{TOKEN}{path}" in free
        assert f"/m/{TOKEN}{path}" not in bound
    assert f"/m/{TOKEN}/view/1" in bound and f"/m/{TOKEN}/reply?all=1" in bound
    assert "Do not forward" in bound and "Do not print" in bound and "Do not save" in bound
    assert "Do not forward" not in free
    assert 'class="page-read"' in free and 'class="page-read unprinted"' in bound
    shut = pages.render("read", "en", **values(Page.READ, frozenset({Right.VIEW})))
    assert f"/m/{TOKEN}/reply" not in shut and "No answers" in shut
    assert f"/m/{TOKEN}/original" in pages.render("read", "en", **values(Page.READ, frozenset({Right.OWNER})))


def test_a_shown_file_is_saved_only_by_who_may(pages: Pages) -> None:
    assert f"/m/{TOKEN}/file/1" in pages.render("view", "en", **values(Page.VIEW))
    assert f"/m/{TOKEN}/file/1" not in pages.render("view", "en", **values(Page.VIEW, DO_NOT_FORWARD))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_pdf_that_may_not_be_saved_is_shown_as_pictures_of_its_pages(pages: Pages, language: str) -> None:
    """A browser's own viewer saves what it shows, also without its bar."""
    free = pages.render("view", language, **{**values(Page.VIEW), "kind": "pdf"})
    assert free.count("?raw=1") == 2
    part = PdfPart(25, (PdfPage(10, 1240, 1754, EVIL), PdfPage(11, 1240, 1754, "")))
    bound = pages.render("view", language, **{**values(Page.VIEW, DO_NOT_FORWARD), "kind": "pdf", "pdf": part})
    checked = Checked(bound)
    assert "raw=1" not in bound and "/file/" not in bound and not checked.all("iframe")
    sheets = [one for one in checked.all("img") if one.get("class") == "sheet"]
    assert [one["src"] for one in sheets] == [f"/m/{TOKEN}/view/1?page={one}" for one in (10, 11)]
    assert all(one["alt"] for one in sheets) and len(checked.all("details")) == 1
    assert bound.count(f'href="/m/{TOKEN}/view/1?from=0"') == bound.count(f'href="/m/{TOKEN}/view/1?from=12"') == 2


def test_a_pdf_that_can_neither_be_drawn_nor_saved_says_what_to_do(pages: Pages) -> None:
    text = pages.render("view", "en", **{**values(Page.VIEW, DO_NOT_FORWARD), "kind": "pdf", "pdf": None})
    assert "Ask the sender" in text and "raw=1" not in text and not Checked(text).all("iframe")


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        (FileKind.PICTURE, f'<img src="/m/{TOKEN}/part/1"'),
        (FileKind.PDF, f'src="/m/{TOKEN}/view/1?raw=1"'),
        (FileKind.TEXT, "&lt;script&gt;alert(1)&lt;/script&gt;"),
        (FileKind.MESSAGE, "<h2 dir=\"auto\">Inside</h2>"),
    ],
)  # fmt: skip
def test_each_kind_of_file_is_shown_in_its_way(pages: Pages, kind: FileKind, sign: str) -> None:
    inner = message_view(b"Subject: Inside\r\n\r\ninner")
    given = {**values(Page.VIEW), "kind": kind.value, "text": EVIL, "message": inner, "is_whole": False}
    text = pages.render("view", "en", **given)
    Checked(text)
    assert sign in text and "Only the beginning is shown" in text


def test_html_stands_in_a_frame_and_pictures_from_elsewhere_are_asked_for(pages: Pages) -> None:
    view = message_view(b"Content-Type: text/html\r\n\r\n<p>rich</p><img src=https://e.example/x>")
    given = {**values(Page.READ), "view": view}
    frame = Checked(text := pages.render("read", "en", **given)).all("iframe")[0]
    assert frame["src"] == f"/m/{TOKEN}/body" and "allow-scripts" not in frame["sandbox"]
    assert f'href="/m/{TOKEN}/read?images=1"' in text
    asked = pages.render("read", "en", **{**given, "images": True})
    assert Checked(asked).all("iframe")[0]["src"] == f"/m/{TOKEN}/body?images=1"
    assert "read?images=1" not in asked
    evil = {**given, "room": Measure((EVIL, "second\nline"), 2)}
    room = Checked(pages.render("read", "en", **{**evil, "room": Measure((EVIL, "second\nline"), 2, 3)})).all("div")
    assert [one["aria-hidden"] for one in room if one.get("class") == "measure"] == ["true"]
    full = pages.render("read", "en", **{**given, "room": None})
    assert 'class="fit full"' in full and 'class="measure"' not in full
    plain = pages.render("read", "en", **{**given, "plain": True})
    assert "<iframe" not in plain and ">rich" in plain


def test_a_reader_goes_back_to_a_page_that_can_be_asked_for(pages: Pages) -> None:
    for path, back in (
        (f"/m/{TOKEN}/open", f"/m/{TOKEN}/code"),
        (f"/m/{TOKEN}/leave", f"/m/{TOKEN}"),
        (f"/m/{TOKEN}/read", f"/m/{TOKEN}/read"),
        ("/language", "/"),
    ):
        text = pages.render("home", "en", **{**values(Page.HOME), "path": path})
        assert f'<input type="hidden" name="next" value="{back}">' in text


@pytest.mark.parametrize(
    ("error", "says"),
    [("code_ended", "no longer valid"), ("slowed", "in 3 minutes"), (None, "another 10 minutes")],
)
def test_the_page_for_a_code_says_what_to_do(pages: Pages, error: str | None, says: str) -> None:
    given = {**values(Page.CODE), "error": error, "until": NOW + 130, "tries_left": None}
    text = pages.render("code", "en", **given)
    assert says in text
    assert ('name="code"' in text) == (error != "code_ended")
    assert 'autocomplete="one-time-code"' in text or error == "code_ended"


@pytest.mark.parametrize("page", [Page.CODE, Page.SLOWED])
@pytest.mark.parametrize(("seconds", "has_door"), [(130, True), (60, True), (130, False)])
def test_who_waits_for_long_hears_of_the_mail_that_lets_him_in(
    pages: Pages, page: Page, seconds: int, has_door: bool
) -> None:
    given = {**values(page), "error": "slowed", "until": NOW + seconds, "has_door": has_door, "tries_left": None}
    assert ("you need not wait" in pages.render(page.value, "en", **given)) == (has_door and seconds > 60)


REPLY_ERRORS = ("nothing", "too_large", "too_many", "slow", "nobody", "slowed", "refused", "away")


@pytest.mark.parametrize("language", LANGUAGES)
def test_between_two_sentences_of_a_notice_is_room(pages: Pages, language: str) -> None:
    slowed = {**values(Page.CODE), "error": "slowed", "until": NOW + 900, "has_door": True, "tries_left": None}
    wrong = {**values(Page.CODE), "error": "wrong_code", "tries_left": 2}
    texts = [pages.render("code", language, **one) for one in (slowed, wrong)]
    texts += [pages.render("reply", language, **{**values(Page.REPLY), "error": one}) for one in REPLY_ERRORS]
    for text in texts:
        found = re.search(r'<div class="notice error".*?</div></div>', text, re.DOTALL)
        assert found is not None
        said = re.sub("<[^>]+>", "", re.sub("</?(?:p|div)[^>]*>", "\n", found[0]))
        assert not re.search(r"[.?!\u061f][^\W\d_]", said), said


@pytest.mark.parametrize(
    ("page", "error", "is_wrong"),
    [
        (Page.CODE, "wrong_code", True),
        (Page.CODE, "slowed", False),
        (Page.OPEN, "damaged", True),
        (Page.OPEN, "slowed", False),
        (Page.OPEN, "needs_file", False),
    ],
)
def test_a_field_is_called_wrong_only_for_what_stood_in_it(
    pages: Pages, page: Page, error: str, is_wrong: bool
) -> None:
    text = pages.render(page.value, "en", **{**values(page), "error": error, "tries_left": None})
    assert ('aria-invalid="true"' in text) == is_wrong and 'aria-describedby="error"' in text


def test_an_answer_that_nobody_would_get_is_not_asked_for(pages: Pages) -> None:
    given = {**values(Page.REPLY), "error": "nobody", "addressees": None}
    text = pages.render("reply", "en", **{**given, "text": ""})
    assert "<textarea" not in text and "ida@corp.example" not in text and "names nobody" in text
    assert "<textarea" in pages.render("reply", "en", **{**given, "text": "typed already"})


@pytest.mark.parametrize("page", [Page.NOT_FOUND, Page.NOT_A_READER])
def test_who_came_by_no_link_is_shown_where_his_file_is_opened(pages: Pages, page: Page) -> None:
    link = '<a href="/open">Open the file here</a>'
    assert link in pages.render(page, "en", **values(page))
    assert link not in pages.render(Page.EXPIRED, "en", **values(Page.EXPIRED))


def test_the_page_of_a_code_that_has_ended_is_not_called_after_a_field_it_lacks(pages: Pages) -> None:
    text = pages.render("code", "en", **{**values(Page.CODE), "error": "code_ended", "tries_left": 0})
    assert "<h1>Ask for a new code</h1>" in text and "Type your code" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_people_are_called_does_not_turn_the_words_around_it(pages: Pages, language: str) -> None:
    assert f'<bdi dir="ltr">{READER}</bdi>' in pages.render("read", language, **values(Page.READ))
    assert "<bdi>Corp " in pages.render("home", language, **values(Page.HOME)).partition("<h1>")[2]


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_and_mail_have_one_name_for_the_reference_of_a_code(language: str) -> None:
    assert catalogues()[language].gettext("Reference").lower() in WORDINGS[language].code_reference.lower()


@pytest.mark.parametrize(
    ("language", "octets", "says"),
    [
        ("en", 25 << 20, "25\u00a0MB"),
        ("de", 1_300_000, "1,2\u00a0MB"),
        ("ar", 25 << 20, "25\u00a0\u0645\u064a\u063a\u0627\u0628\u0627\u064a\u062a"),
        ("en", 9, "9\u00a0bytes"),
    ],
)
def test_a_size_is_one_word_and_ends_no_sentence(language: str, octets: int, says: str) -> None:
    assert size(octets, Locale(language)) == says


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_line_ends_within_the_word_email(pages: Pages, language: str) -> None:
    for page in Page:
        assert not re.search("e-mail", pages.render(page.value, language, **values(page)), re.IGNORECASE)


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_no_text_is_without_a_translation(language: str) -> None:
    texts = template_texts()
    place = Path(__file__).parents[4] / "gateway/portal/locale" / language / "portal.po"
    assert place.read_bytes() == merged(language, texts), "run python -m gateway.portal.pages.extraction"
    known = merged(language, texts).decode()
    assert not re.search(r'\nmsgstr(\[\d\])? ""\n(?!")', known.partition("\n#: ")[2])


def test_translations_keep_what_is_put_in(pages: Pages) -> None:
    for language in LANGUAGES:
        text = pages.render("code", language, **values(Page.CODE))
        assert "%(" not in text
        assert "4" in text and "10" in text


@pytest.mark.parametrize("colour", ["#0b4f6c", "#ffffff", "#000000", "#ffe600", "#7f7f7f", "#e11d48"])
def test_any_colour_can_be_read(colour: str) -> None:
    made = palette(colour)
    assert contrast(made.brand, made.ink) >= READABLE
    sheet = (Path(__file__).parents[4] / "gateway/portal/static/portal.css").read_text()
    day, night = sheet.partition("@media (prefers-color-scheme: dark)")[::2]
    for ground in ("surface", "sunken", "info-ground"):
        assert contrast(made.accent, _colour(day, ground)) >= READABLE
        assert contrast(made.glow, _colour(night, ground)) >= BRIGHT
    assert f"--brand:{colour}" in style_of(made)


def _colour(sheet: str, name: str) -> str:
    found = re.search(rf"--{name}: (#[0-9a-f]{{3,6}});", sheet)
    assert found is not None
    return found[1] if len(found[1]) == 7 else "#" + "".join(letter * 2 for letter in found[1][1:])


def test_text_can_be_read_on_every_ground() -> None:
    sheet = (Path(__file__).parents[4] / "gateway/portal/static/portal.css").read_text()
    day, night = sheet.partition("@media (prefers-color-scheme: dark)")[::2]
    for part in (day, night):
        for text, grounds in (
            ("text", ("ground", "surface", "sunken", "info-ground", "bad-ground")),
            ("soft", ("ground", "surface", "sunken")),
            ("good", ("good-ground",)),
            ("bad", ("bad-ground",)),
        ):
            for ground in grounds:
                assert contrast(_colour(part, text), _colour(part, ground)) >= READABLE, (text, ground)


def test_the_branding_brings_its_files(pages: Pages) -> None:
    assert pages.static("brand.css") == style_of(palette(BRANDING.color)).encode()
    assert (pages.static("icon.svg") or b"").startswith(b"<svg ")
    assert pages.static("portal.css") is None  # It is a file, for everybody the same.
    assert pages.static("../pages.py") is None


def test_addresses_in_a_text_can_be_followed() -> None:
    assert linked('see http://a.example/x?y=1&z="<b>, (https://b.example).') == (
        'see <a href="http://a.example/x?y=1&amp;z=" target="_blank" rel="noopener noreferrer">http://a.example/x?y=1&amp;z=</a>'
        '&#34;&lt;b&gt;, (<a href="https://b.example" target="_blank" rel="noopener noreferrer">https://b.example</a>).'
    )
    assert linked("javascript:alert(1)") == "javascript:alert(1)"
    assert linked("http://... https://!") == "http://... https://!"


@pytest.mark.parametrize("text", ["http://" * 300_000, ("http://" + "." * 300_000 + "x") * 4])
def test_what_only_looks_like_addresses_is_read_once(text: str) -> None:
    """Attack: a text of a few octets more kept the process for minutes."""
    began = monotonic()
    assert linked(text) == text if text.endswith("//") else "<a " not in linked(text)
    assert monotonic() - began < 2
