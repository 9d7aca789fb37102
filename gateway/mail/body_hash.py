"""Hashes of a body that were made while it arrived (RFC 6376 3.7), so that nobody has to read it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class HashTerms:
    """How a body is hashed: its canonicalisation, the hash, and how many canonical octets (`l=`; None: all)."""

    canonicalization: Literal["simple", "relaxed"] = "relaxed"
    algorithm: Literal["sha1", "sha256"] = "sha256"
    length: int | None = None


# The digests by their terms.
BodyHashes = Mapping[HashTerms, bytes]
