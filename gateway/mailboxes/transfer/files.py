"""Files of one message each, read with limits. Links are not followed: they may lead out of what was named."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from gateway.mailboxes.transfer.found import MAX_MESSAGE, Found, Skipped, with_crlf

# A pipe would keep whoever opens it waiting for a writer.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def read_file(path: Path, most: int) -> bytes | None:
    """The octets of a file; None where it is no regular one, or longer than `most`. Blocks; raises OSError."""
    descriptor = os.open(path, _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        octets = file.read(most + 1)
    return octets if len(octets) <= most else None


def read_message(
    path: Path, place: str, *, folder: str | None = None, flags: int = 0, keywords: tuple[str, ...] = ()
) -> Found | Skipped:
    """The message in the file; its date is that of the file's last writing. Blocks; raises OSError."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        return Skipped(place, error.strerror or "it can't be opened")
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            return Skipped(place, "it is no file")
        if facts.st_size > MAX_MESSAGE:
            return Skipped(place, f"it has {facts.st_size} octets, and {MAX_MESSAGE} are taken at most")
        octets = file.read(MAX_MESSAGE + 1)
    if not octets:
        return Skipped(place, "it is empty")
    return Found(
        place=place,
        octets=with_crlf(octets),
        folder=folder,
        date=facts.st_mtime,
        flags=flags,
        keywords=keywords,
    )
