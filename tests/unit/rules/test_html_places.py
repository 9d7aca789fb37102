"""Where a disclaimer stands in HTML: where its reader sees it."""

from __future__ import annotations

import time

import pytest

from gateway.rules.html_places import body_places


@pytest.mark.parametrize(
    "html",
    [
        b"<html><body>{1}text{2}</body></html>",
        b"<html><head></head><body class='a>b' bgcolor=#fff>{1}text{2}</BODY ></html>",
        b"<HTML><BODY\r\n>{1}text{2}</body\r\n></html>",
        b"{1}text{2}",
        b"<p>{1}</p>".replace(b"<p>{1}", b"{1}<p>") + b"{2}",
        b"<html>{1}text{2}</html>",
        b"<html><head><title></body></title></head>{1}text{2}</html>",
        b"<!-- <body> --><body>{1}text{2}</body><!-- </body> -->",
        b"<script>'<body></body>'</script><body>{1}text{2}</body>",
        b"<body>{1}a<a title='</body>'>b</a>{2}</body>",
        b"<body>{1}<body>a</body>{2}</body>",
        b"<!DOCTYPE html><body>{1}a < b{2}</body>",
        b"<!--><body>{1}a{2}</body>-->",
        b"<bodyguard>{0}<body>{1}a{2}</body>".replace(b"{0}", b""),
    ],
)
def test_behind_the_first_body_tag_and_in_front_of_the_last_end(html: bytes) -> None:
    bare = html.replace(b"{1}", b"").replace(b"{2}", b"")
    first = html.index(b"{1}")
    last = html.index(b"{2}") - 3
    assert body_places(bare) == (first, last)


@pytest.mark.parametrize(
    "html", [b"<body>a<!-- never closed", b"<body>a<script>x", b"<body>a<a title='", b"<body", b"a<!x"]
)
def test_what_is_never_closed_has_no_sure_end(html: bytes) -> None:
    assert body_places(html) is None


@pytest.mark.parametrize("piece", [b"<", b"<!--", b"<a ", b"<a='", b"<script>", b"</", b"<body", b"<title>"])
def test_hostile_markup_takes_time_in_proportion(piece: bytes) -> None:
    started = time.process_time()
    body_places(piece * (400_000 // len(piece)))
    assert time.process_time() - started < 2.0
