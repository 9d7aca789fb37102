"""Two gateways and one bucket that comes and goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.s3 import S3
from tests.scenarios.peers.gateway import Gateway
from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import free_port
from tests.scenarios.peers.raw import Raw

LARGE = b"MARKER-OF-THE-TEST line\r\n" * 100_000


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[S3]:
    s3 = S3(tmp_path, free_port()).start()
    s3.empty()
    s3.make_bucket()
    yield s3
    s3.stop()


@pytest.fixture
def hop() -> Iterator[Hop]:
    with Hop({"MAIL": "451 4.3.2 Closed for now"}) as hop:
        yield hop


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway], hop: Hop, s3: S3, tmp_path: Path) -> Iterator[Gateway]:
    gateway = make_gateway(HOP=hop.port, S3=s3.url, KEYS=tmp_path).start()
    yield gateway
    gateway.stop()


def send(gateway: Gateway, mark: bytes, body: bytes) -> str:
    """The last reply."""
    with Raw(gateway.port, seconds=60) as client:
        client.hello()
        client.ask("MAIL FROM:<ida@corp.example>")
        client.ask("RCPT TO:<otto@partner.example>")
        client.ask("DATA")
        client.send(b"Subject: " + mark + b"\r\n\r\n" + body)
        return client.ask(".")


def id_of(reply: str) -> str:
    assert reply.startswith("250"), reply
    return reply.split()[-1]


def test_large_content_lies_in_the_bucket_and_goes_with_its_delivery(gateway: Gateway, hop: Hop, s3: S3) -> None:
    large, small = id_of(send(gateway, b"large", LARGE)), id_of(send(gateway, b"small", b"x\r\n"))
    assert [key.rpartition("/")[2] for key in s3.keys()] == [large]
    assert s3.keys()[0].startswith("shared/")
    assert b"MARKER" not in s3.octets()
    gateway.tried(large)
    gateway.tried(small)
    gateway.kill()  # What is in the bucket belongs to somebody: a restart clears nothing of it.
    gateway.start()
    hop.healthy()
    gateway.retry_all()
    took = hop.wait(2, 60)
    gateway.drained()
    assert sorted(LARGE in one.octets for one in took) == [False, True]
    assert s3.keys() == []


def test_while_the_bucket_is_away_large_mail_is_told_to_wait_and_nothing_is_lost(
    gateway: Gateway, hop: Hop, s3: S3
) -> None:
    waiting = id_of(send(gateway, b"before", LARGE))
    gateway.tried(waiting)
    s3.stop()
    assert send(gateway, b"large", LARGE).startswith("451 4.")
    id_of(send(gateway, b"small", b"x\r\n"))
    hop.healthy()
    gateway.retry_all()
    assert b"Subject: small" in hop.wait(1, 30)[0].octets
    row = gateway.tried(waiting)
    assert row["state"] == "waiting", "its content is away, which is passing"
    warned = gateway.run("check")
    assert warned.returncode == 0
    assert "does not answer" in warned.stderr
    s3.start()
    gateway.retry_all()
    took = hop.wait(2, 60)
    gateway.drained()
    assert LARGE in took[1].octets
    assert len(took) == 2, "what was answered 451 was not accepted"
    assert s3.keys() == []


def test_two_gateways_share_a_bucket_and_leave_each_other_alone(
    gateway: Gateway, make_gateway: Callable[..., Gateway], hop: Hop, s3: S3, tmp_path: Path
) -> None:
    id_of(send(gateway, b"one", LARGE))
    with Hop() as open_hop:
        other = make_gateway(HOP=open_hop.port, S3=s3.url, KEYS=tmp_path).start()
        id_of(send(other, b"two", LARGE))
        open_hop.wait(1, 30)
        other.drained()
        assert other.stop() == 0
    assert len(s3.keys()) == 1
    hop.healthy()
    gateway.run("queue", "retry", "--all")
    assert LARGE in hop.wait(1, 60)[0].octets


def test_a_content_that_is_gone_is_held_for_somebody_to_look_at(gateway: Gateway, hop: Hop, s3: S3) -> None:
    lost = id_of(send(gateway, b"lost", LARGE))
    gateway.tried(lost)
    s3.empty()
    s3.make_bucket()
    hop.healthy()
    gateway.run("queue", "retry", "--all")
    gateway.story(lost, "held")
    assert gateway.queue(lost)[0]["state"] == "held"
