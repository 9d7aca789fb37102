"""SHA-256 of octets at hand, without giving the interpreter away (FIPS 180-4). Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

_GIVEN_AWAY: Final = 2048  # Octets from which on hashlib lets other threads run (its HASHLIB_GIL_MINSIZE).
_AT_ONCE: Final = 32 * 1024  # Octets that are hashed in 20 us.


def sha256(octets: bytes | memoryview) -> bytes:
    """The digest.

    From 2,048 octets on hashlib gives the interpreter away, and has to wait for it where a thread is busy beside the
    loop. So what is hashed in less time than such a change takes is given to it in pieces.
    """
    if len(octets) < _GIVEN_AWAY or len(octets) > _AT_ONCE:
        return hashlib.sha256(octets).digest()
    view = memoryview(octets)
    made = hashlib.sha256()
    for at in range(0, len(view), _GIVEN_AWAY - 1):
        made.update(view[at : at + _GIVEN_AWAY - 1])
    return made.digest()


@dataclass(frozen=True, slots=True)
class Hashed:
    """Octets with their SHA-256, made by `of`: whoever signs them by way of that hash need not make it once more."""

    octets: bytes = field(repr=False)
    sha256: bytes

    @classmethod
    def of(cls, octets: bytes) -> Hashed:
        """The octets and the digest of them."""
        return cls(octets, sha256(octets))
