"""A client that says exactly what it is told to, octet for octet, and reads whatever comes back."""

from __future__ import annotations

import socket
import ssl
import time
from types import TracebackType


class Raw:
    """One connection; also a context manager. `heard` is everything that the server said."""

    def __init__(self, port: int, host: str = "127.0.0.1", *, implicit: bool = False, seconds: float = 15.0) -> None:
        self.heard = b""
        self._pending = b""
        self._socket: socket.socket = socket.create_connection((host, port), timeout=seconds)
        if implicit:
            self._secure()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def starttls(self) -> None:
        """The handshake, after the 220; the certificate is not looked at."""
        self._secure()

    def reply(self) -> str:
        """The next whole reply, its lines separated by LF; empty once the server has hung up."""
        lines: list[str] = []
        while True:
            while b"\n" not in self._pending:
                try:
                    block = self._socket.recv(1 << 16)
                except ConnectionError:
                    block = b""
                if not block:
                    return "\n".join(lines)
                self._pending += block
                self.heard += block
            line, _, self._pending = self._pending.partition(b"\n")
            lines.append(line.rstrip(b"\r").decode("utf-8", "replace"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def ask(self, command: str | bytes) -> str:
        """Say one command and hear its reply."""
        octets = command.encode() if isinstance(command, str) else command
        self.send(octets + b"\r\n")
        return self.reply()

    def hello(self) -> str:
        """Hear the greeting and say EHLO; the reply to it."""
        self.reply()
        return self.ask("EHLO client.example")

    def rest(self, seconds: float = 10.0) -> list[str]:
        """All replies until the server hangs up, or nothing more comes for `seconds`."""
        replies: list[str] = []
        end = time.monotonic() + seconds
        self._socket.settimeout(seconds)
        try:
            while time.monotonic() < end and (said := self.reply()):
                replies.append(said)
        except TimeoutError:
            pass
        return replies

    def _secure(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._pending = b""
        self._socket = context.wrap_socket(self._socket)
