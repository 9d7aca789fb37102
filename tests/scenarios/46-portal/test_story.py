"""The whole story by a browser: without scripts on a phone, with them at a desk."""

from __future__ import annotations

import re
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.fakes.pdf import pdf
from tests.scenarios.peers.browser import DESK, PHONE, Browser, Person, png
from tests.scenarios.peers.office import ANNA, BERT, IDA, OTTO, WORD, Office
from tests.scenarios.peers.portal import RPMSG, read
from tests.scenarios.peers.ports import until

ASK = re.compile("code", re.IGNORECASE)
TYPE = re.compile("open|read|continue", re.IGNORECASE)
REPLY, SEND = re.compile("^reply$", re.IGNORECASE), re.compile("send", re.IGNORECASE)
LEAVE = re.compile("sign out", re.IGNORECASE)
NAME = "Übersicht 2026 (Q3).pdf"
PDF = b"%PDF-1.4\n" + bytes(range(256)) * 40 + b"\n%%EOF\n"
SEAL = png(170, 70)


def letter(subject: str, *to: str, attached: bytes = PDF) -> bytes:
    """Text, HTML with a picture inside and one elsewhere, and an attachment with a name of its own."""
    message = EmailMessage()
    message["From"] = f"Ida Berg <{IDA}>"
    message["To"] = ", ".join(to)
    message["Subject"] = subject
    message["Message-ID"] = f"<{abs(hash(subject))}@corp.example>"
    message["Date"] = "Thu, 26 Nov 2026 09:30:00 +0100"
    message.set_content(f"Good morning, {WORD}.\n")
    message.add_alternative(
        f"<p>Good morning, <b>{WORD}</b>.</p><p><img src='cid:seal' alt='our seal'>"
        "<img src='https://tracker.example/open.gif' alt='a counter'></p>",
        subtype="html",
    )
    html = message.get_payload()[1]
    html.add_related(SEAL, "image", "png", cid="<seal>", filename="seal.png")
    message.add_attachment(attached, "application", "pdf", filename=NAME)
    return bytes(message).replace(b"\r\n", b"\n")


def look(person: Person, name: str, script: bool) -> None:
    """The page as a person would judge it, and a picture of it."""
    person.picture(name)
    assert person.overflows() == 0, f"{name} is wider than {person.width} pixels"
    if script:
        assert person.barriers() == [], name
    assert not [one for one in person.tabs() if one.endswith("(no outline)")], name


@pytest.mark.parametrize(("width", "script"), [(PHONE, False), (DESK, True)])
def test_a_stranger_reads_answers_and_leaves(
    office: Office, browser: Browser, width: int, script: bool, tmp_path: Path
) -> None:
    subject = f"[secure] Figures for {width}"
    file = tmp_path / "letter.eml"
    file.write_bytes(letter(subject, f"Otto <{OTTO}>", ANNA, BERT))
    office.send(subject, OTTO, ANNA, BERT, more=("--data", f"@{file}"))
    otto, anna = office.mailbox(OTTO), office.mailbox(ANNA)
    came = otto.wrapped(subject)
    assert WORD not in str(came.octets) and NAME not in str(came.octets)
    assert anna.wrapped(subject).link != came.link
    assert WORD.encode() in office.mailbox(BERT).all()[-1].octets  # He is inside.

    person = office.person(width, script=script)
    assert person.go(came.link) == 200
    assert subject not in person.text and IDA not in person.text and OTTO not in person.text
    look(person, "1-ask", script)
    before = len(otto.codes())
    person.press(ASK)
    look(person, "2-code", script)
    code = otto.code(before)
    (reference,) = set(re.findall(r"\b[A-Z0-9]{4,8}\b", person.text)) & set(re.findall(r"\b[A-Z0-9]{4,8}\b", code.text))
    assert reference and not reference.isdigit()
    person.page.get_by_role("textbox").first.fill(f"{code.digits[:4]} {code.digits[4:]}")
    person.press(TYPE)
    assert person.page.url.endswith("/read")
    assert subject in person.text and "Ida Berg" in person.text and IDA in person.text
    assert f"Good morning, {WORD}." in person.letter
    look(person, "3-read", script)
    seal = person.page.frame_locator("iframe").get_by_alt_text("our seal")
    assert seal.evaluate("one => one.naturalWidth") == 170
    assert not [one for one in person.asked if "tracker.example" in one]
    assert person.download(re.compile("^Save .*bersicht")) == (NAME, PDF)

    person.press(REPLY, role="link")
    person.page.get_by_role("textbox").first.fill("Dear Ida,\n\nthank you, schön.\n")
    person.page.locator("input[type=file]").set_input_files(
        {"name": "answer.txt", "mimeType": "text/plain", "buffer": b"yes"}
    )
    look(person, "4-reply", script)
    person.press(SEND)
    look(person, "5-sent", script)
    answer = until(
        lambda: [one for one in office.mailbox(IDA).all() if b"Re: " in one.octets][-1:], "the answer for Ida", 30
    )[0]
    message = read(answer.octets)
    assert message["In-Reply-To"] == read(file.read_bytes())["Message-ID"]
    assert OTTO in message["Reply-To"]
    body = message.get_body(("plain",))
    assert body is not None and "thank you, schön." in body.get_content()
    assert [one.get_filename() for one in message.iter_attachments()] == ["answer.txt"]

    person.press(LEAVE)
    look(person, "6-left", script)
    assert person.hosts() == {f"127.0.0.1:{office.portal}"}
    assert person.complaints == []
    assert person.go(f"{came.link}/read") == 401
    assert WORD not in person.text and subject not in person.text


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_an_answer_to_all_is_protected_again_for_those_outside(office: Office, browser: Browser, width: int) -> None:
    subject = f"[secure] All of us {width}"
    came = office.letter(subject, OTTO, ANNA, BERT)
    client = office.signed_in(came)
    before = len(office.mailbox(ANNA).all())
    path = f"/m/{came.token}/reply?all=1"
    said = client.submit(path, path, text=f"To all of you, {WORD}")
    assert said.status in (200, 303), said.text
    again = office.mailbox(ANNA).wrapped(f"Re: {subject}")
    assert WORD.encode() not in again.octets
    assert OTTO in again.message["Reply-To"]
    assert len(office.mailbox(ANNA).all()) == before + 1
    inside = until(lambda: [one for one in office.mailbox(BERT).all() if b"Re: " in one.octets], "Bert's copy")
    assert WORD.encode() in inside[-1].octets
    assert not [one for one in read(again.octets).walk() if one.get_content_type() == RPMSG] == []
    reader = office.signed_in(again)
    assert WORD in reader.get(f"/m/{again.token}/body").text


