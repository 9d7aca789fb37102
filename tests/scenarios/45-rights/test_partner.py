"""To a partner whose Postfix demands TLS and whose OpenDKIM judges the wrapped mail and the code mail."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.opendkim import OpenDkim
from tests.scenarios.peers.portal import Client, Wrapped, code
from tests.scenarios.peers.ports import answers, free_port, until
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.swaks import swaks

HERE = Path(__file__).parent
WORD = "Obsidianlark"


@dataclass
class Road:
    """The gateway, and the partner's Postfix."""

    gateway: Gateway
    postfix: Postfix
    portal: int

    def got(self, mark: str) -> bytes:
        """What lies in the mailbox with that in its header section: sent over TLS, its signatures whole and ours."""
        octets = until(
            lambda: next((one for one in self.postfix.messages() if mark.encode() in one.partition(b"\n\n")[0]), b""),
            f"{mark}\n{self.gateway.log}\n{self.postfix.log}",
            60,
        )
        head = octets.partition(b"\n\n")[0]
        assert b"(using TLSv1.3 with cipher" in head
        results = re.findall(rb"dkim=(\w+)", b"".join(re.findall(rb"Authentication-Results: judge\.test;[^;]*", head)))
        assert results and set(results) == {b"pass"}, head
        assert re.search(rb"DKIM-Signature:[^:]*?\bd=corp\.example;", head), head
        assert re.search(rb"\nFrom: [^\n]*@corp\.example>?\n", head), head
        return octets


@pytest.fixture(scope="module")
def road(
    make_gateway: Callable[..., Gateway], make_postfix: Callable[..., Postfix], authority: Authority
) -> Iterator[Road]:
    OpenDkim.check()
    judge, portal = OpenDkim(free_port()), free_port()
    postfix = make_postfix(
        hostname="mx.partner.example",
        domains="partner.example",
        certificate=authority.issue("mx.partner.example"),
        extra=judge.postfix + "smtpd_tls_security_level = encrypt\n",
    )
    gateway = make_gateway(file="partner.toml", PARTNER=postfix.port, CA=authority.ca, PORTAL=portal)
    shutil.rmtree(gateway.folder / "rules", ignore_errors=True)
    shutil.copytree(HERE / "rules", gateway.folder / "rules")
    done = gateway.run("dkim", "key", "create", "corp.example", "--selector", "s1")
    assert done.returncode == 0, done.stderr
    try:
        judge.start({one["name"]: one["record"] for one in gateway.ask("dkim.list")})
        gateway.start()
        until(lambda: answers(portal), f"the portal to listen\n{gateway.log}")
        yield Road(gateway, postfix, portal)
    finally:
        judge.stop()


def test_the_wrapped_mail_and_the_code_arrive_signed_and_the_message_is_read(road: Road) -> None:
    sent = swaks(road.gateway.port, "--header", "Subject: [secure] To a partner", "--body", f"Good morning, {WORD}.")
    assert sent.code == 0, sent.text
    wrapped = Wrapped.of(road.got("Subject: [secure] To a partner"))
    assert WORD not in wrapped.octets.decode("latin-1")
    client = Client(road.portal, road.gateway.folder / "certs" / "ca.pem")
    path = f"/m/{wrapped.token}"
    assert client.submit(path, f"{path}/code").status == 303
    asked = client.get(f"{path}/code")
    reference = until(
        lambda: re.search(r"\b[A-Z0-9]{4,8}\b", re.sub(r"<[^>]*>", " ", asked.text)), "a reference"
    ).group()
    came = code(road.got(reference))
    assert came is not None
    opened = client.submit(f"{path}/code", f"{path}/open", code=came.digits)
    assert (opened.status, opened.headers["location"]) == (303, f"{path}/read"), opened.text
    assert WORD in client.get(f"{path}/body").text
    client.close()
    story = [one["event"] for one in road.gateway.events(sent.queue_id)]
    assert "protected" in story and "signed" in story
