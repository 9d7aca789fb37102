"""HTML as its reader sees it."""

from __future__ import annotations

import html as standard
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.reading import read
from gateway.mail.reading.markup import shown
from gateway.mail.reading.stripping import stripped


def seen(html: str) -> list[str]:
    return [" ".join(one.seen.split()) for one in shown(html)]


def hidden(html: str) -> str:
    return " ".join(f"{one.whole} {one.beside}" for one in shown(html))


@pytest.mark.parametrize(
    "html",
    [
        "<p>secret</p>",
        "se<b>cr</b>et",
        "<p>s<span>e</span>c<i></i>ret</p>",
        "se<!-- cut -->cret",
        "se<!-->cret",
        "se<o:p>cret",
        "se<unknown x=1>cret</unknown>",
        "se<wbr>cret",
        "&#115;ecret",
        "&#115ecret".replace("115e", "115;e"),
        "&#x73;&#0000101;cret",
        "se&shy;cret".replace("&shy;", ""),
        "se<span style='display:none'>xxx</span>cret",
        "se<span style='DISPLAY : NONE'><b>x</b>xx</span>cret",
        "se<i hidden>xxx</i>cret",
        "se<span style='font-size:0px'>xxx</span>cret",
        "se<span style='display&#58;none'>xxx</span>cret",
        "se<span style='/**/display:/* */none'>xxx</span>cret",
        "<style>.h{color:red;display:none}</style>se<span class='a h'>xxx</span>cret",
        "<style>p #h , q{visibility:hidden}</style>se<span id=h>xxx</span>cret",
        "<style>p, div > U {display:none}</style>se<u>xx<u>x</u></u>cret",
        "<style>u{displa\\79 :none}</style>se<u class=a>x</u>cret",
        "se<span style='displa\\79:no\\ne'>xxx</span>cret",
        "se<script>xx</script>cret",
        "se<SCRIPT>if (a<b) x()</SCRIPT >cret",
        "se<style>x</style>cret",
        "<div style='display:inline'>se</div><div style='display: inline'>cret</div>",
        "se<a title='<b>' href=x>cret</a>",
        "se<img alt='' src='a>b'>cret",
        "se<!DOCTYPE x>cret",
        "se<?php x ?>cret",
        "se<!--[if mso]>xxx<![endif]-->cret",
        "<!--[if !mso]><!-->secret<!--<![endif]-->",
        "se<![if !mso]>cret<![endif]>",
        "<base href=x>secret",
        "<template>x</template>secret",
    ],
)
def test_a_word_is_whole_that_a_reader_sees_whole(html: str) -> None:
    assert any("secret" in text.split() for text in seen(html)), seen(html)


@pytest.mark.parametrize(
    "html",
    [
        "one<br>two",
        "<p>one<p>two",
        "<td>one</td><td>two",
        "<DIV>one</DIV>two",
        "one</dIv>two",
        "<li>one<li>two",
        "one<hr/>two",
        "one\ntwo",
        "one&nbsp;two".replace("&nbsp;", "\xa0"),
        "<h1>one</h1>two",
        "one <b>two",
    ],
)
def test_words_are_two_that_a_reader_sees_as_two(html: str) -> None:
    assert seen(html) == ["one two"]


@pytest.mark.parametrize(
    "html",
    [
        "<div style='display:none'>secret</div>",
        "<p hidden>secret</p>",
        "<title>secret</title>x",
        "<!--[if mso]><p>secret</p><![endif]-->",
        "<!-- never closed secret",
        "<template>secret</template>",
        "<style>.a{font-size:0}</style><p class=a>secret",
        "<span style='mso-hide:all'>secret</span>",
        "<p style='opacity:0.0'>secret</p>",
        "<p style='max-height:0'>secret</p>",
        "<script>never closed secret",
        "<style>section{font-size:0}</style><section>secret</section>",
        "<style>u{display:none}</style><u>never closed secret",
    ],
)
def test_what_is_hidden_counts_and_is_told_apart(html: str) -> None:
    assert "secret" not in " ".join(seen(html))
    assert "secret" in hidden(html)
    texts = read(b"Content-Type: text/html\r\n\r\n" + html.encode()).texts
    assert {text.hidden for text in texts if "secret" in text.text} == {True}


@pytest.mark.parametrize(
    ("html", "alone"),
    [
        ("<p>hi<span style='display:none'>secret</span></p>", ["secret"]),
        ("hi<i hidden>secr&#101;t</i>there<b hidden>two<br>more</b>", ["secret", "two", "more"]),
        ("<title>first</title>hi<i hidden>secret<i>more</i></i>", ["first", "secretmore"]),
        ("hi<p hidden>secret", ["secret"]),
        ("<p>secret</p>", []),
    ],
)
def test_a_hidden_word_is_one_though_it_touches_another(html: str, alone: list[str]) -> None:
    (one,) = shown(html)
    assert one.beside.split() == alone


