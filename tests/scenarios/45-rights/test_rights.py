"""What lies in mailboxes after a rule wrapped it, and what the command line makes of it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.peers.hop import Got
from tests.scenarios.peers.office import ANNA, BERT, IDA, OTTO, WORD, Office, links, open_office
from tests.scenarios.peers.portal import bits
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.search import needles, search

EVA = "eva@third.example"  # Named by no header.


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with open_office(tmp_path_factory.mktemp("rights") / "gw", Path(__file__).parent, waits=False) as one:
        yield one


def letter(subject: str, to: str = f"{OTTO}, {ANNA}", text: str = f"Good morning, {WORD}. Grüße.") -> bytes:
    return (
        f"From: Ida Berg <{IDA}>\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{hash(subject) % 10**9}@corp.example>\r\n"
        f"Date: Thu, 26 Nov 2026 09:30:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: 8bit\r\n\r\n{text}\r\n"
    ).encode()


def hand_in(office: Office, octets: bytes, *recipients: str, sender: str = IDA) -> str:
    with Raw(office.gateway.port, seconds=60) as client:
        client.hello()
        client.ask(f"MAIL FROM:<{sender}> BODY=8BITMIME")
        for one in recipients:
            assert client.ask(f"RCPT TO:<{one}>").startswith("250")
        client.ask("DATA")
        client.send(re.sub(rb"(?m)^\.", b"..", octets))
        return client.ask(".")


def opened(office: Office, octets: bytes, folder: Path, *options: str) -> tuple[int, dict[str, Any], bytes]:
    """Exit status, JSON and what was written, of `gateway rights open`."""
    file, out = folder / "message.rpmsg", folder / "original.eml"
    file.write_bytes(octets)
    out.unlink(missing_ok=True)
    done = office.gateway.run("rights", "open", str(file), "--out", str(out), "--json", *options)
    return done.returncode, json.loads(done.stdout), out.read_bytes() if out.exists() else b""


def test_each_reader_gets_a_mail_of_his_own_and_those_named_share_one_sealed_file(office: Office) -> None:
    subject = "[secure] Figures"
    sent = letter(subject)
    assert hand_in(office, sent, OTTO, ANNA, EVA).startswith("250")
    came = {one: office.mailbox(one).wrapped(subject) for one in (OTTO, ANNA, EVA)}
    assert len({one.link for one in came.values()}) == 3
    assert came[OTTO].rpmsg == came[ANNA].rpmsg != came[EVA].rpmsg
    for address, one in came.items():
        assert [got.recipients for got in office.mailbox(address).all()] == [(address,)]
        assert bits(one.token) == 256 and address not in one.link
        assert WORD not in one.octets.decode("latin-1") and WORD not in one.plain + one.html
        assert one.message["From"] == f"Ida Berg <{IDA}>"
        assert one.message["To"] == f"{OTTO}, {ANNA}"
        assert one.message["Content-Class"] == "rpmsg.message"
        assert IDA in one.plain and "not protected" in one.plain
        assert EVA not in one.octets.decode("latin-1") or address == EVA
        assert not re.search(r"<(?:img|script|form|iframe|link)\b|\burl\(|@import", one.html, re.IGNORECASE)
        assert one.html.count("https://") <= 4
        assert max(map(len, one.octets.split(b"\r\n"))) <= 998


def test_what_was_sent_is_found_inside_octet_for_octet(office: Office, tmp_path: Path) -> None:
    subject = "[secure] Inside"
    sent = letter(subject, OTTO)
    assert hand_in(office, sent, OTTO, EVA).startswith("250")
    rpmsg = office.mailbox(OTTO).wrapped(subject).rpmsg
    for options in ((), ("--as", OTTO), ("--as", IDA)):
        status, told, found = opened(office, rpmsg, tmp_path, *options)
        assert (status, told["opened"], told["reason"]) == (0, True, None)
        assert found == sent and told["sha256"] == hashlib.sha256(sent).hexdigest()
        assert ("OWNER" in told["rights"]) == (options != ("--as", OTTO))
    for stranger in (EVA, "nobody@else.example"):
        status, told, found = opened(office, rpmsg, tmp_path, "--as", stranger)
        assert (status, told["opened"], told["reason"], found) == (1, False, "not_a_reader", b"")


def test_another_key_opens_nothing_and_a_changed_octet_is_damage(office: Office, tmp_path: Path) -> None:
    rpmsg = office.mailbox(OTTO).wrapped("[secure] Inside").rpmsg
    key = tmp_path / "other.pem"
    subprocess.run(["openssl", "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    status, told, found = opened(office, rpmsg, tmp_path, "--tenant-key", str(key))
    assert (status, told["reason"], found) == (1, "not_ours", b"")
    for place in (9, 400, len(rpmsg) // 2, len(rpmsg) - 5):
        changed = bytearray(rpmsg)
        changed[place] ^= 1
        status, told, found = opened(office, bytes(changed), tmp_path)
        assert status in (0, 1)
        if status:
            assert told["reason"] in ("damaged", "forged", "not_ours") and found == b""
        else:
            assert found == letter("[secure] Inside", OTTO)
    status, told, found = opened(office, rpmsg[:-20], tmp_path)
    assert (status, told["reason"], found) == (1, "damaged", b"")


def test_others_read_the_container(office: Office, tmp_path: Path) -> None:
    olefile = pytest.importorskip("olefile")
    import zlib

    rpmsg = office.mailbox(OTTO).wrapped("[secure] Inside").rpmsg
    file, outer = tmp_path / "message.rpmsg", tmp_path / "outer.ole"
    file.write_bytes(rpmsg)
    inflate, place, plain = zlib.decompressobj(), 8, b""
    while place < len(rpmsg):
        size = int.from_bytes(rpmsg[place + 8 : place + 12], "little")
        plain += inflate.decompress(rpmsg[place + 12 : place + 12 + size])
        place += 12 + size
    outer.write_bytes(plain)
    with olefile.OleFileIO(str(outer), raise_defects=olefile.DEFECT_UNSURE) as found:
        assert ["\tDRMContent"] in found.listdir()
        assert ["\x06DataSpaces", "TransformInfo", "\tDRMTransform", "\x06Primary"] in found.listdir()
    if program := shutil.which("7z"):
        listed = subprocess.run([program, "l", "-slt", str(outer)], capture_output=True, timeout=30)
        assert listed.returncode == 0 and b"DRMContent" in listed.stdout
    if program := shutil.which("file"):
        assert b"rpmsg Restricted Permission Message" in subprocess.run([program, file], capture_output=True).stdout


def test_the_command_line_seals_and_tells_what_it_can_without_a_key(office: Office, tmp_path: Path) -> None:
    plain, sealed = tmp_path / "plain.eml", tmp_path / "sealed.rpmsg"
    plain.write_bytes(letter("by hand", OTTO))
    done = office.gateway.run("rights", "seal", str(plain), "--to", OTTO, "--to", ANNA, "--out", str(sealed))
    assert done.returncode == 0, done.stderr
    assert opened(office, sealed.read_bytes(), tmp_path, "--as", ANNA)[2] == plain.read_bytes()
    told = office.gateway.run("rights", "inspect", str(sealed), "--json", config=False)
    assert told.returncode == 0, told.stderr
    assert WORD not in told.stdout and OTTO not in told.stdout


def test_what_is_revoked_opens_for_its_sender_alone(office: Office, tmp_path: Path) -> None:
    subject = "[secure] Taken back"
    assert hand_in(office, letter(subject), OTTO, ANNA).startswith("250")
    came = office.mailbox(OTTO).wrapped(subject)
    message_id = came.message["Message-ID"]
    assert office.gateway.run("rights", "revoke", message_id, "--recipient", OTTO).returncode == 0
    assert opened(office, came.rpmsg, tmp_path, "--as", OTTO)[1]["reason"] == "revoked"
    assert opened(office, came.rpmsg, tmp_path, "--as", ANNA)[1]["opened"]
    assert office.gateway.run("rights", "revoke", message_id).returncode == 0
    assert opened(office, came.rpmsg, tmp_path, "--as", ANNA)[1]["reason"] == "revoked"
    assert opened(office, came.rpmsg, tmp_path, "--as", IDA)[1]["opened"]
    assert office.gateway.run("rights", "revoke", "<none@corp.example>").returncode == 1
    assert office.gateway.run("rights", "status", message_id).returncode == 0


def test_ten_mebibytes_for_a_hundred_readers_lie_on_the_disk_once(office: Office) -> None:
    subject, people = "[secure] Large", [f"reader{n}@far.example" for n in range(100)]
    office.hop.script({"MAIL": "451 4.3.0 not now"})
    try:
        before = sum(one.stat().st_blocks * 512 for one in office.gateway.folder.rglob("*") if one.is_file())
        large = letter(subject, ", ".join(people[:3]) + "".join(f",\r\n {one}" for one in people[3:]), "x" * 70)
        large += (b"y" * 70 + b"\r\n") * (10 * 1024 * 1024 // 72)
        assert hand_in(office, large, *people).startswith("250")
        after = sum(one.stat().st_blocks * 512 for one in office.gateway.folder.rglob("*") if one.is_file())
        # Twice: as it leaves (in base64), and as it is kept for the portal.
        assert after - before < 3 * len(large), f"{(after - before) / len(large):.1f} times its size"
    finally:
        # What is on the wire at that moment is left as it is.
        until(lambda: office.gateway.run("queue", "delete", "--all", "--yes").returncode == 0, "the queue to be empty")
        office.hop.healthy()


def test_a_rotated_key_opens_what_it_sealed(office: Office, tmp_path: Path) -> None:
    old = office.mailbox(ANNA).wrapped("[secure] Figures").rpmsg
    done = office.gateway.run("key", "rotate", "main/tenant")
    assert done.returncode == 0, done.stderr
    assert opened(office, old, tmp_path, "--as", ANNA)[1]["opened"]
    subject = "[secure] After the rotation"
    assert hand_in(office, letter(subject), OTTO).startswith("250")
    assert opened(office, office.mailbox(OTTO).wrapped(subject).rpmsg, tmp_path, "--as", OTTO)[1]["opened"]


def test_while_the_key_is_disabled_nothing_leaves(office: Office) -> None:
    before = len(office.hop.taken)
    done = office.gateway.run("key", "disable", "main/tenant", "--yes")
    assert done.returncode == 0, done.stderr
    try:
        said = hand_in(office, letter("[secure] Not now"), OTTO)
        assert said.startswith("451"), said
        said = hand_in(office, letter("[secure] Not now", f"{OTTO}, {BERT}"), OTTO, BERT)
        assert said.startswith(("250", "451")), said
        time_left = [one for one in office.hop.taken[before:] if OTTO in one.recipients]
        assert time_left == []
    finally:
        assert office.gateway.run("key", "enable", "main/tenant").returncode == 0
    subject = "[secure] Again"

    def sent() -> bool:
        return hand_in(office, letter(subject), OTTO).startswith("250")

    until(sent, "the key to be taken up again", 60)
    assert all(WORD.encode() not in one.octets for one in _outside(office.hop.taken))


def test_no_word_of_it_lies_on_the_disk_or_in_a_log(office: Office) -> None:
    found = search(office.gateway.folder / "data", needles([WORD, "Ida Berg", OTTO], {}))
    assert found == []
    assert WORD not in office.gateway.log
    for got in office.hop.taken:
        assert not any(link in office.gateway.log for link in links(got.octets))


def _outside(taken: list[Got]) -> list[Got]:
    return [one for one in taken if not one.recipients[0].endswith("@corp.example")]
