"""Sockets: to listen, to dial, to hand them from one process to another. Nothing else in the gateway opens one.

Errors are OSErrors whose text says which address or path was meant. Leaves out: TLS, which `connectors.tls` knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from gateway.world.clock import Clock

Socket = socket.socket  # So that others can name the type without importing the module.

BACKLOG = 1024  # Connections that the kernel holds for us while a worker is restarted.
MAX_CONTROL_LINE = 16 << 20  # Octets that a command may have: a hundred thousand ids.
MAX_PASSED = 250  # Descriptors in one message; Linux takes 253 (SCM_MAX_FD).
MAX_HANDED = 64 << 20  # Octets that go with them: settings, and rules of which JSON may make twice as many.
_UNIX_PATH = 100  # sun_path has 108 octets; longer paths go by way of /proc/self/fd.

_Spoken = TypeVar("_Spoken", bound=asyncio.BaseProtocol)


def bind(address: str, port: int, *, reuse_port: bool = True) -> Socket:
    """A listening socket on `address` (IP literal or host name) and `port` (0: any free one), not blocking.

    IPv6 sockets take IPv6 alone, so that 0.0.0.0 and :: can stand beside each other. Raises OSError.
    """
    try:
        family, kind, proto, _, place = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {address}: it is no address of this machine") from error
    door = socket.socket(family, kind, proto)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        door.bind(place)
        door.listen(BACKLOG)
        door.setblocking(False)
    except OSError as error:
        door.close()
        raise OSError(error.errno, f"cannot listen on {address} port {port}: {error.strerror}") from error
    return door


async def dial(
    loop: asyncio.AbstractEventLoop,
    protocol_factory: Callable[[], _Spoken],
    address: str,
    port: int,
    *,
    source: str | None,
    timeout: float | None,  # noqa: ASYNC109 - the deadline belongs to the handed-in clock
    clock: Clock,
) -> _Spoken:
    """Connect to an IP address within `timeout` seconds and return the protocol, its connection made.

    `source` is the IP address to send from; another family than `address` is a fault. Raises OSError, TimeoutError.
    """
    local = None if source is None else (source, 0)
    if source is not None and ipaddress.ip_address(source).version != ipaddress.ip_address(address).version:
        raise OSError(errno.EAFNOSUPPORT, f"{address} can't be reached from {source}")
    async with clock.timeout(timeout):
        _, protocol = await loop.create_connection(protocol_factory, address, port, local_addr=local)
    return protocol


def accept(door: Socket) -> tuple[Socket, str] | None:
    """A client that waits at `door`, as a socket that does not block, and its IP address; None where nobody does.

    Raises OSError where there are no descriptors left or the like.
    """
    try:
        client, place = door.accept()
    except (BlockingIOError, ConnectionAbortedError):  # The second: it waited, and is gone.
        return None
    client.setblocking(False)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # As event loops do for those whom they take in.
    return client, str(place[0])


class Tunable(Protocol):
    """What asyncio's and uvloop's transports show of their socket."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """As a socket has it."""


def acknowledge(client: Tunable | None) -> None:
    """Acknowledge what has come, now and not in 40 ms: a client that has more to send may wait for just that (Nagle's
    algorithm, RFC 896). `client` is a transport's `socket`; nothing happens where that has none, or is gone.
    """
    if client is not None:
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # Linux forgets it again by itself.


def peek(client: Socket, most: int) -> bytes | None:
    """What has come and was not read, at most so many octets, which stay unread; b"" at the end; None: nothing yet.

    Raises OSError where the connection is broken.
    """
    try:
        return client.recv(most, socket.MSG_PEEK)
    except BlockingIOError:
        return None


def pair() -> tuple[Socket, Socket]:
    """Two connected unix sockets, over which processes hand each other sockets."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


def adopt(descriptor: int) -> Socket:
    """The socket that a parent left open under this number."""
    return socket.socket(fileno=descriptor)


