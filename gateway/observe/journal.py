"""Standard error as the journal reads it: sd-daemon(3) prefixes, by which a line keeps its priority."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

# The numbers of syslog(3).
PREFIXES: Final = {"debug": "<7>", "info": "<6>", "warning": "<4>", "error": "<3>"}


def is_journal(environment: Mapping[str, str], descriptor: int = 2) -> bool:
    """Whether what is written to `descriptor` goes to the journal: systemd says so by device and inode."""
    device, colon, inode = environment.get("JOURNAL_STREAM", "").partition(":")
    if not colon:
        return False
    try:
        there = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(there.st_dev), str(there.st_ino))
