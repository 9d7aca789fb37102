"""Without a stored copy: the reader puts the attached file on the portal, and it opens for him and for nobody else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.rights.job import Job
from gateway.rights.pem_tenant import PemTenant
from gateway.rights.sealing import seal
from gateway.rights.template import ENCRYPT_ONLY
from gateway.world.chance import SystemChance
from tests.scenarios.peers.browser import DESK, PHONE, Browser, Person
from tests.scenarios.peers.office import IDA, TEXT, WORD, Office, open_office
from tests.scenarios.peers.portal import Wrapped

MORE = '[rights]\nkeep_copies = false\narchived_keys = ["old.pem"]\n'
KEY = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
DAY = 86400.0


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder, scenario = tmp_path_factory.mktemp("dropped") / "gw", Path(__file__).parent
    with open_office(folder, scenario, MORE, files={"old.pem": KEY}) as one:
        yield one


@pytest.fixture(scope="module")
def browser(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser"), office.ca) as one:
        office.browser = one
        yield one


@pytest.fixture(scope="module")
def letter(office: Office) -> Wrapped:
    return office.letter("[secure] By the file alone")


def drop(office: Office, person: Person, rpmsg: bytes, address: str) -> None:
    """Put it there, as a reader would."""
    person.go(f"https://127.0.0.1:{office.portal}/open")
    person.page.get_by_label("mail address").fill(address)
    person.page.locator("input[type=file]").set_input_files(
        {"name": "message.rpmsg", "mimeType": "application/octet-stream", "buffer": rpmsg}
    )
    person.press("Continue")


def read(office: Office, person: Person, address: str) -> None:
    """Ask for a code on the page that is there, and type it."""
    before = len(office.mailbox(address).codes())
    person.press("Send me a code")
    person.page.get_by_label("Code of 8 digits").fill(office.mailbox(address).code(before).digits)
    person.press("Open the message")


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_attached_file_opens_for_its_reader(office: Office, browser: Browser, letter: Wrapped, width: int) -> None:
    person = office.person(width)
    person.go(letter.link)
    person.picture("a-no-copy")
    drop(office, person, letter.rpmsg, letter.reader)
    person.picture("b-dropped")
    assert WORD not in person.text
    read(office, person, letter.reader)
    assert WORD in person.text + (person.letter if person.page.locator("iframe").count() else "")


def test_a_stranger_sees_the_same_pages_and_gets_no_code(office: Office, browser: Browser, letter: Wrapped) -> None:
    stranger = office.somebody()
    person = office.person(PHONE)
    drop(office, person, letter.rpmsg, stranger)
    person.press("Send me a code")
    assert person.page.get_by_label("Code of 8 digits").is_visible()
    office.letter("[secure] Something else", stranger)  # What was sent before would be there by now.
    assert office.mailbox(stranger).codes() == []


@pytest.mark.parametrize("change", ["cut", "flipped", "nothing of ours", "empty"])
def test_what_is_damaged_or_not_ours_shows_nothing(
    office: Office, browser: Browser, letter: Wrapped, change: str
) -> None:
    rpmsg = letter.rpmsg
    middle = len(rpmsg) // 2
    octets = {
        "cut": rpmsg[:-30],
        "flipped": rpmsg[:middle] + bytes([rpmsg[middle] ^ 1]) + rpmsg[middle + 1 :],
        "nothing of ours": b"From: somebody\r\n\r\nGood morning",
        "empty": b"",
    }[change]
    person = office.person(PHONE)
    drop(office, person, octets, letter.reader)
    assert person.page.get_by_role("alert").is_visible() and WORD not in person.text
    person.picture(f"c-{change.split()[0]}")


def test_what_has_expired_says_so_and_opens_for_its_sender_alone(office: Office, browser: Browser) -> None:
    """Sealed in the past, under a key that is archived here."""
    reader, now = office.somebody(), time.time()
    job = Job(
        owner=IDA,
        readers=(reader,),
        template=ENCRYPT_ONLY,
        issued=now - 3 * DAY,
        expires=now - DAY,
        url=f"https://127.0.0.1:{office.portal}",
        body=("text", "<p>text</p>"),
    )
    octets = f"From: {IDA}\r\nTo: {reader}\r\nSubject: Of old\r\n\r\n{TEXT}\r\n".encode()
    rpmsg = seal(octets, job, PemTenant([KEY]), SystemChance()).rpmsg
    person = office.person(PHONE)
    drop(office, person, rpmsg, reader)
    read(office, person, reader)
    assert "expired" in person.text and WORD not in person.text and "Of old" not in person.text
    person.picture("d-expired")
    drop(office, person, rpmsg, IDA)
    read(office, person, IDA)
    assert "Of old" in person.text
