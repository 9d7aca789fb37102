"""What must not happen: scanners, forgers, guessers, and mail that brings something with it."""

from __future__ import annotations

import re
import threading
from base64 import urlsafe_b64encode
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.scenarios.peers.browser import DESK, PHONE, Browser
from tests.scenarios.peers.office import IDA, WORD, Office
from tests.scenarios.peers.portal import Answer, Wrapped, bits, read
from tests.scenarios.peers.ports import answers, until

FORM = re.compile(r"<form[^>]*\baction=\"([^\"]+)\"", re.IGNORECASE)
HREF = re.compile(r"\b(?:href|src)=\"([^\"]+)\"", re.IGNORECASE)
LINES, EACH = 50, 20  # Twice; tests/unit/rights/test_passcode.py guesses ten thousand times.
SESSION = "__Host-m-"  # What its cookies begin with.
HOSTILE = Path(__file__).with_name("hostile.html")


def paths(answer: Answer, base: str) -> list[str]:
    return [urljoin(base, one) for one in HREF.findall(answer.text) if not one.startswith(("http", "data:", "#"))]


@pytest.fixture(scope="module")
def letter(office: Office) -> Wrapped:
    return office.letter("[secure] For those who knock")


def test_a_scanner_that_follows_links_and_submits_forms_has_read_nothing(office: Office, letter: Wrapped) -> None:
    message_id = letter.message["Message-ID"]
    opened = office.status(message_id)
    scanner, seen, todo = office.client("127.0.0.9"), set(), [f"/m/{letter.token}"]
    while todo and len(seen) < 40:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        assert scanner.ask("HEAD", path).octets == b""
        page = scanner.get(path)
        assert WORD not in page.text and page.status < 500
        todo += paths(page, path)
    assert office.status(message_id) == opened
    assert office.mailbox(letter.reader).codes() == []
    page = scanner.get(f"/m/{letter.token}")
    for action in FORM.findall(page.text):
        said = scanner.post(urljoin(f"/m/{letter.token}", action), {"csrf": page.csrf, "code": "12345678"})
        assert WORD not in said.text
    (row,) = office.status(message_id)
    assert not [one for one in row["licences"] if one["given"]]


def test_every_answer_carries_the_headers_that_keep_it_to_the_reader(office: Office) -> None:
    letter = office.letter("[secure] Headers")
    client = office.signed_in(letter)
    for path in ("", "/code", "/read", "/body", "/reply", "/zip", "/original", "/none"):
        head = client.get(f"/m/{letter.token}{path}").headers
        policy = head["content-security-policy"]
        assert "default-src 'none'" in policy, path
        assert ("unsafe-inline" in policy) == (path == "/body"), path
        assert "frame-ancestors" in policy
        assert "no-store" in head["cache-control"], path
        assert head["referrer-policy"] == "no-referrer"
        assert head["x-content-type-options"] == "nosniff"
        assert "max-age=" in head["strict-transport-security"]
    body = client.get(f"/m/{letter.token}/body").headers["content-security-policy"]
    assert re.search(r"\bsandbox\b", body) and "script" not in body.replace("script-src 'none'", "")
    assert all(name.startswith("__Host-") for name in client.cookies)
    fresh = office.client()
    fresh.get(f"/m/{letter.token}")
    assert bits(letter.token) == 256


def test_a_code_counts_in_the_browser_that_asked_once_and_for_its_own_reader(office: Office) -> None:
    subject, one, two = "[secure] Two readers", office.somebody(), office.somebody()
    office.send(subject, one, two)
    otto, anna = office.mailbox(one).wrapped(subject), office.mailbox(two).wrapped(subject)
    asked, other = office.client(), office.client()
    path = f"/m/{otto.token}"
    assert asked.submit(path, f"{path}/code").status == 303
    digits = office.mailbox(one).code().digits
    assert office.mailbox(two).codes() == []
    assert f"{path}/open" not in other.get(f"{path}/code").forms()  # He has asked for none.
    typed = other.post(f"{path}/open", {"csrf": other.get(path).csrf, "code": digits})
    assert typed.status == 403 and WORD not in typed.text
    assert other.get(f"{path}/read").status != 200
    wrong = asked.post(f"/m/{anna.token}/open", {"csrf": asked.get(path).csrf, "code": digits})
    assert wrong.status == 403
    assert asked.submit(f"{path}/code", f"{path}/open", code=digits).headers["location"].endswith("/read")
    assert WORD in asked.get(f"{path}/body").text
    assert asked.get(f"/m/{anna.token}/body").status != 200
    asked.cookies = {name: one for name, one in asked.cookies.items() if not name.startswith(SESSION)}
    again = asked.post(f"{path}/open", {"csrf": asked.get(path).csrf, "code": digits})
    assert WORD not in again.text and not again.headers.get("location", "").endswith("/read")


