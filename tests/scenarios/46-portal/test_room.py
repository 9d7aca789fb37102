"""A message is shown whole where there is room for it: its frame is as high as its content, without any script."""

from __future__ import annotations

import pytest

from tests.scenarios.peers.browser import Browser
from tests.scenarios.peers.office import IDA, WORD, Office

PARAGRAPH = f"<p>The figures for the third quarter, {WORD}, came in yesterday, and look better than we thought.</p>"
SHORT = f"<p>Dear Otto,</p>{PARAGRAPH}<p>Best,<br>Ida</p>"
MEDIUM = f"<p>Dear Otto,</p>{PARAGRAPH * 3}<ul><li>bread</li><li>butter</li><li>jam</li></ul><p>Best,<br>Ida</p>"
LONG = f"<p>Dear Otto,</p>{PARAGRAPH * 30}"
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
