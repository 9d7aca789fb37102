"""Which of many short octet strings stand in a text, told in one pass over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hyperscan


class Scan:
    """Numbers its `keys` from 0 on, in their order; none may be empty, have a zero octet, or be given twice.

    May be asked on several threads at once. A thousand keys take 25 ms to compile, and some 200 KiB; 20 KiB of text are
    looked through in 20 us, whatever there is to find.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not all(keys) or any(0 in key for key in keys):  # To the library's binding it ends the key.
            raise ValueError("a key is empty, or has a zero octet")
        self._database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        count = len(keys)
        once = (
            hyperscan.HS_FLAG_SINGLEMATCH
        )  # Else a text of one word alone would be a call for each time it stands there.
        self._database.compile(expressions=keys, ids=list(range(count)), elements=count, flags=once, literal=True)
        self._free: list[hyperscan.Scratch] = []  # What a pass writes its notes on: one for each thread at a time.

    def points(self, octets: bytes) -> list[int]:
        """The numbers of the keys that stand in `octets`, none of them twice, in no order. Raises hyperscan.error where
        there is no memory for it.
        """
        found: list[int] = []
        scratch = self._free.pop() if self._free else hyperscan.Scratch(self._database)
        try:
            self._database.scan(octets, _note, 0, found, scratch)
        finally:
            self._free.append(scratch)
        return found


def _note(number: int, _begin: int, _end: int, _flags: int, found: Any) -> None:
    found.append(number)
