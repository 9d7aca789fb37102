"""A mail's HTML, made harmless. Attacks of our own making; a parser of its own judges what is left of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from gateway.portal.html_view import MAX_ATTRIBUTES, MAX_DEPTH, MAX_TAGS, SANDBOX, body_document, frame_policy
from gateway.portal.message_view import MessageView, message_view
from tests.fakes.walls import judge

BASE = "/m/token"
PNG = b"\x89PNG\r\n\x1a\n"
ATTACKS = [
    "<script>alert(1)</script>", "<SCRIPT SRC=//e.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>", "<img src=x onerror=alert(1)>", "<img src='x' OnErRoR='alert(1)'>",
    "<img/src=x/onerror=alert(1)>", "<body onload=alert(1)>", "<p style=\"background:url('javascript:alert(1)')\">",
    "<a href=javascript:alert(1)>x</a>", "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>", "<a href='\x01javascript:a()'>x</a>", "<a href='vbscript:x'>x</a>",
    "<a href='data:text/html,<script>1</script>'>x</a>", "<a href='//e.example/'>x</a>",
    "<a href='/m/token/leave'>x</a>", "<a href='cid:x'>x</a>", "<a href='file:///etc/passwd'>x</a>",
    "<a href=https://ok.example ping=https://e.example>x</a>", "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>", "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><style><img src=x onerror=alert(1)></style>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><img src=x onerror=alert(1)></template>",
    "<form action=https://e.example><input name=password><button>Go</button></form>",
    "<input autofocus onfocus=alert(1)>", "<iframe src=https://e.example></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>", "<object data=https://e.example></object>",
    "<embed src=https://e.example>", "<meta http-equiv=refresh content='0;url=//e'>",
    "<base href=https://e.example/>", "<link rel=stylesheet href=https://e.example/x.css>",
    "<video poster=https://e.example>", "<audio src=https://e.example autoplay>",
    "<img srcset='https://e.example 1x'>", "<img src=//e.example/x.gif>", "<img src=' https://e.example/x.gif'>",
    "<img src='HTTP://e.example/x.gif'>", "<img src=/m/token/leave>", "<img src=../read>",
    "<img src='data:image/svg+xml;base64,PHN2Zz4='>", "<img src='data:text/html;base64,PHA+'>",
    "<table background=https://e.example>", "<style>@import url(https://e.example/x.css);</style>",
    "<style>@import 'https://e.example/x.css';</style>", "<style>p{background:url(https://e.example)}</style>",
    "<style>p{background:u\\72l(https://e.example)}</style>",
    "<style>p{background:image-set('https://e.example' 1x)}</style>",
    "<style>@font-face{font-family:x;src:url(//e)}</style>",
    "<style>p{color:red}</style><img src=x onerror=alert(1)></style>", "<style></style\t><script>alert(1)</script>",
    "<style>a::after{content:'</style><script>alert(1)</script>'}</style>",
    "<style><!--</style><script>1</script>-->", "<p style='behavior:url(x.htc)'>",
    "<p style='-moz-binding:url(//e)'>", "<p style='width:expression(alert(1))'>",
    "<p style=\"color:red;}</style><script>alert(1)</script>\">",
    "<p style='background-image:url(https://e.example)'>",
    "<p style='color:red' style='background:url(https://e.example)'>",
    "<body style=\"x:y;background:url('//e')\" onload=x()>",
    "<body style='&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;'>", "<body bgcolor='red;background:url(//e)'>",
    "<p title='\"><script>alert(1)</script>'>", "<p id='\"><img src=x onerror=alert(1)>'>",
    "<!--><script>alert(1)</script>-->", "<!--[if mso]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<script>alert(1)</script>]]>", "<?php <script>1</script> ?>", "<xmp><script>alert(1)</script></xmp>",
    "<plaintext><script>", "<textarea><img src=x onerror=alert(1)></textarea>",
    "<title><img src=x onerror=alert(1)></title>", "<select><option><script>1</script></select>",
    "</body></html><script>1</script>", "<a href='https://e.example/\"onclick=alert(1) x=\"'>x</a>",
    "<details open ontoggle=alert(1)>", "<marquee onstart=alert(1)>", "<p\x00 onclick=alert(1)>",
    "<\x00script>alert(1)</script>", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-", "<a name=x id=y>",
]  # fmt: skip


def html_view(html: str, *more: bytes) -> MessageView:
    octets = html.encode("utf-8", "surrogatepass")
    first = b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + octets
    if not more:
        return message_view(b"MIME-Version: 1.0\r\n" + first)
    parts = b"".join(b"\r\n--b\r\n" + part for part in (first, *more))
    return message_view(
        b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=b\r\n" + parts + b"\r\n--b--\r\n"
    )


def picture(identity: str, octets: bytes = PNG) -> bytes:
    return f"Content-Type: image/png; name=a.png\r\nContent-ID: <{identity}>\r\n\r\n".encode() + octets


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_runs_loads_or_sends(attack: str, images: bool) -> None:
    for around in (
        "{}",
        "<table><tr><td>{}",
        "<p title=x>{}</p><b>after</b>",
        "<html><head>{}</head><body>text</body></html>",
    ):
        document = body_document(html_view(around.format(attack)), BASE, images=images).document
        judge(document, BASE, images=images)


@pytest.fixture(scope="module")
def corpus_views(corpus: Path) -> Iterator[list[MessageView]]:
    yield [message_view(file.read_bytes()) for file in sorted((corpus / "mime").iterdir())]


def test_mail_of_the_corpus_passes_the_walls(corpus_views: list[MessageView]) -> None:
    assert sum(view.html is not None for view in corpus_views) > 20
    for view in corpus_views:
        judge(body_document(view, BASE, images=True).document, BASE, images=True)


def test_the_judge_sees_what_must_not_pass() -> None:
    with pytest.raises(AssertionError):
        judge("<meta><meta><meta><img src=x onerror=alert(1)>", BASE, images=False)


def test_form_and_style_of_a_usual_mail_stay() -> None:
    html = (
        "<html><head><style>.box{border:1px solid #ccc} @media (max-width:600px){.box{width:100%!important}}"
        "</style></head>"
        "<body style='background-color:#eee'><table class=box bgcolor='#ffffff' cellpadding=4><tr><td align=center>"
        "<p style='color:#333;font-family:Arial, sans-serif'>Hello <b>you</b></p></td></tr></table></body></html>"
    )
    document = body_document(html_view(html), BASE, images=False).document
    assert ".box{border:1px solid #ccc}" in document
    assert "@media (max-width:600px){.box{width:100% !important}}" in document
    assert 'dir="auto" style="background-color:#eee"' in document
    assert '<table class="box" bgcolor="#ffffff" cellpadding="4">' in document
    assert '<p style="color:#333;font-family:Arial, sans-serif">Hello <b>you</b></p>' in document


def test_links_open_pages_that_know_nothing_of_this_one() -> None:
    document = body_document(html_view("<a href='https://ok.example/?a=1&amp;b=2'>x</a>"), BASE, images=False).document
    assert '<a href="https://ok.example/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">x</a>' in document


def test_pictures_of_the_mail_come_from_the_portal() -> None:
    view = html_view(
        "<img src='cid:one%40x'><img src=\"CID:two@x\"><img src=cid:none>", picture("one@x"), picture("two@x")
    )
    document = body_document(view, BASE, images=False).document
    assert '<img src="/m/token/part/1"><img src="/m/token/part/2"><img>' in document
    assert [file.is_in_text for file in view.files] == [True, True]


def test_what_only_says_that_it_is_a_picture_is_not_drawn() -> None:
    view = html_view("<img src='cid:one'>", picture("one", b"<svg onload=alert(1)>"))
    assert "/part/" not in body_document(view, BASE, images=False).document
    assert view.listed == view.files  # It is a file like any.


def test_pictures_from_elsewhere_wait_until_they_are_asked_for() -> None:
    view = html_view("<img src=http://e.example/a.gif><img src=//e.example/b.gif><img src='https://e.example/c.gif'>")
    assert view.has_remote
    blocked = body_document(view, BASE, images=False)
    assert "e.example" not in blocked.document
    assert blocked.blocked == 3
    shown = body_document(view, BASE, images=True)
    assert shown.document.count('<img src="https://e.example/') == 3  # Never in clear, whatever the mail says.
    assert shown.blocked == 0


def test_a_mail_without_pictures_from_elsewhere_has_none() -> None:
    assert not html_view("<p>https://e.example/a.gif</p><img src='cid:x'>").has_remote


def test_the_policy_lets_nothing_run_whatever_nh3_leaves() -> None:
    quiet, asked = frame_policy(images=False), frame_policy(images=True)
    for policy in (quiet, asked):
        assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; ")
        assert "script-src" not in policy and "unsafe-eval" not in policy
        assert "form-action 'none'; base-uri 'none'; frame-ancestors 'self'" in policy
        assert policy.endswith(f"sandbox {SANDBOX}")
    assert "https:" not in quiet and "img-src 'self' data: https:;" in asked
    assert not {"allow-scripts", "allow-forms", "allow-top-navigation", "allow-modals"} & set(SANDBOX.split())


def test_text_alone_is_text() -> None:
    view = message_view(b"Subject: x\r\n\r\n<script>alert(1)</script> & more\r\n")
    document = body_document(view, BASE, images=False).document
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in document


MANY = "".join(f" a{number}" for number in range(MAX_ATTRIBUTES + 1))


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * (MAX_DEPTH + 1) + "deep",
        "<i></i>" * (MAX_TAGS + 1) + "deep",
        f"<p{MANY}>deep",
        f'<p x=">"{MANY}>deep',
        f"<!-- <p a=\" --><p =\" a='>'{MANY}>deep",
        f'<p=" a=">"{MANY}>deep',
        f'<p a=="b c=">"{MANY}>deep',
        f"<i></i{MANY}>deep",
    ],
)
def test_what_would_take_a_parser_long_is_shown_as_text(html: str) -> None:
    document = body_document(html_view(html), BASE, images=False).document
    assert '<div class="plain">' in document and "deep</div>" in document


def test_sheets_without_an_end_are_not_looked_for_each_on_its_own() -> None:
    """Attack: what took two minutes, in which the process did nothing else."""
    html = "<p>here" + "<style</style" * (MAX_TAGS - 10) + "x" * 2_000_000
    began = monotonic()
    body_document(html_view(html), BASE, images=False)
    assert monotonic() - began < 10


def test_long_tables_are_not_deep() -> None:
    html = "<table>" + "<tr><td>x" * 900 + "</table>"
    assert "<td>x" in body_document(html_view(html), BASE, images=False).document


def test_what_must_not_be_printed_has_no_form_for_paper() -> None:
    view = html_view("<style>@media print{html{display:block!important}}</style>text")
    guard = "@media print{@layer guard{html,body{display:none!important}}}"
    assert guard in body_document(view, BASE, images=False, printable=False).document
    assert guard not in body_document(view, BASE, images=False).document
