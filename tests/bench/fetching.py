"""An IMAP client that reads as fast as a socket gives, and looks at nothing but where an answer ends."""

from __future__ import annotations

import re
import socket
import ssl

_MESSAGES = re.compile(rb"MESSAGES (\d+)")
_TAGGED = re.compile(rb"(?:\A|\r\n)t\d+ (OK|NO|BAD)[^\r\n]*\r\n\Z")
BLOCK = 1 << 18


class Client:
    """A session that is logged in, under TLS."""

    def __init__(self, port: int, context: ssl.SSLContext, user: str, password: str) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=120)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self._tag = 0
        self._socket.recv(BLOCK)
        self.ask(f'LOGIN "{user}" "{password}"'.encode())

    def close(self) -> None:
        self._socket.close()

    def ask(self, command: bytes) -> bytes:
        """The whole answer. Ends the run where it is a refusal."""
        return b"".join(self._blocks(command))

    def size(self, command: bytes) -> int:
        """Octets of the answer, which is not kept."""
        return sum(map(len, self._blocks(command)))

    def count(self) -> int:
        """Messages in the INBOX."""
        return messages(self.ask(b"STATUS INBOX (MESSAGES)"))

    def _blocks(self, command: bytes) -> list[bytes]:
        self._tag += 1
        self._socket.sendall(b"t%d %b\r\n" % (self._tag, command))
        blocks: list[bytes] = []
        tail = b""
        while True:
            block = self._socket.recv(BLOCK)
            if not block:
                raise SystemExit(f"the server hung up at {command[:20]!r}")
            blocks.append(block)
            tail = (tail + block)[-500:]
            if tail.endswith(b"\r\n") and (found := _TAGGED.search(tail)) is not None:
                if found[1] != b"OK":
                    raise SystemExit(f"{command[:20]!r}: {tail!r}")
                return blocks


def messages(answer: bytes) -> int:
    """What STATUS says."""
    found = _MESSAGES.search(answer)
    if found is None:
        raise SystemExit(f"STATUS: {answer!r}")
    return int(found[1])


def fetched(client: Client) -> int:
    """Octets of all messages of the folder that is selected, from one FETCH."""
    return client.size(b"UID FETCH 1:* (UID FLAGS BODY.PEEK[])")