def test_unknown_links_and_unknown_readers_look_like_known_ones(office: Office, letter: Wrapped) -> None:
    unknown = urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
    client = office.client("127.0.0.10")

    def shape(token: str) -> tuple[int, str]:
        answer = client.get(f"/m/{token}")
        return answer.status, re.sub(r'value="[^"]*"', "", answer.text.replace(token, "TOKEN"))

    assert shape(unknown) == shape(letter.token)
    assert client.submit(f"/m/{unknown}", f"/m/{unknown}/code").status == 303
    for strange in ("", "x", "../" * 5 + "etc/passwd", "%00", "A" * 5000, "ü"):
        assert client.get(f"/m/{strange.encode().hex() if not strange.isascii() else strange}").status < 500


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("Host", "evil.example"),
        ("Origin", "https://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Content-Type", "text/plain"),
    ],
)
def test_other_peoples_forms_and_names_are_refused(office: Office, letter: Wrapped, change: str, value: str) -> None:
    client = office.client("127.0.0.11")
    path = f"/m/{letter.token}"
    before = len(office.mailbox(letter.reader).codes())
    csrf = client.get(path).csrf
    assert csrf
    said = client.post(f"{path}/code", {"csrf": csrf}, **{change: value})
    assert said.status in (400, 403, 415, 421, 422), said.status
    assert client.post(f"{path}/code", {}).status in (400, 403, 422)
    assert client.post(f"{path}/code", {"csrf": csrf[:-2] + "AA"}).status in (400, 403, 422)
    assert len(office.mailbox(letter.reader).codes()) == before