@pytest.mark.parametrize("language", ["de", "ar"])
def test_the_pages_speak_the_readers_language(office: Office, browser: Browser, language: str) -> None:
    came = office.letter(f"[secure] In {language}")
    for width in (PHONE, DESK):
        person = office.person(width, script=True, language=language)
        person.go(came.link)
        html = person.page.locator("html")
        assert html.get_attribute("lang") == language
        assert (html.get_attribute("dir") == "rtl") == (language == "ar")
        look(person, f"1-ask-{language}", script=True)


def test_under_do_not_forward_pictures_and_text_are_shown_and_nothing_is_downloaded(
    office: Office, browser: Browser, tmp_path: Path
) -> None:
    subject = "[private] For your eyes"
    reader, file = office.somebody(), tmp_path / "letter.eml"
    file.write_bytes(letter(subject, reader))
    office.send(subject, reader, more=("--data", f"@{file}"))
    came = office.mailbox(reader).wrapped(subject)
    client = office.signed_in(came)
    for path in ("file/0", "file/1", "zip", "original"):
        refused = client.get(f"/m/{came.token}/{path}")
        assert refused.status == 403 and WORD not in refused.text, path
    person = office.person_of(client, PHONE)
    person.go(f"{came.link}/read")
    look(person, "3-read-private", script=False)
    hrefs = [one.get_attribute("href") or "" for one in person.page.get_by_role("link").all()]
    assert not [one for one in hrefs if "/file/" in one or one.endswith(("/zip", "/original"))], hrefs


@pytest.mark.parametrize("language", ["en", "de", "ar"])
def test_under_do_not_forward_a_pdf_is_shown_as_pictures_and_its_octets_never_leave(
    office: Office, browser: Browser, tmp_path: Path, language: str
) -> None:
    pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed")
    subject = f"[private] A paper in {language}"
    reader, file = office.somebody(), tmp_path / "letter.eml"
    paper = pdf(*(f"Paper, page {one}" for one in range(1, 13)))
    file.write_bytes(letter(subject, reader, attached=paper))
    office.send(subject, reader, more=("--data", f"@{file}"))
    came = office.mailbox(reader).wrapped(subject)
    client = office.signed_in(came)
    path = f"/m/{came.token}"
    number = next(one for one in range(3) if ".pdf" in client.get(f"{path}/view/{one}").text)
    for refused in (f"{path}/view/{number}?raw=1", f"{path}/file/{number}"):
        said = client.get(refused)
        assert said.status == 403 and b"%PDF" not in said.octets, refused
    for width in (PHONE, DESK):
        person = office.person_of(client, width, script=True, language=language)
        person.go(f"{came.link}/read")
        person.picture(f"3-read-private-{language}")
        edge = "right" if language == "ar" else "left"  # An English subject stands where the Arabic page begins.
        assert person.page.locator("h1").evaluate("one => getComputedStyle(one).textAlign") == edge
        person.go(f"{came.link}/view/{number}")
        sheets = person.page.locator("img.sheet")
        assert sheets.count() == 10
        assert sheets.first.evaluate("one => one.decode().then(() => one.naturalWidth)") == 1240
        person.page.locator("summary").first.click()
        assert "Paper, page 1" in person.text
        look(person, f"9-paper-{language}", script=True)
        person.page.locator(".turn a").first.click()
        person.page.wait_for_url("**?from=10")
        assert person.page.locator("img.sheet").count() == 2
        assert person.complaints == [] and person.page.locator("iframe, embed, object").count() == 0
        assert not [one for one in person.asked if "/file/" in one or "raw=1" in one]


def test_revoked_and_expired_mail_says_so_and_no_more(office: Office, browser: Browser) -> None:
    subject = "[secure] Taken back"
    office.send(subject, OTTO, ANNA)
    otto, anna = office.mailbox(OTTO).wrapped(subject), office.mailbox(ANNA).wrapped(subject)
    reading = office.signed_in(otto)
    done = office.gateway.run("rights", "revoke", otto.message["Message-ID"], "--recipient", OTTO)
    assert done.returncode == 0, done.stderr
    assert WORD not in reading.get(f"/m/{otto.token}/read").text
    person = office.person(PHONE)
    person.go(otto.link)
    assert "Taken back" not in person.text and IDA not in person.text
    look(person, "7-revoked", script=False)
    assert WORD in office.signed_in(anna).get(f"/m/{anna.token}/body").text
