"""Credentials of stores of objects, in files that are read again when they change: who rotates them restarts nothing.

For S3 a file has two lines, access key id and secret access key, and a third where there is a session token; for Azure
one: a shared access signature, or the account's key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.storage.blobs import BlobsAway
from gateway.storage.mailbox_blob_terms import Service

MAX_OCTETS: Final = 8192  # A session token of AWS has some 1,000; no credential is longer.


@dataclass(frozen=True, slots=True)
class Credentials:
    """What stands in one file. Its repr shows none of it."""

    lines: tuple[str, ...] = field(repr=False)

    @property
    def is_signature(self) -> bool:
        """Of Azure: a shared access signature, not the account's key."""
        return "sig=" in self.lines[0]

    @classmethod
    def read(cls, path: Path, service: Service) -> Credentials:
        """Blocks. Raises BlobsAway, whose text shows nothing of the file."""
        try:
            with path.open("rb") as file:
                octets = file.read(MAX_OCTETS + 1)
        except OSError as error:
            raise BlobsAway(f"{path}: {error.strerror}") from error
        lines = octets.split()
        wanted = (2, 3) if service is Service.S3 else (1, 1)
        if not wanted[0] <= len(lines) <= wanted[1] or len(octets) > MAX_OCTETS or not octets.isascii():
            right = "an access key id and a secret access key, each on a line" if service is Service.S3 else "one line"
            raise BlobsAway(f"{path} holds no credentials for {service}; right would be {right}")
        return cls(tuple(line.decode("ascii") for line in lines))


@dataclass(frozen=True, slots=True)
class _Stamp:
    """By which it is seen that a file was replaced or written."""

    inode: int
    size: int
    changed: int


class CredentialFile:
    """One file, watched."""

    LOOK: Final = 2.0  # Seconds between two looks at it.

    def __init__(self, path: Path, service: Service) -> None:
        self._path = path
        self._service = service
        self._stamp: _Stamp | None = None
        self._looked: float | None = None

    def fresh(self, now: float, *, at_once: bool = False) -> Credentials | None:
        """What stands in it, where that is new since the last time, or None. `now` is monotonic.

        `at_once`: the store has refused what stood there. Raises BlobsAway; it is looked for again then.
        """
        if self._looked is not None and not at_once and now - self._looked < self.LOOK:
            return None
        self._looked = now
        try:
            facts = os.stat(self._path)  # noqa: PTH116 - a local file of a few octets; one call
        except OSError as error:
            if self._stamp is not None:  # In the middle of being replaced: what was read holds until there is more.
                return None
            self._looked = None
            raise BlobsAway(f"{self._path}: {error.strerror}") from error
        stamp = _Stamp(facts.st_ino, facts.st_size, facts.st_mtime_ns)
        if stamp == self._stamp:
            return None
        try:
            found = Credentials.read(self._path, self._service)
        except BlobsAway:
            if self._stamp is not None:
                return None
            self._looked = None
            raise
        self._stamp = stamp
        return found
