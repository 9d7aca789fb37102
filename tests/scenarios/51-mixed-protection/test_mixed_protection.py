"""One message with every protection, and certificates, rules and disks that change under it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench import greeting
from tests.scenarios.peers.office import ANNA, BERT, IDA, OTTO, WORD, Office, open_office
from tests.scenarios.peers.portal import Wrapped
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.smime import People, Person
from tests.scenarios.peers.tiny_disk import fill, tiny_disk

EVA = "eva@third.example"  # Named by no header.
LATE = "late@partner.example"
OFFICER = "officer@corp.example"
RULES = Path(__file__).with_name("rules") / "rules.yaml"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with open_office(tmp_path_factory.mktemp("mixed") / "gw", Path(__file__).parent) as one:
        yield one


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def otto(office: Office, people: People) -> Person:
    made = people.person(OTTO, curve=True)
    bring(office, made)
    return made


def bring(office: Office, person: Person) -> None:
    done = office.gateway.run("certificate", "import", str(person.certificate))
    assert done.returncode == 0, done.stdout + done.stderr


def forget(office: Office, address: str) -> None:
    done = office.gateway.run("certificate", "remove", address, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr


def letter(subject: str, *to: str, size: int = 0, more: str = "") -> bytes:
    head = f"From: Ida <{IDA}>\r\nTo: {', '.join(to)}\r\nSubject: {subject}\r\n{more}"
    return f"{head}Message-ID: <{abs(hash(subject))}@corp.example>\r\n\r\nGood morning, {WORD}.\r\n".encode() + (
        b"x" * 76 + b"\r\n"
    ) * (size // 78)


def hand_in(office: Office, octets: bytes, *recipients: str) -> str:
    with Raw(office.gateway.port, seconds=60) as client:
        client.hello()
        said = client.ask(f"MAIL FROM:<{IDA}>")
        if not said.startswith("250"):
            return said
        for one in recipients:
            said = client.ask(f"RCPT TO:<{one}>")
            if not said.startswith("250"):
                return said
        client.ask("DATA")
        client.send(octets)
        return client.ask(".")


def came(office: Office, address: str, mark: bytes) -> bytes:
    """What lies in the mailbox with that in it."""
    return until(lambda: next((o.octets for o in office.mailbox(address).all() if mark in o.octets), b""), address, 30)


def newest(office: Office, address: str) -> Wrapped:
    """The last wrapped mail there, whatever its subject."""
    return Wrapped.of(came(office, address, b"message.rpmsg"), address)


def outside_in_clear(office: Office) -> list[tuple[str, ...]]:
    return [
        one.recipients
        for one in office.hop.taken
        if WORD.encode() in one.octets and not all(who.endswith("@corp.example") for who in one.recipients)
    ]


def test_each_recipient_of_one_message_gets_what_is_his(office: Office, otto: Person, tmp_path: Path) -> None:
    subject = "[secure] Kakapo figures"
    octets = letter(subject, OTTO, ANNA, BERT)
    said = hand_in(office, octets, OTTO, ANNA, BERT, EVA)
    assert said.startswith("250"), said
    sealed = came(office, OTTO, b"pkcs7-mime")
    assert WORD.encode() in otto.opens(sealed) and WORD.encode() not in sealed
    assert WORD.encode() in came(office, BERT, subject.encode())
    mark = f"{abs(hash(subject))}@corp.example"
    found = {}
    for address in (ANNA, EVA):
        octets_of = came(office, address, mark.encode())
        assert WORD.encode() not in octets_of and b"Kakapo" not in octets_of, "the subject is inside alone"
        found[address] = office.mailbox(address).all()[-1]
        assert found[address].recipients == (address,)
    assert not [one for one in office.hop.taken if EVA.encode() in one.octets and one.recipients != (EVA,)]
    events = office.gateway.story(said.split()[-1], "protected")
    steps = {row["recipient"]: row["step"] for event in events for row in event["recipients"]}
    assert steps == {OTTO: "encrypted", ANNA: "rights", EVA: "rights"}


def test_the_hidden_subject_is_read_inside(office: Office, otto: Person) -> None:
    subject, reader = "[secure] Quetzal figures", office.somebody()
    assert hand_in(office, letter(subject, reader), reader).startswith("250")
    wrapped = newest(office, reader)
    assert "Quetzal" not in wrapped.octets.decode("latin-1")
    client = office.signed_in(wrapped)
    assert subject in client.get(f"/m/{wrapped.token}/read").text


def test_a_super_user_opens_and_the_officer_hears_of_it(office: Office, tmp_path: Path) -> None:
    reader = office.somebody()
    assert hand_in(office, letter("[secure] For discovery", reader), reader).startswith("250")
    file, out = tmp_path / "message.rpmsg", tmp_path / "out.eml"
    file.write_bytes(newest(office, reader).rpmsg)
    before = len(office.mailbox(OFFICER).all())
    done = office.gateway.run("rights", "open", str(file), "--out", str(out), "--json")
    assert done.returncode == 0 and WORD.encode() in out.read_bytes()
    told = until(lambda: office.mailbox(OFFICER).all()[before:], "the officer's mail", 30)
    assert WORD.encode() not in told[-1].octets and b"For discovery" not in told[-1].octets


def test_what_comes_back_inside_is_delivered_without_rights_to_its_readers_alone(office: Office) -> None:
    subject = "[rights] All of us"
    assert hand_in(office, letter(subject, BERT), BERT).startswith("250")
    mark = f"{abs(hash(subject))}@corp.example".encode()
    wrapped = came(office, BERT, mark)
    assert WORD.encode() not in wrapped
    for address, readable in ((BERT, True), ("mallory@corp.example", False)):
        before = len(office.mailbox(address).all())
        back = wrapped.replace(f"<{IDA}>".encode(), b"<ida@elsewhere.example>", 1)
        said = hand_in(office, back, address)
        assert said.startswith("250"), said
        got = until(lambda: office.mailbox(address).all()[before:], "it to come back", 30)[-1]  # noqa: B023
        assert (WORD.encode() in got.octets) == readable, address


def test_a_certificate_that_is_removed_or_expired_while_mail_waits_lets_nothing_out_in_clear(
    office: Office, otto: Person, people: People
) -> None:
    office.hop.script({"MAIL": "450 4.7.1 not yet"})
    try:
        sealed = hand_in(office, letter("[wait] Sealed before", OTTO), OTTO)
        waits = hand_in(office, letter("[wait] Sealed later", LATE), LATE, OTTO)
        assert sealed.startswith("250") and waits.startswith("250")
        forget(office, OTTO)
        bring(office, people.person(LATE, curve=True, days=-1))
    finally:
        office.hop.healthy()
    got = came(office, OTTO, b"Sealed before")
    assert WORD.encode() in otto.opens(got), "what was sealed stays sealed"
    time.sleep(2.5)  # Two more attempts at what waits.
    rows = office.gateway.queue(waits.split()[-1])
    assert [row["state"] for row in rows] == ["waiting"] and office.mailbox(LATE).all() == []
    # A message that comes now finds no certificate: it falls to rights where the rule says so, or waits.
    before = len(office.mailbox(OTTO).all())
    assert hand_in(office, letter("[secure] Without a certificate", OTTO), OTTO).startswith("250")
    got = until(lambda: office.mailbox(OTTO).all()[before:], "the wrapped mail", 30)[-1].octets
    assert b"message.rpmsg" in got and WORD.encode() not in got
    late = people.person(LATE, curve=True)
    bring(office, late)
    got = came(office, LATE, b"Sealed later")
    assert WORD.encode() in late.opens(got)
    bring(office, otto)
    assert outside_in_clear(office) == []


def test_rules_are_reloaded_while_mail_flows(office: Office, otto: Person) -> None:
    """Good ones and broken ones in turn; each message is judged by one whole set, and none leaves in clear."""
    stop, replies = threading.Event(), []

    def send() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            replies.append(hand_in(office, letter(f"[secure] Flow {number}", OTTO), OTTO))

    file = office.gateway.folder / "rules" / "rules.yaml"
    good = RULES.read_text()
    sender = threading.Thread(target=send)
    sender.start()
    try:
        for turn in range(6):
            broken = turn % 2 == 1
            file.write_text("- name: broken\n  when: {no_such_condition: 1}\n" if broken else f"{good}\n# {turn}\n")
            done = office.gateway.run("reload")
            assert (done.returncode != 0) == broken, done.stdout + done.stderr
    finally:
        stop.set()
        sender.join(60)
        file.write_text(good)
    assert office.gateway.run("reload").returncode == 0
    assert len(replies) > 5 and all(one.startswith("250") for one in replies), replies
    until(lambda: not office.gateway.queue(), "all of it to leave", 60)
    assert outside_in_clear(office) == []


def test_a_full_disk_refuses_a_message_that_forks_and_keeps_none_of_its_copies(
    tmp_path_factory: pytest.TempPathFactory, people: People
) -> None:
    """S/MIME for one, rights for two, one of them blind, clear for a colleague: four copies, or none."""
    folder = tmp_path_factory.mktemp("full") / "gw"
    with ExitStack() as stack:
        office = stack.enter_context(open_office(folder, Path(__file__).parent))
        bring(office, people.person(OTTO, curve=True))
        office.gateway.stop()
        disk = stack.enter_context(tiny_disk(folder / "data", 32 << 20))
        stack.callback(office.gateway.stop)
        office.hop.script({"MAIL": "451 4.3.0 later"})
        office.gateway.start()
        ballast = fill(disk, 300 << 10)
        time.sleep(1.2)  # The room that is left is looked at once a second.
        octets = letter("[secure] Forks", OTTO, ANNA, BERT, size=1 << 20)
        for _ in range(3):
            said = hand_in(office, octets, OTTO, ANNA, BERT, EVA)
            assert said.startswith("452 4.3.1 "), said
        ballast.unlink()
        assert office.gateway.queue() == []
        assert [one for one in (disk / "copies").rglob("*") if one.is_file()] == []
        time.sleep(1.2)
        small = letter("[secure] Fits", OTTO, ANNA, BERT)
        until(lambda: hand_in(office, small, OTTO, ANNA, BERT, EVA).startswith("250"), "room to be noticed", 15)
        office.hop.healthy()
        until(lambda: len(office.hop.taken) == 4, f"four copies, and nothing of the other\n{office.gateway.log}", 30)
        office.gateway.drained()
        assert len(office.hop.taken) == 4 and outside_in_clear(office) == []


def test_a_fifth_client_is_greeted_while_four_send_large_mail_through_rules(office: Office, otto: Person) -> None:
    median, worst, asked = greeting.seconds(office.gateway.port, subject=b"[secure] Large")
    print(f"EHLO beside four messages of 20 MB that are encrypted: median {median * 1000:.1f} ms")
    print(f"worst {worst * 1000:.0f} ms of {asked}")
    assert asked > 0
    until(lambda: not office.gateway.queue(), "the large ones to leave", 120)
    large = [one for one in office.hop.taken if b"Large" in one.octets[:20_000]]
    assert len(large) == greeting.LOAD and all(b"pkcs7-mime" in one.octets[:20_000] for one in large)
