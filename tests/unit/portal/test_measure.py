"""How much room a message's frame will want: the text that is laid out unseen behind it."""

from __future__ import annotations

import pytest

from gateway.portal.measure import MAX_HTML, MAX_LETTERS, MAX_PICTURES, Measure, measure
from gateway.portal.message_view import MessageView, message_view

SHEET = "<style>p{margin:0}</style>"


def view(html: str) -> MessageView:
    return message_view(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + html.encode())


def blocks(html: str) -> tuple[str, ...]:
    found = measure(view(html), images=False)
    assert found is not None
    return found.blocks


def test_paragraphs_are_blocks_and_breaks_are_lines() -> None:
    assert blocks(f"{SHEET}<p>Dear <b>Otto</b>,</p><p>one<br>two</p>") == ("Dear Otto,", "one\ntwo")


def test_items_and_rows_stand_under_each_other_without_a_gap_and_cells_beside_each_other() -> None:
    assert blocks("<ul><li>one</li><li>two</li></ul><p>Ida</p>") == ("one\ntwo", "Ida")
    (rows,) = blocks("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td><td>d</td></tr></table>")
    assert [line.split() for line in rows.split("\n")] == [["a", "b"], ["c", "d"]]


def test_an_alternative_in_plain_text_does_not_count() -> None:
    both = (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n"
        + b"long\r\n" * 900
        + b"--b\r\nContent-Type: text/html\r\n\r\n<p>short</p>\r\n--b--\r\n"
    )
    assert measure(message_view(both), images=False) == Measure(("short",))


def test_pictures_want_room_from_elsewhere_where_they_are_shown() -> None:
    one = view("<p>x</p><img src=https://e.example/a><img src=https://e.example/b>")
    assert measure(one, images=False) == Measure(("x",), 0)
    assert measure(one, images=True) == Measure(("x",), 2)


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("<table>", 0),
        ('<table border="0" cellpadding=0 cellspacing=0>', 0),
        ("<TABLE border=1>", 3),
        ('<table width=600 cellpadding="8">', 3),
        ("<table cellpadding=1>", 0),
        ("<table><tr><td><table border='1'>", 3),
    ],
)
def test_rows_with_borders_are_higher_than_their_words(table: str, rows: int) -> None:
    found = measure(view(f"<p>x</p>{table}<tr><td>a</td></tr><tr><td>b</td></tr></table>"), images=False)
    assert found is not None and found.rows == rows


@pytest.mark.parametrize(
    "html",
    ["x" * (MAX_LETTERS + 1), "<p>x</p>" + "<i></i>" * (MAX_HTML // 7), "<img src=//e.example/a>" * (MAX_PICTURES + 1)],
    ids=["letters", "markup", "pictures"],
)
def test_what_is_long_has_as_much_room_as_there_is(html: str) -> None:
    assert measure(view(html), images=True) is None


def test_a_message_without_html_has_no_frame() -> None:
    assert measure(message_view(b"\r\nplain"), images=False) is None


def test_what_stands_behind_the_frame_is_no_word_that_is_named_or_hidden() -> None:
    """The measure is as long as what the reader sees."""
    assert blocks("<p>seen</p><script>alert(1)</script><!-- gone --><p style='display:none'>hidden</p>") == ("seen",)
    assert "alert" not in repr(measure(view("<p>seen</p>"), images=False))
