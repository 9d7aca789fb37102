"""Listeners of a worker: opened, changed and closed by a reload, while clients that are there go on."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from gateway.app.doors import Doors
from gateway.smtp.desk import Terms
from gateway.world.sockets import Socket, bind
from tests.fakes.certificates import Certificate, make_certificate
from tests.fakes.desk import FakeDesk
from tests.fakes.proxies import v1


def terms(name: str, **more: Any) -> Terms:
    return Terms.made(**{"name": name, "hostname": "mx.corp.example", **more})


class Served:
    """Doors that are open, and the sockets behind them."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.desk = FakeDesk()
        self.doors = Doors(self.desk.desk, asyncio.get_running_loop(), tasks)
        self.sockets: dict[str, Socket] = {}
        self.wires: list[asyncio.StreamWriter] = []

    def socket(self, name: str) -> dict[str, list[Socket]]:
        self.sockets[name] = bind("127.0.0.1", 0)
        return {name: [self.sockets[name].dup()]}

    async def dial(
        self, name: str, context: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.sockets[name].getsockname()[1], ssl=context)
        self.wires.append(writer)
        return reader, writer

    async def greeting(self, name: str, context: ssl.SSLContext | None = None) -> str:
        reader, _ = await self.dial(name, context)
        async with asyncio.timeout(30):
            return (await reader.readline()).decode()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        served = Served(tasks)
        yield served
        served.doors.close()
        for wire in served.wires:
            wire.close()
        draining = asyncio.ensure_future(served.doors.drain(5))
        await served.desk.clock.advance(6)
        await draining
        for task in served.doors.watches():
            task.cancel()
        for socket in served.sockets.values():
            socket.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "mx.corp.example")


def trusting() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_each_listener_is_served_under_its_terms(served: Served) -> None:
    await served.doors.arrange(
        [terms("a", hostname="a.example"), terms("b", hostname="b.example")], served.socket("a") | served.socket("b")
    )
    assert (await served.greeting("a")).startswith("220 a.example")
    assert (await served.greeting("b")).startswith("220 b.example")
    assert served.doors.sessions() == {"a": 1, "b": 1}


async def test_new_terms_are_for_new_clients(served: Served) -> None:
    await served.doors.arrange([terms("a", hostname="old.example")], served.socket("a"))
    reader, writer = await served.dial("a")
    await reader.readline()
    await served.doors.arrange([terms("a", hostname="new.example")], {})
    assert (await served.greeting("a")).startswith("220 new.example")
    writer.write(b"HELO c\r\n")
    assert await reader.readline() == b"250 old.example\r\n"


async def test_a_listener_that_is_gone_takes_nobody_and_lets_its_clients_finish(served: Served) -> None:
    await served.doors.arrange([terms("a")], served.socket("a"))
    busy_reader, busy = await served.dial("a")
    idle_reader, idle = await served.dial("a")
    busy.write(b"EHLO c\r\nMAIL FROM:<>\r\n")
    for _ in range(11):
        await busy_reader.readline()
    await idle_reader.readline()
    await served.doors.arrange([], {})
    port = served.sockets["a"].getsockname()[1]
    served.sockets["a"].close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    idle.write(b"NOOP\r\n")  # Whoever is connected may stay: a reload ends no session.
    assert (await idle_reader.readline()).startswith(b"250 2.0.0")
    draining = asyncio.ensure_future(served.doors.drain(30))
    assert (await idle_reader.readline()).startswith(b"421 4.3.2")
    busy.write(b"RCPT TO:<otto@partner.example>\r\nDATA\r\n")
    await busy_reader.readline()
    await busy_reader.readline()
    assert not draining.done()
    busy.write(b"x\r\n.\r\n")
    assert (await busy_reader.readline()).startswith(b"250 2.0.0 Queued")
    assert (await busy_reader.readline()).startswith(b"421 4.3.2")
    await draining
    assert len(served.desk.accepted) == 1


async def test_a_listener_changes_to_tls_at_once_and_back_on_its_socket(
    served: Served, certificate: Certificate
) -> None:
    await served.doors.arrange([terms("a")], served.socket("a"))
    await served.doors.arrange([terms("a", tls=certificate.server, implicit=True)], {})
    assert (await served.greeting("a", trusting())).startswith("220 ")
    await served.doors.arrange([terms("a")], {})
    assert (await served.greeting("a")).startswith("220 ")
    assert served.doors.sessions() == {"a": 2}


