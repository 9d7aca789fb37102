"""How long a new client waits for the answer to its EHLO while four others each send 20 MB."""

from __future__ import annotations

import socket
import statistics
import threading
import time

LOAD = 4
OCTETS = 20_000_000
LINE = b"x" * 76 + b"\r\n"


def _read(one: socket.socket) -> bytes:
    """A whole reply."""
    octets = b""
    while not octets.endswith(b"\r\n") or octets.rpartition(b"\r\n")[0].rpartition(b"\r\n")[2][3:4] == b"-":
        piece = one.recv(4096)
        if not piece:
            raise ConnectionError("the gateway hung up")
        octets += piece
    return octets


def _say(one: socket.socket, line: bytes) -> bytes:
    one.sendall(line + b"\r\n")
    return _read(one)


def _send_large(port: int, subject: bytes) -> None:
    block = LINE * 840  # About 64 KB at once.
    with socket.create_connection(("127.0.0.1", port)) as one:
        _read(one)
        for line in (
            b"EHLO bench.example",
            b"MAIL FROM:<ida@corp.example>",
            b"RCPT TO:<otto@partner.example>",
            b"DATA",
        ):
            _say(one, line)
        if subject:
            one.sendall(b"From: ida@corp.example\r\nSubject: " + subject + b"\r\n\r\n")
        sent = 0
        while sent < OCTETS:
            one.sendall(block)
            sent += len(block)
        _say(one, b".")
        _say(one, b"QUIT")


def seconds(port: int, subject: bytes = b"") -> tuple[float, float, int]:
    """Median and greatest seconds from connecting to the answered EHLO, and how many were asked, during the load.

    `subject`: of what the others send, for rules that look at it.
    """
    senders = [threading.Thread(target=_send_large, args=(port, subject)) for _ in range(LOAD)]
    for sender in senders:
        sender.start()
    waits = []
    while any(sender.is_alive() for sender in senders):
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port)) as one:
            _read(one)
            _say(one, b"EHLO fifth.example")
            waits.append(time.monotonic() - began)
            _say(one, b"QUIT")
        time.sleep(0.005)
    return statistics.median(waits), max(waits), len(waits)
