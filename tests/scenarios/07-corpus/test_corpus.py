"""Octet for octet."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.raw import Raw


@pytest.fixture(scope="module")
def hop() -> Iterator[Hop]:
    with Hop() as one:
        yield one


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hop: Hop) -> Gateway:
    return make_gateway(HOP=hop.port).start()


def with_cr_lf(octets: bytes) -> bytes:
    """As a client would send the file: each of its line ends is CR LF, and the last line has one too."""
    octets = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def test_every_message_leaves_as_it_came(gateway: Gateway, hop: Hop, mime_corpus: list[Path]) -> None:
    refused = []
    with Raw(gateway.port) as client:
        client.hello()
        for place, file in enumerate(mime_corpus):
            octets = with_cr_lf(file.read_bytes())
            client.send(
                b"MAIL FROM:<ida@corp.example> BODY=8BITMIME\r\nRCPT TO:<m%d@partner.example>\r\nDATA\r\n" % place
            )
            said = [client.reply() for _ in range(3)]
            assert said[2].startswith("354"), (file.name, said)
            client.send(re.sub(rb"(?m)^\.", b"..", octets))
            if not (answer := client.ask(".")).startswith("250"):
                refused.append((file.name, answer))
    assert refused == []
    gateway.drained(60)
    came = {got.recipients[0]: got.octets for got in hop.wait(len(mime_corpus), 60)}
    changed = []
    for place, file in enumerate(mime_corpus):
        sent, got = with_cr_lf(file.read_bytes()), came[f"m{place}@partner.example"]
        added = got[: len(got) - len(sent)]
        if not got.endswith(sent) or not re.fullmatch(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", added):
            changed.append(file.name)
    assert changed == []
