"""An IMAP client by imaplib, and one that says exactly what it is told to."""

from __future__ import annotations

import contextlib
import imaplib
import re
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

SECONDS: Final = 30.0
UID: Final = re.compile(rb"UID (\d+)")
FLAGS: Final = re.compile(rb"FLAGS \(([^)]*)\)")
TAGGED: Final = re.compile(rb"^[a-z]+[0-9]+ (OK|NO|BAD) ?(.*)$")


class Refused(AssertionError):
    """The server said NO or BAD; the text is what it said."""


class Session:
    """Somebody who has logged in; also a context manager. What goes wrong raises Refused with the server's words."""

    def __init__(self, port: int, ca: Path, user: str, password: str) -> None:
        self.imap = connected(port, ca)
        try:
            self._done(self.imap.login(user, password))
        except imaplib.IMAP4.error as error:
            self.imap.shutdown()
            raise Refused(str(error)) from error

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(imaplib.IMAP4.error, OSError):
            self.imap.logout()

    def select(self, folder: str = "INBOX", *, read_only: bool = False) -> int:
        """How many messages are in it."""
        (count, *_) = self._done(self.imap.select(f'"{folder}"', read_only))
        return int(count)

    def status(self, folder: str, *items: str) -> dict[str, int]:
        """What STATUS says of these items."""
        (said, *_) = self._done(self.imap.status(f'"{folder}"', f"({' '.join(items)})"))
        words = said[said.rindex(b"(") + 1 : said.rindex(b")")].split()
        return {words[at].decode(): int(words[at + 1]) for at in range(0, len(words), 2)}

    def uids(self, *keys: str) -> list[int]:
        """What UID SEARCH finds."""
        said = self._done(self.imap.uid("SEARCH", *(keys or ("ALL",))))
        return [int(word) for line in said if line for word in line.split()]

    def octets(self, uids: Sequence[int] | str, what: str = "BODY.PEEK[]") -> dict[int, bytes]:
        """That section of these messages, by UID, from one FETCH."""
        wanted = uids if isinstance(uids, str) else ",".join(map(str, uids))
        found = {}
        said = self._done(self.imap.uid("FETCH", wanted, f"(UID {what})"))
        for at, one in enumerate(said):
            if isinstance(one, tuple):
                after = next((rest for rest in said[at + 1 : at + 2] if isinstance(rest, bytes)), b"")
                uid = UID.search(one[0]) or UID.search(after)
                assert uid is not None, one[0]
                found[int(uid.group(1))] = one[1]
        return found

    def lines(self, uids: Sequence[int] | str, what: str) -> dict[int, bytes]:
        """The whole answer to a FETCH of what has no literals, by UID."""
        wanted = uids if isinstance(uids, str) else ",".join(map(str, uids))
        found = {}
        for one in self._done(self.imap.uid("FETCH", wanted, f"(UID {what})")):
            if isinstance(one, bytes) and (uid := UID.search(one)):
                found[int(uid.group(1))] = one
        return found

    def flags(self, uids: Sequence[int] | str = "1:*") -> dict[int, set[str]]:
        """The flags of these messages, without \\Recent, which nobody keeps any more (RFC 9051)."""
        found = {}
        for uid, line in self.lines(uids, "FLAGS").items():
            flags = FLAGS.search(line)
            assert flags is not None, line
            found[uid] = {word.decode() for word in flags.group(1).split()} - {"\\Recent"}
        return found

    def all(self, folder: str = "INBOX") -> list[bytes]:
        """Every message of a folder, in its order."""
        if not self.select(folder, read_only=True):
            return []
        found = self.octets("1:*")
        return [found[uid] for uid in sorted(found)]

    def append(self, octets: bytes, folder: str = "INBOX", flags: str = "") -> None:
        """Put a message into a folder."""
        self._done(self.imap.append(f'"{folder}"', flags, "", octets))

    def does(self, command: str, *arguments: str) -> list[bytes]:
        """A command that must succeed, such as `uid COPY 1 Archive`."""
        method = getattr(self.imap, command)
        found: list[bytes] = self._done(method(*arguments))
        return found

    def code(self, name: str) -> bytes | None:
        """What stands in the response code `name` that came last, None where none came."""
        (said,) = self.imap.response(name)[1][-1:] or [None]
        return said if isinstance(said, bytes) else None

    @staticmethod
    def _done(said: tuple[str, list[Any]]) -> list[Any]:
        if said[0] != "OK":
            raise Refused(f"{said[0]} {said[1]}")
        return said[1]


def connected(port: int, ca: Path) -> imaplib.IMAP4_SSL:
    """A connection whose certificate held, before anybody logged in."""
    context = ssl.create_default_context(cafile=str(ca))
    return imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context, timeout=SECONDS)


class RawImap:
    """A connection under TLS that sends octets and hears lines; also a context manager."""

    def __init__(self, port: int, ca: Path, seconds: float = 15.0) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        plain = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self._socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self._pending = b""
        self.heard = b""
        self._count = 0

    def __enter__(self) -> RawImap:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def line(self) -> bytes | None:
        """The next line without its end; None once the server has hung up."""
        while b"\n" not in self._pending:
            try:
                block = self._socket.recv(1 << 16)
            except ConnectionError:
                block = b""
            if not block:
                return None
            self._pending += block
            self.heard += block
        line, _, self._pending = self._pending.partition(b"\n")
        return line.rstrip(b"\r")

    def ask(self, command: str | bytes) -> tuple[str, list[bytes]]:
        """Say a command under a tag of its own; OK, NO or BAD and all lines with the tagged one last.

        ("", lines) where the server hung up. Literals in the answer count as lines.
        """
        self._count += 1
        tag = f"raw{self._count}".encode()
        self.send(tag + b" " + (command.encode() if isinstance(command, str) else command) + b"\r\n")
        return self.until(tag)

    def until(self, tag: bytes) -> tuple[str, list[bytes]]:
        """All lines up to the one with that tag."""
        lines: list[bytes] = []
        while (line := self.line()) is not None:
            lines.append(line)
            if line.startswith(tag + b" "):
                return line.split()[1].decode(), lines
        return "", lines

    def rest(self, seconds: float = 5.0) -> bytes:
        """What comes until the server hangs up, or is silent so long."""
        self._socket.settimeout(seconds)
        found = self._pending
        self._pending = b""
        with contextlib.suppress(TimeoutError, ConnectionError, ssl.SSLError):
            while block := self._socket.recv(1 << 16):
                found += block
        return found
