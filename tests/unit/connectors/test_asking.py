"""Listeners that ask for a client certificate: any is taken, and the TLS under it behaves as ssl's does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.connectors import pem
from gateway.connectors.asking import AskingContext, PeerTls, asking_context
from gateway.connectors.own_names import OwnFiles, door_context
from gateway.connectors.tls import peer_certificate, peer_chain, tls_facts
from tests.fakes.certificates import Certificate, make_certificate

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
ROOT = Path(__file__).parents[3]
LARGE = bytes(range(256)) * 4096 * 3  # 3 MiB

both_loops = pytest.mark.parametrize("loop", LOOPS)
both_versions = pytest.mark.parametrize("version", VERSIONS)


class Server(asyncio.Protocol):
    """Says back what it hears; after a line STARTTLS it goes on over TLS."""

    def __init__(self, context: ssl.SSLContext, tasks: set[asyncio.Task[None]]) -> None:
        self.context = context
        self.tasks = tasks
        self.early: bytes | None = None
        self.ended = False
        self.facts: tuple[str, str] | None = None
        self.chain: tuple[bytes, ...] = ()
        self.der: bytes | None = None
        self.failure: BaseException | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.note()

    def note(self) -> None:
        assert self.transport is not None
        self.facts = tls_facts(self.transport)
        self.chain = peer_chain(self.transport)
        self.der = peer_certificate(self.transport)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        if data == b"STARTTLS\r\n" and self.facts is None:
            task = asyncio.get_running_loop().create_task(self.upgrade())
            self.tasks.add(task)
            self.early = b""
            return
        if self.early is not None:  # The first octets over TLS may come before start_tls returns.
            self.early += data
        else:
            self.transport.write(data)

    async def upgrade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"220\r\n")
        try:
            upgraded = await asyncio.get_running_loop().start_tls(
                self.transport, self, self.context, server_side=True, ssl_handshake_timeout=10
            )
        except OSError as error:
            self.failure = error
            return
        assert upgraded is not None
        self.transport = upgraded
        self.note()
        self.transport.write(self.early or b"")
        self.early = None

    def eof_received(self) -> bool:
        self.ended = True
        return False


def converse(
    loop: str,
    context: ssl.SSLContext,
    client: Callable[[int], None],
    *,
    implicit: bool = False,
) -> list[Server]:
    """Serve until `client`, which blocks in a thread of its own, has ended; one protocol for each connection."""
    made: list[Server] = []
    tasks: set[asyncio.Task[None]] = set()

    def factory() -> Server:
        made.append(Server(context, tasks))
        return made[-1]

    async def run() -> None:
        here = asyncio.get_running_loop()
        here.set_exception_handler(lambda *_: None)
        server = await here.create_server(factory, "127.0.0.1", 0, ssl=context if implicit else None)
        port = server.sockets[0].getsockname()[1]
        await here.run_in_executor(None, client, port)
        server.close()
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        work: Coroutine[Any, Any, None] = run()
        runner.run(work)
    return made


def client_context(version: str, shown: Certificate | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = VERSIONS[version]
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if shown is not None:
        context.load_cert_chain(shown.file, shown.key_file)
    return context


def dial(port: int, context: ssl.SSLContext, *, implicit: bool = False, name: str | None = None) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    if not implicit:
        plain.sendall(b"STARTTLS\r\n")
        assert plain.recv(100) == b"220\r\n"
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except OSError:
        plain.close()
        raise


def echo(connection: ssl.SSLSocket, octets: bytes) -> bytes:
    connection.sendall(octets)  # The server keeps what we don't read yet.
    back = bytearray()
    while len(back) < len(octets):
        part = connection.recv(65536)
        if not part:
            break
        back += part
    return bytes(back)


@pytest.fixture
def own(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "mail.corp.example")


def asking(own: Certificate, minimum: str = "1.2") -> AskingContext:
    return asking_context(pem.certificates(own.file), pem.private_key(own.key_file), minimum)


@both_loops
@both_versions
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("with_certificate", [False, True])
def test_a_conversation_with_and_without_a_certificate(
    tmp_path: Path, own: Certificate, loop: str, version: str, implicit: bool, with_certificate: bool
) -> None:
    shown = make_certificate(tmp_path, "mx.partner.example") if with_certificate else None
    back = b""

    def client(port: int) -> None:
        nonlocal back
        with dial(port, client_context(version, shown), implicit=implicit) as connection:
            assert echo(connection, b"small") == b"small"
            back = echo(connection, LARGE)
            connection.unwrap()  # TLS is closed in form on both sides; else this raises.

    (server,) = converse(loop, asking(own), client, implicit=implicit)
    assert back == LARGE
    assert server.facts is not None
    assert server.facts[0] == f"TLSv{version}"
    assert server.facts[1].startswith("TLS_")
    assert server.chain == (() if shown is None else (shown.der,))
    assert server.der == (None if shown is None else shown.der)
    assert server.ended
    assert server.failure is None


@both_loops
@pytest.mark.parametrize("kind", ["self-signed", "expired", "unknown issuer", "weak key", "sha1"])
def test_any_certificate_is_taken_in_the_handshake(tmp_path: Path, own: Certificate, loop: str, kind: str) -> None:
    ca = make_certificate(tmp_path, is_ca=True, common_name="Nobody's CA")
    shown = {
        "self-signed": lambda: make_certificate(tmp_path, "a.example"),
        "expired": lambda: make_certificate(tmp_path, "a.example", days=(-30, -1)),
        "unknown issuer": lambda: make_certificate(tmp_path, "a.example", issuer=ca),
        "weak key": lambda: make_certificate(tmp_path, "a.example", key=rsa.generate_private_key(65537, 1024)),
        "sha1": lambda: make_certificate(tmp_path, "a.example", issuer=ca, digest=hashes.SHA224()),
    }[kind]()
    back = b""

    def client(port: int) -> None:
        nonlocal back
        with dial(port, client_context("1.3", shown)) as connection:
            back = echo(connection, b"heard")

    (server,) = converse(loop, asking(own), client)
    assert back == b"heard"
    assert server.chain[0] == shown.der


@both_loops
@both_versions
def test_a_session_that_is_taken_up_again_still_shows_the_whole_chain(
    tmp_path: Path, own: Certificate, loop: str, version: str
) -> None:
    ca = make_certificate(tmp_path, is_ca=True, common_name="Partner CA")
    shown = make_certificate(tmp_path, "mx.partner.example", issuer=ca)
    shown.file.write_bytes(shown.file.read_bytes() + ca.file.read_bytes())
    context = client_context(version, shown)

    def client(port: int) -> None:
        with dial(port, context) as first:
            assert echo(first, b"one") == b"one"
            session = first.session
            first.unwrap()
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        plain.sendall(b"STARTTLS\r\n")
        plain.recv(100)
        with context.wrap_socket(plain, session=session) as second:
            assert echo(second, b"two") == b"two"

    servers = converse(loop, asking(own), client)
    assert [server.chain for server in servers] == [(shown.der, ca.der)] * 2


@both_loops
def test_what_is_no_tls_ends_the_handshake_and_nothing_else(own: Certificate, loop: str) -> None:
    def client(port: int) -> None:
        for octets in (b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 600, b"\x80" * 50):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                plain.sendall(b"STARTTLS\r\n")
                plain.recv(100)
                plain.sendall(octets)
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(1000):
                    pass
        with dial(port, client_context("1.3")) as connection:
            assert echo(connection, b"still there") == b"still there"

    servers = converse(loop, asking(own), client)
    assert all(isinstance(server.failure, OSError) for server in servers[:3])
    assert servers[3].failure is None


@both_loops
def test_more_than_a_hundred_thousand_octets_of_certificates_end_the_handshake(
    tmp_path: Path, own: Certificate, loop: str
) -> None:
    shown = make_certificate(tmp_path, *(f"name-{number}.partner.example" for number in range(5000)))

    def client(port: int) -> None:
        with contextlib.suppress(OSError), dial(port, client_context("1.3", shown)) as connection:
            connection.sendall(b"x")
            assert connection.recv(1) == b""

    (server,) = converse(loop, asking(own), client)
    assert isinstance(server.failure, ssl.SSLError)


@both_loops
@pytest.mark.parametrize("asks", [False, True])
def test_the_certificate_is_that_of_the_name_asked_for(tmp_path: Path, loop: str, asks: bool) -> None:
    made = {
        "own": make_certificate(tmp_path, "mail.corp.example"),
        "exact": make_certificate(tmp_path, "mx.other.example"),
        "wild": make_certificate(tmp_path, "*.other.example"),
    }
    files = [OwnFiles(one.file, one.key_file) for one in made.values()]
    context = door_context(files, "1.2", asking=asks)
    seen: dict[str | None, bytes | None] = {}

    def client(port: int) -> None:
        for name in ("mail.corp.example", "mx.other.example", "MX.Other.Example", "www.other.example", "x.y", None):
            with dial(port, client_context("1.3"), name=name) as connection:
                assert echo(connection, b"there") == b"there"
                seen[name] = connection.getpeercert(binary_form=True)

    converse(loop, context, client)
    expected = {
        "mail.corp.example": "own",
        "mx.other.example": "exact",
        "MX.Other.Example": "exact",
        "www.other.example": "wild",
        "x.y": "own",
        None: "own",
    }
    assert seen == {name: made[which].der for name, which in expected.items()}


def test_a_client_certificate_is_seen_behind_another_name_too(tmp_path: Path) -> None:
    first, second = make_certificate(tmp_path, "a.example"), make_certificate(tmp_path, "b.example")
    context = door_context([OwnFiles(one.file, one.key_file) for one in (first, second)], "1.2", asking=True)
    shown = make_certificate(tmp_path, "mx.partner.example")

    def client(port: int) -> None:
        with dial(port, client_context("1.2", shown), name="b.example") as connection:
            assert echo(connection, b"there") == b"there"

    (server,) = converse("uvloop", context, client)
    assert server.chain == (shown.der,)


UNDER_RESTRICTION = """
import ctypes, ssl, sys
from pathlib import Path
PR_SET_MDWE, NO_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, NO_EXEC_GAIN, 0, 0, 0):
    sys.exit(77)
