"""Clients that send again and again, and remember what became of each message."""

from __future__ import annotations

import threading
import time

from tests.scenarios.peers.hop import Hop
from tests.scenarios.peers.ports import until
from tests.scenarios.peers.raw import Raw

LARGE = b"x" * 76 + b"\r\n"
PAUSE = 0.01  # Seconds between two messages of a client: what they would take more, other tests wait for.
LARGE_LINES = 3000  # Of every tenth message: it lies in a file of its own.


class Stream:
    """A few clients, from entering to leaving the block. `taken` are the marks of what got 250; `refused` the replies
    of all others, by mark, at whatever command they came. Each message goes to a recipient of its own, markN, or to the
    one that is named. A server that is killed is no fault of theirs: they come back.
    """

    def __init__(self, port: int, count: int = 3, recipient: str = "") -> None:
        self.port = port
        self.recipient = recipient
        self.taken: list[int] = []
        self.refused: dict[int, str] = {}
        self.lost: list[str] = []  # What went wrong with connections.
        self.tried = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, name=f"sender {one}") for one in range(count)]

    def __enter__(self) -> Stream:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def until_taken(self, count: int, seconds: float = 30.0) -> None:
        """Wait for so many more."""
        start = len(self.taken)
        until(lambda: len(self.taken) >= start + count, f"{count} more messages to be taken; {self.refused}", seconds)

    def until_refused(self, count: int) -> None:
        """Wait for so many more."""
        start = len(self.refused)
        until(lambda: len(self.refused) >= start + count, f"{count} more messages to be refused")

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with Raw(self.port, seconds=20) as client:
                    client.hello()
                    for _ in range(10):
                        if self._over.is_set():
                            break
                        self._one(client)
                        time.sleep(PAUSE)
            except OSError as error:
                self.lost.append(repr(error))
                time.sleep(0.05)

    def _one(self, client: Raw) -> None:
        with self._lock:
            self.tried += 1
            mark = self.tried
        recipient = self.recipient or f"mark{mark}@partner.example"
        for line in ("MAIL FROM:<ida@corp.example>", f"RCPT TO:<{recipient}>", "DATA"):
            said = client.ask(line)
            if not said.startswith(("2", "3")):
                self._refuse(mark, said)
                client.ask("RSET")
                time.sleep(0.02)  # As a client that means well.
                return
        client.send(b"X-Mark: %d\r\n\r\n" % mark + LARGE * (LARGE_LINES if mark % 10 == 0 else 1))
        said = client.ask(".")
        if not said.startswith("250"):
            self._refuse(mark, said)
            return
        with self._lock:
            self.taken.append(mark)

    def _refuse(self, mark: int, said: str) -> None:
        if not said:
            raise ConnectionError("hung up")
        with self._lock:
            self.refused[mark] = said


def marks(hop: Hop) -> list[int]:
    """What arrived, whole, in its order."""
    return [mark_of(got.octets) for got in list(hop.taken)]


def mark_of(octets: bytes) -> int:
    """The mark of a message, which must be whole."""
    start = octets.index(b"X-Mark: ") + 8
    mark = int(octets[start : octets.index(b"\r\n", start)])
    size = LARGE_LINES if mark % 10 == 0 else 1
    assert octets.endswith(b"\r\n\r\n" + LARGE * size), f"message {mark} is damaged"
    return mark
