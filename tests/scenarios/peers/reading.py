"""People who read one mailbox again and again, while something is done to its keys."""

from __future__ import annotations

import threading
import time

from tests.scenarios.peers.imap import Refused
from tests.scenarios.peers.mailroom import IDA, Mailroom
from tests.scenarios.peers.ports import until

MOST = 30  # Messages of one look.


class Reading:
    """One reader from entering to leaving the block: on a connection that he keeps, and on new ones. `faults` are what
    he was refused; `looks` counts what went well.
    """

    def __init__(self, room: Mailroom, address: str = IDA) -> None:
        self.room, self.address = room, address
        self.looks = 0
        self.faults: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reader")

    def __enter__(self) -> Reading:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(40)

    def until_looked(self, count: int = 3) -> None:
        """Wait for so many more looks, or for a fault."""
        start = self.looks
        until(lambda: self.faults or self.looks >= start + count, f"{count} more looks at {self.address}")

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                with self.room.session(self.address) as session:
                    for _ in range(5):
                        if self._over.is_set():
                            return
                        count = session.select()
                        uids = session.uids()[-MOST:]
                        if count and len(session.octets(uids)) != len(uids):
                            self.faults.append("a message did not come")
                        self.looks += 1
                        time.sleep(0.05)
            except (Refused, OSError, AssertionError) as error:
                self.faults.append(repr(error))
                time.sleep(0.1)
