"""Sockets: listening, dialling, handing over."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from gateway.world.clock import SystemClock
from gateway.world.sockets import (
    MAX_PASSED,
    accept,
    acknowledge,
    bind,
    control_connect,
    control_server,
    control_socket,
    dial,
    pair,
    peek,
    receive_sockets,
    send_sockets,
)


def test_two_workers_can_listen_on_one_port_if_both_say_so() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bind("127.0.0.1", port) as second:
            assert second.getsockname() == first.getsockname()
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
            bind("127.0.0.1", port, reuse_port=False)


def test_who_waits_at_a_door_is_taken_in_and_nobody_is_waited_for() -> None:
    with bind("127.0.0.1", 0) as door:
        assert accept(door) is None
        with socket.create_connection(door.getsockname()) as there:
            found = None
            while found is None:
                found = accept(door)
            here, address = found
            with here:
                assert address == "127.0.0.1"
                assert not here.getblocking()
                assert here.getpeername() == there.getsockname()
        assert accept(door) is None


def test_what_is_peeked_at_stays_unread() -> None:
    here, there = pair()
    with here, there:
        here.setblocking(False)
        assert peek(here, 10) is None
        there.sendall(b"abcdef")
        assert peek(here, 4) == b"abcd"
        assert here.recv(10) == b"abcdef"
        there.close()
        assert peek(here, 4) == b""


def test_ipv4_and_ipv6_can_stand_beside_each_other() -> None:
    with bind("0.0.0.0", 0) as four, bind("::", four.getsockname()[1]) as six:
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)


def test_what_is_no_address_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot listen on no\.such\.invalid"):
        bind("no.such.invalid", 25)
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1"):
        bind("192.0.2.1", 0)


async def test_dialling_from_a_source_address() -> None:
    seen: list[str] = []

    class Taker(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.append(transport.get_extra_info("peername")[0])
            assert isinstance(transport, asyncio.Transport)
            transport.abort()

    loop = asyncio.get_running_loop()
    closed = asyncio.Event()

    class Caller(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            closed.set()

    door = bind("127.0.0.1", 0)
    server = await loop.create_server(Taker, sock=door)
    port = door.getsockname()[1]
    caller = await dial(loop, Caller, "127.0.0.1", port, source="127.0.0.2", timeout=5, clock=SystemClock())
    assert isinstance(caller, Caller)
    await closed.wait()
    server.close()
    assert seen == ["127.0.0.2"]


async def test_dialling_another_family_than_the_source_is_a_fault() -> None:
    loop = asyncio.get_running_loop()
    with pytest.raises(OSError, match="can't be reached from") as caught:
        await dial(loop, asyncio.Protocol, "::1", 25, source="127.0.0.1", timeout=5, clock=SystemClock())
    assert caught.value.errno == errno.EAFNOSUPPORT


def test_sockets_go_from_one_process_to_another_with_their_note() -> None:
    here, there = pair()
    note = b"x" * 200_000  # More than a socket's buffer holds at once.
    doors = [bind("127.0.0.1", 0) for _ in range(3)]
    sender = threading.Thread(target=send_sockets, args=(here, note, doors))
    sender.start()
    told, taken = receive_sockets(there)
    sender.join()
    assert told == note
    assert [one.getsockname() for one in taken] == [one.getsockname() for one in doors]
    assert not any(one.getblocking() for one in taken)
    for one in (*doors, *taken, here, there):
        one.close()


def test_no_sockets_may_go_over_too() -> None:
    here, there = pair()
    with here, there:
        send_sockets(here, b"stop", [])
        send_sockets(here, b"", [])
        assert receive_sockets(there) == (b"stop", [])
        assert receive_sockets(there) == (b"", [])


def test_a_channel_that_closes_is_the_end() -> None:
    here, there = pair()
    with there:
        here.close()
        with pytest.raises(EOFError):
            receive_sockets(there)


def test_too_many_sockets_are_refused_before_anything_is_sent() -> None:
    here, there = pair()
    with here, there, pytest.raises(ValueError, match="at most"):
        send_sockets(here, b"", [here] * (MAX_PASSED + 1))


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(await reader.readline())
    writer.close()


@pytest.mark.parametrize("deep", [0, 5])
async def test_the_control_socket_is_for_its_owner_whatever_the_length_of_its_path(tmp_path: Path, deep: int) -> None:
    folder = tmp_path.joinpath(*["long" * 12] * deep)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "control"
    mask = os.umask(0)
    try:
        server = await control_server(path, echo)
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    reader, writer = await control_connect(path)
    writer.write(b"hello\n")
    assert await reader.read() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    server.close()


async def test_a_socket_of_a_dead_process_is_replaced_and_one_of_a_living_is_not(tmp_path: Path) -> None:
    path = tmp_path / "control"
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    server = await control_server(path, echo)
    with pytest.raises(OSError, match="Address already in use"):
        await control_server(path, echo)
    control_socket(path, timeout=1).close()
    server.close()


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control"
    path.write_text("precious")
    with pytest.raises(OSError, match="cannot listen on"):
        await control_server(path, echo)
    assert path.read_text() == "precious"


def test_nobody_at_the_control_socket_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot connect to .*control"):
        control_socket(tmp_path / "control", timeout=1)


def test_what_has_come_is_acknowledged_at_once_where_there_is_a_socket() -> None:
    door = bind("127.0.0.1", 0)
    client = socket.create_connection(door.getsockname())
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
    acknowledge(client)
    assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)
    client.close()
    acknowledge(client)  # It is gone, and that is nobody's concern.
    acknowledge(None)
    door.close()