def send_sockets(channel: Socket, note: bytes, sockets: Sequence[Socket]) -> None:
    """Hand over `sockets` and a note that says what they are; `channel` blocks. Raises OSError, ValueError."""
    if len(sockets) > MAX_PASSED or len(note) > MAX_HANDED:
        raise ValueError(f"at most {MAX_PASSED} sockets and {MAX_HANDED} octets go over at once")
    head = struct.pack(">II", len(note), len(sockets))
    sent = socket.send_fds(channel, [head], [one.fileno() for one in sockets])
    channel.sendall(head[sent:] + note)


def receive_sockets(channel: Socket) -> tuple[bytes, list[Socket]]:
    """What `send_sockets` sent: note and sockets, which don't block. `channel` blocks. Raises EOFError, OSError."""
    head, descriptors, _, _ = socket.recv_fds(channel, 8, MAX_PASSED)
    taken = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    try:
        head += _exactly(channel, 8 - len(head))
        length, count = struct.unpack(">II", head)
        if count != len(taken) or length > MAX_HANDED:
            raise OSError(errno.EPROTO, "the other process did not hand over what it announced")
        note = _exactly(channel, length)
    except BaseException:
        for one in taken:
            one.close()
        raise
    for one in taken:
        one.setblocking(False)
    return note, taken


def _exactly(channel: Socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = channel.recv(count - len(parts))
        if not part:
            raise EOFError("the other process closed the channel")
        parts += part
    return bytes(parts)


class _Place:
    """A path short enough for a unix socket: by the folder's descriptor where the path itself is too long."""

    def __init__(self, path: Path) -> None:
        self._folder: int | None = None
        self.text = str(path)
        if len(os.fsencode(self.text)) > _UNIX_PATH:
            self._folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self.text = f"/proc/self/fd/{self._folder}/{path.name}"

    def __enter__(self) -> str:
        return self.text

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            os.close(self._folder)


def bind_control(path: Path) -> Socket:
    """A listening unix socket of mode 0600 at `path`, not blocking. What a dead process left there is replaced.

    Raises OSError; EADDRINUSE where somebody still listens there.
    """
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(door.fileno(), 0o600)  # Linux makes the file with this mode, so at no moment can others connect.
        with _Place(path) as text:
            _clear(path)
            door.bind(text)
        door.listen(64)
        door.setblocking(False)
    except OSError as error:
        door.close()
        raise OSError(error.errno, f"cannot listen on {path}: {error.strerror}") from error
    return door


def _clear(path: Path) -> None:
    """Remove a socket that nobody answers. Anything else at that path is left, and `bind` says so."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return
    except FileNotFoundError:
        return
    try:
        control_socket(path, timeout=2).close()
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)


def control_socket(path: Path, *, timeout: float | None) -> Socket:
    """A blocking socket connected to `path`; `timeout` seconds for each step on it. Raises OSError, naming the path."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.settimeout(timeout)
    try:
        with _Place(path) as text:
            door.connect(text)
    except OSError as error:
        door.close()
        raise OSError(error.errno, f"cannot connect to {path}: {error.strerror}") from error
    return door


async def control_server(
    path: Path, answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> asyncio.AbstractServer:
    """Serve `answer` on a unix socket of mode 0600. Who closes the server may remove the path. Raises OSError."""
    return await asyncio.start_unix_server(answer, sock=bind_control(path), limit=MAX_CONTROL_LINE)


async def control_connect(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams to whoever serves `path`. Raises OSError. Connecting to a unix socket does not wait for the network."""
    door = control_socket(path, timeout=5)
    door.setblocking(False)
    return await asyncio.open_unix_connection(sock=door)


def machine_name() -> str:
    """What this machine calls itself."""
    return socket.gethostname()


def has_address(address: str) -> bool:
    """Whether one may listen on that IP address here; true also where that can't be told."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as one:
            one.bind((address, 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True