def test_a_forged_or_foreign_cookie_opens_nothing(office: Office) -> None:
    letter = office.letter("[secure] A cookie")
    client = office.signed_in(letter)
    (name,) = [one for one in client.cookies if one.startswith(SESSION)]
    good = client.cookies[name]
    other = "A" if good[-1] != "A" else "B"
    for forged in (good[:-1] + other, good[: len(good) // 2], "", "A" * 43, "x" * 4000):
        thief = office.client("127.0.0.12")
        thief.cookies[name] = forged
        said = thief.get(f"/m/{letter.token}/read")
        assert said.status != 200 and WORD not in said.text


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_what_a_mail_brings_with_it_does_nothing(office: Office, browser: Browser, width: int) -> None:
    subject, reader = f"[secure] Hostile {width}", office.somebody()
    html = HOSTILE.read_text().replace("{word}", WORD)
    data = f"From: {IDA}\nTo: {reader}\nSubject: {subject}\nMIME-Version: 1.0\nContent-Type: text/html\n\n{html}\n"
    file = office.gateway.folder.with_name(f"hostile-{width}.eml")
    file.write_text(data)
    office.send(subject, reader, more=("--data", f"@{file}"))
    came = office.mailbox(reader).wrapped(subject)
    client = office.signed_in(came)
    person = office.person_of(client, width, script=True)
    person.go(f"{came.link}/read")
    assert WORD in person.letter
    person.picture("8-hostile")
    person.press(re.compile("picture|image", re.IGNORECASE), role="link")
    assert WORD in person.letter
    assert person.hosts() <= {f"127.0.0.1:{office.portal}", "tracker.example"}
    assert {one for one in person.asked if "tracker.example" in one} <= {
        f"https://tracker.example/{one}" for one in ("c.png", "d.png")
    }
    assert "taken" not in person.page.title()
    frame = person.page.frame_locator("iframe")
    assert frame.locator("script, form, input, iframe, object, svg, video, base, meta[http-equiv=refresh]").count() == 0
    assert frame.get_by_text("a script").get_attribute("href") in (None, "", "#")


def test_guesses_by_many_in_parallel_and_across_a_restart_find_no_code(office: Office) -> None:
    """By many addresses and browsers, in parallel, and with a restart in between; the right codes are among them."""
    came = office.letter("[secure] Guess it")
    path, mailbox = f"/m/{came.token}", office.mailbox(came.reader)
    found: list[str] = []

    def guess(line: int, first: int) -> None:
        client = office.client(f"127.1.{line % 16}.{line + 1}")
        for turn in range(EACH):
            if turn % 10 == 0:
                client.submit(path, f"{path}/code")
                csrf = client.get(f"{path}/code").csrf
            said = client.post(f"{path}/open", {"csrf": csrf, "code": f"{first + line * EACH + turn:08}"})
            if said.headers.get("location", "").endswith("/read") or said.status >= 500:
                found.append(f"{said.status} at {line}, {turn}")

    def all_lines(first: int) -> None:
        threads = [threading.Thread(target=guess, args=(line, first)) for line in range(LINES)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(120)

    all_lines(0)
    office.gateway.stop()
    office.gateway.start()
    until(lambda: answers(office.portal), "the portal to listen again", 60)
    all_lines(LINES * EACH)
    assert found == []
    assert len(mailbox.codes()) <= 20, "codes fill his mailbox"
    for code in mailbox.codes():  # None of them counts where it was not asked for, or any more.
        client = office.client("127.0.4.1")
        said = client.post(f"{path}/open", {"csrf": client.get(path).csrf, "code": code.digits})
        assert not said.headers.get("location", "").endswith("/read")


def test_after_five_wrong_codes_the_right_one_opens_nothing(office: Office) -> None:
    came = office.letter("[secure] Five tries")
    path = f"/m/{came.token}"
    client = office.client("127.0.2.1")
    client.submit(path, f"{path}/code")
    digits = office.mailbox(came.reader).code().digits
    csrf = client.get(f"{path}/code").csrf
    for turn in range(5):
        client.post(f"{path}/open", {"csrf": csrf, "code": f"{(int(digits) + turn + 1) % 10**8:08}"})
    said = client.post(f"{path}/open", {"csrf": csrf, "code": digits})
    assert not said.headers.get("location", "").endswith("/read")
    assert client.get(f"{path}/read").status != 200


def test_whoever_guesses_keeps_the_recipient_out_of_nothing(office: Office) -> None:
    """Attack: somebody to whom the mail was forwarded types wrong codes until none is sent; its recipient gets a link
    by mail, asks for a code with it, and reads. The link alone opens nothing.
    """
    came = office.letter("[secure] Kept out")
    path, mailbox = f"/m/{came.token}", office.mailbox(came.reader)
    for line in range(3):
        client = office.client(f"127.2.{line}.1")
        client.submit(path, f"{path}/code")
        csrf = client.get(f"{path}/code").csrf
        for turn in range(5):
            client.post(f"{path}/open", {"csrf": csrf, "code": f"{turn:08}"})
    reader = office.client("127.0.5.1")
    waits = reader.submit(path, f"{path}/code")
    assert waits.status == 429 and "you need not wait" in waits.text
    door = re.compile(re.escape(f"{path}/door/") + "[A-Za-z0-9_-]{43}")

    def look() -> list[str]:
        texts = [str(one.get_payload(decode=True)) for got in mailbox.all() for one in read(got.octets).walk()]
        return [found for text in texts for found in door.findall(text)]

    mailed = until(look, "the mail with the link", 30)
    assert len(set(mailed)) == 1, "one of an hour"
    opened = reader.get(mailed[0])
    assert (opened.status, opened.headers["location"]) == (303, path)
    assert reader.get(f"{path}/read").status == 401
    before = len(mailbox.codes())
    assert reader.submit(path, f"{path}/code").status == 303
    digits = mailbox.code(before).digits
    assert reader.submit(f"{path}/code", f"{path}/open", code=digits).headers["location"].endswith("/read")
    assert WORD in reader.get(f"{path}/body").text
    assert mailed[0].rpartition("/")[2] not in office.gateway.log
