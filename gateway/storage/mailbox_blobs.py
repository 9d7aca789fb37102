"""Blobs of mailboxes: each written once as a whole under a random name, read, deleted. Nobody can list them.

Which blobs there are the database alone knows. Those who write, read and delete have credentials of their own. What is
stored is sealed before it comes here; a blob has 1 MiB and a few octets at most.
Leaves out: listing, changing, and clearing what no row knows (`gateway.mailboxes.contents.garbage` does).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Protocol

from gateway.storage.blobs import BlobGone, BlobsAway

NAME: Final = re.compile(r"[0-9a-f]{32}")  # 16 octets of chance.
MAX_BLOB: Final = (1 << 20) + 4096  # Octets of one blob: a chunk and what sealing adds, and room for a later form.

__all__ = ["MAX_BLOB", "NAME", "BlobGone", "BlobsAway", "LocalBlobs", "MailboxBlobs", "checked_name"]


class MailboxBlobs(Protocol):
    """A store that one database has to itself; processes on several machines may use it at once."""

    async def put(self, name: str, octets: bytes) -> None:
        """Durable, whole and readable when this returns; a name is put once.

        Raises StorageFull, BlobsAway; it may be there all the same then, whole or not.
        """

    async def get(self, name: str) -> bytes:
        """All of it. Raises BlobGone where there is no such blob, BlobsAway."""

    async def get_many(self, names: Sequence[str]) -> list[bytes | BlobGone]:
        """Several, in their order, those that are missing told in their places. Raises BlobsAway."""

    async def delete(self, names: Sequence[str]) -> list[str]:
        """Take them away; those that are gone now: one that was not there is no fault. Raises BlobsAway for all.

        A store without credentials for deleting gives none, and takes none away.
        """

    async def close(self) -> None:
        """Wait for what is under way. Nothing may be asked for afterwards."""

    @property
    def local(self) -> LocalBlobs | None:
        """Where a blob is read at once: for whoever is on a thread already, and has more to do there."""


class LocalBlobs(Protocol):
    """Blobs of a disk of this machine."""

    def look(self, name: str, size: int) -> bytes:
        """The blob, of which `size` octets are expected: at most one more is read. Blocks.

        Raises BlobGone, BlobsAway.
        """


def checked_name(name: str) -> str:
    """`name`, which is safe as a file's name and in an object's key. Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError("the name of a mailbox blob has 32 hexadecimal digits")
    return name