from gateway.connectors.own_names import OwnFiles, door_context
files = [OwnFiles(Path(one + ".pem"), Path(one + ".key")) for one in sys.argv[1:3]]
server_side = door_context(files, "1.2", asking=True)
client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
client_side.check_hostname, client_side.verify_mode = False, ssl.CERT_NONE
client_side.load_cert_chain(sys.argv[3] + ".pem", sys.argv[3] + ".key")
here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
server = server_side.wrap_bio(here, there, server_side=True)
client = client_side.wrap_bio(there, here, server_hostname="b.example")
for _ in range(4):
    for side in (client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
own = [ssl.PEM_cert_to_DER_cert(Path(one + ".pem").read_text()) for one in sys.argv[1:4]]
assert client.getpeercert(binary_form=True) == own[1]
assert server.peer_chain() == (own[2],)
"""


def test_it_works_in_a_service_without_memory_that_is_writable_and_executable(tmp_path: Path) -> None:
    """As under systemd's MemoryDenyWriteExecute, by the kernel's own switch for it."""
    made = [make_certificate(tmp_path, name) for name in ("a.example", "b.example", "mx.partner.example")]
    stems = [str(one.file.with_suffix("")) for one in made]
    done = subprocess.run([sys.executable, "-c", UNDER_RESTRICTION, *stems], capture_output=True, text=True, cwd=ROOT)
    if done.returncode == 77:
        pytest.skip("this kernel has no such switch (Linux 6.3 has)")
    assert done.returncode == 0, done.stderr


def test_the_minimum_version_holds(own: Certificate) -> None:
    def client(port: int) -> None:
        with pytest.raises(OSError):
            dial(port, client_context("1.2"))

    (server,) = converse("asyncio", asking(own, "1.3"), client)
    assert isinstance(server.failure, ssl.SSLError)


def test_the_key_of_another_certificate_is_told(tmp_path: Path, own: Certificate) -> None:
    other = make_certificate(tmp_path, "x.example")
    with pytest.raises(ValueError, match="does not belong"):
        asking_context(pem.certificates(own.file), pem.private_key(other.key_file), "1.2")
    with pytest.raises(OSError, match=str(own.file)):
        door_context([OwnFiles(own.file, other.key_file)], "1.2", asking=True)


def test_it_is_for_servers_alone(own: Certificate) -> None:
    with pytest.raises(ValueError, match="for servers"):
        asking(own).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


def test_a_read_that_found_nothing_ends_what_is_pending(own: Certificate) -> None:
    """uvloop reads on only while one of the two counts is not zero: an unread record behind the first must count."""
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = asking(own).wrap_bio(here, there, server_side=True)
    client = client_context("1.3").wrap_bio(there, here)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    client.write(b"first")
    client.write(b"second")
    assert isinstance(server, PeerTls)
    assert server.read(100) == b"first"
    assert here.pending == 0
    assert server.pending() > 0
    assert server.read(100) == b"second"
    with pytest.raises(ssl.SSLWantReadError):
        server.read(100)
    assert server.pending() == 0
    client.write(b"third")
    buffer = bytearray(100)
    assert server.read(100, buffer) == 5
    assert buffer[:5] == b"third"
    with pytest.raises(ssl.SSLWantReadError):
        client.unwrap()
    assert server.read(100) == b""
    assert server.read(100, buffer) == 0
    server.unwrap()
    client.unwrap()
