"""smtp-sink as a counter: how many messages came out at the other end, and when no more come."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

from tests.scenarios.peers.ports import answers, free_port, until

SETTLED = 0.8  # Seconds without a new message after which an earlier run counts as over.


class Counter:
    """One smtp-sink for a whole series. `port` is where it listens."""

    def __init__(self) -> None:
        self.port = free_port()
        descriptor, name = tempfile.mkstemp(prefix="gateway-bench-")
        self._path = Path(name)
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self._process = subprocess.Popen(
            ["smtp-sink", *user, "-c", f"127.0.0.1:{self.port}", "1000"], stdout=descriptor, stderr=descriptor
        )
        os.close(descriptor)
        until(lambda: answers(self.port), "smtp-sink to listen")

    def count(self) -> int:
        """Messages so far. smtp-sink writes its counter over and over into one line; the last one counts."""
        with self._path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - 200))
            seen = re.findall(rb"mesg=(\d+)", stream.read())
        return int(seen[-1]) if seen else 0

    def settled(self) -> int:
        """The count once no more come: what an earlier run left behind must not end the next."""
        last, since = self.count(), time.monotonic()
        while time.monotonic() - since < SETTLED:
            time.sleep(0.1)
            if (now := self.count()) != last:
                last, since = now, time.monotonic()
        return last

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        self._path.unlink()
