"""Files that commands write with other people's mail in them: for whoever asked, not for everybody on the machine."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path


def write_private(path: Path, octets: bytes) -> None:
    """A file of mode 0600, or with `-` standard output. What was there is overwritten, and gets that mode, too.

    Raises OSError.
    """
    if path == Path("-"):
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()
        return
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # A pipe or a terminal stays whose it is.
            os.fchmod(file.fileno(), 0o600)
        file.write(octets)