async def test_a_listener_serves_all_its_sockets_in_clear_and_with_tls_at_once(
    served: Served, certificate: Certificate
) -> None:
    doors = [*served.socket("a")["a"], *served.socket("neighbour")["neighbour"]]
    await served.doors.arrange([terms("a")], {"a": doors})
    assert [(await served.greeting(name))[:4] for name in ("a", "neighbour")] == ["220 ", "220 "]
    await served.doors.arrange([terms("a", tls=certificate.server, implicit=True)], {})
    assert [(await served.greeting(name, trusting()))[:4] for name in ("a", "neighbour")] == ["220 ", "220 "]
    await served.doors.arrange([terms("a")], {})
    assert [(await served.greeting(name))[:4] for name in ("a", "neighbour")] == ["220 ", "220 "]
    assert served.doors.sessions() == {"a": 6}


async def test_a_new_certificate_is_shown_to_new_clients_of_tls_at_once(served: Served, tmp_path: Path) -> None:
    first, second = make_certificate(tmp_path, "one.example"), make_certificate(tmp_path, "two.example")
    await served.doors.arrange([terms("a", tls=first.server, implicit=True)], served.socket("a"))
    _, old = await served.dial("a", trusting())
    await served.doors.arrange([terms("a", tls=second.server, implicit=True)], {})
    _, new = await served.dial("a", trusting())
    assert old.get_extra_info("ssl_object").getpeercert(True) == first.der
    assert new.get_extra_info("ssl_object").getpeercert(True) == second.der


async def test_reloads_leave_no_watch_behind(served: Served, certificate: Certificate) -> None:
    at_once = terms("a", tls=certificate.server, implicit=True)
    await served.doors.arrange([at_once], served.socket("a"))
    for _ in range(5):
        await served.doors.arrange([at_once], {})
    assert len(served.doors.watches()) <= 2


PROXIES = (ip_network("127.0.0.0/8"),)


async def proxied(served: Served, name: str, header: bytes) -> bytes:
    """What a client hears first that begins with this."""
    reader, writer = await served.dial(name)
    writer.write(header)
    async with asyncio.timeout(30):
        try:
            return await reader.readline()
        except ConnectionError:
            return b""


async def test_a_listener_behind_proxies_asks_for_the_header_and_stops_asking_by_a_reload(served: Served) -> None:
    await served.doors.arrange([terms("a", proxies=PROXIES)], served.socket("a"))
    assert (await proxied(served, "a", v1())).startswith(b"220 ")
    assert await proxied(served, "a", b"EHLO c\r\n") == b""
    await served.doors.arrange([terms("a")], {})
    assert (await served.greeting("a")).startswith("220 ")
    await served.doors.arrange([terms("a", proxies=PROXIES)], {})
    assert await proxied(served, "a", b"EHLO c\r\n") == b""
    assert served.doors.sessions() == {"a": 2}


async def test_new_terms_behind_proxies_are_for_new_clients_and_break_off_no_header(
    served: Served, certificate: Certificate
) -> None:
    await served.doors.arrange([terms("a", proxies=PROXIES, hostname="old.example")], served.socket("a"))
    reader, writer = await served.dial("a")
    writer.write(b"PROXY ")
    await served.doors.arrange(
        [terms("a", proxies=PROXIES, hostname="new.example", tls=certificate.server, implicit=True)], {}
    )
    await served.doors.arrange([terms("a", proxies=PROXIES, hostname="new.example")], {})
    assert (await proxied(served, "a", v1())).startswith(b"220 new.example")
    writer.write(v1()[6:])
    async with asyncio.timeout(30):
        assert (await reader.readline()).startswith(b"220 ")


async def test_a_stop_ends_those_who_have_not_said_for_whom_they_come(served: Served) -> None:
    await served.doors.arrange([terms("a", proxies=PROXIES)], served.socket("a"))
    reader, writer = await served.dial("a")
    writer.write(b"PROXY ")
    await asyncio.sleep(0.01)
    served.doors.close()
    async with asyncio.timeout(30):
        assert await reader.read() == b""