@pytest.mark.parametrize(
    "html",
    [
        "<p style='opacity:0.5'>secret</p>",
        "<p style='font-size:0.9em'>secret</p>",
        "<p style='overflow: hidden'>secret</p>",
        "<p style='max-height:0.5em'>secret</p>",
        "<p style='display:block'>secret</p>",
        "<p data-hidden=1>secret</p>",
        "<style>.x{display:none}</style><p class=y>secret</p>",
        "<style>u.x, u:hover, [u], u *, #u{display:none}</style><u>secret</u>",
        "<style>br, p{display:none}</style><br>secret",
        "<br hidden>secret",
        "<p hidden>x</p>secret",
        "<div hidden><div>x</div>y</div>secret",
    ],
)
def test_what_is_not_hidden_is_seen(html: str) -> None:
    assert "secret" in " ".join(seen(html))


@pytest.mark.parametrize(
    "html",
    [
        "<img alt='secret'>",
        '<img ALT="secret" src=x>',
        "<a title=secret>x</a>",
        "<input value='secret'>",
        "<abbr title='&#115;ecret'>x</abbr>",
    ],
)
def test_texts_of_images_and_hints_are_there(html: str) -> None:
    assert "secret" in " ".join(seen(html)).split()


@pytest.mark.parametrize(
    "html", ["<script>secret</script>x", "<style>secret</style>x", "<!-- secret -->x", "<a href=secret>x"]
)
def test_what_nobody_sees_is_left_out(html: str) -> None:
    assert "secret" not in " ".join(seen(html)) + hidden(html)


def test_both_readings_are_offered_where_quotes_divide_readers() -> None:
    found = seen('<a title="x>y">one</a>')
    assert found == ["one x>y", 'y">one']


def test_a_tag_that_never_ends_hides_nothing_from_all_readers() -> None:
    assert any("secret" in text for text in seen('<p>one <a href="x>secret</a>'))


@pytest.mark.parametrize(
    ("entity", "letter"),
    [
        ("&amp;", "&"),
        ("&lt;b&gt;", "<b>"),
        ("&AMP", "&"),
        ("&euro;", "€"),
        ("&#128;", "€"),
        ("&#x20AC", "€"),
        ("&nosuch;", "&nosuch;"),
        ("&notit;", "¬it;"),
        ("&#xD800;", "\ufffd"),
        ("&#0;", "&#0;"),
        ("&#9999999;", "\ufffd"),
        ("&#" + "9" * 9000 + ";", None),
        ("&eacute", "é"),
        ("&", "&"),
        ("&;", "&;"),
    ],
)
def test_entities_are_letters(entity: str, letter: str | None) -> None:
    (found,) = seen(entity)
    if letter is not None:
        assert found == letter


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\u0130"), max_size=20), max_size=8))
def test_what_a_writer_escapes_is_seen(texts: list[str]) -> None:
    html = "".join([f"<p>{standard.escape(text)}</p>" for text in texts])
    plain = " ".join(text for text in (" ".join(text.replace("&#0;", "").split()) for text in texts) if text)
    if "&" not in plain:
        assert " ".join(shown(html)[-1].seen.split()) == plain


@given(st.text("<>!-/[]='\" abpi&;#Xstyle\u0130é", max_size=80))
def test_any_letters_are_read(html: str) -> None:
    for one in shown(html):
        one.seen.encode()
        one.whole.encode()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a",
        "<a ",
        '<a ="',
        "<!--",
        "<!-",
        "<!",
        "<![",
        "<![if ",
        "<style>",
        "<title>",
        "</",
        "&#",
        "&a",
        "<b>",
        "<p hidden>",
        "<i style=display:none>",
        "<br alt=x>",
        '="<',
        "='",
        "<!--[if x]>",
        "<style>a{display:none}</style>",
        "<p class=x>",
        'x="',
        "<title></title>",
        "\u0130",
        "<a b='>",
        "display:none ",
        "<xml>",
        "<!--[if x]><xml>",
    ],
)
def test_hostile_html_takes_bounded_time(piece: str) -> None:
    html = piece * (500_000 // len(piece))
    begin = monotonic()
    shown(html)
    shown("<style>.x{display:none}</style>" + html + "<p title='>' hidden>")
    assert monotonic() - begin < 10


def test_comments_and_sheets_are_taken_out() -> None:
    parts = stripped("a<!-- x -->b<style>s</style>c<titles>d")
    assert parts.seen == "abc<titles>d"
    assert parts.whole is parts.seen
    assert parts.styles == ["s"]
