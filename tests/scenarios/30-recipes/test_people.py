"""People and devices: the guide's submission listeners, used by swaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.scenarios.peers.certificates import Authority
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port
from tests.scenarios.peers.recipe import serve
from tests.scenarios.peers.swaks import Transcript, swaks

REST = """
[[connectors.inbound]]
name = "elsewhere"
type = "on_premises"
sender_ip_addresses = ["192.0.2.10"]

[[connectors.outbound]]
name = "hop"
recipient_domains = ["*"]
smart_hosts = ["127.0.0.1:{hop}"]
"""


@dataclass
class Place:
    ports: dict[str, int]
    hop: Hop
    passwords: dict[str, str]

    def send(self, door: str, user: str, sender: str) -> Transcript:
        """swaks as somebody's mail program."""
        return swaks(
            self.ports[door],
            *("-tlsc" if door == "465" else "-tls", "--auth", "PLAIN", "--auth-user", user),
            *("--auth-password", self.passwords[user], "--from", sender, "--h-From", f"<{sender}>"),
        )


@pytest.fixture(scope="module")
def place(make_gateway: Callable[..., Gateway], authority: Authority) -> Iterator[Place]:
    gateway = make_gateway(file=None)
    ports = {"465": free_port(), "587": gateway.port}
    with Hop() as hop:
        serve(
            gateway,
            "People and devices",
            ("0.0.0.0:465", f"127.0.0.1:{ports['465']}"),
            ("0.0.0.0:587", f"127.0.0.1:{ports['587']}"),
            certificate=authority.issue("mx.corp.example"),
            rest=REST.format(hop=hop.port),
        )
        who = {"ida": "ida@corp.example", "printer": "*@devices.corp.example"}
        passwords = {
            name: gateway.json("user", "add", name, "--address", address, "--generate")["password"]
            for name, address in who.items()
        }
        yield Place(ports, hop, passwords)


@pytest.mark.parametrize("door", ["465", "587"])
@pytest.mark.parametrize(
    ("user", "sender"), [("ida", "ida@corp.example"), ("printer", "third-floor@devices.corp.example")]
)
def test_they_send_as_themselves(place: Place, door: str, user: str, sender: str) -> None:
    before = len(place.hop.taken)
    said = place.send(door, user, sender)
    assert said.code == 0 and said.secured, said.text
    assert place.hop.wait(before + 1)[-1].sender == sender


@pytest.mark.parametrize("door", ["465", "587"])
def test_they_send_as_nobody_else(place: Place, door: str) -> None:
    assert place.send(door, "printer", "ida@corp.example").last.startswith("550 5.7.60 ")
    assert place.send(door, "ida", "boss@corp.example").last.startswith("550 5.7.60 ")


def test_who_does_not_log_in_sends_nothing(place: Place) -> None:
    said = swaks(place.ports["587"], "-tls")
    assert said.code != 0 and any(line.startswith("530 ") for line in said.replies), said.text
