"""Sealed for a partner whose Postfix demands TLS and whose OpenDKIM judges what comes out of it."""

from __future__ import annotations

import re
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.opendkim import OpenDkim
from tests.scenarios.peers.ports import free_port, until
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.raw import Raw
from tests.scenarios.peers.smime import PASSWORD, People, Person, crlf

HERE = Path(__file__).parent
IDA = "ida@corp.example"
OTTO, ANNA, EVA = "otto@partner.example", "anna@partner.example", "eva@partner.example"
NAME = "Übersicht.txt"  # Of an attachment, as RFC 2231 has it.
LARGE = 10 * 1024 * 1024


@dataclass
class Road:
    """The gateway, the partner's Postfix, and those who read there."""

    gateway: Gateway
    postfix: Postfix
    people: dict[str, Person]
    authority: People

    def send(self, octets: bytes, *recipients: str) -> None:
        with Raw(self.gateway.port, seconds=60) as client:
            client.hello()
            assert client.ask(f"MAIL FROM:<{IDA}> BODY=8BITMIME").startswith("250")
            for one in recipients:
                assert client.ask(f"RCPT TO:<{one}>").startswith("250")
            client.ask("DATA")
            client.send(octets)
            said = client.ask(".")
        assert said.startswith("250"), said

    def got(self, recipient: str, mark: str) -> bytes:
        """What lies in the mailbox of that recipient under that subject: sent over TLS, its DKIM signatures whole."""
        own = re.compile(rb"^X-Original-To: " + re.escape(recipient.encode()) + rb"$", re.MULTILINE)
        subject = f"\nSubject: {mark}\n".encode()
        octets = until(
            lambda: next((one for one in self.postfix.messages() if own.search(one) and subject in one), b""),
            f"{mark} for {recipient}\n{self.gateway.log}\n{self.postfix.log}",
            60,
        )
        head = octets.partition(b"\n\n")[0]
        assert b"(using TLSv1.3 with cipher" in head
        results = re.findall(rb"dkim=(\w+)", b"".join(re.findall(rb"Authentication-Results: judge\.test;[^;]*", head)))
        assert results and set(results) == {b"pass"}, head
        return octets


@pytest.fixture(scope="module")
def road(
    make_gateway: Callable[..., Gateway],
    make_postfix: Callable[..., Postfix],
    authority: Authority,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Road]:
    OpenDkim.check()
    made = People(tmp_path_factory.mktemp("people"))
    people = {
        OTTO: made.person(OTTO),
        ANNA: made.person(ANNA, curve=True),
        EVA: made.person(EVA, curve="x25519"),
        IDA: made.person(IDA, curve=True),
        "desk": made.person("desk@partner.example", curve=True),
    }
    judge = OpenDkim(free_port())
    postfix = make_postfix(
        hostname="mx.partner.example",
        domains="partner.example",
        certificate=authority.issue("mx.partner.example"),
        extra=judge.postfix + "smtpd_tls_security_level = encrypt\n",
    )
    gateway = make_gateway(file="partner.toml", PARTNER=postfix.port, CA=authority.ca)
    shutil.rmtree(gateway.folder / "rules", ignore_errors=True)
    shutil.copytree(HERE / "rules", gateway.folder / "rules")
    done = gateway.run("dkim", "key", "create", "corp.example", "--selector", "s1")
    assert done.returncode == 0, done.stderr
    for one, domains in ((OTTO, []), (ANNA, []), (EVA, []), ("desk", ["partner.example"])):
        octets = b64encode(people[one].certificate.read_bytes()).decode()
        gateway.ask("certificate.import", octets=octets, file=f"{one}.pem", domains=domains)
    octets = b64encode(people[IDA].p12.read_bytes()).decode()
    gateway.ask("certificate.import", octets=octets, file="ida.p12", password=PASSWORD)
    try:
        judge.start({one["name"]: one["record"] for one in gateway.ask("dkim.list")})
        yield Road(gateway.start(), postfix, people, made)
    finally:
        judge.stop()


def entity(text: bytes) -> bytes:
    return (
        b'Content-Type: multipart/mixed; boundary="b1"\r\n\r\n'
        b"--b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        b"%s\r\n--b1\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment;\r\n filename*=utf-8''%%C3%%9Cbersicht.txt\r\n\r\nQWxsZXMu\r\n--b1--\r\n"
    ) % text


def letter(subject: str, text: bytes, *to: str) -> bytes:
    head = f"From: Ida <{IDA}>\r\nTo: {', '.join(to)}\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n"
    return head.encode() + entity(text)


def body(octets: bytes) -> bytes:
    return crlf(octets).partition(b"\r\n\r\n")[2]


def test_one_message_for_rsa_p_256_and_x25519_leaves_signed_encrypted_and_signed_by_dkim(road: Road) -> None:
    text = "Grüße an alle drei".encode()
    road.send(letter("both of it", text, OTTO, ANNA, EVA), OTTO, ANNA, EVA)
    for one in (OTTO, ANNA):
        came = road.got(one, "both of it")
        head = came.partition(b"\n\n")[0]
        assert head.count(b"\nMIME-Version: 1.0") == head.count(b"\nContent-Type: ") == 1
        assert b'\nContent-Disposition: attachment; filename="smime.p7m"' in head
        assert b"multipart/mixed" not in came
        inside = road.authority.verify(road.people[one].opens(came))
        assert b"\r\n filename*=utf-8''%C3%9Cbersicht.txt\r\n" in crlf(inside)
        assert b"Gr=C3=BC=C3=9Fe an alle drei" in inside
    # OpenSSL 3.0 knows no X25519 in CMS, so ours has to open it.
    file = road.gateway.folder.with_name("eva.eml")
    file.write_bytes(road.got(EVA, "both of it"))
    both = file.with_suffix(".pem")
    both.write_bytes(road.people[EVA].key.read_bytes() + road.people[EVA].certificate.read_bytes())
    out = file.with_suffix(".txt")
    arguments = ("--p12", str(both), "--trust", str(road.authority.ca), "--out", str(out))
    done = road.gateway.run("smime", "open", str(file), *arguments, config=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert b"Gr=C3=BC=C3=9Fe an alle drei" in out.read_bytes()


def test_what_is_signed_in_the_clear_arrives_as_it_was_signed(road: Road) -> None:
    """Eight bits, a line that mailbox files would change, one that SMTP would break, and ends with white space."""
    text = "From here on: schön \r\n".encode() + b"x" * 998 + b"\r\n.\r\n..\r\n\tend \t "
    road.send(letter("signed alone", text.replace(b"\r\n.", b"\r\n.."), OTTO), OTTO)
    came = road.got(OTTO, "signed alone")
    assert b"multipart/signed" in came
    assert b"=46rom here on: sch=C3=B6n=20" in road.authority.verify(came)


def test_ten_mebibytes_leave_encrypted_and_are_found_as_they_were(road: Road) -> None:
    text = (b"0123456789abcdef" * 4 + b"\r\n") * (LARGE // 66)
    road.send(letter("large", text, OTTO), OTTO)
    assert body(road.people[OTTO].opens(road.got(OTTO, "large"))) == body(b"\r\n" + entity(text))


def test_who_has_none_of_his_own_gets_it_by_the_certificate_of_his_domain(road: Road) -> None:
    other = "somebody@partner.example"
    road.send(letter("for the house", b"hello", other, ANNA), other, ANNA)
    came = road.got(other, "for the house")
    assert body(road.people["desk"].opens(came)) == body(road.people[ANNA].opens(came))
    assert not road.people[OTTO].can_open(came)
