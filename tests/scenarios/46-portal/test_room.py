"""A message is shown whole where there is room for it: its frame is as high as its content, without any script."""

from __future__ import annotations

import pytest

from tests.scenarios.peers.browser import Browser
from tests.scenarios.peers.office import IDA, WORD, Office

PARAGRAPH = f"<p>The figures for the third quarter, {WORD}, came in yesterday, and look better than we thought.</p>"
SHORT = f"<p>Dear Otto,</p>{PARAGRAPH}<p>Best,<br>Ida</p>"
MEDIUM = f"<p>Dear Otto,</p>{PARAGRAPH * 3}<ul><li>bread</li><li>butter</li><li>jam</li></ul><p>Best,<br>Ida</p>"
LONG = f"<p>Dear Otto,</p>{PARAGRAPH * 30}"
ROWS = (
    ("Post", "Betrag", "Fällig"),
    ("Grundsteuer", "12.345,00", "30.11.2026"),
    ("Versicherung", "980,50", "1.12.2026"),
)
ADDRESS = "https://portal.corp.example/" + "a" * 80
DATA = "".join(
    f"<tr>{''.join(f'<td>{cell}</td>' for cell in (*row, 'Bitte prüfen und freigeben ' * 4))}</tr>" for row in ROWS
)
# As mails are made: the letter in a table of one column, and a table of figures in that.
TABLE = f"<table width=600><tr><td>{PARAGRAPH}<p>{ADDRESS}</p><table border=1 id=data>{DATA}</table></td></tr></table>"
BROKEN = """() => {
    const inside = document.querySelector("iframe.body").contentDocument, found = [];
    for (const cell of inside.querySelectorAll("td:not(:only-child)")) {
        const words = inside.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
        while (words.nextNode())
            for (const word of words.currentNode.data.matchAll(/[^\\s-]+/g)) {
                const range = inside.createRange();
                range.setStart(words.currentNode, word.index);
                range.setEnd(words.currentNode, word.index + word[0].length);
                if (new Set([...range.getClientRects()].map(one => one.top)).size > 1) found.push(word[0]);
            }
    }
    return found;
}"""
HEIGHTS = """() => {
    const frame = document.querySelector("iframe.body"), inside = frame.contentDocument;
    return [frame.clientHeight, inside.body.scrollHeight, innerHeight, frame.getBoundingClientRect().width];
}"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(("name", "html"), [("short", SHORT), ("medium", MEDIUM), ("long", LONG)])
def test_a_frame_is_as_high_as_its_message(office: Office, browser: Browser, width: int, name: str, html: str) -> None:
    subject, reader = f"[secure] Room {name} {width}", office.somebody()
    data = f"From: {IDA}\nTo: {reader}\nSubject: {subject}\nMIME-Version: 1.0\nContent-Type: text/html\n\n{html}\n"
    file = office.gateway.folder.with_name(f"room-{name}-{width}.eml")
    file.write_text(data)
    office.send(subject, reader, more=("--data", f"@{file}"))
    came = office.mailbox(reader).wrapped(subject)
    person = office.person_of(office.signed_in(came), width, script=True)
    person.go(f"{came.link}/read")
    assert WORD in person.letter
    person.picture(f"9-room-{name}")
    assert person.overflows() == 0 and person.complaints == []
    frame, content, window, _ = person.page.evaluate(HEIGHTS)
    if name == "long":
        most = 0.75 * window if width < 640 else max(576, window - 192)
        assert abs(frame - most) <= 1 and content > frame, "it scrolls by itself"
    else:
        assert content <= frame <= max(content + 40, 160), (frame, content)
        assert frame < 0.75 * window or content > 0.7 * window
    assert WORD not in person.text, "what is laid out behind the frame is seen by nobody"


@pytest.mark.parametrize("width", [360, 1280])
def test_no_column_is_so_narrow_that_its_words_break(office: Office, browser: Browser, width: int) -> None:
    """A table that has no room scrolls in its frame; the letter around it, and a long address in it, stay as wide."""
    subject, reader = f"[secure] Table {width}", office.somebody()
    head = f"From: {IDA}\nTo: {reader}\nSubject: {subject}\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n"
    file = office.gateway.folder.with_name(f"table-{width}.eml")
    file.write_text(f"{head}Content-Transfer-Encoding: 8bit\n\n{TABLE}\n")
    office.send(subject, reader, more=("--data", f"@{file}"))
    came = office.mailbox(reader).wrapped(subject)
    person = office.person_of(office.signed_in(came), width, script=True)
    person.go(f"{came.link}/read")
    assert WORD in person.letter
    person.picture("9-table")
    assert person.page.evaluate(BROKEN) == []
    assert person.overflows() == 0
    wide = person.page.evaluate("document.querySelector('iframe.body').contentDocument.documentElement.scrollWidth")
    assert wide < max(width, 640), "the address makes it no wider than its figures want"
