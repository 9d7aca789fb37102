"""TLS under `[security] fips`: what is not approved is not agreed on, by whichever of our contexts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from OpenSSL import SSL

from gateway.connectors.model import TlsLevel
from gateway.connectors.own_names import OwnFiles, door_context
from gateway.connectors.tls import outbound_context, server_context
from tests.fakes.certificates import Certificate, make_certificate

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
CHACHA = b"TLS_CHACHA20_POLY1305_SHA256"


@pytest.fixture
def own(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "mail.corp.example")


def outbound() -> ssl.SSLContext:
    return outbound_context(
        TlsLevel.ENCRYPTION_ONLY,
        trusted_ca=None,
        minimum_tls="1.2",
        client_certificate=None,
        client_key=None,
        fips=True,
    )


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str, str]:
    """Version and suite. Raises ssl.SSLError."""
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(here, there), server.wrap_bio(there, here, server_side=True)]
    for _ in range(5):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    cipher = sides[0].cipher()
    assert cipher is not None
    return str(sides[0].version()), cipher[0]


def any_client(version: ssl.TLSVersion, ciphers: str, curve: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    if curve is not None:
        context.set_ecdh_curve(curve)
    return context


def pyopenssl_handshake(server: ssl.SSLContext, suites: bytes) -> str:
    """A client that offers these suites of TLS 1.3 alone. Raises ssl.SSLError or SSL.Error."""
    own = SSL.Context(SSL.TLS_CLIENT_METHOD)
    own.set_min_proto_version(SSL.TLS1_3_VERSION)
    own.set_tls13_ciphersuites(suites)
    client = SSL.Connection(own, None)
    client.set_connect_state()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = server.wrap_bio(incoming, outgoing, server_side=True)
    for _ in range(5):
        try:
            client.do_handshake()
        except SSL.WantReadError:
            pass
        try:
            incoming.write(client.bio_read(1 << 16))
        except SSL.WantReadError:
            pass
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
        if outgoing.pending:
            client.bio_write(outgoing.read())
    cipher = side.cipher()
    assert cipher is not None
    return cipher[0]


def doors(own: Certificate) -> list[ssl.SSLContext]:
    files = [OwnFiles(own.file, own.key_file)]
    return [door_context(files, "1.2", asking=asks, fips=True) for asks in (False, True)]


def test_both_sides_agree_on_approved_suites(own: Certificate) -> None:
    for server in doors(own):
        assert handshake(server, outbound()) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
        client = any_client(ssl.TLSVersion.TLSv1_2, "DEFAULT")
        assert handshake(server, client) == ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-SHA", "AES256-GCM-SHA384"])
def test_unapproved_suites_of_tls_1_2_are_not_taken(own: Certificate, suite: str) -> None:
    client = any_client(ssl.TLSVersion.TLSv1_2, f"{suite}:@SECLEVEL=0")
    for server in doors(own):
        with pytest.raises(ssl.SSLError):
            handshake(server, client)
    context = outbound()
    assert suite not in {one["name"] for one in context.get_ciphers()}


def test_chacha20_of_tls_1_3_ends_the_handshake(own: Certificate) -> None:
    plain = server_context(own.file, own.key_file, "1.2")
    assert pyopenssl_handshake(plain, CHACHA) == CHACHA.decode()  # So it is this which is refused below.
    for server in doors(own):
        with pytest.raises((ssl.SSLError, SSL.Error)):
            pyopenssl_handshake(server, CHACHA)
        assert pyopenssl_handshake(server, b"TLS_AES_128_GCM_SHA256") == "TLS_AES_128_GCM_SHA256"


def test_a_server_that_chooses_chacha20_is_left(own: Certificate) -> None:
    theirs = SSL.Context(SSL.TLS_SERVER_METHOD)
    theirs.set_tls13_ciphersuites(CHACHA)
    theirs.use_certificate(own.certificate)
    theirs.use_privatekey(own.key)
    server = SSL.Connection(theirs, None)
    server.set_accept_state()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = outbound().wrap_bio(incoming, outgoing)

    def run() -> None:
        for _ in range(5):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            if outgoing.pending:
                server.bio_write(outgoing.read())
            try:
                server.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                incoming.write(server.bio_read(1 << 16))
            except SSL.WantReadError:
                pass

    with pytest.raises(ssl.SSLError, match=r"CHACHA20.* is not approved") as raised:
        run()
    assert raised.value.reason == "UNAPPROVED_CIPHER"


def test_no_curve_but_p256_is_offered_or_taken(own: Certificate) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        try:
            client = any_client(version, "DEFAULT", "X25519")
        except ssl.SSLError:  # Python before 3.11.4 knows no such curve by name; another one has to stand for it.
            client = any_client(version, "DEFAULT", "secp521r1")
        for server in doors(own):
            with pytest.raises(ssl.SSLError):
                handshake(server, client)
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = outbound().wrap_bio(there, here)
    with pytest.raises(ssl.SSLWantReadError):
        side.do_handshake()
    # supported_groups (RFC 8446 4.2.7): its number, its length, the list's length, and P-256 alone.
    assert bytes.fromhex("000a000400020017") in here.read()


@pytest.mark.parametrize("loop", LOOPS)
def test_event_loops_speak_by_these_contexts(own: Certificate, loop: str) -> None:
    async def run() -> tuple[str, bytes]:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 ready\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=doors(own)[0])
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=outbound(), server_hostname="x")
            cipher = writer.get_extra_info("ssl_object").cipher()[0]
            said = await reader.read(100)
            writer.close()
        return cipher, said

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        assert runner.run(run()) == ("TLS_AES_256_GCM_SHA384", b"220 ready\r\n")
