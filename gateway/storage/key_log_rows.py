"""The key-access log as storage keeps it: batches of lines, and what was signed about them. Keys give the meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines `first` to `last`, the hashes before and after them, and their octets, which begin with a version mark.

    `time`: milliseconds since 1970, of the last line.
    """

    first: int
    last: int
    time: int
    before: bytes
    after: bytes
    lines: bytes


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A signed statement of that `kind` about the chain up to `line`."""

    kind: str
    line: int
    statement: bytes
    vault: str
    key: str
    version: int
    signature: bytes
