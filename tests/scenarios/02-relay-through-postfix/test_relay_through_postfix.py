"""Postfix before, the gateway between, Postfix behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.postfix import Postfix
from tests.scenarios.peers.swaks import swaks

BODY = "Subject: through three\n\n.a dot\nGr\u00fc\u00dfe\nlast\n"


@pytest.mark.parametrize("secured", [False, True], ids=["clear", "starttls"])
def test_mail_passes_between_two_postfixes(
    secured: bool, make_gateway: Callable[..., Gateway], make_postfix: Callable[..., Postfix], authority: Authority
) -> None:
    behind = make_postfix(
        hostname="behind.partner.example",
        domains="partner.example",
        certificate=authority.issue("mx.partner.example") if secured else None,
    )
    gateway = make_gateway(
        BEHIND=behind.port,
        TLS="encryption_only" if secured else "opportunistic",
        DEMANDED="true" if secured else "false",
    ).start()
    before = make_postfix(
        hostname="before.corp.example",
        relay_to=gateway.port,
        demanded="secure" if secured else "none",
        ca=gateway.folder / "certs" / "ca.pem",
        extra="smtp_tls_secure_cert_match = localhost\n",
    )
    assert swaks(before.port, "--data", BODY).code == 0
    message = behind.wait(1)[0]
    head, _, body = message.partition(b"\n\n")
    assert body.startswith(".a dot\nGr\u00fc\u00dfe\nlast\n".encode())
    received = [line for line in head.split(b"\n") if line.startswith(b"Received: ")]
    assert [line.split()[2] for line in received] == [
        b"gateway.corp.example",
        b"before.corp.example",
        b"client.example",
    ]
    gateway.drained()
    queue_id = gateway.json("trace", "--to", "otto@partner.example")[0]["id"]
    came, left = (gateway.story(queue_id, kind)[0]["tls"] for kind in ("received", "attempt"))
    for told in (came, left):
        assert (told is not None) is secured
    if secured:
        assert b"with ESMTPS" in head
        assert head.count(b"using TLSv1.") >= 1  # the Postfix behind saw the gateway come under TLS
        assert {came["version"], left["version"]} <= {"TLSv1.2", "TLSv1.3"}
