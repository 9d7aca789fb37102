"""A listener's TLS that asks for a client certificate and takes any (DESIGN 19; RFC 8446 4.3.2, RFC 5246 7.4.4).

Python's ssl ends the handshake for a certificate that it can't chain, and can't be told otherwise. So this context
makes objects of ssl.SSLObject's form that speak by pyOpenSSL; asyncio and uvloop move their octets as ever. Chain and
names are judged at MAIL (`certificate_terms`), by the terms of the connector that is meant.

Sessions are never resumed: a ticket holds the client's certificate without the chain behind it. Leaves out: the
client's side, wrap_socket, ALPN.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Final, Literal, overload

from cryptography import x509
from OpenSSL import SSL, crypto

from gateway.connectors.approved import restrict
from gateway.connectors.callbacks import on_server_name, take_any_certificate

RECORD: Final = 16384  # Octets of plain text in one record (RFC 8446 5.1): more is never read at once.
_OUT: Final = 65536
# Those of Python's ssl, so that it makes no difference for clients which of the two a listener has.
CIPHERS: Final = b"@SECLEVEL=2:ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AES:!aNULL:!eNULL:!aDSS:!SHA1:!AESCCM"
_VERSIONS: Final = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


class AskingContext(ssl.SSLContext):
    """Asks each client for a certificate and takes what comes. Made by `asking_context`."""

    _own: SSL.Context
    _kept: list[Any]  # What OpenSSL calls.

    def __new__(cls, own: SSL.Context) -> AskingContext:
        """start_tls and create_server demand an SSLContext by its class; that one's own machinery stays unused."""
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._own = own
        # Any certificate is taken. OpenSSL still looks for an issuer, one step far and among what the client sent
        # alone: no signatures of a long chain are verified for a client that has not even said EHLO.
        made._kept = [take_any_certificate(own)]
        own.set_verify_depth(0)
        return made

    def choose(self, other: Callable[[str | None], AskingContext | None]) -> None:
        """Ask `other` at each handshake, with the name that the client wants (RFC 6066 3); None: ours will do."""

        def named(connection: SSL.Connection) -> None:
            octets = connection.get_servername()
            found = other(None if octets is None else octets.decode("ascii", "replace"))
            if found is not None and found is not self:
                connection.set_context(found._own)

        self._kept.append(on_server_name(self._own, named))

    def wrap_bio(  # type: ignore[override]
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> PeerTls:
        """The TLS of one connection, the server's side of it."""
        if not server_side:
            raise ValueError("this context is for servers")
        connection = SSL.Connection(self._own, None)
        connection.set_accept_state()
        return PeerTls(self, connection, incoming, outgoing)


class PeerTls:
    """One connection in the form of ssl.SSLObject, as far as asyncio and uvloop use it."""

    server_side = True
    server_hostname = None
    session = None
    session_reused = False

    def __init__(
        self, context: AskingContext, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO
    ) -> None:
        self.context = context
        self._connection = connection
        self._incoming = incoming
        self._outgoing = outgoing
        # Whether the last read found nothing. Until then more may be there than OpenSSL's own count says: it counts
        # the record that it has opened, not those behind it, and uvloop reads no further where both counts are zero.
        self._dry = True
        self._chain: tuple[bytes, ...] | None = None

    def _do(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """One step, with errors as ssl has them. Raises ssl.SSLError."""
        if self._incoming.pending:
            self._connection.bio_write(self._incoming.read())
            self._dry = False
        try:
            return step(*arguments)
        except SSL.WantReadError:
            self._dry = True
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "more is needed") from None
        except SSL.WantWriteError:
            raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, "more is to be written") from None
        except SSL.ZeroReturnError:
            raise ssl.SSLZeroReturnError(ssl.SSL_ERROR_ZERO_RETURN, "the other side has closed TLS") from None
        except SSL.SysCallError:
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "the connection ended within TLS") from None
        except SSL.Error as error:
            raise _fault(error) from None

    def _send_out(self) -> None:
        """What OpenSSL has to say to the other side."""
        try:
            while octets := self._connection.bio_read(_OUT):
                self._outgoing.write(octets)
        except SSL.WantReadError:  # There is nothing more.
            return

    def do_handshake(self) -> None:
        """The handshake, as far as what has come allows."""
        try:
            self._do(self._connection.do_handshake)
        finally:
            self._send_out()

    def read(self, length: int = RECORD, buffer: Any = None) -> bytes | int:
        """At most `length` octets, or their number where they went into `buffer`; none: the other side closed TLS."""
        try:
            if buffer is None:
                octets: bytes = self._do(self._connection.recv, min(length, RECORD))
                return octets
            count: int = self._do(self._connection.recv_into, buffer, min(length, RECORD))
            return count
        except ssl.SSLZeroReturnError:
            return b"" if buffer is None else 0
        except ssl.SSLError:
            self._send_out()  # An alert, or the answer to a request for new keys.
            raise

    def write(self, octets: Any) -> int:
        """Encrypt; the number of octets that were taken."""
        if not len(octets):
            return 0
        try:
            count: int = self._do(self._connection.send, octets)
            return count
        finally:
            self._send_out()

    def pending(self) -> int:
        """Not zero where a read may find something."""
        return 0 if self._dry else max(1, self._connection.pending())

    def unwrap(self) -> None:
        """Close TLS on our side, then wait for the other's."""
        try:
            if not self._do(self._connection.shutdown):
                self._do(self._connection.shutdown)
        except ssl.SSLZeroReturnError:
            return
        finally:
            self._send_out()

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, version and bits of the cipher suite."""
        name = self._connection.get_cipher_name()
        if name is None:
            return None
        return name, self._connection.get_cipher_version() or "", self._connection.get_cipher_bits() or 0

    def version(self) -> str:
        """Such as `TLSv1.3`."""
        return self._connection.get_protocol_version_name()

    def compression(self) -> None:
        """There is none."""
        return

    def selected_alpn_protocol(self) -> None:
        """None is offered."""
        return

    @overload
    def getpeercert(self, binary_form: Literal[False] = False) -> dict[str, Any] | None: ...
    @overload
    def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...
    def getpeercert(self, binary_form: bool = False) -> dict[str, Any] | bytes | None:
        """The client's certificate in DER; as a table it is empty, as ssl has it for one that was not verified."""
        chain = self.peer_chain()
        if not chain:
            return None
        return chain[0] if binary_form else {}

    def peer_chain(self) -> tuple[bytes, ...]:
        """What the client showed, in DER: its certificate first, what it sent with it behind. Empty: nothing."""
        if self._chain is None:
            first = self._connection.get_peer_certificate()
            others = self._connection.get_peer_cert_chain() or []  # On our side without the first one.
            shown = [] if first is None else [first, *others]
            self._chain = tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, one) for one in shown)
        return self._chain


def _fault(error: SSL.Error) -> ssl.SSLError:
    """An error as ssl has it; `reason` is OpenSSL's own word."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reason = str(entries[-1][-1]) if entries else "protocol error"
    fault = ssl.SSLError(ssl.SSL_ERROR_SSL, f"[SSL] {reason}")
    fault.reason = reason
    return fault


def asking_context(chain: list[x509.Certificate], key: Any, minimum_tls: str, *, fips: bool = False) -> AskingContext:
    """The context of a listener that shows `chain`, ours first. Raises ValueError where `key` is that of another.

    `fips`: approved suites and curves alone.
    """
    own = SSL.Context(SSL.TLS_SERVER_METHOD)
    own.set_min_proto_version(_VERSIONS[minimum_tls])
    own.set_options(
        SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET
    )
    own.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    own.set_session_id(b"gateway")
    own.set_cipher_list(CIPHERS)
    if fips:
        restrict(own)
    try:
        own.use_certificate(chain[0])
        for certificate in chain[1:]:
            own.add_extra_chain_cert(certificate)
        own.use_privatekey(key)
        own.check_privatekey()
    except SSL.Error as error:
        raise ValueError("the private key does not belong to the certificate") from error
    return AskingContext(own)
