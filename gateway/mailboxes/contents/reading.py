"""Opening rows and their blobs: sync, for a thread or a moment of the loop, with the key of one mailbox."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography.exceptions import InvalidTag

from gateway.mailboxes.contents.chunk import MARK, OVERHEAD, chunk_count, open_chunk, plain_size
from gateway.mailboxes.contents.content_map import ContentMap, Key, MapCipher, open_head
from gateway.mailboxes.contents.damage import Damage, Damaged
from gateway.storage.mailbox_blobs import BlobGone
from gateway.storage.mailboxes.model import ContentRow

Look: TypeAlias = Callable[[str, int], "bytes | BlobGone"]


@dataclass(frozen=True, slots=True)
class Unread:
    """A chunk that did not open; `octets` None: its blob is not there. What is wrong with it, `diagnosed` says."""

    row: ContentRow
    map: ContentMap = field(repr=False)
    number: int
    octets: bytes | None = field(repr=False)


class Reading:
    """One piece of work with the key of one mailbox. Dropped with it.

    A row that lies under a version that `key` does not have raises KeyBroken: read the mailbox and the row again.
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        self._ciphers: dict[int, MapCipher] = {}
        self._row: ContentRow | None = None  # Whose map was opened last.
        self._map: ContentMap | None = None

    def map(self, row: ContentRow) -> ContentMap:
        """The row's map. Raises Damaged, KeyBroken."""
        if row is self._row and self._map is not None:
            return self._map
        cipher = self._ciphers.get(row.key_version)
        if cipher is None:
            cipher = self._ciphers[row.key_version] = MapCipher(self._key.at(row.key_version))
        map_ = cipher.open(row.id, row.map, row.size)
        self._row, self._map = row, map_
        return map_

    def heads(self, rows: Sequence[ContentRow]) -> list[bytes | Damaged | None]:
        """The head of each. Raises KeyBroken."""
        found: list[bytes | Damaged | None] = []
        for row in rows:
            try:
                found.append(open_head(row.id, self.map(row), row.head))
            except Damaged as fault:
                found.append(fault)
        return found

    def chunks(self, wanted: Sequence[tuple[ContentRow, int]], look: Look) -> list[bytes | Damaged | Unread]:
        """Each chunk in clear. `look` gives a blob, of which so many octets are expected. Raises KeyBroken, and what
        `look` raises but BlobGone.
        """
        found: list[bytes | Damaged | Unread] = []
        for row, number in wanted:
            try:
                found.append(self._chunk(row, number, look))
            except Damaged as fault:
                found.append(fault)
        return found

    def _chunk(self, row: ContentRow, number: int, look: Look) -> bytes | Unread:
        map_, count = self.map(row), len(row.blobs)
        if count != (right := chunk_count(row.size)):
            damage, why = (Damage.MISSING, "names only") if count < right else (Damage.EXTENDED, "names even")
            raise Damaged(row.id, damage, "row", f"{why} {count} of its {right} chunks")
        wanted = plain_size(number, row.size) + OVERHEAD
        try:
            sealed = look(row.blobs[number], wanted)
        except BlobGone:
            return Unread(row, map_, number, None)
        if isinstance(sealed, BlobGone):
            return Unread(row, map_, number, None)
        if len(sealed) == wanted and sealed[:1] == MARK:
            try:
                return open_chunk(map_.key(number), row.id, number, row.size, sealed)
            except InvalidTag:
                pass
        return Unread(row, map_, number, sealed)
