"""Any octets as a message on the portal: it is shown, and what is shown runs, loads and sends nothing."""

from __future__ import annotations

import os
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.portal.file_kind import FileKind
from gateway.portal.html_view import body_document
from gateway.portal.message_view import attached_message, file_text, message_view
from gateway.portal.shown_file import served_headers
from tests.fakes.walls import judge

pytestmark = pytest.mark.fuzz

SECONDS = float(os.environ.get("GATEWAY_FUZZ_SECONDS", "10"))
PIECES = st.sampled_from(
    [
        "<", ">", "</", "/>", "\"", "'", "=", " ", "\t", "\x00", "\x0c", "&", "&#", ";", "<!--", "-->", "<![CDATA[",
        "]]>", "<?", "script", "style", "svg", "math", "mglyph", "mtext", "foreignObject", "template", "noscript",
        "title", "textarea", "select", "table", "td", "p", "a", "img", "form", "input", "iframe", "srcdoc", "meta",
        "base", "body", "html", "onerror", "onload", "href", "src", "srcset", "xlink:href", "action", "javascript:",
        "data:text/html,", "data:image/png;base64,AA==", "cid:a", "https://e.example/", "//e.example", "/m/t/leave",
        "url(", ")", "@import ", "expression(", "{", "}", ":", "\\", "/*", "*/", "color:red", "background:",
        "<style>", "</style>", "<svg>", "<script>", "</script>", "<p style=\"", "<a href=\"", "<img src=\"",
        "alert(1)", "\u202e", "\ud83d\ude00",
    ]
)  # fmt: skip
HTML = st.lists(PIECES | st.text(max_size=4), max_size=40).map("".join)
HEADS = st.sampled_from(
    [
        "", "From: a <b@c>, \"x", "To: =?utf-8?q?", "Date: 1 Jan 26 0:00", "Subject: \xe4", "Content-ID: <a>",
        "Content-Type: image/png", "Content-Disposition: attachment; filename=\"../a\"",
        "Content-Transfer-Encoding: base64", "Content-Type: message/rfc822", "Content-Type: text/calendar",
        "Content-Type: text/plain; name=a.txt",
    ]
)  # fmt: skip


def message(html: str, heads: list[str], rest: bytes) -> bytes:
    first = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode("utf-8", "surrogatepass")
    second = "\r\n".join(heads).encode() + b"\r\n\r\n" + rest
    head = "\r\n".join(heads[:2]).encode() + b"\r\nContent-Type: multipart/related; boundary=b\r\n\r\n"
    return head + b"--b\r\n" + first + b"\r\n--b\r\n" + second + b"\r\n--b--\r\n"


def check(octets: bytes, *, images: bool) -> None:
    view = message_view(octets)
    judge(body_document(view, "/m/t", images=images).document, "/m/t", images=images)
    for file in view.files:
        assert "/" not in file.name and "\r" not in file.name and file.name.strip()
        assert served_headers(file, inline=images)["Content-Disposition"].isascii()
        assert file_text(file)[0] is not None
        if file.kind is FileKind.MESSAGE:
            assert attached_message(file).html is None


def test_whatever_a_mail_holds_nothing_of_it_runs() -> None:
    end = monotonic() + SECONDS

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(HTML, st.lists(HEADS, max_size=5), st.binary(max_size=40), st.booleans())
    def play(html: str, heads: list[str], rest: bytes, images: bool) -> None:
        check(message(html, heads, rest), images=images)

    while monotonic() < end:
        play()
