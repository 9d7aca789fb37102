"""The classic list of relay tricks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.raw import Raw

TRICKS = [
    "victim@else.example",
    "victim%else.example@corp.example",
    "else.example!victim@corp.example",
    "else.example!victim",
    "victim%else.example",
    '"victim@else.example"@corp.example',
    '"victim%else.example"@corp.example',
    '"victim@else.example"',
    "victim@else.example@corp.example",
    "@corp.example:victim@else.example",
    "@corp.example,@else.example:victim@else.example",
    "@else.example:victim@else.example",
    "victim@[127.0.0.1]",
    "victim@[192.0.2.1]",
    "victim@[IPv6:::1]",
    "victim@127.0.0.1",
    "victim%else.example@[127.0.0.1]",
    "victim@localhost",
    "victim@corp.example.else.example",
    "victim@xcorp.example",
    "victim@sub.corp.example",
    "victim@else.example.",
    "postmaster@else.example",
    "abuse@else.example",
    "victim@else.example%00@corp.example",
    "victim@else.example\\@corp.example",
    "victim@else.example,otto@corp.example",
    "victim@else.example>,<otto@corp.example",
    "victim",
]
SENDERS = ["", "ida@else.example", "ida@corp.example", "postmaster@corp.example", "ida@[127.0.0.1]"]


@pytest.fixture(scope="module")
def hops() -> Iterator[tuple[Hop, Hop]]:
    with Hop() as home, Hop() as outside:
        yield home, outside


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], hops: tuple[Hop, Hop]) -> Gateway:
    home, outside = hops
    return make_gateway(HOME_HOP=home.port, OUTSIDE_HOP=outside.port).start()


@pytest.mark.parametrize("sender", SENDERS)
def test_no_trick_reaches_the_outside(gateway: Gateway, hops: tuple[Hop, Hop], sender: str) -> None:
    home, outside = hops
    taken = []
    with Raw(gateway.port) as client:
        client.hello()
        for trick in TRICKS:
            if not client.ask(f"MAIL FROM:<{sender}>").startswith("250"):
                return  # This sender may not come at all.
            said = client.ask(f"RCPT TO:<{trick}>")
            assert said.startswith(("250", "5")), (trick, said)
            if said.startswith("250"):
                taken.append(trick)
                assert client.ask("DATA").startswith("354")
                client.send(b"Subject: relay me\r\n\r\nx\r\n")
                assert client.ask(".").startswith("250"), trick
            else:
                client.ask("RSET")
    gateway.drained()
    assert outside.taken == []
    # What was taken is mail of ours: the local part is nobody's business but corp.example's.
    assert all(trick.endswith("@corp.example") for trick in taken), taken
    for got in home.taken:
        assert all(address.endswith("@corp.example") for address in got.recipients), got


def test_relaying_is_refused_with_the_code_that_postmasters_look_up(gateway: Gateway) -> None:
    with Raw(gateway.port) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@else.example>")
        assert client.ask("RCPT TO:<victim@else.example>").startswith("550 5.7.64 ")
        assert client.ask("RCPT TO:<otto@corp.example>").startswith("250 ")


@pytest.mark.parametrize(
    "address", ["otto@corp.example", "postmaster@corp.example", "abuse@corp.example", "Postmaster", "otto@CORP.example"]
)
def test_mail_for_us_is_taken(gateway: Gateway, hops: tuple[Hop, Hop], address: str) -> None:
    with Raw(gateway.port) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@else.example>")
        assert client.ask(f"RCPT TO:<{address}>").startswith("250 ")


def test_vrfy_and_expn_tell_nothing(gateway: Gateway) -> None:
    with Raw(gateway.port) as client:
        client.hello()
        assert client.ask("VRFY otto@corp.example")[:3] in ("252", "502")
        assert client.ask("EXPN staff")[:3] in ("502", "500")
