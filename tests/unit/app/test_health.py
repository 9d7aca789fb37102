"""/metrics and /health: two answers, and a closed connection for everything that is no proper question."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from gateway.app.health import DEADLINE, MAX_HEAD, Health, judged
from tests.fakes.clock import FakeClock


class Place:
    """A health address on loopback. `well` is what it says."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.well = True
        self.ready = 2
        self.health = Health(metrics=self._metrics, healthy=self._healthy, clock=self.clock)
        self.port = 0

    async def _metrics(self) -> bytes:
        return b"gateway_build_info 1\n"

    async def _healthy(self) -> tuple[bool, dict[str, object]]:
        return self.well, {"workers": 2, "ready": self.ready}

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, *pieces: bytes) -> tuple[bytes, dict[bytes, bytes], bytes]:
        """Status line, headers and body of the answer to these octets; all empty where it only hangs up."""
        reader, writer = await self.dial()
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(30):
                answer = await reader.read()
        except ConnectionError:
            answer = b""
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        return status, {line.partition(b": ")[0].lower(): line.partition(b": ")[2] for line in lines}, body


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    server = await asyncio.start_server(place.health.serve, "127.0.0.1", 0)
    place.port = server.sockets[0].getsockname()[1]
    yield place
    server.close()


def get(target: bytes, method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_metrics_are_in_prometheus_form(place: Place) -> None:
    status, headers, body = await place.ask(get(b"/metrics?x=1"))
    assert status.startswith(b"HTTP/1.1 200")
    assert headers[b"content-type"].startswith(b"text/plain; version=0.0.4")
    assert body == b"gateway_build_info 1\n"
    assert headers[b"content-length"] == b"%d" % len(body)


async def test_health_says_200_or_503(place: Place) -> None:
    status, _, body = await place.ask(get(b"/health"))
    assert status.startswith(b"HTTP/1.1 200")
    assert json.loads(body) == {"workers": 2, "ready": 2}
    place.well, place.ready = False, 1
    status, _, body = await place.ask(get(b"/health"))
    assert status.startswith(b"HTTP/1.1 503")
    assert json.loads(body)["ready"] == 1


async def test_a_gateway_that_takes_no_mail_for_now_lives_and_is_not_restarted_for_it(place: Place) -> None:
    place.well = False
    assert (await place.ask(get(b"/health")))[0].startswith(b"HTTP/1.1 503")
    assert (await place.ask(get(b"/live")))[0].startswith(b"HTTP/1.1 200")
    place.ready = 1
    assert (await place.ask(get(b"/live")))[0].startswith(b"HTTP/1.1 503")


def test_a_gateway_that_refuses_all_mail_is_not_well() -> None:
    """A load balancer that went on sending would have each of its messages answered 451."""
    taking, refusing = ({"mail_refused": [[[], value]]} for value in (0.0, 1.0))
    assert judged(2, 2, [taking, taking]) == (True, {"workers": 2, "ready": 2, "refusing": 0})
    assert judged(2, 2, []) == (True, {"workers": 2, "ready": 2, "refusing": 0})  # Nobody has said anything yet.
    assert judged(2, 1, [taking]) == (False, {"workers": 2, "ready": 1, "refusing": 0})
    assert judged(2, 2, [taking, refusing]) == (False, {"workers": 2, "ready": 2, "refusing": 1})
    assert judged(1, 1, [{}])[0], "an older worker says nothing of it"


async def test_head_has_the_length_and_no_body(place: Place) -> None:
    status, headers, body = await place.ask(get(b"/metrics", b"HEAD"))
    assert status.startswith(b"HTTP/1.1 200")
    assert (headers[b"content-length"], body) == (b"21", b"")


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (get(b"/"), b"404"),
        (get(b"/metrics/"), b"404"),
        (get(b"/metrics", b"POST"), b"405"),
        (get(b"/health", b"DELETE"), b"405"),
    ],
)
async def test_nothing_else_is_served(place: Place, octets: bytes, code: bytes) -> None:
    status, _, _ = await place.ask(octets)
    assert status.split(b" ")[1] == code


async def test_a_question_in_pieces_is_the_same_question(place: Place) -> None:
    status, _, _ = await place.ask(*[bytes([octet]) for octet in get(b"/health")])
    assert status.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO client.example\r\n\r\n",
        b"\0\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
    ],
)
async def test_what_is_no_http_gets_a_closed_connection(place: Place, octets: bytes) -> None:
    status, _, _ = await place.ask(octets)
    assert status == b""


async def test_a_head_that_is_too_long_gets_a_closed_connection(place: Place) -> None:
    status, _, _ = await place.ask(b"GET /health HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (MAX_HEAD + 4096))
    assert status == b""


async def test_who_hangs_up_at_once_disturbs_nobody(place: Place) -> None:
    _, writer = await place.dial()
    writer.close()
    status, _, _ = await place.ask(get(b"/health"))
    assert status.startswith(b"HTTP/1.1 200")


async def test_a_slow_client_has_its_time(place: Place) -> None:
    reader, writer = await place.dial()
    writer.write(b"GET /health HT")
    while not place.clock.sleepers:
        await asyncio.sleep(0)
    await place.clock.advance(DEADLINE - 1)
    assert not reader.at_eof()
    await place.clock.advance(2)
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
